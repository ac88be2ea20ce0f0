package wire

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sizes are around every border of the header's three forms.
var sizes = []int{0, 1, 2, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 70000}

func TestFramesOfEverySizeComeApartAgain(t *testing.T) {
	var all []byte
	var want []string
	for i, n := range sizes {
		payload := bytes.Repeat([]byte{byte('a' + i)}, n)
		want = append(want, string(payload))
		if i%2 == 0 {
			all = Append(all, Text, payload)
			continue
		}
		buf, at := Begin(all)
		all = End(append(buf, payload...), at)
	}
	rest := all
	for i, n := range sizes {
		var first byte
		var payload []byte
		before := len(rest)
		first, payload, rest = Next(rest)
		if first != Text || string(payload) != want[i] {
			t.Errorf("got %x and %d bytes, want %d", first, len(payload), n)
		}
		if head := before - len(rest) - n; head != headerOf(n) {
			t.Errorf("%d bytes have a header of %d", n, head)
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	var got []string
	for m := range Messages(all) {
		got = append(got, string(m))
	}
	if !slices.Equal(got, want) {
		t.Error("Messages gives others")
	}
}

// headerOf is the shortest header that RFC 6455 (5.2) allows.
func headerOf(n int) int {
	switch {
	case n < 126:
		return 2
	case n < 1<<16:
		return 4
	}
	return MaxHeader
}

// What is reserved before a frame stays as it is, whatever the frame's size.
func TestFramesLeaveWhatIsBeforeThem(t *testing.T) {
	for _, n := range sizes {
		buf, at := Begin([]byte("before"))
		buf = End(append(buf, bytes.Repeat([]byte{'x'}, n)...), at)
		if at != 6 || string(buf[:6]) != "before" {
			t.Errorf("%d bytes: %q", n, buf[:6])
		}
		if _, payload, rest := Next(buf[6:]); len(payload) != n || len(rest) != 0 {
			t.Errorf("%d bytes came back as %d, %d are left", n, len(payload), len(rest))
		}
	}
}

func TestMessagesLeaveControlFramesOut(t *testing.T) {
	b := Append(nil, Ping, []byte("p"))
	b = Append(b, Text, []byte("one"))
	b = Append(b, Pong, nil)
	b = Append(b, Binary, []byte("two"))
	b = AppendClose(b, 1000, "bye")
	var got []string
	for m := range Messages(b) {
		got = append(got, string(m))
	}
	if fmt.Sprint(got) != "[one two]" {
		t.Error(got)
	}
	for m := range Messages(b) { // and may be left early
		if string(m) != "one" {
			t.Error(string(m))
		}
		break
	}
	for m := range Messages(nil) {
		t.Errorf("%q comes from nothing", m)
	}
}

func TestCloseFrames(t *testing.T) {
	for _, c := range []struct {
		code int
		text string
		want string
	}{
		{0, "ignored", "\x88\x00"},
		{1000, "", "\x88\x02\x03\xe8"},
		{1001, "Going away", "\x88\x0c\x03\xe9Going away"},
		{4999, strings.Repeat("x", 200), "\x88\x7d\x13\x87" + strings.Repeat("x", MaxControl-2)},
	} {
		if got := string(AppendClose(nil, c.code, c.text)); got != c.want {
			t.Errorf("%d: %q, want %q", c.code, got, c.want)
		}
	}
}

// inflated undoes what a peer would undo (RFC 7692, 7.2.2).
func inflated(t *testing.T, payload []byte) string {
	t.Helper()
	text, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDeflate(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, text := range map[string]string{
		"nothing": "", "short": "ab", "same": strings.Repeat("a", 100), "long": strings.Repeat(`{"msg":"changed"},`, 20_000), "noise": string(noise),
	} {
		t.Run(name, func(t *testing.T) {
			before := Append(nil, Ping, []byte("p"))
			b := Deflate(Append(bytes.Clone(before), Text, []byte(text)), len(before))
			if !bytes.HasPrefix(b, before) {
				t.Fatal("the frame before has changed")
			}
			first, payload, rest := Next(b[len(before):])
			if len(rest) != 0 {
				t.Fatalf("%d bytes are left", len(rest))
			}
			switch first {
			case Text:
				if string(payload) != text {
					t.Error("what does not shrink has changed")
				}
				if name == "same" || name == "long" {
					t.Error("not compressed")
				}
			case Text | Compressed:
				if got := inflated(t, payload); got != text {
					t.Errorf("%d bytes came back as %d", len(text), len(got))
				}
				if len(payload) >= len(text) {
					t.Errorf("%d bytes became %d", len(text), len(payload))
				}
			default:
				t.Errorf("first byte %x", first)
			}
		})
	}
}

// Compressors are shared and keep nothing of a message for the next one.
func TestDeflateKeepsNothing(t *testing.T) {
	secret := Deflate(Append(nil, Text, bytes.Repeat([]byte("secret"), 50)), 0)
	again := Deflate(Append(nil, Text, bytes.Repeat([]byte("secret"), 50)), 0)
	if !bytes.Equal(secret, again) {
		t.Error("the second message depends on the first")
	}
}

func BenchmarkAppend(b *testing.B) {
	payload := bytes.Repeat([]byte{'x'}, 300)
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		buf = Append(buf[:0], Text, payload)
	}
}
