package trail

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// A23: no text of a stranger is a formula to whoever opens an export, whichever
// separator their program takes: beginnings of formulas × what stands before them.
func TestA23NoCellIsAFormula(t *testing.T) {
	formulas := strings.Split(formulas, "")
	before := []string{"", " ", "\u00a0", "\u3000", "\ufeff", "\u200b", "\t", "\r", "\n", `"`, ` "`, "x;", "x; ",
		`x;"`, "x|", "x\t", "x\n", "x,", `x";`, ";;", "x;\u00a0"}
	for _, formula := range formulas {
		for _, lead := range before {
			text := lead + formula + "cmd()"
			e := Event{ID: "1", Act: text, Outcome: text, Reason: text, User: text, Subject: text, Target: text, Door: text, Factor: text, Method: text, Address: text,
				Agent: text, Conn: text, Node: text, TS: time.UnixMilli(0)}
			var out bytes.Buffer
			if err := writeCSV(&out, []Event{e}, Names{text: text}); err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
			if err != nil || len(rows) != 1 || len(rows[0]) != len(columns) {
				t.Fatalf("%q: %v %q", text, err, rows)
			}
			cells := rows[0]
			for _, separator := range []string{";", "|", "\t"} { // a program that takes another reads no quotes in the middle of its cells
				cells = append(cells, strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' || r == '\r' || string(r) == separator })...)
			}
			for _, cell := range cells {
				seen := strings.TrimLeftFunc(cell, unseen)
				for _, f := range formulas {
					if strings.HasPrefix(seen, f) {
						t.Errorf("%q is the cell %q to some program", text, cell)
					}
				}
			}
		}
	}
	// What begins no formula is left as it is, and no letter of the rest is lost.
	for _, text := range []string{"", "ada", "Mozilla/5.0 (X11; Linux x86_64) Gecko/2010", "2026-11-29", "a=b", "10.0.0.1", "a - b"} {
		if got := harmless(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if err := quick.Check(func(text string) bool { return subsequence(text, harmless(text)) }, nil); err != nil {
		t.Error(err)
	}
}

// subsequence tells whether all of a stands in b, in its order.
func subsequence(a, b string) bool {
	for _, r := range a {
		i := strings.IndexRune(b, r)
		if i < 0 {
			return false
		}
		b = b[i+len(string(r)):]
	}
	return true
}

// Every beginning of an address is one that stores agree about.
func TestBeginningsOfAddresses(t *testing.T) {
	for text, want := range map[string]Query{
		"": {}, "*": {}, "10.": {Address: "10.", Prefix: true}, "10*": {Address: "10", Prefix: true}, "fe80:": {Address: "fe80:", Prefix: true},
		"10.0.0.1": {Address: "10.0.0.1"}, "**": {Address: "*", Prefix: true},
	} {
		if q, err := (Filter{Address: text, Count: 1}).query(); err != nil || q.Address != want.Address || q.Prefix != want.Prefix {
			t.Errorf("%q: %+v, %v", text, q, err)
		}
	}
}
