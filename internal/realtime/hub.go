package realtime

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/user"
)

// Options configure a Hub. The zero value is a node on its own.
type Options struct {
	// Node names this node in events; empty makes a random name.
	Node string
	// Transport carries events to and from the other nodes; nil when there are none.
	Transport feed.Transport
	// Logger gets troubles with the transport; nil discards them.
	Logger *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Hub carries events. It is safe for concurrent use once it is set up; Listen,
// HandleGap, HandleLoss and HandleSubscribe belong to the set-up.
type Hub struct {
	opts Options
	log  *zap.Logger

	heard     *user.Heard
	listeners map[string][]func(feed.Event) error // by the name of the kind
	gaps      []func(context.Context)
	losses    []func(context.Context, time.Time) error
	// attendants tell whether somebody waits for news who has joined no topic.
	attendants []func() bool
	// subscribing run before a subscription is ready.
	subscribing []func(ctx context.Context, s *ddp.Subscription, stream, event string) error

	mu     sync.RWMutex // guards topics; topics have a lock of their own
	topics map[string]*topic

	subscribers subscribers
	interest    interest
	out         outgoing
	hears       atomic.Bool // the transport listens
	missing     missing
	counts      counts
	unreadable  unreadable
	workers     workers
}

// New makes a Hub. Run connects it with the other nodes.
func New(o Options) *Hub {
	if o.Node == "" {
		o.Node = random.ID()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Hub{
		opts: o, log: o.Logger, heard: user.NewHeard(),
		listeners: map[string][]func(feed.Event) error{},
		topics:    map[string]*topic{},
	}
	h.interest = interest{wake: make(chan struct{}, 1), topics: map[string]*wanted{}, deaf: true}
	h.interest.to, _ = o.Transport.(feed.Follower)
	h.subscribers.byUser = map[string][]*member{}
	h.out.wake = make(chan struct{}, 1)
	h.missing.wake = make(chan struct{}, 1)
	if o.Transport != nil {
		h.heard.Deafen() // until it listens
	}
	Listen(h, user.Changed, func(e feed.Event, news user.News) { // before everybody who acts on it
		if news.Voids() {
			h.heard.Hear(e.Key)
		}
	})
	h.workers.idle.L = &h.workers.mu
	Listen(h, feed.Stream, h.stream)
	return h
}

// Heard knows of which accounts news reached this node.
func (h *Hub) Heard() *user.Heard { return h.heard }

// Node is this node's name.
func (h *Hub) Node() string { return h.opts.Node }

// Transport names what carries news between nodes, and tells whether it does at the
// moment. A node on its own has none.
func (h *Hub) Transport() (name string, hears bool) {
	if h.opts.Transport == nil {
		return "", true
	}
	return h.opts.Transport.Name(), h.hears.Load()
}

// Listen adds a function that gets the events of a kind, wherever they were made,
// in the order in which they arrive here. It runs on the goroutine of whoever
// published and must not wait for clients. It is never called with an event that
// cannot be read.
func Listen[P feed.Payload](h *Hub, kind feed.Kind[P], f func(e feed.Event, payload P)) {
	h.listeners[kind.Name()] = append(h.listeners[kind.Name()], func(e feed.Event) error {
		payload, err := kind.Payload(e)
		if err == nil {
			f(e, payload)
		}
		return err
	})
}

// HandleGap adds a function that runs after events of other nodes may have been
// missed, because the transport lost some or because an event of another version of
// this program could not be read: whatever is cached should be read anew.
func (h *Hub) HandleGap(f func(context.Context)) { h.gaps = append(h.gaps, f) }

// HandleLoss adds a function that runs after news made since then may never come, because
// a node died before it told it or a transport lost it: whoever listens on this node is to
// be told again of what can be read. After an error it runs again, some moments later.
func (h *Hub) HandleLoss(f func(ctx context.Context, since time.Time) error) {
	h.losses = append(h.losses, f)
}

// Again delivers an event on this node only: news that is made anew from what was read.
func (h *Hub) Again(e feed.Event) {
	e.At, e.Node = h.opts.Now().UTC().Truncate(time.Millisecond), ""
	h.deliver(e)
}

// Publish implements feed.Publisher: local listeners have it when it returns.
func (h *Hub) Publish(e feed.Event) {
	if e.ID == "" {
		e.ID = random.ID()
	}
	if e.At.IsZero() {
		e.At = h.opts.Now().UTC().Truncate(time.Millisecond)
	}
	e.Node = h.opts.Node
	h.deliver(e)
	if h.opts.Transport != nil {
		h.enqueue(e.Encoded())
	}
}

// deliver gives an event to its listeners. It is false when the event cannot be
// read here: nothing of it is delivered then, and what it told of is missing.
func (h *Hub) deliver(e feed.Event) bool {
	if len(h.listeners[e.Kind]) == 0 {
		h.unreadable.log(h.log, e, errors.New("no such kind is known here"))
		return false
	}
	for _, f := range h.listeners[e.Kind] {
		if err := h.guarded(e, f); err != nil {
			h.unreadable.log(h.log, e, err)
			return false
		}
	}
	return true
}

// guarded calls a listener. One that panics does not keep the others, or the call
// that published, from going on.
func (h *Hub) guarded(e feed.Event, f func(feed.Event) error) error {
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("event_handler_panicked", zap.String("kind", e.Kind), zap.Any("panic", v), zap.Stack("stack"))
		}
	}()
	return f(e)
}

// workers counts what runs for listeners that nobody waits for.
type workers struct {
	mu      sync.Mutex
	idle    sync.Cond
	running int
}

// Later runs f on a goroutine of its own: for reads of the store on behalf of those
// who listen, which the call that made the news is not to wait for. Run returns after it.
func (h *Hub) Later(f func()) {
	w := &h.workers
	w.mu.Lock()
	w.running++
	w.mu.Unlock()
	go func() {
		defer func() {
			if v := recover(); v != nil {
				h.log.Error("event_handler_panicked", zap.Any("panic", v), zap.Stack("stack"))
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.running--; w.running == 0 {
				w.idle.Broadcast()
			}
		}()
		f()
	}()
}

// wait returns when nothing runs any more.
func (w *workers) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running > 0 {
		w.idle.Wait()
	}
}

// stream sends a stream event to the subscribers of its topic.
func (h *Hub) stream(e feed.Event, payload feed.StreamEvent) {
	if h.Listening(e.Key) {
		h.Send(e.Key, StreamFrame(e.Key, ejson.Raw(payload.Args)))
	}
}

// EmitHere sends a stream event to the subscribers on this node only, for news
// that every node finds out by itself: args are the elements of its list. What all
// nodes must be told is published as feed.Stream.
func (h *Hub) EmitHere(stream, event string, args ...any) error {
	key := stream + "/" + event
	if !h.Listening(key) {
		return nil
	}
	raw, err := ejson.Append(nil, args)
	if err != nil {
		return err
	}
	h.Send(key, StreamFrame(key, raw))
	return nil
}

// ListeningUsers lists those of the users who listen to an event of their own
// (stream-notify-user). It allocates nothing for the others, of whom there may be
// thousands.
func (h *Hub) ListeningUsers(users iter.Seq[string], event string) (out []string) {
	key := make([]byte, 0, 128)
	h.mu.RLock()
	defer h.mu.RUnlock()
	for id := range users {
		key = append(append(append(append(key[:0], "stream-notify-user/"...), id...), '/'), event...)
		if h.topics[string(key)] != nil {
			out = append(out, id)
		}
	}
	return out
}

// StreamFrame makes the frame of a stream event. key is "collection/eventName";
// only the event may contain slashes of its own.
func StreamFrame(key string, args ejson.Raw) *ddp.Frame {
	collection, event := cutKey(key)
	b := make([]byte, 0, 96+len(key)+len(args))
	b = append(b, `{"msg":"changed","collection":`...)
	b = ejson.AppendString(b, collection)
	b = append(b, `,"id":"id","fields":{"eventName":`...)
	b = ejson.AppendString(b, event)
	b = append(b, `,"args":`...)
	b = append(b, args...)
	b = append(b, `}}`...)
	return ddp.NewFrame(b)
}
