package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shortWaits are the tests that may wait for less than a minute of real time,
// because they pass however late what they wait for comes.
var shortWaits = map[string]string{
	"internal/store/mongo.TestTransactionEndsInTime": "the time is what ends; a slow machine is only ended earlier, and the test waits for the end",
	"internal/store/mongo.TestDownAndUp":             "a call that ends by its context is refused as one that ends by itself is",
	"internal/store/mongotest.TestStreamWaits":       "an answer that is late is one; that none comes before its time is what is asked",
	"internal/soak.BenchmarkNewsIdle":                "commands are counted in the time that passes",
}

// TestWaitsAreLong: a test that waits for a socket, a process or a store gives it a
// minute at least, since on a busy machine seconds are not enough (package
// testwait). What needs short times runs in fake time (testing/synctest).
func TestWaitsAreLong(t *testing.T) {
	used := map[string]bool{}
	tests := map[string][]*ast.File{}
	for _, s := range sources(t) {
		if s.test {
			tests[s.pkg.rel()] = append(tests[s.pkg.rel()], s.file)
		}
	}
	for dir, files := range tests {
		p := waits{consts: map[string]time.Duration{}, bubbles: map[string]bool{"synctest.Test": true, "testkit.Bubble": true}, inside: map[string]bool{}}
		for _, f := range files {
			p.collect(f)
		}
		for range 3 { // helpers of helpers
			for _, f := range files {
				p.findBubbles(f)
			}
		}
		for _, f := range files {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil || p.inside[fn.Name.Name] {
					continue
				}
				for _, what := range p.short(fn.Body) {
					name := dir + "." + fn.Name.Name
					if used[name] = true; shortWaits[name] == "" {
						t.Errorf("%s waits for %s of real time; use testwait.Limit, or fake time", name, what)
					}
				}
			}
		}
	}
	for name := range shortWaits {
		if !used[name] {
			t.Errorf("%s is listed and waits for nothing short", name)
		}
	}
}

// The rule must be able to fail.
func TestWaitsAreLongFindsShortOnes(t *testing.T) {
	const source = `package p
const moment = 2 * time.Second
func inBubble(t *testing.T, f func()) { synctest.Test(t, func(t *testing.T) { <-time.After(time.Second); f() }) }
func fake(t *testing.T) { <-time.After(time.Second) }
func TestA(t *testing.T) { inBubble(t, func() { <-time.After(time.Second) }); synctest.Test(t, fake) }
func TestB(t *testing.T) {
	<-time.After(moment)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	d := websocket.Dialer{HandshakeTimeout: time.Second}
	if time.Since(begin) > 5*time.Second { t.Error() }
	<-time.After(2 * time.Minute)
}`
	f, err := parser.ParseFile(token.NewFileSet(), "p_test.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := waits{consts: map[string]time.Duration{}, bubbles: map[string]bool{"synctest.Test": true}, inside: map[string]bool{}}
	p.collect(f)
	p.findBubbles(f)
	got := map[string]int{}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && !p.inside[fn.Name.Name] {
			got[fn.Name.Name] = len(p.short(fn.Body))
		}
	}
	if want := "map[TestA:0 TestB:5 inBubble:0]"; fmt.Sprint(got) != want {
		t.Errorf("found %v, want %s", got, want)
	}
}

// waits looks for short waits in the tests of one package.
type waits struct {
	consts  map[string]time.Duration // constants of the package
	bubbles map[string]bool          // functions whose arguments run in fake time
	inside  map[string]bool          // functions that are such arguments
}

func (p *waits) collect(f *ast.File) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, name := range v.Names {
					if i < len(v.Values) {
						if span, ok := p.span(v.Values[i]); ok {
							p.consts[name.Name] = span
						}
					}
				}
			}
		}
	}
}

// findBubbles notes what hands its arguments on to a bubble, and what is handed.
func (p *waits) findBubbles(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		takes := slices.ContainsFunc(fn.Type.Params.List, func(param *ast.Field) bool { _, ok := param.Type.(*ast.FuncType); return ok })
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !p.bubbles[nameOf(call.Fun)] {
				return true
			}
			if takes {
				p.bubbles[fn.Name.Name] = true
			}
			for _, arg := range call.Args {
				switch arg := arg.(type) {
				case *ast.Ident:
					p.inside[arg.Name] = true
				case *ast.FuncLit: // what it calls runs in fake time too, if it is for that
					ast.Inspect(arg, func(n ast.Node) bool {
						if call, ok := n.(*ast.CallExpr); ok {
							if id, ok := call.Fun.(*ast.Ident); ok && strings.ToLower(id.Name[:1]) == id.Name[:1] {
								p.inside[id.Name] = true
							}
						}
						return true
					})
				}
			}
			return true
		})
	}
}

// short lists the waits below a minute outside bubbles.
func (p *waits) short(body ast.Node) (out []string) {
	note := func(e ast.Expr) {
		if span, ok := p.span(e); ok && span < time.Minute {
			out = append(out, span.String())
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := nameOf(n.Fun)
			switch {
			case p.bubbles[name]:
				return false
			case name == "time.After" || name == "time.NewTimer":
				note(n.Args[0])
			case name == "context.WithTimeout":
				note(n.Args[1])
			case strings.HasSuffix(name, "Deadline") && len(n.Args) > 0:
				if add, ok := n.Args[len(n.Args)-1].(*ast.CallExpr); ok && len(add.Args) == 1 {
					note(add.Args[0])
				}
			}
		case *ast.KeyValueExpr:
			if nameOf(n.Key) == "HandshakeTimeout" {
				note(n.Value)
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				break // of fake time
			}
			if since, ok := n.X.(*ast.CallExpr); ok && nameOf(since.Fun) == "time.Since" {
				note(n.Y)
			}
		}
		return true
	})
	return out
}

// span is the value of a constant duration.
func (p *waits) span(e ast.Expr) (time.Duration, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return p.span(e.X)
	case *ast.BasicLit:
		n, err := strconv.ParseInt(e.Value, 0, 64)
		return time.Duration(n), err == nil
	case *ast.Ident:
		v, ok := p.consts[e.Name]
		return v, ok
	case *ast.SelectorExpr:
		v, ok := map[string]time.Duration{"time.Nanosecond": 1, "time.Microsecond": time.Microsecond, "time.Millisecond": time.Millisecond,
			"time.Second": time.Second, "time.Minute": time.Minute, "time.Hour": time.Hour}[nameOf(e)]
		return v, ok
	case *ast.BinaryExpr:
		x, okX := p.span(e.X)
		y, okY := p.span(e.Y)
		return x * y, e.Op == token.MUL && okX && okY
	}
	return 0, false
}

// nameOf is the name of a function or constant as it is written, such as
// time.After, and only its last part when it belongs to a value.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
		return e.Sel.Name
	}
	return ""
}
