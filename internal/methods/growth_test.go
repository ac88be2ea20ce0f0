package methods

import (
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
)

// decoders are what reads parameters before a method's own types do.
func decoders() []growthtest.Decoder {
	quoted := func(head, tail string) func(string) string {
		return func(text string) string { return string(ejson.AppendString([]byte(head), text)) + tail }
	}
	answer := func(text string) { _, _, _ = splitProof([]byte(text)) }
	login := func(text string) {
		if v, err := ejson.Decode([]byte(text)); err == nil {
			d, _ := v.(ejson.Doc)
			_, _ = readLogin(d, false)
			if checkOperators(d) == nil {
				_, _ = modifyProfile(map[string]any{"a": 1}, d)
			}
		}
	}
	return []growthtest.Decoder{
		{Name: "splitProof", Do: answer, Allocated: 512},
		{Name: "splitProof behind parameters", Do: answer, Allocated: 512, In: func(text string) string { return "[" + text + `0,{"twoFactorCode":"1"}]` }},
		{Name: "splitProof in a code", Do: answer, Allocated: 512, In: quoted(`[{"twoFactorMethod":"totp","twoFactorCode":`, "}]")},
		{Name: "splitProof beside a code", Do: answer, Allocated: 512, In: quoted(`[{"twoFactorCode":"1","twoFactorMethod":"totp",`, ":0}]")},
		{Name: "a login by name", Do: login, Allocated: 512, In: quoted(`{"password":"x","user":{"username":`, "}}")},
		{Name: "bindPassword", Do: func(text string) { _, _ = bindPassword(ejson.Raw(text)) }, In: quoted(`{"algorithm":"sha-256","digest":`, "}")},
		{Name: "a login by token", Do: login, Allocated: 512, In: quoted(`{"resume":`, "}")},
		{Name: "a profile", Do: login, Allocated: 512, In: quoted(`{"$set":{`, ":1}}")},
		{Name: "a path in a profile", Do: login, Allocated: 512, In: func(text string) string { return quoted(`{"$set":{`, ":1}}")("profile." + text) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
