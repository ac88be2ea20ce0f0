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
)

// narrowings are the ways to say which factors count: none taken, each taken away, each
// alone, and what contradicts itself.
func narrowings() (all []rpc.Proofs) {
	names := []string{twofactor.TOTP, twofactor.Email, twofactor.Password, twofactor.WebAuthn}
	all = append(all, rpc.Proofs{}, rpc.Proofs{Not: names}, rpc.Proofs{Only: names[:2], Not: names[1:]})
	for _, a := range names {
		all = append(all, rpc.Proofs{Not: []string{a}}, rpc.Proofs{Only: []string{a}})
	}
	return all
}

// counted says which proofs count, in words of the documentation and independent of the
// code: of those that count, a fresh check takes nothing weaker than the strongest that
// is on, and the password where none is.
func (s state) counted(set map[string]bool, p twofactor.Policy, proofs rpc.Proofs) (taken []string, asked bool) {
	count := func(name string) bool {
		return (len(proofs.Only) == 0 || slices.Contains(proofs.Only, name)) && !slices.Contains(proofs.Not, name)
	}
	on := set[settings.TwoFactorEnabled]
	if p != twofactor.Fresh && !on {
		return nil, false
	}
	app := on && s.app && set[settings.TwoFactorByTOTP] && count("totp")
	mail := on && s.mail && s.verified && set[settings.TwoFactorByEmail] && count("email")
	if app {
		taken = append(taken, "totp", "backup")
	}
	if mail && !(app && p == twofactor.Fresh) {
		taken = append(taken, "email")
	}
	if on && s.key && count("webauthn") {
		taken = append(taken, "webauthn")
	}
	if len(taken) == 0 && s.password && count("password") && (p == twofactor.Fresh || set[settings.TwoFactorPasswordFallback]) {
		taken = []string{"password"}
	}
	return taken, len(taken) > 0 || p == twofactor.Fresh || len(proofs.Only)+len(proofs.Not) > 0
}

// Settings × what the account has × policies × which factors count × given answers,
// remembered trust, a token that bypasses, and what was accepted for the call before. A
// factor that does not count opens nothing, is neither compared nor spent, and is not
// offered; without one that does nobody passes; and a call that takes only some leaves
// nothing behind that another would not have taken.
func TestFactorsThatDoNotCountOpenNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorMailsPerHour, 100)
		w.Set(settings.TwoFactorMailsPerAddress, 10_000)
		elder := w.account("elder")
		if got := elder.check(code(digest)); got != "" {
			t.Fatal(got)
		}
		print := elder.user().LoginToken("elder-1").TrustHash // of the address and program of home
		if print == "" {
			t.Fatal("an ordinary check remembers nothing")
		}
		cells := 0
		// A factor that the server switched off is one that the account has not, as TestA2FreshMatrix shows.
		set := map[string]bool{settings.TwoFactorByTOTP: true, settings.TwoFactorByEmail: true}
		for n := range 4 {
			for i, id := range []string{settings.TwoFactorEnabled, settings.TwoFactorPasswordFallback} {
				set[id] = n>>i&1 == 0
				w.Set(id, set[id])
			}
			for i, s := range states() {
				if s.mail != s.verified || s.key && !set[settings.TwoFactorPasswordFallback] {
					continue
				}
				for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh} {
					for k, proofs := range narrowings() {
						a := s.account(w, fmt.Sprintf("u%d-%d-%d-%d", n, i, p, k))
						taken, asked := s.counted(set, p, proofs)
						anywhere, _ := s.counted(set, p, rpc.Proofs{})
						for _, given := range []string{"none", "wrong", "totp", "email", "password", "webauthn", "trust", "bypass",
							"passed totp", "passed backup", "passed email", "passed password", "passed webauthn"} {
							cells++
							a.tryNarrow(print, fmt.Sprintf("%v; %v; %v; %v; %s given", set, s, p, proofs, given), p, proofs, given, taken, anywhere, asked)
						}
					}
				}
			}
			time.Sleep(time.Hour) // the budget of mails
		}
		if cells < 6000 {
			t.Errorf("only %d cells", cells)
		}
	})
}

// tryNarrow gives one proof and compares the outcome with what counts.
func (a *account) tryNarrow(print, name string, p twofactor.Policy, proofs rpc.Proofs, given string, taken, anywhere []string, asked bool) {
	a.w.T.Helper()
	r := a.ask(policy(p))
	r.Proofs, r.Passed = proofs, &rpc.Passed{}
	narrow, right := proofs.Narrow(), slices.Contains(taken, given)
	kind, earlier := strings.CutPrefix(given, "passed ")
	switch given {
	case "wrong":
		r.Proof = rpc.TextProof("", "nonsense")
	case "totp":
		r.Proof = rpc.TextProof("totp", a.now(0))
	case "password":
		r.Proof = rpc.TextProof("password", digest)
	case "webauthn":
		r.Proof = a.byKey(r)
	case "email":
		before := a.w.Mails.Count()
		if _, err := a.w.svc.SendCode(ctx, a.ask(), a.name()); err != nil {
			a.w.T.Fatal(name, err)
		}
		if a.w.Mails.Count() == before {
			return // there is no code to give
		}
		r.Proof = rpc.TextProof("email", a.w.Mails.Code(-1))
	case "trust":
		a.trust(print)
		r.User = a.user()
		right = p == twofactor.Ordinary && !narrow
	case "bypass":
		r.Token = a.name() + "-bypass"
		right = p == twofactor.Ordinary && !narrow
	default:
		if earlier {
			r.Passed.Factor = kind
			right = a.wasEnough(kind, p, proofs, taken)
		}
	}
	if earlier && p == twofactor.Ordinary && !narrow {
		right = true
	}
	err := a.w.svc.Check(ctx, r)
	defer a.forget()
	if t := a.user().LoginToken(a.name() + "-1"); given != "trust" && t.TrustHash != "" &&
		(!slices.Contains(taken, t.TrustFactor) || !slices.Contains(anywhere, t.TrustFactor)) {
		a.w.T.Errorf("%s: is remembered, as earned by %q", name, t.TrustFactor)
	}
	switch {
	case !asked || right:
		if err != nil {
			a.w.T.Errorf("%s: %v", name, err)
		}
		return
	case err == nil:
		a.w.T.Errorf("%s: passed", name)
		return
	case len(taken) == 0:
		want := "error-no-password-or-factor"
		if narrow {
			want = "error-no-factor-for-call"
		}
		if id(err) != want {
			a.w.T.Errorf("%s: %v", name, err)
		}
		return
	}
	if got := id(err); got != "totp-required" && (got != "totp-invalid" || given == "email" || given == "totp") {
		a.w.T.Errorf("%s: %s", name, got)
	}
	if d := details(a.w.T, err); !strings.Contains(d, offers(taken)) || !strings.HasPrefix(d, fmt.Sprintf(`{"method":%q,`, asks(given, taken))) {
		a.w.T.Errorf("%s: %s", name, d)
	}
	if g, e := a.w.Store.Guard(ctx, a.id); given == "email" && (e != nil || len(g.Codes) == 0) {
		a.w.T.Errorf("%s: the code was spent: %+v %v", name, g, e)
	}
}

// wasEnough says whether what was accepted for the call before does for this check.
func (a *account) wasEnough(kind string, p twofactor.Policy, proofs rpc.Proofs, taken []string) bool {
	name := kind
	if kind == "backup" {
		name = "totp"
	}
	strength := map[string]int{"password": 1, "email": 2, "totp": 3, "backup": 3, "webauthn": 4}
	counts := (len(proofs.Only) == 0 || slices.Contains(proofs.Only, name)) && !slices.Contains(proofs.Not, name)
	if !counts || p == twofactor.Ordinary {
		return counts
	}
	return slices.ContainsFunc(taken, func(f string) bool { return strength[kind] >= strength[f] })
}

// trust remembers session 1 as an accepted answer does.
func (a *account) trust(print string) {
	a.w.T.Helper()
	err := a.w.Store.SetTrust(ctx, a.id, a.name()+"-1", print, "", time.Now().Add(time.Minute).UTC())
	if err != nil {
		a.w.T.Fatal(err)
	}
}

// forget takes away what one cell leaves to the next: trust, codes, counted answers.
func (a *account) forget() {
	a.w.T.Helper()
	if err := a.w.Store.SetTrust(ctx, a.id, a.name()+"-1", "", "", time.Time{}); err != nil {
		a.w.T.Fatal(err)
	}
	time.Sleep(90 * time.Second)
}

// What a call that takes only some factors was given opens no other call, the very same
// message sent again included, and what others were given does not open it.
func TestNothingCrossesBetweenCallsThatTakeOtherFactors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorMailsPerHour, 100)
		notMail := func(r *twofactor.Request) { r.Proofs = rpc.Proofs{Not: []string{twofactor.Email}} }
		fresh, named := policy(twofactor.Fresh), func(s string) func(*twofactor.Request) {
			return func(r *twofactor.Request) { r.Action, r.Purpose = s, s }
		}
		mail := w.account("mail", withEmail)
		if got := mail.check(named("outbox"), fresh, notMail, method("password"), code(digest)); got != "" {
			t.Fatal(got)
		}
		for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
			if got := mail.check(named("other"), policy(p)); got != "totp-required" {
				t.Errorf("%v after the password for the outbox: %q", p, got)
			}
			if got := mail.check(named("other"), policy(p), method("password"), code(digest)); got != "totp-required" {
				t.Errorf("%v with the password itself: %q", p, got)
			}
		}
		// The other way: a code that passed another call, remembered, and a message that is sent again.
		later := *home
		resent := func(r *twofactor.Request) { r.Frame, r.Params, r.Peer = []byte("7"), []byte("[]"), &later }
		if _, err := w.svc.SendCode(ctx, mail.ask(), "mail"); err != nil {
			t.Fatal(err)
		}
		last := w.Mails.Code(-1)
		if got := mail.check(named("outbox"), resent, code(last)); got != "" {
			t.Fatal(got)
		}
		time.Sleep(time.Second)
		later.Opened = time.Now()
		if got := mail.check(named("outbox"), resent, code(last)); got != "" {
			t.Fatalf("the very same message: %q", got)
		}
		for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh} {
			if got := mail.check(named("outbox"), policy(p), resent, notMail, code(last)); got != "totp-invalid" {
				t.Errorf("%v: the same message, after codes ceased to count: %q", p, got)
			}
			if got := mail.check(named("outbox"), policy(p), notMail); got != "totp-required" {
				t.Errorf("%v: on trust that a code earned: %q", p, got)
			}
		}
	})
}

// The refusal names what the call takes and what the account could set up, and only
// what the server offers.
func TestTheRefusalSaysWhatWouldCount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice", withEmail, withoutPassword)
		for _, c := range []struct {
			proofs rpc.Proofs
			app    bool
			want   string
		}{
			{rpc.Proofs{Not: []string{"email"}}, true, "does not take codes by e-mail, and your account has nothing that it takes. " +
				"Set up a passkey, or an authenticator app, or a password, which an administrator can give you"},
			{rpc.Proofs{Not: []string{"email"}}, false, "Set up a passkey, or a password, which an administrator can give you"},
			{rpc.Proofs{Only: []string{"totp"}}, true, "takes nothing but an authenticator app, " +
				"and your account has nothing that it takes. Set up an authenticator app"},
			{rpc.Proofs{Only: []string{"totp"}}, false, "ask an administrator"},
		} {
			w.Set(settings.TwoFactorByTOTP, c.app)
			r := a.ask(policy(twofactor.Fresh))
			r.Proofs = c.proofs
			if err := w.svc.Check(ctx, r); id(err) != "error-no-factor-for-call" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: %v", c.proofs, err)
			}
		}
	})
}

// What a line of the surface may say of factors that count.
func TestCheckProofs(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		proofs rpc.Proofs
		asks   twofactor.Policy
		ok     bool
	}{
		{rpc.Proofs{}, twofactor.None, true}, {rpc.Proofs{Not: []string{"email"}}, twofactor.Fresh, true},
		{rpc.Proofs{Only: []string{"totp"}}, twofactor.Ordinary, true},
		{rpc.Proofs{Not: []string{"email"}}, twofactor.None, false}, {rpc.Proofs{Not: []string{"email"}}, twofactor.Login, false},
		{rpc.Proofs{Not: []string{"mail"}}, twofactor.Fresh, false}, {rpc.Proofs{Only: []string{"backup"}}, twofactor.Fresh, false},
		{rpc.Proofs{Only: []string{""}}, twofactor.Fresh, false},
	} {
		if err := w.svc.CheckProofs(c.proofs, c.asks); (err == nil) != c.ok {
			t.Errorf("%v with %v: %v", c.proofs, c.asks, err)
		}
	}
}

// Where mails are kept, every challenge in which a code by e-mail counts says so, and no
// other one; where they are sent, none does.
func TestChallengesSayThatMailsAreKept(t *testing.T) {
	for _, kept := range []bool{false, true} {
		bubble(t, func(t *testing.T, w *world) {
			svc := w.NewFactors(func(o *twofactor.Options) { o.Passwords, o.MailsKept = verifier{}, kept })
			t.Cleanup(svc.Close)
			for i, s := range states() {
				a := s.account(w, fmt.Sprint("u", i))
				for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
					for _, answer := range []string{"", "nonsense"} {
						err := svc.Check(ctx, a.ask(policy(p), code(answer)))
						if id(err) != "totp-required" && id(err) != "totp-invalid" {
							continue
						}
						d := details(t, err)
						if by := strings.Contains(d[strings.Index(d, "availableMethods"):], `"email"`); strings.Contains(d, `"mailKept":true`) != (kept && by) {
							t.Errorf("kept %v, %v, %v: %s", kept, s, p, d)
						}
					}
				}
			}
		})
	}
}

// A demand that is stronger than all that a line takes leaves nothing, not everything: who
// has every factor is refused with each.
func TestADemandBeyondTheLineLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, d := w.account("ann", withEmail).enrol(), device()
		a.enrolPasskey(d)
		proofs := w.svc.AtLeast(rpc.Proofs{Only: []string{twofactor.TOTP}}, twofactor.ByPasskey)
		beyond := func(r *twofactor.Request) { r.Policy, r.Proofs = twofactor.Fresh, proofs }
		key := answered(t, d, a.challenged(fresh))
		time.Sleep(time.Minute)
		for name, text := range map[string]string{"nothing": "", "the app": a.now(0), "the password": digest, "the passkey": key} {
			if got := a.check(beyond, code(text)); got != "error-no-factor-for-call" {
				t.Errorf("%s: %q", name, got)
			}
		}
	})
}
