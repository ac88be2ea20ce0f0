package ddp

import (
	"bytes"
	"encoding/binary"
	"net"
	"syscall"

	"github.com/gorilla/websocket"
)

// socket is the network connection below a wsConn. Its reads use a pooled
// buffer that is held only while bytes are there, and let out what is queued
// before they wait. Its writes can be tried without waiting, where the system
// has that (see socket_unix.go).
type socket struct {
	net.Conn
	c       *wsConn // nil during the handshake
	raw     syscall.RawConn
	ahead   *buffer // read from the system, not yet by the library
	from    int
	deflate bool  // negotiated
	failed  bool  // the network failed
	err     error // with which it did, found by await
	protest bool  // the library wrote a close frame for a protocol error

	sys     sysio
	headers tracker
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.sys.init()
		}
	}
	return s
}

// Read implements net.Conn for the library.
func (s *socket) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.ahead == nil {
		if s.c != nil {
			s.c.out.flush(true)
		}
		if !s.sys.usable() {
			if s.c != nil {
				s.c.waits()
			}
			n, err := s.Conn.Read(p)
			s.failed = s.failed || err != nil
			s.headers.pass(p[:n])
			return n, err
		}
		b, err := s.sys.read(s.raw)
		if err != nil {
			s.failed = true
			return 0, err
		}
		s.ahead, s.from = b, 0
		s.headers.pass(b.b)
	}
	n := copy(p, s.ahead.b[s.from:])
	if s.from += n; s.from == len(s.ahead.b) {
		readBuffers.Put(s.ahead)
		s.ahead = nil
	}
	return n, nil
}

// await waits until there is something to read, unless the library may have
// bytes already. It is called from the shallow end of the reader's stack, so
// that a waiting connection needs the smallest stack there is.
func (s *socket) await(messages uint32) {
	if s.ahead != nil || s.err != nil || !s.sys.usable() || !s.headers.quiet(messages) {
		return
	}
	b, err := s.sys.read(s.raw)
	if err != nil {
		s.err, s.failed = err, true
		return
	}
	s.ahead, s.from = b, 0
	s.headers.pass(b.b)
}

// badCloseText is what the library answers, with code 1002, to a close frame
// whose reason is not UTF-8.
const badCloseText = "invalid utf8 payload in close frame"

// Write implements net.Conn for the library, which writes the answer to the
// handshake and, later, close frames for protocol errors.
func (s *socket) Write(p []byte) (int, error) {
	if s.c == nil {
		return s.Conn.Write(p)
	}
	s.protest = true
	if s.c.closeSent.Swap(true) {
		return len(p), nil
	}
	b := getBuffer()
	b.b = append(b.b, p...)
	if bytes.HasSuffix(p, []byte(badCloseText)) { // RFC 6455, 8.1: 1007
		binary.BigEndian.PutUint16(b.b[2:], websocket.CloseInvalidFramePayloadData)
	}
	s.c.out.add(b)
	s.c.out.flush(true)
	return len(p), nil
}

// try writes what the system takes without waiting; nothing where that cannot
// be done.
func (s *socket) try(p []byte) (int, error) {
	if !s.sys.usable() {
		return 0, nil
	}
	return s.sys.write(s.raw, p)
}

// closeWrite ends our half of the connection, or all where there are no halves.
func (s *socket) closeWrite() {
	if h, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
		return
	}
	_ = s.Conn.Close()
}
