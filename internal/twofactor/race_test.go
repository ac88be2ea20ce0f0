package twofactor_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// parallel lets n calls go at once and counts their outcomes.
func parallel(n int, f func(i int) string) map[string]int {
	var (
		start = make(chan struct{})
		mu    sync.Mutex
		wg    sync.WaitGroup
		out   = map[string]int{}
	)
	for i := range n {
		wg.Go(func() {
			<-start
			got := f(i)
			mu.Lock()
			defer mu.Unlock()
			out[got]++
		})
	}
	close(start)
	wg.Wait()
	return out
}

// onBoth runs a test on the embedded store, on the MongoDB store over the
// in-process wire server, and on a real server when MONGODB_TEST_URI names one.
// Time is real: sockets do not live in bubbles.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("mongo", func(t *testing.T) { test(t, newWorldOn(t, openMongo(t, mongotest.Start(t)))) })
	if uri := os.Getenv("MONGODB_TEST_URI"); uri != "" {
		t.Run("mongodb", func(t *testing.T) {
			u, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			u.Path = "/twofactor" + random.ID()
			test(t, newWorldOn(t, openMongo(t, u.String())))
		})
	}
}

func openMongo(t *testing.T, url string) store.Store {
	t.Helper()
	s, err := mongo.Open(ctx, url, mongo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// soakRounds is set by soak_test.go.
var soakRounds int

// rounds of a race.
func rounds() int {
	switch {
	case soakRounds > 0:
		return soakRounds
	case testing.Short():
		return 3
	}
	return 10
}

// S005: one code of an authenticator, 32 calls on two nodes at once, one winner.
func TestS005TOTPRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		nodes := []*twofactor.Service{w.svc, w.service(w.Store)}
		for round := range rounds() {
			a := w.account(fmt.Sprint("u", round), func(u *user.User) {
				u.Services.TOTP = &user.TOTP{Enabled: true, Secret: strings.Repeat("A", 32)}
			})
			c, err := totp.GenerateCode(strings.Repeat("A", 32), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r := a.ask(code(c))
			got := parallel(32, func(i int) string { return id(nodes[i%2].Check(ctx, r)) })
			if got[""] != 1 || got["totp-invalid"] != 31 {
				t.Fatalf("round %d: %v", round, got)
			}
		}
	})
}

// S006: the same with a mailed code; nothing is left of the set.
func TestS006MailCodeRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		w.Set(settings.TwoFactorMailsPerAddress, 10_000)
		nodes := []*twofactor.Service{w.svc, w.service(w.Store)}
		for round := range rounds() {
			a := w.account(fmt.Sprint("u", round), withEmail)
			a.check()
			r := a.ask(code(w.Mails.Code(-1)))
			got := parallel(32, func(i int) string { return id(nodes[i%2].Check(ctx, r)) })
			if got[""] != 1 {
				t.Fatalf("round %d: %v", round, got)
			}
			g, err := w.Store.Guard(ctx, a.id)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range g.Codes { // losers may have caused the next mail, never kept the old code
				if c.Digest == w.Key.Digest("twofactor mail code", a.id, r.Proof.Text()) {
					t.Fatalf("round %d: the spent code is still there", round)
				}
			}
		}
	})
}

// S007: one backup code has one winner; different ones at once all count, and
// none comes back.
func TestS007BackupRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		for round := range rounds() {
			a := w.account(fmt.Sprint("u", round))
			a.enrolNow()
			r := a.ask(code(a.backup[0]))
			if got := parallel(16, func(int) string { return id(w.svc.Check(ctx, r)) }); got[""] != 1 || got["totp-invalid"] != 15 {
				t.Fatalf("round %d, one code: %v", round, got)
			}
			ask := a.ask()
			got := parallel(11, func(i int) string {
				r := ask
				r.Proof = rpc.TextProof(r.Proof.Factor, a.backup[i+1])
				return id(w.svc.Check(ctx, r))
			})
			if got[""] != 11 {
				t.Fatalf("round %d, eleven codes: %v", round, got)
			}
			if n, err := w.svc.Remaining(ctx, a.ask()); n != 0 || err != nil {
				t.Fatalf("round %d: %d codes left, %v", round, n, err)
			}
		}
	})
}

// enrolNow is enrol in real time: the first step is spent and not waited for.
func (a *account) enrolNow() {
	a.w.T.Helper()
	e, err := a.w.svc.Enrol(ctx, a.ask(code(digest)))
	if err != nil {
		a.w.T.Fatal(err)
	}
	a.secret = e.Secret
	if a.backup, err = a.w.svc.Confirm(ctx, a.ask(code(a.now(0)))); err != nil {
		a.w.T.Fatal(err)
	}
}

// S023: regeneration replaces the set as a whole: what 8 of them at once leave
// behind is one set of twelve, and the codes of that one answer are all good.
func TestS023RegenerateRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice")
		a.enrolNow()
		var mu sync.Mutex
		var sets [][]string
		parallel(8, func(i int) string {
			codes, err := w.svc.Regenerate(ctx, a.ask(code(a.backup[i])))
			if err != nil {
				return err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			if codes != nil {
				sets = append(sets, codes)
			}
			return ""
		})
		if n, _ := w.svc.Remaining(ctx, a.ask()); n < 5 || n > 12 {
			t.Fatalf("%d codes left", n)
		}
		good := 0
		for _, set := range sets {
			if a.check(code(set[11])) == "" {
				good++
			}
		}
		if len(sets) == 0 || good != 1 {
			t.Errorf("%d regenerations, codes of %d sets are good; want exactly one set", len(sets), good)
		}
	})
}

// One pending secret, 16 first codes at once: one set of backup codes is shown.
func TestConfirmRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice")
		e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
		if err != nil {
			t.Fatal(err)
		}
		a.secret = e.Secret
		r := a.ask(code(a.now(0)))
		got := parallel(10, func(int) string {
			_, err := w.svc.Confirm(ctx, r)
			return id(err)
		})
		if got[""] != 1 || got["invalid-totp"] != 9 {
			t.Errorf("outcomes %v", got)
		}
		if n := len(changes(w)); n != 1 {
			t.Errorf("%d notices", n)
		}
	})
}

// Parallel challenges mail one code.
func TestChallengeRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		r := a.ask()
		got := parallel(16, func(int) string { return id(w.svc.Check(ctx, r)) })
		if got["totp-required"] != 16 || w.Mails.Count() != 1 {
			t.Errorf("outcomes %v, %d mails", got, w.Mails.Count())
		}
	})
}
