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

// keep sends a message again until it is acknowledged, and notes it; false when the
// connection ended.
func (w *chatter) keep(c *conn, room string) bool {
	id := random.ID()
	for {
		_, err := c.call("sendMessage", map[string]any{"_id": id, "rid": room, "msg": "said " + id})
		switch code(err) {
		case "":
			w.mu.Lock()
			w.acked = append(w.acked, id)
			w.mu.Unlock()
			return true
		case "lost":
			return false
		}
		pause(100 * time.Millisecond)
	}
}

// TestSoakNodesPartitioned (docs/security-tests.md S107, S109): at moments that are drawn, a node is
// parted from the database or from NATS and put back, its connections cut or swallowed without a word,
// while people write on all nodes, tokens are revoked, codes are raced and a setting changes. Nothing
// that was acknowledged is lost, everybody who listens hears it, a code has one winner at most, a
// revoked token's sessions end, and in the end all nodes say the same.
func TestSoakNodesPartitioned(t *testing.T) {
	over(t, "nats", func(t *testing.T, transport string) { partitioned(t, trioOver(t, transport, true), transport) })
}

func partitioned(t *testing.T, n *three, transport string) {
	t.Helper()
	chance := dice(t)
	people := n.seed("ada", 6, asAdmin)
	room := n.room(people)
	var listeners []*hearer
	var w chatter
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range n.nodes {
		listeners = append(listeners, hear(t, s.addr, people[i].token, room))
	}
	for i, a := range people {
		c := dial(t, n.nodes[i%3].addr, a.token)
		wg.Go(func() {
			for w.keep(c, room) {
				select {
				case <-stop:
					return
				default:
					pause(50 * time.Millisecond)
				}
			}
			t.Error("a session ended")
		})
	}
	boss := n.seed("boss", 1, asAdmin)[0]
	pw := proof("password", digest(accountPassword))
	var ended []time.Duration
	winners, policy := 0, 0
	for round := range rounds(2, 30) {
		hurt := round % 3
		link := n.links[hurt][chance.IntN(len(n.links[hurt]))]
		silent := chance.IntN(2) == 0
		sound := n.nodes[(hurt+1)%3].addr
		victim, app := n.seed(fmt.Sprint("victim", round, "x"), 1, nil)[0], n.seed(fmt.Sprint("app", round, "x"), 1, withTOTP)[0]
		var open, racers []*conn
		for _, s := range n.nodes {
			open = append(open, dial(t, s.addr, victim.token))
			racers = append(racers, dial(t, s.addr, app.token))
		}
		admin, near := dial(t, sound, boss.token), dial(t, sound, victim.token)
		if silent {
			link.Poison("timeout", "upstream", `"timeout":0`)
			link.Poison("timeout", "downstream", `"timeout":0`)
		} else {
			link.Cut()
		}
		pause(time.Duration(chance.IntN(300)) * time.Millisecond)
		if _, err := near.call("logout"); err != nil {
			t.Errorf("round %d: a sound node does not log out: %v", round, err)
		}
		revoked := time.Now()
		var race sync.WaitGroup
		var mu sync.Mutex
		won := 0
		right := app.totpAt(0)
		for _, c := range racers {
			race.Go(func() {
				if second(c.call(guarded, proof("totp", right))) == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		if _, err := admin.call("saveSetting", "Accounts_Password_Policy_MinLength", 20+round%30, pw); err == nil {
			policy = 20 + round%30
		} else {
			t.Errorf("round %d: a sound node does not save: %v", round, err)
		}
		pause(time.Duration(chance.Int64N(int64(span(1500*time.Millisecond, 8*time.Second)))))
		if silent {
			link.Heal()
		} else {
			link.Join()
		}
		healed := time.Now()
		race.Wait()
		if won > 1 {
			t.Fatalf("round %d: %d answers with one code won", round, won)
		}
		winners += won
		for i, c := range open {
			testwait.Until(t, "the end of a revoked session", func() bool {
				select {
				case <-c.dead:
					return true
				default:
					return false
				}
			})
			if i == hurt {
				ended = append(ended, time.Since(healed))
			} else if took := time.Since(revoked); long && took > 2*time.Second+healed.Sub(revoked) {
				t.Errorf("round %d: a sound node ended the session after %v", round, took)
			}
		}
		for _, c := range append(racers, admin) {
			c.close()
		}
	}
	close(stop)
	wg.Wait()
	acked := w.all()
	begin := time.Now()
	for i, l := range listeners {
		testwait.Until(t, fmt.Sprintf("node %d tells every acknowledged message", i), func() bool {
			return len(l.missing(acked)) == 0
		})
	}
	told := time.Since(begin)
	for i, id := range acked {
		if _, err := rest(n.nodes[i%3].addr, people[0], "GET", "chat.getMessage?msgId="+id, nil); err != nil && code(err) != "lost" {
			if strings.Contains(err.Error(), "too-many") {
				break
			}
			t.Fatalf("an acknowledged message is lost: %v", err)
		}
	}
	for _, s := range n.nodes {
		testwait.Until(t, "all nodes to agree", func() bool {
			out, err := rest(s.addr, nil, "GET", "settings.public?_id=Accounts_Password_Policy_MinLength", nil)
			return err == nil && strings.Contains(fmt.Sprint(out["settings"]), fmt.Sprint("value:", policy)) && s.metric("ddpserver_nodes") == 3
		})
	}
	if long && worst(ended) > 10*time.Second {
		t.Errorf("a parted node ended a revoked session %v after it was back", worst(ended))
	}
	t.Logf("%s: %d partitions, %d messages acknowledged and told on all nodes, the last %v after the end; %d codes, one winner at most; revoked sessions on the "+
		"parted node ended %v median, %v worst after it was back",
		transport, len(ended), len(acked), told.Round(time.Millisecond), winners, median(ended), worst(ended))
}

// TestSoakNodesWithoutDatabase (docs/security-tests.md S110): three nodes lose their database for ten
// seconds. Calls get an error that says so, every session stays, and what is revoked right after
// it is back holds on all nodes.
func TestSoakNodesWithoutDatabase(t *testing.T) {
	over(t, "polling", func(t *testing.T, transport string) {
		n := trioOver(t, transport, true)
		people := n.seed("ada", rounds(9, 90), nil)
		conns := make([]*conn, len(people))
		for i, a := range people {
			conns[i] = dial(t, n.nodes[i%3].addr, a.token)
		}
		for _, links := range n.links {
			links[0].Cut()
		}
		begin := time.Now()
		refused, lasting := 0, span(1500*time.Millisecond, 10*time.Second)
		for i := 0; refused == 0 || time.Since(begin) < lasting; i++ {
			err := second(conns[i%len(conns)].call("setRealName", "Ada away"))
			if code(err) == "" || code(err) == "lost" {
				t.Fatalf("without a database a call got %v", err)
			}
			refused++
		}
		for _, links := range n.links {
			links[0].Join()
		}
		back := time.Now()
		for i, c := range conns {
			testwait.Until(t, "calls to succeed", func() bool { return second(c.call("setRealName", fmt.Sprint("Ada ", i))) == nil })
		}
		took := time.Since(back)
		for i, c := range conns {
			if err := c.ping(); err != nil {
				t.Errorf("session %d did not stay: %v", i, err)
			}
		}
		var ended []time.Duration
		for i, a := range people[:3] {
			near := dial(t, n.nodes[(i+1)%3].addr, a.token)
			if _, err := near.call("logout"); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			select {
			case <-conns[i].dead:
				ended = append(ended, time.Since(at))
			case <-time.After(patience):
				t.Fatal("a session goes on whose token was revoked behind the outage")
			}
		}
		if long && worst(ended) > 2*time.Second {
			t.Errorf("revoked sessions ended after %v", worst(ended))
		}
		t.Logf("%s: %v without a database, %d calls refused, %d sessions, none closed; calls of all of them go again after %v; revoked right after: %v worst",
			transport, lasting, refused, len(conns), took.Round(time.Millisecond), worst(ended))
	})
}

// TestSoakNodesGuesses (docs/security-tests.md S108): wrong passwords of one account on three nodes at
// once: as many are compared, all together, as one node would compare.
func TestSoakNodesGuesses(t *testing.T) {
	over(t, "change streams", func(t *testing.T, transport string) {
		const limit, each = 10, 30
		n := trio(t, transport, "OVERWRITE_SETTING_Block_Multiple_Failed_Logins_Enabled=true", "OVERWRITE_SETTING_Block_Multiple_Failed_Logins_By_Ip=false",
			fmt.Sprint("OVERWRITE_SETTING_Block_Multiple_Failed_Logins_Attempts_Until_Block_by_User=", limit))
		accounts := rounds(1, 20)
		for _, a := range n.seed("ada", accounts, nil) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := map[string]int{}
			for i := range 3 {
				for k := range 3 {
					c := dial(t, n.nodes[i].addr, "")
					wg.Go(func() {
						for g := range each / 3 {
							out := code(second(c.call("login", map[string]any{"user": map[string]any{"username": a.name},
								"password": map[string]any{"digest": digest(fmt.Sprint("guess ", i, k, g)), "algorithm": "sha-256"}})))
							mu.Lock()
							got[out]++
							mu.Unlock()
						}
						c.close()
					})
				}
			}
			wg.Wait()
			late := got["500"]
			if compared := got["403"]; compared > limit || late == 0 && compared != limit || compared+got["error-login-blocked-for-user"]+late != 3*each {
				t.Errorf("%s: %v", transport, got)
			}
		}
		t.Logf("%s: %d accounts, %d wrong passwords each on three nodes at once: %d compared", transport, accounts, 3*each, limit)
	})
}
