package realtime

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/feed"
)

const (
	// followTime bounds what a subscription waits until a transport brings what it is about.
	followTime = time.Second
	// linger is how long a topic is followed behind the end of the last who needed it, so
	// that clients which come back, or go from room to room, ask the transport for nothing.
	linger = 15 * time.Second
)

// interest is what this node asks a transport for that can tell nodes apart
// (feed.Follower). Over another transport everything comes, and it does nothing.
//
// Whoever is to hear of a topic follows it first and reads afterwards: what was made before
// the topic was followed is in what is read, and the rest comes. Who asks while the
// transport is asked for something else is asked for together with all others who came
// meanwhile, so a crowd shares a few round trips. Nobody waits for a transport that is away:
// it brings nothing anyhow, and what was made until it brings it is told again then.
type interest struct {
	to   feed.Follower // nil: everything comes
	wake chan struct{} // has room for one

	mu     sync.Mutex
	topics map[string]*wanted
	next   *round // of topics that are to be asked for
	idle   []*wanted
	// deaf is set while the transport brings nothing.
	deaf bool
}

// wanted is a topic that is followed.
type wanted struct {
	topic string
	uses  int
	round *round    // the one that asks for it; nil when it is heard
	until time.Time // when it ends if nobody uses it
	idle  bool      // it is in the list of those
}

// round is one question to the transport.
type round struct {
	topics []*wanted
	begun  time.Time
	done   chan struct{} // closed when it was answered, or those who wait are let go
	over   bool
	// hasty tells that somebody went on before what was asked for was heard.
	hasty bool
}

func (r *round) release() {
	if !r.over {
		r.over = true
		close(r.done)
	}
}

// Interest is a set of topics that are followed for somebody. It is safe for concurrent
// use.
type Interest struct {
	hub    *Hub
	topics []*wanted
	ended  bool
}

// Selective tells whether other nodes' news of topics come only when they are followed.
func (h *Hub) Selective() bool { return h.interest.to != nil }

// NewInterest makes a set without topics.
func (h *Hub) NewInterest() *Interest { return &Interest{hub: h} }

// Follow adds topics, as feed.TopicOf makes them of keys. When it returns, what other nodes
// make of them from now on comes here, or is told again as soon as it can be. It waits for the
// transport for a second at most, and not while there is none. It tells whether one of them was not
// heard on this node until now. Whoever cancels ctx does not go on without what is asked for:
// otherwise a client that hangs up in time would have everybody here told again.
func (i *Interest) Follow(ctx context.Context, topics ...string) (fresh bool) {
	n := &i.hub.interest
	if n.to == nil {
		return false
	}
	rounds, fresh := n.add(i, topics)
	if len(rounds) == 0 {
		return fresh
	}
	limit := time.NewTimer(followTime)
	defer limit.Stop()
	for _, r := range rounds {
		select {
		case <-r.done:
			continue
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fresh
			}
		case <-limit.C:
		}
		n.mu.Lock()
		for _, r := range rounds {
			r.hasty = true
		}
		n.mu.Unlock()
		return fresh
	}
	return fresh
}

// Drop takes a topic out.
func (i *Interest) Drop(topic string) {
	n := &i.hub.interest
	n.mu.Lock()
	defer n.mu.Unlock()
	at := slices.IndexFunc(i.topics, func(w *wanted) bool { return w.topic == topic })
	if at >= 0 {
		n.leave(i.topics[at])
		i.topics = slices.Delete(i.topics, at, at+1)
	}
}

// End takes all topics out, also those that are added afterwards.
func (i *Interest) End() {
	n := &i.hub.interest
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range i.topics {
		n.leave(w)
	}
	i.topics, i.ended = nil, true
}

// add notes the topics, and returns the rounds that ask for those which are not heard yet.
func (n *interest) add(i *Interest, topics []string) (rounds []*round, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i.ended {
		return nil, false
	}
	had := make(map[string]struct{}, len(i.topics)+len(topics))
	for _, w := range i.topics {
		had[w.topic] = struct{}{}
	}
	for _, topic := range topics {
		w := n.topics[topic]
		if w == nil {
			w = &wanted{topic: topic}
			n.topics[topic] = w
			n.ask(w)
		}
		if _, before := had[topic]; !before {
			had[topic] = struct{}{}
			w.uses++
			i.topics = append(i.topics, w)
		}
		switch { // also of a topic that somebody followed who did not wait
		case w.round == nil:
			continue
		case n.deaf:
			w.round.hasty = true
		case !slices.Contains(rounds, w.round):
			rounds = append(rounds, w.round)
		}
		fresh = true
	}
	return rounds, fresh
}

// ask has a topic asked for by the next round. The caller holds the lock.
func (n *interest) ask(w *wanted) {
	if n.next == nil {
		n.next = &round{begun: time.Now(), done: make(chan struct{})}
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
	w.round = n.next
	n.next.topics = append(n.next.topics, w)
}

// leave ends one use of a topic. The caller holds the lock.
func (n *interest) leave(w *wanted) {
	if w.uses--; w.uses > 0 {
		return
	}
	w.until = time.Now().Add(linger)
	if !w.idle {
		w.idle = true
		n.idle = append(n.idle, w)
	}
}

// hears notes whether the transport brings anything. Nobody waits for one that does not.
func (n *interest) hears(hears bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deaf = !hears
}

// follow asks the transport for what is wanted until ctx ends.
func (h *Hub) follow(ctx context.Context) {
	n := &h.interest
	tick := time.NewTicker(linger / 5)
	defer tick.Stop()
	defer n.hears(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
			h.askNext(ctx)
		case <-tick.C:
			n.forget(time.Now())
		}
	}
}

// askNext asks for the topics of the next round, again until they are heard.
func (h *Hub) askNext(ctx context.Context) {
	n := &h.interest
	n.mu.Lock()
	r := n.next
	n.next = nil
	n.mu.Unlock()
	if r == nil {
		return
	}
	topics := make([]string, len(r.topics))
	for i, w := range r.topics {
		topics[i] = w.topic
	}
	failing := time.Time{}
	for {
		op, cancel := context.WithTimeout(ctx, followTime)
		err := n.to.Follow(op, topics)
		cancel()
		switch hears := h.hears.Load(); {
		case ctx.Err() != nil:
		case err != nil && hears && failing.IsZero(): // else it is known why
			failing = time.Now()
			h.log.Warn("topics_not_followed", zap.Error(err), zap.Int("topics", len(topics)),
				zap.String("hint", "clients are not told what other nodes do in these rooms until they are; what was missed is read then"))
		case err == nil && !failing.IsZero():
			h.log.Info("topics_followed_again", zap.Duration("after", time.Since(failing)))
		}
		n.mu.Lock()
		if err == nil {
			for _, w := range r.topics {
				w.round = nil
			}
			again := r.hasty
			r.release()
			n.mu.Unlock()
			if again { // others went on without what was made meanwhile
				h.Untold(r.begun)
			}
			return
		}
		r.hasty = true
		r.release()
		n.mu.Unlock()
		if wait(ctx, followTime/4); ctx.Err() != nil {
			return
		}
	}
}

// forget ends topics that nobody has used for a while.
func (n *interest) forget(now time.Time) {
	n.mu.Lock()
	var over []string
	n.idle = slices.DeleteFunc(n.idle, func(w *wanted) bool {
		switch {
		case w.uses > 0:
			w.idle = false
		case w.round != nil || now.Before(w.until):
		default:
			delete(n.topics, w.topic)
			over = append(over, w.topic)
			return true
		}
		return !w.idle
	})
	n.mu.Unlock()
	if len(over) > 0 { // whoever wants one of them again is asked for behind this, by the same goroutine
		n.to.Unfollow(over)
	}
}

// count is how many topics are followed.
func (n *interest) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.topics)
}

// HandleSubscribe adds a function that runs when a subscription to an event of a stream has
// begun to listen and is not ready yet, for a group that tells it news under other topics than
// the stream's own. An error refuses the subscription. It belongs to the set-up.
func (h *Hub) HandleSubscribe(f func(ctx context.Context, s *ddp.Subscription, stream, event string) error) {
	h.subscribing = append(h.subscribing, f)
}

// settle follows what a subscription is about, so that it may be ready.
func (h *Hub) settle(ctx context.Context, st *Stream, s *ddp.Subscription, event string) error {
	if !h.Selective() {
		return nil
	}
	topic := feed.TopicOf(st.Name + "/" + event)
	if st.Topic != nil {
		topic = st.Topic(event)
	}
	if topic != "" {
		i := h.NewInterest()
		s.OnStop(i.End)
		i.Follow(ctx, topic)
	}
	for _, f := range h.subscribing {
		if err := f(ctx, s, st.Name, event); err != nil {
			return err
		}
	}
	return nil
}
