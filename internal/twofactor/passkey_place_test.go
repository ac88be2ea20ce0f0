package twofactor_test

import (
	"slices"
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Whoever reads the mailbox, or knows the password, takes no key's place: not by adding or
// removing one, not with an app that would open the way to the keys, and not while the
// setting keeps keys from use.
func TestTheMailboxTakesNoKeysPlace(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorMailsPerHour, 100)
		w.Set(settings.TwoFactorMailsAsked, 100)
		a, d := w.account("ann", withEmail), device()
		key := a.enrolPasskey(d)
		steps := map[string]func(r twofactor.Request) error{
			"an app":       func(r twofactor.Request) error { _, err := w.svc.Enrol(ctx, r); return err },
			"another key":  func(r twofactor.Request) error { _, err := w.svc.PasskeyOptions(ctx, r); return err },
			"the last key": func(r twofactor.Request) error { return w.svc.RemovePasskey(ctx, r, key.ID) },
		}
		proofs := map[string]func() string{
			"email": func() string {
				before := w.Mails.Count()
				if _, err := w.svc.SendCode(ctx, a.ask(), "ann"); err != nil || w.Mails.Count() == before {
					t.Fatalf("no code was mailed: %v", err)
				}
				return w.Mails.Code(-1)
			},
			"password": func() string { return digest },
		}
		for _, usable := range []bool{true, false} {
			w.Set(settings.TwoFactorByWebAuthn, usable)
			for name, step := range steps {
				if !usable && name == "an app" {
					continue // the mail is the strongest that is in use then
				}
				for factor, make := range proofs {
					time.Sleep(time.Minute)
					if err := step(a.ask(proof(factor, make()))); err == nil || a.user().Passkey(key.ID) == nil {
						t.Errorf("keys in use %v: %s with %s: %v", usable, name, factor, err)
					}
				}
			}
		}
		w.Set(settings.TwoFactorByWebAuthn, true)
		for _, name := range []string{"an app", "another key"} {
			if err := steps[name](a.ask(a.prove(steps[name](a.ask()), d))); err != nil {
				t.Errorf("%s with the key: %v", name, err)
			}
		}
	})
}

func proof(factor, text string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Proof, r.Proofs.OfFactors = rpc.TextProof(factor, text), true } // as the router says
}

// A22: a key from before a reset of the password proves nothing alone, at no door of its
// own and in no session, also for a login that knew the old password; beside the new one it
// is kept, and alone it alone.
func TestA22KeysOfBeforeAReset(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, d := w.account("ann"), device()
		first, second := a.enrolPasskey(d), a.enrolPasskey(d)
		login := func(r *twofactor.Request) { r.Policy, r.Token = twofactor.Login, "" }
		alone := func() string {
			options, err := w.svc.LoginOptions()
			if err != nil {
				t.Fatal(err)
			}
			r := twofactor.Request{Peer: home, Action: "login", Purpose: "login", Proof: rpc.TextProof("", answered(t, d, written(t, options)))}
			_, err = w.svc.Enter(ctx, r)
			return id(err)
		}
		if got := alone(); got != "" {
			t.Fatal(got)
		}
		old := a.ask(login) // whoever proved the old password a moment ago
		old.Proof = rpc.TextProof(twofactor.WebAuthn, answered(t, d, a.challenged(login)))
		hash := "another"
		if _, err := w.Store.UpdateUser(ctx, a.id, user.Change{Bcrypt: &hash, Factor: user.SuspendPasskeys(time.Now()), At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{
			"alone":                 alone(),
			"beside the old one":    id(w.svc.Check(ctx, old)),
			"in a session that was": a.check(fresh, code(answered(t, d, a.challenged(fresh)))),
		} {
			if got == "" || !a.user().PasskeysSuspended() {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := a.check(login, code(answered(t, d, a.challenged(login)))); got != "" {
			t.Fatalf("beside the new password: %q", got)
		}
		used := a.user()
		if used.Passkey(first.ID).NeedsPassword == used.Passkey(second.ID).NeedsPassword {
			t.Errorf("%+v", used.Passkeys())
		}
		if w.Set(settings.TwoFactorWrongPerHour, 100); alone() != "" {
			t.Error("the key that is kept does not log in")
		}
	})
}

// A22: the last way in is a key that opens this host under the settings in force: where no
// other does, none is removed.
func TestA22TheLastWayInOpens(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*user.Passkey)
		off   string
		last  bool
	}{
		"another that opens":        {},
		"one of another host":       {spoil: func(k *user.Passkey) { k.RPID = "other.example.org" }, last: true},
		"one without verification":  {spoil: func(k *user.Passkey) { k.UserVerified = false }, last: true},
		"one that needs a password": {spoil: func(k *user.Passkey) { k.NeedsPassword = true }, last: true},
		"logins by passkey are off": {off: settings.WebAuthnLogin, last: true},
		"one of another program":    {spoil: func(k *user.Passkey) { k.RPID = "" }},
	} {
		bubble(t, func(t *testing.T, w *world) {
			a, d := w.account("ann"), device()
			going, other := a.enrolPasskey(d), a.enrolPasskey(d)
			_, err := w.Store.UpdateUser(ctx, a.id, user.Change{Bcrypt: new(string), At: time.Now(), Factor: func(s *user.Services) {
				if c.spoil != nil {
					w := s.WebAuthn
					c.spoil(&w.Keys[slices.IndexFunc(w.Keys, func(k user.Passkey) bool { return k.ID == other.ID })])
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if c.off != "" {
				w.Set(c.off, false)
			}
			r := a.ask(func(r *twofactor.Request) { r.Params = []byte(`["x"]`) })
			err = w.svc.RemovePasskey(ctx, r, going.ID)
			r.Proof = rpc.TextProof(twofactor.WebAuthn, answered(t, d, optionsOf(t, err)))
			if err := w.svc.RemovePasskey(ctx, r, going.ID); (id(err) == "webauthn-last-credential") != c.last || !c.last && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// A key that is kept elsewhere than the setting says is not taken, of an account or of
// somebody who makes one.
func TestPasskeysOfAKind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.WebAuthnSignUp, true)
		a, d := w.account("ann"), device()
		for _, kept := range []string{"platform", "cross-platform"} {
			d.Attachment, d.Transports = kept, []string{map[string]string{"platform": "internal", "cross-platform": "usb"}[kept]}
			for _, asked := range []string{settings.WebAuthnAnyKind, "platform", "cross-platform"} {
				w.Set(settings.WebAuthnKind, asked)
				want := "webauthn-key-kind-not-allowed"
				if asked == kept || asked == settings.WebAuthnAnyKind {
					want = ""
				}
				_, err := w.svc.PasskeyOptions(ctx, a.ask())
				options, err := w.svc.PasskeyOptions(ctx, a.ask(a.prove(err, d)))
				if err != nil {
					t.Fatal(err)
				}
				text, err := d.Create(written(t, options))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.svc.AddPasskey(ctx, a.ask(), []byte(text), ""); id(err) != want {
					t.Errorf("%s, where %s is asked for: %v", kept, asked, err)
				}
				options, err = w.svc.SignUpOptions(twofactor.Joining{Username: "new"})
				if err != nil {
					t.Fatal(err)
				}
				if text, err = d.Create(written(t, options)); err != nil {
					t.Fatal(err)
				}
				if _, err := w.svc.Join([]byte(text), ""); id(err) != want {
					t.Errorf("%s, where an account is made and %s is asked for: %v", kept, asked, err)
				}
			}
		}
	})
}
