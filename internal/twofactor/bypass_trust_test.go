package twofactor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// The rows of docs/security-tests.md S041 to S069 that this package decides.

// S045: a password never stands in for a stronger factor; where it is asked for,
// only its digest counts, in either case.
func TestS045WeakerFactor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		app := w.account("app").enrol()
		err := w.svc.Check(ctx, app.ask(code(digest), method("password")))
		if id(err) != "totp-required" || !strings.Contains(details(t, err), `"method":"totp"`) {
			t.Errorf("a password for an authenticator: %v", err)
		}
		plain := w.account("plain")
		for c, want := range map[string]string{
			"password": "totp-invalid", digest: "", strings.ToUpper(digest): "", digest[:63]: "totp-invalid", digest + "0": "totp-invalid",
			strings.Repeat("0", 64): "totp-invalid", strings.Repeat("g", 64): "totp-invalid", " " + digest[1:]: "totp-invalid",
		} {
			if got := plain.check(code(c)); got != want {
				t.Errorf("%.12q…: %q, want %q", c, got, want)
			}
		}
		if g, _ := w.Store.Guard(ctx, plain.id); len(g.Recent) != 6 {
			t.Errorf("%d wrong answers counted, want 6", len(g.Recent))
		}
	})
}

// S046: naming a factor that is off gets the challenge for the one that is on:
// nothing is compared, so nothing is counted or spent, and nothing is mailed.
func TestS046NamedFactorOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		before, _ := w.Store.Guard(ctx, a.id)
		want := `{"method":"totp","codeGenerated":false,"availableMethods":["totp"]}`
		err := w.svc.Check(ctx, a.ask(code("000000"), method("email")))
		if id(err) != "totp-required" || details(t, err) != want {
			t.Errorf("%v %s", err, details(t, err))
		}
		if got := a.check(code(a.now(0)), method("email")); got != "totp-required" {
			t.Errorf("the right code for another factor: %q", got)
		}
		if got := a.check(method("email")); got != "totp-required" {
			t.Errorf("naming it without a code: %q", got)
		}
		if g, _ := w.Store.Guard(ctx, a.id); g.Received != before.Received || w.Mails.Count() != 0 {
			t.Errorf("%d counted, %d mails; want neither", g.Received-before.Received, w.Mails.Count())
		}
		if got := a.check(code(a.now(0))); got != "" {
			t.Errorf("the code was spent by a refusal: %q", got)
		}
	})
}

// S048, S050: trust belongs to token, user agent and address, lasts 300 seconds
// from the code, and counts for ordinary calls only.
func TestS050Trust(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		if got := a.check(code(a.now(0))); got != "" {
			t.Fatal(got)
		}
		rest := *home
		rest.Door, rest.Conn = rpc.REST, "other"
		otherAgent, otherAddress, nowhere := *home, *home, *home
		otherAgent.AgentDigest, otherAddress.Address, nowhere.Address = "x", "192.0.2.2", ""
		for name, c := range map[string]struct {
			change func(*twofactor.Request)
			want   string
		}{
			"same":           {from(home), ""},
			"other door":     {from(&rest), ""},
			"a stale code":   {code("000000"), ""},
			"other token":    {token("alice-2"), "totp-required"},
			"no token":       {token(""), "totp-required"},
			"other agent":    {from(&otherAgent), "totp-required"},
			"other address":  {from(&otherAddress), "totp-required"},
			"no address":     {from(&nowhere), "totp-required"},
			"no peer":        {from(nil), "totp-required"},
			"fresh":          {policy(twofactor.Fresh), "totp-required"},
			"login":          {policy(twofactor.Login), "totp-required"},
			"insisting":      {func(r *twofactor.Request) { r.Insist, r.Proof = true, rpc.TextProof("", a.wrong()) }, "totp-invalid"},
			"insist no code": {func(r *twofactor.Request) { r.Insist = true }, ""},
		} {
			if got := a.check(c.change); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		time.Sleep(299 * time.Second)
		if got := a.check(); got != "" {
			t.Errorf("after 299 s: %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := a.check(); got != "totp-required" {
			t.Errorf("after 301 s, used at 299 s: %q", got)
		}
	})
}

// The setting counts at once, in both directions, and 0 is off.
func TestTrustSetting(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		if got := a.check(code(a.now(0))); got != "" {
			t.Fatal(got)
		}
		w.Set(settings.TwoFactorRememberFor, 60)
		if got := a.check(); got != "totp-required" {
			t.Errorf("trust for 300 s with the setting at 60: %q", got)
		}
		time.Sleep(245 * time.Second)
		if got := a.check(); got != "" {
			t.Errorf("its last minute: %q", got)
		}
		w.Set(settings.TwoFactorRememberFor, 0)
		if got := a.check(); got != "totp-required" {
			t.Errorf("with the setting at 0: %q", got)
		}
		if got := a.check(code(a.now(0))); got != "" {
			t.Fatal(got)
		}
		w.Set(settings.TwoFactorRememberFor, 300)
		if got := a.check(); got != "" && got != "totp-required" {
			t.Errorf("stored while off: %q", got)
		}
	})
}

// S051: every change of factors ends trust; Forget does it for the other changes.
func TestS051TrustEnds(t *testing.T) {
	for name, change := range map[string]func(*world, *account) error{
		"email on": func(w *world, a *account) error { return w.setEmail(ctx, a.ask(code(a.now(0))), true) },
		"regenerate": func(w *world, a *account) error {
			_, err := w.svc.Regenerate(ctx, a.ask(code(a.now(0))))
			return err
		},
		"password": func(w *world, a *account) error { return w.svc.Forget(ctx, a.id) },
		"disable": func(w *world, a *account) error {
			_, err := w.svc.Disable(ctx, a.ask(code(a.now(0))))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.account("alice").enrol()
				if got := a.check(code(a.now(0))); got != "" {
					t.Fatal(got)
				}
				time.Sleep(time.Minute)
				if got := a.check(); got != "" {
					t.Fatalf("not trusted: %s", got)
				}
				if err := change(w, a); err != nil {
					t.Fatal(err)
				}
				if got := a.check(); got != "totp-required" {
					t.Errorf("afterwards: %q", got)
				}
			})
		})
	}
}

// S055: Forget voids pending codes too.
func TestS055PendingCodesVoid(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		a.check()
		if err := w.svc.Forget(ctx, a.id); err != nil {
			t.Fatal(err)
		}
		if got := a.check(code(w.Mails.Code(0))); got != "totp-invalid" {
			t.Errorf("a pending code after a change of password: %q", got)
		}
		if err := w.svc.Forget(ctx, w.account("bob").id); err != nil {
			t.Errorf("nothing to forget: %v", err)
		}
	})
}

// S054: there is no grace after registration.
func TestS054NoGrace(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if got := w.account("alice", withEmail).check(); got != "totp-required" {
			t.Errorf("a new account with a factor: %q", got)
		}
		if got := w.account("bob").check(); got != "totp-required" {
			t.Errorf("a new account without one: %q", got)
		}
	})
}

// S056, S057: a personal access token that may skip checks skips ordinary ones
// only; one that may not skips none.
func TestS057BypassSkipsOrdinaryOnly(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", func(u *user.User) {
			// A session cannot be given the bypass.
			u.Services.Resume.LoginTokens[1].BypassTwoFactor = true
		}).enrol()
		for _, c := range []struct {
			token string
			p     twofactor.Policy
			want  string
		}{
			{"alice-bypass", twofactor.Ordinary, ""},
			{"alice-bypass", twofactor.Fresh, "totp-required"},
			{"alice-bypass", twofactor.Login, "totp-required"},
			{"alice-pat", twofactor.Ordinary, "totp-required"},
			{"alice-2", twofactor.Ordinary, "totp-required"},
		} {
			if got := a.check(token(c.token), policy(c.p)); got != c.want {
				t.Errorf("%s, %v: %q, want %q", c.token, c.p, got, c.want)
			}
		}
		if ok, _ := w.svc.Disable(ctx, a.ask(token("alice-bypass"))); ok {
			t.Error("a bypass token switched the authenticator off")
		}
	})
}

// S057: adding the first factor asks nobody for proof but a token that may skip
// checks: that one is asked for the password.
func TestS057BypassAddsNoFactor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice")
		if err := w.setEmail(ctx, a.ask(token("alice-bypass")), true); id(err) != "totp-required" || a.user().Email2FAEnabled() {
			t.Errorf("without proof: %v", err)
		}
		if err := w.setEmail(ctx, a.ask(token("alice-bypass"), code(a.password)), true); err != nil || !a.user().Email2FAEnabled() {
			t.Errorf("with the password: %v", err)
		}
		b := w.account("bob")
		if err := w.setEmail(ctx, b.ask(token("bob-pat")), true); err != nil {
			t.Errorf("a token that skips nothing: %v", err)
		}
	})
}

// S068: the administrator's reset mails first, ends every token, is audited, and
// changes nothing when the mail cannot go out.
func TestS068Reset(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		admin, a := w.account("root"), w.account("alice").enrol()
		for range 10 {
			a.check(code(a.wrong()))
		}
		w.Mails.Fail(errors.New("outbox full"))
		if _, err := w.svc.Reset(ctx, admin.ask(), a.id); id(err) != "error-email-send-failed" {
			t.Errorf("without mail: %v", err)
		}
		if !a.user().TOTPEnabled() || len(a.user().Services.Resume.LoginTokens) == 0 {
			t.Fatal("a reset without mail changed something")
		}
		w.Mails.Fail(nil)
		if _, err := w.svc.Reset(ctx, admin.ask(), a.id); err != nil {
			t.Fatal(err)
		}
		u := a.user()
		if u.Services.TOTP != nil || len(u.Services.Resume.LoginTokens) != 0 {
			t.Errorf("left behind: %+v", u.Services)
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 0 || len(g.InRow) != 0 {
			t.Errorf("counters: %+v", g)
		}
		if dead := len(dead(w)); dead < 4 {
			t.Errorf("%d tokens told dead", dead)
		}
		last := lastNotice(w)
		if last.Change != twofactor.TOTPReset || last.To[0] != "alice@example.org" || len(last.Tokens) != 0 {
			t.Errorf("notice %+v", last)
		}
		trail := w.Trail.All()
		event := trail[len(trail)-1]
		if event.Act != "factor_reset" || event.User != admin.id || event.Target != a.id {
			t.Errorf("audit %+v", event)
		}
		if _, err := w.svc.Reset(ctx, admin.ask(), "nobody"); id(err) != "error-invalid-user" {
			t.Errorf("unknown account: %v", err)
		}
		w.Set(settings.TwoFactorByTOTP, false)
		if _, err := w.svc.Reset(ctx, admin.ask(), a.id); id(err) != "error-two-factor-not-enabled" {
			t.Errorf("with the factor off: %v", err)
		}
		if _, err := w.svc.Reset(ctx, admin.ask(), admin.id); err != nil {
			t.Errorf("one's own: %v", err)
		}
		if n := len(admin.user().Services.Resume.LoginTokens); n != 4 {
			t.Errorf("an account without an authenticator lost sessions: %d left", n)
		}
	})
}

// S069: the switches count at once.
func TestS069Switches(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		both := w.account("both", withEmail).enrol()
		w.Set(settings.TwoFactorByTOTP, false)
		err := w.svc.Check(ctx, both.ask())
		if !strings.Contains(details(t, err), `"method":"email"`) || !strings.Contains(details(t, err), `"availableMethods":["email"]`) {
			t.Errorf("without authenticators: %s", details(t, err))
		}
		w.Set(settings.TwoFactorByEmail, false)
		if err := w.svc.Check(ctx, both.ask()); !strings.Contains(details(t, err), `"method":"password"`) {
			t.Errorf("without mail: %s", details(t, err))
		}
		if got := both.check(policy(twofactor.Login)); got != "" {
			t.Errorf("login without factors: %q", got)
		}
		w.Set(settings.TwoFactorPasswordFallback, false)
		for _, off := range []string{settings.TwoFactorPasswordFallback, settings.TwoFactorEnabled} {
			w.Set(off, false)
			if got := both.check(); got != "" {
				t.Errorf("ordinary with %s off: %q", off, got)
			}
			if got := both.check(policy(twofactor.Fresh)); got != "totp-required" {
				t.Errorf("fresh with %s off: %q", off, got)
			}
			if got := both.check(policy(twofactor.Fresh), code(digest)); got != "" {
				t.Errorf("the password for fresh with %s off: %q", off, got)
			}
		}
	})
}

// Accounts of foreign services are asked for a mailed code unless the setting
// leaves them out (docs/wire/rocketchat.md 1.5.1).
func TestOAuthAccounts(t *testing.T) {
	with := func(name string) func(*user.User) {
		return func(u *user.User) { u.Services.Other = map[string]any{name: map[string]any{"id": "1"}} }
	}
	bubble(t, func(t *testing.T, w *world) {
		github, custom, own := w.account("gh", withEmail, with("github")), w.account("cu", withEmail, with("acme")), w.account("own", withEmail, with("cloud"))
		for _, allowed := range []bool{true, false} {
			w.Set(settings.TwoFactorEmailOAuth, allowed)
			for _, a := range []*account{github, custom, own} {
				want := "totp-required"
				if !allowed && a != own {
					want = ""
				}
				if got := a.check(policy(twofactor.Login)); got != want {
					t.Errorf("%s with the setting at %v: %q, want %q", a.name(), allowed, got, want)
				}
			}
		}
	})
}

// S084: no event holds a code, a secret or a whole address.
func TestS084AuditHoldsNoSecrets(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail)
		a.check()
		secrets := []string{w.Mails.Code(0), a.id + "!", digest, "alice@example.org"}
		a.check(code(w.Mails.Code(0)), method("email"))
		a.enrol()
		secrets = append(secrets, a.secret, a.now(0))
		secrets = append(secrets, a.backup...)
		a.check(code(a.now(0)), policy(twofactor.Fresh))
		a.check(code(a.backup[0]), policy(twofactor.Fresh))
		a.check(code(digest), policy(twofactor.Fresh))
		for _, e := range w.Trail.All() {
			for _, s := range secrets {
				for _, field := range []string{e.Act, e.Reason, e.Target, e.Factor, e.Method, e.Agent, e.Address, e.User} {
					if strings.Contains(field, s) {
						t.Errorf("event %+v holds %q", e, s)
					}
				}
			}
			if e.Time.IsZero() || e.Act == "" || e.Outcome == "" {
				t.Errorf("event %+v", e)
			}
		}
		for act, outcomes := range map[string][]string{
			"factor_check": {"ok", "required", "refused"}, "code_sent": {"ok"}, "factor_enabled": {"ok"},
			"factor_pending": {"ok"}, "backup_code_used": {"ok"},
		} {
			for _, o := range outcomes {
				if w.Trail.Count(act, o) == 0 {
					t.Errorf("no event %s %s", act, o)
				}
			}
		}
	})
}

// S085: stored values serve no other owner and no other key.
func TestS085BoundToOwner(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		stolen := a.user().Services.TOTP
		b := w.account("bob", func(u *user.User) { u.Services.TOTP = stolen })
		for _, c := range []string{a.now(0), a.backup[0]} {
			if got := b.check(code(c)); got != "totp-invalid" {
				t.Errorf("alice's stored factor works for bob: %q", got)
			}
		}
		if w.Trail.Count("secret_unreadable", "error") == 0 {
			t.Error("no event for the secret that could not be opened")
		}
		for _, e := range w.Trail.All() {
			if e.Act == "secret_unreadable" && (e.User != b.id || e.Door != "ddp" || e.Address != home.Address || e.Method != "probe") {
				t.Errorf("event %+v", e)
			}
		}
	})
}

// S068: so does the reset of codes by mail, which leaves an app alone.
func TestS068ResetOfCodesByMail(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorResetDelay, 24) // is about apps
		admin, a, none := w.account("root"), w.account("alice", withEmail).enrol(), w.account("bob")
		for range 10 {
			a.check(code(a.wrong()))
		}
		w.Mails.Fail(errors.New("outbox full"))
		if err := w.svc.ResetEmail(ctx, admin.ask(), a.id); id(err) != "error-email-send-failed" {
			t.Errorf("without mail: %v", err)
		}
		if !a.user().Email2FAEnabled() || len(a.user().Services.Resume.LoginTokens) == 0 {
			t.Fatal("a reset without mail changed something")
		}
		w.Mails.Fail(nil)
		state := a.user().FactorState()
		if err := w.svc.ResetEmail(ctx, admin.ask(), a.id); err != nil {
			t.Fatal(err)
		}
		u := a.user()
		if u.Email2FAEnabled() || !u.TOTPEnabled() || len(u.Services.Resume.LoginTokens) != 0 || u.FactorState() == state {
			t.Errorf("left behind: %+v", u.Services)
		}
		if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 0 || len(g.InRow) != 0 || len(g.Codes) != 0 {
			t.Errorf("counters: %+v", g)
		}
		if dead := len(dead(w)); dead < 4 {
			t.Errorf("%d tokens told dead", dead)
		}
		last := lastNotice(w)
		if last.Change != twofactor.EmailReset || last.To[0] != "alice@example.org" || len(last.Tokens) != 0 {
			t.Errorf("notice %+v", last)
		}
		trail := w.Trail.All()
		event := trail[len(trail)-1]
		if event.Act != "factor_reset" || event.Factor != twofactor.Email || event.User != admin.id || event.Target != a.id {
			t.Errorf("audit %+v", event)
		}
		if err := w.svc.ResetEmail(ctx, admin.ask(), "nobody"); id(err) != "error-invalid-user" {
			t.Errorf("unknown account: %v", err)
		}
		if err := w.svc.ResetEmail(ctx, admin.ask(), none.id); err != nil || len(none.user().Services.Resume.LoginTokens) != 4 {
			t.Errorf("an account without codes: %v", err)
		}
		w.Set(settings.TwoFactorByEmail, false)
		if err := w.svc.ResetEmail(ctx, admin.ask(), a.id); id(err) != "error-two-factor-not-enabled" {
			t.Errorf("with the factor off: %v", err)
		}
	})
}
