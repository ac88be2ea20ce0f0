package ddp

import "time"

// itemCost is what a message in the queue costs besides its text, in bytes.
const itemCost = 512

// What a session holds of received messages is counted: half read, queued, and
// in calls that run. What does not fit is not read, so that it stays with who
// sends it. A message of up to freeBuffer bytes in the reader's hand is not
// counted: it is a part of what a connection costs.

// reserve waits until n more bytes fit, and counts them; with queue set there
// must be a place in the queue, too. False says that the session has ended, or
// does so now because it stood still for too long.
func (s *Session) reserve(n int, queue bool) bool {
	s.mu.Lock()
	ok := s.fits(n, queue) && s.held.Grow(n)
	if ok {
		s.in += n
	}
	s.mu.Unlock()
	return ok || s.stall(n, queue)
}

// fits tells whether the session may hold n bytes more. The caller holds the
// lock.
func (s *Session) fits(n int, queue bool) bool {
	l := &s.srv.limits
	if queue && len(s.queue) >= l.QueuedFrames {
		return false
	}
	most := l.FrameBefore
	if s.loggedIn.Load() {
		most = l.FrameAfter
	}
	return n == 0 || s.in == 0 || s.in+n <= most+l.ReceivedBytes
}

// stall is reserve that waits, with nothing read meanwhile.
func (s *Session) stall(n int, queue bool) bool {
	s.rested()
	s.out.flush(true)
	patience := time.NewTimer(s.srv.limits.Stalled)
	defer patience.Stop()
	for {
		// Only who wants for room among all is woken when any room comes: a hundred
		// that wait for themselves would else be woken by everybody's every message.
		var freed <-chan struct{}
		s.mu.Lock()
		if s.ended || s.draining && queue {
			s.mu.Unlock()
			return false
		}
		reason := TooManyPending
		if s.fits(n, queue) {
			freed = s.held.Freed()
			if s.held.Grow(n) {
				s.in += n
				s.mu.Unlock()
				return true
			}
			reason = OverBudget
		}
		room := make(chan struct{})
		s.room, s.wanted = room, n
		s.mu.Unlock()
		select {
		case <-room:
		case <-freed:
		case <-patience.C:
			if reason == OverBudget {
				s.held.Refuse()
			}
			s.end(reason)
			return false
		}
	}
}

// release gives n bytes back. The caller holds the lock.
func (s *Session) release(n int) {
	s.in -= n
	s.held.Shrink(n)
	s.makeRoom()
}

// makeRoom wakes the reader once it is worth it. The caller holds the lock.
func (s *Session) makeRoom() {
	if s.room == nil {
		return
	}
	if s.ended || s.draining || len(s.queue) == 0 || len(s.queue) <= s.srv.limits.QueuedFrames/2 && s.fits(s.wanted, false) {
		close(s.room)
		s.room = nil
	}
}

// own makes the item's text its own, counted: a large message leaves the
// reader's hand as it is, a small one is copied and the reader's buffer freed,
// one from a Conn is the engine's already. False when there was no room in time.
func (s *Session) own(it *item) bool {
	w, _ := s.conn.(*wsConn)
	if w == nil || it.text == nil {
		it.cost = itemCost + len(it.text)
		return s.reserve(it.cost, true)
	}
	whole := cap(w.msg.b) > keepBuffer
	it.cost = itemCost + len(it.text)
	if whole {
		it.cost = itemCost + w.counted
	}
	more := it.cost - w.counted // what the buffer was counted for goes on
	if !s.reserve(max(more, 0), true) {
		return false
	}
	w.counted = max(-more, 0)
	if whole {
		w.msg = nil
		return true
	}
	it.text = append([]byte(nil), it.text...)
	w.letGo()
	return true
}
