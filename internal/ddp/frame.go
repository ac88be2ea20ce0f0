package ddp

import "sync"

// Frame is a message that many connections get: encoded once, framed once,
// immutable. It bypasses the merge box.
type Frame struct {
	wire []byte // WebSocket header and payload
	head int    // length of the header

	once     sync.Once
	deflated []byte // the same, compressed; made when first wanted
}

// NewFrame makes a Frame of one DDP message. The bytes are copied.
func NewFrame(json []byte) *Frame {
	wire := make([]byte, 0, len(json)+maxHeader)
	wire, at := beginFrame(wire)
	wire = append(wire, json...)
	wire = endFrame(wire, at)
	return &Frame{wire: wire, head: headerLen(len(json))}
}

// wireFor is the frame for a connection that compresses from that size on.
func (f *Frame) wireFor(compress int) []byte {
	if compress <= 0 || len(f.wire)-f.head < compress {
		return f.wire
	}
	f.once.Do(func() { f.deflated = deflateFrame(append([]byte(nil), f.wire...), 0) })
	return f.deflated
}

// Payload is the message itself. It must not be changed.
func (f *Frame) Payload() []byte { return f.wire[f.head:] }

// WebSocket framing of what a server sends (RFC 6455, 5.2): no mask, one
// frame a message. It is the form in which every outbox keeps its messages;
// other transports take it apart again (eachFrame).
const (
	maxHeader = 10
	opText    = 0x81
	opBinary  = 0x82
	opClose   = 0x88
	opPing    = 0x89
	opPong    = 0x8A
	rsv1      = 0x40
)

// beginFrame reserves room for the header most messages need. Give the returned
// place to endFrame after the payload was appended.
func beginFrame(dst []byte) (buf []byte, at int) {
	return append(dst, opText, 126, 0, 0), len(dst)
}

// endFrame writes the header, now that the payload's length is known.
func endFrame(dst []byte, at int) []byte {
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

// appendFrame frames a whole payload.
func appendFrame(dst []byte, first byte, payload []byte) []byte {
	dst, at := beginFrame(dst)
	dst = append(dst, payload...)
	dst = endFrame(dst, at)
	dst[at] = first
	return dst
}

func headerLen(payload int) int {
	switch {
	case payload < 126:
		return 2
	case payload <= 0xffff:
		return 4
	}
	return maxHeader
}

// splitFrame takes the first frame off b.
func splitFrame(b []byte) (first byte, payload, rest []byte) {
	n, head := int(b[1]), 2
	switch n {
	case 126:
		n, head = int(b[2])<<8|int(b[3]), 4
	case 127:
		n, head = 0, maxHeader
		for _, c := range b[2:maxHeader] {
			n = n<<8 | int(c)
		}
	}
	return b[0], b[head : head+n], b[head+n:]
}
