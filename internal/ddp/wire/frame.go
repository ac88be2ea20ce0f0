// Package wire is the form in which messages wait to be sent: frames of
// WebSocket as a server sends them (RFC 6455, 5.2), unmasked, one frame a
// message, one after another in a buffer. A message is framed once, when it is
// encoded, however many get it; package ws writes such a buffer as it is, other
// transports take it apart again (Messages).
//
// The package neither reads what a peer sent nor knows any connection.
package wire

import "iter"

// The first byte of a frame: it is the last of its message, and this is its kind.
const (
	Text   = 0x81
	Binary = 0x82
	Close  = 0x88
	Ping   = 0x89
	Pong   = 0x8A
)

// Bits of the first byte: the message is compressed (RFC 7692), the frame is one
// of control.
const (
	Compressed = 0x40
	control    = 0x08
)

// MaxHeader is the longest header in bytes.
const MaxHeader = 10

// MaxControl is the longest payload of a control frame in bytes.
const MaxControl = 125

// Begin starts a text message and reserves room for the header most messages
// need. Give the returned place to End after the payload was appended.
func Begin(dst []byte) (buf []byte, at int) {
	return append(dst, Text, 126, 0, 0), len(dst)
}

// End writes the header of the message that Begin started at that place, now
// that its length is known.
func End(dst []byte, at int) []byte {
	n := len(dst) - at - 4
	switch {
	case n < 126:
		copy(dst[at+2:], dst[at+4:])
		dst = dst[:len(dst)-2]
		dst[at+1] = byte(n)
	case n <= 0xffff:
		dst[at+2], dst[at+3] = byte(n>>8), byte(n)
	default:
		dst = append(dst, 0, 0, 0, 0, 0, 0)
		copy(dst[at+10:], dst[at+4:at+4+n])
		dst[at+1] = 127
		for i := range 8 {
			dst[at+2+i] = byte(n >> (56 - 8*i))
		}
	}
	return dst
}

// Append frames a whole payload; first is the first byte of the frame.
func Append(dst []byte, first byte, payload []byte) []byte {
	dst, at := Begin(dst)
	dst = append(dst, payload...)
	dst = End(dst, at)
	dst[at] = first
	return dst
}

// AppendClose appends a close frame. Code 0 makes one without a code and text;
// text is cut to what fits.
func AppendClose(dst []byte, code int, text string) []byte {
	if code == 0 {
		return append(dst, Close, 0)
	}
	text = text[:min(len(text), MaxControl-2)]
	dst = append(dst, Close, byte(2+len(text)), byte(code>>8), byte(code))
	return append(dst, text...)
}

// Next takes the first frame off b, which holds whole frames.
func Next(b []byte) (first byte, payload, rest []byte) {
	n, head := int(b[1]), 2
	switch n {
	case 126:
		n, head = int(b[2])<<8|int(b[3]), 4
	case 127:
		n, head = 0, MaxHeader
		for _, c := range b[2:MaxHeader] {
			n = n<<8 | int(c)
		}
	}
	return b[0], b[head : head+n], b[head+n:]
}

// Messages are the messages in b, which holds whole frames that are not
// compressed; control frames are left out.
func Messages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			var first byte
			var payload []byte
			first, payload, b = Next(b)
			if first&control == 0 && !yield(payload) {
				return
			}
		}
	}
}
