package twofactor_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// The rows of spec security 3.1: one-time codes.

func never(t *testing.T, w *world) { w.set(settings.TwoFactorRememberFor, 0) }

// S001: a code counts once, on the same connection and on others.
func TestS001TOTPReplay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		c := a.now(0)
		if got := a.check(code(c), method("totp")); got != "" {
			t.Fatalf("first use: %s", got)
		}
		for _, tok := range []string{"alice-1", "alice-2"} {
			if got := a.check(code(c), method("totp"), token(tok)); got != "totp-invalid" {
				t.Errorf("replay on %s: %q", tok, got)
			}
		}
	})
}

// S001 continued: the step is remembered by the store, not by the process.
func TestS001ReplayOnAnotherNode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		c := a.now(0)
		if got := a.check(code(c)); got != "" {
			t.Fatalf("first use: %s", got)
		}
		other := w.service(w.store)
		if got := id(other.Check(ctx, a.ask(code(c)))); got != "totp-invalid" {
			t.Errorf("replay on the other node: %q", got)
		}
	})
}

// S002: after step n+1, step n is over although it is inside the window.
func TestS002NoGoingBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		older, newer := a.now(0), a.now(1)
		if got := a.check(code(newer)); got != "" {
			t.Fatalf("next step: %s", got)
		}
		if got := a.check(code(older)); got != "totp-invalid" {
			t.Errorf("one step back: %q", got)
		}
	})
}

// S003: an authenticator's code has one spelling. A refused spelling costs a try
// and does not spend the code.
func TestS003OtherSpellings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice").enrol()
		c := a.now(0)
		for _, s := range []string{
			" " + c, c + " ", c + "\n", "\t" + c, c[:3] + " " + c[3:], c[:3] + "-" + c[3:], "0" + c, c + "0", "+" + c, c + ".0", "0x" + c,
			wide(c), c + "\x00", "\ufeff" + c, c[:5], c + "\u00a0", c[:5] + "O",
		} {
			if got := a.check(code(s)); got != "totp-invalid" {
				t.Errorf("%q: %q", s, got)
			}
		}
		if got := a.check(code(c)); got != "" {
			t.Errorf("the one spelling: %s", got)
		}
	})
}

// wide writes digits in their full-width forms.
func wide(c string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, c)
}

// S003 for mailed codes: blanks and one hyphen as the mail shows it, nothing else.
func TestS003MailedSpellings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		for _, form := range []string{"%s%s", "%s-%s", "%s %s", " %s%s ", "%s - %s"} {
			if got := a.check(); got != "totp-required" {
				t.Fatalf("challenge: %q", got)
			}
			c := w.mails.code(-1)
			if got := a.check(code(fmt.Sprintf(form, c[:3], c[3:]))); got != "" {
				t.Errorf("form %q: %s", form, got)
			}
			time.Sleep(time.Hour)
		}
		a.check()
		c := w.mails.code(-1)
		for _, s := range []string{wide(c), c[:2] + "-" + c[2:4] + "-" + c[4:], c + "\n", c + "0"} {
			if got := a.check(code(s)); got != "totp-invalid" {
				t.Errorf("%q: %q", s, got)
			}
		}
	})
}

// S008: codes belong to their account.
func TestS008CodesOfAnotherAccount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a, b := w.account("alice", withEmail), w.account("bob", withEmail)
		a.check()
		mailed := w.mails.code(-1)
		b.check()
		if got := b.check(code(mailed)); got != "totp-invalid" {
			t.Errorf("alice's mailed code for bob: %q", got)
		}
		if got := a.check(code(mailed)); got != "" {
			t.Errorf("alice's mailed code for alice: %q", got)
		}
		a.enrol()
		time.Sleep(time.Hour)
		b.enrol()
		for _, c := range []string{a.now(0), a.backup[0]} {
			if got := b.check(code(c)); got != "totp-invalid" {
				t.Errorf("alice's code for bob: %q", got)
			}
		}
		if g, _ := w.store.Guard(ctx, b.id); len(g.Recent) != 2 {
			t.Errorf("bob's failures: %+v", g.Recent)
		}
		for _, c := range []string{a.now(0), a.backup[0]} {
			if got := a.check(code(c)); got != "" {
				t.Errorf("alice's own code: %q", got)
			}
		}
	})
}

// S011: a mailed code lives for 600 seconds, whatever the setting says.
func TestS011MailedCodeEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check()
		time.Sleep(599 * time.Second)
		if got := a.check(code(w.mails.code(-1))); got != "" {
			t.Errorf("at 599 s: %s", got)
		}
		a.check()
		time.Sleep(601 * time.Second)
		if got := a.check(code(w.mails.code(-1))); got != "totp-invalid" {
			t.Errorf("at 601 s: %q", got)
		}
		w.set(settings.TwoFactorEmailExpiration, 60)
		time.Sleep(time.Hour)
		if a.check(); w.mails.sent() != 4 {
			t.Fatalf("%d mails", w.mails.sent())
		}
		time.Sleep(60 * time.Second)
		if got := a.check(code(w.mails.code(-1))); got != "totp-invalid" {
			t.Errorf("with the setting at 60, after 60 s: %q", got)
		}
	})
}

// S012: at most five codes are alive, each is good, and one success ends all.
func TestS012FiveAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		for range 7 {
			got, err := w.svc.SendCode(ctx, a.ask(), "alice")
			if err != nil || len(got) != 1 || got[0] != "alice@example.org" {
				t.Fatalf("sendEmailCode: %v %v", got, err)
			}
			time.Sleep(time.Second)
		}
		if w.mails.sent() != 5 {
			t.Fatalf("%d mails, want 5", w.mails.sent())
		}
		err := w.svc.Check(ctx, a.ask())
		want := `{"method":"email","codeGenerated":false,"codeCount":5,"codeExpires":[DATE,DATE,DATE,DATE,DATE],"availableMethods":["email"],"emailOrUsername":"alice"}`
		if got := shape(details(t, err)); got != want {
			t.Errorf("details\n got %s\nwant %s", got, want)
		}
		if got := a.check(code(w.mails.code(2))); got != "" {
			t.Fatalf("the third of five: %s", got)
		}
		for i := range 4 {
			if got := a.check(code(w.mails.code(i))); got != "totp-invalid" {
				t.Errorf("code %d after a success: %q", i, got)
			}
		}
	})
}

// S014: the window is MaxDelta, at most two, steps to each side.
func TestS014Window(t *testing.T) {
	for delta := range 3 {
		t.Run(fmt.Sprint(delta), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				never(t, w)
				w.set(settings.TwoFactorMaxDelta, delta)
				w.set(settings.TwoFactorWrongPerHour, 100)
				for shift := -3; shift <= 3; shift++ {
					a := w.account(fmt.Sprintf("u%d", shift+3)).enrol()
					time.Sleep(5 * time.Minute) // no step of the window was spent
					got := a.check(code(a.now(shift)))
					if inside := shift >= -delta && shift <= delta; inside != (got == "") {
						t.Errorf("shift %d: %q", shift, got)
					}
				}
			})
		})
	}
}

// S015: an answer that is no text is a wrong one, and is counted.
func TestS015WrongTypes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		for _, a := range []*account{w.account("alice", withEmail), w.account("bob").enrol(), w.account("carol")} {
			r := a.ask()
			r.HasCode, r.NonString = true, true
			if got := id(w.svc.Check(ctx, r)); got != "totp-invalid" {
				t.Errorf("%s, no text: %q", a.name(), got)
			}
			if got := a.check(code(strings.Repeat("1", 1<<20))); got != "totp-invalid" {
				t.Errorf("%s, a megabyte: %q", a.name(), got)
			}
			if g, _ := w.store.Guard(ctx, a.id); len(g.Recent) != 2 {
				t.Errorf("%s: %d answers counted, want 2", a.name(), len(g.Recent))
			}
		}
	})
}

// S016: secrets are 256 bit of base32, all different, and the URL can be read.
func TestS016Seed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withoutPassword)
		seen := map[string]bool{}
		for range 300 {
			e, err := w.svc.Enrol(ctx, a.ask())
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
			a := w.account("alice", withoutPassword)
			e, err := w.svc.Enrol(ctx, a.ask())
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
		w.set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice", withoutPassword)
		e, err := w.svc.Enrol(ctx, a.ask())
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
		if _, err := w.svc.Enrol(ctx, a.ask()); id(err) != "error-2fa-already-enabled" {
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
				proof = w.mails.code(-1)
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
		if err := w.svc.SetEmail(ctx, app.ask(), true); id(err) != "totp-required" || !strings.Contains(details(t, err), `"method":"totp"`) {
			t.Errorf("the mail factor beside an authenticator: %v", err)
		}
		if err := w.svc.SetEmail(ctx, app.ask(code(app.now(0))), true); err != nil {
			t.Errorf("with proof: %v", err)
		}
		if err := w.svc.SetEmail(ctx, plain.ask(), true); err != nil {
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
		if err := w.svc.SetEmail(ctx, a.ask(code(a.now(0))), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := w.svc.SetEmail(ctx, a.ask(code(a.now(0))), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if ok, err := w.svc.Disable(ctx, a.ask(code(a.now(0)))); err != nil || !ok {
			t.Fatalf("disable: %v %v", ok, err)
		}
		want := []twofactor.Change{twofactor.TOTPEnabled, twofactor.CodesReplaced, twofactor.EmailEnabled, twofactor.EmailDisabled, twofactor.TOTPDisabled}
		if got := w.mails.changes(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("notices %v, want %v", got, want)
		}
		for _, n := range w.mails.notices {
			text := n.Subject() + n.Text()
			if n.Subject() == "" || strings.Contains(text, a.secret) || strings.Contains(text, a.backup[0]) {
				t.Errorf("notice %+v", n)
			}
			if !strings.Contains(text, "- ci") || !strings.Contains(text, "- bot") || n.Address != home.Address || n.Agent != agent {
				t.Errorf("notice of %s: %+v", n.Change, n)
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
		"email": func(w *world, a *account) error { return w.svc.SetEmail(ctx, a.ask(), true) },
		"totp":  func(w *world, a *account) error { a.enrol(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.account("alice")
				if err := on(w, a); err != nil {
					t.Fatal(err)
				}
				expectSessions(t, w, a, "alice-1")
				if dead := w.news.dead(); fmt.Sprint(dead) != "[alice-2]" {
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
		if got := b.check(code(w.mails.code(-1))); got != "" {
			t.Fatal(got)
		}
		if err := w.svc.SetEmail(ctx, b.ask(), false); id(err) != "totp-required" {
			t.Errorf("2fa:disable-email with trust: %v", err)
		}
		if err := w.svc.SetEmail(ctx, b.ask(code(b.wrong())), false); id(err) != "totp-invalid" {
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
		if g, _ := w.store.Guard(ctx, a.id); len(g.Recent) != 10 {
			t.Errorf("%d answers compared, want 10", len(g.Recent))
		}
		if ok, _ := w.svc.Disable(ctx, a.ask(code(a.now(0)))); ok {
			t.Error("the right code over the budget")
		}
		if got := a.check(code(a.now(0))); got != "totp-max-attempts" {
			t.Errorf("a protected call over the budget: %q", got)
		}
		b := w.account("bob", withoutPassword)
		if _, err := w.svc.Enrol(ctx, b.ask()); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if _, err := w.svc.Confirm(ctx, b.ask(code("000000"))); id(err) != "invalid-totp" {
				t.Fatal(err)
			}
		}
		if g, _ := w.store.Guard(ctx, b.id); len(g.Recent) != 10 {
			t.Errorf("2fa:validateTempToken: %d answers compared, want 10", len(g.Recent))
		}
	})
}

// S010: nothing in the user document is a plain hash of a backup code, or the secret.
func TestS010Lookups(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		stored := a.user().Services.TOTP
		if len(stored.HashedBackup) != 12 || len(a.backup) != 12 {
			t.Fatalf("%d codes, %d stored", len(a.backup), len(stored.HashedBackup))
		}
		text := fmt.Sprintf("%+v", *stored)
		for _, c := range a.backup {
			for _, h := range plainHashes(c) {
				if strings.Contains(text, h) {
					t.Errorf("a plain hash of %s is stored", c)
				}
			}
		}
		if strings.Contains(text, a.secret) || !strings.HasPrefix(stored.Secret, "v1.") {
			t.Error("the secret is readable")
		}
	})
}

// S078: broken stored data refuses.
func TestS078HostileDocuments(t *testing.T) {
	totps := map[string]*user.TOTP{
		"no secret":       {Enabled: true},
		"garbage":         {Enabled: true, Secret: "!!!"},
		"sealed garbage":  {Enabled: true, Secret: "v1.nope"},
		"too short":       {Enabled: true, Secret: "AAAA"},
		"someone else's":  {Enabled: true, Secret: "v1.00000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"far future step": {Enabled: true, Secret: strings.Repeat("A", 32), LastStep: 1 << 62},
		"empty backups":   {Enabled: true, Secret: "x", HashedBackup: []string{"", "v1."}},
	}
	bubble(t, func(t *testing.T, w *world) {
		for name, stored := range totps {
			a := w.account(plainName(name), func(u *user.User) { u.Services.TOTP = stored })
			for _, c := range []string{"000000", "abcdefgh", "", "v1.", "12345678", digest} {
				want := "totp-invalid"
				if c == "" {
					want = "totp-required"
				}
				if got := a.check(code(c)); got != want {
					t.Errorf("%s, code %q: %q", name, c, got)
				}
			}
		}
		a := w.account("hash", func(u *user.User) { u.Services.Password.Bcrypt = "garbage" })
		if got := a.check(code(digest)); got == "" {
			t.Error("a garbage password hash let a call pass")
		}
	})
}

func plainName(name string) string {
	return strings.Map(func(r rune) rune { return max(r, '0') }, name)
}
