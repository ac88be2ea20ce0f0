package natsfeed

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxTopics is up to how many topics a node asks for one by one. Each costs it and the NATS
// server 1.3 KiB together and 20 µs whenever a connection begins. A node with more of them follows a
// good part of all there are, and is told of all topics: what it did not ask for costs a few
// microseconds an event. It asks for each again when half as many are left.
const maxTopics = 20_000

// followed is what a node subscribes to.
type followed struct {
	mu  sync.Mutex
	max int // maxTopics, less in tests; 0 when the server allows fewer
	// whole tells that it is told of all topics, and none has a subscription of its own.
	whole bool
	// arrived takes what comes; nil while nobody receives.
	arrived chan *nats.Msg
	always  []*nats.Subscription
	all     []*nats.Subscription // of all topics, when whole
	// topics are those that are followed, each with a subscription for each ring while
	// somebody receives.
	topics map[string][]*nats.Subscription
}

// Follow implements feed.Follower: one round trip to the server, however many topics these
// are. A connection that comes back begins with all topics, and the receiver is told that it
// listens when the server has them.
func (t *Transport) Follow(ctx context.Context, topics []string) error {
	before := t.mark()
	if err := t.ask(topics); err != nil {
		return err
	}
	if err := t.down(); err != nil {
		return err
	}
	err := t.confirmed(ctx, before, "subscription")
	if refused(err, "subscription") { // the server is to be asked again, and to refuse it again
		t.Unfollow(topics)
	}
	if err == nil {
		err = t.limited()
	}
	return err
}

// errLimit is the error for topics that may have been deaf: what they missed is told again.
var errLimit = errors.New("the NATS server allows fewer subscriptions than there are topics: from now on all topics are asked for at once")

// limited finds out whether the server has refused a subscription because this node has too
// many, which it says once and to nobody in particular. From then on the node never
// follows topics one by one again, since nobody knows how many it may have.
func (t *Transport) limited() error {
	f := &t.followed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.max == 0 || !errors.Is(t.nc.LastError(), nats.ErrMaxSubscriptionsExceeded) {
		return nil
	}
	f.max, f.whole = 0, true
	for topic, subs := range f.topics { // first, to make room
		unsubscribe(subs)
		f.topics[topic] = nil
	}
	unsubscribe(f.all)
	f.all = nil
	return errors.Join(errLimit, t.subscribeAll())
}

// ask subscribes to those of the topics that are not followed yet.
func (t *Transport) ask(topics []string) error {
	f := &t.followed
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range topics {
		if _, before := f.topics[topic]; before {
			continue
		}
		if err := t.subscribe(topic); err != nil {
			return err
		}
	}
	if f.whole || len(f.topics) <= f.max {
		return nil
	}
	// The server reads in order: what it hears of between is brought twice, and nothing is lost.
	f.whole = true
	if err := t.subscribeAll(); err != nil {
		return err
	}
	for topic, subs := range f.topics {
		unsubscribe(subs)
		f.topics[topic] = nil
	}
	return nil
}

// subscribeAll has all topics brought; the caller holds the lock of followed.
func (t *Transport) subscribeAll() error {
	f := &t.followed
	if f.arrived == nil {
		return nil
	}
	for _, r := range t.rings {
		sub, err := t.nc.ChanSubscribe(r.prefix+"."+topical+".>", f.arrived)
		if err != nil {
			return err
		}
		f.all = append(f.all, sub)
	}
	return nil
}

// subscribe follows a topic; the caller holds the lock of followed. While there is no
// connection the library remembers it, and while nobody receives, the topics do.
func (t *Transport) subscribe(topic string) error {
	f := &t.followed
	f.topics[topic] = nil
	if f.arrived == nil || f.whole {
		return nil
	}
	subs := make([]*nats.Subscription, 0, len(t.rings))
	for _, r := range t.rings {
		sub, err := t.nc.ChanSubscribe(r.follow(topic), f.arrived)
		if err != nil {
			return err
		}
		subs = append(subs, sub)
		f.topics[topic] = subs
	}
	return nil
}

// Unfollow implements feed.Follower.
func (t *Transport) Unfollow(topics []string) {
	f := &t.followed
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range topics {
		unsubscribe(f.topics[topic])
		delete(f.topics, topic)
	}
	if !f.whole || len(f.topics) > f.max/2 {
		return
	}
	f.whole = false
	for topic := range f.topics {
		if t.subscribe(topic) != nil { // of a connection that is closed
			break
		}
	}
	unsubscribe(f.all)
	f.all = nil
}

// end is for when nobody receives any more.
func (f *followed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = nil
	unsubscribe(f.always)
	unsubscribe(f.all)
	f.always, f.all = nil, nil
	for topic, subs := range f.topics {
		unsubscribe(subs)
		f.topics[topic] = nil
	}
}

// unsubscribe ends subscriptions; of a connection that is closed they have ended already.
func unsubscribe(subs []*nats.Subscription) {
	for _, sub := range subs {
		_ = sub.Unsubscribe()
	}
}
