package soak

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// cluster is two servers on one database.
type cluster struct {
	*shared
	box   *mailtest.Server
	nodes [2]*server
}

func newCluster(t *testing.T, env ...string) *cluster {
	t.Helper()
	return newClusterOn(t, mongotest.Kind{}, env...)
}

func newClusterOn(t *testing.T, kind mongotest.Kind, env ...string) *cluster {
	t.Helper()
	c := &cluster{shared: newShared(t, kind), box: mailtest.Start(t, mailtest.Options{})}
	for i := range c.nodes {
		c.nodes[i] = launch(t, t.TempDir(), append(calmBut("MONGO_URL="+c.url, "MAIL_URL="+c.box.URL(), fmt.Sprint("NODE_NAME=n", i)), env...))
	}
	return c
}

// TestSoakNodesOneCode (docs/security-tests.md S107): the same code on two nodes, 0–5 ms apart, has one
// winner, whatever its kind.
func TestSoakNodesOneCode(t *testing.T) {
	together(t)
	cl := newCluster(t)
	chance := dice(t)
	n := rounds(12, 1000)
	wins := map[string]int{}
	var enrolled *account
	var lines [2]*conn
	for round := range n {
		kind := []string{"totp", "email", "backup"}[round%3]
		var a *account
		switch {
		case kind == "totp":
			a = cl.seed(fmt.Sprint("t", round, "x"), 1, withTOTP)[0]
		case kind == "email":
			a = cl.seed(fmt.Sprint("e", round, "x"), 1, withEmail)[0]
		case enrolled != nil && len(enrolled.backup) > 0:
			a = enrolled
		default:
			a = cl.seed(fmt.Sprint("b", round, "x"), 1, nil)[0]
		}
		for i := range lines {
			var err error
			if lines[i], err = connect(cl.nodes[i].addr, a.token); err != nil {
				t.Fatal(err)
			}
		}
		method, text := "totp", ""
		switch kind {
		case "totp":
			text = a.totpAt(0)
		case "email":
			method = "email"
			if _, err := lines[round%2].call(guarded); code(err) != "totp-required" {
				t.Fatal(err)
			}
			text = a.freshCode(t, cl.box)
		case "backup":
			if a.secret == "" {
				if err := a.enrol(lines[0]); err != nil {
					t.Fatal(err)
				}
				enrolled = a
				lines[1].close() // another session: the change of factors ended the old one
				var err error
				if lines[1], err = connect(cl.nodes[1].addr, a.token); err != nil {
					t.Fatal(err)
				}
			}
			text = a.backup[0]
			a.backup = a.backup[1:]
		}
		apart := time.Duration(chance.IntN(5001)) * time.Microsecond
		var got [2]string
		var wg sync.WaitGroup
		for i := range lines {
			wg.Go(func() {
				if i == round/3%2 {
					pause(apart)
				}
				got[i] = code(second(lines[i].call(guarded, proof(method, text))))
			})
		}
		wg.Wait()
		for _, c := range lines {
			c.close()
		}
		if (got[0] == "") == (got[1] == "") || !refused(got[0]+got[1]) {
			t.Fatalf("round %d, %s, %v apart: %q", round, kind, apart, got)
		}
		wins[kind]++
	}
	t.Logf("%d rounds, 0–5 ms apart, one winner each: %v", n, wins)
}

// TestSoakNodesAttempts (docs/security-tests.md S108): wrong answers on two nodes at once are counted
// exactly, and no more of them are compared than the budget allows.
func TestSoakNodesAttempts(t *testing.T) {
	together(t)
	const budget = 10
	cl := newCluster(t, fmt.Sprint("OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Max_Invalid_Attempts_Per_Hour=", budget))
	for round, a := range cl.seed("guess", rounds(2, 40), withTOTP) {
		const each = 50
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		gate := make(chan struct{})
		for i := range 2 {
			c, err := connect(cl.nodes[i].addr, a.token)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			for range each {
				wrong := a.wrongCode()
				wg.Go(func() {
					<-gate
					out := code(second(rest(cl.nodes[i].addr, a, "POST", "method.call/"+guarded, map[string]any{"message": callMessage(guarded, proof("totp", wrong))})))
					mu.Lock()
					defer mu.Unlock()
					got[out]++
				})
			}
		}
		close(gate)
		wg.Wait()
		// Writers of one document that come too late for the store's five seconds are
		// refused with an error, and an answer that takes longer than the door's half minute
		// is lost; a slow machine has some.
		late := got["500"] + got["lost"]
		n := int(cl.received(a))
		switch {
		case late == 0 && (n != 2*each || got["totp-invalid"] != budget || got["totp-max-attempts"] != 2*each-budget),
			got["totp-invalid"] > budget, got["totp-invalid"]+got["totp-max-attempts"] != 2*each-late, n < 2*each-late, n > 2*each:
			t.Errorf("round %d: %d answers received, outcomes %v", round, n, got)
		}
	}
}

// callMessage is the text of method.call.
func callMessage(method string, params ...any) string {
	b, err := json.Marshal(map[string]any{"msg": "method", "id": "1", "method": method, "params": params})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestSoakNodesFollow (docs/security-tests.md S109): what one node changes, the other acts on within
// two seconds: a dead token, a setting, a factor. What decides is never a cache.
func TestSoakNodesFollow(t *testing.T) {
	for name, kind := range databases {
		t.Run(name, func(t *testing.T) {
			together(t)
			nodesFollow(t, newClusterOn(t, kind))
		})
	}
}

func nodesFollow(t *testing.T, cl *cluster) {
	t.Helper()
	admin := cl.seed("boss", 1, asAdmin)[0]
	var closed, set, asked []time.Duration
	pw := proof("password", digest(accountPassword))
	for round, a := range cl.seed("ada", rounds(3, 50), nil) {
		one, two := dial(t, cl.nodes[0].addr, a.token), cl.nodes[1]
		raw, err := one.call("personalAccessTokens:generateToken", map[string]any{"tokenName": "bot"}, pw)
		if err != nil {
			t.Fatal(err)
		}
		bot := &account{id: a.id}
		if err := json.Unmarshal(raw, &bot.token); err != nil {
			t.Fatal(err)
		}
		far := dial(t, two.addr, bot.token)
		if _, err := one.call("personalAccessTokens:removeToken", map[string]any{"tokenName": "bot"}, pw); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := rest(two.addr, bot, "GET", "me", nil); code(err) == "" {
			t.Error("a dead token works on the other node")
		}
		select {
		case <-far.dead:
			closed = append(closed, time.Since(begin))
		case <-time.After(patience):
			t.Fatal("the session of a dead token stays on the other node")
		}

		want := 20 + round%30
		if _, err := dial(t, cl.nodes[0].addr, admin.token).call("saveSetting", "Accounts_Password_Policy_MinLength", want, pw); err != nil {
			t.Fatal(err)
		}
		set = append(set, testwait.Until(t, "the setting", func() bool {
			out, err := rest(two.addr, nil, "GET", "settings.public?_id=Accounts_Password_Policy_MinLength", nil)
			return err == nil && strings.Contains(fmt.Sprint(out["settings"]), fmt.Sprint("value:", want))
		}))

		near := dial(t, two.addr, a.token) // logged in before the factor is there
		if err := a.enrol(one); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if got := code(second(near.call(guarded))); got != "totp-required" {
			t.Errorf("the other node does not ask for the new factor: %q", got)
		}
		asked = append(asked, time.Since(begin))
	}
	for what, times := range map[string][]time.Duration{"session of a dead token closed": closed, "setting": set} {
		if long && worst(times) > 5*time.Second { // the short form leaves the time to methods.TestAccountsOnNodes, whose clock is fake
			t.Errorf("%s after %v", what, worst(times))
		}
	}
	t.Logf("on the other node, median and worst: sessions closed %v %v; setting %v %v; new factor asked at the next call (%v)", median(closed), worst(closed),
		median(set), worst(set), worst(asked))
}

// TestSoakNodesRolling (docs/security-tests.md S117 d): both nodes are restarted in turn under load;
// clients that connect again see no failed and no doubled call.
func TestSoakNodesRolling(t *testing.T) {
	together(t)
	cl := newCluster(t)
	// Few clients that take their time: the database of the tests gets slower with
	// every document.
	people := cl.seed("ada", 6, nil)
	var stops []time.Duration
	var (
		mu    sync.Mutex
		addrs = []string{cl.nodes[0].addr, cl.nodes[1].addr}
		stop  = make(chan struct{})
		wg    sync.WaitGroup
		calls int
		again int
	)
	pick := func(n int) string { mu.Lock(); defer mu.Unlock(); return addrs[n%len(addrs)] }
	for i, a := range people {
		wg.Go(func() {
			w := &writer{who: a, text: map[string]string{}}
			var c *conn
			at := i
			defer func() {
				if c != nil {
					c.close()
				}
			}()
			for n := 0; ; {
				if c == nil {
					var err error
					if c, err = connect(pick(at), a.token); err != nil {
						at++ // as a proxy would: the other node
						continue
					}
				}
				switch err := w.post(c, n); {
				case err == nil:
					select {
					case <-stop: // every call has its answer
						w.verify(t, c)
						return
					default:
					}
					n++
					mu.Lock()
					calls++
					mu.Unlock()
					pause(10 * time.Millisecond)
				case code(err) == "lost":
					c.close()
					c = nil // and then the same call with the same id
					at++
					mu.Lock()
					again++
					mu.Unlock()
				default:
					t.Errorf("a call failed: %v\n%s%s", err, cl.nodes[0].errors(), cl.nodes[1].errors())
					return
				}
			}
		})
	}
	for round := range rounds(2, 10) {
		pause(300 * time.Millisecond)
		i := round % 2
		mu.Lock()
		addrs = []string{cl.nodes[1-i].addr}
		mu.Unlock()
		begin := time.Now()
		testwait.Until(t, "the nodes to see each other", func() bool { return cl.nodes[i].metric("ddpserver_nodes") == 2 })
		exit := cl.nodes[i].terminate()
		if away := strings.Contains(cl.nodes[i].log.String(), "sessions_sent_away"); exit != 0 || !away {
			t.Errorf("node %d ended with %d; sent its sessions away one by one: %v", i, exit, away)
		}
		stops = append(stops, time.Since(begin))
		cl.nodes[i] = launch(t, t.TempDir(), calmBut("MONGO_URL="+cl.url, fmt.Sprint("NODE_NAME=n", i)))
		mu.Lock()
		addrs = []string{cl.nodes[0].addr, cl.nodes[1].addr}
		mu.Unlock()
	}
	pause(200 * time.Millisecond)
	close(stop)
	wg.Wait()
	t.Logf("%d clients, %d calls, %d of them sent again after a close; none failed, lost or doubled; %d stops, %v median", len(people), calls, again,
		len(stops), median(stops))
}
