package twofactor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// delayed is a world in which an administrator's reset takes a day.
func delayed(t *testing.T, f func(t *testing.T, w *world, admin, a *account)) {
	t.Helper()
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		admin, a := w.account("root", withRole("admin")), w.account("alice").enrol()
		w.Set(settings.TwoFactorResetDelay, 24.0)
		f(t, w, admin, a)
	})
}

// reset asks for a reset and says when it is due.
func (a *account) reset(t *testing.T, admin *account) time.Time {
	t.Helper()
	due, err := a.w.svc.Reset(ctx, admin.ask(), a.id)
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
	delayed(t, func(t *testing.T, w *world, admin, a *account) {
		w.Mails.Fail(errors.New("outbox full"))
		if _, err := w.svc.Reset(ctx, admin.ask(), a.id); id(err) != "error-email-send-failed" || !a.user().TOTPResetDue().IsZero() {
			t.Errorf("without a mail: %v", err)
		}
		w.Mails.Fail(nil)
		w.Set(settings.TwoFactorResetDelay, 168.0)
		w.account("bob").enrol().reset(t, admin)
		if n := lastNotice(w); n.Expire.Before(n.Due) {
			t.Errorf("the notice is given up at %v, before the reset at %v", n.Expire, n.Due)
		}
		w.Set(settings.TwoFactorResetDelay, 24.0)
		due := a.reset(t, admin)
		if want := time.Now().Add(24 * time.Hour); !due.Equal(want.Truncate(time.Millisecond)) {
			t.Errorf("due at %v, want %v", due, want)
		}
		if n := lastNotice(w); n.Change != twofactor.TOTPResetPending || !slices.Equal(n.To, []string{"alice@example.org"}) ||
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
			if again := a.reset(t, admin); !again.Equal(due) || !a.user().TOTPEnabled() {
				t.Errorf("asked again with %v hours: due at %v", delay, again)
			}
		}
		if got := len(changes(w)); got != mails {
			t.Errorf("%d more notices for asking again", got-mails)
		}
		time.Sleep(23*time.Hour - time.Millisecond)
		if err := w.svc.Sweep(ctx); err != nil || !a.user().TOTPEnabled() || len(a.user().Services.Resume.LoginTokens) == 0 {
			t.Fatalf("before its time: %v", err)
		}
		if got := a.check(); got != "totp-required" {
			t.Errorf("the app does not count while its reset waits: %q", got)
		}
		own := w.account("own").enrol()
		if due, err := w.svc.Reset(ctx, own.ask(), own.id); err != nil || !due.IsZero() || own.user().TOTPEnabled() {
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
		"the right code": func(w *world, a *account) error {
			return refusal(w.svc.Check(ctx, a.ask(code(a.now(0)))), "error-not-authorized")
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
			if err == nil && u.TOTPEnabled() {
				return errors.New("still on")
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			delayed(t, func(t *testing.T, w *world, admin, a *account) {
				for range 10 {
					a.check(code(a.wrong()))
				}
				due := a.reset(t, admin)
				time.Sleep(time.Until(due))
				if err := use(w, a); err != nil {
					t.Fatal(err)
				}
				if err := w.svc.Sweep(ctx); err != nil {
					t.Fatal(err)
				}
				u := a.user()
				if u.Services.TOTP != nil || len(u.Services.Resume.LoginTokens) != 0 || len(dead(w)) < 4 {
					t.Errorf("left behind: %+v", u.Services)
				}
				if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 0 || len(g.InRow) != 0 {
					t.Errorf("counters: %+v", g)
				}
				if n := lastNotice(w); n.Change != twofactor.TOTPReset || w.Trail.Count("factor_reset", "ok") != 1 {
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

// A4: every accepted answer with the app or a backup code stops a pending reset,
// wherever it is given; a wrong one, a weaker factor and trust do not.
func TestA4ResetStoppedByTheOwner(t *testing.T) {
	for what, answer := range map[string]func(w *world, a *account) error{
		"a check":       func(w *world, a *account) error { return w.svc.Check(ctx, a.ask(code(a.now(0)))) },
		"a backup code": func(w *world, a *account) error { return w.svc.Check(ctx, a.ask(code(a.backup[0]))) },
		"a login": func(w *world, a *account) error {
			return w.svc.Check(ctx, a.ask(token(""), policy(twofactor.Login), code(a.now(0))))
		},
		"new backup codes": func(w *world, a *account) error {
			_, err := w.svc.Regenerate(ctx, a.ask(code(a.now(0))))
			return err
		},
		"the call": func(w *world, a *account) error { return w.svc.CancelReset(ctx, a.ask()) },
	} {
		t.Run(what, func(t *testing.T) {
			delayed(t, func(t *testing.T, w *world, admin, a *account) {
				due := a.reset(t, admin)
				if got := a.check(code(a.wrong())); got != "totp-invalid" || a.user().TOTPResetDue().IsZero() {
					t.Errorf("a wrong code: %q", got)
				}
				if got := a.check(code(a.password), method("password")); got == "" || a.user().TOTPResetDue().IsZero() {
					t.Errorf("the password: %q", got)
				}
				if err := answer(w, a); err != nil {
					t.Fatal(err)
				}
				if !a.user().TOTPResetDue().IsZero() || w.Trail.Count("factor_reset_stopped", "ok") != 1 ||
					!slices.Contains(changes(w), twofactor.TOTPResetStopped) {
					t.Errorf("not stopped, or not told: %v", changes(w))
				}
				if err := w.svc.CancelReset(ctx, a.ask()); err != nil || w.Trail.Count("factor_reset_stopped", "ok") != 1 {
					t.Errorf("stopping nothing: %v", err)
				}
				time.Sleep(time.Until(due) + time.Hour)
				if err := w.svc.Sweep(ctx); err != nil || !a.user().TOTPEnabled() {
					t.Errorf("a stopped reset took effect: %v", err)
				}
				if next := a.reset(t, admin); !next.After(due) {
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
			delayed(t, func(t *testing.T, w *world, admin, a *account) {
				second, b := w.account("toor", withRole("admin")), w.account("bob").enrol()
				due := a.reset(t, admin)
				b.reset(t, admin)
				time.Sleep(time.Hour)
				if err := fall(w, admin); err != nil {
					t.Fatal(err)
				}
				if got := b.reset(t, second); !got.Equal(due.Add(time.Hour)) {
					t.Errorf("asked for anew: due at %v", got)
				}
				time.Sleep(time.Until(due))
				if err := w.svc.Sweep(ctx); err != nil {
					t.Fatal(err)
				}
				if u := a.user(); !u.TOTPEnabled() || !u.TOTPResetDue().IsZero() || len(u.Services.Resume.LoginTokens) == 0 {
					t.Errorf("took effect: %+v", u.Services.TOTP)
				}
				if n := lastNotice(w); n.Change != twofactor.TOTPResetVoid || n.Subject() == "" || w.Trail.Count("factor_reset_void", "ok") != 2 {
					t.Errorf("told as %v, %d times in the audit stream", n.Change, w.Trail.Count("factor_reset_void", "ok"))
				}
				time.Sleep(time.Hour)
				if err := w.svc.Sweep(ctx); err != nil || b.user().TOTPEnabled() {
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
	delayed(t, func(t *testing.T, w *world, admin, a *account) {
		a.reset(t, admin)
		if _, err := w.service(failing{w.Store, "Succeeded"}).Verify(ctx, a.ask(code(a.now(0)))); err == nil || !a.user().TOTPResetDue().IsZero() ||
			w.Trail.Count("factor_reset_stopped", "ok") != 1 {
			t.Errorf("an answer whose booking failed: %v, told %d times", err, w.Trail.Count("factor_reset_stopped", "ok"))
		}
		due := a.reset(t, admin)
		time.Sleep(time.Until(due))
		refuses := func(op string) {
			t.Helper()
			broken := w.service(failing{w.Store, op})
			for _, p := range []twofactor.Policy{twofactor.Login, twofactor.None, twofactor.Fresh} {
				if out, err := broken.Verify(ctx, a.ask(policy(p))); err == nil {
					t.Errorf("%s lost, %v: let in with %+v", op, p, out)
				}
			}
			if err := broken.Sweep(ctx); err == nil || !a.user().TOTPEnabled() || len(a.user().Services.Resume.LoginTokens) == 0 {
				t.Errorf("%s lost: the sweep says %v", op, err)
			}
		}
		refuses("ApplyTOTPReset")
		refuses("UserByID")
		w.account("second", func(u *user.User) { u.Roles = []string{"admin"} }) // the last administrator would stay
		if err := w.Store.DeleteUser(ctx, admin.id, true); err != nil {
			t.Fatal(err)
		}
		refuses("CancelTOTPReset")
		if err := w.svc.Sweep(ctx); err != nil || !a.user().TOTPEnabled() || !a.user().TOTPResetDue().IsZero() {
			t.Errorf("afterwards: %v", err)
		}
	})
}
