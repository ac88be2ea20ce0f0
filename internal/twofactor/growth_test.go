package twofactor

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the codes that people type.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "normalizeMailCode", Do: func(text string) { normalizeMailCode(text) }},
		{Name: "passwordDigest", Do: func(text string) { passwordDigest(text) }},
		{Name: "sixDigits", Do: func(text string) { sixDigits(text) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
