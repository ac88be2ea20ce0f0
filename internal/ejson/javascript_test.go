package ejson

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

// TestJavaScript compares numbers with what Node made of the same input (testdata/make.js).
func TestJavaScript(t *testing.T) {
	text, err := os.ReadFile("testdata/javascript.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Numbers [][2]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Numbers) < 800 {
		t.Fatalf("only %d numbers", len(vectors.Numbers))
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
