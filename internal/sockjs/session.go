package sockjs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

// errGone ends a Write whose peer will not come back.
var errGone = errors.New("sockjs: the peer is gone")

// defaultReadLimit holds until the engine sets its own.
const defaultReadLimit = 64 << 10

// phase is how far a polling session is.
type phase uint8

const (
	fresh  phase = iota // no receiver got the open frame yet
	open                // the engine runs
	closed              // ended by the server; receivers get the close frame
	gone                // forgotten
)

// session is a polling session and the engine's ddp.Conn for it. The engine
// reads what senders post and hands over what receivers fetch; there is no
// queue: Write waits until a receiver has sent its messages.
//
// All waiting is on cond, whose lock guards everything below it. Neither the
// handler's lock is taken inside it nor the other way round.
type session struct {
	h     *Handler
	name  string
	owner owner
	peer  *rpc.Peer
	leave func() // gives the engine's place for the address back
	limit atomic.Int64
	held  budget.Holding // the inbox, and the message the engine has in hand
	stand stand          // among the handler's sessions; guarded by its lock

	mu       sync.Mutex
	cond     sync.Cond
	phase    phase
	inbox    [][]byte // posted, not yet read
	waiting  int      // bytes of inbox
	given    int      // bytes of the message the engine has in hand
	posting  int      // requests that send
	out      []byte   // the frame Write waits for; nil for none
	last     []byte   // the close frame, once closed
	receiver *receiving
	timer    *time.Timer // runs while there is no receiver
}

// owner tells who may use a session: whoever opened it.
type owner struct{ address, agent string }

var _ ddp.Conn = (*session)(nil)

// session finds a session, or makes one when create. Without one the status
// says why: 404 for a stranger or none, 503 when there are too many.
func (h *Handler) session(name string, r *http.Request, create bool) (*session, int) {
	peer := h.o.Peer(r)
	who := owner{peer.Address, peer.UserAgent}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[name]; s != nil {
		if s.owner != who {
			return nil, http.StatusNotFound
		}
		return s, 0
	}
	if !create {
		return nil, http.StatusNotFound
	}
	if h.stopped {
		return nil, http.StatusServiceUnavailable
	}
	leave, ok := h.o.Engine.Admit(peer.Address) // first: nobody has to go for who is refused
	if !ok {
		return nil, http.StatusServiceUnavailable
	}
	if len(h.sessions) >= h.o.Sessions && !h.evict(netkey.Of(peer.Address)) {
		leave()
		return nil, http.StatusServiceUnavailable
	}
	own := *peer
	own.Door = rpc.SockJS
	s := &session{h: h, name: name, owner: who, peer: &own, leave: leave}
	s.cond.L = &s.mu
	s.held.Account, s.held.Network = h.o.Budget, netkey.Of(peer.Address)
	s.limit.Store(defaultReadLimit)
	h.sessions[name] = s
	h.shares.enter(s, netkey.Of(peer.Address))
	return s, 0
}

// forget frees the session's name, if it is still its own.
func (h *Handler) forget(s *session) {
	h.mu.Lock()
	h.strike(s)
	h.mu.Unlock()
}

// strike is forget with the lock held.
func (h *Handler) strike(s *session) {
	if h.sessions[s.name] == s {
		delete(h.sessions, s.name)
		h.shares.leave(s)
	}
}

// Connected implements the engine's wish to say so.
func (s *session) Connected() {
	s.h.mu.Lock()
	s.h.shares.connected(s)
	s.h.mu.Unlock()
}

// serve lets the engine in; the open frame has been sent.
func (s *session) serve() {
	defer s.h.done.Done()
	defer s.leave()
	s.h.o.Engine.Serve(s, s.peer)
}

// Finish implements ddp.Conn. An engine that left without closing is done with
// it all the same.
func (s *session) Finish() {
	_ = s.Close(1000, "Normal closure")
	s.mu.Lock()
	s.handBack()
	s.mu.Unlock()
}

// ReadFrame implements ddp.Conn.
func (s *session) ReadFrame(r ddp.Receiver) ([]byte, error) {
	s.mu.Lock()
	s.handBack()
	m := s.take()
	if m == nil && s.phase < closed {
		s.mu.Unlock()
		r.Waiting() // the engine may close the session now, which takes the lock
		s.mu.Lock()
	}
	for ; m == nil && s.phase < closed; m = s.take() {
		if len(s.inbox) == 0 {
			s.cond.Wait()
		}
	}
	s.mu.Unlock()
	if m == nil {
		return nil, io.EOF
	}
	r.Received(len(m))
	if len(m) > int(s.limit.Load()) {
		return nil, ddp.ErrTooLong
	}
	return m, nil
}

// take is the oldest message of the inbox, nil when there is none or the session
// is over. s.mu is held.
func (s *session) take() []byte {
	if len(s.inbox) == 0 || s.phase >= closed {
		return nil
	}
	m := s.inbox[0]
	s.inbox[0] = nil
	if s.inbox = s.inbox[1:]; len(s.inbox) == 0 {
		s.inbox = nil
	}
	s.waiting -= len(m) + messageCost
	s.given = len(m) + messageCost
	s.cond.Broadcast()
	return m
}

// messageCost is what a posted message costs besides its text, in bytes: a body
// may consist of many tiny ones.
const messageCost = 64

// handBack uncounts the message that was given out. s.mu is held.
func (s *session) handBack() {
	s.held.Shrink(s.given)
	s.given = 0
}

// empty throws the inbox away. s.mu is held.
func (s *session) empty() {
	s.held.Shrink(s.waiting)
	s.inbox, s.waiting = nil, 0
}

// maxPosting is how many requests may send to one session at once; clients use
// one.
const maxPosting = 4

// post counts a request that sends; false when there are too many. It may be
// called without a session.
func (s *session) post() bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posting >= maxPosting {
		return false
	}
	s.posting++
	return true
}

// posted is the end of such a request.
func (s *session) posted() {
	if s != nil {
		s.mu.Lock()
		s.posting--
		s.mu.Unlock()
	}
}

// SetReadLimit implements ddp.Conn.
func (s *session) SetReadLimit(bytes int) { s.limit.Store(int64(bytes)) }

// batch is how many bytes of messages share a frame at most, unless one alone is
// longer: a frame is a second copy of what it holds.
const batch = 128 << 10

// Write implements ddp.Conn: it waits until a receiver has sent the messages, at
// most until the session is dropped for having no receiver. Without waiting it
// takes nothing.
func (s *session) Write(p []byte, wait bool) (int, error) {
	if !wait {
		return 0, nil
	}
	messages := slices.Collect(wire.Messages(p))
	for len(messages) > 0 {
		n, bytes := 1, len(messages[0])
		for n < len(messages) && bytes+len(messages[n]) <= batch {
			bytes += len(messages[n])
			n++
		}
		if err := s.writeFrame(messages[:n]); err != nil {
			return 0, err
		}
		messages = messages[n:]
	}
	return len(p), nil
}

func (s *session) writeFrame(messages [][]byte) error {
	b := getBuffer()
	defer putBuffer(b)
	*b = appendMessages((*b)[:0], messages)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= closed {
		return errGone
	}
	s.out = *b
	s.wake()
	for s.out != nil && s.phase < closed {
		s.cond.Wait()
	}
	// A receiver that is just writing the frame still uses the buffer.
	for s.receiver != nil && s.receiver.writing {
		s.cond.Wait()
	}
	if s.out != nil {
		s.out = nil
		return errGone
	}
	return nil
}

// Close implements ddp.Conn. A receiver gets the close frame at once, or the
// next one within DisconnectDelay.
func (s *session) Close(code int, reason string) error {
	s.mu.Lock()
	s.close(code, reason)
	s.mu.Unlock()
	return nil
}

// close is Close with s.mu held.
func (s *session) close(code int, reason string) {
	if s.phase >= closed {
		return
	}
	s.phase = closed
	s.last = closeFrame(code, reason)
	s.empty()
	s.cond.Broadcast()
	s.wake()
	s.arm(s.h.o.DisconnectDelay)
}

// drop ends the session without a word: nobody listens any more.
func (s *session) drop() {
	s.h.forget(s)
	s.mu.Lock()
	unborn := s.phase == fresh
	s.phase = gone
	s.empty()
	s.cond.Broadcast()
	s.wake()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	if unborn {
		s.leave()
	}
}

// toldDelay is how long a closed session is remembered whose client knows: a request
// of it that was under way meanwhile still finds out that the session is closed, and
// not that it never was.
const toldDelay = 5 * time.Second

// arm starts the time after which a session without a receiver is dropped.
// s.mu is held.
func (s *session) arm(delay time.Duration) {
	if s.receiver != nil || s.phase == gone {
		return
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(delay, s.expire)
		return
	}
	s.timer.Reset(delay)
}

func (s *session) expire() {
	s.mu.Lock()
	taken := s.receiver != nil || s.phase == gone
	s.mu.Unlock()
	if !taken {
		s.drop()
	}
}

// wake tells the receiver to look. s.mu is held.
func (s *session) wake() {
	if s.receiver != nil {
		select {
		case s.receiver.wake <- struct{}{}:
		default:
		}
	}
}

// accept takes posted messages, in order. It waits while more is unread than
// the longest message the engine takes, so that a flood stays with its sender.
func (s *session) accept(ctx context.Context, messages posts) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := messages.next(); m != nil; m = messages.next() {
		for s.phase < closed && len(s.inbox) > 0 && s.waiting+len(m) > int(s.limit.Load()) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.cond.Wait()
		}
		// While the open frame is on its way the client may know more than we do.
		if s.phase == gone || s.phase == fresh && s.receiver == nil {
			return errGone
		}
		if s.phase == closed {
			return nil // the next receiver will learn that it is over
		}
		s.inbox = append(s.inbox, m)
		s.waiting += len(m) + messageCost
		s.held.Force(len(m) + messageCost) // bounded by the longest message
		s.cond.Broadcast()
	}
	return nil
}
