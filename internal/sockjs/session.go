package sockjs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// errGone ends a WriteFrames whose peer will not come back.
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
// queue: WriteFrames waits until a receiver has sent its messages.
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

	mu       sync.Mutex
	cond     sync.Cond
	phase    phase
	inbox    [][]byte // posted, not yet read
	waiting  int      // bytes of inbox
	out      []byte   // the frame WriteFrames waits for; nil for none
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
	peer := h.o.Engine.PeerOf(r)
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
	if h.stopped || len(h.sessions) >= h.o.Sessions {
		return nil, http.StatusServiceUnavailable
	}
	leave, ok := h.o.Engine.Admit(peer.Address)
	if !ok {
		return nil, http.StatusServiceUnavailable
	}
	own := *peer
	own.Door = rpc.SockJS
	s := &session{h: h, name: name, owner: who, peer: &own, leave: leave}
	s.cond.L = &s.mu
	s.limit.Store(defaultReadLimit)
	h.sessions[name] = s
	return s, 0
}

// forget frees the session's name, if it is still its own.
func (h *Handler) forget(s *session) {
	h.mu.Lock()
	if h.sessions[s.name] == s {
		delete(h.sessions, s.name)
	}
	h.mu.Unlock()
}

// serve lets the engine in; the open frame has been sent.
func (s *session) serve() {
	defer s.h.done.Done()
	defer s.leave()
	s.h.o.Engine.Serve(s, s.peer)
	// An engine that left without closing is done with it all the same.
	_ = s.Close(1000, "Normal closure")
}

// ReadFrame implements ddp.Conn.
func (s *session) ReadFrame() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.inbox) == 0 && s.phase < closed {
		s.cond.Wait()
	}
	if s.phase >= closed {
		return nil, io.EOF
	}
	m := s.inbox[0]
	s.inbox[0] = nil
	if s.inbox = s.inbox[1:]; len(s.inbox) == 0 {
		s.inbox = nil
	}
	s.waiting -= len(m)
	s.cond.Broadcast()
	if len(m) > int(s.limit.Load()) {
		s.close(1009, "Message too long")
		return nil, ddp.ErrTooLong
	}
	return m, nil
}

// SetReadLimit implements ddp.Conn.
func (s *session) SetReadLimit(bytes int) { s.limit.Store(int64(bytes)) }

// WriteFrames implements ddp.Conn: it waits until a receiver has sent the
// messages, at most until the session is dropped for having no receiver.
func (s *session) WriteFrames(messages ...[]byte) error {
	if len(messages) == 0 {
		return nil
	}
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
	s.inbox, s.waiting = nil, 0
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
	s.inbox, s.waiting = nil, 0
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

// toldDelay is how long a closed session is remembered whose client knows.
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
func (s *session) accept(ctx context.Context, messages [][]byte) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		if len(m) == 0 {
			continue
		}
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
		s.waiting += len(m)
		s.cond.Broadcast()
	}
	return nil
}
