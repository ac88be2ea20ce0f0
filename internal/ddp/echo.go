package ddp

import (
	"net/http"
	"time"
)

// EchoOptions configure EchoHandler.
type EchoOptions struct {
	// Limit is the longest message in bytes; 0 means 64 MiB.
	Limit int
	// CompressAbove is as in Options.
	CompressAbove int
}

// EchoHandler upgrades every request and sends each message back, text as text
// and binary as binary, through the same wsConn and outbox that sessions use.
// It is for conformance suites and for measuring, not for the open internet: it
// checks no origin and counts no addresses.
func EchoHandler(o EchoOptions) http.Handler {
	if o.Limit == 0 {
		o.Limit = 64 << 20
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := upgrade(w, r, o.CompressAbove > 0)
		if c == nil {
			return
		}
		out := &outbox{owner: c, limit: 2*o.Limit + 1<<20}
		if c.sock.deflate {
			out.compress = o.CompressAbove
		}
		c.attach(out)
		c.SetReadLimit(o.Limit)
		c.wait = 10 * time.Second
		go c.echo()
	})
}

func (c *wsConn) echo() {
	for {
		c.await()
		text, err := c.ReadFrame()
		if err != nil {
			return
		}
		b := getBuffer()
		first := byte(opText)
		if c.binary {
			first = opBinary
		}
		b.b = appendFrame(b.b, first, text)
		if n := c.out.compress; n > 0 && len(text) >= n {
			b.b = deflateFrame(b.b, 0)
		}
		if reason, ok := c.out.add(b); !ok {
			c.lost(reason)
		}
	}
}
