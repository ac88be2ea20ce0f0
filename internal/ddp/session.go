package ddp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

// Session is one connection on its way from handshake to end. Its methods may
// be called from any goroutine.
type Session struct {
	srv  *Server
	peer *rpc.Peer
	conn Conn
	out  outbox
	// pings says that the peer answers pings of the transport (Transport.Pings).
	pings bool

	// The reader's own.
	connected bool
	version   version
	most      int    // subscriptions held so far
	quiet     bool   // no more messages are to be expected soon
	hand      int    // bytes that the message in its hand is counted for
	read      int    // bytes since it last waited, or others had their turn
	done      func() // ends its turn, while it has one

	// seen is set by every message and cleared by the heartbeat's tick.
	seen     atomic.Bool
	loggedIn atomic.Bool
	pinging  bool           // a ping waits for its answer; the timer's own
	held     budget.Holding // of what all sessions may have waiting, in and out

	place int // in its user's list; guarded by the server's lock

	mu        sync.Mutex
	timer     *time.Timer   // of the handshake, then of the heartbeat
	login     *rpc.Login    // never nil, never changed in place
	queue     []*item       // messages waiting for their turn
	room      chan struct{} // closed when there may be room; the reader waits
	wanted    int           // bytes the reader waits for
	in        int           // bytes of received messages that are held (intake.go)
	working   bool          // a goroutine owns the queue
	unblocked int           // calls running beside the queue
	greeting  greeted
	live      bool // connect was accepted
	ended     bool
	draining  bool // ends when nothing runs or waits any more
	leaving   bool // ends when nothing runs any more, unless it is logged in anew
	errors    quota
	subs      []*Subscription
	universal []*Subscription
	view      view
	switching *switching // set while SetLogin re-runs the subscriptions
	onClose   []func()
}

func newSession(srv *Server, conn Conn, peer *rpc.Peer, t Transport) *Session {
	s := &Session{srv: srv, conn: conn, peer: peer, pings: t.Pings, login: &nobody}
	s.held.Account, s.held.Network = srv.budget, netkey.Of(peer.Address)
	s.out.session, s.out.conn, s.out.held = s, conn, &s.held
	s.out.limit, s.out.compressAbove = srv.limits.QueuedBytes, t.CompressAbove
	return s
}

// nobody is the login of those who are not logged in.
var nobody rpc.Login

// ID is the DDP session id, the same as Peer().Conn.
func (s *Session) ID() string { return s.peer.Conn }

// Peer is what is known of the other end.
func (s *Session) Peer() *rpc.Peer { return s.peer }

// Login is who the session is logged in as now.
func (s *Session) Login() rpc.Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.login
}

// current is the login itself. It is never changed in place.
func (s *Session) current() *rpc.Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login
}

// Subscriptions are the client's, in the order in which they were made; they may
// stop meanwhile.
func (s *Session) Subscriptions() []*Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subs)
}

// Close ends the connection after what is queued for it, for the given reason.
// Only the first end of a session counts.
func (s *Session) Close(reason DisconnectReason) { s.end(reason) }

// OnClose registers a function to run when the session has ended, in order of
// registration; one that is registered later runs at once on a goroutine of its own.
func (s *Session) OnClose(f func()) {
	s.mu.Lock()
	if !s.ended {
		s.onClose = append(s.onClose, f)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	go f()
}

// Publish starts a universal publication: it has no id, is never ready, and is
// run again when the user changes. An error is logged and reported as a nosub
// without id. It runs before the session's next message when called from
// Handler.Connected.
func (s *Session) Publish(publication func(context.Context, *Subscription) error) {
	sub := &Subscription{s: s, publication: publication}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.universal = append(s.universal, sub)
	s.mu.Unlock()
	s.runPublication(s.srv.ctx, sub)
}

// put queues framed messages in order and takes b; see outbox.add.
func (s *Session) put(b *buffer) {
	if reason, ok := s.out.add(b); !ok {
		go s.end(reason) // the caller may hold s.mu
	}
}

// quota counts malformed messages within a minute. The zero value is full.
type quota struct {
	since time.Time
	spent int
}

// spend takes one; false when there is none left.
func (q *quota) spend(limit int) bool {
	if limit < 0 {
		return true
	}
	if now := time.Now(); now.Sub(q.since) > time.Minute {
		q.since, q.spent = now, 0
	}
	q.spent++
	return q.spent <= limit
}
