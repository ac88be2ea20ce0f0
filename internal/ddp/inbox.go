package ddp

import (
	"time"

	"ddpserver/internal/rpc"
)

// kind is what an item asks for.
type kind uint8

const (
	kindUnknown kind = iota // a message nobody knows: answered in its turn
	kindHello               // the session is connected
	kindMethod
	kindFactor // the literal frame of callWithTwoFactorRequired
	kindSub
	kindUnsub
)

// item is a message in its turn. It is the rpc.Session of the call it holds.
type item struct {
	s        *Session
	kind     kind
	inline   bool // runs on the reader's goroutine
	released bool // Unblock was called; guarded by the session's lock
	holding  bool // its messages gather in the outbox; guarded likewise
	cost     int  // bytes it is counted for
	text     []byte
	env      envelope
	call     rpc.Call
}

// light tells whether the item surely does not wait, so that earlier answers may
// wait for its own.
func (it *item) light() bool {
	switch it.kind {
	case kindUnknown, kindUnsub:
		return true
	case kindMethod:
		name := unquoted(it.env.method.Of(it.text))
		return name != nil && it.s.srv.quick(it.s.srv.names.of(name))
	}
	return false
}

// accept gives a message its turn (docs/wire/ddp.md A13): at once, here, when
// nothing is before it and it does not wait; else it is queued.
func (s *Session) accept(m *message, k kind) {
	it := &m.item
	*it = item{s: s, kind: k, text: m.text, env: m.env, inline: true}
	light := it.light()
	s.mu.Lock()
	if s.ended || s.draining {
		s.mu.Unlock()
		return
	}
	if k == kindSub && len(s.subs) >= s.most {
		s.most = len(s.subs) + 1
		s.quiet = true // clients subscribe to all they want, and listen
	}
	if s.working || s.leaving || !light {
		s.mu.Unlock()
		s.enqueue(&item{s: s, kind: k, text: m.text, env: m.env})
		return
	}
	s.working = true
	s.mu.Unlock()
	s.process(it)
	*it = item{}
	s.mu.Lock()
	s.working = false
	reason, over := s.over()
	s.mu.Unlock()
	if over {
		s.end(reason)
	}
}

// enqueue puts an item at the end of the queue and sees that somebody works on
// the queue. While there is no room for it nothing more is read.
func (s *Session) enqueue(it *item) {
	if !s.own(it) {
		return
	}
	s.mu.Lock()
	if s.ended || s.draining {
		s.release(it.cost)
		s.mu.Unlock()
		return
	}
	s.queue = append(s.queue, it)
	start := !s.working && !s.leaving
	s.working = s.working || start
	s.mu.Unlock()
	if start {
		s.srv.employ(job{s: s})
	}
}

// From so many messages in the queue, or bytes of received messages, a session
// works in turns.
const (
	manyQueued = 32
	largeQueue = 128 << 10
)

// queueTurn is how long such a turn lasts at most: what it runs may wait.
const queueTurn = 2 * time.Millisecond

// work is the ordered worker: it runs the queued messages one after another and
// leaves when there are none, or when the message it runs lets the next one
// start.
//
// Who has many messages waiting gets turns for them (budget.Account.Turn), so that
// all who do so together keep no more than half of the processors. Clients who wait
// for some answers before they send more have fewer.
func (s *Session) work() {
	done, left, released := func() {}, 0, false
	defer func() { done() }()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.ended || s.leaving {
			s.working = false
			if len(s.queue) == 0 {
				s.queue = nil // its memory
			}
			s.mu.Unlock()
			break
		}
		it := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		crowded := len(s.queue) >= manyQueued || s.in > largeQueue
		s.makeRoom()
		s.mu.Unlock()
		if left -= len(it.text) + turnEach; left < 0 {
			done()
			done, left = func() {}, turn
			if crowded {
				done = s.srv.budget.Turn(queueTurn)
			}
		}
		if !it.light() {
			s.out.flush(false)
		}
		s.process(it)
		s.mu.Lock()
		s.release(it.cost)
		released = it.released
		if released {
			s.unblocked--
		}
		s.mu.Unlock()
		if released {
			break
		}
	}
	// The answer of a call that let others start does not wait for what they gather.
	s.out.flush(released)
	s.mu.Lock()
	reason, over := s.over()
	s.mu.Unlock()
	if over {
		s.end(reason)
	}
}

// unblock lets the next message start while it runs on, unless too many do so
// already: then the queue waits for this one after all.
func (s *Session) unblock(it *item) {
	if it == nil || it.inline {
		return
	}
	s.mu.Lock()
	if it.released || s.unblocked >= s.srv.limits.Unblocked {
		s.mu.Unlock()
		return
	}
	it.released = true
	s.unblocked++
	start := len(s.queue) > 0 && !s.leaving
	s.working = start
	s.mu.Unlock()
	it.unhold()
	if start {
		s.srv.employ(job{s: s})
	}
}

// hold lets the item's messages gather until unhold.
func (it *item) hold() {
	it.s.mu.Lock()
	first := !it.holding && !it.released
	it.holding = it.holding || first
	it.s.mu.Unlock()
	if first {
		it.s.out.hold()
	}
}

func (it *item) unhold() {
	it.s.mu.Lock()
	held := it.holding
	it.holding = false
	it.s.mu.Unlock()
	if held {
		it.s.out.release()
	}
}

// process runs one message to its end.
func (s *Session) process(it *item) {
	switch it.kind {
	case kindHello:
		s.hello(it)
	case kindMethod:
		s.method(it)
	case kindFactor:
		s.factorFrame(it)
	case kindSub:
		s.subscribe(it)
	case kindUnsub:
		s.unsubscribe(it)
	default:
		s.malformed("Bad request", compact(it.text, &it.env))
	}
}
