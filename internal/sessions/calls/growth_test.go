package calls

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders is the reader of orders.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{{Name: "readSort", Do: func(text string) { _, _ = readSort(text) }}}
}

// TestGrowth: the work of the reader of this package is in proportion to the text
// (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
