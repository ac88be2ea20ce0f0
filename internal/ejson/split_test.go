package ejson

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// split is everything that Walk gives.
func split(raw []byte) (list []Raw, err error) {
	elements, err := Walk(raw)
	if err != nil {
		return nil, err
	}
	list = []Raw{}
	for e, ok := elements.Next(); ok; e, ok = elements.Next() {
		list = append(list, e)
	}
	return list, nil
}

func TestWalk(t *testing.T) {
	for raw, want := range map[string][]Raw{
		`[]`: {}, ` [ "a" , {"b":[1,2]},3 ] `: {Raw(`"a"`), Raw(`{"b":[1,2]}`), Raw(`3`)}, `[[]]`: {Raw(`[]`)},
	} {
		if got, err := split([]byte(raw)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Walk(%s) = %q, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]error{
		`{}`: ErrMismatch, `"x"`: ErrMismatch, `null`: ErrMismatch, `[`: ErrSyntax, `[1,]`: ErrSyntax, `[1]x`: ErrSyntax, `[]x`: ErrSyntax, `1 1`: ErrSyntax,
		``: ErrSyntax, "[\"\xff\"]": ErrUTF8,
	} {
		if got, err := split([]byte(raw)); !errors.Is(err, want) || got != nil && want == ErrMismatch {
			t.Errorf("Walk(%s) = %q, %v; want %v", raw, got, err, want)
		}
	}
	for raw, want := range map[string]string{`"a"`: "a", ` "\u0041\n" `: "A\n", `""`: ""} {
		if got, ok := AppendText(nil, Raw(raw)); !ok || string(got) != want {
			t.Errorf("AppendText(%s) = %q, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{`5`, `null`, `"a`, `"a"b`, ``, `{}`, "\"\xff\""} {
		if got, ok := AppendText([]byte("x"), Raw(raw)); ok || string(got) != "x" {
			t.Errorf("AppendText(%s) = %q, %v", raw, got, ok)
		}
	}
}

func TestObjectMembers(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`: "", ` { } `: "", `{"a":1}`: `"a"=1;`, ` {"a" : [1,{"b":2}] , "\u0063":"x,}" , "d":null } `: `"a"=[1,{"b":2}];"\u0063"="x,}";"d"=null;`,
		`[1]`: "", `"x"`: "", ``: "",
	} {
		got := ""
		for key, value := range ObjectMembers([]byte(raw)) {
			got += string(key) + "=" + string(value) + ";"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	for key := range ObjectMembers([]byte(`{"a":1,"b":2}`)) { // may be left early
		if string(key) != `"a"` {
			t.Error(string(key))
		}
		break
	}
}

// places are the members that somebody wants of a text.
type places map[string]*Span

func (p places) Member(key []byte) *Span { return p[string(key)] }

// A scanner gives members of the top level, however their keys are written, and
// nothing of the same name further down; and it may be used again after any text.
func TestScannerMembers(t *testing.T) {
	var s Scanner
	for _, broken := range []string{`{"a":[`, strings.Repeat(`{"a":`, 600), `{"a":1,"a":2}`, "\xff"} {
		if s.Scan([]byte(broken), 64, nil) == nil {
			t.Errorf("%.20s is scanned", broken)
		}
		for text, want := range map[string]string{
			`{"a":1}`: `1`, ` {"x":{"a":2}, "a" : [ 3,{"a":4} ] }`: `[ 3,{"a":4} ]`, `{"\u0061":"5"}`: `"5"`, `{"a":{}}`: `{}`, `{"a":[]}`: `[]`,
			`[{"a":6}]`: "", `{"x":[{"a":7}]}`: "", `{"a":{"b":{"c":[{"a":8}]}},"x":9}`: `{"b":{"c":[{"a":8}]}}`, `7`: "",
		} {
			var a Span
			if err := s.Scan([]byte(text), 64, places{"a": &a}); err != nil || string(a.Of([]byte(text))) != want || a.Present() != (want != "") {
				t.Errorf("%s: %q, %v; want %q", text, a.Of([]byte(text)), err, want)
			}
		}
	}
}

// Many keys are compared in another way than few; both see through escapes.
func TestScannerFindsKeysThatAreThereTwice(t *testing.T) {
	for n := range 2 * fewKeys {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":[{"k":0}],`, i)
		}
		for at := range n {
			for _, twice := range []string{fmt.Sprintf(`"k%d"`, at), fmt.Sprintf(`"\u006b%d"`, at)} {
				if err := Scan([]byte("{"+b.String()+twice+":1}"), 9); err != ErrDuplicate {
					t.Fatalf("%s behind %d others: %v", twice, n, err)
				}
			}
		}
		if err := Scan([]byte("{"+b.String()+`"\u006bx":1}`), 9); err != nil {
			t.Fatalf("%d different keys: %v", n+1, err)
		}
	}
}
