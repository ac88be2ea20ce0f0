package rooms

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// layered is a JPEG of 64 by 64 grey pixels in that many scans, each of which passes over
// all of them in three bytes.
func layered(scans int) []byte {
	const side, blocks = 64, 64
	out := []byte{0xff, 0xd8}
	out = append(append(out, 0xff, 0xdb, 0, 67, 0), bytes.Repeat([]byte{1}, 64)...)
	out = append(out, 0xff, 0xc2, 0, 11, 8, 0, side, 0, side, 1, 1, 0x11, 0)
	// One code of one bit: 64 to 127 blocks without anything, how many in six bits.
	out = append(append(out, 0xff, 0xc4, 0, 20, 0x10, 1), append(make([]byte, 15), 0x60)...)
	for range scans {
		out = append(out, 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, (blocks-64)<<1)
	}
	return append(out, 0xff, 0xd9)
}

// The time that a picture takes is bounded, whatever it says of itself: a JPEG in thousands
// of scans is a small file that takes minutes, and others wait for their turn.
func TestPicturesInManyScans(t *testing.T) {
	for n, want := range map[int]bool{1: true, 10: true, maxScans: true, maxScans + 1: false, 5000: false} {
		file := layered(n)
		if got := preview(bytes.NewReader(file), int64(len(file))) != ""; got != want {
			t.Errorf("%d scans, %d bytes: a preview %v, want %v", n, len(file), got, want)
		}
	}
	// However the bytes are cut.
	file := layered(maxScans + 1)
	for left, want := range map[int]error{maxScans + 1: nil, maxScans: errScans} {
		if _, err := io.ReadAll(&scans{from: iotest.OneByteReader(bytes.NewReader(file)), left: left}); err != want {
			t.Errorf("%d scans of %d: %v", maxScans+1, left, err)
		}
	}
}
