package admin

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/telemetry"
)

// Server is what does not change while the server runs.
type Server struct {
	Version, Node string
	Started       time.Time
	// Shared says that other nodes may work on the same database.
	Shared bool
}

const (
	// every is how often the stream tells the status; window is what its rates and
	// times are about.
	every  = 2 * time.Second
	window = time.Minute
	// maxOperations bounds the operations of the store that are shown.
	maxOperations = 20
)

// Status is how the server does. Totals are since the start of this node.
type Status struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"startedAt"`
	Now       time.Time `json:"now"`
	Node      string    `json:"node"`
	Nodes     []Node    `json:"nodes"`
	Shared    bool      `json:"shared"`
	News      *News     `json:"news,omitempty"`

	Connections   Connections        `json:"connections"`
	Sessions      Sessions           `json:"sessions"`
	Subscriptions int                `json:"subscriptions"`
	CallsRunning  int                `json:"callsRunning"`
	Window        float64            `json:"window"`
	CallsPerSec   float64            `json:"callsPerSecond"`
	Calls         map[string]float64 `json:"calls"`
	CallsByDoor   map[string]float64 `json:"callsByDoor"`
	Refusals      map[string]float64 `json:"refusals"`
	Disconnects   map[string]float64 `json:"disconnects"`
	Mail          Mail               `json:"mail"`
	Store         []Operation        `json:"store"`
	Memory        Memory             `json:"memory"`
	Goroutines    int                `json:"goroutines"`
}

// Node is one node of the server, as it tells of itself: this one first, then those that
// it hears. Several may have one name; an id is another at every start.
type Node struct {
	Node      string    `json:"node"`
	ID        string    `json:"id"`
	Self      bool      `json:"self"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"startedAt"`
	Sessions  int       `json:"sessions"`
	// MessagesPerSecond is what sessions send.
	MessagesPerSecond int       `json:"messagesPerSecond"`
	Leaving           bool      `json:"leaving"`
	Heard             time.Time `json:"heard"`
}

// News is what carries news between the nodes; Hears says that it does now.
type News struct {
	Transport string `json:"transport"`
	Hears     bool   `json:"hears"`
	Sent      uint64 `json:"sent"`
	Taken     uint64 `json:"taken"`
	Missed    uint64 `json:"missed"`
	Waiting   int    `json:"waiting"`
}

// Connections are open sockets, and the sessions of DDP by the door they came through.
type Connections struct {
	Total  int `json:"total"`
	DDP    int `json:"ddp"`
	SockJS int `json:"sockjs"`
}

// Sessions are those of DDP.
type Sessions struct {
	Total    int `json:"total"`
	LoggedIn int `json:"loggedIn"`
	Users    int `json:"users"`
}

// Mail is the state of the outbox; Sent and Failed count since the start.
type Mail struct {
	Transport  string     `json:"transport"`
	Readable   bool       `json:"readable"`
	Waiting    int        `json:"waiting"`
	Oldest     *time.Time `json:"oldest,omitempty"`
	Sent       int        `json:"sent"`
	Failed     int        `json:"failed"`
	Unreadable int        `json:"unreadable"`
}

// Operation is one kind of operation of the store; times are milliseconds.
type Operation struct {
	Operation string  `json:"operation"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
}

// Memory is in bytes.
type Memory struct {
	Resident      int64 `json:"resident"`
	Heap          int64 `json:"heap"`
	InFlight      int64 `json:"inFlight"`
	InFlightLimit int64 `json:"inFlightLimit"`
}

// sampled is a reading of the metrics, kept while somebody listens.
type sampled struct {
	at     time.Time
	sample *telemetry.Sample
}

// status reads the metrics once, and what they do not hold.
func (s *Slice) status(ctx context.Context) (*Status, error) {
	now := s.o.Now()
	m, err := s.o.Metrics.Sample()
	if err != nil {
		return nil, err
	}
	waiting, oldest, err := s.o.Queue(ctx)
	if err != nil {
		return nil, err
	}
	before := s.remember(sampled{now, m})
	one := func(name string) int { return int(m.Sum(name, "")[""]) }
	doors, in, users := s.o.Sessions.Numbers()
	st := &Status{
		Version: s.o.Server.Version, StartedAt: s.o.Server.Started.UTC(), Now: now.UTC(), Node: s.o.Server.Node, Shared: s.o.Server.Shared,
		Nodes:         nodes(s.o.Nodes.List()),
		Connections:   Connections{Total: one("connections"), DDP: doors[rpc.DDP], SockJS: doors[rpc.SockJS]},
		Sessions:      Sessions{Total: one("sessions"), LoggedIn: in, Users: users},
		Subscriptions: one("subscriptions"), CallsRunning: one("calls_running"),
		Window: now.Sub(before.at).Seconds(), Calls: m.Sum("calls_total", "outcome"), CallsByDoor: m.Sum("calls_total", "door"),
		Disconnects: m.Sum("disconnects_total", "reason"), Goroutines: one("go_goroutines"),
		Memory: Memory{Resident: int64(one("process_resident_memory_bytes")), Heap: int64(one("go_memstats_heap_inuse_bytes")),
			InFlight: int64(one("bytes_in_flight")), InFlightLimit: int64(one("bytes_in_flight_limit"))},
	}
	if name, hears := s.o.Hub.Transport(); name != "" {
		n := s.o.Hub.News()
		st.News = &News{Transport: name, Hears: hears, Sent: n.Sent, Taken: n.Taken, Missed: n.Missed, Waiting: n.Waiting}
	}
	st.CallsPerSec = rate(m.Sum("calls_total", "")[""]-before.sample.Sum("calls_total", "")[""], st.Window)
	st.Refusals = map[string]float64{"refused": st.Calls["refused"], "limited": st.Calls["limited"], "error": st.Calls["error"],
		"connections": float64(one("connections_refused_total")), "busy": float64(one("bytes_in_flight_refused_total")),
		"malformed": float64(one("messages_malformed_total"))}
	mails := m.Sum("mails_total", "outcome")
	st.Mail = Mail{Transport: s.o.Outbox.Transport(), Readable: s.o.Outbox.InClear(), Waiting: waiting, Sent: int(mails["sent"]),
		Failed: int(mails["refused"] + mails["expired"]), Unreadable: one("mails_unreadable")}
	if waiting > 0 {
		st.Mail.Oldest = &oldest
	}
	st.Store = operations(m, before.sample, st.Window)
	return st, nil
}

func nodes(list []realtime.Node) (out []Node) {
	for _, n := range list {
		out = append(out, Node{Node: n.Name, ID: n.ID, Self: n.Self, Version: n.Version, StartedAt: time.UnixMilli(n.Since).UTC(), Sessions: n.Sessions,
			MessagesPerSecond: n.Messages, Leaving: n.Leaving, Heard: n.Heard.UTC()})
	}
	return out
}

// remember keeps a reading while somebody listens, and gives the one that rates are
// reckoned from: the oldest of the window, or the start of the server.
func (s *Slice) remember(now sampled) sampled {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := sampled{at: s.o.Server.Started}
	if s.listening[eventStatus] == 0 {
		s.samples = nil
		return begin
	}
	if n := len(s.samples); n > 0 && now.at.Sub(s.samples[n-1].at) > 2*every {
		s.samples = nil // they are of somebody who left
	}
	s.samples = slices.DeleteFunc(s.samples, func(old sampled) bool { return now.at.Sub(old.at) > window })
	if n := len(s.samples); n == 0 || now.at.Sub(s.samples[n-1].at) >= every {
		s.samples = append(s.samples, now)
	}
	if s.samples[0].at.Equal(now.at) {
		return begin
	}
	return s.samples[0]
}

// operations are the times of the store, of the kinds that were done most.
func operations(now, before *telemetry.Sample, seconds float64) []Operation {
	old := before.Histograms("store_seconds", "operation")
	all, list := telemetry.Histogram{}, []Operation{}
	for name, h := range now.Histograms("store_seconds", "operation") {
		d := h.Since(old[name])
		if d.Count == 0 {
			continue
		}
		list = append(list, operation(name, d, seconds))
		all = all.And(d)
	}
	slices.SortFunc(list, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(a.Operation, b.Operation))
	})
	return append([]Operation{operation("all", all, seconds)}, list[:min(len(list), maxOperations)]...)
}

func operation(name string, h telemetry.Histogram, seconds float64) Operation {
	ms := func(q float64) float64 {
		if h.Count == 0 {
			return 0
		}
		return rounded(1000 * h.Quantile(q))
	}
	return Operation{Operation: name, PerSecond: rate(float64(h.Count), seconds), P50: ms(0.5), P99: ms(0.99)}
}

func rate(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return rounded(n / seconds)
}

// rounded keeps three digits behind the point, which is more than the buckets tell.
func rounded(v float64) float64 { return math.Round(v*1000) / 1000 }

// statuses serves it.
type statuses struct{ *Slice }

func (g *statuses) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "server:status", Do: g.now, Effects: methods.Reads, Permission: permission.ViewPrivilegedSetting,
		Doc: "Tells how this node of the server does; stream-server tells the same every two seconds while somebody listens.", Params: "none",
		Errors: "400 Match failed",
		Result: "{version, startedAt, now, node, nodes: [{node, id, self, version, startedAt, sessions, messagesPerSecond, leaving, heard}], shared, " +
			"news: {transport, hears, sent, taken, missed, waiting}, connections, sessions, subscriptions, callsRunning, window, callsPerSecond, calls, " +
			"callsByDoor, refusals, disconnects, mail, store: [{operation, perSecond, p50, p99}], memory, goroutines}",
	}}
}

func (g *statuses) now(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return g.status(ctx)
}

// statusRoutes is the same over REST.
type statusRoutes struct{ *Slice }

// serverHealth is what the route publishes of Status.
type serverHealth struct {
	Version        string           `json:"version"`
	StartedAt      time.Time        `json:"startedAt"`
	Now            time.Time        `json:"now"`
	Node           string           `json:"node"`
	Shared         bool             `json:"shared" about:"other nodes may use the database; they tell of themselves"`
	Nodes          []map[string]any `json:"nodes" about:"this one first, then those that it hears"`
	News           map[string]any   `json:"news,omitempty" about:"what carries news between nodes, where the database is shared"`
	Connections    map[string]any   `json:"connections"`
	Sessions       map[string]any   `json:"sessions"`
	Subscriptions  int              `json:"subscriptions"`
	CallsRunning   int              `json:"callsRunning"`
	Window         any              `json:"window" about:"seconds that rates and times are about"`
	CallsPerSecond any              `json:"callsPerSecond"`
	Calls          map[string]any   `json:"calls" about:"by outcome"`
	CallsByDoor    map[string]any   `json:"callsByDoor"`
	Refusals       map[string]any   `json:"refusals" about:"by reason"`
	Disconnects    map[string]any   `json:"disconnects" about:"by reason"`
	Mail           map[string]any   `json:"mail"`
	Store          []map[string]any `json:"store" about:"by kind of operation, times in milliseconds"`
	Memory         map[string]any   `json:"memory" about:"in bytes"`
	Goroutines     int              `json:"goroutines"`
}

// Routes lists it.
func (g *statusRoutes) Routes() []rest.Route {
	return []rest.Route{{
		Verb: "GET", Path: "server.status", Tag: "server", Summary: "How this node of the server does", Method: "server:status",
		Result: schema.Of[serverHealth]().Answered(), Shape: rest.AsDoc,
	}}
}
