package twofactor_test

import (
	"errors"
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// A change that was committed is answered as such: the owner gets the backup
// codes even when the notice cannot be mailed, and the audit stream says what is
// missing. The other sessions ended with the change (S021).
func TestCommittedChangeStands(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice")
		e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
		if err != nil {
			t.Fatal(err)
		}
		a.secret = e.Secret
		w.Mails.Fail(errors.New("outbox full"))
		broken := w.service(failing{w.Store, "UpdateUser"})
		codes, err := broken.Confirm(ctx, a.ask(code(a.now(0))))
		if err != nil || len(codes) != 12 || !a.user().TOTPEnabled() {
			t.Fatalf("%d codes, %v", len(codes), err)
		}
		expectSessions(t, w, a, "alice-1") // in the same write as the factor
		if w.Trail.Count("notice_sent", "error") != 1 {
			t.Error("no event notice_sent")
		}
		if w.Trail.Count("factor_enabled", "ok") != 1 {
			t.Error("no event for the change itself")
		}
	})
}

// What fails before the change is committed changes nothing.
func TestUncommittedChangeLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice")
		broken := w.service(failing{w.Store, "UpdateUser"})
		if err := setEmail(ctx, broken, a.ask(), true); err == nil || a.user().Email2FAEnabled() {
			t.Errorf("switching mail on: %v", err)
		}
		if _, err := broken.Reset(ctx, w.account("root").ask(), a.enrol().id); err == nil || !a.user().TOTPEnabled() {
			t.Errorf("resetting: %v", err)
		}
		expectSessions(t, w, a, "alice-1")
		if dead := dead(w); len(dead) != 1 { // by the enrolment itself
			t.Errorf("told dead: %v", dead)
		}
	})
}

// A set of codes that is used up but still there, because the setting was
// lowered or the server died between counting and ending it, makes room for a
// new one at the next challenge.
func TestUsedUpSetIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check()
		for range 3 {
			a.check(code(a.wrong()))
		}
		w.Set(settings.TwoFactorEmailAttempts, 3)
		if got := a.check(code(w.Mails.Code(0))); got != "totp-max-attempts" {
			t.Errorf("the right code after three wrong ones: %q", got)
		}
		err := w.svc.Check(ctx, a.ask())
		if id(err) != "totp-required" || !strings.Contains(details(t, err), `"codeGenerated":true,"codeCount":1`) {
			t.Errorf("the next challenge: %v", err)
		}
		if got := a.check(code(w.Mails.Code(-1))); got != "" {
			t.Errorf("the new code: %q", got)
		}
	})
}

// An answer that comes when nothing can be mailed is a wrong one, not an error.
func TestWrongAnswerOverMailBudget(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.Set(settings.TwoFactorMailsPerHour, 1)
		a := w.account("alice", withEmail)
		a.check()
		if got := a.check(code(w.Mails.Code(0))); got != "" {
			t.Fatal(got)
		}
		err := w.svc.Check(ctx, a.ask(code(w.Mails.Code(0))))
		want := `{"method":"email","codeGenerated":false,"codeCount":0,"codeExpires":[],"availableMethods":["email"],"emailOrUsername":"alice"}`
		if id(err) != "totp-invalid" || details(t, err) != want {
			t.Errorf("%v %s", err, details(t, err))
		}
		if got := a.check(); got != "too-many-requests" {
			t.Errorf("a challenge: %q", got)
		}
	})
}

// The policies have the names that documents use.
func TestPolicyNames(t *testing.T) {
	for p, want := range map[twofactor.Policy]string{
		twofactor.None: "none", twofactor.Ordinary: "ordinary", twofactor.Fresh: "fresh",
		twofactor.Login: "login", 99: "unknown",
	} {
		if p.String() != want {
			t.Errorf("%d is %q", p, p.String())
		}
	}
}

// A service without one of its parts is refused at once.
func TestNewNeedsItsParts(t *testing.T) {
	if _, err := twofactor.New(twofactor.Options{}); err == nil {
		t.Error("an empty service was made")
	}
}
