package user

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the normalisation of names.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "Key", Do: func(text string) { Key(text) }},
		{Name: "words", Do: func(text string) { words(text); _, _ = WordOf(text) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
