package md

import (
	"testing"
	"time"

	"ddpserver/internal/growthtest"
)

// decoders are the parser and what walks over its tree.
func decoders() []growthtest.Decoder {
	parse := func(text string) {
		d := Parse(text, time.Time{})
		d.AppendJSON(nil)
		d.Texts(MentionUser, 100)
		d.Texts(Link, 20)
	}
	return []growthtest.Decoder{
		{Name: "Parse", Do: parse, Allocated: 512},
		{Name: "ReadAddress", Do: func(text string) { ReadAddress(text) }},
		{Name: "ReadAddress behind a scheme", Do: func(text string) { ReadAddress(text) }, In: func(text string) string { return "https://" + text }},
		{Name: "Parse a label", Do: parse, Allocated: 512, In: func(text string) string { return "[" + text + "](https://x.org)" }},
		{Name: "Parse in emphasis", Do: parse, Allocated: 512, In: func(text string) string { return "*" + text + "*" }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
