package twofactor_test

import (
	"testing"
	"time"

	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// One account's life with its factors, in real time, on both stores: every write
// that this package asks of a store happens at least once.
func TestJourney(t *testing.T) { onBoth(t, journey) }

func journey(t *testing.T, w *world) {
	a, admin := w.account("alice"), w.account("root")
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	refused := func(what, want string, err error) {
		t.Helper()
		if id(err) != want {
			t.Fatalf("%s: %v, want %s", what, err, want)
		}
	}
	_, err := w.svc.Enrol(ctx, a.ask())
	refused("enrolling without proof", "totp-required", err)
	e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
	step("enrol", err)
	a.secret = e.Secret
	_, err = w.svc.Confirm(ctx, a.ask(code(a.wrong())))
	refused("a wrong first code", "invalid-totp", err)
	a.backup, err = w.svc.Confirm(ctx, a.ask(code(a.now(0))))
	step("first code", err)
	expectSessions(t, w, a, "alice-1")
	if n, err := w.svc.Remaining(ctx, a.ask()); n != 12 || err != nil {
		t.Fatalf("%d codes left, %v", n, err)
	}

	refused("a protected call", "totp-required", w.svc.Check(ctx, a.ask()))
	step("the next code", w.svc.Check(ctx, a.ask(code(a.now(1)))))
	step("trusted", w.svc.Check(ctx, a.ask()))
	old := a.backup
	a.backup, err = w.svc.Regenerate(ctx, a.ask(code(old[0])))
	step("regenerate", err)
	refused("trust after that", "totp-required", w.svc.Check(ctx, a.ask()))
	refused("an old backup code", "totp-invalid", w.svc.Check(ctx, a.ask(code(old[1]))))

	step("mail on", w.setEmail(ctx, a.ask(code(a.backup[0])), true))
	refused("asking by mail", "totp-required", w.svc.Check(ctx, a.ask(method("email"))))
	_, err = w.svc.SendCode(ctx, a.ask(), "ALICE@example.org")
	step("another mail", err)
	refused("a mailed code for a fresh check", "totp-required", w.svc.Check(ctx, a.ask(method("email"), code(w.Mails.Code(0)), policy(twofactor.Fresh))))
	step("a mailed code", w.svc.Check(ctx, a.ask(method("email"), code(w.Mails.Code(0)), policy(twofactor.Login))))
	refused("the other mailed code", "totp-invalid", w.svc.Check(ctx, a.ask(method("email"), code(w.Mails.Code(1)), policy(twofactor.Login))))
	step("mail off", w.setEmail(ctx, a.ask(code(a.backup[1])), false))
	if a.user().Email2FAEnabled() {
		t.Fatal("the mail factor is still on")
	}

	_, err = w.svc.Reset(ctx, admin.ask(), a.id)
	step("reset", err)
	u := a.user()
	if u.Services.TOTP != nil || u.Services.Resume != nil && len(u.Services.Resume.LoginTokens) != 0 {
		t.Fatalf("after the reset: %+v", u.Services)
	}
	if g, err := w.Store.Guard(ctx, a.id); err != nil || len(g.Recent)+len(g.InRow)+len(g.Codes) != 0 {
		t.Fatalf("after the reset: %+v %v", g, err)
	}
	_, err = w.Store.UpdateUser(ctx, a.id, user.Change{AddToken: &user.LoginToken{HashedToken: "alice-1", When: time.Now()}, At: time.Now()})
	step("log in again", err)
	_, err = w.svc.Enrol(ctx, a.ask(code(digest)))
	step("enrol again", err)
}
