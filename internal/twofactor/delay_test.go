package twofactor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// losable is a factor whose reset can wait.
type losable struct {
	factor                       string
	done, pending, stopped, void twofactor.Change
	// asked asks for a reset; right is an answer of the account's owner to a check, and
	// enrol makes an account have the factor.
	asked func(w *world, admin, a *account) (time.Time, error)
	alone func(a *account) (*user.User, error) // a login with it and nothing else
	right func(a *account, change ...func(*twofactor.Request)) func(*twofactor.Request)
	enrol func(a *account) *account
}

func losables() []losable {
	d := device()
	return []losable{
		{
			factor: twofactor.TOTP, done: twofactor.TOTPReset, pending: twofactor.TOTPResetPending, stopped: twofactor.TOTPResetStopped, void: twofactor.TOTPResetVoid,
			asked: func(w *world, admin, a *account) (time.Time, error) { return w.svc.Reset(ctx, admin.ask(), a.id) },
			right: func(a *account, _ ...func(*twofactor.Request)) func(*twofactor.Request) { return code(a.now(0)) },
			enrol: (*account).enrol,
		},
		{
			factor: twofactor.WebAuthn,
			done:   twofactor.PasskeysReset, pending: twofactor.PasskeysResetPending, stopped: twofactor.PasskeysResetStopped, void: twofactor.PasskeysResetVoid,
			asked: func(w *world, admin, a *account) (time.Time, error) {
				return w.svc.ResetPasskeys(ctx, admin.ask(), a.id)
			},
			right: func(a *account, change ...func(*twofactor.Request)) func(*twofactor.Request) {
				text := answered(a.w.T, d, a.challenged(change...))
				return func(r *twofactor.Request) { r.Proof = rpc.TextProof(twofactor.WebAuthn, text) }
			},
			enrol: func(a *account) *account {
				a.enrolPasskey(d)
				return a
			},
			alone: func(a *account) (*user.User, error) {
				options, err := a.w.svc.LoginOptions()
				if err != nil {
					return nil, err
				}
				text := answered(a.w.T, d, written(a.w.T, options))
				return a.w.svc.Enter(ctx, twofactor.Request{Peer: home, Proof: rpc.TextProof(twofactor.WebAuthn, text)})
			},
		},
	}
}

// on tells whether the account has the factor, due when its reset takes effect.
func (l losable) on(a *account) bool       { return a.user().Reset(l.factor) != nil }
func (l losable) due(a *account) time.Time { return a.user().ResetDue(l.factor) }

// delayed is a world in which an administrator's reset takes a day, once for each factor
// whose reset can wait.
func delayed(t *testing.T, f func(t *testing.T, w *world, admin, a *account, l losable)) {
	t.Helper()
	all := losables()
	if !slices.EqualFunc(all, user.Resets, func(l losable, factor string) bool { return l.factor == factor }) {
		t.Fatalf("of %v some are not tried", user.Resets)
	}
	for _, l := range all {
		t.Run(l.factor, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				never(t, w)
				admin, a := w.account("root", withRole("admin")), l.enrol(w.account("alice"))
				w.Set(settings.TwoFactorResetDelay, 24.0)
				f(t, w, admin, a, l)
			})
		})
	}
}

// reset asks for a reset and says when it is due.
func (l losable) reset(t *testing.T, admin, a *account) time.Time {
	t.Helper()
	due, err := l.asked(a.w, admin, a)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

func lastNotice(w *world) twofactor.Notice {
	all := w.Mails.Notices()
	return all[len(all)-1]
}

// A4: an administrator's reset of somebody's app is told at once and takes effect
// after the delay; asking again, or lowering the setting, does not hurry it, and
// until then the app counts as on. One's own is done at once.
func TestA4ResetWaits(t *testing.T) {
	delayed(t, func(t *testing.T, w *world, admin, a *account, l losable) {
		w.Mails.Fail(errors.New("outbox full"))
		if _, err := l.asked(w, admin, a); id(err) != "error-email-send-failed" || !l.due(a).IsZero() {
			t.Errorf("without a mail: %v", err)
		}
		w.Mails.Fail(nil)
		w.Set(settings.TwoFactorResetDelay, 168.0)
		l.reset(t, admin, l.enrol(w.account("bob")))
		if n := lastNotice(w); n.Expire.Before(n.Due) {
			t.Errorf("the notice is given up at %v, before the reset at %v", n.Expire, n.Due)
		}
		w.Set(settings.TwoFactorResetDelay, 24.0)
		due := l.reset(t, admin, a)
		if want := time.Now().Add(24 * time.Hour); !due.Equal(want.Truncate(time.Millisecond)) {
			t.Errorf("due at %v, want %v", due, want)
		}
		if n := lastNotice(w); n.Change != l.pending || !slices.Equal(n.To, []string{"alice@example.org"}) ||
			!strings.Contains(n.Text(), "root") || !strings.Contains(n.Text(), due.Format("2006-01-02 15:04 UTC")) || n.Subject() == "" {
			t.Errorf("the notice: %+v %s", n, n.Text())
		}
		if w.Trail.Count("factor_reset_pending", "ok") != 2 || w.Trail.Count("factor_reset", "ok") != 0 {
			t.Error("the audit stream does not tell a pending reset")
		}
		time.Sleep(time.Hour)
		mails := len(changes(w))
		for _, delay := range []float64{24, 1, 0} {
			w.Set(settings.TwoFactorResetDelay, delay)
			if again := l.reset(t, admin, a); !again.Equal(due) || !l.on(a) {
				t.Errorf("asked again with %v hours: due at %v", delay, again)
			}
		}
		if got := len(changes(w)); got != mails {
			t.Errorf("%d more notices for asking again", got-mails)
		}
		time.Sleep(23*time.Hour - time.Millisecond)
		if err := w.svc.Sweep(ctx); err != nil || !l.on(a) || len(a.user().Services.Resume.LoginTokens) == 0 {
			t.Fatalf("before its time: %v", err)
		}
		if got := a.check(); got != "totp-required" {
			t.Errorf("the app does not count while its reset waits: %q", got)
		}
		if l.factor != twofactor.TOTP {
			return
		}
		own := w.account("own").enrol()
		if due, err := w.svc.Reset(ctx, own.ask(), own.id); err != nil || !due.IsZero() || l.on(own) {
			t.Errorf("one's own: %v, %v", due, err)
		}
	})
}

// A4: once it is due, the reset takes effect at the first look at the account, by
// whichever way, with all that the immediate one does, and only once.
func TestA4ResetWhenDue(t *testing.T) {
	for what, use := range map[string]func(w *world, a *account) error{
		"the sweep": func(w *world, a *account) error { return w.svc.Sweep(ctx) },
		"a login": func(w *world, a *account) error {
			return w.svc.Check(ctx, a.ask(token(""), policy(twofactor.Login)))
		},
		"a check": func(w *world, a *account) error {
			return refusal(w.svc.Check(ctx, a.ask()), "error-not-authorized")
		},
		"an answer": func(w *world, a *account) error {
			return refusal(w.svc.Check(ctx, a.ask(code("123456"))), "error-not-authorized")
		},
		"a flow": func(w *world, a *account) error {
			_, err := w.svc.Remaining(ctx, a.ask())
			return refusal(err, "error-not-authorized")
		},
		"the owner's stop": func(w *world, a *account) error {
			return refusal(w.svc.CancelReset(ctx, a.ask()), "error-not-authorized")
		},
		"the sweep of an account that is deactivated": func(w *world, a *account) error {
			no := false
			_, err := w.Store.UpdateUser(ctx, a.id, user.Change{Active: &no})
			return errors.Join(err, w.svc.Sweep(ctx))
		},
		"Present": func(w *world, a *account) error {
			u, err := w.svc.Present(ctx, a.user())
			if err == nil && u.NextReset() != (time.Time{}) {
				return errors.New("still on")
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			delayed(t, func(t *testing.T, w *world, admin, a *account, l losable) {
				for range 10 {
					a.check(code(a.wrong()))
				}
				due := l.reset(t, admin, a)
				time.Sleep(time.Until(due))
				if err := use(w, a); err != nil {
					t.Fatal(err)
				}
				if err := w.svc.Sweep(ctx); err != nil {
					t.Fatal(err)
				}
				u := a.user()
				if u.Reset(l.factor) != nil || len(u.Services.Resume.LoginTokens) != 0 || len(dead(w)) < 4 {
					t.Errorf("left behind: %+v", u.Services)
				}
				if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 0 || len(g.InRow) != 0 {
					t.Errorf("counters: %+v", g)
				}
				if n := lastNotice(w); n.Change != l.done || w.Trail.Count("factor_reset", "ok") != 1 {
					t.Errorf("told as %v, %d times in the audit stream", n.Change, w.Trail.Count("factor_reset", "ok"))
				}
				for _, e := range w.Trail.All() {
					if e.Act == "factor_reset" && (e.User != admin.id || e.Target != a.id) {
						t.Errorf("audit %+v", e)
					}
				}
			})
		})
	}
}

// refusal is nil when err is that refusal.
func refusal(err error, want string) error {
	if got := id(err); got != want {
		return fmt.Errorf("answered %q, want %q", got, want)
	}
	return nil
}

// errNone says that a factor has no such answer.
var errNone = errors.New("there is none")

// A4: every accepted answer with the factor, or a backup code of the app, stops a pending reset,
// wherever it is given; a wrong one, a weaker factor and trust do not.
func TestA4ResetStoppedByTheOwner(t *testing.T) {
	for what, answer := range map[string]func(w *world, a *account, l losable) error{
		"a check": func(w *world, a *account, l losable) error { return w.svc.Check(ctx, a.ask(l.right(a))) },
		"a backup code": func(w *world, a *account, l losable) error {
			if l.factor != twofactor.TOTP {
				return errNone
			}
			return w.svc.Check(ctx, a.ask(code(a.backup[0])))
		},
		"a login": func(w *world, a *account, l losable) error {
			return w.svc.Check(ctx, a.ask(token(""), policy(twofactor.Login), l.right(a, token(""), policy(twofactor.Login))))
		},
		"a login without the password": func(w *world, a *account, l losable) error {
			if l.factor != twofactor.WebAuthn {
				return errNone
			}
			_, err := l.alone(a)
			return err
		},
		"new backup codes": func(w *world, a *account, l losable) error {
			if l.factor != twofactor.TOTP {
				return errNone
			}
			_, err := w.svc.Regenerate(ctx, a.ask(code(a.now(0))))
			return err
		},
		"the call": func(w *world, a *account, _ losable) error { return w.svc.CancelReset(ctx, a.ask()) },
	} {
		t.Run(what, func(t *testing.T) {
			delayed(t, func(t *testing.T, w *world, admin, a *account, l losable) {
				due := l.reset(t, admin, a)
				if got := a.check(code(a.wrong())); got != "totp-invalid" || l.due(a).IsZero() {
					t.Errorf("a wrong code: %q", got)
				}
				if got := a.check(code(a.password), method("password")); got == "" || l.due(a).IsZero() {
					t.Errorf("the password: %q", got)
				}
				switch err := answer(w, a, l); {
				case errors.Is(err, errNone):
					return
				case err != nil:
					t.Fatal(err)
				}
				if !l.due(a).IsZero() || w.Trail.Count("factor_reset_stopped", "ok") != 1 ||
					!slices.Contains(changes(w), l.stopped) {
					t.Errorf("not stopped, or not told: %v", changes(w))
				}
				if err := w.svc.CancelReset(ctx, a.ask()); err != nil || w.Trail.Count("factor_reset_stopped", "ok") != 1 {
					t.Errorf("stopping nothing: %v", err)
				}
				time.Sleep(time.Until(due) + time.Hour)
				if err := w.svc.Sweep(ctx); err != nil || !l.on(a) {
					t.Errorf("a stopped reset took effect: %v", err)
				}
				if next := l.reset(t, admin, a); !next.After(due) {
					t.Errorf("a new request is due at %v", next)
				}
			})
		})
	}
}

// withRole gives the account that role.
func withRole(role string) func(*user.User) {
	return func(u *user.User) { u.Roles = []string{role} }
}

// A4: what an account asked for that may not ask any more, because it was found to
// be an attacker's, does not come true, and delays nobody else's request.
func TestA4ResetFallsWithItsAdministrator(t *testing.T) {
	no := false
	for what, fall := range map[string]func(w *world, admin *account) error{
		"demoted": func(w *world, admin *account) error {
			_, err := w.Store.UpdateUser(ctx, admin.id, user.Change{Roles: &[]string{"user"}})
			return err
		},
		"deactivated": func(w *world, admin *account) error {
			_, err := w.Store.UpdateUser(ctx, admin.id, user.Change{Active: &no})
			return err
		},
		"deleted": func(w *world, admin *account) error { return w.Store.DeleteUser(ctx, admin.id, true) },
	} {
		t.Run(what, func(t *testing.T) {
			delayed(t, func(t *testing.T, w *world, admin, a *account, l losable) {
				second, b := w.account("toor", withRole("admin")), l.enrol(w.account("bob"))
				due := l.reset(t, admin, a)
				l.reset(t, admin, b)
				time.Sleep(time.Hour)
				if err := fall(w, admin); err != nil {
					t.Fatal(err)
				}
				if got := l.reset(t, second, b); !got.Equal(due.Add(time.Hour)) {
					t.Errorf("asked for anew: due at %v", got)
				}
				time.Sleep(time.Until(due))
				if err := w.svc.Sweep(ctx); err != nil {
					t.Fatal(err)
				}
				if u := a.user(); u.Reset(l.factor) == nil || !u.ResetDue(l.factor).IsZero() || len(u.Services.Resume.LoginTokens) == 0 {
					t.Errorf("took effect: %+v", u.Services.TOTP)
				}
				if n := lastNotice(w); n.Change != l.void || n.Subject() == "" || w.Trail.Count("factor_reset_void", "ok") != 2 {
					t.Errorf("told as %v, %d times in the audit stream", n.Change, w.Trail.Count("factor_reset_void", "ok"))
				}
				time.Sleep(time.Hour)
				if err := w.svc.Sweep(ctx); err != nil || l.on(b) {
					t.Errorf("the second administrator's: %v", err)
				}
			})
		})
	}
}

// A4: with a store that fails, a reset that is due opens nothing and what is void
// does not come true; a reset that an answer stopped is told of as stopped also when
// the rest of that answer fails.
func TestA4ResetWithAFailingStore(t *testing.T) {
	delayed(t, func(t *testing.T, w *world, admin, a *account, l losable) {
		l.reset(t, admin, a)
		if _, err := w.service(failing{w.Store, "Succeeded"}).Verify(ctx, a.ask(l.right(a))); err == nil || !l.due(a).IsZero() ||
			w.Trail.Count("factor_reset_stopped", "ok") != 1 {
			t.Errorf("an answer whose booking failed: %v, told %d times", err, w.Trail.Count("factor_reset_stopped", "ok"))
		}
		due := l.reset(t, admin, a)
		time.Sleep(time.Until(due))
		refuses := func(op string) {
			t.Helper()
			broken := w.service(failing{w.Store, op})
			for _, p := range []twofactor.Policy{twofactor.Login, twofactor.None, twofactor.Fresh} {
				if out, err := broken.Verify(ctx, a.ask(policy(p))); err == nil {
					t.Errorf("%s lost, %v: let in with %+v", op, p, out)
				}
			}
			if err := broken.Sweep(ctx); err == nil || !l.on(a) || len(a.user().Services.Resume.LoginTokens) == 0 {
				t.Errorf("%s lost: the sweep says %v", op, err)
			}
		}
		refuses("ApplyReset")
		refuses("UserByID")
		w.account("second", func(u *user.User) { u.Roles = []string{"admin"} }) // the last administrator would stay
		if err := w.Store.DeleteUser(ctx, admin.id, true); err != nil {
			t.Fatal(err)
		}
		refuses("CancelReset")
		if err := w.svc.Sweep(ctx); err != nil || !l.on(a) || !l.due(a).IsZero() {
			t.Errorf("afterwards: %v", err)
		}
	})
}
