package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/random"
	"ddpserver/internal/testwait"
	"ddpserver/internal/wiretest"
)

// over runs a test over every transport of news in the long form, and over one in the short.
func over(t *testing.T, one string, test func(t *testing.T, transport string)) {
	t.Helper()
	together(t)
	for _, transport := range []string{"nats", "change streams", "polling"} {
		if long || transport == one {
			t.Run(transport, func(t *testing.T) { test(t, transport) })
		}
	}
}

// three are servers on one database, with what is needed to start one of them again.
type three struct {
	*shared
	t     *testing.T
	nodes [3]*server
	env   []string
	own   [3][]string // what a node has otherwise
	// links are the ways of each node to the database and to NATS, when each has its own.
	links [3][]*wiretest.Wire
}

func trio(t *testing.T, transport string, env ...string) *three {
	t.Helper()
	return trioOver(t, transport, false, env...)
}

// trioOver is trio; apart gives each node ways of its own.
func trioOver(t *testing.T, transport string, apart bool, env ...string) *three {
	t.Helper()
	n := &three{t: t, shared: newShared(t, databases[transport])} // NATS may have any
	n.env = append(calmBut("MONGO_URL="+n.url), env...)
	var news *natstest.Server
	if transport == "nats" {
		news = natstest.Start(t, nil)
		n.env = append(n.env, "TRANSPORTER="+news.URL())
	}
	for i := range n.own {
		if !apart {
			break
		}
		db := wiretest.Start(t, n.db.Addr())
		n.links[i] = append(n.links[i], db)
		n.own[i] = append(n.own[i], "MONGO_URL="+strings.Replace(n.strict(), n.wire.Addr(), db.Addr(), 1))
		if news != nil {
			w := wiretest.Start(t, news.Addr())
			n.links[i] = append(n.links[i], w)
			n.own[i] = append(n.own[i], "TRANSPORTER=nats://"+w.Addr())
		}
	}
	for i := range n.nodes {
		n.start(i)
	}
	for _, s := range n.nodes {
		testwait.Until(t, "the nodes to see each other", func() bool { return s.metric("ddpserver_nodes") == 3 })
	}
	if _, body, err := get("http://" + n.nodes[0].addr + "/readyz"); err != nil || !strings.Contains(body, `"transport":"`+transport+`"`) {
		t.Errorf("the nodes use another transport: %s, %v", body, err)
	}
	return n
}

func (n *three) start(i int) {
	n.t.Helper()
	n.nodes[i] = launch(n.t, n.t.TempDir(), slices.Concat(n.env, n.own[i], []string{fmt.Sprint("NODE_NAME=n", i)}))
}

// room makes a channel with these people in it.
func (n *three) room(people []*account) string {
	n.t.Helper()
	room := ""
	for i, a := range people {
		c, err := connect(n.nodes[1].addr, a.token)
		if err != nil {
			n.t.Fatal(err)
		}
		if i == 0 {
			raw, err := c.call("createChannel", "busy", []string{})
			if err != nil {
				n.t.Fatal(err)
			}
			room = between(string(raw), `"rid":"`, `"`)
		} else if _, err := c.call("joinRoom", room); err != nil {
			n.t.Fatal(err)
		}
		c.close()
	}
	return room
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
	over(t, "nats", func(t *testing.T, transport string) {
		n := trio(t, transport)
		people := n.seed("ada", 10, asAdmin)
		room := n.room(people)
		var took []time.Duration
		total := 0
		for range rounds(1, 10) {
			listeners := []*hearer{hear(t, n.nodes[1].addr, people[0].token, room), hear(t, n.nodes[2].addr, people[1].token, room)}
			var w chatter
			var wg sync.WaitGroup
			for _, a := range people {
				c := dial(t, n.nodes[0].addr, a.token)
				wg.Go(func() { w.write(c, room, 5*time.Millisecond, nil) })
			}
			testwait.Until(t, "some messages", func() bool { return len(w.all()) > 30 })
			n.nodes[0].kill()
			killed := time.Now()
			wg.Wait()
			acked := w.all()
			total += len(acked)
			for _, l := range listeners {
				testwait.Until(t, "every acknowledged message", func() bool { return len(l.missing(acked)) == 0 })
				l.close()
			}
			took = append(took, time.Since(killed))
			n.start(0)
		}
		if long && worst(took) > 5*time.Second {
			t.Errorf("the last was told %v after the kill", worst(took))
		}
		t.Logf("%s: %d kills, %d acknowledged messages, each told on both other nodes: all of them %v median, %v worst after the kill", transport, len(took), total,
			median(took), worst(took))
	})
}

// TestSoakNodesRevoked: what ends a session on one node ends it on another while people write
// fifty messages a second: a token that is removed, an account that is deactivated.
func TestSoakNodesRevoked(t *testing.T) {
	over(t, "polling", func(t *testing.T, transport string) {
		n := trio(t, transport)
		writers := n.seed("writer", 5, asAdmin)
		room := n.room(writers)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var w chatter
		for _, a := range writers {
			c := dial(t, n.nodes[0].addr, a.token)
			wg.Go(func() { w.write(c, room, 80*time.Millisecond, stop) })
		}
		pw := proof("password", digest(accountPassword))
		admin := dial(t, n.nodes[0].addr, n.seed("boss", 1, asAdmin)[0].token)
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
		for _, a := range n.seed("ada", rounds(2, 30), nil) {
			near := dial(t, n.nodes[0].addr, a.token)
			ends("logged out", dial(t, n.nodes[1].addr, a.token), func() error {
				_, err := near.call("logout")
				return err
			})
		}
		for _, a := range n.seed("bob", rounds(2, 30), nil) {
			ends("deactivated", dial(t, n.nodes[2].addr, a.token), func() error {
				_, err := admin.call("setUserActiveStatus", a.id, false, pw)
				return err
			})
		}
		rate := float64(len(w.all())) / time.Since(begin).Seconds()
		close(stop)
		wg.Wait()
		for what, times := range took {
			if long && worst(times) > 2*time.Second {
				t.Errorf("%s: %v", what, worst(times))
			}
			t.Logf("%s: %s: on another node closed after %v median, %v worst, of %d, beside %.0f messages a second", transport, what, median(times), worst(times),
				len(times), rate)
		}
	})
}

// TestSoakNodesLate: how late a message of one node is seen on another, from before the call
// that sends it, and beside it on the same node. At twenty a second the long form holds the goals.
func TestSoakNodesLate(t *testing.T) {
	over(t, "change streams", func(t *testing.T, transport string) {
		n := trio(t, transport)
		// Each waits for the answer to one message before the next: so many that 500 a second
		// need no answer within less than a tenth of a second.
		people := n.seed("ada", rounds(10, 50), asAdmin)
		room := n.room(people)
		for _, rate := range []int{20, 500} {
			far, near := hear(t, n.nodes[1].addr, people[0].token, room), hear(t, n.nodes[0].addr, people[0].token, room)
			sent := map[string]time.Time{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			count := rounds(10, 10*rate)
			begin := time.Now()
			for i, a := range people {
				c := dial(t, n.nodes[0].addr, a.token)
				wg.Go(func() {
					for k := i; k < count; k += len(people) {
						pause(time.Until(begin.Add(time.Duration(k) * time.Second / time.Duration(rate))))
						id := random.ID()
						mu.Lock()
						sent[id] = time.Now()
						mu.Unlock()
						if _, err := c.call("sendMessage", map[string]any{"_id": id, "rid": room, "msg": "said " + id}); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			took := time.Since(begin)
			ids := slices.Collect(maps.Keys(sent))
			late := func(h *hearer) (ms []time.Duration) {
				testwait.Until(t, "every message", func() bool { return len(h.missing(ids)) == 0 })
				h.close() // nothing is heard any more
				for _, id := range ids {
					ms = append(ms, h.ids[id].Sub(sent[id]))
				}
				slices.Sort(ms)
				return ms
			}
			there, here := late(far), late(near)
			// What the same node takes is the machine's.
			goal := map[string]time.Duration{"nats": 5, "change streams": 20, "polling": 300}[transport] * time.Millisecond
			if beyond := median(there) - median(here); long && rate == 20 && beyond > goal {
				t.Errorf("%s: another node sees a message %v after the one that took it", transport, beyond)
			}
			p99 := func(l []time.Duration) time.Duration { return l[(len(l)-1)*99/100] }
			t.Logf("%s: %d messages, %.0f a second: seen on another node after %v median, %v p99; on the same %v, %v", transport, count,
				float64(count)/took.Seconds(), median(there), p99(there), median(here), p99(here))
		}
	})
}

// TestSoakNodesRaces: one code, 32 answers at once over three nodes: one of them is right.
func TestSoakNodesRaces(t *testing.T) {
	over(t, "nats", func(t *testing.T, transport string) {
		n := trio(t, transport)
		races := rounds(2, 200)
		for race, a := range n.seed("ada", races, withTOTP) {
			const each = 32
			gate := make(chan struct{})
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := map[string]int{}
			right := a.totpAt(0)
			for i := range each {
				c := dial(t, n.nodes[i%3].addr, a.token)
				wg.Go(func() {
					<-gate
					out := code(second(c.call(guarded, proof("totp", right))))
					mu.Lock()
					defer mu.Unlock()
					got[out]++
					c.close()
				})
			}
			close(gate)
			wg.Wait()
			if got[""] != 1 {
				t.Fatalf("race %d: %v", race, got)
			}
		}
		t.Logf("%s: %d races of 32 over three nodes, one winner each", transport, races)
	})
}

// TestSoakNodesCrowd: a node is killed on which a third of a crowd is logged in: all of them
// are back on the others, by themselves, and nothing that was acknowledged to them is lost.
func TestSoakNodesCrowd(t *testing.T) {
	over(t, "change streams", func(t *testing.T, transport string) {
		n := trio(t, transport)
		people := n.seed("ada", rounds(12, 300), asAdmin)
		room := n.room(people)
		addrs := []string{n.nodes[0].addr, n.nodes[1].addr, n.nodes[2].addr}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var w chatter
		var mu sync.Mutex
		var gaps []time.Duration
		in := 0
		for i, a := range people {
			wg.Go(func() {
				var lost time.Time
				for at := i; ; at++ {
					c, err := connect(addrs[at%3], a.token)
					if err != nil {
						pause(50 * time.Millisecond)
						continue
					}
					mu.Lock()
					in++
					if !lost.IsZero() {
						gaps = append(gaps, time.Since(lost))
					}
					mu.Unlock()
					w.write(c, room, 2*time.Second, stop)
					lost = time.Now()
					c.close()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		testwait.Until(t, "everybody to be there", func() bool { mu.Lock(); defer mu.Unlock(); return in >= len(people) })
		n.nodes[0].kill()
		testwait.Until(t, "everybody to be back", func() bool { mu.Lock(); defer mu.Unlock(); return len(gaps) >= (len(people)+2)/3 })
		close(stop)
		wg.Wait()
		acked := w.all()
		for _, id := range acked {
			if raw, err := rest(addrs[1], people[0], "GET", "chat.getMessage?msgId="+id, nil); err != nil {
				t.Fatalf("an acknowledged message is lost: %v, %v", raw, err)
			}
		}
		if long && worst(gaps) > 5*time.Second {
			t.Errorf("somebody was away for %v", worst(gaps))
		}
		t.Logf("%s: %d clients, %d back after the kill, %v median, %v worst; %d acknowledged messages, all there", transport, len(people), len(gaps), median(gaps),
			worst(gaps), len(acked))
	})
}

// TestSoakNodesIdle: what three nodes send to the database while nothing happens.
func TestSoakNodesIdle(t *testing.T) {
	over(t, "nats", func(t *testing.T, transport string) {
		n := trio(t, transport)
		people := n.seed("ada", rounds(3, 1000), nil)
		var commands atomic.Int64
		n.db.Watch(func(string, []byte) { commands.Add(1) })
		span := span(3*time.Second, 20*time.Second)
		measure := func() float64 {
			before := commands.Load()
			pause(span)
			return float64(commands.Load()-before) / span.Seconds()
		}
		pause(span / 2) // what making them left behind is done
		idle := measure()
		for _, a := range people {
			for _, s := range n.nodes {
				dial(t, s.addr, a.token)
			}
		}
		pause(span / 3)
		quiet := measure()
		// Twice what was measured, on any machine: a busy one sends less.
		if most := map[string]float64{"nats": 20, "change streams": 35, "polling": 60}[transport]; idle <= 0 || idle > most || quiet > most+100 {
			t.Errorf("%s: %.1f commands a second, and with quiet users %.1f", transport, idle, quiet)
		}
		t.Logf("%s: three idle nodes send %.1f commands a second, with %d quiet users on each %.1f", transport, idle, len(people), quiet)
	})
}
