package ddp

import "time"

// itemCost is what a message in the queue costs besides its text, in bytes.
const itemCost = 512

// What a session holds of received messages is counted: half read, queued, and
// in calls that run. What does not fit is not read, so that it stays with who
// sends it. FreeBuffer bytes in the reader's hand are not counted.

// intake is the session as the Receiver of its Conn.
type intake Session

var _ Receiver = (*intake)(nil)

// Waiting implements Receiver.
func (r *intake) Waiting() {
	s := (*Session)(r)
	s.rested()
	s.out.flush(true)
}

// Received implements Receiver.
func (r *intake) Received(n int) {
	s := (*Session)(r)
	s.out.flush(true)
	s.yield(n)
}

// Grow implements Receiver.
func (r *intake) Grow(n int) bool {
	s := (*Session)(r)
	s.yield(n)
	if !s.reserve(n, false) {
		return false
	}
	s.hand += n
	return true
}

// Control implements Receiver.
func (r *intake) Control(frame []byte) {
	s := (*Session)(r)
	s.out.control(frame)
	s.yield(turnEach)
}

// Alive implements Receiver.
func (r *intake) Alive() {
	s := (*Session)(r)
	s.seen.Store(true)
	s.yield(turnEach)
}

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
	limits := &s.srv.limits
	if queue && len(s.queue) >= limits.QueuedFrames {
		return false
	}
	most := limits.FrameBefore
	if s.loggedIn.Load() {
		most = limits.FrameAfter
	}
	return n == 0 || s.in == 0 || s.in+n <= most+limits.ReceivedBytes
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

// own copies the item's text, counted: the Conn uses its memory again. What the
// message was counted for in the reader's hand goes on. False when there was no
// room in time.
func (s *Session) own(it *item) bool {
	it.cost = itemCost + len(it.text)
	counted := min(s.hand, it.cost)
	if !s.reserve(it.cost-counted, true) {
		return false
	}
	s.hand -= counted
	it.text = append([]byte(nil), it.text...)
	return true
}

// letGo gives back what the message in the reader's hand was counted for.
func (s *Session) letGo() {
	if s.hand > 0 {
		s.mu.Lock()
		s.release(s.hand)
		s.mu.Unlock()
		s.hand = 0
	}
}

// turn is how many bytes a session may have read, messages counted for turnEach
// more, before others get their turn. A turn lasts at most turnTime: it is given
// back when there is nothing to read.
const (
	turn     = 16 << 10
	turnEach = 256
	turnTime = 100 * time.Millisecond
)

// yield lets others run after a while. Who floods always has bytes waiting, so
// its reader would run until it is preempted, ten milliseconds, and two hundred
// of them make everybody's ping wait for two hundred times that. From then on,
// until there is nothing to read, it works in its turns (budget.Account.Turn):
// letting others run would not do, as two hundred that are ready to run keep the
// processors from looking for what came over the network.
func (s *Session) yield(n int) {
	if s.read += n; s.read > turn {
		s.read = 0
		s.takeTurn()
	}
}

// takeTurn waits for the next turn of the reader, which uses no more of it than it
// takes to deal with what it has.
func (s *Session) takeTurn() {
	s.endTurn()
	s.done = s.srv.budget.Turn(turnTime)
}

// rested says that there was nothing to read, or that the reader will wait.
func (s *Session) rested() {
	s.read = 0
	s.endTurn()
}

func (s *Session) endTurn() {
	if s.done != nil {
		s.done()
		s.done = nil
	}
}
