// Package ws is the WebSocket door: it upgrades requests and makes each
// connection a ddp.Conn. It reads and writes frames itself (RFC 6455, and
// RFC 7692 without context takeover); only the handshake is the library's.
//
// An idle connection is one goroutine, the engine's reader, which waits in
// Conn.fill, and no buffer: one is taken when bytes are there. Writes are tried
// without waiting (raw_unix.go), so that whoever has a message sends it from
// where it is.
//
// The package does not speak DDP, and it does not queue: package ddp does, in
// frames that go out as they are (package wire).
package ws

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ddpserver/internal/ddp"
)

// Conn is a WebSocket as a ddp.Conn. Binary messages are taken for text, as
// Meteor does, but need not be UTF-8.
type Conn struct {
	net     net.Conn
	raw     syscall.RawConn // nil where it cannot be read and written without waiting
	rawIO   rawIO
	deflate bool // messages may be compressed
	wait    time.Duration
	linger  time.Duration
	release func() // gives the place of the connection back; may be nil
	limit   atomic.Int64
	closed  atomic.Bool

	// What follows is the reader's own.
	receiver ddp.Receiver
	in       *buffer // bytes that came; nil when all are used
	from     int     // of in, the first that is not used yet
	idle     []byte  // for the first bytes of what comes, where raw is nil
	gone     bool    // the network failed
	parted   bool    // the peer sent its close frame

	// Of the frame under way.
	rest   uint64 // payload bytes that are not read yet
	mask   [4]byte
	maskAt int // of mask, the byte for the next one of the payload
	final  bool

	// Of the message under way.
	message *buffer
	open    bool // there is one
	kind    byte // wire.Text or wire.Binary, of the last one when there is none
	packed  bool // it is compressed
	length  int64
	failure error // why it cannot be read to its end
}

var _ ddp.Conn = (*Conn)(nil)

// SetReadLimit implements ddp.Conn.
func (c *Conn) SetReadLimit(bytes int) { c.limit.Store(int64(bytes)) }

// Write implements ddp.Conn. When it waits, every piece has its own time limit,
// so that a slow peer that takes something lives.
func (c *Conn) Write(p []byte, wait bool) (n int, err error) {
	if !wait {
		if c.raw == nil {
			return 0, nil
		}
		return c.rawIO.write(c.raw, p)
	}
	for n < len(p) {
		if err := c.net.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
			return n, err
		}
		done, err := c.net.Write(p[n:min(len(p), n+largestWrite)])
		if n += done; err != nil {
			return n, err
		}
	}
	return n, c.net.SetWriteDeadline(time.Time{})
}

// largestWrite is how many bytes a peer has to take within the time limit.
const largestWrite = 64 << 10

// Close implements ddp.Conn: the close frame is out, so this ends our half and
// bounds the wait for the peer's.
func (c *Conn) Close(int, string) error {
	if c.closed.Swap(true) {
		return nil
	}
	_ = c.net.SetWriteDeadline(time.Now()) // for whoever waits for the peer to take something
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	} else {
		_ = c.net.Close()
	}
	return c.net.SetReadDeadline(time.Now().Add(c.linger))
}

// Finish implements ddp.Conn. It lets the peer read what was sent last: closing
// at once would reset the connection while the peer still sends. After close
// frames both ways nothing more comes.
func (c *Conn) Finish() {
	c.free()
	if c.in != nil {
		c.drop()
	}
	if !c.gone && !(c.parted && c.closed.Load()) {
		_ = c.net.SetReadDeadline(time.Now().Add(c.linger))
		b := readBuffers.Get().(*buffer)
		for {
			if _, err := c.net.Read(b.b[:cap(b.b)]); err != nil {
				break
			}
		}
		readBuffers.Put(b)
	}
	_ = c.net.Close()
	if c.release != nil {
		c.release()
	}
}

// fill waits for bytes behind those that are not used yet. While it waits for
// the first ones it holds no buffer.
func (c *Conn) fill() error {
	if c.in != nil {
		c.in.b = append(c.in.b[:0], c.in.b[c.from:]...)
		if c.from = 0; len(c.in.b) == 0 {
			c.drop()
		}
	}
	before := 0
	if c.in != nil {
		before = len(c.in.b)
	}
	if err := c.receive(); err != nil {
		c.gone = true
		return io.EOF
	}
	c.receiver.Received(len(c.in.b) - before)
	return nil
}

// drop lets go of the buffer, whose bytes are all used.
func (c *Conn) drop() {
	readBuffers.Put(c.in)
	c.in, c.from = nil, 0
}

// receive reads into c.in.
func (c *Conn) receive() error {
	if c.raw != nil {
		return c.rawIO.read(c.raw)
	}
	c.receiver.Waiting()
	if c.in != nil {
		n, err := c.net.Read(c.in.b[len(c.in.b):cap(c.in.b)])
		if n > 0 {
			c.in.b = c.in.b[:len(c.in.b)+n]
			err = nil // if there was one, it comes again
		}
		return err
	}
	if c.idle == nil {
		c.idle = make([]byte, 128)
	}
	n, err := c.net.Read(c.idle)
	if n > 0 {
		c.in = readBuffers.Get().(*buffer)
		c.in.b = append(c.in.b[:0], c.idle[:n]...)
		err = nil
	}
	return err
}

// buffer is a pooled byte slice.
type buffer struct{ b []byte }

// readBuffers hold what one read from a socket brings, and a message that lies
// in it as a whole.
var readBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 4096)} }}

// messages hold other messages, by size. Larger ones are not kept.
var messages = [...]sync.Pool{
	{New: func() any { return &buffer{b: make([]byte, 0, ddp.FreeBuffer)} }},
	{New: func() any { return &buffer{b: make([]byte, 0, 4*ddp.FreeBuffer)} }},
	{New: func() any { return &buffer{b: make([]byte, 0, 16*ddp.FreeBuffer)} }},
}

// pooled is the place of a size in messages, -1 for none.
func pooled(size int) int {
	switch size {
	case ddp.FreeBuffer:
		return 0
	case 4 * ddp.FreeBuffer:
		return 1
	case 16 * ddp.FreeBuffer:
		return 2
	}
	return -1
}

// nextSize is the size of the buffer after one of that size.
func nextSize(size int) int {
	if size < 16*ddp.FreeBuffer {
		return size * 4
	}
	return size * 2
}

func getMessage(size int) *buffer {
	if i := pooled(size); i >= 0 {
		return messages[i].Get().(*buffer)
	}
	return &buffer{b: make([]byte, 0, size)}
}

func putMessage(b *buffer) {
	if i := pooled(cap(b.b)); i >= 0 {
		b.b = b.b[:0]
		messages[i].Put(b)
	}
}
