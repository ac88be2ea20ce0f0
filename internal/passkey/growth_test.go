package passkey_test

import (
	"testing"

	"ddpserver/internal/growthtest"
	"ddpserver/internal/passkey"
)

// decoders are the readers of what clients send in place of an answer.
func decoders() []growthtest.Decoder {
	inside := func(before, after string) func(string) string {
		return func(text string) string { return before + text + after }
	}
	return []growthtest.Decoder{
		{Name: "ReadAssertion", Do: func(text string) { _, _ = passkey.ReadAssertion([]byte(text)) }},
		{Name: "ReadAssertion of a field", Do: func(text string) { _, _ = passkey.ReadAssertion([]byte(text)) },
			In: inside(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"`, `"}}`)},
		{Name: "ReadNew", Do: func(text string) { _, _ = passkey.ReadNew([]byte(text)) }},
		{Name: "ReadNew of a field", Do: func(text string) { _, _ = passkey.ReadNew([]byte(text)) },
			In: inside(`{"id":"AA","rawId":"AA","type":"public-key","response":{"attestationObject":"`, `"}}`)},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
