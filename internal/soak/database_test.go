package soak

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
	"ddpserver/internal/user"
	"ddpserver/internal/wiretest"
)

// shared is a database of its own behind a proxy, with a way past it.
type shared struct {
	t     testing.TB
	db    *mongotest.Server
	wire  *wiretest.Wire
	url   string      // through the proxy, with much time for every operation
	store store.Store // past the proxy
}

func newShared(t *testing.T, kind ...mongotest.Kind) *shared {
	t.Helper()
	db := mongotest.StartServer(t, kind...)
	direct := db.URI()
	w := wiretest.Start(t, db.Addr())
	st, err := mongo.Open(t.Context(), direct, mongo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	// The server names itself to the driver, which would then go past the proxy.
	return &shared{t: t, db: db, wire: w, url: strings.Replace(direct, db.Addr(), w.Addr(), 1) + "&directConnection=true", store: st}
}

func (s *shared) seed(name string, n int, change func(*user.User)) []*account {
	s.t.Helper()
	var out []*account
	for i := range n {
		a, err := addUser(s.t.Context(), s.store, fmt.Sprint(name, i), change)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// strict is the URL with the time for an operation that the program has by itself.
func (s *shared) strict() string {
	return regexp.MustCompile(`timeoutMS=\d+&`).ReplaceAllString(s.url, "")
}

func (s *shared) received(a *account) int64 {
	s.t.Helper()
	g, err := s.store.Guard(context.Background(), a.id)
	if err != nil {
		s.t.Fatal(err)
	}
	return g.Received
}

// refuseWithin is the longest a refusal may take in the long form, which has the
// machine to itself: the store's five seconds, and some. The short form asks that
// there is a refusal.
const refuseWithin = 8 * time.Second

// TestSoakDatabase (docs/security-tests.md S110–S112): a database that is gone, silent, slow, reset in
// mid-command or no primary. Calls are refused within five seconds, nobody gets in,
// nobody passes a second factor, sockets stay, and everything works again at once.
func TestSoakDatabase(t *testing.T) {
	together(t)
	outage := span(time.Second, 30*time.Second)
	for _, tc := range []struct {
		name string
		harm func(*shared)
		heal func(*shared)
	}{
		{"gone", func(s *shared) { s.wire.Cut() }, func(s *shared) { s.wire.Join() }},
		{"silent", func(s *shared) { s.wire.Poison("timeout", "downstream", `"timeout":0`) }, func(s *shared) { s.wire.Heal() }},
		{"deaf", func(s *shared) { s.wire.Poison("timeout", "upstream", `"timeout":0`) }, func(s *shared) { s.wire.Heal() }},
		{"reset", func(s *shared) { s.wire.Poison("reset_peer", "downstream", `"timeout":0`) }, func(s *shared) { s.wire.Heal() }},
		{"no primary", func(s *shared) { s.db.Inject(mongotest.NotPrimary("", -1)) }, func(s *shared) { s.db.Heal() }},
		{"slow", func(s *shared) { s.db.Inject(mongotest.Fault{Times: -1, Delay: 7 * time.Second}) }, func(s *shared) { s.db.Heal() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			db := newShared(t)
			people, a := db.seed("ada", rounds(8, 80), nil), db.seed("app", 1, withTOTP)[0]
			s := launchUntil(t, calmBut("MONGO_URL="+db.strict()))
			conns := make([]*conn, len(people))
			for i, p := range people {
				conns[i] = dialUntil(t, s.addr, p.token)
			}
			c := dialUntil(t, s.addr, a.token)
			before := s.metric("go_goroutines")
			tc.harm(db)
			times := outageOf(t, s, conns, people, a, c, outage)
			peak := s.metric("go_goroutines")
			tc.heal(db)
			took := testwait.Until(t, "recovery", func() bool {
				_, err := conns[0].call("setRealName", "Ada again")
				return err == nil
			})
			testwait.Until(t, "readiness", func() bool { return s.ready() == 200 })
			for i, c := range conns {
				if err := c.ping(); err != nil {
					t.Fatalf("socket %d did not stay: %v", i, err)
				}
			}
			dialUntil(t, s.addr, a.token)
			if long && took > 10*time.Second {
				t.Errorf("the recovery took %v", took)
			}
			if peak > before+float64(len(conns))*2+200 {
				t.Errorf("%v goroutines before, %v during the outage", before, peak)
			}
			t.Logf("%s: %d refused calls: median %v, worst %v; recovery %v; goroutines %v before, %v during", tc.name, len(times), median(times), worst(times),
				took.Round(time.Millisecond), before, peak)
		})
	}
}

// outageOf plays everybody's calls for a while on a database that is broken, and
// returns how long the refusals took.
func outageOf(t *testing.T, s *server, conns []*conn, people []*account, a *account, c *conn, lasting time.Duration) []time.Duration {
	var (
		mu    sync.Mutex
		times []time.Duration
		wg    sync.WaitGroup
		end   = time.Now().Add(lasting)
	)
	measure := func(what string, f func() error) {
		begin := time.Now()
		err := f()
		took := time.Since(begin)
		mu.Lock()
		defer mu.Unlock()
		times = append(times, took)
		switch {
		case err == nil:
			t.Errorf("%s succeeded without a database", what)
		case code(err) == "lost":
			t.Errorf("%s was not answered: %v", what, err)
		case long && took > refuseWithin:
			t.Errorf("%s was refused after %v", what, took)
		}
	}
	for i, k := range conns {
		wg.Go(func() {
			for n := 0; n == 0 || time.Now().Before(end); n++ {
				switch (i + n) % 3 {
				case 0:
					measure("a change of a name", func() error { return second(k.call("setRealName", fmt.Sprint("Ada ", n))) })
				case 1:
					measure("a login by token", func() error {
						return second(rest(s.addr, nil, "POST", "login", map[string]any{"resume": people[i].token}))
					})
				case 2:
					measure("a login by password", func() error {
						return second(rest(s.addr, nil, "POST", "login", map[string]any{"user": people[i].name, "password": accountPassword}))
					})
				}
			}
		})
	}
	wg.Go(func() {
		measure("a second factor", func() error { return second(c.call(guarded, proof("totp", a.totpAt(0)))) })
	})
	wg.Go(func() { // what needs no database goes on
		for n := 0; n == 0 || time.Now().Before(end); n++ {
			if _, err := c.call("getServerTime"); err != nil && n == 0 {
				t.Errorf("getServerTime: %v", err)
			}
			pause(100 * time.Millisecond)
		}
	})
	wg.Wait()
	return times
}

// TestSoakUnknownOutcome (docs/security-tests.md S111): the connection is cut before or after a command
// of the database ran, at each of the commands of a check of a code in turn. An
// unknown outcome is a refusal, the guess is counted, and no code is good twice.
func TestSoakUnknownOutcome(t *testing.T) {
	together(t)
	db := newShared(t)
	// Seven commands are more than a check has.
	const depth = 7
	kinds := []mongotest.Fault{{DropBefore: true}, {DropAfter: true}, {WriteConcernCode: 64}, {Code: 91, Name: "ShutdownInProgress"},
		{Code: 14031, Name: "OutOfDiskSpace"}}
	apps := db.seed("app", len(kinds)*depth*2, withTOTP)
	s := launch(t, t.TempDir(), calmBut("MONGO_URL="+db.url))
	passed, failed := 0, 0
	for i, a := range apps {
		f := kinds[i%len(kinds)]
		// The driver repeats once by itself; two hits in a row leave the outcome unknown.
		f.Command, f.Skip, f.Times = []string{"findAndModify", "update"}[i%2], i/len(kinds)%depth, 2
		c := dialUntil(t, s.addr, a.token)
		before := db.received(a)
		right := i%3 != 0
		answer := a.totpAt(0)
		if !right {
			answer = a.wrongCode()
		}
		db.db.Inject(f)
		_, err := c.call(guarded, proof("totp", answer))
		db.db.Heal()
		first := code(err)
		counted := db.received(a) - before
		switch {
		case first == "lost":
			t.Fatalf("%+v: not answered", f)
		case first == "" && !right:
			t.Fatalf("%+v: a wrong code passed", f)
		case (first == "" || first == "totp-invalid") && counted != 1:
			t.Errorf("%+v: answered %q and counted %d guesses", f, first, counted)
		case counted > 1:
			t.Errorf("%+v: counted %d guesses for one", f, counted)
		}
		if first == "" {
			passed++
		} else {
			failed++
		}
		if right {
			again := code(second(c.call(guarded, proof("totp", answer))))
			if first == "" && again == "" {
				t.Fatalf("%+v: a code was good twice", f)
			}
			if third := code(second(c.call(guarded, proof("totp", answer)))); third == "" {
				t.Fatalf("%+v: a code was good after two answers (%q, %q)", f, first, again)
			}
		}
		c.close()
	}
	if failed == 0 || passed == 0 {
		t.Errorf("%d passed, %d failed: the faults hit nothing, or everything", passed, failed)
	}
	t.Logf("%d checks with a fault in the middle: %d went through, %d were refused", len(apps), passed, failed)
}
