package twofactor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/fault"
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
type state struct{ app, mail, verified, password, key bool }

func states() (all []state) {
	for n := range 32 {
		all = append(all, state{n&1 > 0, n&2 > 0, n&4 > 0, n&8 > 0, n&16 > 0})
	}
	return all
}

func (s state) String() string {
	return fmt.Sprintf("app %v, mail %v, verified %v, password %v, key %v", s.app, s.mail, s.verified, s.password, s.key)
}

func (s state) account(w *world, name string) *account {
	a := w.account(name, func(u *user.User) {
		if s.app {
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: sealedAs, HashedBackup: plainHashes("abcdWXYZ")[:1]}
		}
		u.Services.Email2FA = &user.Email2FA{Enabled: s.mail}
		if s.key {
			u.Services.WebAuthn = w.Passkeys(name, true)
		}
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
	case app:
		proofs = []string{"totp", "backup"}
	}
	if mail && !(app && p == twofactor.Fresh) {
		proofs = append(proofs, "email")
	}
	if on && s.key { // beside what people type, and nobody but who names it is asked for it
		proofs = append(proofs, "webauthn")
	}
	if len(proofs) == 0 && s.password && (p == twofactor.Fresh || p == twofactor.Ordinary && set[settings.TwoFactorPasswordFallback]) {
		proofs = []string{"password"}
	}
	return proofs, p == twofactor.Fresh || len(proofs) > 0
}

// offers is how a challenge names the proofs, the strongest first.
func offers(proofs []string) string {
	list := []string{}
	for _, name := range []string{"webauthn", "totp", "email"} {
		if slices.Contains(proofs, name) {
			list = append(list, `"`+name+`"`)
		}
	}
	return `"availableMethods":[` + strings.Join(list, ",") + `]`
}

// byKey answers the challenge for a passkey that such a check makes; what is no answer where
// it makes none.
func (a *account) byKey(r twofactor.Request) rpc.Proof {
	a.w.T.Helper()
	r.Proof, r.Passed = rpc.TextProof("webauthn", ""), &rpc.Passed{}
	text := "{}"
	if err := a.w.svc.Check(ctx, r); err != nil {
		if f, _ := fault.From(err); f.Details != nil {
			if answer := a.w.AnswerOf(written(a.w.T, f.Details)); answer != "" {
				text = answer
			}
		}
	}
	return rpc.TextProof("webauthn", text)
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
				if s.key && (!set[settings.TwoFactorByTOTP] || !set[settings.TwoFactorByEmail]) {
					continue // such a factor is one that the account has not, which the others show
				}
				for _, p := range []twofactor.Policy{twofactor.None, twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
					proofs, asked := s.accepts(set, p)
					a := s.account(w, fmt.Sprintf("u%d-%d-%d", n, i, p))
					for _, given := range []string{"none", "wrong", "totp", "backup", "email", "password", "webauthn"} {
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
	case "webauthn":
		p := a.byKey(a.ask(answer...))
		answer = append(answer, func(r *twofactor.Request) { r.Proof = p })
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
	if want := fmt.Sprintf(`{"method":%q,`, asks(given, proofs)); !strings.HasPrefix(details(a.w.T, err), want) ||
		!strings.Contains(details(a.w.T, err), offers(proofs)) {
		a.w.T.Errorf("%s: %s", name, details(a.w.T, err))
	}
	if g, e := a.w.Store.Guard(ctx, a.id); mailed != "" && (e != nil || len(g.Codes) == 0) {
		a.w.T.Errorf("%s: the weaker code was spent: %+v %v", name, g, e)
	}
}

// asks is what a challenge asks for: what the answer named, if it is a proof that is asked
// for by name, else the first.
func asks(given string, proofs []string) string {
	if given == "webauthn" && slices.Contains(proofs, given) {
		return given
	}
	return proofs[0]
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
