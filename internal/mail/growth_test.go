package mail

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the addresses and texts that become mails.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "CheckAddress", Do: func(text string) { _ = CheckAddress(text) }},
		{Name: "oneLine", Do: func(text string) { _ = oneLine(text) }},
		{Name: "lines", Do: func(text string) { lines(text) }},
		{Name: "mask", Do: func(text string) { mask(text) }},
		{Name: "render", Do: func(text string) {
			_, _, _, _ = render(Notice, text, true, map[string]string{"subject": text, "text": text})
		}},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
