package ejson

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

// TestJavaScript compares with what Node made of the same input (testdata/make.js).
func TestJavaScript(t *testing.T) {
	text, err := os.ReadFile("testdata/javascript.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Patterns [][3]*string
		Numbers  [][2]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Patterns) < 3000 || len(vectors.Numbers) < 800 {
		t.Fatalf("only %d patterns and %d numbers", len(vectors.Patterns), len(vectors.Numbers))
	}
	for _, p := range vectors.Patterns {
		v, err := regexpForm(*p[0], *p[1])
		switch {
		case p[2] == nil && err == nil:
			t.Errorf("pattern %q with flags %q is accepted, Node refuses it", *p[0], *p[1])
		case p[2] != nil && err != nil:
			t.Errorf("pattern %q with flags %q is refused, Node compiles it", *p[0], *p[1])
		case p[2] != nil && v != any(RegExp{*p[2], *p[1]}):
			t.Errorf("pattern %q: %#v, want source %q", *p[0], v, *p[2])
		}
	}
	for _, n := range vectors.Numbers {
		bits, err := strconv.ParseUint(n[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendNumber(nil, math.Float64frombits(bits))); got != n[1] {
			t.Errorf("number %s: %s, want %s", n[0], got, n[1])
		}
	}
}
