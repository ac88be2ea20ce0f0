package archtest

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tracked are the files of the repository that fit the patterns, all of them without one.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"ls-files", "-z"}, patterns...)...)
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
}

// documents are the committed Markdown files.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, name := range tracked(t, "*.md") {
		if text, err := os.ReadFile(filepath.Join(top(t), name)); err == nil {
			docs[name] = string(text)
		}
	}
	return docs
}

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	makeUse   = regexp.MustCompile("(?m)(?:^ {4,}|`)make ([a-z-]+)")
	makeDef   = regexp.MustCompile(`(?m)^([a-z-]+):`)
	goPath    = regexp.MustCompile("`((?:cmd|internal|configs|tools|clients|docs)/[A-Za-z0-9_./-]+)`")
	codeFence = regexp.MustCompile("(?s)```.*?```")
)

func TestDocsLinkToFilesThatExist(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(codeFence.ReplaceAllString(text, ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if u, err := url.Parse(m[1]); err != nil || u.Scheme != "" || target == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(top(t), filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			}
		}
		for _, m := range goPath.FindAllStringSubmatch(text, -1) {
			path := strings.TrimSuffix(m[1], "/")
			if _, err := os.Stat(filepath.Join(top(t), path)); err != nil && !strings.Contains(path, "...") && !strings.HasPrefix(name, "docs/adr/") {
				t.Errorf("%s names %s, which does not exist", name, m[1])
			}
		}
	}
}

func TestDocsNameMakeTargetsThatExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(top(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range makeDef.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
		if !regexp.MustCompile(`(?m)^` + m[1] + `:.*## \S`).Match(makefile) {
			t.Errorf("make %s has no help", m[1])
		}
	}
	for name, text := range documents(t) {
		for _, m := range makeUse.FindAllStringSubmatch(text, -1) {
			if !targets[m[1]] {
				t.Errorf("%s names `make %s`, which does not exist", name, m[1])
			}
		}
	}
}

// Every key of the configuration is explained where operators look.
func TestDocsNameConfigurationKeysThatExist(t *testing.T) {
	example, err := os.ReadFile(filepath.Join(top(t), "configs/ddpserver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+):`).FindAllStringSubmatch(string(example), -1) {
		keys[strings.ToUpper(m[1])] = true
	}
	use := regexp.MustCompile("`((?:MAX|ADMIN|MONGO|MAIL|ENCRYPTION|LOG|AUDIT|METRICS|TRUSTED|ALLOWED|HTTP|ROOT|BIND|DATA|READ|IDLE|SHUTDOWN|CONNECT|HEARTBEAT|WRITE|COMPRESS)_[A-Z_]+)`")
	for name, text := range documents(t) {
		for _, m := range use.FindAllStringSubmatch(text, -1) {
			if !keys[m[1]] && !keys[strings.TrimSuffix(m[1], "_FILE")] && !strings.HasSuffix(m[1], "_") {
				t.Errorf("%s names the key %s, which does not exist", name, m[1])
			}
		}
	}
}
