package realtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/feed"
	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/testwait"
	"ddpserver/internal/wiretest"
)

// natsHub is a hub over NATS at an address, which listens.
func natsHub(t testing.TB, address, name string, key *secret.Key) *node {
	t.Helper()
	transport, err := natsfeed.Open(natsfeed.Options{Address: "nats://" + address, Node: name, Database: "chat", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	n := runOver(t, name, transport)
	listening(t, []*node{n}, true)
	return n
}

func natsKey(t testing.TB) *secret.Key {
	t.Helper()
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// streamsOf serves stream-test of a hub to a client, which is connected.
func streamsOf(t testing.TB, h *Hub) *ddptest.Client {
	t.Helper()
	server := ddp.New(ddp.Options{Handler: openHandler{Publications: NewPublications(h, open{}, nil, open{})}, Limits: ddp.Limits{HeartbeatInterval: -1}})
	conn, c := ddptest.Pipe()
	var served sync.WaitGroup
	served.Go(func() { server.Serve(conn, &rpc.Peer{}) })
	t.Cleanup(func() {
		c.Close()
		served.Wait()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c.Send(`{"msg":"connect","version":"1","support":["1"]}`)
	nextFrame(t, c, `"connected"`)
	return c
}

func nextFrame(t testing.TB, c *ddptest.Client, want ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	defer cancel()
	frame, ok, code := c.Await(ctx.Done(), want...)
	if !ok {
		t.Fatalf("no frame with %q; closed with %d", want, code)
	}
	return frame
}

// Whatever is published on one node after a subscription on another is ready arrives there,
// although each topic is new to the node and the other publishes all the time.
func TestReadyMeansFollowed(t *testing.T) {
	server, key := natstest.Start(t, nil), natsKey(t)
	a, b := natsHub(t, server.Addr(), "a", key), natsHub(t, server.Addr(), "b", key)
	c := streamsOf(t, b.Hub)
	var subscribed atomic.Int64
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() { // into the topic that is about to be followed
		every := time.NewTicker(300 * time.Microsecond)
		defer every.Stop()
		for {
			select {
			case <-stop:
				return
			case <-every.C:
				feed.Stream.Publish(a, fmt.Sprint("stream-test/e", subscribed.Load()), feed.StreamEvent{Args: []byte(`["before"]`)})
			}
		}
	})
	for i := range 2000 {
		c.Send(fmt.Sprintf(`{"msg":"sub","id":"s%d","name":"stream-test","params":["e%d",false]}`, i, i))
		nextFrame(t, c, `"ready"`, fmt.Sprintf(`"s%d"`, i))
		feed.Stream.Publish(a, fmt.Sprint("stream-test/e", i), feed.StreamEvent{Args: []byte(`["after"]`)})
		nextFrame(t, c, fmt.Sprintf(`"eventName":"e%d"`, i), `["after"]`)
		c.Send(fmt.Sprintf(`{"msg":"unsub","id":"s%d"}`, i))
		subscribed.Add(1)
	}
	close(stop)
	writing.Wait()
	if s := b.News(); s.Missed != 0 || s.Topics == 0 {
		t.Errorf("%+v", s)
	}
}

// A node that nobody follows a topic on gets nothing of it from the server.
func TestNothingUnasked(t *testing.T) {
	server, key := natstest.Start(t, nil), natsKey(t)
	a, b, c := natsHub(t, server.Addr(), "a", key), natsHub(t, server.Addr(), "b", key), natsHub(t, server.Addr(), "c", key)
	follower := b.NewInterest()
	follower.Follow(t.Context(), "stream-test/e")
	const n = 1000
	for range n {
		feed.Stream.Publish(a, "stream-test/e", feed.StreamEvent{Args: []byte(`[1]`)})
		feed.Stream.Publish(a, "stream-test/other", feed.StreamEvent{Args: []byte(`[2]`)})
	}
	a.publish("the last, which everybody gets")
	for _, other := range []*node{b, c} {
		testwait.Until(t, "the last event", func() bool { return len(other.news()) == 1 })
	}
	if got := b.News().Taken; got != n+1 {
		t.Errorf("who follows took %d events", got)
	}
	if got := c.News().Taken; got != 1 {
		t.Errorf("who does not follow took %d events", got)
	}
}

// Topics that are followed and let go leave nothing behind, on the node and on the server; those
// that somebody still uses stay, and those who come back within a while ask for nothing.
func TestInterestLeavesNothing(t *testing.T) {
	server, key := natstest.Start(t, nil), natsKey(t)
	b := natsHub(t, server.Addr(), "b", key)
	before := server.Subscriptions()
	stays := b.NewInterest()
	stays.Follow(t.Context(), "kept", "kept", "dropped")
	stays.Drop("dropped")
	var all sync.WaitGroup
	for w := range 10 {
		all.Go(func() {
			for i := range 1000 {
				in := b.NewInterest()
				in.Follow(context.Background(), fmt.Sprint("room", w, "x", i), "kept")
				in.End()
				in.Follow(context.Background(), "after the end")
			}
		})
	}
	all.Wait()
	if got := server.Subscriptions() - before; got != 10_002 {
		t.Errorf("%d subscriptions; they stay for a while", got)
	}
	b.interest.forget(time.Now())
	if got := b.News().Topics; got != 10_002 {
		t.Errorf("%d topics were forgotten at once", 10_002-got)
	}
	again := b.NewInterest()
	if again.Follow(t.Context(), "room0x0") {
		t.Error("one that is still followed was asked for again")
	}
	again.End()
	b.interest.forget(time.Now().Add(linger + time.Second))
	testwait.Until(t, "the end of those that nobody uses", func() bool {
		return server.Subscriptions()-before == 1 && b.News().Topics == 1
	})
	b.interest.mu.Lock()
	if len(b.interest.idle) != 0 || b.interest.next != nil {
		t.Errorf("left: %d idle, %v", len(b.interest.idle), b.interest.next)
	}
	b.interest.mu.Unlock()
	stays.End()
}

// While NATS is away nobody waits for it. What was made between the subscription and the moment
// in which it is heard is told again, and topics of before are heard as before.
func TestInterestWithoutNATS(t *testing.T) {
	server, key := natstest.Start(t, nil), natsKey(t)
	a, b := natsHub(t, server.Addr(), "a", key), natsHub(t, server.Addr(), "b", key)
	kept := b.NewInterest()
	kept.Follow(t.Context(), "stream-test/kept")
	server.Stop()
	listening(t, []*node{a, b}, false)
	c := streamsOf(t, b.Hub)
	begin := time.Now()
	for i := range 50 {
		c.Send(fmt.Sprintf(`{"msg":"sub","id":"s%d","name":"stream-test","params":["e%d",false]}`, i, i))
		nextFrame(t, c, `"ready"`)
	}
	if took := time.Since(begin); took > 50*followTime/2 {
		t.Errorf("fifty subscriptions took %v", took)
	}
	server.Restart()
	listening(t, []*node{a, b}, true)
	testwait.Until(t, "b to read anew", func() bool { return b.gapCount() > 0 })
	taken := b.News().Taken
	feed.Stream.Publish(a, "stream-test/kept", feed.StreamEvent{Args: []byte(`[1]`)})
	testwait.Until(t, "what was followed before", func() bool { return b.News().Taken > taken })
	testwait.Until(t, "what was followed meanwhile", func() bool {
		b.interest.mu.Lock()
		defer b.interest.mu.Unlock()
		return b.interest.topics["stream-test/e49"].round == nil
	})
	feed.Stream.Publish(a, "stream-test/e49", feed.StreamEvent{Args: []byte(`["sure"]`)})
	nextFrame(t, c, `["sure"]`)
}

// A server that takes questions and answers none holds a subscription up for a second at most,
// and what was made until it is heard is told again.
func TestInterestHalfOpen(t *testing.T) {
	server, key := natstest.Start(t, nil), natsKey(t)
	wire := wiretest.Start(t, server.Addr())
	b := natsHub(t, wire.Addr(), "b", key)
	wire.Poison("timeout", "upstream", `"timeout":0`)
	begin := time.Now()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { b.NewInterest().Follow(context.Background(), fmt.Sprint("room", i)) })
	}
	all.Wait()
	asked := time.Now()
	if took := asked.Sub(begin); took > 3*followTime && took > testwait.Limit/10 {
		t.Errorf("held up for %v", took)
	}
	wire.Heal()
	testwait.Until(t, "what was made meanwhile to be told again", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.lost, func(since time.Time) bool { return since.Before(begin) })
	})
	testwait.Until(t, "it listens", func() bool { _, hears := b.Transport(); return hears })
}

// A crowd that follows at once shares round trips.
func TestCrowdSharesRounds(t *testing.T) {
	ask := &asking{Transport: nothing{}, answer: make(chan struct{})}
	n := runOver(t, "n", ask)
	listening := func() bool { _, hears := n.Transport(); return hears }
	testwait.Until(t, "it listens", listening)
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() { n.NewInterest().Follow(context.Background(), fmt.Sprint("room", i), fmt.Sprint("user", i)) })
	}
	testwait.Until(t, "everybody to wait", func() bool {
		n.interest.mu.Lock()
		defer n.interest.mu.Unlock()
		return len(n.interest.topics) == 1000
	})
	before := ask.asked.Load()
	close(ask.answer)
	all.Wait()
	// Beside the one under way, one for all who came meanwhile, or two when that one is asked again.
	if got := ask.asked.Load() - before; got > 2 {
		t.Errorf("%d round trips for 500 at once", got)
	}
	if got := ask.count(); got != n.News().Topics {
		t.Errorf("%d topics were asked for, %d are followed", got, n.News().Topics)
	}
}

// Who hangs up while the transport is asked has nobody told again; who uses the same topics and
// goes on before they are heard does.
func TestWhoHangsUpWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Transport: &asking{Transport: nothing{}}}) // nobody asks
		h.interest.hears(true)
		in := h.NewInterest()
		over, hangUp := context.WithCancel(t.Context())
		hangUp()
		for _, row := range []struct {
			ctx  context.Context
			want bool
		}{{over, false}, {t.Context(), true}} {
			if fresh := in.Follow(row.ctx, "room"); !fresh || h.interest.next.hasty != row.want {
				t.Errorf("fresh %v, hasty %v, want %v", fresh, h.interest.next.hasty, row.want)
			}
		}
		if w := h.interest.topics["room"]; w.uses != 1 || len(h.interest.next.topics) != 1 {
			t.Errorf("%d uses, asked for %d times", w.uses, len(h.interest.next.topics))
		}
	})
}

// asking is a transport that brings nothing and counts what it is asked for.
type asking struct {
	feed.Transport
	answer chan struct{}
	asked  atomic.Int64
	topics sync.Map
}

func (c *asking) count() (n int) {
	c.topics.Range(func(any, any) bool { n++; return true })
	return n
}

func (c *asking) Follow(ctx context.Context, topics []string) error {
	c.asked.Add(1)
	for _, topic := range topics {
		c.topics.Store(topic, true)
	}
	select {
	case <-c.answer:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (c *asking) Unfollow([]string) {}

// nothing is a transport that brings nothing.
type nothing struct{}

func (nothing) Name() string                             { return "nothing" }
func (nothing) Send(context.Context, []feed.Event) error { return nil }
func (nothing) Receive(ctx context.Context, to feed.Receiver) {
	to.Listening()
	<-ctx.Done()
}

// BenchmarkSubscribe is from a client's subscription to its ready: on a node alone, over NATS to
// a topic that is new to the node, and to one that somebody on it follows.
func BenchmarkSubscribe(b *testing.B) {
	server, key := natstest.Start(b, nil), natsKey(b)
	for _, row := range []struct {
		name  string
		hub   func() *Hub
		event string
	}{
		{"alone", func() *Hub { return New(Options{}) }, "e%d"},
		{"nats-new", func() *Hub { return natsHub(b, server.Addr(), "new", key).Hub }, "e%d"},
		{"nats-followed", func() *Hub { return natsHub(b, server.Addr(), "same", key).Hub }, "e"},
	} {
		b.Run(row.name, func(b *testing.B) {
			c := streamsOf(b, row.hub())
			for i := 0; b.Loop(); i++ {
				event := row.event
				if event != "e" {
					event = fmt.Sprintf(event, i)
				}
				c.Send(fmt.Sprintf(`{"msg":"sub","id":"s%d","name":"stream-test","params":[%q,false]}`, i, event))
				nextFrame(b, c, `"ready"`)
				c.Send(fmt.Sprintf(`{"msg":"unsub","id":"s%d"}`, i))
			}
		})
	}
}
