package twofactor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// visit logs the account in from an address, with everything that was asked, and
// makes the service ask the real accounts where accounts were used.
func (w *world) visit(a *account, p *rpc.Peer) {
	w.T.Helper()
	passwords := w.NewPasswords()
	svc := w.NewAccounts(passwords)
	w.sources = passwords
	w.svc = w.service(w.Store)
	w.T.Cleanup(w.svc.Close)
	if _, err := svc.IssueToken(ctx, p, a.user(), "password"); err != nil {
		w.T.Fatal(err)
	}
}

// A21: who knows the password, and no more, uses up what strangers have; the
// owner gets in at an address that is known, and on in a session anywhere. So
// with every factor an account can have, and every budget there is: an hour's,
// and the row's.
func TestA21StrangersHoldStrangersOnly(t *testing.T) {
	kinds := map[string]struct {
		change []func(*user.User)
		app    bool
		method string
	}{
		"app":           {app: true, method: twofactor.TOTP},
		"mail":          {change: []func(*user.User){withEmail}, method: twofactor.Email},
		"app over mail": {change: []func(*user.User){withEmail}, app: true, method: twofactor.TOTP},
		"mail over app": {change: []func(*user.User){withEmail}, app: true, method: twofactor.Email},
	}
	for name, k := range kinds {
		for _, budget := range []string{settings.TwoFactorWrongPerHour, settings.TwoFactorWrongInRow} {
			t.Run(name+"/"+budget, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					w.Set(settings.TwoFactorRememberFor, 0)
					a := w.account("alice", k.change...)
					if k.app {
						a.enrol()
					}
					w.visit(a, home)
					time.Sleep(2 * time.Hour)
					w.Set(budget, 4)
					right := func() string {
						if k.method == twofactor.Email {
							return w.Mails.Code(-1)
						}
						time.Sleep(time.Minute)
						return a.now(0)
					}
					login := func(p *rpc.Peer, c string) string {
						return a.check(policy(twofactor.Login), token(""), from(p), method(k.method), code(c))
					}
					elsewhere := &rpc.Peer{Address: "203.0.113.99", UserAgent: "phone"}
					hold := func() string {
						for i := range 4 {
							p := &rpc.Peer{Address: fmt.Sprint("198.51.100.", i), UserAgent: "thief"}
							if got := login(p, a.wrong()); got != "totp-invalid" {
								t.Fatalf("guess %d: %q", i, got)
							}
						}
						return login(elsewhere, a.wrong())
					}
					if got := hold(); got != "totp-max-attempts" {
						t.Fatalf("strangers go on: %q", got)
					}
					a.check(policy(twofactor.Login), token(""), from(home), method(k.method))
					if got := login(home, right()); got != "" {
						t.Errorf("the owner at home: %q", got)
					}
					if budget == settings.TwoFactorWrongInRow { // a right answer ends rows
						if got := hold(); got != "totp-max-attempts" {
							t.Fatalf("strangers go on: %q", got)
						}
					}
					a.check(from(elsewhere), method(k.method))
					if got := a.check(from(elsewhere), method(k.method), code(right())); got != "" {
						t.Errorf("the owner's session elsewhere: %q", got)
					}
					// Known addresses and sessions are bounded as well.
					for what, try := range map[string]func() string{
						"home":    func() string { return login(home, a.wrong()) },
						"session": func() string { return a.check(from(elsewhere), method(k.method), code(a.wrong())) },
					} {
						for range 4 {
							try()
						}
						if got := try(); got != "totp-max-attempts" {
							t.Errorf("%s: the fifth wrong answer: %q", what, got)
						}
					}
				})
			})
		}
	}
}

// A21: where accounts were used is asked before anything is compared, and not to
// know is a refusal.
func TestA21SourcesNeverFailOpen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		w.sources = unknown{}
		svc := w.service(w.Store)
		if got := id(svc.Check(ctx, a.ask(code(a.now(0))))); got == "" {
			t.Error("passed")
		}
	})
}

type unknown struct{}

func (unknown) Source(context.Context, string, string) (string, error) {
	return "", fmt.Errorf("broken")
}

// A22: wrong answers of passkeys, which nobody guesses, shut out nothing else: whoever sends
// them, at the login, in a session and alone, uses up a budget of their own there. Codes
// work on from everywhere, and a passkey from every other network.
func TestA22WrongPasskeysShutNothingElse(t *testing.T) {
	for _, budget := range []string{settings.TwoFactorWrongPerHour, settings.TwoFactorWrongInRow} {
		bubble(t, func(t *testing.T, w *world) {
			w.Set(settings.TwoFactorRememberFor, 0)
			a, d := w.account("alice").enrol(), device()
			a.enrolPasskey(d)
			time.Sleep(2 * time.Hour)
			w.Set(budget, 4)
			thief, elsewhere := &rpc.Peer{Address: "198.51.100.1", UserAgent: "thief"}, &rpc.Peer{Address: "203.0.113.99", UserAgent: "phone"}
			alone := func(p *rpc.Peer, spoilt bool) string {
				options, err := w.svc.LoginOptions()
				if err != nil {
					t.Fatal(err)
				}
				x, err := d.Answer(written(t, options))
				if err != nil {
					t.Fatal(err)
				}
				if spoilt {
					x.Signature[9] ^= 1
				}
				_, err = w.svc.Enter(ctx, twofactor.Request{Peer: p, Action: "login", Purpose: "login", Proof: rpc.TextProof("", x.JSON())})
				return id(err)
			}
			login := func(r *twofactor.Request) { r.Policy, r.Token = twofactor.Login, "" }
			forged := map[string]func(int) string{
				"at the login": func(int) string { return a.check(login, from(thief), method(twofactor.WebAuthn), code(`{"id":"x"}`)) },
				"in a session": func(int) string { return a.check(from(thief), method(twofactor.WebAuthn), code(`{"id":"x"}`)) },
				"alone":        func(int) string { return alone(thief, true) },
			}
			for name, send := range forged {
				for i := range 30 {
					if got := send(i); got == "" {
						t.Fatalf("%s: passed", name)
					}
				}
			}
			key := func() string { return answered(t, d, a.challenged(login, from(elsewhere))) }
			for name, got := range map[string]string{
				"the app from elsewhere":            a.check(login, from(elsewhere), code(a.soon())),
				"the app from the thief's address":  a.check(login, from(thief), code(a.soon())),
				"the app in the thief's session":    a.check(from(thief), code(a.soon())),
				"the passkey from elsewhere":        a.check(login, from(elsewhere), code(key())),
				"the passkey alone, from elsewhere": alone(elsewhere, false),
			} {
				if got != "" {
					t.Errorf("%s, %s: %q", budget, name, got)
				}
			}
			if got := a.check(login, from(thief), method(twofactor.WebAuthn)); budget == settings.TwoFactorWrongPerHour && got != "totp-max-attempts" {
				t.Errorf("the thief goes on: %q", got)
			}
			for range 5 {
				a.check(login, from(elsewhere), method(twofactor.TOTP), code(a.wrong()))
			}
			if got := a.check(login, from(elsewhere), code(key())); got != "" {
				t.Errorf("%s: wrong codes shut out the passkey: %q", budget, got)
			}
		})
	}
}

// soon is a code of the app that was not used.
func (a *account) soon() string { time.Sleep(time.Minute); return a.now(0) }
