package twofactor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// The rows of docs/security-tests.md S025 to S040: guessing, locking, throttling.

// S025: a live set of codes survives four wrong answers and dies of the fifth.
func TestS025FiveWrongAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check()
		right, wrong := w.Mails.Code(0), a.wrong()
		for i := range 4 {
			err := w.svc.Check(ctx, a.ask(code(wrong)))
			want := `{"method":"email","codeGenerated":false,"codeCount":1,"codeExpires":[DATE],"availableMethods":["email"],"emailOrUsername":"alice"}`
			if id(err) != "totp-invalid" || shape(details(t, err)) != want {
				t.Fatalf("wrong answer %d: %v %s", i+1, err, details(t, err))
			}
		}
		err := w.svc.Check(ctx, a.ask(code(wrong)))
		want := `{"method":"email","codeGenerated":false,"codeCount":0,"codeExpires":[],"availableMethods":["email"],"emailOrUsername":"alice"}`
		if id(err) != "totp-max-attempts" || details(t, err) != want {
			t.Fatalf("fifth wrong answer: %v %s", err, details(t, err))
		}
		if f := err.Error(); f != "TOTP Maximun Failed Attempts Reached [totp-max-attempts]" {
			t.Errorf("text %q", f)
		}
		if got := a.check(code(right)); got != "totp-invalid" {
			t.Errorf("the dead code: %q", got)
		}
		if n := w.Mails.Count(); n != 2 {
			t.Errorf("%d mails, want a second one", n)
		}
		if got := a.check(code(w.Mails.Code(-1))); got != "" {
			t.Errorf("the new code: %s", got)
		}
	})
}

// S026: at most ten answers are compared, however many come at once. Run as well
// with two services, which share nothing but the store.
func TestS026ParallelGuesses(t *testing.T) { onBoth(t, parallelGuesses) }

func parallelGuesses(t *testing.T, w *world) {
	w.Set(settings.TwoFactorRememberFor, 0)
	nodes := []*twofactor.Service{w.svc, w.service(w.Store)}
	a := w.account("alice", func(u *user.User) {
		u.Services.TOTP = &user.TOTP{Enabled: true, Secret: strings.Repeat("A", 32)}
	})
	a.secret = strings.Repeat("A", 32)
	wrong := a.wrong()
	got := parallel(40, func(i int) string { return id(nodes[i%2].Check(ctx, a.ask(code(wrong)))) })
	if got["totp-invalid"] != 10 || got["totp-max-attempts"] != 30 {
		t.Errorf("outcomes %v, want 10 compared and 30 refused", got)
	}
	g, err := w.Store.Guard(ctx, a.id)
	if err != nil || len(g.Recent) != 10 || g.InRow[twofactor.Row("totp", "session")] != 10 || g.Received != 40 {
		t.Errorf("guard %+v %v", g, err)
	}
}

// S027: new codes, new sets, prompts and other factors do not refill the budget.
func TestS027NothingRefills(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		compared := 0
		for i := range 40 {
			if i%3 == 0 {
				_, _ = w.svc.SendCode(ctx, a.ask(), "alice")
			}
			a.check()
			if a.check(code(a.wrong())) == "totp-invalid" {
				compared++
			}
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 10 {
			t.Errorf("%d answers counted, want 10", len(g.Recent))
		}
		if compared > 10 {
			t.Errorf("%d answers compared", compared)
		}
		mails := w.Mails.Count()
		if got := a.check(); got != "totp-max-attempts" {
			t.Errorf("a prompt over the budget: %q", got)
		}
		if _, err := w.svc.SendCode(ctx, a.ask(), "alice"); id(err) != "totp-max-attempts" {
			t.Errorf("a code request over the budget: %v", err)
		}
		if w.Mails.Count() != mails {
			t.Error("something was mailed over the budget")
		}
		time.Sleep(time.Hour)
		if got := a.check(); got != "totp-required" {
			t.Errorf("an hour later: %q", got)
		}
		if got := a.check(code(w.Mails.Code(-1))); got != "" {
			t.Errorf("an hour later with the right code: %q", got)
		}
	})
}

// S028: factors and doors share one budget, that of the account's sessions here;
// strangers at the login have another one (A21).
func TestS028OneBudget(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail).enrol()
		time.Sleep(time.Hour)
		answers := 0
		try := func(f func() string) {
			for range 3 {
				got := f()
				if answers++; answers <= 10 && got == "totp-max-attempts" || answers > 10 && got == "totp-invalid" {
					t.Errorf("answer %d: %q", answers, got)
				}
			}
		}
		rest := &rpc.Peer{Conn: "r", Door: rpc.REST, Address: "198.51.100.7"}
		try(func() string { return a.check(code(a.wrong())) })
		try(func() string { return a.check(code(a.wrong()), method("email"), from(rest)) })
		try(func() string { return a.check(code(digest), from(rest)) })
		try(func() string { return a.check(code(a.wrong()), policy(twofactor.Fresh)) })
		if ok, _ := w.svc.Disable(ctx, a.ask(code(a.backup[0]))); ok {
			t.Error("the budget did not hold on 2fa:disable")
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 10 {
			t.Errorf("%d answers counted", len(g.Recent))
		}
	})
}

// S030: the budget is the account's, wherever the guesses come from, unless the
// account was used from there.
func TestS030RotatingSource(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		refused := 0
		for i := range 30 {
			p := &rpc.Peer{Conn: fmt.Sprint("c", i), Door: rpc.DDP, Address: fmt.Sprintf("127.0.0.%d", i+1), UserAgent: fmt.Sprint(i)}
			if a.check(code(a.wrong()), from(p)) == "totp-max-attempts" {
				refused++
			}
		}
		if refused != 20 {
			t.Errorf("%d of 30 guesses were not compared, want 20", refused)
		}
	})
}

// S031: an answer is counted before it is compared, and stays counted when the
// comparison cannot be finished.
func TestS031CountedFirst(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		broken := w.service(failing{w.Store, "UseTOTPStep"})
		if err := broken.Check(ctx, a.ask(code(a.now(0)))); err == nil {
			t.Error("a store that does not answer let a call pass")
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 1 {
			t.Errorf("%d answers counted, want 1", len(g.Recent))
		}
	})
}

// Whatever the store fails at, the answer is a refusal.
func TestNeverFailsOpen(t *testing.T) {
	for _, op := range []string{"Guard", "CountAttempt", "UseTOTPStep", "UseBackupCode", "UseMailCode", "Succeeded", "AddMailCode", "UserByID", "UpdateUser"} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				never(t, w)
				app, mail := w.account("app").enrol(), w.account("mail", withEmail)
				mail.check()
				broken := w.service(failing{w.Store, op})
				for name, r := range map[string]twofactor.Request{
					"step": app.ask(code(app.now(0))), "backup": app.ask(code(app.backup[0])),
					"mail": mail.ask(code(w.Mails.Code(-1))), "prompt": mail.ask(),
				} {
					err := broken.Check(ctx, r)
					touched := map[string]string{"UseTOTPStep": "step", "UseBackupCode": "backup", "UseMailCode": "mail"}[op]
					switch {
					case op == "UserByID" || op == "UpdateUser" || op == "AddMailCode" || op == "Guard" && name != "prompt":
						continue // not on this path
					case touched != "" && touched != name, name == "prompt" && op != "Guard":
						continue
					case err == nil || strings.HasPrefix(id(err), "totp-invalid"):
						t.Errorf("%s with a failing %s: %v", name, op, err)
					}
				}
				switch op {
				case "UserByID", "UpdateUser":
					if err := setEmail(ctx, broken, app.ask(code(app.now(1))), true); err == nil {
						t.Errorf("the mail factor was switched on with a failing %s", op)
					}
				}
			})
		})
	}
}

// failing is a store that loses one operation, the way a cut connection does.
type failing struct {
	twofactor.Store
	op string
}

var errCut = errors.New("connection cut")

// S032, S033: prompts and right passwords never count.
func TestS033PromptsAreNoFailures(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		for range 50 {
			if got := a.check(policy(twofactor.Login), token("")); got != "totp-required" {
				t.Fatal(got)
			}
		}
		if got := a.check(policy(twofactor.Login), token(""), code(a.now(0))); got != "" {
			t.Errorf("login after 50 prompts: %s", got)
		}
	})
}

// S034: a right first factor does not refill the second's budget.
func TestS034PromptsDoNotReset(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		stopped := 0
		for range 20 {
			a.check(policy(twofactor.Login), token(""))
			if a.check(policy(twofactor.Login), token(""), code(a.wrong())) == "totp-max-attempts" {
				stopped++
			}
		}
		if stopped != 10 {
			t.Errorf("%d of 20 guesses stopped, want 10", stopped)
		}
	})
}

// The stop after 100 in a row lasts until another factor succeeds or an
// administrator resets the account.
func TestStopInARow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.Set(settings.TwoFactorWrongInRow, 20)
		a := w.account("alice", withEmail).enrol()
		for range 2 {
			for range 10 {
				if got := a.check(code(a.wrong())); got != "totp-invalid" {
					t.Fatal(got)
				}
			}
			time.Sleep(2 * time.Hour)
		}
		if got := a.check(code(a.now(0))); got != "totp-max-attempts" {
			t.Fatalf("after 20 in a row: %q", got)
		}
		if got := a.check(method("email")); got != "totp-required" {
			t.Fatalf("the other factor: %q", got)
		}
		if got := a.check(method("email"), code(w.Mails.Code(-1))); got != "" {
			t.Fatalf("the other factor: %q", got)
		}
		if got := a.check(code(a.now(0))); got != "" {
			t.Errorf("after a success with the other factor: %q", got)
		}
	})
}

// S035: five mails an hour to one account at the request of strangers, twenty for
// one network address.
func TestS035MailBudgets(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		start := time.Now()
		var last error
		for i := range 100 {
			p := &rpc.Peer{Conn: "x", Door: rpc.DDP, Address: fmt.Sprintf("203.0.113.%d", i%50)}
			_, last = w.svc.SendCode(ctx, twofactor.Request{Peer: p}, []string{"alice", " ALICE ", "Alice@Example.org"}[i%3])
			time.Sleep(20 * time.Second)
		}
		if n := w.Mails.Count(); n != 5 {
			t.Errorf("%d mails in %v, want 5", n, time.Since(start))
		}
		if id(last) != "too-many-requests" || !strings.Contains(details(t, last), "timeToReset") {
			t.Errorf("over the account's budget: %v", last)
		}
		// The owner's own budget is untouched.
		if got := a.check(); got != "totp-required" || w.Mails.Count() != 6 {
			t.Errorf("a challenge of the owner: %q, %d mails", got, w.Mails.Count())
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		for i := range 25 {
			name := fmt.Sprintf("u%d", i)
			w.account(name, withEmail)
			_, err := w.svc.SendCode(ctx, twofactor.Request{Peer: home}, name)
			if want := map[bool]string{true: "", false: "too-many-requests"}[i < 20]; id(err) != want {
				t.Errorf("mail %d from one address: %v", i+1, err)
			}
		}
	})
}

// S036: a stranger's request adds a code; the owner's stays good, and so does
// the count of wrong answers.
func TestS036StrangerVoidsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check()
		mine := w.Mails.Code(0)
		for range 3 {
			a.check(code(a.wrong()))
		}
		for range 10 {
			_, _ = w.svc.SendCode(ctx, twofactor.Request{Peer: &rpc.Peer{Address: "203.0.113.9"}}, "alice")
		}
		if g, _ := w.Store.Guard(ctx, a.id); g.CodeTries != 3 || len(g.Codes) != 5 {
			t.Errorf("tries %d, codes %d", g.CodeTries, len(g.Codes))
		}
		if got := a.check(code(mine)); got != "" {
			t.Errorf("the owner's code: %q", got)
		}
	})
}

// S059, S080: with private answers everybody but the owner gets one answer.
func TestS059PrivateAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorPrivateAnswers, true)
		a, b := w.account("alice", withEmail), w.account("bob", withEmail)
		for _, who := range []string{"alice", "alice@example.org", "nobody", "no@example.org", strings.Repeat("x", 100_000), "a\x00b"} {
			for _, r := range []twofactor.Request{{Peer: home}, b.ask()} {
				got, err := w.svc.SendCode(ctx, r, who)
				if err != nil || got == nil || len(got) != 0 {
					t.Errorf("%.20q: %v %v", who, got, err)
				}
			}
		}
		synctest.Wait()
		if n := w.Mails.Count(); n != 4 {
			t.Errorf("%d mails, want one for each request that named alice", n)
		}
		got, err := w.svc.SendCode(ctx, a.ask(), "ALICE")
		if err != nil || fmt.Sprint(got) != "[alice@example.org]" {
			t.Errorf("alice herself: %v %v", got, err)
		}
	})
}

// panicking is a store that panics where a request goes on behind the asker's back.
type panicking struct{ twofactor.Store }

func (panicking) UserByUsername(context.Context, string) (*user.User, error) { panic("canary") }

// What happens behind the asker's back cannot bring the server down.
func TestPrivateAnswersContainPanics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorPrivateAnswers, true)
		svc := w.service(panicking{w.Store})
		if got, err := svc.SendCode(ctx, twofactor.Request{Peer: home}, "alice"); err != nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
		svc.Close()
		if w.Trail.Count("code_sent", "error") != 1 {
			t.Error("the panic is not in the audit stream")
		}
	})
}

// With private answers a network address pays for every request.
func TestPrivateAnswersAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorPrivateAnswers, true)
		for i := range 25 {
			_, err := w.svc.SendCode(ctx, twofactor.Request{Peer: home}, "nobody")
			if want := map[bool]string{true: "", false: "too-many-requests"}[i < 20]; id(err) != want {
				t.Errorf("request %d: %v", i+1, err)
			}
			w.svc.Close()
		}
		if n := w.Trail.Count("code_sent", "limited"); n != 5 {
			t.Errorf("%d events of the limit", n)
		}
	})
}

// sendEmailCode as documented: the addresses, and the two errors.
func TestSendEmailCode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.account("alice", withEmail, func(u *user.User) {
			u.Emails = append(u.Emails, user.Email{Address: "second@example.org", Verified: true}, user.Email{Address: "third@example.org"})
		})
		w.account("off")
		w.account("unproved", withEmail, unverified)
		gone := false
		w.account("gone", withEmail, func(u *user.User) { u.Active = &gone })
		for _, c := range []struct{ who, want, err string }{
			{"alice", "[alice@example.org second@example.org]", ""},
			{"Third@example.org", "[alice@example.org second@example.org]", ""},
			{"off", "[]", ""}, {"unproved", "[]", ""},
			{"", "", "error-parameter-required"}, {" \t ", "", "error-parameter-required"},
			{"nobody", "", "error-invalid-user"}, {"gone", "", "error-invalid-user"}, {"a@b", "", "error-invalid-user"},
			{strings.Repeat("a", 5000), "", "error-invalid-user"}, {"al\x00ice", "", "error-invalid-user"},
		} {
			got, err := w.svc.SendCode(ctx, twofactor.Request{Peer: home}, c.who)
			if id(err) != c.err || err == nil && fmt.Sprint(got) != c.want {
				t.Errorf("%.20q: %v %v", c.who, got, err)
			}
		}
		if n := w.Mails.Count(); n != 2 {
			t.Errorf("%d mails, want 2", n)
		}
		w.Set(settings.TwoFactorByEmail, false)
		if got, err := w.svc.SendCode(ctx, twofactor.Request{}, "alice"); err != nil || len(got) != 0 || w.Mails.Count() != 2 {
			t.Errorf("with the factor off: %v %v", got, err)
		}
	})
}

// A code that could not be mailed does not block the next challenge.
func TestMailRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		w.Mails.Fail(errors.New("outbox full"))
		if got := a.check(); !strings.HasPrefix(got, "internal") {
			t.Errorf("the challenge: %q", got)
		}
		w.Mails.Fail(nil)
		err := w.svc.Check(ctx, a.ask())
		if id(err) != "totp-required" || !strings.Contains(details(t, err), `"codeGenerated":true,"codeCount":1`) {
			t.Errorf("the next challenge: %v", err)
		}
	})
}
