//go:build unix

package ws

import (
	"io"
	"syscall"
)

// rawIO reads and writes a descriptor directly: a read waits without a buffer, a
// write does not wait. The functions are made once for each connection, and
// their arguments travel in fields, so that neither allocates. One goroutine
// reads, one at a time writes.
type rawIO struct {
	c              *Conn
	reader, writer func(fd uintptr) bool

	readErr  error
	out      []byte
	written  int
	writeErr error
}

// useRaw lets the connection read and write without the runtime's buffers, where
// it can.
func (c *Conn) useRaw() {
	if sc, ok := c.net.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw, c.rawIO.c = raw, c
			c.rawIO.reader, c.rawIO.writer = c.rawIO.tryRead, c.rawIO.tryWrite
		}
	}
}

// read waits for bytes and appends them to the connection's buffer, which it
// makes if there is none.
func (r *rawIO) read(raw syscall.RawConn) error {
	if err := raw.Read(r.reader); err != nil {
		return err
	}
	return r.readErr
}

// tryRead returns false when there is nothing to read: it is called again when
// there may be.
func (r *rawIO) tryRead(fd uintptr) bool {
	b := r.c.in
	if b == nil {
		b = readBuffers.Get().(*buffer)
		b.b = b.b[:0]
	}
	for {
		n, err := syscall.Read(int(fd), b.b[len(b.b):cap(b.b)])
		switch {
		case n > 0:
			b.b = b.b[:len(b.b)+n]
			r.c.in = b
			return true
		case err == syscall.EINTR:
			continue
		}
		if r.c.in == nil {
			readBuffers.Put(b)
		}
		if err == syscall.EAGAIN {
			r.c.receiver.Waiting()
			return false
		}
		if r.readErr = err; err == nil {
			r.readErr = io.EOF
		}
		return true
	}
}

// write writes what the descriptor takes at once.
func (r *rawIO) write(raw syscall.RawConn, p []byte) (int, error) {
	r.out, r.written, r.writeErr = p, 0, nil
	err := raw.Write(r.writer)
	r.out = nil
	if err == nil {
		err = r.writeErr
	}
	return r.written, err
}

func (r *rawIO) tryWrite(fd uintptr) bool {
	for r.written < len(r.out) {
		n, err := syscall.Write(int(fd), r.out[r.written:])
		if n > 0 {
			r.written += n
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			r.writeErr = err
			return true
		}
	}
	return true
}
