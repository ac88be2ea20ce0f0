package random

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the seeds that clients choose.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{{Name: "NewStreams", Do: func(text string) { NewStreams(text).Stream("/rpc/x").ID() }}}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
