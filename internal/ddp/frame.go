package ddp

import (
	"sync"

	"ddpserver/internal/ddp/wire"
)

// Frame is a message that many connections get: encoded once, framed once,
// immutable. It bypasses the merge box.
type Frame struct {
	plain   []byte // framed
	payload []byte // the part of plain that is the message

	once     sync.Once
	deflated []byte // framed and compressed; made when first wanted
}

// NewFrame makes a Frame of one DDP message. The bytes are copied.
func NewFrame(json []byte) *Frame {
	f := &Frame{plain: wire.Append(make([]byte, 0, len(json)+wire.MaxHeader), wire.Text, json)}
	f.payload = f.plain[len(f.plain)-len(json):]
	return f
}

// framed is the frame for a connection that compresses messages of at least
// that many bytes; 0 for one that does not compress.
func (f *Frame) framed(compressAbove int) []byte {
	if compressAbove <= 0 || len(f.payload) < compressAbove {
		return f.plain
	}
	f.once.Do(func() { f.deflated = wire.Deflate(append([]byte(nil), f.plain...), 0) })
	return f.deflated
}

// Payload is the message itself. It must not be changed.
func (f *Frame) Payload() []byte { return f.payload }
