package ddp

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"ddpserver/internal/budget"
	"ddpserver/internal/random"
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
	// Limits default each by itself (see Limits).
	Limits Limits
	// Logger gets panics and internal errors of publications and the engine's
	// own troubles; nil discards them. Calls are not logged here.
	Logger *zap.Logger
	// Peer describes the sender of an upgrade request: address after trusted
	// proxies, user agent, second-factor headers. Nil takes the socket's address
	// and the User-Agent header. Conn and Door are filled in when empty.
	Peer func(*http.Request) *rpc.Peer
	// CheckOrigin tells whether an upgrade request's Origin may connect; a
	// refusal is answered 403 before the upgrade. Nil allows requests without
	// Origin, from the request's own host and from loopback addresses.
	CheckOrigin func(*http.Request) bool
	// Refused is told of every message that never reaches the Handler: malformed
	// ones and subscriptions beyond Limits.Subscriptions, with what is wrong; the
	// last one of a connection that sent too many (Limits.ProtocolErrors) with
	// limited. It must be fast. Nil discards them.
	Refused func(p *rpc.Peer, l rpc.Login, reason string, limited bool)
	// CompressAbove negotiates permessage-deflate without context takeover and
	// compresses messages of at least that many bytes; 0 never negotiates it.
	CompressAbove int
	// Budget counts the bytes that all sessions, and other doors, have waiting;
	// nil makes one of budget.Default bytes.
	Budget *budget.Account
}

// Server runs sessions. It is an http.Handler for WebSocket upgrade requests,
// and serves other transports through Serve.
type Server struct {
	handler  Handler
	quick    func(method string) bool
	limits   Limits
	log      *zap.Logger
	peer     func(*http.Request) *rpc.Peer
	origin   func(*http.Request) bool
	refused  func(p *rpc.Peer, l rpc.Login, reason string, limited bool)
	compress int
	budget   *budget.Account
	names    names
	wheel    wheel
	crew     crew
	posters  posters
	stats    counters

	ctx    context.Context // of every call; ended by the end of Shutdown
	cancel context.CancelFunc
	done   sync.WaitGroup // sessions' goroutines

	mu        sync.Mutex
	sessions  map[*Session]struct{}
	users     map[string][]*Session
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
		peer:     o.Peer,
		origin:   o.CheckOrigin,
		refused:  o.Refused,
		compress: o.CompressAbove,
		budget:   o.Budget,
		sessions: make(map[*Session]struct{}),
		users:    make(map[string][]*Session),
		address:  make(map[string]int),
		emptied:  make(chan struct{}),
	}
	if s.budget == nil {
		s.budget = budget.New(0)
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.peer == nil {
		s.peer = plainPeer
	}
	if s.origin == nil {
		s.origin = OwnOrigin
	}
	if s.refused == nil {
		s.refused = func(*rpc.Peer, rpc.Login, string, bool) {}
	}
	s.quick = func(string) bool { return false }
	if q, ok := o.Handler.(QuickHandler); ok {
		s.quick = q.Quick
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wheel.init(s)
	s.posters.srv = s
	return s
}

// Serve runs the engine over a Conn and returns when the connection has ended
// and its reader has left. peer is completed with a Conn id and a Door when it
// has none. It is the way in for transports other than WebSocket; such a
// transport checks origins and counts addresses itself or through Admit.
func (s *Server) Serve(conn Conn, peer *rpc.Peer) {
	if peer.Conn == "" {
		peer.Conn = random.ID()
	}
	if peer.Door == "" {
		peer.Door = rpc.DDP
	}
	se := newSession(s, peer)
	se.conn = conn
	se.out.link = &frameLink{conn: conn}
	s.run(se)
}

// Admit counts a new socket of that address against the limits. When ok, leave
// must be called once it is closed; otherwise the transport refuses it (503).
func (s *Server) Admit(address string) (leave func(), ok bool) {
	if !s.enter(address) {
		return nil, false
	}
	return sync.OnceFunc(func() { s.leave(address) }), true
}

// Origin tells whether a request's Origin may connect (Options.CheckOrigin).
func (s *Server) Origin(r *http.Request) bool { return s.origin(r) }

// PeerOf describes the sender of a request (Options.Peer).
func (s *Server) PeerOf(r *http.Request) *rpc.Peer { return s.peer(r) }

// Sessions calls visit for the connected sessions of a user ("" for those that
// are not logged in) until it returns false. Sessions may end meanwhile.
func (s *Server) Sessions(userID string, visit func(*Session) bool) {
	for _, se := range s.sessionsOf(userID) {
		if !visit(se) {
			return
		}
	}
}

// CloseTokens closes the sessions of a user whose login token is dead: plain
// close 1000, no frame. The function gets the stored hash of the token.
func (s *Server) CloseTokens(userID string, dead func(tokenHash string) bool) {
	for _, se := range s.sessionsOf(userID) {
		if l := se.Login(); l.UserID == userID && dead(l.Token) {
			se.Close(ServerClosed)
		}
	}
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
