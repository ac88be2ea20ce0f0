package ddp

import (
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
)

// decoders are what reads a message before its turn: one scan, the check of its
// typed parts, the handshake, and the copy that an error shows.
func decoders() []growthtest.Decoder {
	read := func(text string) {
		s := new(message)
		if s.scan([]byte(text), maxDepth) != nil {
			return
		}
		s.env.decodable(s.text)
		compact(s.text, &s.env)
		if s.env.kind == '{' {
			plainJSON(s.text)
		}
		negotiate(s.env.version.Of(s.text), s.env.support.Of(s.text))
		unquoted(s.env.method.Of(s.text))
	}
	quoted := func(head, tail string) func(string) string {
		return func(text string) string { return string(ejson.AppendString([]byte(head), text)) + tail }
	}
	return []growthtest.Decoder{
		{Name: "a message", Do: read, Allocated: 512},
		{Name: "parameters", Do: read, Allocated: 512, In: func(text string) string {
			return `{"msg":"method","id":"1","method":"x","params":[{"$date":0},` + text + `0]}`
		}},
		{Name: "a text", Do: read, Allocated: 512, In: quoted(`{"msg":"method","id":"1","method":"x","params":[{"$date":0},`, `]}`)},
		{Name: "bytes", Do: read, Allocated: 512, In: quoted(`{"msg":"x","params":[{"$binary":`, `}]}`)},
		{Name: "a key", Do: read, Allocated: 512, In: quoted(`{"msg":"x","params":[{"$x":0,`, `:0}]}`)},
		{Name: "a name", Do: read, Allocated: 512, In: quoted(`{"msg":"sub","id":"1","name":`, `}`)},
		{Name: "versions", Do: read, Allocated: 512, In: quoted(`{"msg":"connect","version":"1","support":["1",`, `]}`)},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
