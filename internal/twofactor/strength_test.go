package twofactor_test

import (
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

// switches are the settings that say which factors there are; the matrix goes
// through all their combinations.
var switches = []string{
	settings.TwoFactorEnabled, settings.TwoFactorByTOTP, settings.TwoFactorByEmail, settings.TwoFactorPasswordFallback,
}

// state is what an account of the matrix has.
type state struct{ app, mail, verified, password bool }

func states() (all []state) {
	for n := range 16 {
		all = append(all, state{n&1 > 0, n&2 > 0, n&4 > 0, n&8 > 0})
	}
	return all
}

func (s state) String() string {
	return fmt.Sprintf("app %v, mail %v, verified %v, password %v", s.app, s.mail, s.verified, s.password)
}

func (s state) account(w *world, name string) *account {
	a := w.account(name, func(u *user.User) {
		if s.app {
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: sealedAs, HashedBackup: plainHashes("abcdWXYZ")[:1]}
		}
		u.Services.Email2FA = &user.Email2FA{Enabled: s.mail}
		u.Emails[0].Verified = s.verified
		if !s.password {
			u.Services.Password = nil
		}
	})
	a.secret = sealedAs
	return a
}

// accepts says which proofs the rules take of such an account, in words of the
// documentation and independent of the code: at least the password for fresh
// whatever the settings say; nothing weaker than the strongest factor that is on;
// any factor that is on for the rest.
func (s state) accepts(set map[string]bool, p twofactor.Policy) (proofs []string, asked bool) {
	on := set[settings.TwoFactorEnabled]
	app := on && s.app && set[settings.TwoFactorByTOTP]
	mail := on && s.mail && s.verified && set[settings.TwoFactorByEmail]
	switch {
	case p == twofactor.None, p != twofactor.Fresh && !on:
		return nil, false
	case p == twofactor.Fresh && app:
		return []string{"totp", "backup"}, true
	case app && mail:
		return []string{"totp", "backup", "email"}, true
	case app:
		return []string{"totp", "backup"}, true
	case mail:
		return []string{"email"}, true
	case p == twofactor.Fresh && s.password, p == twofactor.Ordinary && s.password && set[settings.TwoFactorPasswordFallback]:
		return []string{"password"}, true
	}
	return nil, p == twofactor.Fresh
}

// A2, A4: settings × what the account has × policies × given answers. A fresh
// check asks at least the password whatever the settings say, and nothing weaker
// than the strongest factor that is on; what is offered is what is accepted; a
// weaker answer is neither taken nor spent, and nobody gets through with none.
func TestA2FreshMatrix(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorMailsPerHour, 100)
		w.Set(settings.TwoFactorMailsPerAddress, 10_000)
		cells := 0
		for n := range 1 << len(switches) {
			set := map[string]bool{}
			for i, id := range switches {
				set[id] = n>>i&1 == 0
				w.Set(id, set[id])
			}
			for i, s := range states() {
				for _, p := range []twofactor.Policy{twofactor.None, twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
					proofs, asked := s.accepts(set, p)
					a := s.account(w, fmt.Sprintf("u%d-%d-%d", n, i, p))
					for _, given := range []string{"none", "wrong", "totp", "backup", "email", "password"} {
						if given != "none" && given != "wrong" && !asked {
							continue
						}
						cells++
						a.tryCell(fmt.Sprintf("%v; %v; %v; %s given", set, s, p, given), p, given, proofs, asked)
					}
				}
			}
			time.Sleep(time.Hour) // the budget of mails
		}
		if cells < 2000 {
			t.Errorf("only %d cells", cells)
		}
	})
}

// tryCell gives one answer and compares the outcome with what the rules accept.
func (a *account) tryCell(name string, p twofactor.Policy, given string, proofs []string, asked bool) {
	a.w.T.Helper()
	answer := []func(*twofactor.Request){policy(p)}
	mailed := ""
	switch given {
	case "wrong":
		answer = append(answer, code("nonsense"))
	case "totp":
		answer = append(answer, code(a.now(0)), method("totp"))
	case "backup":
		answer = append(answer, code("abcdWXYZ"), method("totp"))
	case "password":
		answer = append(answer, code(digest), method("password"))
	case "email":
		before := a.w.Mails.Count()
		if _, err := a.w.svc.SendCode(ctx, a.ask(), a.name()); err != nil {
			a.w.T.Fatal(name, err)
		}
		if a.w.Mails.Count() == before {
			return // there is no code to give
		}
		mailed = a.w.Mails.Code(-1)
		answer = append(answer, code(mailed), method("email"))
	}
	err := a.w.svc.Check(ctx, a.ask(answer...))
	switch {
	case !asked || slices.Contains(proofs, given):
		if err != nil {
			a.w.T.Errorf("%s: %v", name, err)
		}
		return
	case err == nil:
		a.w.T.Errorf("%s: passed", name)
		return
	case len(proofs) == 0:
		if id(err) != "error-no-password-or-factor" {
			a.w.T.Errorf("%s: %v", name, err)
		}
		return
	}
	if got := id(err); got != "totp-required" && got != "totp-invalid" {
		a.w.T.Errorf("%s: %s", name, got)
	}
	offered := "[]"
	switch {
	case slices.Contains(proofs, "totp") && slices.Contains(proofs, "email"):
		offered = `["totp","email"]`
	case proofs[0] != "password":
		offered = `["` + proofs[0] + `"]`
	}
	if want := fmt.Sprintf(`{"method":%q,`, proofs[0]); !strings.HasPrefix(details(a.w.T, err), want) ||
		!strings.Contains(details(a.w.T, err), `"availableMethods":`+offered) {
		a.w.T.Errorf("%s: %s", name, details(a.w.T, err))
	}
	if g, e := a.w.Store.Guard(ctx, a.id); mailed != "" && (e != nil || len(g.Codes) == 0) {
		a.w.T.Errorf("%s: the weaker code was spent: %+v %v", name, g, e)
	}
}

// A factor that is switched off on the server only, and may be switched on again,
// is not removed by the password that a fresh check asks for meanwhile; its own
// code removes it whatever the settings say.
func TestA4SwitchedOffFactorIsNotRemovedByThePassword(t *testing.T) {
	for _, off := range [][]string{{settings.TwoFactorEnabled}, {settings.TwoFactorByTOTP, settings.TwoFactorByEmail}} {
		bubble(t, func(t *testing.T, w *world) {
			never(t, w)
			a, b := w.account("alice").enrol(), w.account("bob", withEmail)
			for _, s := range off {
				w.Set(s, false)
			}
			if _, err := w.svc.Reset(ctx, a.ask(), a.id); id(err) != "error-two-factor-not-enabled" || !a.user().TOTPEnabled() {
				t.Errorf("%v: the authenticator: %v", off, err)
			}
			if err := w.setEmail(ctx, b.ask(code(digest)), false); id(err) != "error-two-factor-not-enabled" || !b.user().Email2FAEnabled() {
				t.Errorf("%v: codes by mail: %v", off, err)
			}
			if ok, err := w.svc.Disable(ctx, a.ask(code(a.now(0)))); err != nil || !ok {
				t.Errorf("%v: with the authenticator's code: %v %v", off, ok, err)
			}
		})
	}
}

// What an ordinary check took earlier in a call does not serve a fresh one that
// takes only something stronger.
func TestA4CheckedIsNoStrongerThanItWas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		both, plain := w.account("both", withEmail).enrol(), w.account("plain")
		passed := func(f string) func(*twofactor.Request) {
			return func(r *twofactor.Request) { r.Passed = &rpc.Passed{Factor: f} }
		}
		for _, c := range []struct {
			a    *account
			f    string
			want string
		}{
			{both, "totp", ""}, {both, "backup", ""}, {both, "email", "totp-required"}, {both, "password", "totp-required"}, {both, "nonsense", "totp-required"},
			{plain, "password", ""}, {plain, "", "totp-required"},
		} {
			if got := c.a.check(policy(twofactor.Fresh), passed(c.f)); got != c.want {
				t.Errorf("%s after %q: %q, want %q", c.a.name(), c.f, got, c.want)
			}
		}
	})
}

// A5: an enrolment that was begun under one proof is not finished under another:
// after any change of password, factors, addresses or tokens, and by another
// token, the right first code is refused and nothing is switched on. The store's
// conformance suite goes through the changes; here is what the flows answer.
func TestA5PendingEnrolmentDiesWithItsProof(t *testing.T) {
	other, yes := "another hash", true
	for name, c := range map[string]struct {
		change user.Change
		token  string
		want   string
	}{
		"nothing":                    {user.Change{}, "alice-1", ""},
		"another token":              {user.Change{}, "alice-2", "invalid-totp"},
		"the password":               {user.Change{Bcrypt: &other}, "alice-1", "invalid-totp"},
		"codes by mail":              {user.Change{Factor: user.SetEmail2FA(user.Email2FA{Enabled: yes})}, "alice-1", "invalid-totp"},
		"the address":                {user.Change{Emails: &[]user.Email{{Address: "new@example.org", Verified: true}}}, "alice-1", "invalid-totp"},
		"proof of address":           {user.Change{Emails: &[]user.Email{{Address: "alice@example.org"}}}, "alice-1", "invalid-totp"},
		"the token's end":            {user.Change{RemoveSessions: true}, "alice-1", "invalid-totp"},
		"an other token":             {user.Change{RemoveToken: "alice-2"}, "alice-1", ""},
		"roles, which nobody proves": {user.Change{Roles: &[]string{"admin"}}, "alice-1", ""},
	} {
		bubble(t, func(t *testing.T, w *world) {
			a := w.account("alice")
			e, err := w.svc.Enrol(ctx, a.ask(code(digest)))
			if err != nil {
				t.Fatal(err)
			}
			a.secret = e.Secret
			c.change.At = time.Now()
			if _, err := w.Store.UpdateUser(ctx, a.id, c.change); err != nil {
				t.Fatal(err)
			}
			_, err = w.svc.Confirm(ctx, a.ask(token(c.token), code(a.now(0))))
			if id(err) != c.want || a.user().TOTPEnabled() != (c.want == "") {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
	}
}

// A4: after a password that was set with a mailed link, a code from the same
// mailbox does not stand for a stronger factor, neither at the login nor at an
// ordinary check, and is neither offered nor mailed nor spent; alone it is still
// what the account has. Waiting changes nothing: a thief can wait. An answer of the
// app makes it what it was, and so does a password that is changed with a proof.
func TestA4MailboxAfterAResetByMail(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.Set(settings.TwoFactorMailsPerHour, 100)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		both, mail := w.account("both", withEmail).enrol(), w.account("mail", withEmail)
		time.Sleep(time.Hour)
		if _, err := w.svc.SendCode(ctx, both.ask(), "both"); err != nil {
			t.Fatal(err)
		}
		before := w.Mails.Code(-1) // mailed before the reset, and alive
		at := time.Now().UTC().Truncate(time.Millisecond)
		for _, a := range []*account{both, mail} {
			bcrypt := a.user().PasswordHash()
			if _, err := w.Store.UpdateUser(ctx, a.id, user.Change{Bcrypt: &bcrypt, ResetAt: &at, At: at}); err != nil {
				t.Fatal(err)
			}
		}
		mailed := w.Mails.Count()
		for _, p := range []twofactor.Policy{twofactor.Login, twofactor.Ordinary, twofactor.Fresh} {
			err := w.svc.Check(ctx, both.ask(policy(p), method("email"), code(before)))
			if id(err) != "totp-required" || details(t, err) != `{"method":"totp","codeGenerated":false,"availableMethods":["totp"]}` {
				t.Errorf("%v: %v", p, err)
			}
		}
		if got, err := w.svc.SendCode(ctx, both.ask(), "both"); err != nil || len(got) != 0 || w.Mails.Count() != mailed {
			t.Errorf("a code on demand: %v %v", got, err)
		}
		if got := mail.check(policy(twofactor.Login)); got != "totp-required" || w.Mails.Count() != mailed+1 {
			t.Errorf("an account with nothing stronger: %q", got)
		}
		if got := mail.check(policy(twofactor.Login), code(w.Mails.Code(-1))); got != "" {
			t.Errorf("an account with nothing stronger, its code: %q", got)
		}
		time.Sleep(30 * 24 * time.Hour)
		if err := w.svc.Check(ctx, both.ask(policy(twofactor.Login), method("email"))); id(err) != "totp-required" ||
			details(t, err) != `{"method":"totp","codeGenerated":false,"availableMethods":["totp"]}` {
			t.Errorf("a month later: %v", err)
		}
		if got := both.check(policy(twofactor.Login), code(both.backup[0])); got != "" {
			t.Errorf("a backup code: %q", got)
		}
		if _, err := w.svc.SendCode(ctx, both.ask(), "both"); err != nil {
			t.Fatal(err)
		}
		if got := both.check(policy(twofactor.Login), method("email"), code(w.Mails.Code(-1))); got != "" {
			t.Errorf("after an answer of the app: %q", got)
		}
		// Who had no app at the reset and enrols one later proved it by that.
		mail.enrol()
		if got := mail.user(); !got.Services.Password.ResetAt.IsZero() {
			t.Errorf("an enrolment leaves the reset of before: %v", got.Services.Password.ResetAt)
		}
	})
}
