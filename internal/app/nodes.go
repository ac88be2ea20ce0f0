package app

import (
	"sync"
	"time"

	"ddpserver/internal/realtime"
)

// pulse reckons how many messages come in a second.
type pulse struct {
	mu     sync.Mutex
	at     time.Time
	frames uint64
	rate   int
}

// beat takes the messages so far and returns those of a second, of the last second or more.
func (p *pulse) beat(now time.Time, frames uint64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch gone := now.Sub(p.at); {
	case p.at.IsZero():
		p.at, p.frames = now, frames
	case gone >= time.Second:
		p.rate = int(float64(frames-p.frames) / gone.Seconds())
		p.at, p.frames = now, frames
	}
	return p.rate
}

// hello is what this node tells the others of itself.
func (a *App) hello() realtime.Hello {
	h := realtime.Hello{Name: a.node, Version: a.opts.Version, Since: a.started.UnixMilli()}
	if a.ddp != nil { // nil until the doors are made
		s := a.ddp.Stats()
		h.Sessions, h.Messages = int(s.Sessions), a.pulse.beat(time.Now(), uint64(s.Frames))
	}
	return h
}
