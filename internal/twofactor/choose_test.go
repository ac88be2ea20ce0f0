package twofactor_test

import (
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

const sealedAs = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" // a plain secret of an adopted database

func withTOTP(u *user.User) { u.Services.TOTP = &user.TOTP{Enabled: true, Secret: sealedAs} }

// Every row of precedence: account × named factor × policy × fallback. The
// expected word is the method of the challenge, "pass", or "stuck" for an account
// that nobody can prove anything with. A named factor that the check does not
// accept is answered with the challenge for one that it does, and an answer to it
// is not compared: what is offered is what is accepted.
func TestPrecedence(t *testing.T) {
	type row struct {
		name     string
		account  []func(*user.User)
		named    string
		policy   twofactor.Policy
		fallback bool
		want     string
		methods  string
	}
	both, app, mail, none := []func(*user.User){withTOTP, withEmail}, []func(*user.User){withTOTP}, []func(*user.User){withEmail}, []func(*user.User){}
	bare := []func(*user.User){withoutPassword}
	rows := []row{
		{"both", both, "", twofactor.Ordinary, true, "totp", `["totp","email"]`},
		{"both, email named", both, "email", twofactor.Ordinary, true, "email", `["totp","email"]`},
		{"both, fresh", both, "", twofactor.Fresh, true, "totp", `["totp"]`},
		{"both, fresh, email named", both, "email", twofactor.Fresh, true, "totp", `["totp"]`},
		{"both, login, email named", both, "email", twofactor.Login, true, "email", `["totp","email"]`},
		{"both, password named", both, "password", twofactor.Ordinary, true, "totp", `["totp","email"]`},
		{"both, nonsense named", both, "TOTP", twofactor.Ordinary, true, "totp", `["totp","email"]`},
		{"both, login", both, "", twofactor.Login, true, "totp", `["totp","email"]`},
		{"app", app, "", twofactor.Fresh, true, "totp", `["totp"]`},
		{"app, email named", app, "email", twofactor.Fresh, true, "totp", `["totp"]`},
		{"mail", mail, "", twofactor.Ordinary, true, "email", `["email"]`},
		{"mail, totp named", mail, "totp", twofactor.Ordinary, true, "email", `["email"]`},
		{"mail unverified", []func(*user.User){withEmail, unverified}, "", twofactor.Ordinary, true, "password", `[]`},
		{"none", none, "", twofactor.Ordinary, true, "password", `[]`},
		{"none, password named", none, "password", twofactor.Ordinary, true, "password", `[]`},
		{"none, email named", none, "email", twofactor.Ordinary, true, "password", `[]`},
		{"none, no fallback", none, "", twofactor.Ordinary, false, "pass", ""},
		{"none, no fallback, fresh", none, "", twofactor.Fresh, false, "password", `[]`},
		{"none, login", none, "", twofactor.Login, true, "pass", ""},
		{"none, policy none", none, "", twofactor.None, true, "pass", ""},
		{"both, policy none", both, "", twofactor.None, true, "pass", ""},
		{"no password", bare, "", twofactor.Ordinary, true, "pass", ""},
		{"no password, fresh", bare, "", twofactor.Fresh, true, "stuck", ""},
		{"no password, no fallback, fresh", bare, "", twofactor.Fresh, false, "stuck", ""},
		{"no password, login", bare, "", twofactor.Login, true, "pass", ""},
	}
	bubble(t, func(t *testing.T, w *world) {
		for i, r := range rows {
			w.Set(settings.TwoFactorPasswordFallback, r.fallback)
			a := w.account("user"+string(rune('a'+i)), r.account...)
			err := w.svc.Check(ctx, a.ask(method(r.named), policy(r.policy)))
			if r.want == "pass" {
				if err != nil {
					t.Errorf("%s: %v", r.name, err)
				}
				continue
			}
			if r.want == "stuck" {
				if id(err) != "error-no-password-or-factor" {
					t.Errorf("%s: %v", r.name, err)
				}
				continue
			}
			if id(err) != "totp-required" {
				t.Errorf("%s: %v", r.name, err)
				continue
			}
			d := details(t, err)
			if !strings.HasPrefix(d, `{"method":"`+r.want+`"`) || !strings.Contains(d, `"availableMethods":`+r.methods) {
				t.Errorf("%s: %s", r.name, d)
			}
			if mailed := r.want == "email" && strings.Contains(r.methods, "email"); mailed != strings.Contains(d, `"codeGenerated":true`) {
				t.Errorf("%s: %s", r.name, d)
			}
			// The same details stand in the refusal of a wrong code.
			err = w.svc.Check(ctx, a.ask(method(r.named), policy(r.policy), code("x")))
			want, refusal := strings.Replace(shape(d), `"codeGenerated":true`, `"codeGenerated":false`, 1), "totp-invalid"
			if slices.Contains([]string{twofactor.TOTP, twofactor.Email, twofactor.Password}, r.named) && r.named != r.want {
				refusal = "totp-required" // not compared
			}
			if id(err) != refusal || shape(details(t, err)) != want {
				t.Errorf("%s, wrong code: %v\n got %s\nwant %s", r.name, err, shape(details(t, err)), want)
			}
		}
	})
}

// An account with neither a password nor a factor cannot pass a fresh check,
// whatever it answers, and is told the way out; nothing is counted, because
// nothing is compared.
func TestNothingToProveWith(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withoutPassword)
		for _, answer := range []string{"", digest, "000000"} {
			err := w.svc.Check(ctx, a.ask(policy(twofactor.Fresh), code(answer)))
			if id(err) != "error-no-password-or-factor" || !strings.Contains(err.Error(), "password reset") {
				t.Errorf("%q: %v", answer, err)
			}
		}
		if _, err := w.svc.Enrol(ctx, a.ask()); id(err) != "error-no-password-or-factor" {
			t.Errorf("enrolling: %v", err)
		}
		if g, _ := w.Store.Guard(ctx, a.id); g.Received != 0 {
			t.Errorf("%d counted", g.Received)
		}
	})
}

// Without an account there is nothing to check and nothing passes.
func TestNoUser(t *testing.T) {
	w := newWorld(t)
	if got := id(w.svc.Check(ctx, twofactor.Request{Policy: twofactor.Ordinary})); got != "totp-user-not-found" {
		t.Errorf("%q", got)
	}
	for name, f := range map[string]func() error{
		"enrol":     func() error { _, err := w.svc.Enrol(ctx, twofactor.Request{}); return err },
		"confirm":   func() error { _, err := w.svc.Confirm(ctx, twofactor.Request{}); return err },
		"disable":   func() error { _, err := w.svc.Disable(ctx, twofactor.Request{}); return err },
		"remaining": func() error { _, err := w.svc.Remaining(ctx, twofactor.Request{}); return err },
		"email":     func() error { return w.setEmail(ctx, twofactor.Request{}, true) },
		"stranger": func() error {
			_, err := w.svc.Regenerate(ctx, twofactor.Request{User: &user.User{ID: "gone"}})
			return err
		},
	} {
		if got := id(f()); got != "error-invalid-user" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What Verify says is what the launcher and the router rely on.
func TestOutcomes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, plain := w.account("app").enrol(), w.account("plain")
		insist := func(r *twofactor.Request) { r.Insist = true }
		for _, c := range []struct {
			r      twofactor.Request
			factor string
			reason string
		}{
			{a.ask(code(a.now(0))), "totp", ""},
			{a.ask(code(a.backup[0]), insist), "backup", ""},
			{a.ask(policy(twofactor.None)), "", "nothing"},
			{a.ask(policy(twofactor.None), insist), "", "nothing"},
			{a.ask(policy(twofactor.None), insist, code(a.backup[1])), "backup", ""},
			{a.ask(token("app-bypass")), "", "bypass"},
			{a.ask(policy(twofactor.Fresh), func(r *twofactor.Request) { r.Passed = &rpc.Passed{Factor: "totp"} }), "", "checked"},
			{plain.ask(code(digest)), "password", ""},
			{plain.ask(policy(twofactor.Login)), "", "nothing"},
		} {
			got, err := w.svc.Verify(ctx, c.r)
			if err != nil || got.Factor != c.factor || got.Reason != c.reason || got.Accepted() != (c.factor != "") {
				t.Errorf("%v %q: %+v %v, want %q %q", c.r.Policy, c.r.Proof.Value, got, err, c.factor, c.reason)
			}
		}
		if got, err := w.svc.Verify(ctx, a.ask(code("000000"))); err != nil || got.Reason != "trust" {
			t.Errorf("trusted: %+v %v", got, err)
		}
		w.Set(settings.TwoFactorEnabled, false)
		if got, err := w.svc.Verify(ctx, a.ask()); err != nil || got.Reason != "off" {
			t.Errorf("switched off: %+v %v", got, err)
		}
	})
}

// An adopted secret is read, and sealed at its first use; adopted backup codes
// count once.
func TestAdoptedDatabase(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", func(u *user.User) {
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: sealedAs, HashedBackup: []string{plainHashes("abcdWXYZ")[0]}}
		})
		a.secret = sealedAs
		if got := a.check(code(a.wrong())); got != "totp-invalid" || a.user().Services.TOTP.Secret != sealedAs {
			t.Errorf("a wrong code: %q", got)
		}
		if got := a.check(code(a.now(0))); got != "" {
			t.Fatalf("the first code: %s", got)
		}
		stored := a.user().Services.TOTP
		if plain, err := w.Key.Open("totp secret", a.id, stored.Secret); err != nil || plain != sealedAs || stored.LastStep == 0 {
			t.Errorf("not sealed: %v %v", plain, err)
		}
		if got := a.check(code(a.now(0))); got != "totp-invalid" {
			t.Errorf("replay across the sealing: %q", got)
		}
		if got := a.check(code(a.now(1))); got != "" {
			t.Errorf("the next code: %q", got)
		}
		for i, want := range []string{"", "totp-invalid"} {
			if got := a.check(code("abcdWXYZ")); got != want {
				t.Errorf("adopted backup code, use %d: %q", i+1, got)
			}
		}
		if ok, err := w.svc.Disable(ctx, w.account("bob", withTOTP).asks(sealedAs)); !ok || err != nil {
			t.Errorf("switching an adopted factor off: %v %v", ok, err)
		}
	})
}

// asks is a call with the present code of that secret.
func (a *account) asks(secret string) twofactor.Request {
	a.secret = secret
	return a.ask(code(a.now(0)))
}

// Enrolment in pictures: an SVG without outside references, and a PNG data URL.
func TestPictures(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		e, err := w.svc.Enrol(ctx, w.account("alice").ask(code(digest)))
		if err != nil {
			t.Fatal(err)
		}
		svg, err := e.SVG()
		if err != nil || !strings.HasPrefix(svg, `<svg xmlns="http://www.w3.org/2000/svg"`) || strings.Contains(svg, e.Secret) || strings.Contains(svg, "href") {
			t.Errorf("SVG %.80s %v", svg, err)
		}
		png, err := e.PNG()
		if err != nil || !strings.HasPrefix(png, "data:image/png;base64,iVBOR") {
			t.Errorf("PNG %.80s %v", png, err)
		}
	})
}

// The mail factor's switch, as documented.
func TestSetEmail(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if err := w.setEmail(ctx, w.account("un", unverified).ask(), true); id(err) != "error-invalid-user" ||
			!strings.HasPrefix(err.Error(), "You need to verify your emails before setting up 2FA") {
			t.Errorf("without a verified address: %v", err)
		}
		a := w.account("alice")
		for i := range 2 {
			if err := w.setEmail(ctx, a.ask(), true); err != nil {
				t.Errorf("switching on, time %d: %v", i+1, err)
			}
		}
		if n := len(changes(w)); n != 1 || !a.user().Email2FAEnabled() || a.user().Services.Email2FA.ChangedAt.IsZero() {
			t.Errorf("%d notices, %+v", n, a.user().Services.Email2FA)
		}
		if err := w.setEmail(ctx, a.ask(), false); id(err) != "totp-required" {
			t.Fatalf("switching off: %v", err)
		}
		if err := w.setEmail(ctx, a.ask(code(w.Mails.Code(-1))), false); err != nil || a.user().Email2FAEnabled() {
			t.Errorf("with the code: %v", err)
		}
	})
}
