package twofactor_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// The rows of docs/security-tests.md S016 to S024 about enrolment and switching off.

// S016: secrets are 256 bit of base32, all different, and the URL can be read.
func TestS016Seed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice")
		seen := map[string]bool{}
		for range 300 {
			e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Secret) != 52 || seen[e.Secret] || strings.Trim(e.Secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
				t.Fatalf("secret %q", e.Secret)
			}
			seen[e.Secret] = true
			u, err := url.Parse(e.URL)
			if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Test:alice" ||
				u.Query().Get("secret") != e.Secret || u.Query().Get("issuer") != "Test" {
				t.Fatalf("URL %q: %v", e.URL, err)
			}
		}
	})
}

// S017: a pending secret dies after ten minutes.
func TestS017PendingExpires(t *testing.T) {
	for _, age := range []time.Duration{9 * time.Minute, 11 * time.Minute} {
		bubble(t, func(t *testing.T, w *world) {
			a := w.account("alice")
			e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
			if err != nil {
				t.Fatal(err)
			}
			a.secret = e.Secret
			time.Sleep(age)
			_, err = w.svc.Confirm(ctx, a.ask(code(a.now(0))))
			switch {
			case age < 10*time.Minute && err != nil:
				t.Errorf("after %v: %v", age, err)
			case age > 10*time.Minute && id(err) != "invalid-totp":
				t.Errorf("after %v: %v", age, err)
			case age > 10*time.Minute && a.user().Services.TOTP.TempSecret != "":
				t.Error("the dead secret is still there")
			}
		})
	}
}

// S017: after ten wrong codes the pending secret is dropped, even where the
// hourly budget is larger.
func TestS017PendingTries(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice")
		e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
		if err != nil {
			t.Fatal(err)
		}
		a.secret = e.Secret
		for i := range 10 {
			if _, err := w.svc.Confirm(ctx, a.ask(code(a.wrong()))); id(err) != "invalid-totp" {
				t.Fatalf("wrong code %d: %v", i, err)
			}
		}
		if _, err := w.svc.Confirm(ctx, a.ask(code(a.now(0)))); id(err) != "invalid-totp" {
			t.Errorf("the right code after ten wrong ones: %v", err)
		}
		if s := a.user().Services.TOTP.TempSecret; s != "" {
			t.Error("the secret is still pending")
		}
	})
}

// S018: enrolment cannot be used to switch a factor off.
func TestS018EnrolmentKeepsFactor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		before := a.user().Services.TOTP.Secret
		if _, err := w.svc.Enrol(ctx, a.ask(code(digest))); id(err) != "error-2fa-already-enabled" {
			t.Errorf("enrolling twice: %v", err)
		}
		if after := a.user().Services.TOTP.Secret; after != before {
			t.Error("the secret changed")
		}
		if got := a.check(code(a.now(0))); got != "" {
			t.Errorf("the old device: %s", got)
		}
	})
}

// S019: adding a factor needs the strongest one that is there.
func TestS019EnrollingNeedsProof(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		plain, mail, app := w.account("plain"), w.account("mail", withEmail), w.account("app").enrol()
		for _, c := range []struct {
			a    *account
			want string // the factor that is asked for
		}{{plain, "password"}, {mail, "email"}} {
			_, err := w.svc.Enrol(ctx, c.a.ask())
			if id(err) != "totp-required" || !strings.Contains(details(t, err), `"method":"`+c.want+`"`) {
				t.Errorf("%s enrols: %v", c.a.name(), err)
			}
			// Remembered trust is no proof.
			proof := digest
			if c.want == "email" {
				proof = w.Mails.Code(-1)
			}
			if got := c.a.check(code(proof)); got != "" {
				t.Fatalf("%s: %s", c.a.name(), got)
			}
			if got := c.a.check(); got != "" {
				t.Fatalf("%s is not remembered: %s", c.a.name(), got)
			}
			if _, err := w.svc.Enrol(ctx, c.a.ask()); id(err) != "totp-required" {
				t.Errorf("%s enrols with trust: %v", c.a.name(), err)
			}
			if _, err := w.svc.Enrol(ctx, c.a.ask(token(c.a.name()+"-bypass"))); id(err) != "totp-required" {
				t.Errorf("%s enrols with a bypass token: %v", c.a.name(), err)
			}
		}
		if err := w.setEmail(ctx, app.ask(), true); id(err) != "totp-required" || !strings.Contains(details(t, err), `"method":"totp"`) {
			t.Errorf("the mail factor beside an authenticator: %v", err)
		}
		if err := w.setEmail(ctx, app.ask(code(app.now(0))), true); err != nil {
			t.Errorf("with proof: %v", err)
		}
		if err := w.setEmail(ctx, plain.ask(), true); err != nil {
			t.Errorf("the first factor of an account, as documented: %v", err)
		}
	})
}

// S020: every change is mailed once, without secrets; S021: it closes the other
// sessions, and personal access tokens stay and are listed.
func TestS020S021Changes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		expectSessions(t, w, a, "alice-1")
		if codes, err := w.svc.Regenerate(ctx, a.ask(code(a.now(0)))); err != nil || len(codes) != 12 {
			t.Fatalf("regenerate: %v %v", codes, err)
		}
		time.Sleep(time.Minute)
		if err := w.setEmail(ctx, a.ask(code(a.now(0))), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := w.setEmail(ctx, a.ask(code(a.now(0))), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if ok, err := w.svc.Disable(ctx, a.ask(code(a.now(0)))); err != nil || !ok {
			t.Fatalf("disable: %v %v", ok, err)
		}
		want := []twofactor.Change{twofactor.TOTPEnabled, twofactor.CodesReplaced, twofactor.EmailEnabled, twofactor.EmailDisabled, twofactor.TOTPDisabled}
		if got := changes(w); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("notices %v, want %v", got, want)
		}
		for _, n := range w.Mails.Notices() {
			text := n.Subject() + n.Text()
			if n.Subject() == "" || strings.Contains(text, a.secret) || strings.Contains(text, a.backup[0]) {
				t.Errorf("notice %+v", n)
			}
			if !strings.Contains(text, "- ci") || !strings.Contains(text, "- bot") || n.Address != home.Address || n.Agent != agent {
				t.Errorf("notice of %s: %+v", n.Change.Name, n)
			}
		}
		expectSessions(t, w, a, "alice-1")
	})
}

// expectSessions compares the account's sessions; its two personal access
// tokens must be there as well.
func expectSessions(t *testing.T, w *world, a *account, want ...string) {
	t.Helper()
	var got []string
	pats := 0
	for _, tok := range a.user().Services.Resume.LoginTokens {
		if tok.IsPAT() {
			pats++
		} else {
			got = append(got, tok.HashedToken)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || pats != 2 {
		t.Errorf("sessions %v and %d personal access tokens, want %v and 2", got, pats, want)
	}
}

// S021: each way of switching a factor on closes the other session and tells so.
func TestS021OtherSessionsClosed(t *testing.T) {
	for name, on := range map[string]func(*world, *account) error{
		"email": func(w *world, a *account) error { return w.setEmail(ctx, a.ask(), true) },
		"totp":  func(w *world, a *account) error { a.enrol(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.account("alice")
				if err := on(w, a); err != nil {
					t.Fatal(err)
				}
				expectSessions(t, w, a, "alice-1")
				if dead := dead(w); fmt.Sprint(dead) != "[alice-2]" {
					t.Errorf("told dead: %v", dead)
				}
			})
		})
	}
}

// S022: nothing is switched off without a fresh proof.
func TestS022DisablingNeedsProof(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		if got := a.check(code(a.now(0))); got != "" {
			t.Fatal(got)
		}
		if got := a.check(); got != "" {
			t.Fatalf("not remembered: %s", got)
		}
		for _, c := range []string{"", a.wrong(), digest} {
			if ok, err := w.svc.Disable(ctx, a.ask(code(c))); err != nil || ok {
				t.Errorf("2fa:disable with %q: %v %v", c, ok, err)
			}
		}
		b := w.account("bob", withEmail)
		b.check()
		if got := b.check(code(w.Mails.Code(-1))); got != "" {
			t.Fatal(got)
		}
		if err := w.setEmail(ctx, b.ask(), false); id(err) != "totp-required" {
			t.Errorf("2fa:disable-email with trust: %v", err)
		}
		if err := w.setEmail(ctx, b.ask(code(b.wrong())), false); id(err) != "totp-invalid" {
			t.Errorf("2fa:disable-email with a wrong code: %v", err)
		}
		if !a.user().TOTPEnabled() || !b.user().Email2FAEnabled() {
			t.Error("a factor was switched off")
		}
	})
}

// S024: the calls that take their code as a parameter share the account's budget
// and answer as Rocket.Chat's, whatever the reason.
func TestS024GuessingOnManagement(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		for i := range 30 {
			if ok, err := w.svc.Disable(ctx, a.ask(code(a.wrong()))); ok || err != nil {
				t.Fatalf("2fa:disable %d: %v %v", i, ok, err)
			}
			if codes, err := w.svc.Regenerate(ctx, a.ask(code(a.wrong()))); codes != nil || err != nil {
				t.Fatalf("2fa:regenerateCodes %d: %v %v", i, codes, err)
			}
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 10 {
			t.Errorf("%d answers compared, want 10", len(g.Recent))
		}
		if ok, _ := w.svc.Disable(ctx, a.ask(code(a.now(0)))); ok {
			t.Error("the right code over the budget")
		}
		if got := a.check(code(a.now(0))); got != "totp-max-attempts" {
			t.Errorf("a protected call over the budget: %q", got)
		}
		b := w.account("bob")
		if _, err := w.svc.Enrol(ctx, b.ask(code(digest))); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if _, err := w.svc.Confirm(ctx, b.ask(code("000000"))); id(err) != "invalid-totp" {
				t.Fatal(err)
			}
		}
		if g, _ := w.Store.Guard(ctx, b.id); len(g.Recent) != 10 {
			t.Errorf("2fa:validateTempToken: %d answers compared, want 10", len(g.Recent))
		}
	})
}
