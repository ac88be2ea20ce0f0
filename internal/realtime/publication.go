package realtime

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
)

// Publication is one line of the table of publications. Its zero values are
// the safe ones.
type Publication struct {
	// Name is empty for a universal publication, which every session has.
	Name string
	Do   func(ctx context.Context, s *ddp.Subscription) error
	// Anonymous publications run without a login.
	Anonymous bool
	Limit     ratelimit.Class
	// Doc is one line for docs/protocol.md.
	Doc string
}

// Stream is a publication that carries events: subscriptions name one event
// and get frames {"msg":"changed","collection":Name,"fields":{eventName,args}}.
type Stream struct {
	Name string
	// Anonymous streams are open without a login.
	Anonymous bool
	// Allow refuses events that the login may not have, or that do not exist. It
	// is asked again when the rights of the account change. It is required.
	Allow func(ctx context.Context, l rpc.Login, event string) error
	// Again takes the place of Allow when the rights of an account change: it reads once
	// what Allow reads for each event, and returns what judges them. Nil asks Allow.
	Again func(ctx context.Context, userID string) (allow func(event string) error, err error)
	// Proven is for events that are open only while a proof counts that somebody gave:
	// for how much longer it does, and whether the event needs one at all. Without the
	// proof the event is refused, and with its end the subscription ends.
	Proven func(s *ddp.Subscription, event string) (left time.Duration, needed bool)
	// Open runs before a subscription listens to the event, and makes it listen in
	// another way if it returns false. The subscription is ready afterwards.
	Open func(ctx context.Context, s *ddp.Subscription, event string) (listen bool, err error)
	// Topic names what other nodes' news of an event are told under, see feed.TopicOf; "" is
	// nothing beside what every node is told. Nil is the topic of feed.Stream.
	Topic func(event string) string
	// Events are the names of the events there are; behind the id of an account
	// or room where the stream has one in front.
	Events []string
	// Doc is one line for docs/protocol.md.
	Doc string
}

// Group is one file of publications and streams.
type Group interface {
	Publications() []Publication
	Streams() []Stream
}

// Gate decides what a login may subscribe to, and keeps the record of it;
// *methods.Router is one.
type Gate interface {
	// Admit refuses a login that may not have that subscription: it is asked
	// before one begins, and again by Base when the account changes.
	Admit(ctx context.Context, l rpc.Login, name, event string) error
	// Enrolled is nil when Admit would refuse this login nothing.
	Enrolled(ctx context.Context, l rpc.Login) error
	// Observe makes the record and the count of a subscription, Stray those of one
	// to a name that does not exist, with its limit.
	Observe(ctx context.Context, c *rpc.Call, name string, run func(context.Context) error) error
	Stray(ctx context.Context, c *rpc.Call, name string, err error) error
}

// Publications is the table of publications and streams: what a ddp.Handler needs
// besides methods.
type Publications struct {
	hub       *Hub
	gate      Gate
	limiter   *ratelimit.Limiter
	byName    map[string]*Publication
	universal []*Publication
	streams   map[string]*Stream
}

// NewPublications makes the table of all groups. A name that occurs twice is a
// programming error and panics. limiter counts subscriptions; nil counts nothing.
func NewPublications(h *Hub, gate Gate, limiter *ratelimit.Limiter, groups ...Group) *Publications {
	t := &Publications{hub: h, gate: gate, limiter: limiter, byName: map[string]*Publication{}, streams: map[string]*Stream{}}
	for _, g := range groups {
		for _, p := range g.Publications() {
			t.add(p)
		}
		for _, s := range g.Streams() {
			if s.Allow == nil {
				panic("realtime: stream " + s.Name + " does not say whom it allows")
			}
			t.streams[s.Name] = &s
			t.add(Publication{Name: s.Name, Anonymous: s.Anonymous, Doc: s.Doc, Do: h.subscribeStream(&s)})
		}
	}
	return t
}

func (t *Publications) add(p Publication) {
	if p.Name == "" {
		t.universal = append(t.universal, &p)
		return
	}
	if t.byName[p.Name] != nil {
		panic("realtime: a publication named '" + p.Name + "' is already defined")
	}
	t.byName[p.Name] = &p
}

// List lists all publications and streams that have a name, ordered by it.
func (t *Publications) List() []Publication {
	out := make([]Publication, 0, len(t.byName))
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		out = append(out, *t.byName[name])
	}
	return out
}

// Events lists the names of the events of a stream, see Stream.Events.
func (t *Publications) Events(stream string) []string {
	if st := t.streams[stream]; st != nil {
		return slices.Clone(st.Events)
	}
	return nil
}

// Rocket.Chat's refusals of subscriptions to streams, which have no reason.
var (
	// ErrStream refuses an event that the caller may not hear, logged out or in.
	ErrStream  = fault.New("not-allowed", "")
	errNoEvent = fault.New("invalid-event-name", "")
)

// NotFound is Meteor's answer to an unknown publication.
func NotFound(name string) *fault.Error {
	return fault.Num(404, "Subscription '"+name+"' not found")
}

// Subscribe implements ddp.Handler: unknown name, then limit, then login, as
// Meteor does (docs/wire/ddp.md A11). A re-run is not counted: the client did
// not ask for it.
//
// Every subscription a client asks for leaves one record and one count, as a call
// does; so an error that is nobody's business outside was logged here.
func (t *Publications) Subscribe(ctx context.Context, s *ddp.Subscription) error {
	p := t.byName[s.Name()]
	if s.Rerun() && p != nil {
		return t.subscribe(ctx, s, p)
	}
	c := &rpc.Call{Method: "sub " + s.Name(), Peer: s.Session().Peer(), Login: s.Login()}
	if p == nil {
		return t.gate.Stray(ctx, c, "sub unknown", NotFound(s.Name()))
	}
	err := t.gate.Observe(ctx, c, "sub "+p.Name, func(ctx context.Context) error { return t.subscribe(ctx, s, p) })
	if _, safe := fault.From(err); err != nil && !safe {
		return fault.Internal
	}
	return err
}

func (t *Publications) subscribe(ctx context.Context, s *ddp.Subscription, p *Publication) error {
	l := s.Login()
	if lim := t.limiter; lim != nil && !s.Rerun() {
		peer := s.Session().Peer()
		if err := lim.Allow(ratelimit.Event{
			Kind: ratelimit.Subscription, Name: p.Name, Class: p.Limit,
			UserID: l.UserID, Conn: peer.Conn, Address: peer.Address, Shared: peer.Proxied,
		}); err != nil {
			return err
		}
	}
	if l.UserID == "" && !p.Anonymous {
		if t.streams[p.Name] != nil {
			return ErrStream
		}
		return fault.NotAuthorized
	}
	event := ""
	if t.streams[p.Name] != nil {
		var err error
		if event, _, err = streamParams(s); err != nil {
			return err
		}
	}
	if err := t.gate.Admit(ctx, l, p.Name, event); err != nil {
		return err
	}
	return p.Do(ctx, s)
}

// Connected implements ddp.Handler.
func (t *Publications) Connected(_ context.Context, s *ddp.Session) {
	for _, p := range t.universal {
		s.Publish(p.Do)
	}
}

// Disconnected implements ddp.Handler; subscriptions clean up after themselves.
func (t *Publications) Disconnected(*ddp.Session) {}

// maxEvent bounds the name of a stream's event.
const maxEvent = 256

// streamParams reads what clients send to subscribe to a stream: the event, and
// {useCollection, args}, or the older bare flag (docs/wire/clients.md 3.1, 3.4).
func streamParams(s *ddp.Subscription) (event string, useCollection bool, err error) {
	var option *any
	var rest ejson.Rest
	if err := s.Bind(&event, &option, &rest); err != nil {
		return "", false, err
	}
	if event == "" {
		return "", false, errNoEvent
	}
	if len(event) > maxEvent {
		return "", false, fault.MatchFailed
	}
	if option == nil {
		return event, false, nil
	}
	switch o := (*option).(type) {
	case bool:
		useCollection = o
	case ejson.Doc:
		v, _ := o.Get("useCollection")
		useCollection, _ = v.(bool)
	default:
		return "", false, fault.MatchFailed
	}
	return event, useCollection, nil
}

// subscribeStream is the publication behind a stream.
func (h *Hub) subscribeStream(st *Stream) func(context.Context, *ddp.Subscription) error {
	return func(ctx context.Context, s *ddp.Subscription) error {
		event, useCollection, err := streamParams(s)
		if err != nil {
			return err
		}
		// Before it is asked whether the login may: a right that is lost after that
		// answer was found finds the subscription, and ends it.
		m := h.await(st, s, event)
		if err := st.Allow(ctx, s.Login(), event); err != nil {
			return err
		}
		if err := st.proven(s, event); err != nil {
			return err
		}
		if useCollection {
			// Clients that keep a collection refuse a change of a document they do not have.
			if err := s.Added(st.Name, "id", ejson.Doc{{Key: "eventName", Value: event}}); err != nil {
				return err
			}
		}
		listen := true
		if st.Open != nil {
			if listen, err = st.Open(ctx, s, event); err != nil {
				return err
			}
		}
		if listen {
			h.listen(m)
		} else {
			h.subscribers.remove(m)
		}
		// It listens already, and what the client reads when it is ready, or behind this in its
		// queue, is read after the other nodes' news come: nothing falls between the two.
		if err := h.settle(ctx, st, s, event); err != nil {
			return err
		}
		s.Ready()
		return nil
	}
}

// proven refuses an event whose proof is missing. With the proof ends the subscription.
func (st *Stream) proven(s *ddp.Subscription, event string) error {
	if st.Proven == nil {
		return nil
	}
	left, needed := st.Proven(s, event)
	switch {
	case !needed:
		return nil
	case left <= 0:
		return ErrStream
	}
	end := time.AfterFunc(left, func() { s.Error(ErrStream) })
	s.OnStop(func() { end.Stop() })
	return nil
}

// await keeps what recheck needs of a subscription that begins.
func (h *Hub) await(st *Stream, s *ddp.Subscription, event string) *member {
	m := &member{key: st.Name + "/" + event, sub: s, stream: st}
	h.subscribers.add(m)
	s.OnStop(func() { h.subscribers.remove(m) })
	return m
}

// listen joins the event's topic.
func (h *Hub) listen(m *member) {
	h.join(m)
	m.sub.OnStop(func() { h.leave(m) })
}

// subscribers finds the stream subscriptions of a user.
type subscribers struct {
	mu     sync.Mutex
	byUser map[string][]*member
}

func (r *subscribers) add(m *member) {
	id := m.sub.Login().UserID
	if id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.own = int32(len(r.byUser[id])) // sockets run out long before
	r.byUser[id] = append(r.byUser[id], m)
}

func (r *subscribers) remove(m *member) {
	id := m.sub.Login().UserID
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.byUser[id]
	last := len(list) - 1
	if int(m.own) > last || list[m.own] != m {
		return
	}
	list[m.own] = list[last]
	list[m.own].own = m.own
	list[last] = nil
	if last == 0 {
		delete(r.byUser, id)
		return
	}
	r.byUser[id] = list[:last]
}

func (r *subscribers) of(userID string) []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.byUser[userID])
}

// StreamsOf lists what a user listens to of the events that pick accepts, for a
// group that knows which subscriptions a change concerns, those that begin among them.
// What Stream.Open made listen in another way is not.
func (h *Hub) StreamsOf(userID string, pick func(stream, event string) bool) (subs []*ddp.Subscription) {
	for _, m := range h.subscribers.of(userID) {
		if pick(cutKey(m.key)) {
			subs = append(subs, m.sub)
		}
	}
	return subs
}

// recheck asks again whether a user may listen to the events of streams that were
// subscribed (Stream.Again, Allow), and ends those that no longer may be. An unclear
// answer ends them too.
func (h *Hub) recheck(userID string) {
	members := h.subscribers.of(userID)
	if len(members) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
	defer cancel()
	again := map[*Stream]func(event string) error{}
	for _, m := range members {
		_, event := cutKey(m.key)
		err := error(nil)
		if m.stream.Again == nil {
			err = m.stream.Allow(ctx, m.sub.Login(), event)
		} else {
			allow, read := again[m.stream]
			if !read {
				if allow, err = m.stream.Again(ctx, userID); err != nil {
					unclear := err
					allow = func(string) error { return unclear }
				}
				again[m.stream] = allow
			}
			err = allow(event)
		}
		if err != nil {
			m.sub.Error(err)
		}
	}
}
