package feedtest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/testwait"
)

// Meeting is where the transports of several nodes meet.
type Meeting struct {
	// Join makes the transport of one more node, which ends with the test.
	Join func(t testing.TB, node string) feed.Transport
	// Cut keeps all nodes from each other until Mend.
	Cut, Mend func()
	// Keeps tells that what is sent before a short cut and during it is not lost, so
	// that nobody has missed anything.
	Keeps bool
}

// RunTransport tests a transport. Each part gets a meeting of its own.
func RunTransport(t *testing.T, meet func(t *testing.T) Meeting) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, m Meeting)
	}{
		{"in order", inOrder}, {"batches", batches}, {"fields", fieldsStay}, {"cut", cutOff}, {"end", endOfReceive},
		{"topics", topics}, {"topics after a cut", topicsAfterCut},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, meet(t)) })
	}
}

// Node is a node of a test: a transport and a receiver that does as the hub does.
type Node struct {
	feed.Transport
	name string

	mu        sync.Mutex
	seen      map[string]bool
	events    []feed.Event
	listening bool
	deafened  int
	missed    int
	pause     func() // before events are taken; may be nil
}

// Join makes a node that receives until the test ends. pause is called before it takes
// events; it may be nil.
func Join(t testing.TB, tr feed.Transport, name string, pause func()) *Node {
	t.Helper()
	n := &Node{Transport: tr, name: name, seen: map[string]bool{}, pause: pause}
	ctx, stop := context.WithCancel(context.Background())
	var receiving sync.WaitGroup
	receiving.Go(func() { tr.Receive(ctx, n) })
	t.Cleanup(func() {
		stop()
		receiving.Wait()
	})
	return n
}

// Listening implements feed.Receiver.
func (n *Node) Listening() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = true
}

// Deaf implements feed.Receiver.
func (n *Node) Deaf(error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = false
	n.deafened++
}

// Missed implements feed.Receiver.
func (n *Node) Missed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.missed++
}

// Take implements feed.Receiver.
func (n *Node) Take(events []feed.Event) {
	if n.pause != nil {
		n.pause()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range events {
		if e.Node != n.name && !n.seen[e.ID] {
			n.seen[e.ID] = true
			n.events = append(n.events, e)
		}
	}
}

// Events are those that came so far.
func (n *Node) Events() []feed.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.events[:len(n.events):len(n.events)]
}

// Listens tells whether the node listens.
func (n *Node) Listens() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listening
}

// Deafened is how often the node was told that it may miss something.
func (n *Node) Deafened() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.deafened
}

// MissedTimes is how often the node was told that it missed something.
func (n *Node) MissedTimes() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.missed
}

// SendAll sends as the hub does: again until it worked.
func (n *Node) SendAll(t testing.TB, events ...feed.Event) {
	t.Helper()
	var last error
	testwait.Until(t, "sending", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		last = n.Send(ctx, events)
		return last == nil
	})
}

// All waits until the node has got this many events.
func (n *Node) All(t testing.TB, count int) []feed.Event {
	t.Helper()
	testwait.Until(t, fmt.Sprintf("%s has %d events", n.name, count), func() bool { return len(n.Events()) >= count })
	return n.Events()
}

// Events makes encoded events of a node, numbered from first on, about a few keys.
func Events(node string, first, count int) []feed.Event {
	events := make([]feed.Event, count)
	for i := range events {
		number := first + i
		events[i] = feed.Event{
			ID: fmt.Sprint(node, "-", number), Node: node, Kind: "note", Key: fmt.Sprint("key/", number%7), Version: 1,
			Body: fmt.Appendf(nil, `{"text":"%d"}`, number), At: time.UnixMilli(1_800_000_000_000 + int64(number)).UTC(),
		}
	}
	return events
}

func join(t testing.TB, m Meeting, names ...string) []*Node {
	t.Helper()
	nodes := make([]*Node, len(names))
	for i, name := range names {
		nodes[i] = Join(t, m.Join(t, name), name, nil)
	}
	for _, n := range nodes {
		testwait.Until(t, n.name+" listens", n.Listens)
	}
	return nodes
}

// expect compares what came of each sender with what it sent.
func (n *Node) expect(t testing.TB, sent map[string][]feed.Event) {
	t.Helper()
	count := 0
	for name, events := range sent {
		if name != n.name {
			count += len(events)
		}
	}
	came := map[string][]feed.Event{}
	for _, e := range n.All(t, count) {
		came[e.Node] = append(came[e.Node], e)
	}
	for name, events := range sent {
		if name == n.name {
			events = nil
		}
		if !reflect.DeepEqual(came[name], events) {
			t.Errorf("%s got of %s %d events, %d were sent; first of each: %+v, %+v", n.name, name, len(came[name]), len(events), head(came[name]), head(events))
		}
	}
}

func head(events []feed.Event) []feed.Event { return events[:min(1, len(events))] }

// inOrder: what one node sends comes to all others, in its order, and not to itself.
func inOrder(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2", "n3")
	deafened := map[string]int{}
	for _, n := range nodes {
		deafened[n.name] = n.Deafened()
	}
	sent := map[string][]feed.Event{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() {
			var own []feed.Event
			for i := range 50 {
				events := Events(n.name, len(own), 1+i%5)
				n.SendAll(t, events...)
				own = append(own, events...)
			}
			mu.Lock()
			defer mu.Unlock()
			sent[n.name] = own
		})
	}
	all.Wait()
	for _, n := range nodes {
		n.expect(t, sent)
		if n.MissedTimes() != 0 || n.Deafened() != deafened[n.name] {
			t.Errorf("%s: missed %d times, deaf %d times", n.name, n.MissedTimes(), n.Deafened())
		}
	}
}

// batches: five thousand events, up to a thousand at once, of which nothing is lost.
func batches(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2", "n3")
	var sent []feed.Event
	for _, n := range []int{1, 2, 997, 1000, 1000, 1000, 1000} {
		events := Events("n1", len(sent), n)
		nodes[0].SendAll(t, events...)
		sent = append(sent, events...)
	}
	for _, n := range nodes {
		n.expect(t, map[string][]feed.Event{"n1": sent})
		if n.MissedTimes() != 0 {
			t.Errorf("%s missed something", n.name)
		}
	}
}

// fieldsStay: keys and bodies may be anything.
func fieldsStay(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2")
	var events []feed.Event
	for i, key := range []string{"", " ", ".", "a.b", "*", ">", "stream-notify-user/u 1/e\r\n", "\x00", "ключ", string(make([]byte, 5000)), "$SYS.x"} {
		e := Events("n1", i, 1)[0]
		e.Key, e.Kind, e.Version = key, fmt.Sprint("kind ", i), i-1
		events = append(events, e)
	}
	events[0].Body = nil
	for i, n := range []int{1, 3000, 100_000} {
		e := Events("n1", len(events), 1)[0]
		if e.Body = make([]byte, n); i == 0 {
			e.At = time.UnixMilli(0).UTC()
		}
		events = append(events, e)
	}
	nodes[0].SendAll(t, events...)
	nodes[1].expect(t, map[string][]feed.Event{"n1": events})
}

// cutOff: nodes that hear nobody are told, those that cannot send, too; then everything
// goes on, and what was lost is not lost in silence.
func cutOff(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2")
	before := Events("n1", 0, 10)
	nodes[0].SendAll(t, before...)
	nodes[1].All(t, len(before))
	m.Cut()
	for _, n := range nodes {
		testwait.Until(t, n.name+" is deaf", func() bool { return !n.Listens() })
	}
	during := Events("n1", 10, 10)
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	defer cancel()
	if err := nodes[0].Send(ctx, during); err == nil {
		t.Error("sending through the cut was no error")
	}
	m.Mend()
	for _, n := range nodes {
		testwait.Until(t, n.name+" listens again", n.Listens)
		if m.Keeps {
			continue
		}
		testwait.Until(t, n.name+" knows that it missed something", func() bool { return n.MissedTimes() > 0 })
	}
	nodes[0].SendAll(t, during...)
	after := Events("n1", 20, 10)
	nodes[0].SendAll(t, after...)
	nodes[1].expect(t, map[string][]feed.Event{"n1": append(append(before, during...), after...)})
}

// endOfReceive: a receiver whose time is over is told nothing more.
func endOfReceive(t *testing.T, m Meeting) {
	n1 := join(t, m, "n1")[0]
	n2 := &Node{Transport: m.Join(t, "n2"), name: "n2", seen: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	var receiving sync.WaitGroup
	receiving.Go(func() { n2.Receive(ctx, n2) })
	testwait.Until(t, "n2 listens", n2.Listens)
	n1.SendAll(t, Events("n1", 0, 1)...)
	n2.All(t, 1)
	stop()
	receiving.Wait()
	witness := join(t, m, "n3")[0]
	n1.SendAll(t, Events("n1", 1, 1)...)
	witness.All(t, 1)
	if got := len(n2.Events()); got != 1 || n2.MissedTimes() != 0 {
		t.Errorf("told of %d events, missed %d", got, n2.MissedTimes())
	}
}

// Told is a kind of news with topics.
var Told = feed.NewKind[ToldNews]("told", 1).ByTopic()

// ToldNews is the payload of Told.
type ToldNews struct {
	Number int `json:"number"`
}

// Check implements feed.Payload.
func (ToldNews) Check() error { return nil }

// Topical makes encoded events of a node with a topic, numbered from first on.
func Topical(node, key string, first, count int) []feed.Event {
	events := make([]feed.Event, count)
	for i := range events {
		e := Told.Event(key, ToldNews{first + i}).Encoded()
		e.ID, e.Node, e.At = fmt.Sprint(node, "-", key, "-", first+i), node, time.UnixMilli(1_800_000_000_000).UTC()
		events[i] = e
	}
	return events
}

// Follow follows topics until it worked; over a transport that brings everything there is
// nothing to do.
func (n *Node) Follow(t testing.TB, topics ...string) {
	t.Helper()
	f, selective := n.Transport.(feed.Follower)
	if !selective {
		return
	}
	testwait.Until(t, "following", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		return f.Follow(ctx, topics) == nil
	})
}

// of counts the events with a key.
func (n *Node) of(key string) (count int) {
	for _, e := range n.Events() {
		if e.Key == key {
			count++
		}
	}
	return count
}

// topics: what has a topic comes to all who follow it, from the moment in which Follow
// returned, in the order of its node with what else that sends, and to those who do not
// follow only over a transport that cannot tell nodes apart.
func topics(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2", "n3")
	_, selective := nodes[0].Transport.(feed.Follower)
	keys := []string{"room", "a.b", "*", ">", "stream-notify-user/u 1/e\r\n", "stream/event", "\x00", string(make([]byte, 3000))}
	var sent []feed.Event
	for i, key := range keys {
		nodes[1].Follow(t, feed.TopicOf(key), "another")
		for _, events := range [][]feed.Event{Topical("n1", key, i, 2), Events("n1", 10*i, 2)} {
			nodes[0].SendAll(t, events...)
			sent = append(sent, events...)
		}
	}
	nodes[1].All(t, len(sent))
	for i, e := range nodes[1].Events() {
		if e.ID != sent[i].ID || e.Key != sent[i].Key || string(e.Body) != string(sent[i].Body) {
			t.Fatalf("event %d is %+v, sent was %+v", i, e, sent[i])
		}
	}
	want := len(sent)
	if selective {
		want = 2 * len(keys)
	}
	if got := len(nodes[2].All(t, want)); got != want {
		t.Errorf("who follows nothing got %d events, want %d", got, want)
	}
	if !selective {
		return
	}
	nodes[1].Transport.(feed.Follower).Unfollow([]string{"room", "nobody's"})
	nodes[1].Follow(t, "another") // the server has heard of it
	before := nodes[1].of("room")
	nodes[0].SendAll(t, append(Topical("n1", "room", 50, 5), Events("n1", 1000, 1)...)...)
	nodes[1].All(t, len(sent)+1)
	if got := nodes[1].of("room"); got != before {
		t.Errorf("what is not followed any more comes: %d", got-before)
	}
}

// topicsAfterCut: what was followed before a cut and during it is followed after it.
func topicsAfterCut(t *testing.T, m Meeting) {
	nodes := join(t, m, "n1", "n2")
	nodes[1].Follow(t, "before")
	m.Cut()
	for _, n := range nodes {
		testwait.Until(t, n.name+" is deaf", func() bool { return !n.Listens() })
	}
	if f, selective := nodes[1].Transport.(feed.Follower); selective {
		ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		if f.Follow(ctx, []string{"during"}) == nil {
			t.Error("following through the cut was no error")
		}
	}
	m.Mend()
	for _, n := range nodes {
		testwait.Until(t, n.name+" listens again", n.Listens)
	}
	nodes[1].Follow(t, "during")
	events := append(Topical("n1", "before", 0, 3), Topical("n1", "during", 0, 3)...)
	nodes[0].SendAll(t, events...)
	testwait.Until(t, "everything comes", func() bool { return nodes[1].of("before") == 3 && nodes[1].of("during") == 3 })
}
