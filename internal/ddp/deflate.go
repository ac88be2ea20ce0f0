package ddp

import (
	"compress/flate"
	"sync"
)

// deflaters are shared by all connections: without context takeover no message
// needs anything of the one before (RFC 7692, 7.1.1).
var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is valid
	return w
}}

// sink is an io.Writer that appends.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// deflateFrame compresses the last frame of dst, which begins at at, if that
// makes it shorter. The empty block that ends a flushed stream is left out
// (RFC 7692, 7.2.1).
func deflateFrame(dst []byte, at int) []byte {
	_, payload, _ := splitFrame(dst[at:])
	packed := getBuffer()
	defer putBuffer(packed)
	s := sink{packed.b}
	w := deflaters.Get().(*flate.Writer)
	w.Reset(&s)
	_, _ = w.Write(payload) // a sink does not fail
	_ = w.Flush()
	deflaters.Put(w)
	packed.b = s.b
	if len(s.b)-4 >= len(payload) {
		return dst
	}
	dst = appendFrame(dst[:at], dst[at]|rsv1, s.b[:len(s.b)-4])
	return dst
}
