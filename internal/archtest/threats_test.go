package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The table of threats names tests that exist, and leaves out no row.
func TestThreatsAreTestedByWhatTheTableNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top(t), "docs", "security-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range tracked(t, "*_test.go") {
		if b, err := os.ReadFile(filepath.Join(top(t), name)); err == nil {
			code.Write(b)
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(string(text), -1) {
		if !strings.Contains(code.String(), "\nfunc "+name+"(") {
			t.Errorf("docs/security-tests.md names %s, which does not exist", name)
		}
	}
	const rows = 120
	seen := placesOf(string(text))
	for n := 1; n <= rows; n++ {
		if !seen["S"+pad(n)] {
			t.Errorf("docs/security-tests.md has no row S%s", pad(n))
		}
	}
}

// What an attack found stands in the order of its items, each of them and each
// kind once: lines that two branches append stand twice after a merge.
func TestRowsOfTheAttackAreInOrder(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top(t), "docs", "security-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## What an attack found\n")
	if !ok {
		t.Fatal("there is no section What an attack found")
	}
	rows := regexp.MustCompile(`(?m)^\| (?:A(\d+)|(resources)) \| ([^|]*) \|`)
	for i, table := range strings.SplitN(section, "\n### What stays open\n", 2) {
		const items, rest = 22, 99
		seen, last := map[string]bool{}, 0
		for _, m := range rows.FindAllStringSubmatch(table, -1) {
			n := rest
			if m[1] != "" {
				n, _ = strconv.Atoi(m[1])
			}
			if n < last {
				t.Errorf("%q stands behind an item of a higher number", m[0])
			}
			if last = n; seen[m[3]] {
				t.Errorf("%q stands there twice", m[3])
			}
			seen[m[1]], seen[m[3]] = true, true
		}
		for n := 1; i == 0 && n <= items; n++ {
			if !seen[strconv.Itoa(n)] {
				t.Errorf("there is no row A%d", n)
			}
		}
	}
}

// Nothing that is said once to an operator or in the changelog is said twice.
func TestNoLineOfTheDocumentsStandsTwice(t *testing.T) {
	for _, name := range []string{"CHANGELOG.md", "SECURITY.md", "docs/operations.md", "docs/divergences.md", "docs/rough-edges.md", "docs/security-tests.md"} {
		text, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for line := range strings.SplitSeq(string(text), "\n") {
			const short = 40 // heads of tables, blank lines, fences
			if len(line) > short && seen[line] {
				t.Errorf("%s says twice: %.80s", name, line)
			}
			seen[line] = true
		}
	}
}

// pad writes a row's number as the table does.
func pad(n int) string { return fmt.Sprintf("%03d", n) }
