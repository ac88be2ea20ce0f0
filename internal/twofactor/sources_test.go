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
