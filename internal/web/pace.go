package web

import (
	"context"
	"net"
	"net/http"
	"time"
)

// A connection that makes more than so many requests in that time works in turns
// (Options.Turn) for the rest of it, so that two hundred of them leave half
// of the processors to everybody else.
const (
	ordinary = 64
	paceTime = time.Second
)

// pace counts a connection's requests, which are served one after another.
type pace struct {
	since time.Time
	n     int
}

type paceKey struct{}

func withPace(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, paceKey{}, &pace{})
}

// turn waits until the request may be served; done is its end.
func (s *Server) turn(r *http.Request) (done func()) {
	p, _ := r.Context().Value(paceKey{}).(*pace)
	if p == nil || s.opts.Turn == nil {
		return func() {}
	}
	if now := time.Now(); now.Sub(p.since) > paceTime {
		p.since, p.n = now, 0
	}
	if p.n++; p.n <= ordinary {
		return func() {}
	}
	return s.opts.Turn()
}
