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
	"ddpserver/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cut is the real store behind a cable that can be cut.
type cut struct {
	feed.Store
	down atomic.Bool
}

var errCut = errors.New("cut")

func (c *cut) AppendEvent(ctx context.Context, e feed.Event) error {
	if c.down.Load() {
		return errCut
	}
	return c.Store.AppendEvent(ctx, e)
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
	logs *observer.ObservedLogs
}

func run(t *testing.T, name string, s feed.Store) *node {
	core, logs := observer.New(zapcore.DebugLevel)
	n := &node{Hub: New(Options{Node: name, Store: s, Logger: zap.New(core)}), logs: logs}
	n.Handle(feed.MembershipChanged, func(e feed.Event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got = append(n.got, e.Key)
	})
	n.HandleGap(func(context.Context) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gaps++
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

func (n *node) publish(key string) { n.Publish(feed.Event{Kind: feed.MembershipChanged, Key: key}) }

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
			if n2.gaps != c.gaps {
				t.Errorf("after %v: %d gaps", c.span, n2.gaps)
			}
		}
		if n := n2.logs.FilterMessage("events_not_readable").Len(); n != 2 {
			t.Errorf("reading: logged %d times", n)
		}
		if n := n1.logs.FilterMessage("events_not_appended").Len(); n != 2 {
			t.Errorf("writing: logged %d times", n)
		}
	})
}

// What was published before the end is handed over at the end.
func TestFlushAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		h := New(Options{Node: "n1", Store: s})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, cursor, err := s.EventsSince(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		h.Publish(feed.Event{Kind: feed.UserChanged, Key: "u"})
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
		h := New(Options{Store: s, Logger: zap.New(core)})
		for i := range maxOutgoing + 10 {
			h.Publish(feed.Event{Kind: feed.UserChanged, Key: fmt.Sprint(i)})
		}
		if len(h.out.events) != maxOutgoing || h.out.events[0].Key != "10" {
			t.Errorf("%d events wait, the first is %s", len(h.out.events), h.out.events[0].Key)
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
	h.Publish(feed.Event{Kind: feed.UserChanged, Key: "u"})
	if err := h.Run(ctx); err != nil || h.Node() == "" || len(h.out.events) != 0 {
		t.Errorf("%v, %d events wait", err, len(h.out.events))
	}
}
