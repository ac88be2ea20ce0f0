package ddp

import (
	"compress/flate"
	"errors"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// wsConn is a connection over a WebSocket. gorilla/websocket makes the handshake
// and reads frames; what is sent is framed by the engine, so that many messages
// leave in one system call, and goes around the library.
//
// It validates what RFC 6455 asks of a server, UTF-8 included, and takes binary
// messages for text, as Meteor does. An idle one holds no buffers but the
// library's smallest.
type wsConn struct {
	ws   *websocket.Conn
	sock *socket
	out  *outbox

	se        *Session // who counts what is held; nil for EchoHandler
	msg       *buffer  // the message handed out last
	counted   int      // bytes the session counts for it
	messages  uint32   // handed out so far
	limit     atomic.Int64
	closeSent atomic.Bool
	binary    bool    // the last message was binary
	srv       *Server // counts it, until left
	address   string
	left      bool
	wait      time.Duration // for a peer that takes nothing
	linger    time.Duration
}

// noWriteBuffer keeps the library from holding a write buffer for each
// connection: nothing is written through it but control frames.
type noWriteBuffer struct{}

func (noWriteBuffer) Get() any { return nil }
func (noWriteBuffer) Put(any)  {}

// tinyReadBuffer is the least the library allows (a control frame). Reading
// itself is done into pooled buffers, see socket.
const tinyReadBuffer = 128

// ReadFrame implements source. What was queued leaves before it waits.
func (c *wsConn) ReadFrame() ([]byte, error) {
	c.letGo()
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, c.broken(err)
	}
	c.binary = kind == websocket.BinaryMessage
	c.msg = getMessage(freeBuffer)
	valid := 0
	for {
		b, err := c.more(r)
		if int64(len(b)) > c.limit.Load() {
			return nil, c.refuse(TooLong, ErrTooLong)
		}
		if err == errNoRoom {
			c.shut(true)
			return nil, io.EOF
		}
		if err != nil && err != io.EOF {
			return nil, c.broken(err)
		}
		if !c.binary {
			ok := false
			if valid, ok = validUpTo(b, valid, err == io.EOF); !ok {
				return nil, c.refuse(NotUTF8, ErrNotUTF8)
			}
		}
		if err == io.EOF {
			c.messages++
			return b, nil
		}
	}
}

// errNoRoom says that the session has ended because nothing more fitted.
var errNoRoom = errors.New("ddp: no room for the message")

// more reads more of the message in hand, and returns what it is by now.
func (c *wsConn) more(r io.Reader) ([]byte, error) {
	b := c.msg.b
	if len(b) == cap(b) && int64(len(b)) >= c.limit.Load() { // is this its end?
		n, err := r.Read(make([]byte, 1))
		return append(b, make([]byte, n)...), err
	}
	if len(b) == cap(b) {
		if b = c.grow(); b == nil {
			return nil, errNoRoom
		}
	}
	n, err := r.Read(b[len(b):cap(b)])
	if c.msg.b = b[:len(b)+n]; c.se != nil && len(b) > freeBuffer {
		c.se.yield(n)
	}
	return c.msg.b, err
}

// grow gives the message in hand a larger buffer, which is counted first; nil
// when there was no room for it, which has ended the session.
func (c *wsConn) grow() []byte {
	old := c.msg
	size := min(nextBuffer(cap(old.b)), int(c.limit.Load()))
	if c.se != nil {
		n := size - cap(old.b)
		if c.counted == 0 && c.sock.deflate {
			n += inflater
		}
		if !c.se.reserve(n, false) {
			return nil
		}
		c.counted += n
	}
	c.msg = getMessage(size)
	c.msg.b = append(c.msg.b[:0], old.b...)
	putMessage(old)
	return c.msg.b
}

// inflater is what a compressed message holds until it is read, in bytes.
const inflater = 44 << 10

// letGo frees the message handed out last.
func (c *wsConn) letGo() {
	if c.msg != nil {
		putMessage(c.msg)
		c.msg = nil
	}
	if c.counted > 0 {
		c.se.mu.Lock()
		c.se.release(c.counted)
		c.se.mu.Unlock()
		c.counted = 0
	}
}

// validUpTo checks the UTF-8 of b from valid on; unless it is the end, the last
// character may be incomplete. It fails as early as the text allows.
func validUpTo(b []byte, valid int, end bool) (int, bool) {
	rest := b[valid:]
	if utf8.Valid(rest) {
		return len(b), true
	}
	if end {
		return valid, false
	}
	for n := 1; n < utf8.UTFMax && n <= len(rest); n++ {
		tail := rest[len(rest)-n:]
		if utf8.RuneStart(tail[0]) {
			whole := rest[:len(rest)-n]
			return valid + len(whole), !utf8.FullRune(tail) && utf8.Valid(whole)
		}
	}
	return valid, false
}

// broken turns the library's error into the engine's and lets go of the socket.
func (c *wsConn) broken(err error) error {
	var closed *websocket.CloseError
	switch {
	case c.sock.failed: // what arrives after a failed write does not count
	case errors.As(err, &closed):
		if closed.Code != websocket.CloseAbnormalClosure {
			c.out.flush(true)
			c.shut(false)
			return &CloseError{Code: closed.Code}
		}
	case errors.Is(err, websocket.ErrReadLimit):
		c.shut(true)
		return ErrTooLong
	case c.sock.protest || errors.Is(err, ErrFraming):
		c.shut(true)
		return ErrFraming
	case badInflate(err):
		return c.refuse(ProtocolAbuse, ErrFraming)
	}
	c.shut(false)
	return io.EOF
}

// badInflate recognises a compressed message that is none.
func badInflate(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}

// refuse ends the connection because of what the peer sent.
func (c *wsConn) refuse(reason DisconnectReason, err error) error {
	c.sendClose(reason.Code(), reason.Text())
	c.shut(true)
	return err
}

// shut closes the socket. With linger it first lets the peer read our close
// frame: closing at once would reset the connection while it still sends.
func (c *wsConn) shut(linger bool) {
	c.letGo()
	c.waits()
	if linger {
		c.out.flush(true)
		c.sock.closeWrite()
		_ = c.sock.Conn.SetReadDeadline(time.Now().Add(c.linger))
		b := getBuffer()
		for {
			if _, err := c.sock.Conn.Read(b.b[:cap(b.b)]); err != nil {
				break
			}
		}
		putBuffer(b)
	}
	_ = c.sock.Conn.Close()
	if c.srv != nil && !c.left {
		c.left = true
		c.srv.leave(c.address)
	}
}

// await lets go of the message handed out last, lets out what is queued, and
// waits for the next bytes.
func (c *wsConn) await() {
	c.letGo()
	if c.sock.ahead == nil {
		c.out.flush(true)
	}
	c.sock.await(c.messages)
}

// waits tells the session that there is nothing to read.
func (c *wsConn) waits() {
	if c.se != nil {
		c.se.rested()
	}
}

// sendClose sends a close frame, once.
func (c *wsConn) sendClose(code int, text string) {
	if c.closeSent.Swap(true) {
		return
	}
	b := getBuffer()
	var payload []byte
	if code != websocket.CloseNoStatusReceived {
		payload = websocket.FormatCloseMessage(code, text)
	}
	b.b = appendFrame(b.b, opClose, payload)
	c.out.add(b)
	c.out.flush(true)
}

// pinged answers a WebSocket ping; it leaves before the next wait.
func (c *wsConn) pinged(data string) error {
	b := getBuffer()
	b.b = appendFrame(b.b, opPong, []byte(data))
	if _, ok := c.out.add(b); !ok {
		return ErrFraming
	}
	return nil
}

// ponged takes the answer to a ping of our own for a sign of life.
func (c *wsConn) ponged(string) error {
	c.se.seen.Store(true)
	return nil
}

// closed answers the peer's close frame.
func (c *wsConn) closed(code int, _ string) error {
	if code == websocket.CloseNoStatusReceived && c.sock.headers.half {
		c.sendClose(websocket.CloseProtocolError, "close frame with half a code")
		return ErrFraming
	}
	c.sendClose(code, "")
	return nil
}

// SetReadLimit implements source.
func (c *wsConn) SetReadLimit(n int) { c.limit.Store(int64(n)) }

// lost implements the owner of the Socket's own outbox.
func (c *wsConn) lost(DisconnectReason) { _ = c.sock.Conn.Close() }

// farewell implements link: the close frame, if none was sent.
func (c *wsConn) farewell(reason DisconnectReason) []byte {
	if c.closeSent.Swap(true) {
		return nil
	}
	return appendFrame(nil, opClose, websocket.FormatCloseMessage(reason.Code(), reason.Text()))
}

// end implements link. A peer that does not take anything is cut off.
func (c *wsConn) end(reason DisconnectReason) {
	if reason == Slow || reason == PeerLeft {
		_ = c.sock.Conn.Close()
		return
	}
	if reason == OverBudget { // whoever waits for the peer to take something
		_ = c.sock.Conn.SetWriteDeadline(time.Now())
	}
	c.hangUp()
}

// hangUp ends our half and bounds the wait for the peer's.
func (c *wsConn) hangUp() {
	c.sock.closeWrite()
	_ = c.sock.Conn.SetReadDeadline(time.Now().Add(c.linger))
}

// try implements link.
func (c *wsConn) try(p []byte) (int, error) { return c.sock.try(p) }

// write implements link: every piece has its own time limit, so that a slow
// peer that takes something lives.
func (c *wsConn) write(p []byte) error {
	defer func() { _ = c.sock.Conn.SetWriteDeadline(time.Time{}) }()
	for len(p) > 0 {
		piece := p[:min(len(p), 64<<10)]
		if err := c.sock.Conn.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
			return err
		}
		if _, err := c.sock.Conn.Write(piece); err != nil {
			return err
		}
		p = p[len(piece):]
	}
	return nil
}
