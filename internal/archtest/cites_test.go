package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// place is what a citation names inside a document: a numbered heading, as A7 or 5.5, or a row of a table, as S109.
const place = `[A-Z]?[0-9]+(?:\.[0-9]+)*\b|[A-F]\b`

// places are those behind a document's name: " A7, A9", " 2.4 and 5.8".
const places = `((?:[,;]?(?: and| to)? (?:` + place + `))*)`

var (
	cite    = regexp.MustCompile(`\b(docs/[a-z0-9/-]+\.md)` + places)
	linked  = regexp.MustCompile(`\]\(([a-z0-9./-]+\.md)\)` + places)
	cited   = regexp.MustCompile(place)
	heading = regexp.MustCompile(`(?m)^#+ (` + place + `)`)
	row     = regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+)(?:–([A-Z][0-9]+))? \|`)
	wrapped = regexp.MustCompile(`\n[\t ]*(?://|#)?[\t ]*`)
	notHere = regexp.MustCompile(`\b(?:decisions [0-9]|specs? (?:meteor-ddp|rocketchat-2fa|clients|security|performance|storage|S[0-9])|[Ss]ecurity [SA][0-9])`)
	threat  = regexp.MustCompile(`\b(?:Test)?(S[0-9]{3})(?:\b|[A-Z])|// (A[0-9]{1,2})(?:, A[0-9]{1,2})*:|\((A[0-9]{1,2})[,)]`)
	adr     = regexp.MustCompile(`\bADR ([0-9]+)\b`)
)

// citable are the documents of the repository, each with its numbered headings and rows.
type citable map[string]map[string]bool

// Whoever reads a comment can look up what it cites: the document is in the repository, and has that heading or row.
func TestCitationsResolve(t *testing.T) {
	docs := citable{}
	for name, text := range documents(t) {
		docs[name] = placesOf(text)
	}
	for _, name := range tracked(t, "*.go", "*.txtar", "*.mjs", "*.md") {
		if strings.HasPrefix(name, "internal/archtest/") || name == "CHANGELOG.md" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			continue // deleted, and not committed yet
		}
		for _, wrong := range docs.unresolved(name, string(b)) {
			t.Errorf("%s cites %s, which is not in the repository", name, wrong)
		}
	}
}

// unresolved are the citations of a file that lead nowhere.
func (docs citable) unresolved(name, text string) (wrong []string) {
	look := func(doc, list string) {
		if docs[doc] == nil {
			wrong = append(wrong, doc)
			return
		}
		for _, p := range cited.FindAllString(list, -1) {
			if !docs[doc][p] {
				wrong = append(wrong, doc+" "+p)
			}
		}
	}
	line := wrapped.ReplaceAllString(text, " ")
	for _, m := range cite.FindAllStringSubmatch(line, -1) {
		look(m[1], m[2])
	}
	wrong = append(wrong, notHere.FindAllString(line, -1)...)
	switch filepath.Ext(name) {
	case ".md":
		for _, m := range linked.FindAllStringSubmatch(line, -1) {
			look(path.Join(path.Dir(name), m[1]), m[2])
		}
	case ".go":
		for _, m := range threat.FindAllStringSubmatch(text, -1) {
			look("docs/security-tests.md", m[1]+m[2]+m[3])
		}
		for _, m := range adr.FindAllStringSubmatch(text, -1) {
			look(docs.adr(m[1]), "")
		}
	}
	return wrong
}

// adr is the name of the architecture decision record with that number.
func (docs citable) adr(number string) string {
	prefix := "docs/adr/" + strings.Repeat("0", max(0, 4-len(number))) + number
	for name := range docs {
		if strings.HasPrefix(name, prefix+"-") {
			return name
		}
	}
	return prefix
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

func TestBrokenCitationsAreFound(t *testing.T) {
	docs := citable{
		"docs/wire/a.md":         placesOf("## A Things\n### A7 More\n### 5.5 Else\n"),
		"docs/security-tests.md": placesOf("| S001 | x |\n| S100–S102 | y |\n| A11 | z |\n"),
		"docs/adr/0002-x.md":     placesOf(""),
	}
	for _, c := range []struct {
		name, text string
		wrong      []string
	}{
		{"x.go", "// as it is (docs/wire/a.md A7, 5.5 and A).\n// S101, (A11), ADR 2", nil},
		{"x.go", "// broken over lines (docs/wire/a.md A7,\n\t// A8).", []string{"docs/wire/a.md A8"}},
		{"x.go", "// gone (docs/wire/b.md A7)", []string{"docs/wire/b.md"}},
		{"x.go", "func TestS103Codes() {} // A12: and ADR 3", []string{"docs/security-tests.md S103", "docs/security-tests.md A12", "docs/adr/0003"}},
		{"x.txtar", "as decisions 3 and\nspec clients 2", []string{"decisions 3", "spec clients"}},
		{"docs/x.md", "see [a](wire/a.md) A7 and [b](wire/a.md) 5.6", []string{"docs/wire/a.md 5.6"}},
	} {
		if got := docs.unresolved(c.name, c.text); !slices.Equal(got, c.wrong) {
			t.Errorf("%s %q: %q, want %q", c.name, c.text, got, c.wrong)
		}
	}
}
