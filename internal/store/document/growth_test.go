package document_test

import (
	"testing"

	"ddpserver/internal/growthtest"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// decoders are the readers of stored documents, which an adopted database may
// have filled with anything.
func decoders() []growthtest.Decoder {
	read := func(text string) {
		_, _ = document.DecodeUser([]byte(text))
		_, _ = document.DecodeTokens([]byte(text))
		_ = document.DecodeSetting([]byte(text))
		_ = document.Decode([]byte(text), new(user.User))
	}
	in := func(key string) func(string) string {
		return func(text string) string {
			raw, err := document.Encode(map[string]any{"_id": "a", "msg": text, key: text, "value": []string{text}, "profile": map[string]any{"a": text}})
			if err != nil {
				panic(err)
			}
			return string(raw)
		}
	}
	nested := func(text string) string {
		list := []any{}
		for i := 0; i+64 <= len(text); i += 64 {
			list = append(list, map[string]any{"hashedToken": text[i : i+64], "when": []any{}})
		}
		raw, err := document.Encode(map[string]any{"_id": "a", "services": map[string]any{"resume": map[string]any{"loginTokens": list}}, "mentions": list,
			"profile": list})
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
	// What stands where passkeys do, and is none: readsMember, readableList.
	foreign := func(text string) string {
		list := []any{}
		for i := 0; i+64 <= len(text); i += 64 {
			list = append(list, map[string]any{"id": text[i : i+64], "counter": "one"}, text[i:i+64])
		}
		raw, err := document.Encode(map[string]any{"_id": "a", "services": map[string]any{"webauthn": map[string]any{
			"credentials": list, "spent": list, "userHandle": list, "other": text}}})
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
	return []growthtest.Decoder{
		{Name: "any bytes", Do: read, Allocated: 512},
		{Name: "a name", Do: read, Allocated: 512, In: in("username")},
		{Name: "a date", Do: read, Allocated: 512, In: in("createdAt")},
		{Name: "lists", Do: read, Allocated: 512, In: nested},
		{Name: "foreign passkeys", Do: read, Allocated: 4096, In: foreign},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
