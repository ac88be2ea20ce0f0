package secret

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are what every log record and every key passes.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "Scrub", Do: func(text string) { Scrub(text) }},
		{Name: "Scrub a URL", Do: func(text string) { Scrub(text) }, In: func(text string) string { return "mongodb://" + text + "@host" }},
		{Name: "Parse", Do: func(text string) { _, _ = Parse(text) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
