package settings

import (
	"strings"
	"testing"
)

// Whoever adds a setting says in a sentence what a change of it does.
func TestEverySettingHasASentence(t *testing.T) {
	left := map[string]bool{}
	for id := range sentences {
		left[id] = true
	}
	for _, d := range Table() {
		text := Sentence(d.ID)
		if text == "" || !strings.HasSuffix(text, ".") || len(text) > 200 || strings.Contains(text, "\t") {
			t.Errorf("%s: sentences.txt needs one sentence of at most 200 bytes, not %q", d.ID, text)
		}
		delete(left, d.ID)
	}
	for id := range left {
		t.Errorf("sentences.txt tells of %s, which is no setting", id)
	}
	if strings.Count(sentencesText, "\n") != len(sentences) {
		t.Error("sentences.txt tells of a setting twice")
	}
}
