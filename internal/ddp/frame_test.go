package ddp

import (
	"bytes"
	"testing"

	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

func TestFramesOfEverySizeComeApartAgain(t *testing.T) {
	var all []byte
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 70000}
	for _, n := range sizes {
		f := NewFrame(bytes.Repeat([]byte{'x'}, n))
		if len(f.Payload()) != n {
			t.Errorf("payload of %d bytes has %d", n, len(f.Payload()))
		}
		all = append(all, f.framed(0)...)
	}
	for _, n := range sizes {
		var first byte
		var payload []byte
		first, payload, all = wire.Next(all)
		if first != wire.Text || len(payload) != n {
			t.Errorf("got %x and %d bytes, want %d", first, len(payload), n)
		}
	}
	if len(all) != 0 {
		t.Errorf("%d bytes are left", len(all))
	}
}

func TestNothingIsCompressedThatDoesNotShrink(t *testing.T) {
	f := NewFrame([]byte("qwertyuiopasdfghjklzxcvbnm1234567890"))
	if got := f.framed(10); !bytes.Equal(got, f.plain) {
		t.Errorf("%d bytes became %d", len(f.plain), len(got))
	}
}

// TestFaultTexts checks what an error object does with odd texts and details.
func TestFaultTexts(t *testing.T) {
	for want, err := range map[string]error{
		`{"isClientSafe":true,"error":"x","message":"[x]","errorType":"Meteor.Error"}`:                                                          fault.New("x", ""),
		`{"isClientSafe":true,"error":"x","reason":"\"é\\","message":"\"é\\ [x]","errorType":"Meteor.Error"}`:                                   fault.New("x", `"é\`),
		`{"isClientSafe":true,"error":"x","reason":"r","message":"r [x]","errorType":"Meteor.Error"}`:                                           fault.New("x", "r").With(make(chan int)),
		`{"isClientSafe":true,"error":"x","reason":"r","details":{"a":[1]},"message":"r [x]","errorType":"Meteor.Error"}`:                       fault.New("x", "r").With(ejson.Doc{{Key: "a", Value: []int{1}}}),
		`{"isClientSafe":true,"error":500,"reason":"Internal server error","message":"Internal server error [500]","errorType":"Meteor.Error"}`: ejson.ErrSyntax,
	} {
		if got := string(AppendError(nil, err)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
