package twofactor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/passkey"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// WebAuthn is the name of passkeys as a factor.
const WebAuthn = "webauthn"

// passkeyFactor asks for an answer of one of the account's passkeys, which is bound to
// the page it was made on: nobody can ask for it elsewhere and hand it on. A challenge is
// good for one call (docs/adr/0012-passkeys.md).
type passkeyFactor struct {
	Base
	*Service
}

func (passkeyFactor) Name() string                 { return WebAuthn }
func (passkeyFactor) Strength() Strength           { return ByPasskey }
func (passkeyFactor) Named() bool                  { return true }
func (passkeyFactor) Unguessable() bool            { return true }
func (passkeyFactor) SwitchedOn(u *user.User) bool { return u.PasskeysEnabled() }

// Offered needs a page on which browsers make passkeys.
func (f passkeyFactor) Offered(*user.User) bool { return f.party != nil && f.passkeysOn() }

// Enabled does not ask whether there is such a page, and whether the keys were made for
// it: a wrong ROOT_URL must not let anybody in with less.
func (f passkeyFactor) Enabled(u *user.User) bool { return f.passkeysOn() && u.PasskeysEnabled() }

func (s *Service) passkeysOn() bool { return s.config.Bool(settings.TwoFactorByWebAuthn) }

// verification is what the setting asks of authenticators.
func (s *Service) verification() passkey.Verification {
	if s.config.String(settings.WebAuthnVerification) == string(passkey.Preferred) {
		return passkey.Preferred
	}
	return passkey.Required
}

// Reads tells an answer of an authenticator from a code: no code begins with a brace.
func (passkeyFactor) Reads(p rpc.Proof) bool {
	return strings.HasPrefix(strings.TrimSpace(p.Text()), "{")
}

// Prepare puts the options of the challenge into the details, and what it is for. There
// are none over the budget of wrong answers, and none for a page without passkeys.
func (f passkeyFactor) Prepare(_ context.Context, r Request, d *Details, send bool) error {
	if f.party == nil || !send {
		return nil
	}
	asked, _ := f.Sentence(r.Purpose)
	keys := r.User.Passkeys()
	if r.Policy != Login {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k user.Passkey) bool { return k.NeedsPassword })
	}
	options := f.party.Request(f.challengeFor(answering, "", callParts(r)...), keys, f.verification(), challengeLife)
	if asked != "" {
		d.After = append(d.After, ejson.Field{Key: "asked", Value: asked})
	}
	d.After = append(d.After, ejson.Field{Key: "publicKey", Value: options})
	return nil
}

// Verify spends the challenge of an answer that is right, and good for the call.
func (f passkeyFactor) Verify(ctx context.Context, r Request) (string, error) {
	a, err := passkey.ReadAssertion(answerText(r.Proof))
	if err != nil {
		return "", nil // not an answer at all, which is counted and says nothing
	}
	c, good := f.openChallenge(answering, a.Challenge, callParts(r)...)
	if !good {
		return "", nil
	}
	beside := ""
	if r.Policy == Login { // whose caller has proved the password
		beside = r.User.PasswordHash()
	}
	return f.use(ctx, r, a, c, f.verification() == passkey.Required, beside)
}

// use verifies an answer to a challenge that was opened, and spends it; beside is the hash
// of the password that was proved beside it. It is "" for a wrong one, and for one of a key
// that needs the password without it.
func (f passkeyFactor) use(ctx context.Context, r Request, a *passkey.Assertion, c challenge, verified bool, beside string) (string, error) {
	key := r.User.Passkey(a.ID)
	if key == nil || f.party == nil {
		return "", nil
	}
	got, err := f.party.Verify(a, a.Challenge, r.User.PasskeyHandle(), *key, verified)
	if err != nil {
		return "", nil
	}
	err = f.store.UsePasskey(ctx, r.User.ID, user.PasskeyUse{
		ID: key.ID, PublicKey: key.PublicKey, Counter: got.Counter, BackedUp: got.BackedUp, Password: beside, Challenge: c.id, Until: c.until, At: f.now(),
	})
	switch {
	case err == nil:
		if !r.User.ResetDue(WebAuthn).IsZero() {
			f.ended(ctx, r, r.User, PasskeysResetStopped)
		}
		return WebAuthn, nil
	case errors.Is(err, dberr.Duplicate):
		f.announce(context.WithoutCancel(ctx), r, r.User, PasskeyCloned.about("key", key.DisplayName()))
		return "", nil
	case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
		return "", nil
	}
	return "", fmt.Errorf("noting the use of a passkey: %w", err)
}

// answerText is the JSON of an answer: the text that it was sent as, or the object itself.
func answerText(p rpc.Proof) []byte {
	if text := p.Text(); text != "" {
		return []byte(text)
	}
	return p.Value
}
