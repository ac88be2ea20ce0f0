package random

import (
	"math"
	"strings"
	"testing"
)

func TestShapes(t *testing.T) {
	cases := []struct {
		name, got, alphabet string
		length              int
	}{
		{"ID", ID(), idAlphabet, 17},
		{"Secret", Secret(), secretAlphabet, 43},
		{"Code", Code(8), idAlphabet, 8},
		{"Hex", Hex(24), hexAlphabet, 24},
		{"Digits", Digits(6), digitAlphabet, 6},
		{"Hex(0)", Hex(0), hexAlphabet, 0},
		{"long", Digits(1000), digitAlphabet, 1000},
	}
	for _, c := range cases {
		if len(c.got) != c.length {
			t.Errorf("%s: %d characters, want %d", c.name, len(c.got), c.length)
		}
		if strings.Trim(c.got, c.alphabet) != "" {
			t.Errorf("%s: %q leaves its alphabet", c.name, c.got)
		}
	}
	if len(idAlphabet) != 55 || len(secretAlphabet) != 64 {
		t.Errorf("alphabets have %d and %d characters", len(idAlphabet), len(secretAlphabet))
	}
	seen := map[string]bool{}
	for range 10000 {
		id := ID()
		if seen[id] {
			t.Fatalf("id %q came twice", id)
		}
		seen[id] = true
	}
}

// TestDistribution compares the frequency of every character with the even one.
// The bound is eight standard deviations of the chi-square statistic: a sound
// generator stays below it for the life of the project, one with a modulo bias
// (256 mod 55 = 36 characters a quarter more likely) goes far beyond.
func TestDistribution(t *testing.T) {
	cases := map[string]struct {
		alphabet string
		draw     func() string
	}{
		"ID":     {idAlphabet, ID},
		"Code":   {idAlphabet, func() string { return Code(8) }},
		"Secret": {secretAlphabet, Secret},
		"Hex":    {hexAlphabet, func() string { return Hex(40) }},
		"Digits": {digitAlphabet, func() string { return Digits(6) }},
	}
	for name, c := range cases {
		counts := map[byte]int{}
		n := 0
		for n < 200_000 {
			s := c.draw()
			n += len(s)
			for i := range len(s) {
				counts[s[i]]++
			}
		}
		want := float64(n) / float64(len(c.alphabet))
		chi := 0.0
		for i := range len(c.alphabet) {
			d := float64(counts[c.alphabet[i]]) - want
			chi += d * d / want
		}
		free := float64(len(c.alphabet) - 1)
		if limit := free + 8*math.Sqrt(2*free); chi > limit {
			t.Errorf("%s: chi-square %.1f over %.1f", name, chi, limit)
		}
	}
}

func BenchmarkID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ID()
	}
}
