package realtime

import (
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// A topic is everybody who listens to one event of one stream, or to whatever
// else its key names.
type topic struct {
	key string

	mu      sync.Mutex
	members []*member
	gone    bool // removed from the hub; a joiner makes a new one

	// queue holds frames to be sent. Whoever finds nobody sending sends up to the
	// own frame; what others queued meanwhile is left to a goroutine, so that no
	// call waits for the events of others. Frames keep their order, and a send out
	// of a send (a client that is dropped changes its user's presence) can not wait
	// for itself.
	queue   []sending
	sending bool
	batch   []*member
}

type sending struct {
	frame  *ddp.Frame
	accept func(*ddp.Subscription, rpc.Login) bool
	// pick takes the place of both: the frame for a login, nil for none.
	pick func(rpc.Login) *ddp.Frame
}

// of is the frame for a subscription, nil for none.
func (n *sending) of(s *ddp.Subscription) *ddp.Frame {
	l := s.Login()
	switch {
	case n.pick != nil:
		return n.pick(l)
	case n.accept == nil || n.accept(s, l):
		return n.frame
	}
	return nil
}

// member is one subscription in one topic.
type member struct {
	key   string
	topic *topic // nil until it joins
	at    int32  // its place in members, guarded by topic.mu
	own   int32  // its place in the user's list, guarded by subscribers.mu
	sub   *ddp.Subscription
	// stream is asked again by Recheck; nil for topics that need no leave.
	stream *Stream
}

func cutKey(key string) (collection, event string) {
	collection, event, _ = strings.Cut(key, "/")
	return collection, event
}

// Join lets a subscription have what is sent to a topic, as long as it lives.
func (h *Hub) Join(key string, s *ddp.Subscription) {
	h.listen(&member{key: key, sub: s})
}

func (h *Hub) join(m *member) {
	for {
		t := h.topic(m.key, true)
		t.mu.Lock()
		if !t.gone {
			m.topic, m.at = t, int32(len(t.members)) // sockets run out long before
			t.members = append(t.members, m)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
	}
}

// topic finds a topic, or makes it.
func (h *Hub) topic(key string, create bool) *topic {
	h.mu.RLock()
	t := h.topics[key]
	h.mu.RUnlock()
	if t != nil || !create {
		return t
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t = h.topics[key]; t == nil {
		t = &topic{key: key}
		h.topics[key] = t
	}
	return t
}

func (h *Hub) leave(m *member) {
	t := m.topic
	t.mu.Lock()
	last := len(t.members) - 1
	t.members[m.at] = t.members[last]
	t.members[m.at].at = m.at
	t.members[last] = nil
	t.members = t.members[:last]
	empty := last == 0
	t.mu.Unlock()
	if !empty {
		return
	}
	h.mu.Lock()
	t.mu.Lock()
	if len(t.members) == 0 && !t.gone {
		t.gone = true
		delete(h.topics, t.key)
	}
	t.mu.Unlock()
	h.mu.Unlock()
}

// Listening tells whether anybody on this node listens to a topic, so that
// nothing needs to be encoded when nobody does.
func (h *Hub) Listening(key string) bool { return h.topic(key, false) != nil }

// attended tells whether somebody on this node waits for news of others.
func (h *Hub) attended() bool {
	h.mu.RLock()
	n := len(h.topics)
	h.mu.RUnlock()
	return n > 0 || slices.ContainsFunc(h.attendants, func(f func() bool) bool { return f() })
}

// Topics lists what anybody on this node listens to whose key begins so: the rest of the keys.
func (h *Hub) Topics(prefix string) (rest []string) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for key := range h.topics {
		if r, ok := strings.CutPrefix(key, prefix); ok {
			rest = append(rest, r)
		}
	}
	return rest
}

// Send gives a frame to everybody who listens to a topic on this node. It does
// not wait for any of them; frames of one topic keep their order.
func (h *Hub) Send(key string, f *ddp.Frame) { h.SendIf(key, f, nil) }

// SendIf is Send for those whom the function accepts; nil accepts all. It gets
// the login under which the subscription runs, and must be quick.
func (h *Hub) SendIf(key string, f *ddp.Frame, accept func(s *ddp.Subscription, l rpc.Login) bool) {
	h.queue(key, sending{frame: f, accept: accept})
}

// SendEach gives everybody who listens to a topic the frame that pick has for the
// login; nil is none. It goes over the listeners once, and must be quick.
func (h *Hub) SendEach(key string, pick func(rpc.Login) *ddp.Frame) {
	h.queue(key, sending{pick: pick})
}

func (h *Hub) queue(key string, next sending) {
	t := h.topic(key, false)
	if t == nil {
		return
	}
	t.mu.Lock()
	t.queue = append(t.queue, next)
	if t.sending {
		t.mu.Unlock()
		return
	}
	t.sending = true
	if !t.drain(len(t.queue)) {
		go h.drainRest(t)
	}
}

// drainRest sends what is queued until nothing is left.
func (h *Hub) drainRest(t *topic) {
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("event_handler_panicked", zap.String("topic", t.key), zap.Any("panic", v), zap.Stack("stack"))
		}
	}()
	for done := false; !done; {
		t.mu.Lock()
		done = t.drain(len(t.queue))
	}
}

// postFrom is from how many members on the writes to their sockets are left to
// the engine: who publishes does not wait for them, and bursts share a write.
const postFrom = 8

// drain sends the first frames of the queue and tells whether that was all; if not,
// the caller must see that the rest is sent. It is called with mu held and releases it.
func (t *topic) drain(frames int) (all bool) {
	locked := true
	defer func() {
		if !locked { // accept panicked
			t.mu.Lock()
		}
		all = !locked || len(t.queue) == 0
		t.sending = !all
		t.mu.Unlock()
	}()
	for range frames {
		next := t.queue[0]
		t.queue[0] = sending{}
		if t.queue = t.queue[1:]; len(t.queue) == 0 {
			t.queue = nil
		}
		batch := append(t.batch[:0], t.members...)
		t.batch = nil
		t.mu.Unlock()
		locked = false
		send := (*ddp.Subscription).Send
		if len(batch) >= postFrom {
			send = (*ddp.Subscription).Post
		}
		for i, m := range batch {
			if frame := next.of(m.sub); frame != nil {
				send(m.sub, frame)
			}
			batch[i] = nil
		}
		t.mu.Lock()
		locked = true
		if cap(batch) <= 64 || len(batch) > cap(batch)/4 {
			t.batch = batch[:0]
		}
	}
	return false // set by the deferred function
}
