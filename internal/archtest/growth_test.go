package archtest

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reader is the name of a function that reads a text.
var reader = regexp.MustCompile(`^(?i:parse|decode|scan|split|clean|valid|normali|unmarshal|bind|check|read)`)

// stores read documents by package document, which is measured.
var stores = regexp.MustCompile(`^internal/store/(sqlite|mongo|mongotest|rule|storetest)$|^internal/\w+/(sqlite|mongo)$`)

// notFromStrangers are readers of texts that only an operator or administrator
// can write, or that another measured reader has gone over before.
var notFromStrangers = map[string]string{
	"internal/app.parseKey":            "configuration",
	"internal/rooms/blob.Parse":        "configuration",
	"internal/config.checkRootURL":     "configuration",
	"internal/config.parseBytes":       "configuration",
	"internal/mail.Parse":              "configuration",
	"internal/mail.Check":              "configuration",
	"internal/methods.parsePolicy":     "a setting of the administrator's",
	"internal/methods.split":           "a setting of the administrator's",
	"internal/settings.ParseMandatory": "a setting of the administrator's",
}

// Every function that reads a text is measured for how its work grows: the
// growth_test.go of its package names it (docs/security-tests.md A11).
func TestEveryReaderIsMeasured(t *testing.T) {
	measured := map[string]string{}
	all := sources(t)
	for _, s := range all {
		if filepath.Base(s.name) == "growth_test.go" {
			measured[s.pkg.rel()] = string(s.text)
		}
	}
	known := map[string]bool{}
	for _, s := range all {
		pkg := s.pkg.rel()
		if s.test || !strings.HasPrefix(pkg, "internal/") || stores.MatchString(pkg) {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !reader.MatchString(f.Name.Name) || !takesText(f) {
				continue
			}
			name := pkg + "." + f.Name.Name
			known[name] = true
			if _, except := notFromStrangers[name]; !except && !regexp.MustCompile(`\b`+f.Name.Name+`\b`).MatchString(measured[pkg]) {
				t.Errorf("%s: %s reads a text, and %s/growth_test.go does not measure it", s.at(f), f.Name.Name, pkg)
			}
		}
	}
	for name := range notFromStrangers {
		if !known[name] {
			t.Errorf("%s is an exception and does not exist", name)
		}
	}
}

// takesText tells whether the first parameter is a text or a request.
func takesText(f *ast.FuncDecl) bool {
	if len(f.Type.Params.List) == 0 {
		return false
	}
	switch p := f.Type.Params.List[0].Type.(type) {
	case *ast.Ident:
		return p.Name == "string" || p.Name == "Raw"
	case *ast.ArrayType:
		e, ok := p.Elt.(*ast.Ident)
		return ok && p.Len == nil && e.Name == "byte"
	case *ast.SelectorExpr:
		return p.Sel.Name == "Raw"
	case *ast.StarExpr:
		s, ok := p.X.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Request"
	}
	return false
}
