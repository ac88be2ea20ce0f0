package ejson

import (
	"errors"
	"reflect"
	"testing"
)

func TestSplit(t *testing.T) {
	for raw, want := range map[string][]Raw{
		`[]`: {}, ` [ "a" , {"b":[1,2]},3 ] `: {Raw(`"a"`), Raw(`{"b":[1,2]}`), Raw(`3`)}, `[[]]`: {Raw(`[]`)},
	} {
		if got, err := Split([]byte(raw)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Split(%s) = %q, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]error{
		`{}`: ErrMismatch, `"x"`: ErrMismatch, `null`: ErrMismatch, `[`: ErrSyntax, `[1,]`: ErrSyntax, `[1]x`: ErrSyntax, `[]x`: ErrSyntax, `1 1`: ErrSyntax, ``: ErrSyntax, "[\"\xff\"]": ErrUTF8,
	} {
		if got, err := Split([]byte(raw)); !errors.Is(err, want) || got != nil && want == ErrMismatch {
			t.Errorf("Split(%s) = %q, %v; want %v", raw, got, err, want)
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
