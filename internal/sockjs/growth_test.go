package sockjs

import (
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"ddpserver/internal/budget"
	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
)

// decoders are what browsers post.
func decoders() []growthtest.Decoder {
	read := func(text string) {
		for _, listOnly := range []bool{false, true} {
			posts, err := postsOf([]byte(text), listOnly)
			if err != nil {
				continue
			}
			for m := posts.next(); m != nil; m = posts.next() {
				appendMessages(nil, [][]byte{m})
			}
		}
		_, _ = parsePayload([]byte(text))
	}
	return []growthtest.Decoder{
		{Name: "postsOf", Do: read, Allocated: 512},
		{Name: "postsOf a list", Do: read, Allocated: 512, In: func(text string) string { return "[" + text + "0]" }},
		{Name: "postsOf a text", Do: read, Allocated: 512, In: func(text string) string { return string(ejson.AppendString([]byte("["), text)) + "]" }},
		{Name: "readBody", Do: func(text string) {
			held := &budget.Holding{Account: budget.New(math.MaxInt64 / 4)}
			_, _ = readBody(httptest.NewRequest("POST", "/", strings.NewReader(text)), held, math.MaxInt32)
		}},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
