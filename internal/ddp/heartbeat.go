package ddp

import (
	"time"

	"ddpserver/internal/ddp/wire"
)

// The handshake's deadline and the heartbeats (docs/wire/ddp.md A6) of a session
// are one timer of the runtime, which is set again each time it fires.

// startTimer starts the handshake's deadline. The timer finds itself in its
// place even when it fires at once.
func (s *Session) startTimer() {
	s.mu.Lock()
	s.timer = time.AfterFunc(s.srv.limits.Handshake, s.tick)
	s.mu.Unlock()
}

// timersAlign is the grid on which timers fire: those of many sessions fire together
// then, which spares a sleeping server most of its wake-ups.
const timersAlign = 500 * time.Millisecond

// setTimer lets the timer fire after d, a little earlier rather than later, instead
// of when it was set for before.
func (s *Session) setTimer(d time.Duration) {
	if d >= 10*timersAlign {
		now := time.Now()
		d = now.Add(d).Truncate(timersAlign).Sub(now)
	}
	s.mu.Lock()
	if !s.ended && s.timer != nil {
		s.timer.Reset(d)
	}
	s.mu.Unlock()
}

// stopTimer stops it for good. The caller holds the lock.
func (s *Session) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// heartbeat starts the heartbeat in place of the handshake's deadline. Version
// pre1 has none: there the pings are the WebSocket's own, which every client
// answers without knowing.
func (s *Session) heartbeat() {
	if s.srv.limits.HeartbeatInterval < 0 || s.version == pre1 && !s.pings {
		s.mu.Lock()
		s.stopTimer()
		s.mu.Unlock()
		return
	}
	s.setTimer(s.srv.limits.HeartbeatInterval)
}

// tick is the timer's call.
func (s *Session) tick() {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	limits := &s.srv.limits
	switch {
	case !live:
		s.end(NoHandshake)
	case s.seen.Swap(false):
		s.pinging = false
		s.setTimer(limits.HeartbeatInterval)
	case s.pinging:
		s.end(NoHeartbeat)
	default:
		s.pinging = true
		f := s.frames()
		if s.version == pre1 {
			f.b = wire.Append(f.b, wire.Ping, nil)
		} else {
			f.ping()
		}
		s.put(f.buffer)
		s.out.flush(true)
		s.setTimer(limits.HeartbeatTimeout)
	}
}
