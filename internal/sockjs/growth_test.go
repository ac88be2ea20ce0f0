package sockjs

import (
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
)

// decoders are what browsers post.
func decoders() []growthtest.Decoder {
	read := func(text string) {
		for _, listOnly := range []bool{false, true} {
			if list, err := messagesOf([]byte(text), listOnly); err == nil {
				appendMessages(nil, list)
			}
		}
		_, _ = parsePayload([]byte(text))
	}
	return []growthtest.Decoder{
		{Name: "messagesOf", Do: read, Allocated: 512},
		{Name: "messagesOf a list", Do: read, Allocated: 512, In: func(text string) string { return "[" + text + "0]" }},
		{Name: "messagesOf a text", Do: read, Allocated: 512, In: func(text string) string { return string(ejson.AppendString([]byte("["), text)) + "]" }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (security A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
