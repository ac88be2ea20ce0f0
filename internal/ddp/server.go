package ddp

import (
	"context"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"ddpserver/internal/budget"
	"ddpserver/internal/rpc"
)

// Handler is what a server serves. Its methods are called from many goroutines,
// but for one session in order, as the protocol asks.
type Handler interface {
	// Method runs a call and returns its result: nil for none (no result key),
	// ejson.Raw for one that is encoded already, else anything that ejson.Append
	// takes. A result of JSON null is ejson.Raw("null"). A *fault.Error is sent
	// as it is, any other error as 500; the handler has logged it. An unknown
	// name is fault.Num(404, "Method 'x' not found").
	Method(ctx context.Context, c *rpc.Call) (any, error)
	// Subscribe runs a publication until its first documents are sent. It makes
	// the subscription ready itself (Subscription.Ready); later changes come from
	// other goroutines until the OnStop functions ran. A *fault.Error ends the
	// subscription with that error, any other with 500; the engine logs the
	// latter, so the publication must not. An unknown name is
	// fault.Num(404, "Subscription 'x' not found").
	Subscribe(ctx context.Context, s *Subscription) error
	// Connected runs once a session is connected, before its first message. It
	// starts the universal publications with Session.Publish.
	Connected(ctx context.Context, s *Session)
	// Disconnected runs once a connected session has ended and its subscriptions
	// and OnClose functions are done.
	Disconnected(s *Session)
}

// QuickHandler may be implemented by a Handler that has methods which never
// wait and keep neither their *rpc.Call nor its Params after they returned.
// Their calls run on the goroutine that read them, which spares a hand-over,
// and the answers of calls that came together leave in one write.
type QuickHandler interface {
	// Quick tells whether the method is of that kind. It must be fast and
	// answer the same each time.
	Quick(method string) bool
}

// Options configure a Server. Handler is required.
type Options struct {
	Handler Handler
	// Registry gets the sessions of users; nil makes one. It belongs to one Server.
	Registry *Registry
	// Limits default each by itself (see Limits).
	Limits Limits
	// Logger gets panics and internal errors of publications and the engine's
	// own troubles; nil discards them. Calls are not logged here.
	Logger *zap.Logger
	// Refused is told of every message that never reaches the Handler: malformed
	// ones and subscriptions beyond Limits.Subscriptions, with what is wrong; the
	// last one of a connection that sent too many (Limits.ProtocolErrors) with
	// limited. It must be fast. Nil discards them.
	Refused func(p *rpc.Peer, l rpc.Login, reason string, limited bool)
	// Budget counts the bytes that all sessions, and other doors, have waiting;
	// nil makes one of budget.Default bytes.
	Budget *budget.Account
}

// Server runs sessions, over whatever transport brings a Conn (Serve, Start).
type Server struct {
	*Registry

	handler Handler
	quick   func(method string) bool
	limits  Limits
	log     *zap.Logger
	refused func(p *rpc.Peer, l rpc.Login, reason string, limited bool)
	budget  *budget.Account
	names   names
	stats   counters

	jobs    chan job     // for workers that wait
	idle    atomic.Int32 // workers that wait
	posters posters

	ctx    context.Context // of every call; ended by the end of Shutdown
	cancel context.CancelFunc
	done   sync.WaitGroup // sessions' goroutines

	mu        sync.Mutex
	sessions  map[*Session]struct{}
	address   map[string]int
	open      int // sockets, counted from before the upgrade
	draining  bool
	emptied   chan struct{} // closed when draining and no session is left
	emptyOnce sync.Once
}

// New makes a Server. It starts nothing: goroutines come with connections.
func New(o Options) *Server {
	s := &Server{
		handler:  o.Handler,
		limits:   o.Limits.withDefaults(),
		log:      o.Logger,
		refused:  o.Refused,
		budget:   o.Budget,
		sessions: make(map[*Session]struct{}),
		Registry: o.Registry,
		address:  make(map[string]int),
		emptied:  make(chan struct{}),
		jobs:     make(chan job),
	}
	if s.Registry == nil {
		s.Registry = NewRegistry()
	}
	if s.budget == nil {
		s.budget = budget.New(0)
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.refused == nil {
		s.refused = func(*rpc.Peer, rpc.Login, string, bool) {}
	}
	s.quick = func(string) bool { return false }
	if q, ok := o.Handler.(QuickHandler); ok {
		s.quick = q.Quick
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Stats is a snapshot of the server's counters.
type Stats struct {
	// Sockets are open transports, Sessions those with an accepted connect.
	Sockets, Sessions int64
	// Opened counts sockets since the start, Refused those the caps turned away.
	Opened, Refused uint64
	// Frames and Bytes count received messages; Malformed those answered by a
	// top-level error.
	Frames, Bytes, Malformed uint64
	// Calls and Subscriptions are those running now.
	Calls, Subscriptions int64
	// Disconnects counts the ends by reason.
	Disconnects [reasons]uint64
}

type counters struct {
	sessions, calls, subs    atomic.Int64
	opened, refused          atomic.Uint64
	frames, bytes, malformed atomic.Uint64
	disconnects              [reasons]atomic.Uint64
}

// Stats reads the counters. It is cheap and may be called at any time.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Sessions: c.sessions.Load(), Opened: c.opened.Load(), Refused: c.refused.Load(),
		Frames: c.frames.Load(), Bytes: c.bytes.Load(), Malformed: c.malformed.Load(),
		Calls: c.calls.Load(), Subscriptions: c.subs.Load(),
	}
	for i := range c.disconnects {
		st.Disconnects[i] = c.disconnects[i].Load()
	}
	s.mu.Lock()
	st.Sockets = int64(s.open)
	s.mu.Unlock()
	return st
}
