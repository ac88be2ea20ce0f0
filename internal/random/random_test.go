package random

import (
	"math"
	"strings"
	"testing"
)

// Vectors of docs/wire/ddp.md D9; the first four ids stand in Meteor's own tests too.
func TestStreamVectors(t *testing.T) {
	s := NewStream("0")
	for _, want := range []string{"cp9hWvhg8GSvuZ9os", "3f3k6Xo7rrHCifQhR", "shxDnjWWmnKPEoLhM", "6QTjB8C5SEqhmz4ni"} {
		if got := s.ID(); got != want {
			t.Errorf("[0]: id %q, want %q", got, want)
		}
	}
	streams := NewStreams("0123456789abcdef0123")
	items := streams.Stream("/collection/items")
	for _, want := range []string{"EnGXTcrrFtNz9x4ok", "KddMobsWP4HhBjAnH", "gZTiyjQTZqeh5YKqB"} {
		if got := items.ID(); got != want {
			t.Errorf("items: id %q, want %q", got, want)
		}
	}
	for _, want := range []string{"uRpYSBi9p97ymjjYM", "u6FXpt6ohA7aFGg5a"} {
		if got := streams.Stream("").ID(); got != want {
			t.Errorf("default: id %q, want %q", got, want)
		}
	}
	if got := streams.Stream("/rpc/inner").Hex(20); got != "704ac0ec583c3c34d809" {
		t.Errorf("nested seed %q", got)
	}
	if got := NewStreams("seed").Stream("/collection/items").Hex(24); got != "5f4e30f824d92b57b86e6691" {
		t.Errorf("object id %q", got)
	}
	a := NewStream("a")
	for _, want := range []float64{0.4245572602376342, 0.2909725832287222, 0.38719424745067954} {
		if got := a.Fraction(); got != want {
			t.Errorf("fraction %v, want %v", got, want)
		}
	}
}

func TestStreamsKeepStateByName(t *testing.T) {
	s := NewStreams("x")
	first := s.Stream("a").ID()
	s.Stream("b").ID()
	if second := s.Stream("a").ID(); second == first {
		t.Error("a stream started over")
	}
	if again := NewStreams("x").Stream("a").ID(); again != first {
		t.Error("the same seed and name gave another id")
	}
	if first, second := NewStreams("").Stream("a").ID(), NewStreams("").Stream("a").ID(); first == second {
		t.Error("an empty seed is not replaced by a fresh one")
	}
}

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
	stream := NewStream("distribution")
	cases := map[string]struct {
		alphabet string
		draw     func() string
	}{
		"ID":        {idAlphabet, ID},
		"Code":      {idAlphabet, func() string { return Code(8) }},
		"Secret":    {secretAlphabet, Secret},
		"Hex":       {hexAlphabet, func() string { return Hex(40) }},
		"Digits":    {digitAlphabet, func() string { return Digits(6) }},
		"Stream.ID": {idAlphabet, stream.ID},
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

func TestFractionRange(t *testing.T) {
	s := NewStream("")
	sum := 0.0
	for range 100_000 {
		f := s.Fraction()
		if f < 0 || f >= 1 {
			t.Fatalf("fraction %v", f)
		}
		sum += f
	}
	if mean := sum / 100_000; math.Abs(mean-0.5) > 0.01 {
		t.Errorf("mean %v", mean)
	}
	seen := map[uint32]bool{}
	for range 1000 {
		seen[Uint32()] = true
	}
	if len(seen) < 990 {
		t.Errorf("Uint32 gives %d numbers in 1000 draws", len(seen))
	}
}

func BenchmarkID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ID()
	}
}
