package ddp

import (
	"bytes"
	"testing"

	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

func TestFramesAreTheirMessage(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 70000} {
		text := bytes.Repeat([]byte{'x'}, n)
		f := NewFrame(text)
		if n > 0 {
			text[0] = 'y' // the caller's own again
		}
		if got := f.Payload(); len(got) != n || n > 0 && got[0] != 'x' {
			t.Errorf("%d bytes became %d, or changed", n, len(got))
		}
		if first, payload, rest := wire.Next(f.framed(0)); first != wire.Text || !bytes.Equal(payload, f.Payload()) || len(rest) > 0 {
			t.Errorf("%d bytes are framed as %x, %d bytes", n, first, len(payload))
		}
	}
}

// Whoever compresses shares one compressed form, and who does not the plain one.
func TestFramesAreCompressedOnce(t *testing.T) {
	f := NewFrame(bytes.Repeat([]byte("abc"), 1000))
	small := f.framed(3001)
	if &small[0] != &f.plain[0] {
		t.Error("compressed below the size for it")
	}
	one, two := f.framed(100), f.framed(3000)
	if one[0] != wire.Text|wire.Compressed || &one[0] != &two[0] {
		t.Errorf("first byte %x, or compressed twice", one[0])
	}
	if len(f.framed(0)) < 3000 {
		t.Error("the plain form is gone")
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
		`{"isClientSafe":true,"error":"x","message":"[x]","errorType":"Meteor.Error"}`: fault.New("x", ""),
		`{"isClientSafe":true,"error":"x","reason":"\"é\\","message":"\"é\\ [x]","errorType":"Meteor.Error"}`: fault.New("x",
			`"é\`),
		`{"isClientSafe":true,"error":"x","reason":"r","message":"r [x]","errorType":"Meteor.Error"}`: fault.New("x",
			"r").With(make(chan int)),
		`{"isClientSafe":true,"error":"x","reason":"r","details":{"a":[1]},"message":"r [x]","errorType":"Meteor.Error"}`: fault.New("x",
			"r").With(ejson.Doc{{Key: "a", Value: []int{1}}}),
		`{"isClientSafe":true,"error":500,"reason":"Internal server error","message":"Internal server error [500]","errorType":"Meteor.Error"}`: ejson.ErrSyntax,
	} {
		if got := string(AppendError(nil, err)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
