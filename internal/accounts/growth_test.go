package accounts

import (
	"encoding/json"
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
)

// decoders are the checks of names, addresses, passwords and profiles.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "lookupKey", Do: func(text string) { lookupKey(text) }},
		{Name: "checkUsername", Do: func(text string) { _ = checkUsername(text) }},
		{Name: "ValidEmail", Do: func(text string) { ValidEmail(text) }},
		{Name: "ValidEmail in the domain", Do: func(text string) { ValidEmail(text) }, In: func(text string) string { return "a@" + text + ".org" }},
		{Name: "newEmail", Do: func(text string) { _, _ = newEmail(text) }},
		{Name: "cleanName", Do: func(text string) { _, _ = cleanName(text) }},
		{Name: "cleanText", Do: func(text string) { _, _ = cleanText(text, 1<<20) }},
		{Name: "suggestions", Do: func(text string) { suggestions(text, text) }},
		{Name: "passwords", Do: func(text string) { _, _ = Plain(text); _, _ = Digest(text, "sha-256") }},
		{Name: "parseArgon", Do: func(text string) { parseArgon(text) }},
		{Name: "parseArgon of a cost", Do: func(text string) { parseArgon(text) }, In: func(text string) string { return "$argon2id$v=19$" + text + "$AAAA$AAAA" }},
		{Name: "cleanFields", Allocated: 512, Do: func(text string) {
			var m map[string]any
			if json.Unmarshal([]byte(text), &m) == nil {
				_ = cleanFields(m)
			}
		}, In: func(text string) string { return string(ejson.AppendString([]byte(`{"a":`), text)) + "}" }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
