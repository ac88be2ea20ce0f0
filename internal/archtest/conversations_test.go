package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"testing"
)

var namesConversations = regexp.MustCompile(`"([^"\n]*\.txtar)"`)

// A file of conversations that no test of its package names is never played, and every
// test stays green.
func TestEveryConversationIsPlayed(t *testing.T) {
	named := make(map[string][]string) // by the package's directory
	for _, name := range tracked(t, "*_test.go") {
		text, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namesConversations.FindAllStringSubmatch(string(text), -1) {
			named[path.Dir(name)] = append(named[path.Dir(name)], path.Base(m[1]))
		}
	}
	files := tracked(t, "internal/**/testdata/conversations/*.txtar")
	if len(files) < 10 {
		t.Fatalf("only %d files of conversations", len(files))
	}
	for _, file := range files {
		dir, base := path.Dir(path.Dir(path.Dir(file))), path.Base(file)
		played := false
		for _, pattern := range named[dir] {
			ok, _ := path.Match(pattern, base)
			played = played || ok
		}
		if !played {
			t.Errorf("no test in %s names %s: add one beside the others, as func TestToyConversations(t *testing.T) { play(t, %q) }", dir, file, base)
		}
	}
}
