package sessions

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the readers of what clients say of themselves.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "parseAgent", Do: func(text string) { parseAgent(text) }},
		{Name: "parseAgent of a browser", Do: func(text string) { parseAgent("Mozilla/5.0 (" + text) }},
		{Name: "clean", Do: func(text string) { clean(text, maxText); clean(text, len(text)) }},
	}
}

// TestGrowth: the work of the reader of this package is in proportion to the text
// (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
