//go:build !unix

package ddp

import "syscall"

// sysio is not available here: reads wait in the library's buffer and writes are
// the flusher's.
type sysio struct{}

func (*sysio) init()                                      {}
func (*sysio) attach(*wsConn)                             {}
func (*sysio) usable() bool                               { return false }
func (*sysio) read(syscall.RawConn) (*buffer, error)      { return nil, nil }
func (*sysio) write(syscall.RawConn, []byte) (int, error) { return 0, nil }
