package natsfeed

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are what reads messages, of which anybody may be the author who has the key,
// and the address of the configuration.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "decodeBatch", Do: func(text string) { _, _ = decodeBatch([]byte(text)) }},
		{Name: "parseAddress", Do: func(text string) { _ = CheckAddress(text) }, In: func(text string) string { return "nats://" + text },
			Allocated: 512},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the text
// (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
