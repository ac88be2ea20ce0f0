//go:build unix

package ddp

import (
	"io"
	"syscall"
)

// sysio reads and writes a descriptor directly. The functions are made once for
// each connection, and their arguments travel in fields, so that neither
// allocates. One goroutine reads, one at a time writes.
type sysio struct {
	reader, writer func(fd uintptr) bool

	in    *buffer
	inErr error

	out    []byte
	outN   int
	outErr error

	c *wsConn // told before it waits for bytes; nil during the handshake
}

func (s *sysio) init() { s.reader, s.writer = s.doRead, s.doWrite }

// attach sets who is told.
func (s *sysio) attach(c *wsConn) { s.c = c }

func (s *sysio) usable() bool { return s.reader != nil }

// read waits for bytes and returns them in a pooled buffer. While it waits no
// buffer is held.
func (s *sysio) read(raw syscall.RawConn) (*buffer, error) {
	if err := raw.Read(s.reader); err != nil {
		return nil, err
	}
	b, err := s.in, s.inErr
	s.in, s.inErr = nil, nil
	return b, err
}

func (s *sysio) doRead(fd uintptr) bool {
	b := readBuffers.Get().(*buffer)
	for {
		n, err := syscall.Read(int(fd), b.b[:cap(b.b)])
		switch {
		case n > 0:
			b.b = b.b[:n]
			s.in = b
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			readBuffers.Put(b)
			if s.c != nil {
				s.c.waits()
			}
			return false
		case err == nil:
			err = io.EOF
		}
		readBuffers.Put(b)
		s.inErr = err
		return true
	}
}

// write writes what the descriptor takes at once.
func (s *sysio) write(raw syscall.RawConn, p []byte) (int, error) {
	s.out, s.outN, s.outErr = p, 0, nil
	err := raw.Write(s.writer)
	s.out = nil
	if err == nil {
		err = s.outErr
	}
	return s.outN, err
}

func (s *sysio) doWrite(fd uintptr) bool {
	for s.outN < len(s.out) {
		n, err := syscall.Write(int(fd), s.out[s.outN:])
		if n > 0 {
			s.outN += n
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			s.outErr = err
			return true
		}
	}
	return true
}
