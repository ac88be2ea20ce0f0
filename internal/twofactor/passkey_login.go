package twofactor

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/passkey"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// LoginOptions are the options of a login by passkey that names nobody. Refusals:
// ErrPasskeysOff, ErrPasskeyLoginOff.
func (s *Service) LoginOptions() (ejson.Doc, error) {
	if err := s.mayEnter(); err != nil {
		return nil, err
	}
	return s.party.Request(s.challengeFor(entering, ""), nil, passkey.Required, challengeLife), nil
}

func (s *Service) mayEnter() error {
	switch {
	case s.party == nil || !s.passkeysOn() || !s.config.Bool(settings.TwoFactorEnabled):
		return ErrPasskeysOff
	case !s.config.Bool(settings.WebAuthnLogin):
		return ErrPasskeyLoginOff
	}
	return nil
}

// Enter finds the account of an answer to LoginOptions, in r.Proof, and checks it: with
// the person verified, it is both factors of a login. The answer is counted against the
// account before it is verified. Refusals: ErrPasskeysOff, ErrPasskeyLoginOff, and
// ErrPasskeyLogin for everything else.
func (s *Service) Enter(ctx context.Context, r Request) (*user.User, error) {
	if err := s.mayEnter(); err != nil {
		return nil, err
	}
	e := entry{passkeyFactor: passkeyFactor{Base{}, s}}
	var err error
	if e.answer, err = passkey.ReadAssertion(answerText(r.Proof)); err != nil || e.answer.Handle == "" {
		return nil, s.strayed(r)
	}
	var good bool
	if e.challenge, good = s.openChallenge(entering, e.answer.Challenge); !good {
		return nil, s.strayed(r)
	}
	u, err := s.store.UserByPasskeys(ctx, e.answer.Handle)
	if err == nil {
		u, err = s.Present(ctx, u)
	}
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, s.strayed(r)
	case err != nil:
		return nil, fmt.Errorf("finding the account of a passkey: %w", err)
	}
	r.User, r.Policy = u, Login
	a, err := s.prove(ctx, r, e)
	switch {
	case err != nil:
		return nil, s.refuse(r, WebAuthn, err)
	case a.accepted == "" || !u.IsActive():
		return nil, s.refuse(r, WebAuthn, ErrPasskeyLogin)
	}
	r.Passed = &rpc.Passed{Factor: a.accepted}
	s.recovered(ctx, r, a.accepted)
	s.record(r, event{act: "factor_check", outcome: "ok", factor: a.accepted, user: u.ID})
	return u, nil
}

// strayed books a login that fits no account.
func (s *Service) strayed(r Request) error {
	s.record(r, event{act: "factor_check", outcome: "refused", reason: ErrPasskeyLogin.ID(), factor: WebAuthn})
	return ErrPasskeyLogin
}

// entry is the factor as a login of its own has it: another ceremony, with the person
// verified now and when the key was made.
type entry struct {
	passkeyFactor
	answer    *passkey.Assertion
	challenge challenge
}

// Verify implements Factor.
func (e entry) Verify(ctx context.Context, r Request) (string, error) {
	if k := r.User.Passkey(e.answer.ID); k == nil || !k.UserVerified {
		return "", nil
	}
	return e.use(ctx, r, e.answer, e.challenge, true, "")
}
