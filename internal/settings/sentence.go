package settings

import (
	_ "embed"
	"strings"
)

//go:embed sentences.txt
var sentencesText string

var sentences = func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(sentencesText) {
		id, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
		m[id] = text
	}
	return m
}()

// Sentence says in one sentence what a change of the setting does; "" for an id that
// is not in the table. The sentences stand in sentences.txt.
func Sentence(id string) string { return sentences[id] }
