//go:build !unix

package ws

import "syscall"

// rawIO is not available here: reads wait with a small buffer, and every write
// is the engine's flusher's.
type rawIO struct{}

func (c *Conn) useRaw() {}

func (*rawIO) read(syscall.RawConn) error                 { return nil }
func (*rawIO) write(syscall.RawConn, []byte) (int, error) { return 0, nil }
