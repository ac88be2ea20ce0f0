package ddp

import (
	"sync"
	"time"
)

// wheel is the one clock of all sessions: handshake deadlines and heartbeats
// (docs/wire/ddp.md A6). One goroutine turns it while there are sessions; what is
// due comes in batches, a little early rather than late.
type wheel struct {
	srv  *Server
	tick time.Duration

	mu      sync.Mutex
	slots   []*Session // each the head of a list through Session.timer
	now     int        // the slot that was due last
	count   int        // sessions in the wheel or being rung
	turning bool
}

// entry is a session's place in the wheel; guarded by the wheel's lock but for
// pinging, which is the turning goroutine's own.
type entry struct {
	next, prev *Session
	slot       int32
	in, dead   bool
	pinging    bool
}

func (w *wheel) init(s *Server) {
	w.srv = s
	l := s.limits
	longest := max(l.Handshake, l.HeartbeatInterval, l.HeartbeatTimeout)
	shortest := l.Handshake
	if l.HeartbeatInterval > 0 {
		shortest = min(shortest, l.HeartbeatInterval, l.HeartbeatTimeout)
	}
	w.tick = min(max(shortest/30, time.Millisecond), 500*time.Millisecond)
	w.slots = make([]*Session, longest/w.tick+2)
}

// set rings the session after d, instead of when it was set for before.
func (w *wheel) set(s *Session, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &s.timer
	if e.dead {
		return
	}
	if e.in {
		w.unlink(s)
	} else {
		w.count++
	}
	w.link(s, d)
	if !w.turning {
		w.turning = true
		w.srv.done.Add(1)
		go w.turn()
	}
}

func (w *wheel) link(s *Session, d time.Duration) {
	ticks := max(int(d/w.tick), 1)
	slot := (w.now + ticks) % len(w.slots)
	e := &s.timer
	e.in, e.slot, e.prev, e.next = true, int32(slot), nil, w.slots[slot]
	if e.next != nil {
		e.next.timer.prev = s
	}
	w.slots[slot] = s
}

func (w *wheel) unlink(s *Session) {
	e := &s.timer
	if e.prev != nil {
		e.prev.timer.next = e.next
	} else {
		w.slots[e.slot] = e.next
	}
	if e.next != nil {
		e.next.timer.prev = e.prev
	}
	e.in, e.next, e.prev = false, nil, nil
}

// remove takes the session out for good.
func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.timer.in {
		w.unlink(s)
		w.count--
	}
	s.timer.dead = true
}

// turn runs until the wheel is empty or the server stops.
func (w *wheel) turn() {
	defer w.srv.done.Done()
	t := time.NewTicker(w.tick)
	defer t.Stop()
	start, turned := time.Now(), 0
	var due []*Session
	for {
		select {
		case <-t.C:
		case <-w.srv.ctx.Done(): // the sessions are being ended
			return
		}
		// A late ticker drops ticks: go by the clock.
		for target := int((time.Since(start) + w.tick/2) / w.tick); turned < target; turned++ {
			w.mu.Lock()
			w.now = (w.now + 1) % len(w.slots)
			for s := w.slots[w.now]; s != nil; s = w.slots[w.now] {
				w.unlink(s)
				w.count--
				due = append(due, s)
			}
			w.mu.Unlock()
			for _, s := range due {
				s.ring()
			}
			clear(due)
			due = due[:0]
		}
		w.mu.Lock()
		if w.count == 0 {
			w.turning = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

// heartbeat starts the heartbeat in place of the handshake's deadline. Version
// pre1 has none: there the pings are the WebSocket's own, which every client
// answers without knowing. Other transports find vanished peers themselves.
func (s *Session) heartbeat() {
	w, _ := s.conn.(*wsConn)
	if s.srv.limits.HeartbeatInterval < 0 || s.version == pre1 && w == nil {
		s.srv.wheel.remove(s)
		return
	}
	if s.version == pre1 {
		w.ws.SetPongHandler(w.ponged)
	}
	s.srv.wheel.set(s, s.srv.limits.HeartbeatInterval)
}

// ring is the wheel's call.
func (s *Session) ring() {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	l, e := &s.srv.limits, &s.timer
	switch {
	case !live:
		s.end(NoHandshake)
	case s.seen.Swap(false):
		e.pinging = false
		s.srv.wheel.set(s, l.HeartbeatInterval)
	case e.pinging:
		s.end(NoHeartbeat)
	default:
		e.pinging = true
		f := s.frames()
		if s.version == pre1 {
			f.b = appendFrame(f.b, opPing, nil)
		} else {
			f.ping()
		}
		s.put(f.buffer)
		s.out.flush(true)
		s.srv.wheel.set(s, l.HeartbeatTimeout)
	}
}
