package ws

import (
	"testing"

	"ddpserver/internal/growthtest"
)

func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "pieces of a message", Do: func(text string) {
			ok := true
			for valid, n := 0, 1; ok && n < len(text); n += 100 { // as a fragmented frame comes
				valid, ok = validUpTo([]byte(text[:n])[:n:n], valid, false)
			}
		}, Allocated: 1024},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
