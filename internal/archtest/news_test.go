package archtest

import (
	"go/ast"
	"testing"
)

// Every kind of news is published somewhere, listened to somewhere, and tested as
// feedtest tests kinds; a kind that is declared has its encoder and decoder.
func TestEveryKindOfNewsIsUsed(t *testing.T) {
	published, heard, tested := map[string]bool{}, map[string]bool{}, map[string]bool{}
	kinds := map[string]string{} // to where it is declared
	names := map[string]string{} // of the kinds on the way between nodes
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if name := kindName(v); name != "" && !s.test {
						kinds[s.file.Name.Name+"."+n.Names[i].Name] = s.at(n)
						if names[name] != "" {
							t.Errorf("%s and %s are both named %s", s.at(n), names[name], name)
						}
						names[name] = s.at(n)
					}
				}
			case *ast.CallExpr:
				f, ok := n.Fun.(*ast.SelectorExpr)
				switch {
				case ok && !s.test && (f.Sel.Name == "Publish" || f.Sel.Name == "Event"):
					published[qualified(s, f.X)] = true
				case !s.test && called(n.Fun) == "Listen" && len(n.Args) == 3:
					heard[qualified(s, n.Args[1])] = true
				case s.test && ok && f.Sel.Name == "Of" && len(n.Args) == 1:
					tested[qualified(s, n.Args[0])] = true
				}
			}
			return true
		})
	}
	if len(kinds) < 3 {
		t.Fatalf("only %d kinds were found", len(kinds))
	}
	for kind, at := range kinds {
		if !published[kind] || !heard[kind] || !tested[kind] {
			t.Errorf("%s: %s is published: %v, listened to: %v, tested with feedtest.Of: %v; all must be", at, kind, published[kind], heard[kind], tested[kind])
		}
	}
}

// kindName is the first argument of feed.NewKind[...](name, version), or empty.
func kindName(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return ""
	}
	index, ok := call.Fun.(*ast.IndexExpr)
	if name, isText := call.Args[0].(*ast.BasicLit); ok && isText && called(index.X) == "NewKind" {
		return name.Value
	}
	return ""
}

// called is the name of a function, without its package.
func called(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// qualified names a variable of a package.
func qualified(s source, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return s.file.Name.Name + "." + e.Name
	case *ast.SelectorExpr:
		if p, ok := e.X.(*ast.Ident); ok {
			return p.Name + "." + e.Sel.Name
		}
	}
	return ""
}
