package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/store/storetest"
)

// note is news for the tests of the hub.
var note = feed.NewKind[noteNews]("note", 1)

type noteNews struct {
	Text string `json:"text"`
}

func (n noteNews) Check() error {
	if n.Text == "bad" {
		return errors.New("a bad note")
	}
	return nil
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cut is the real store behind a cable that can be cut.
type cut struct {
	feed.Store
	down atomic.Bool
}

var errCut = errors.New("cut")

func (c *cut) AppendEvents(ctx context.Context, events []feed.Event) error {
	if c.down.Load() {
		return errCut
	}
	return c.Store.AppendEvents(ctx, events)
}

func (c *cut) EventsSince(ctx context.Context, cursor string) ([]feed.Event, string, error) {
	if c.down.Load() {
		return nil, "", errCut
	}
	return c.Store.EventsSince(ctx, cursor)
}

// node is a hub that runs and keeps what arrives.
type node struct {
	*Hub
	mu   sync.Mutex
	got  []string
	gaps int
	// lastGap is when the last of the gaps was.
	lastGap time.Time
	lost    []time.Time // since when news was said to be lost
	logs    *observer.ObservedLogs
}

func run(t *testing.T, name string, s feed.Store) *node { return runOver(t, name, Poll(s)) }

// runOver runs a hub over a transport until the test ends.
func runOver(t testing.TB, name string, transport feed.Transport) *node {
	core, logs := observer.New(zapcore.DebugLevel)
	n := &node{Hub: New(Options{Node: name, Transport: transport, Logger: zap.New(core)}), logs: logs}
	Listen(n.Hub, note, func(e feed.Event, _ noteNews) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got = append(n.got, e.Key)
	})
	n.HandleGap(func(context.Context) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gaps++
		n.lastGap = time.Now()
	})
	n.HandleLoss(func(_ context.Context, since time.Time) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.lost = append(n.lost, since)
		return nil
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return n
}

func (n *node) news() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

func (n *node) publish(key string) { note.Publish(n, key, noteNews{}) }

func (n *node) gapCount() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gaps
}

// Events of one node reach the other within two seconds, in order, once, and do
// not come back.
func TestNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		n1, n2 := run(t, "n1", s), run(t, "n2", s)
		time.Sleep(time.Second)
		var want []string
		for i := range 100 {
			n1.publish(fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		if !slices.Equal(n1.news(), want) {
			t.Error("local handlers have it when Publish returns")
		}
		time.Sleep(2 * time.Second)
		if got := n2.news(); !slices.Equal(got, want) {
			t.Errorf("the other node got %v", got)
		}
		if got := n1.news(); len(got) != 100 {
			t.Errorf("events came back: %d", len(got))
		}
		n2.publish("answer")
		time.Sleep(2 * time.Second)
		if got := n1.news(); len(got) != 101 || got[100] != "answer" {
			t.Errorf("the first node got %v", got[100:])
		}
	})
}

// A short cut loses nothing; after a long one everything is read anew. Troubles
// are logged once, not at each try.
func TestFeedCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cut{Store: storetest.OpenSQLite(t)}
		n1, n2 := run(t, "n1", s), run(t, "n2", s)
		time.Sleep(time.Second)
		for _, c := range []struct {
			span time.Duration
			gaps int
		}{{10 * time.Second, 0}, {2 * time.Minute, 1}} {
			s.down.Store(true)
			n1.publish("during " + c.span.String())
			time.Sleep(c.span)
			s.down.Store(false)
			time.Sleep(10 * time.Second)
			if got := n2.news(); !slices.Contains(got, "during "+c.span.String()) {
				t.Errorf("lost in a cut of %v: %v", c.span, got)
			}
			if got := n2.gapCount(); got != c.gaps {
				t.Errorf("after %v: %d gaps", c.span, got)
			}
		}
		if n := n2.logs.FilterMessage("events_not_heard").Len(); n != 2 {
			t.Errorf("reading: logged %d times", n)
		}
		if n := n1.logs.FilterMessage("events_not_sent").Len(); n != 2 {
			t.Errorf("writing: logged %d times", n)
		}
	})
}

// What is told of again begins where news began to be missing, and not at a cut of long ago
// that lost nothing.
func TestMissedSince(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(r *receiver)
		since   time.Duration // before the end
	}{
		"out of nothing":                  {func(r *receiver) { r.Listening(); time.Sleep(time.Hour) }, gapTime},
		"while it is deaf":                {func(r *receiver) { r.Listening(); r.Deaf(errCut); time.Sleep(time.Hour) }, time.Hour},
		"as soon as it hears again":       {func(r *receiver) { r.Deaf(errCut); time.Sleep(time.Hour); r.Listening() }, time.Hour},
		"long after a cut that cost none": {func(r *receiver) { r.Deaf(errCut); time.Sleep(time.Hour); r.Listening(); time.Sleep(time.Hour) }, gapTime},
		"a second time":                   {func(r *receiver) { r.Deaf(errCut); time.Sleep(time.Hour); r.Listening(); r.Missed() }, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(Options{Transport: Poll(storetest.OpenSQLite(t))})
				r := &receiver{h: h}
				c.happens(r)
				r.Missed()
				if got := time.Since(h.missing.since); got != c.since {
					t.Errorf("news is told again that is up to %v old, want %v", got, c.since)
				}
			})
		})
	}
}

// What was published before the end is handed over at the end.
func TestFlushAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		h := New(Options{Node: "n1", Transport: Poll(s)})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, cursor, err := s.EventsSince(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		note.Publish(h, "u", noteNews{})
		if err := h.Run(ctx); err != nil {
			t.Fatal(err)
		}
		events, _, err := s.EventsSince(t.Context(), cursor)
		if err != nil || len(events) != 1 || events[0].Key != "u" || events[0].Node != "n1" || events[0].ID == "" || events[0].At.IsZero() {
			t.Errorf("%+v, %v", events, err)
		}
	})
}

// The queue for other nodes is bounded; the oldest go.
func TestOutgoingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		s := &cut{Store: storetest.OpenSQLite(t)}
		s.down.Store(true)
		h := New(Options{Transport: Poll(s), Logger: zap.New(core)})
		for i := range maxOutgoing + 10 {
			note.Publish(h, fmt.Sprint(i), noteNews{})
		}
		if waiting := h.out.lanes[1]; len(waiting) != maxOutgoing || waiting[0].Key != "10" {
			t.Errorf("%d events wait, the first is %s", len(waiting), waiting[0].Key)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if logs.FilterMessage("events_dropped").Len() != 1 {
			t.Error("not logged")
		}
	})
}

// counted is a store that counts its commands.
type counted struct {
	cut
	appends atomic.Int64
}

func (c *counted) AppendEvents(ctx context.Context, events []feed.Event) error {
	c.appends.Add(1)
	return c.cut.AppendEvents(ctx, events)
}

// alarm is news that does not wait behind others.
var alarm = feed.NewKind[alarmNews]("alarm", 1)

type alarmNews struct{}

func (alarmNews) Check() error { return nil }
func (alarmNews) Urgent() bool { return true }

// What waited while the store was away goes out in few commands, in its order, what ends
// sessions before everything else; and who misses what was dropped reads anew.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counted{cut: cut{Store: storetest.OpenSQLite(t)}}
		n1, n2 := run(t, "n1", s), run(t, "n2", s.cut.Store)
		for _, n := range []*node{n1, n2} {
			Listen(n.Hub, alarm, func(e feed.Event, _ alarmNews) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.got = append(n.got, e.Key)
			})
		}
		time.Sleep(time.Second)
		s.down.Store(true)
		want := []string{"ended"}
		for i := range 5000 {
			n1.publish(fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		alarm.Publish(n1, "ended", alarmNews{})
		time.Sleep(2 * time.Second)
		s.appends.Store(0)
		s.down.Store(false)
		time.Sleep(20 * time.Second)
		if got := n2.news(); !slices.Equal(got, want) {
			t.Errorf("%d of %d came, the first are %v", len(got), len(want), got[:min(3, len(got))])
		}
		if n := s.appends.Load(); n > 7 {
			t.Errorf("%d events went out in %d commands", len(want), n)
		}
		if n2.gapCount() != 0 {
			t.Error("read anew, though nothing was missing")
		}
		mark := n2.Heard().Mark()
		s.down.Store(true)
		for i := range maxOutgoing + 10 {
			n1.publish(fmt.Sprint("many ", i))
		}
		time.Sleep(2 * time.Second)
		s.down.Store(false)
		time.Sleep(time.Minute)
		if got := n2.news(); got[len(got)-1] != fmt.Sprint("many ", maxOutgoing+9) || len(got) != len(want)+maxOutgoing {
			t.Errorf("%d came, the last is %s", len(got), got[len(got)-1])
		}
		if n2.gapCount() != 1 || !n2.Heard().Since(mark, "anybody") {
			t.Errorf("of what was dropped nobody was told: %d gaps", n2.gapCount())
		}
		if n := n2.logs.FilterMessage("event_not_readable").Len(); n != 0 {
			t.Errorf("%d lines for events that cannot be read", n)
		}
	})
}

func TestRecent(t *testing.T) {
	r := recent{at: map[string]struct{}{}}
	for i := range 3 * maxSeen {
		if !r.add(fmt.Sprint(i)) || r.add(fmt.Sprint(i)) {
			t.Fatalf("event %d", i)
		}
	}
	if len(r.at) != maxSeen {
		t.Errorf("%d ids are kept", len(r.at))
	}
	if !r.add("0") {
		t.Error("an old id is remembered for ever")
	}
}

// Alone, a hub needs no store.
func TestAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := New(Options{})
	note.Publish(h, "u", noteNews{})
	if err := h.Run(ctx); err != nil || h.Node() == "" || len(h.out.lanes[1]) != 0 {
		t.Errorf("%v, %d events wait", err, len(h.out.lanes[1]))
	}
}

// Events that this version of the program cannot read are delivered to nobody;
// what they may have told of is read anew, and the log has one line for each kind.
// Those that can be read are delivered whatever stands between them.
func TestEventsOfOtherVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		n := run(t, "n1", s)
		time.Sleep(time.Second)
		append1 := func(id string, change func(*feed.Event)) {
			e := note.Event(id, noteNews{}).Encoded()
			e.ID, e.Node, e.At = id, "n2", time.Now()
			change(&e)
			if err := s.AppendEvents(t.Context(), []feed.Event{e}); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range []struct {
			name   string
			change func(*feed.Event)
			gaps   int
		}{
			{"a version from before versions", func(e *feed.Event) { e.Version, e.Body = 0, nil }, 1},
			{"a newer version", func(e *feed.Event) { e.Version++ }, 1},
			{"a kind that is not known", func(e *feed.Event) { e.Kind = "user-changed" }, 1},
			{"no kind", func(e *feed.Event) { e.Kind = "" }, 1},
			{"a damaged payload", func(e *feed.Event) { e.Body = e.Body[1:]; e.Kind = "note" }, 1},
			{"an incomplete payload", func(e *feed.Event) { *e = note.Event(e.Key, noteNews{"bad"}).Encoded(); e.ID, e.Node = "bad", "n2" }, 1},
			{"a field that is not known", func(e *feed.Event) { e.Body = []byte(`{"text":"x","new":{"a":[1]}}`) }, 0},
		} {
			gaps, before := n.gapCount(), len(n.news())
			append1(fmt.Sprint("before", i), func(*feed.Event) {})
			append1(fmt.Sprint("event", i), c.change)
			append1(fmt.Sprint("after", i), func(*feed.Event) {})
			time.Sleep(2 * rereadEvery)
			want := []string{fmt.Sprint("before", i), fmt.Sprint("after", i)}
			if c.gaps == 0 {
				want = []string{fmt.Sprint("before", i), fmt.Sprint("event", i), fmt.Sprint("after", i)}
			}
			if got := n.news()[before:]; !slices.Equal(got, want) {
				t.Errorf("%s: delivered %v", c.name, got)
			}
			if got := n.gapCount() - gaps; got != c.gaps {
				t.Errorf("%s: %d times read anew, want %d", c.name, got, c.gaps)
			}
		}
		if lines := n.logs.FilterMessage("event_not_readable").Len(); lines != 5 { // damaged and incomplete: one kind and version
			t.Errorf("%d lines", lines)
		}
	})
}

// While nodes of another version run, everything is read anew now and then, not
// for each of their events, and once more after the last of them.
func TestManyUnreadableEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		n := run(t, "n1", s)
		time.Sleep(time.Second)
		const span = 20 * time.Second
		var last time.Time
		for i := range int(span / (100 * time.Millisecond)) {
			if err := s.AppendEvents(t.Context(), []feed.Event{{ID: fmt.Sprint(i), Node: "old", Kind: "user-changed"}}); err != nil {
				t.Fatal(err)
			}
			last = time.Now()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * rereadEvery)
		n.mu.Lock()
		defer n.mu.Unlock()
		if most := int(span/rereadEvery) + 2; n.gaps < most/2 || n.gaps > most {
			t.Errorf("%d times read anew", n.gaps)
		}
		if !n.lastGap.After(last) {
			t.Errorf("last read anew at %v, the last event came at %v", n.lastGap, last)
		}
		if lines := n.logs.FilterMessage("event_not_readable").Len(); lines != 1 {
			t.Errorf("%d lines", lines)
		}
	})
}

// Polling is a transport as the others are.
func TestPolling(t *testing.T) {
	feedtest.RunTransport(t, func(t *testing.T) feedtest.Meeting {
		s := &cut{Store: storetest.OpenSQLite(t)}
		return feedtest.Meeting{
			Join: func(testing.TB, string) feed.Transport { return &poll{s, 10 * time.Millisecond} },
			Cut:  func() { s.down.Store(true) }, Mend: func() { s.down.Store(false) }, Keeps: true,
		}
	})
}
