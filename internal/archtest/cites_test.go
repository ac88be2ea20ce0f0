package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// place is what a citation names inside a document: a numbered heading, as A7 or 5.5, or a row of a table, as S109.
const place = `[A-Z]?[0-9]+(?:\.[0-9]+)*\b|[A-F]\b`

var (
	cite       = regexp.MustCompile(`\b(docs/[a-z0-9/-]+\.md)((?:[,;]?(?: and| to)? (?:` + place + `))*)`)
	cited      = regexp.MustCompile(place)
	heading    = regexp.MustCompile(`(?m)^#+ (` + place + `)`)
	row        = regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+)(?:–([A-Z][0-9]+))? \|`)
	wrapped    = regexp.MustCompile(`\n[\t ]*(?://|#)?[\t ]*`)
	notHere    = regexp.MustCompile(`\b(?:decisions [0-9]|specs? (?:meteor-ddp|rocketchat-2fa|clients|security|performance|storage|S[0-9])|[Ss]ecurity [SA][0-9])`)
	threat     = regexp.MustCompile(`\b(?:Test)?(S[0-9]{3})(?:\b|[A-Z])|(?:// |\()(A[0-9]{1,2})[,:)]`)
	adr        = regexp.MustCompile(`\bADR ([0-9]+)\b`)
	conversing = []string{".go", ".txtar", ".mjs", ".md"}
)

// Whoever reads a comment can look up what it cites: the document is in the repository, and has that heading or row.
func TestCitationsResolve(t *testing.T) {
	places := map[string]map[string]bool{}
	for name, text := range documents(t) {
		places[name] = placesOf(text)
	}
	threats := places["docs/security-tests.md"]
	for _, name := range tracked(t) {
		if !slices.Contains(conversing, filepath.Ext(name)) || strings.HasPrefix(name, "internal/archtest/") || name == "CHANGELOG.md" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			continue // deleted, and not committed yet
		}
		text := wrapped.ReplaceAllString(string(b), " ")
		for _, m := range cite.FindAllStringSubmatch(text, -1) {
			if places[m[1]] == nil {
				t.Errorf("%s cites %s, which does not exist", name, m[1])
			}
			for _, p := range cited.FindAllString(m[2], -1) {
				if places[m[1]] != nil && !places[m[1]][p] {
					t.Errorf("%s cites %s %s: there is no such heading or row", name, m[1], p)
				}
			}
		}
		for _, m := range notHere.FindAllString(text, -1) {
			t.Errorf("%s cites %q, which is not in the repository", name, m)
		}
		if filepath.Ext(name) != ".go" {
			continue
		}
		for _, m := range threat.FindAllStringSubmatch(string(b), -1) {
			if !threats[m[1]+m[2]] {
				t.Errorf("%s: docs/security-tests.md has no row %s", name, m[1]+m[2])
			}
		}
		for _, m := range adr.FindAllStringSubmatch(string(b), -1) {
			if found, _ := filepath.Glob(filepath.Join(top(t), "docs/adr/0*"+m[1]+"-*.md")); len(found) != 1 {
				t.Errorf("%s cites %s, which does not exist", name, m[0])
			}
		}
	}
}

// placesOf are the numbered headings and the rows of a document.
func placesOf(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
		if m[2] == "" {
			continue
		}
		first, _ := strconv.Atoi(m[1][1:])
		last, _ := strconv.Atoi(m[2][1:])
		for n := first; n <= last; n++ {
			found[m[1][:1]+pad(n)] = true
		}
	}
	return found
}
