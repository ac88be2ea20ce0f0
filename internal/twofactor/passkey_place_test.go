package twofactor_test

import (
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
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
