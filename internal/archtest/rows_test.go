package archtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of threats names tests that exist, and leaves out no row.
func TestThreatsAreTestedByWhatTheTableNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top(t), "docs", "security-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-files", "-z", "*_test.go")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
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
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| S(\d{3})(?:–S(\d{3}))? \|`).FindAllStringSubmatch(string(text), -1) {
		first, last := m[1], m[2]
		if last == "" {
			last = first
		}
		for n := range rows + 1 {
			if row := pad(n); row >= first && row <= last {
				seen[row] = true
			}
		}
	}
	for n := 1; n <= rows; n++ {
		if !seen[pad(n)] {
			t.Errorf("docs/security-tests.md has no row S%s", pad(n))
		}
	}
}

// pad writes a row's number as the table does.
func pad(n int) string { return fmt.Sprintf("%03d", n) }
