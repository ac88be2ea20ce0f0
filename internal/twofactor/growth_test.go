package twofactor

import (
	"testing"

	"ddpserver/internal/growthtest"
	"ddpserver/internal/rpc"
)

// decoders are the codes that people type.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "Typed", Do: func(text string) { rpc.TextProof("", text).Typed() }},
		{Name: "passwordDigest", Do: func(text string) { passwordDigest(text) }},
		{Name: "sixDigits", Do: func(text string) { sixDigits(text) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
