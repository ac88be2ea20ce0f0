package user

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the normalisation of names, and the reader of public keys.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "Key", Do: func(text string) { Key(text) }},
		{Name: "words", Do: func(text string) { words(text); _, _ = WordOf(text) }},
		{Name: "CheckPublicKey, readCOSE, readHead", Do: func(text string) {
			_ = CheckPublicKey([]byte(text))
			_, _, _ = readCOSE([]byte(text))
			_, _, _, _ = readHead([]byte(text))
		}},
		{Name: "checkRSA", Do: func(text string) { _ = checkRSA([]byte(text), []byte(text)) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
