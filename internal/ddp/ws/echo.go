package ws

import (
	"net/http"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
)

// EchoOptions configure EchoHandler.
type EchoOptions struct {
	// Limit is the longest message in bytes; 0 means 64 MiB.
	Limit int
	// CompressAbove is as in Options.
	CompressAbove int
}

// EchoHandler upgrades every request and sends each message back, text as text
// and binary as binary, over the Conn that sessions use. It is for conformance
// suites and for measuring, not for the open internet: it checks no origin and
// counts nothing.
func EchoHandler(o EchoOptions) http.Handler {
	if o.Limit == 0 {
		o.Limit = 64 << 20
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := upgrade(w, r, o.CompressAbove > 0)
		if c == nil {
			return
		}
		c.SetReadLimit(o.Limit)
		c.wait, c.linger = 10*time.Second, time.Second
		go (&echo{c: c, compressAbove: o.CompressAbove}).run()
	})
}

// echo is the Receiver of a connection without a session.
type echo struct {
	c             *Conn
	compressAbove int
	out           []byte // framed, not sent yet
	closed        bool
}

func (e *echo) run() {
	for {
		text, err := e.c.ReadFrame(e)
		if err != nil {
			e.finish(err)
			return
		}
		at := len(e.out)
		e.out = wire.Append(e.out, e.c.kind, text)
		if e.c.deflate && e.compressAbove > 0 && len(text) >= e.compressAbove {
			e.out = wire.Deflate(e.out, at)
		}
		if len(e.out) > largestWrite {
			e.Waiting()
		}
	}
}

// finish ends the connection because of an error of ReadFrame.
func (e *echo) finish(err error) {
	if reason := ddp.ReasonOf(err); reason != ddp.PeerLeft {
		e.Control(wire.AppendClose(nil, reason.Code(), reason.Text()))
	}
	e.Waiting()
	_ = e.c.Close(0, "")
	e.c.Finish()
}

// Waiting implements ddp.Receiver. A failed write ends the reading, too.
func (e *echo) Waiting() {
	if len(e.out) > 0 {
		_, _ = e.c.Write(e.out, true)
		e.out = e.out[:0]
	}
}

// Received implements ddp.Receiver.
func (e *echo) Received(int) {}

// Grow implements ddp.Receiver.
func (e *echo) Grow(int) bool { return true }

// Control implements ddp.Receiver.
func (e *echo) Control(frame []byte) {
	if !e.closed {
		e.closed = frame[0] == wire.Close
		e.out = append(e.out, frame...)
	}
}

// Alive implements ddp.Receiver.
func (e *echo) Alive() {}
