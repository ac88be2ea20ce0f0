package wire

import (
	"compress/flate"
	"sync"
)

// deflater is a compressor and what it writes to. They are shared by all
// connections: without context takeover no message needs anything of the one
// before (RFC 7692, 7.1.1).
type deflater struct {
	*flate.Writer
	packed []byte
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.Writer, _ = flate.NewWriter(d, flate.BestSpeed) // the level is valid
	return d
}}

// keptPacked is the largest buffer in bytes that a compressor keeps.
const keptPacked = 64 << 10

// Write implements io.Writer for the compressor.
func (d *deflater) Write(p []byte) (int, error) {
	d.packed = append(d.packed, p...)
	return len(p), nil
}

// Deflate compresses the last frame of dst, which begins at that place, if that
// makes it shorter. The empty block that ends a flushed stream is left out
// (RFC 7692, 7.2.1).
func Deflate(dst []byte, at int) []byte {
	_, payload, _ := Next(dst[at:])
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.packed = d.packed[:0]
	d.Reset(d)
	_, _ = d.Writer.Write(payload) // a deflater's Write does not fail
	_ = d.Flush()
	if n := len(d.packed) - 4; n < len(payload) {
		dst = Append(dst[:at], dst[at]|Compressed, d.packed[:n])
	}
	if cap(d.packed) > keptPacked {
		d.packed = nil
	}
	return dst
}
