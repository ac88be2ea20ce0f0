package admin

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ddp"
	"ddpserver/internal/fault"
	"ddpserver/internal/mail"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/user"
)

// Options are the parts the slice works with. All but Logger and Now are required.
type Options struct {
	Accounts *accounts.Service
	Settings *settings.Service
	Hub      *realtime.Hub
	Nodes    *realtime.Nodes
	Sessions *ddp.Registry
	Metrics  *telemetry.Metrics
	Outbox   *mail.Outbox
	// Queue counts the mails that wait (mail.Store.MailQueue).
	Queue  func(ctx context.Context) (waiting int, oldest time.Time, err error)
	Server Server
	// Router, Routes and Publications are the tables of the finished server; they are
	// asked when somebody calls.
	Router       func() *methods.Router
	Routes       func() []rest.Route
	Publications func() *realtime.Publications
	// Logger gets what no caller waits for; nil discards it.
	Logger *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Slice is the panel's half of a server.
type Slice struct {
	o Options

	once sync.Once
	made surface

	// wake starts the ticker of Run.
	wake chan struct{}

	mu        sync.Mutex
	listening map[string]int // by event
	samples   []sampled      // of the last minute, while somebody listens
	openers   map[opener]time.Time
}

// New makes the slice. Its stream follows the hub, so it comes before Hub.Run.
func New(o Options) *Slice {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Slice{o: o, wake: make(chan struct{}, 1), listening: map[string]int{}, openers: map[opener]time.Time{}}
	realtime.Listen(o.Hub, user.Changed, s.accountChanged)
	return s
}

// Methods makes the groups of methods, for methods.Deps.
func (s *Slice) Methods(c methods.Challenger) []methods.Group {
	return []methods.Group{&listing{s}, &surfaces{s}, &statuses{s}, &outbox{s, c}, &acts{s}}
}

// Routes makes the groups of routes, for rest.New and rest.Names.
func (s *Slice) Routes() []rest.Group {
	return []rest.Group{&listingRoutes{s}, &surfaceRoutes{s}, &statusRoutes{s}, &outboxRoutes{s}, &actRoutes{s}}
}

// Streams makes the group of the stream.
func (s *Slice) Streams() realtime.Group { return &stream{s} }

// errNoUser is how an account that is not there is refused, as in REST.
var errNoUser = fault.New("error-invalid-user", "User not found.")
