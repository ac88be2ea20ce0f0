package natsfeed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/secret"
	"ddpserver/internal/testwait"
	"ddpserver/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one installation on one NATS server.
type world struct {
	*natstest.Server
	opts Options
	logs *observer.ObservedLogs
}

func newWorld(t testing.TB, change func(*server.Options)) *world {
	core, logs := observer.New(zapcore.DebugLevel)
	s := natstest.Start(t, change)
	return &world{s, Options{Address: s.URL(), Database: "chat", Key: newKey(t), Logger: zap.New(core)}, logs}
}

func newKey(t testing.TB) *secret.Key {
	t.Helper()
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t testing.TB, o Options, node string) *Transport {
	t.Helper()
	o.Node = node
	tr, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// join makes a node; change changes its options and may be nil.
func (w *world) join(t testing.TB, node string, change func(*Options)) *feedtest.Node {
	t.Helper()
	o := w.opts
	if change != nil {
		change(&o)
	}
	n := feedtest.Join(t, open(t, o, node), node, nil)
	testwait.Until(t, node+" listens", n.Listens)
	return n
}

// raw is a client of the NATS server that is none of ours.
func (w *world) raw(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestTransport(t *testing.T) {
	feedtest.RunTransport(t, func(t *testing.T) feedtest.Meeting {
		w := newWorld(t, nil)
		return feedtest.Meeting{
			Join: func(t testing.TB, node string) feed.Transport { return open(t, w.opts, node) },
			Cut:  w.Stop, Mend: w.Restart,
		}
	})
}

// The same with a node that follows more topics than it asks for one by one, and with two keys.
func TestTransportOfManyTopics(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *Options){
		"whole": func(_ *testing.T, o *Options) { o.topics = 1 },
		"keys":  func(t *testing.T, o *Options) { o.Key = newKey(t).WithOld(o.Key) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			change(t, &w.opts)
			n1, n2 := w.join(t, "n1", nil), w.join(t, "n2", nil)
			tr := n2.Transport.(*Transport)
			idle := w.Subscriptions()
			sent := 0
			say := func(topics ...string) {
				t.Helper()
				for _, topic := range topics {
					sent++
					n1.SendAll(t, feedtest.Topical("n1", topic, sent, 1)...)
					n2.All(t, sent)
				}
			}
			n2.Follow(t, "a")
			say("a")
			n2.Follow(t, "a", "b", "c")
			say("a", "b", "c")
			n2.Follow(t, "d")
			say("d", "a")
			w.Stop()
			testwait.Until(t, "n2 is deaf", func() bool { return !n2.Listens() })
			w.Restart()
			testwait.Until(t, "both listen", func() bool { return n1.Listens() && n2.Listens() })
			say("a", "b", "c", "d")
			tr.Unfollow([]string{"a", "b", "c", "d"})
			n2.Follow(t, "e")
			say("e")
			if got := w.Subscriptions() - idle; got != len(tr.rings) {
				t.Errorf("%d subscriptions for one topic", got)
			}
			tr.Unfollow([]string{"e", "f"})
			n2.Follow(t)
			if got := w.Subscriptions() - idle; got != 0 {
				t.Errorf("%d subscriptions are left", got)
			}
		})
	}
}

// A node that may have fewer subscriptions than it needs topics hears them all the same.
func TestLimitOfSubscriptions(t *testing.T) {
	w := newWorld(t, func(o *server.Options) { o.MaxSubs = 8 })
	n1, n2 := w.join(t, "n1", nil), w.join(t, "n2", nil)
	sent := 0
	var topics []string
	limited := 0
	for i := range 12 {
		topics = append(topics, fmt.Sprint("topic", i))
		err := n2.Transport.(*Transport).Follow(t.Context(), topics[i:])
		if errors.Is(err, errLimit) {
			limited++
			err = n2.Transport.(*Transport).Follow(t.Context(), topics[i:])
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range topics {
			sent++
			n1.SendAll(t, feedtest.Topical("n1", topic, sent, 1)...)
			n2.All(t, sent)
		}
	}
	if limited != 1 {
		t.Errorf("told %d times", limited)
	}
	n2.Transport.(*Transport).Unfollow(topics)
	n2.Follow(t, "last")
	n1.SendAll(t, feedtest.Topical("n1", "last", sent+1, 1)...)
	n2.All(t, sent+1)
	w.Stop()
	testwait.Until(t, "n2 is deaf", func() bool { return !n2.Listens() })
	w.Restart()
	testwait.Until(t, "both listen", func() bool { return n1.Listens() && n2.Listens() })
	n1.SendAll(t, feedtest.Topical("n1", "last", sent+2, 1)...)
	n2.All(t, sent+2)
}

// A server that is not there at the start is waited for. What was sent by others until it
// came may be missing.
func TestNobodyThereAtTheStart(t *testing.T) {
	w := newWorld(t, nil)
	w.Stop()
	tr := open(t, w.opts, "n1")
	n := feedtest.Join(t, tr, "n1", nil)
	testwait.Until(t, "n1 is deaf", func() bool { return n.Deafened() > 0 })
	if err := n.Send(t.Context(), feedtest.Events("n1", 0, 1)); err == nil || !strings.Contains(err.Error(), "no connection to NATS") {
		t.Errorf("sent to nobody: %v", err)
	}
	w.Restart()
	testwait.Until(t, "n1 listens", n.Listens)
	testwait.Until(t, "n1 knows that it missed something", func() bool { return n.MissedTimes() > 0 })
	n.SendAll(t, feedtest.Events("n1", 0, 1)...)
	if got := tr.Name(); got != "nats" {
		t.Errorf("it is called %q", got)
	}
}

// gate holds a receiver up until it is opened.
type gate struct {
	reached, opened chan struct{}
	once            sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), opened: make(chan struct{})} }

func (g *gate) pause() {
	g.once.Do(func() { close(g.reached) })
	<-g.opened
}

// A receiver that is slow loses what does not fit, is told so, and goes on.
func TestSlowReceiver(t *testing.T) {
	w := newWorld(t, nil)
	slow, g := w.opts, newGate()
	slow.waiting = 100_000
	n := feedtest.Join(t, open(t, slow, "slow"), "slow", g.pause)
	testwait.Until(t, "slow listens", n.Listens)
	deafened := n.Deafened()
	fast := w.join(t, "fast", nil)
	sent := feedtest.Events("fast", 0, 5000)
	fast.SendAll(t, sent[0])
	<-g.reached
	fast.SendAll(t, sent...)
	witness := w.join(t, "witness", nil) // it listens only after the server passed all that on
	fast.SendAll(t, sent[1])
	witness.All(t, 1)
	testwait.Until(t, "something was dropped", func() bool {
		in := &n.Transport.(*Transport).in
		in.mu.Lock()
		defer in.mu.Unlock()
		return in.missed
	})
	close(g.opened)
	testwait.Until(t, "slow knows that it missed something", func() bool { return n.MissedTimes() > 0 })
	if got := len(n.Events()); got >= len(sent) {
		t.Errorf("nothing was dropped: %d", got)
	}
	// What comes while it still works off what waited may be dropped too, and is told then;
	// what is sent afterwards comes.
	last := feedtest.Events("fast", 5000, 1)
	testwait.Until(t, "the last comes", func() bool {
		fast.SendAll(t, last...)
		return n.Events()[len(n.Events())-1].ID == last[0].ID
	})
	if !n.Listens() || n.Deafened() != deafened {
		t.Error("a slow receiver is taken for one without a connection")
	}
}

// What the library drops is missed as what the inbox drops.
func TestSlowConsumerOfTheLibrary(t *testing.T) {
	w := newWorld(t, nil)
	n := w.join(t, "n1", nil)
	n.Transport.(*Transport).troubled(nats.ErrSlowConsumer)
	testwait.Until(t, "n1 knows that it missed something", func() bool { return n.MissedTimes() > 0 })
}

var alarm = feed.NewKind[alarmNews]("alarm", 1)

type alarmNews struct{}

func (alarmNews) Check() error { return nil }
func (alarmNews) Urgent() bool { return true }

// What is urgent overtakes what waits for a receiver that is slow.
func TestUrgentFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.opts.Database = "urgent"
	g := newGate()
	n := feedtest.Join(t, open(t, w.opts, "n1"), "n1", g.pause)
	testwait.Until(t, "n1 listens", n.Listens)
	other := w.join(t, "n2", nil)
	sent := feedtest.Events("n2", 0, 2000)
	other.SendAll(t, sent[0])
	<-g.reached
	other.SendAll(t, sent[1:]...)
	urgent := alarm.Event("ada", alarmNews{}).Encoded()
	urgent.ID, urgent.Node = "urgent", "n2"
	other.SendAll(t, urgent)
	in := &n.Transport.(*Transport).in
	testwait.Until(t, "the urgent one waits", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return len(in.lanes[0]) == 1
	})
	close(g.opened)
	for i, e := range n.All(t, len(sent)+1) {
		if e.ID == "urgent" {
			if i != 1 {
				t.Errorf("the urgent one came as number %d", i)
			}
			return
		}
	}
	t.Error("the urgent one did not come")
}

// An event that no message can hold is told as missed; the others arrive, split over
// messages that are small enough.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, func(o *server.Options) { o.MaxPayload = 4096; o.MaxControlLine = 1024 })
	n1, n2 := w.join(t, "n1", nil), w.join(t, "n2", nil)
	sent := feedtest.Events("n1", 0, 300)
	for i := range sent {
		sent[i].Key, sent[i].Body = "one key", make([]byte, 100)
	}
	fits := 4096 - overhead - len(appendEvent(nil, sent[0])) + 100
	sent[40].Body, sent[50].Body = make([]byte, fits-8), make([]byte, fits+8)
	n1.SendAll(t, sent...)
	testwait.Until(t, "n2 knows that it missed something", func() bool { return n2.MissedTimes() > 0 })
	for i, e := range n2.All(t, len(sent)-1) {
		if want := sent[i+min(1, i/50)]; e.ID != want.ID || !bytes.Equal(e.Body, want.Body) {
			t.Fatalf("event %d is %s, want %s", i, e.ID, want.ID)
		}
	}
	if lines := w.logs.FilterMessage("event_too_large").All(); len(lines) != 1 || lines[0].ContextMap()["kind"] != "note" {
		t.Errorf("logged %v", lines)
	}
	before := n2.MissedTimes()
	n1.SendAll(t, sent[50])
	testwait.Until(t, "n2 knows that it missed something again", func() bool { return n2.MissedTimes() > before })
	if n := w.logs.FilterMessage("event_too_large").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// Whoever else uses the server can make nodes read anew, and nothing else: what is not
// ours is never taken, and one line of the log tells of each kind of it.
func TestStrangers(t *testing.T) {
	w := newWorld(t, nil)
	n1, n2 := w.join(t, "n1", nil), w.join(t, "n2", nil)
	nc := w.raw(t)
	heard, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	sent := feedtest.Events("n1", 0, 2)
	sent[0].Body = []byte(`{"text":"a secret"}`)
	if err := nc.FlushTimeout(testwait.Limit); err != nil {
		t.Fatal(err)
	}
	n1.SendAll(t, sent[0])
	real, err := heard.NextMsg(testwait.Limit)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(real.Data, []byte("secret")) || bytes.Contains(real.Data, []byte("key/")) || strings.Contains(real.Subject, "key") {
		t.Errorf("others read %s: %q", real.Subject, real.Data)
	}
	n2.All(t, 1)
	r := n1.Transport.(*Transport).rings[0]
	flipped := bytes.Clone(real.Data)
	flipped[len(flipped)-1] ^= 1
	stranger := ring{newKey(t), r.prefix}
	elsewhere := r.prefix + ".other.account-changed." + digest("ada")
	for i, c := range []struct {
		what    string
		subject string
		data    []byte
	}{
		{"nothing", real.Subject, nil},
		{"one byte", real.Subject, []byte{version}},
		{"another version", real.Subject, append([]byte{version + 1}, real.Data[1:]...)},
		{"damaged", real.Subject, flipped},
		{"cut", real.Subject, real.Data[:len(real.Data)-1]},
		{"said somewhere else", elsewhere, real.Data},
		{"not at any place of ours", r.prefix + ".other.x", real.Data},
		{"another key", real.Subject, stranger.wrap(nil, appendEvent(nil, sent[1]), real.Subject)},
		{"a batch that is none", real.Subject, r.wrap(nil, []byte("\xff\xff\xff\xff\xff"), real.Subject)},
		{"of ours, for another subject", elsewhere, r.wrap(nil, appendEvent(nil, sent[1]), elsewhere)},
		{"much", real.Subject, make([]byte, 1<<20)},
	} {
		if err := nc.Publish(c.subject, c.data); err != nil {
			t.Fatal(err)
		}
		testwait.Until(t, c.what+" makes n2 read anew", func() bool { return n2.MissedTimes() > i })
	}
	n1.SendAll(t, sent[1])
	if got := n2.All(t, 2); len(got) != 2 || got[1].ID != sent[1].ID {
		t.Errorf("taken: %+v", got)
	}
	if lines := w.logs.FilterMessage("nats_message_not_readable").Len(); lines == 0 || lines > 2*5 { // on two nodes
		t.Errorf("%d lines", lines)
	}
}

// Installations that share a NATS server do not meet; nodes of one do, whatever key of a
// rotation they have.
func TestWhoMeets(t *testing.T) {
	w := newWorld(t, nil)
	old, fresh := w.opts.Key, newKey(t)
	with := func(key *secret.Key, database string) func(*Options) {
		return func(o *Options) { o.Key, o.Database = key, database }
	}
	before, both, after := w.join(t, "before", nil), w.join(t, "both", with(fresh.WithOld(old), "chat")), w.join(t, "after", with(fresh, "chat"))
	third := w.join(t, "third", with(fresh.WithOld(old), "chat"))
	stranger, neighbour := w.join(t, "stranger", with(newKey(t), "chat")), w.join(t, "neighbour", with(old, "chat 2"))
	for i, n := range []*feedtest.Node{before, after, stranger, neighbour} {
		n.SendAll(t, feedtest.Events([]string{"before", "after", "stranger", "neighbour"}[i], 0, 1)...)
	}
	both.SendAll(t, feedtest.Events("both", 0, 3)...)
	for n, count := range map[*feedtest.Node]int{before: 3, both: 2, after: 3, third: 5} {
		n.All(t, count)
	}
	// What is sent now comes behind everything that was sent before.
	for name, n := range map[string]*feedtest.Node{"stranger": stranger, "neighbour": neighbour} {
		pair := w.join(t, name+" 2", func(o *Options) {
			o.Key, o.Database = n.Transport.(*Transport).rings[0].key, map[string]string{"stranger": "chat", "neighbour": "chat 2"}[name]
		})
		pair.SendAll(t, feedtest.Events(name+" 2", 0, 1)...)
		if got := n.All(t, 1); len(got) != 1 || got[0].Node != name+" 2" {
			t.Errorf("%s heard %+v", name, got)
		}
	}
	for n, count := range map[*feedtest.Node]int{before: 3, both: 2, after: 3, third: 5, stranger: 1, neighbour: 1} {
		if got := n.Events(); len(got) != count || n.MissedTimes() != 0 {
			t.Errorf("%d events, want %d; missed %d", len(got), count, n.MissedTimes())
		}
	}
}

// A server that is reached and says nothing any more counts as gone.
func TestPartition(t *testing.T) {
	w := newWorld(t, nil)
	wire := wiretest.Start(t, w.Addr())
	cut := w.join(t, "cut", func(o *Options) { o.Address = "nats://" + wire.Addr() })
	other := w.join(t, "other", nil)
	for _, stream := range []string{"upstream", "downstream"} {
		wire.Poison("timeout", stream, `"timeout":0`)
	}
	testwait.Until(t, "cut is deaf", func() bool { return !cut.Listens() })
	ctx, cancel := context.WithTimeout(t.Context(), testwait.Limit)
	defer cancel()
	if err := cut.Send(ctx, feedtest.Events("cut", 0, 1)); err == nil {
		t.Error("sent into the silence")
	}
	other.SendAll(t, feedtest.Events("other", 0, 1)...) // nobody hears it
	wire.Heal()
	testwait.Until(t, "cut listens again and knows that it missed something", func() bool { return cut.Listens() && cut.MissedTimes() > 0 })
	cut.SendAll(t, feedtest.Events("cut", 0, 1)...)
	other.All(t, 1)
	other.SendAll(t, feedtest.Events("other", 1, 1)...)
	testwait.Until(t, "cut hears", func() bool { return len(cut.Events()) == 1 && cut.Events()[0].ID == "other-1" })
}

// Sending into a connection that breaks meanwhile is an error, or has arrived.
func TestSendWhileItBreaks(t *testing.T) {
	w := newWorld(t, nil)
	n1, n2 := w.join(t, "n1", nil), w.join(t, "n2", nil)
	wire := wiretest.Start(t, w.Addr())
	n3 := w.join(t, "n3", func(o *Options) { o.Address = "nats://" + wire.Addr() })
	var sure []string
	for i := range 300 {
		if i%30 == 15 {
			wire.Cut()
			wire.Join()
		}
		e := feedtest.Events("n3", i, 1)
		ctx, cancel := context.WithTimeout(t.Context(), testwait.Limit)
		if n3.Send(ctx, e) == nil {
			sure = append(sure, e[0].ID)
		}
		cancel()
	}
	n3.SendAll(t, feedtest.Events("n3", 1000, 1)...)
	for _, n := range []*feedtest.Node{n1, n2} {
		got := map[string]bool{}
		testwait.Until(t, "the last comes", func() bool {
			for _, e := range n.Events() {
				got[e.ID] = true
			}
			return got["n3-1000"]
		})
		for _, id := range sure {
			if !got[id] {
				t.Errorf("%s was sent and did not come", id)
			}
		}
	}
	if len(sure) == 0 || len(sure) == 300 {
		t.Errorf("%d of 300 were sent", len(sure))
	}
}

// What was written into a connection that broke is not taken, although the next connection
// answers.
func TestAnswerOfAnotherConnection(t *testing.T) {
	w := newWorld(t, nil)
	wire := wiretest.Start(t, w.Addr())
	n := w.join(t, "n1", func(o *Options) { o.Address = "nats://" + wire.Addr() })
	tr := n.Transport.(*Transport)
	before := tr.mark()
	wire.Cut()
	wire.Join()
	testwait.Until(t, "the connection is gone", func() bool { return !tr.in.state().up })
	ctx, cancel := context.WithTimeout(t.Context(), testwait.Limit)
	defer cancel()
	if err := tr.taken(ctx, before); err == nil {
		t.Error("what went into the broken connection counts as taken")
	}
	testwait.Until(t, "it listens again", n.Listens)
	if err := tr.taken(ctx, tr.mark()); err != nil {
		t.Errorf("a connection that holds: %v", err)
	}
}

// Whoever listens to a transport that is closed is told.
func TestClosed(t *testing.T) {
	w := newWorld(t, nil)
	tr := open(t, w.opts, "n1")
	n := &feedtest.Node{Transport: tr}
	var receiving sync.WaitGroup
	receiving.Go(func() { tr.Receive(t.Context(), n) })
	testwait.Until(t, "it listens", n.Listens)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	receiving.Wait()
	tr.Receive(t.Context(), n)
	if n.Listens() || n.Deafened() != 2 {
		t.Errorf("it listens: %v, deaf %d times", n.Listens(), n.Deafened())
	}
	if err := tr.Send(t.Context(), feedtest.Events("n1", 0, 1)); err == nil {
		t.Error("sent through what is closed")
	}
}
