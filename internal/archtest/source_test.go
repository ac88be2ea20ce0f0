package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// hardLines is the longest a Go file may be; 400 is where to think about it.
	hardLines = 700
	// hardFunc is the longest a function may be; a flat table may be longer.
	hardFunc = 80
)

type source struct {
	pkg  goPackage
	name string // from the top of the repository
	test bool
	file *ast.File
	fset *token.FileSet
	text []byte
}

// support are packages that only tests use; archtest checks that the program
// does not contain them.
var support = regexp.MustCompile(`(^|/)(\w+test|test\w+)(/|$)`)

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, p := range packages(t) {
		for _, f := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			path := filepath.Join(p.Dir, f)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(top(t), path)
			all = append(all, source{p, name, strings.HasSuffix(f, "_test.go") || support.MatchString(p.rel()), file, fset, text})
		}
	}
	return all
}

func (s source) at(n ast.Node) string { return s.name + ":" + itoa(s.fset.Position(n.Pos()).Line) }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		name := filepath.Base(p.Dir)
		switch {
		case p.Doc == "":
			t.Errorf("%s has no package comment", p.rel())
		case !strings.HasPrefix(p.Doc, "Package "+name+" ") && !strings.HasPrefix(p.Doc, "Command "+name+" "):
			t.Errorf("%s: the package comment starts %q", p.rel(), p.Doc)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown[d.Name.Name] {
					t.Errorf("%s: %s is not documented", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					checkSpec(t, s, d, spec)
				}
			}
		}
	}
}

// wellKnown are methods whose meaning an interface of the standard library
// gives, or that every Specs table has.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Write": true, "Read": true, "Close": true, "Len": true, "Less": true,
	"Swap":  true,
	"Specs": true, "Routes": true, "Sync": true, "Enabled": true, "Check": true, "With": true, "Describe": true, "Collect": true, "ReadBytes": true,
	"SetLogin": true, "Unblock": true, "Is": true, "Publish": true, "Send": true, "Record": true, "Publications": true, "Streams": true}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !exported {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}

func checkSpec(t *testing.T, s source, d *ast.GenDecl, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			t.Errorf("%s: type %s is not documented", s.at(spec), spec.Name.Name)
		}
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			if n.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				t.Errorf("%s: %s is not documented", s.at(spec), n.Name)
			}
		}
	}
}

// A program ends in one place, its main.go, so that deferred work is never skipped.
func TestOneExit(t *testing.T) {
	exits := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "os" && sel.Sel.Name == "Exit" || x.Name == "log" && strings.HasPrefix(sel.Sel.Name, "Fatal")) {
					exits[s.pkg.rel()] = append(exits[s.pkg.rel()], s.at(n))
				}
			}
			return true
		})
	}
	for pkg, at := range exits {
		if len(at) != 1 || !strings.HasPrefix(at[0], pkg+"/main.go:") {
			t.Errorf("%s ends in %v; a program may end once, in its main.go", pkg, at)
		}
	}
	if len(exits["cmd/ddpserver"]) != 1 {
		t.Error("no exit was found in cmd/ddpserver: the look for them is broken")
	}
}

// Sleeping in a test is slow or flaky; inside a synctest bubble no time passes,
// so packages that use bubbles are trusted.
func TestNoSleepInTests(t *testing.T) {
	all, bubbles := sources(t), map[string]bool{}
	for _, s := range all {
		if s.test && (strings.Contains(string(s.text), `"testing/synctest"`) || strings.Contains(string(s.text), "testkit.Bubble(")) {
			bubbles[s.pkg.rel()] = true
		}
	}
	for _, s := range all {
		if !strings.HasSuffix(s.name, "_test.go") || bubbles[s.pkg.rel()] {
			continue
		}
		forbid(t, s, "time", "Sleep", "wait for a condition, or use a bubble of fake time")
	}
}

// Packages take Options; only the top looks at the environment, and nothing
// prints past the log.
func TestGlobalsAreLeftAlone(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.name, "cmd/") || strings.HasPrefix(s.name, "tools/") {
			continue
		}
		forbid(t, s, "os", "Getenv", "take it as an option")
		forbid(t, s, "os", "LookupEnv", "take it as an option")
		forbid(t, s, "os", "Environ", "take it as an option")
		forbid(t, s, "fmt", "Println", "use the log")
		forbid(t, s, "fmt", "Printf", "use the log")
		forbid(t, s, "fmt", "Print", "use the log")
		forbid(t, s, "http", "DefaultClient", "use a client with time limits")
		forbid(t, s, "zap", "L", "take a logger as an option")
		for _, imp := range s.file.Imports {
			if imp.Path.Value == `"math/rand"` || imp.Path.Value == `"math/rand/v2"` {
				t.Errorf("%s: imports %s; package random is what secrets and ids come from", s.at(imp), imp.Path.Value)
			}
		}
	}
}

func forbid(t *testing.T, s source, pkg, name, instead string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				t.Errorf("%s: %s.%s: %s", s.at(n), pkg, name, instead)
			}
		}
		return true
	})
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if n := strings.Count(string(s.text), "\n"); n > hardLines {
			t.Errorf("%s has %d lines; %d is the limit", s.name, n, hardLines)
		}
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
				if lines > hardFunc && !isTable(f) {
					t.Errorf("%s: %s has %d lines; %d is the limit", s.at(f), f.Name.Name, lines, hardFunc)
				}
			}
		}
	}
}

// maxColumns is what fits two windows beside each other.
const maxColumns = 160

// A line is longer only where it is a text of the wire or a tag, between backquotes.
func TestLinesFitTheScreen(t *testing.T) {
	for _, s := range sources(t) {
		raw := false // within a text of several lines
		n := 0
		for line := range strings.Lines(string(s.text)) {
			n++
			quotes := strings.Count(line, "`")
			if !raw && quotes == 0 && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > maxColumns {
				t.Errorf("%s:%d: a line of more than %d columns", s.name, n, maxColumns)
			}
			if quotes%2 == 1 {
				raw = !raw
			}
		}
	}
}

// isTable tells a function that is one return of a literal, however long.
func isTable(f *ast.FuncDecl) bool { return len(f.Body.List) <= 2 }

// unfinished marks work that was left; hosts and paths are of no use elsewhere.
var (
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b|not imple` + `mented`)
	machine    = regexp.MustCompile(`/wo` + `rk/|/ro` + `ot/|registry\.npm` + `js|proxy\.gol` + `ang|sum\.gol` + `ang|deb\.deb` + `ian|pypi\.` + `org`)
)

// binary are files whose bytes say nothing.
var binary = regexp.MustCompile(`\.(png|ico|gz|tgz|woff2?)$`)

func TestCommittedFiles(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Logf("no git here (%v): looking at the Go files only", err)
		for _, s := range sources(t) {
			checkText(t, s.name, s.text)
		}
		return
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil || binary.MatchString(name) {
			continue // deleted in the work tree, or not a text
		}
		checkText(t, name, text)
	}
}

func checkText(t *testing.T, name string, text []byte) {
	t.Helper()
	for i, line := range strings.Split(string(text), "\n") {
		if m := machine.FindString(line); m != "" {
			t.Errorf("%s:%d names a path or host of one machine: %q", name, i+1, m)
		}
		if strings.HasSuffix(name, ".go") {
			if strings.Contains(line, "//no"+"lint") {
				t.Errorf("%s:%d speaks to a linter that nobody runs: say why in a comment", name, i+1)
			}
			if m := unfinished.FindString(line); m != "" {
				t.Errorf("%s:%d leaves work: %q", name, i+1, m)
			}
		}
	}
}
