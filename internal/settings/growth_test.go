package settings

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the checks of values, from calls and from the environment.
func decoders() []growthtest.Decoder {
	defs := []Definition{{ID: "a", Type: Boolean}, {ID: "b", Type: Int, Max: 10}, {ID: "c", Type: Text, MaxLen: 1 << 20}}
	return []growthtest.Decoder{{Name: "check", Do: func(text string) {
		for i := range defs {
			_, _ = defs[i].parse(text)
			_, _ = defs[i].check(text)
		}
	}}, {Name: "KeptAddress", Do: func(text string) { KeptAddress(AddressShortened, text) }}}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
