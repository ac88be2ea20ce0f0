package twofactor_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// purpose sets what a call is for.
func purpose(name string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Purpose = name }
}

// S032: strangers who use up the mails that strangers may ask for, hour after
// hour, take nothing from the owner: ten challenges an hour still get their codes.
func TestS032StrangersDoNotUseUpTheOwnersMails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a, b := w.account("alice", withEmail), w.account("bob", withEmail)
		for hour := range 3 {
			before := w.Mails.Count()
			for i := range 30 {
				// Logged out, and inside the session of another account.
				r := twofactor.Request{Peer: &rpc.Peer{Conn: "x", Door: rpc.DDP, Address: fmt.Sprintf("203.0.113.%d", i)}}
				if i%2 == 1 {
					r = b.ask()
				}
				_, _ = w.svc.SendCode(ctx, r, "alice") // silence once five are alive
			}
			if n := w.Mails.Count() - before; n != 5 {
				t.Errorf("hour %d: strangers caused %d mails, want 5", hour, n)
			}
			time.Sleep(11 * time.Minute) // their codes are dead
			if _, err := w.svc.SendCode(ctx, b.ask(), "alice"); id(err) != "too-many-requests" {
				t.Errorf("hour %d: one more request: %v", hour, err)
			}
			for i := range 10 {
				if got := a.check(purpose(fmt.Sprint("call", i))); got != "totp-required" {
					t.Errorf("hour %d, challenge %d: %q", hour, i, got)
				}
				if got := a.check(purpose(fmt.Sprint("call", i)), code(w.Mails.Code(-1))); got != "" {
					t.Errorf("hour %d, answer %d: %q", hour, i, got)
				}
			}
			if n := w.Mails.Count() - before; n != 15 {
				t.Errorf("hour %d: %d mails in all", hour, n)
			}
			if got := a.check(purpose("eleventh")); got != "too-many-requests" {
				t.Errorf("hour %d: the eleventh: %q", hour, got)
			}
			time.Sleep(time.Hour)
		}
		// What the owner asks for in a session is the owner's.
		for range 5 {
			_, _ = w.svc.SendCode(ctx, twofactor.Request{Peer: home}, "alice")
		}
		time.Sleep(11 * time.Minute)
		if got, err := w.svc.SendCode(ctx, a.ask(), "alice"); err != nil || len(got) != 1 {
			t.Errorf("the owner in a session: %v, %v", got, err)
		}
	})
}

// U16: what a client does in the first hour of an account fits the defaults:
// logging in twice, enrolling, a protected call, a change, lost mails, a reset.
func TestTheFirstHourFitsTheDefaults(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		for i, what := range []string{"login", "2fa:enable", "2fa:enable", "pinMessage", "saveUserProfile", "login", "users.resetTOTP", "login"} {
			r := []func(*twofactor.Request){purpose(what), policy(twofactor.Fresh)}
			if what == "login" {
				r = []func(*twofactor.Request){purpose(what), policy(twofactor.Login), token("")}
			}
			if got := a.check(r...); got != "totp-required" {
				t.Fatalf("%d %s: %q", i, what, got)
			}
			if got := a.check(append(r, code(w.Mails.Code(-1)))...); got != "" {
				t.Fatalf("%d %s, answered: %q", i, what, got)
			}
		}
	})
}

// The refusal over a budget says when, to a program and to a person.
func TestTheRefusalSaysWhen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.Set(settings.TwoFactorMailsPerHour, 1)
		w.Set(settings.TwoFactorMailsAsked, 1)
		w.Set(settings.TwoFactorMailsPerAddress, 3)
		a := w.account("alice", withEmail)
		a.check(purpose("x"))
		time.Sleep(17*time.Minute + time.Second)
		said := func(err error, want string, ms int64) {
			t.Helper()
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != "too-many-requests" || !strings.Contains(f.Reason, want) || !regexp.MustCompile(`\bcode\b`).MatchString(f.Reason) {
				t.Fatalf("refused with %v, want %q in it", err, want)
			}
			if got := f.Details.(map[string]any)["timeToReset"]; got != ms {
				t.Errorf("timeToReset %v, want %d", got, ms)
			}
		}
		said(w.svc.Check(ctx, a.ask(purpose("x"))), "in 43 minutes.", (43*time.Minute - time.Second).Milliseconds())
		if _, err := w.svc.SendCode(ctx, twofactor.Request{Peer: home}, "alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59*time.Minute + 20*time.Second)
		_, err := w.svc.SendCode(ctx, twofactor.Request{Peer: &rpc.Peer{Address: "203.0.113.9"}}, "alice")
		said(err, "in 40 seconds.", 40_000)
	})
}

// A challenge whose mail found no room in the outbox costs nothing of the account's
// budget, says why, and leaves no code behind that nobody can read; a wrong answer
// meanwhile is a wrong answer.
func TestAFullOutboxCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check(purpose("before")) // another code is alive, good for something else
		w.Mails.Fail(fault.New("error-mail-queue-full", "Too many mails are waiting."))
		for range 15 {
			if got := a.check(purpose("x")); got != "error-mail-queue-full" {
				t.Fatalf("a challenge: %q", got)
			}
		}
		if got := a.check(purpose("x"), code("000000")); got != "totp-invalid" {
			t.Errorf("a wrong answer: %q", got)
		}
		w.Mails.Fail(nil)
		if got := a.check(purpose("x")); got != "totp-required" {
			t.Fatalf("once there is room: %q", got)
		}
		if g, err := w.Store.Guard(ctx, a.id); err != nil || len(g.Codes) != 2 || len(g.Mails) != 2 {
			t.Errorf("%+v, %v", g, err)
		}
		if got := a.check(purpose("x"), code(w.Mails.Code(-1))); got != "" {
			t.Errorf("its code: %q", got)
		}
	})
}

// A code that was mailed for one call is a wrong answer to every other, counted
// like any; the other call's challenge has a code of its own, and the details speak
// of that one. A code that somebody asked for by name is good for everything (A21).
func TestA21ACodeIsGoodForItsCall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check(purpose("pin"))
		pin := w.Mails.Code(-1)
		err := w.svc.Check(ctx, a.ask(purpose("save"), code(pin)))
		want := `{"method":"email","codeGenerated":true,"codeCount":1,"codeExpires":[DATE],"availableMethods":["email"],"emailOrUsername":"alice"}`
		if id(err) != "totp-invalid" || shape(details(t, err)) != want || w.Mails.Count() != 2 {
			t.Fatalf("another call's code: %v %s, %d mails", err, details(t, err), w.Mails.Count())
		}
		if g, err := w.Store.Guard(ctx, a.id); err != nil || len(g.Recent) != 1 || g.CodeTries != 1 {
			t.Errorf("not counted: %+v, %v", g, err)
		}
		save := w.Mails.Code(-1)
		err = w.svc.Check(ctx, a.ask(purpose("save")))
		if want = strings.Replace(want, "true", "false", 1); id(err) != "totp-required" || shape(details(t, err)) != want || w.Mails.Count() != 2 {
			t.Errorf("asked again: %v %s, %d mails", err, details(t, err), w.Mails.Count())
		}
		if got := a.check(purpose("pin"), code(save)); got != "totp-invalid" {
			t.Errorf("the other way round: %q", got)
		}
		if got := a.check(policy(twofactor.Login), token(""), purpose("login"), code(pin)); got != "totp-invalid" {
			t.Errorf("a session's code at login: %q", got)
		}
		if got := a.check(purpose("pin"), code(pin)); got != "" {
			t.Errorf("its own call: %q", got)
		}
		for i, name := range []string{"", "pin", "login"} {
			if _, err := w.svc.SendCode(ctx, twofactor.Request{Peer: home}, "alice"); err != nil {
				t.Fatal(err)
			}
			if got := a.check(purpose(name), code(w.Mails.Code(-1))); got != "" {
				t.Errorf("a code asked for by name, %d for %q: %q", i, name, got)
			}
		}
	})
}
