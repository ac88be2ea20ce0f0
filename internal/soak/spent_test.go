package soak

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/mail/mailtest"
)

// spending is one use of a code: how it is made ready, used, and used again.
type spending struct {
	kind string
	who  *account
	code string
	use  func(addr string, c *conn) error // errLost when the outcome is unknown
	ends time.Time                        // when the code is no longer good; zero is long after the test
	at   time.Time                        // when the answer came
	err  error
}

// TestSoakSpentStaysSpent (docs/security-tests.md S106): a code whose use was acknowledged is
// refused after a SIGKILL within a millisecond and a restart, whatever the kind of
// code and the door. Codes whose use was not acknowledged may be good or spent, but
// not good twice.
func TestSoakSpentStaysSpent(t *testing.T) {
	together(t)
	var (
		dir    = t.TempDir()
		box    = mailtest.Start(t, mailtest.Options{})
		env    = calmBut("MAIL_URL=" + box.URL())
		cycles = rounds(4, 400)
		kinds  = []string{"totp", "backup", "login", "email"}

		apps, mails []*account
		acked       = map[string]int{}
		within      = map[string]int{}
		starts      []time.Duration
	)

	for cycle := range cycles {
		// An app is good for its four steps and twelve backup codes; new accounts come
		// before that.
		if cycle%4 == 0 {
			apps = seed(t, dir, fmt.Sprintf("app%dx", cycle), 3, nil)
			mails = seed(t, dir, fmt.Sprintf("mail%dx", cycle), 2, withEmail)
		}
		spare := seed(t, dir, fmt.Sprintf("spare%dx", cycle), 1, withTOTP)
		s := launch(t, dir, env)
		starts = append(starts, s.took)
		conns := map[*account]*conn{}
		open := func(a *account) *conn {
			if conns[a] == nil {
				c, err := connect(s.addr, a.token)
				if err != nil {
					t.Fatal(err)
				}
				conns[a] = c
			}
			return conns[a]
		}
		if cycle%4 == 0 {
			for _, a := range apps {
				if err := a.enrol(open(a)); err != nil {
					t.Fatal(err)
				}
			}
		}
		var all []*spending
		// One user spends a step of the app, one a backup code over another door, one
		// logs in with a backup code.
		step := cycle % 4
		all = append(all, app(apps[1], "backup", apps[1].backup[step], step+1), loginBackup(apps[2], apps[2].backup[step]))
		for i, a := range mails {
			if _, err := open(a).call(guarded); code(err) != "totp-required" {
				t.Fatalf("challenge: %v", err)
			}
			all = append(all, byMail(a, a.freshCode(t, box), cycle+i))
		}
		for _, a := range slices.Concat(apps, mails, spare) {
			open(a)
		}
		device := apps[0]
		c := device.nextStep()
		if c == "" { // no step is left within reach
			device = spare[0]
			c = device.nextStep()
		}
		timed := app(device, "totp", c, step)
		timed.ends = device.stepEnds()
		all = append(all, timed)

		// All at once; the acknowledgement of one kind in turn pulls the plug.
		plug := make(chan struct{}, len(all))
		var wg sync.WaitGroup
		for _, sp := range all {
			wg.Go(func() {
				sp.err = sp.use(s.addr, conns[sp.who])
				sp.at = time.Now()
				if sp.kind == kinds[cycle%len(kinds)] {
					plug <- struct{}{}
				}
			})
		}
		<-plug
		killed := time.Now()
		s.kill()
		wg.Wait()
		for _, c := range conns {
			c.close()
		}
		clear(conns)

		s = launch(t, dir, env)
		for _, sp := range all {
			switch got := code(sp.err); got {
			case "":
				acked[sp.kind]++
				if killed.Sub(sp.at) <= time.Millisecond {
					within[sp.kind]++
				}
				if again := code(sp.use(s.addr, open(sp.who))); !refused(again) {
					t.Fatalf("cycle %d: a spent %s code was answered with %q after the restart", cycle, sp.kind, again)
				}
			case "lost":
				first := sp.use(s.addr, open(sp.who)) // spent or not: once more at most
				if second := code(sp.use(s.addr, open(sp.who))); !refused(second) {
					t.Fatalf("cycle %d: a %s code was good twice (%v, %q)", cycle, sp.kind, first, second)
				}
			default:
				if !sp.ends.IsZero() && sp.at.After(sp.ends) {
					continue // the machine was too busy for a code of a minute
				}
				t.Fatalf("cycle %d: a fresh %s code was refused: %v", cycle, sp.kind, sp.err)
			}
		}
		var stored []string
		for _, sp := range all {
			if sp.kind != "totp" { // those are never stored, and six digits may be anything
				stored = append(stored, sp.code)
			}
		}
		scan(t, dir, stored)
		for _, c := range conns {
			c.close()
		}
		if cycle%2 == 0 { // half of the restarts after a check are kills as well
			s.kill()
		} else if exit := s.terminate(); exit != 0 {
			t.Fatalf("the server ended with %d: %s", exit, s.log)
		}
	}
	t.Logf("%d cycles; acknowledged uses, none good again: %v; of these killed within 1 ms: %v; start after a kill %v median", cycles, acked, within,
		median(starts))
	for _, kind := range kinds {
		if acked[kind] == 0 {
			t.Errorf("no use of a %s code was acknowledged", kind)
		}
	}
}

// refused are the answers to a code that is not good.
func refused(answer string) bool {
	return answer == "totp-invalid" || answer == "totp-max-attempts"
}

// app spends a code of an app or a backup code, in one of three ways of asking.
func app(a *account, kind, c string, door int) *spending {
	return &spending{kind: kind, who: a, code: c, use: through("totp", c, door)}
}

func byMail(a *account, c string, door int) *spending {
	return &spending{kind: "email", who: a, code: c, use: func(addr string, k *conn) error {
		return through("email", c, door)(addr, k)
	}}
}

// through answers a challenge with a trailing parameter or with the documented call.
func through(method, c string, door int) func(string, *conn) error {
	return func(_ string, k *conn) error {
		var err error
		if door%2 == 0 {
			_, err = k.call(guarded, proof(method, c))
		} else {
			_, err = k.call("callWithTwoFactorRequired", map[string]any{"code": c, "ddpMethod": guarded, "method": method, "params": []any{}})
		}
		return err
	}
}

// loginBackup logs in over REST with a password and a backup code.
func loginBackup(a *account, c string) *spending {
	return &spending{kind: "login", who: a, code: c, use: func(addr string, _ *conn) error {
		_, err := rest(addr, nil, "POST", "login", map[string]any{"user": a.name, "password": accountPassword, "code": c})
		return err
	}}
}
