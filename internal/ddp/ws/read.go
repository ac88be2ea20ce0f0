package ws

import (
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
)

// ReadFrame implements ddp.Conn. It waits for the next message here, where the
// stack is shallow: a connection that waits needs the smallest stack there is.
func (c *Conn) ReadFrame(r ddp.Receiver) ([]byte, error) {
	c.receiver = r
	c.free()
	if c.in != nil && c.from == len(c.in.b) {
		c.drop()
	}
	if c.in == nil && c.raw != nil {
		if err := c.rawIO.read(c.raw); err != nil {
			c.gone = true
			return nil, io.EOF
		}
		c.receiver.Received(len(c.in.b))
	}
	return c.next()
}

// next reads the message whose first bytes may be there.
func (c *Conn) next() ([]byte, error) {
	if err := c.nextFrame(); err != nil {
		return nil, err
	}
	if c.final && !c.packed && c.in != nil && c.rest <= uint64(len(c.in.b)-c.from) {
		return c.short()
	}
	return c.long()
}

// free lets go of the message that was read last.
func (c *Conn) free() {
	if c.message != nil {
		putMessage(c.message)
		c.message = nil
	}
}

// short is the message that lies in the buffer as a whole.
func (c *Conn) short() ([]byte, error) {
	text := c.in.b[c.from : c.from+int(c.rest)]
	c.from += len(text)
	c.unmask(text)
	c.rest = 0
	if c.kind == wire.Text && !utf8.Valid(text) {
		return nil, ddp.ErrNotUTF8
	}
	c.open = false
	return text, nil
}

// long gathers the message piece by piece and fails as early as one of them
// allows.
func (c *Conn) long() ([]byte, error) {
	c.message, c.failure = getMessage(ddp.FreeBuffer), nil
	var source io.Reader = (*payload)(c)
	if c.packed {
		i := inflaters.Get().(*inflater)
		defer i.release()
		source = i.reset(source)
	}
	valid := 0
	for {
		err := c.more(source)
		text := c.message.b
		if c.failure == nil && int64(len(text)) > c.limit.Load() {
			c.failure = ddp.ErrTooLong
		}
		if c.failure == nil && err != nil && err != io.EOF { // compressed, and broken
			c.failure = ddp.ErrFraming
		}
		if c.failure != nil {
			return nil, c.failure
		}
		if c.kind == wire.Text {
			ok := false
			if valid, ok = validUpTo(text, valid, err == io.EOF); !ok {
				return nil, ddp.ErrNotUTF8
			}
		}
		if err == io.EOF {
			if c.packed {
				if err := c.skip(); err != nil {
					return nil, err
				}
			}
			c.open = false
			return text, nil
		}
	}
}

// skip drops what follows the end of a compressed stream in its message: a sender
// may end the stream itself (RFC 7692, 7.2.3.4).
func (c *Conn) skip() error {
	var scrap [64]byte
	for {
		if _, err := (*payload)(c).Read(scrap[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return c.failure
		}
	}
}

// more reads a piece of the message.
func (c *Conn) more(source io.Reader) error {
	b := c.message.b
	if len(b) == cap(b) {
		if int64(len(b)) >= c.limit.Load() { // is this its end?
			n, err := source.Read(make([]byte, 1))
			c.message.b = append(b, make([]byte, n)...)
			return err
		}
		if !c.grow() {
			c.failure = io.EOF
			return io.EOF
		}
		b = c.message.b
	}
	n, err := source.Read(b[len(b):cap(b)])
	c.message.b = b[:len(b)+n]
	return err
}

// grow gives the message a larger buffer, which is counted first; false when
// there was no room for it, which has ended the session.
func (c *Conn) grow() bool {
	old := c.message
	size := max(min(nextSize(cap(old.b)), int(c.limit.Load())), cap(old.b)+1)
	more := size - cap(old.b)
	if c.packed && cap(old.b) == ddp.FreeBuffer {
		more += inflaterSize
	}
	if !c.receiver.Grow(more) {
		return false
	}
	c.message = getMessage(size)
	c.message.b = append(c.message.b[:0], old.b...)
	putMessage(old)
	return true
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

// payload reads the payload of the message under way, whatever frames it comes
// in; io.EOF is its end. Other errors are in Conn.failure, too.
type payload Conn

// Read implements io.Reader.
func (p *payload) Read(dst []byte) (int, error) {
	c := (*Conn)(p)
	for c.rest == 0 {
		if c.final {
			return 0, io.EOF
		}
		if c.failure = c.nextFrame(); c.failure != nil {
			return 0, errFailed
		}
	}
	if c.in == nil || c.from == len(c.in.b) {
		if c.failure = c.fill(); c.failure != nil {
			return 0, errFailed
		}
	}
	n := copy(dst[:min(uint64(len(dst)), c.rest)], c.in.b[c.from:])
	c.from += n
	c.rest -= uint64(n)
	c.unmask(dst[:n])
	if c.length += int64(n); c.length > c.limit.Load() && c.packed {
		c.failure = ddp.ErrTooLong // a message that grows when it is compressed
		return 0, errFailed
	}
	return n, nil
}

// errFailed says that Conn.failure tells what happened.
var errFailed = errors.New("ws: the message cannot be read")

// nextFrame reads the header of the next frame that carries a part of a message,
// and deals with the control frames before it.
func (c *Conn) nextFrame() error {
	for {
		first, err := c.header()
		if err != nil {
			return err
		}
		switch kind := first &^ (wire.Compressed | 0x30); kind {
		case wire.Ping, wire.Pong, wire.Close:
			if err := c.control(kind); err != nil {
				return err
			}
			continue
		}
		c.final = first&0x80 != 0
		opcode := first & 0x0f
		switch {
		case opcode > 2:
			return c.protest("reserved opcode")
		case opcode == 0 && !c.open:
			return c.protest("continuation of nothing")
		case opcode != 0 && c.open:
			return c.protest("message within a message")
		case opcode != 0:
			c.open, c.kind, c.packed, c.length = true, 0x80|opcode, first&wire.Compressed != 0, 0
		}
		if limit := c.limit.Load(); !c.packed && c.rest > uint64(limit-c.length) {
			return ddp.ErrTooLong // what it announces needs not come first
		}
		return nil
	}
}

// header reads a frame's header and gives its first byte.
func (c *Conn) header() (first byte, err error) {
	if err = c.need(2); err != nil {
		return 0, err
	}
	first = c.in.b[c.from]
	second := c.in.b[c.from+1]
	control := first&0x08 != 0
	switch {
	case second&0x80 == 0:
		return 0, c.protest("frame without a mask")
	case first&0x30 != 0, first&wire.Compressed != 0 && (!c.deflate || control || first&0x0f == 0):
		return 0, c.protest("reserved bit")
	case control && first&0x80 == 0:
		return 0, c.protest("control frame in pieces")
	case control && second&0x7f > wire.MaxControl:
		return 0, c.protest("control frame too long")
	}
	size := 2
	switch second & 0x7f {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if err = c.need(size + len(c.mask)); err != nil {
		return 0, err
	}
	head := c.in.b[c.from:]
	switch size {
	case 2:
		c.rest = uint64(second & 0x7f)
	case 4:
		c.rest = uint64(binary.BigEndian.Uint16(head[2:]))
	default:
		if c.rest = binary.BigEndian.Uint64(head[2:]); c.rest>>63 != 0 {
			return 0, c.protest("length with the highest bit")
		}
	}
	copy(c.mask[:], head[size:])
	c.maskAt = 0
	c.from += size + len(c.mask)
	return first, nil
}

// need waits until n bytes lie in the buffer.
func (c *Conn) need(n int) error {
	for c.in == nil || len(c.in.b)-c.from < n {
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// control answers a control frame whose header was read.
func (c *Conn) control(kind byte) error {
	if err := c.need(int(c.rest)); err != nil {
		return err
	}
	var data []byte
	if c.rest > 0 {
		data = c.in.b[c.from : c.from+int(c.rest)]
		c.from += len(data)
		c.unmask(data)
		c.rest = 0
	}
	switch kind {
	case wire.Ping:
		c.receiver.Control(wire.Append(nil, wire.Pong, data))
	case wire.Pong:
		c.receiver.Alive()
	case wire.Close:
		return c.peerClosed(data)
	}
	return nil
}

// peerClosed answers a close frame with its own code.
func (c *Conn) peerClosed(data []byte) error {
	code := 0
	switch {
	case len(data) == 1:
		return c.protest("close frame with half a code")
	case len(data) > 1:
		code = int(binary.BigEndian.Uint16(data))
		if !mayClose(code) {
			return c.protest("reserved close code")
		}
		if !utf8.Valid(data[2:]) { // RFC 6455, 8.1
			c.receiver.Control(wire.AppendClose(nil, ddp.NotUTF8.Code(), "close text is not UTF-8"))
			return ddp.ErrFraming
		}
	}
	c.parted = true
	c.receiver.Control(wire.AppendClose(nil, code, ""))
	return io.EOF
}

// mayClose tells whether a peer may close with that code (RFC 6455, 7.4).
func mayClose(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1013 || code >= 3000 && code <= 4999
}

// protest tells a peer that breaks the protocol what is wrong.
func (c *Conn) protest(what string) error {
	const protocolError = 1002
	c.receiver.Control(wire.AppendClose(nil, protocolError, what))
	return ddp.ErrFraming
}

// unmask turns the next bytes of the payload, wherever they lie, into what the
// peer meant.
func (c *Conn) unmask(p []byte) {
	at := c.maskAt
	c.maskAt = (at + len(p)) & 3
	if len(p) >= 16 {
		var eight [8]byte
		for i := range eight {
			eight[i] = c.mask[(at+i)&3]
		}
		key := binary.LittleEndian.Uint64(eight[:])
		for len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^key)
			p = p[8:]
		}
	}
	for i := range p {
		p[i] ^= c.mask[(at+i)&3]
	}
}

// inflater reads a compressed message. Without context takeover none needs
// anything of the one before (RFC 7692, 7.1.1).
type inflater struct {
	io.ReadCloser
	tail strings.Reader
}

// inflaterSize is what an inflater holds in bytes.
const inflaterSize = 44 << 10

var inflaters = sync.Pool{New: func() any { return &inflater{ReadCloser: flate.NewReader(nil)} }}

// endOfMessage stands for the empty block that senders leave out (RFC 7692,
// 7.2.2), and then ends the stream.
const endOfMessage = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

func (i *inflater) reset(source io.Reader) io.Reader {
	i.tail.Reset(endOfMessage)
	_ = i.ReadCloser.(flate.Resetter).Reset(io.MultiReader(source, &i.tail), nil) // it does not fail
	return i
}

func (i *inflater) release() { inflaters.Put(i) }
