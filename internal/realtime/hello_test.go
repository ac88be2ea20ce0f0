package realtime

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/store/storetest"
)

// kinds are those that the package makes itself.
var kinds = []feedtest.Case{feedtest.Of(said)}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }

// helloNode is a node that tells of itself; stop ends it in order, kill takes it away.
type helloNode struct {
	*Nodes
	hub        *Hub
	mu         sync.Mutex
	since      []time.Time // what HandleLoss was called with
	logs       *observer.ObservedLogs
	stop, kill func()
}

func helloRun(t *testing.T, name string, s feed.Store) *helloNode {
	core, logs := observer.New(zapcore.InfoLevel)
	cable := &cut{Store: s}
	n := &helloNode{hub: New(Options{Node: name + "/1", Transport: Poll(cable), Logger: zap.New(core)}), logs: logs}
	n.hub.attendants = append(n.hub.attendants, func() bool { return true }) // somebody who looks at the list
	n.Nodes = NewNodes(n.hub, func() Hello { return Hello{Name: name, Version: "1", Since: 5, Sessions: 3, Messages: 4} })
	n.hub.HandleLoss(func(_ context.Context, since time.Time) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.since = append(n.since, since)
		return nil
	})
	ctx, end := context.WithCancel(context.Background())
	hubCtx, endHub := context.WithCancel(context.Background())
	hub, nodes := make(chan error, 1), make(chan error, 1)
	go func() { hub <- n.hub.Run(hubCtx) }()
	go func() { nodes <- n.Run(ctx) }()
	over := false
	n.stop = func() {
		if over {
			return
		}
		over = true
		end()
		if err := <-nodes; err != nil {
			t.Error(err)
		}
		endHub()
		if err := <-hub; err != nil {
			t.Error(err)
		}
	}
	n.kill = func() {
		cable.down.Store(true) // nothing goes out any more, its good-bye least of all
		n.stop()
	}
	t.Cleanup(n.stop)
	return n
}

func (n *helloNode) losses() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.since)
}

func (n *helloNode) names() (names []string) {
	for _, o := range n.List() {
		names = append(names, o.Name)
	}
	return names
}

// Nodes see each other at once, also one that has just come; one that says good-bye is
// gone, one that is killed is found dead within five seconds, and the others make good
// what it may not have told.
func TestNodesSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		a, b := helloRun(t, "a", s), helloRun(t, "b", s)
		time.Sleep(10 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("a sees %v", got)
		}
		c := helloRun(t, "c", s)
		time.Sleep(time.Second)
		if got := c.names(); !slices.Equal(got, []string{"c", "a", "b"}) {
			t.Errorf("who came sees %v", got)
		}
		list := a.List()
		if o := list[2]; o.Name != "c" || o.ID != "c/1" || o.Self || o.Version != "1" || o.Since != 5 || o.Sessions != 3 || o.Messages != 4 || o.Leaving ||
			time.Since(o.Heard) > time.Second {
			t.Errorf("%+v", o)
		}
		if o := list[0]; !o.Self || o.Name != "a" {
			t.Errorf("%+v", o)
		}

		c.Leave()
		time.Sleep(time.Second)
		if o := a.List()[2]; !o.Leaving {
			t.Errorf("%+v", o)
		}
		time.Sleep(3 * helloEvery)
		if o := a.List()[2]; !o.Leaving || !c.List()[0].Leaving {
			t.Errorf("it does not leave any more: %+v", o)
		}
		c.stop()
		time.Sleep(time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("a sees %v, of which c said good-bye", got)
		}
		if list := a.losses(); len(list) != 0 {
			t.Errorf("nobody was lost: %v", list)
		}

		died := time.Now()
		b.kill()
		time.Sleep(5 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("a sees %v, of which b is dead", got)
		}
		if list := a.losses(); len(list) != 1 || list[0].After(died) || died.Sub(list[0]) > LossMargin+helloEvery+time.Second {
			t.Errorf("made good: since %v, died at %v", list, died)
		}
		for _, line := range []string{"node_joined", "node_left", "node_lost"} {
			if a.logs.FilterMessage(line).Len() == 0 {
				t.Errorf("not logged: %s", line)
			}
		}
	})
}

// A node that cannot hear takes nobody for dead, and says when it hears again what it missed.
func TestDeafNodeBuriesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &cut{Store: storetest.OpenSQLite(t)}
		a, b := helloRun(t, "a", s), helloRun(t, "b", s)
		time.Sleep(5 * time.Second)
		deaf := time.Now()
		s.down.Store(true)
		time.Sleep(2 * time.Minute)
		if got := a.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("deaf, a sees %v", got)
		}
		s.down.Store(false)
		time.Sleep(30 * time.Second)
		if got := a.names(); !slices.Equal(got, []string{"a", "b"}) || !slices.Equal(b.names(), []string{"b", "a"}) {
			t.Errorf("a sees %v", got)
		}
		if n := a.logs.FilterMessage("node_lost").Len(); n != 0 {
			t.Errorf("%d were taken for dead", n)
		}
		if list := a.losses(); len(list) != 1 || list[0].After(deaf) || deaf.Sub(list[0]) > LossMargin+5*time.Second {
			t.Errorf("made good since %v, deaf since %v", list, deaf)
		}
	})
}

// A node on its own tells nobody, and lists itself.
func TestNodeAlone(t *testing.T) {
	h := New(Options{})
	n := NewNodes(h, func() Hello { return Hello{Name: "a"} })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Error(err)
	}
	n.Leave()
	if list := n.List(); len(list) != 1 || !list[0].Self || !list[0].Leaving || h.News().Sent != 0 || h.News().Waiting != 0 {
		t.Errorf("%+v", list)
	}
}
