package soak

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/random"
	"ddpserver/internal/testwait"
)

// trio starts three servers on one database.
func trio(t *testing.T, env ...string) (*shared, []*server) {
	t.Helper()
	s := newShared(t)
	var nodes []*server
	for i := range 3 {
		nodes = append(nodes, launch(t, t.TempDir(), append(calmBut("MONGO_URL="+s.url, fmt.Sprint("NODE_NAME=n", i)), env...)))
	}
	for _, n := range nodes {
		testwait.Until(t, "the nodes to see each other", func() bool { return n.metric("ddpserver_nodes") == 3 })
	}
	return s, nodes
}

// hearer follows a room and keeps the ids of its messages, with the time of the first.
type hearer struct {
	*conn
	mu  sync.Mutex
	ids map[string]time.Time
}

func hear(t *testing.T, addr, token, room string) *hearer {
	t.Helper()
	h := &hearer{ids: map[string]time.Time{}}
	ready := make(chan struct{})
	var err error
	h.conn, err = connectWith(addr, token, func(text []byte) {
		switch s := string(text); {
		case strings.Contains(s, `"ready"`) && strings.Contains(s, `"room"`):
			close(ready)
		case strings.Contains(s, `"stream-room-messages"`):
			h.mu.Lock()
			defer h.mu.Unlock()
			if id := between(s, `"args":[{"_id":"`, `"`); h.ids[id].IsZero() {
				h.ids[id] = time.Now()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	if err := h.send(fmt.Sprintf(`{"msg":"sub","id":"room","name":"stream-room-messages","params":[%q,false]}`, room)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ready:
	case <-h.dead:
		t.Fatal("the connection ended")
	}
	return h
}

// missing are those of the ids that it has not heard.
func (h *hearer) missing(ids []string) (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if h.ids[id].IsZero() {
			out = append(out, id)
		}
	}
	return out
}

// chatter is somebody who writes into a room without a pause until the connection ends.
type chatter struct {
	mu    sync.Mutex
	acked []string
}

func (w *chatter) write(c *conn, room string, every time.Duration, stop <-chan struct{}) {
	for {
		id := random.ID()
		if _, err := c.call("sendMessage", map[string]any{"_id": id, "rid": room, "msg": "said " + id}); err != nil {
			return
		}
		w.mu.Lock()
		w.acked = append(w.acked, id)
		w.mu.Unlock()
		select {
		case <-stop:
			return
		default:
			pause(every)
		}
	}
}

func (w *chatter) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.acked...)
}

// TestSoakNodesKilled: a node is killed while ten people write on it. Whatever it acknowledged
// is told, on both others, to whoever follows the room, within five seconds.
func TestSoakNodesKilled(t *testing.T) {
	together(t)
	s, nodes := trio(t)
	people := s.seed("ada", 10, asAdmin)
	first := dial(t, nodes[1].addr, people[0].token)
	raw, err := first.call("createChannel", "busy", []string{})
	if err != nil {
		t.Fatal(err)
	}
	room := between(string(raw), `"rid":"`, `"`)
	for _, a := range people[1:] {
		if _, err := dial(t, nodes[1].addr, a.token).call("joinRoom", room); err != nil {
			t.Fatal(err)
		}
	}
	var took []time.Duration
	total := 0
	for range rounds(1, 10) {
		listeners := []*hearer{hear(t, nodes[1].addr, people[0].token, room), hear(t, nodes[2].addr, people[1].token, room)}
		var w chatter
		var wg sync.WaitGroup
		for _, a := range people {
			c := dial(t, nodes[0].addr, a.token)
			wg.Go(func() { w.write(c, room, 5*time.Millisecond, nil) })
		}
		testwait.Until(t, "some messages", func() bool { return len(w.all()) > 30 })
		nodes[0].kill()
		killed := time.Now()
		wg.Wait()
		acked := w.all()
		total += len(acked)
		for _, l := range listeners {
			testwait.Until(t, "every acknowledged message", func() bool { return len(l.missing(acked)) == 0 })
			l.close()
		}
		took = append(took, time.Since(killed))
		nodes[0] = launch(t, t.TempDir(), calmBut("MONGO_URL="+s.url, "NODE_NAME=n0"))
	}
	if long && worst(took) > 5*time.Second {
		t.Errorf("the last was told %v after the kill", worst(took))
	}
	t.Logf("%d kills, %d acknowledged messages, each told on both other nodes: all of them %v median, %v worst after the kill", len(took), total, median(took),
		worst(took))
}

// TestSoakNodesRevoked: what ends a session on one node ends it on another while people write
// fifty messages a second: a token that is removed, an account that is deactivated.
func TestSoakNodesRevoked(t *testing.T) {
	together(t)
	s, nodes := trio(t)
	writers := s.seed("writer", 5, asAdmin)
	boss := s.seed("boss", 1, asAdmin)[0]
	one := dial(t, nodes[0].addr, writers[0].token)
	raw, err := one.call("createChannel", "busy", []string{})
	if err != nil {
		t.Fatal(err)
	}
	room := between(string(raw), `"rid":"`, `"`)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var w chatter
	for i, a := range writers {
		c := one
		if i > 0 {
			c = dial(t, nodes[0].addr, a.token)
			if _, err := c.call("joinRoom", room); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() { w.write(c, room, 80*time.Millisecond, stop) })
	}
	pw := proof("password", digest(accountPassword))
	admin := dial(t, nodes[0].addr, boss.token)
	begin := time.Now()
	took := map[string][]time.Duration{}
	ends := func(what string, c *conn, revoke func() error) {
		t.Helper()
		if err := revoke(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		at := time.Now()
		select {
		case <-c.dead:
			took[what] = append(took[what], time.Since(at))
		case <-time.After(patience):
			t.Fatalf("%s: the session on the other node goes on", what)
		}
	}
	for _, a := range s.seed("ada", rounds(2, 30), nil) {
		near := dial(t, nodes[0].addr, a.token)
		ends("logged out", dial(t, nodes[1].addr, a.token), func() error {
			_, err := near.call("logout")
			return err
		})
	}
	for _, a := range s.seed("bob", rounds(2, 30), nil) {
		ends("deactivated", dial(t, nodes[2].addr, a.token), func() error {
			_, err := admin.call("setUserActiveStatus", a.id, false, pw)
			return err
		})
	}
	sent := len(w.all())
	rate := float64(sent) / time.Since(begin).Seconds()
	close(stop)
	wg.Wait()
	for what, times := range took {
		if long && worst(times) > 2*time.Second {
			t.Errorf("%s: %v", what, worst(times))
		}
		t.Logf("%s: on another node closed after %v median, %v worst, of %d, beside %.0f messages a second", what, median(times), worst(times), len(times), rate)
	}
}
