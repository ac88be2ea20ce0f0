package twofactor

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// Enrolment is a secret that waits for its first code. It is shown once.
type Enrolment struct {
	// Secret is base32 without padding, 52 characters (256 bit).
	Secret string
	// URL is what authenticator apps read: otpauth, with the issuer.
	URL string
}

// Enrol makes a pending secret, in place of an earlier one; it lives for ten
// minutes and ten wrong codes. The strongest factor that is on is asked first,
// the password fallback if none is. Refusals: ErrInvalidUser without a user
// name, ErrAlreadyEnabled (the secret in force stays), and those of Check.
func (s *Service) Enrol(ctx context.Context, r Request) (Enrolment, error) {
	u, err := s.named(ctx, r)
	if err != nil {
		return Enrolment{}, err
	}
	return s.enrol(ctx, r, u, s.issuerName(""))
}

// enrol is Enrol for an account that was just read, whatever it is called, with the name
// that authenticator apps show.
func (s *Service) enrol(ctx context.Context, r Request, u *user.User, issuer string) (Enrolment, error) {
	if u.TOTPEnabled() {
		return Enrolment{}, ErrAlreadyEnabled
	}
	r.User, r.Policy = u, Fresh
	if err := s.Check(ctx, r); err != nil {
		return Enrolment{}, err
	}
	plain, url, err := newSecret(issuer, accountName(u))
	if err != nil {
		return Enrolment{}, err
	}
	err = s.store.SetPendingTOTP(ctx, u.ID, s.key.Seal(sealTOTP, u.ID, plain), r.Token, u.ProofState(r.Token), s.now())
	switch {
	case errors.Is(err, dberr.Conflict):
		return Enrolment{}, s.overtaken(ctx, r)
	case err != nil:
		return Enrolment{}, fmt.Errorf("keeping a pending secret: %w", err)
	}
	s.record(r, event{act: "factor_pending", outcome: "ok", factor: TOTP, user: u.ID})
	return Enrolment{Secret: plain, URL: url}, nil
}

// overtaken says why a pending secret could not be kept: the authenticator was
// switched on at this moment, or what was proved has changed since.
func (s *Service) overtaken(ctx context.Context, r Request) error {
	u, err := s.reload(ctx, r)
	switch {
	case err != nil:
		return err
	case u.TOTPEnabled():
		return ErrAlreadyEnabled
	}
	r.User, r.Policy, r.Proof, r.Passed = u, Fresh, rpc.Proof{}, nil
	return s.Check(ctx, r)
}

// Confirm switches the authenticator on with the first code of the pending
// secret in r.Proof, spends its time step, and returns the twelve backup codes,
// which are shown only now. It asks no other factor: Enrol did, and the pending
// secret is good only for the login token that Enrol ran under, and as long as
// password, factors and addresses are what they were. Every wrong answer, and
// every answer over a budget or under another state, is ErrInvalidTOTP.
func (s *Service) Confirm(ctx context.Context, r Request) ([]string, error) {
	u, err := s.reload(ctx, r)
	if err != nil {
		return nil, err
	}
	t := u.Services.TOTP
	if u.Username == "" && (t == nil || t.TempSecret == "") {
		return nil, ErrInvalidUser
	}
	if !r.Proof.Given() || t == nil || t.Enabled || t.TempSecret == "" || t.TempBound == "" || t.TempBound != u.ProofState(r.Token) {
		return nil, s.refuse(r, TOTP, ErrInvalidTOTP)
	}
	id, _, err := s.count(ctx, r, TOTP, 0)
	switch {
	case errors.Is(err, dberr.Exhausted):
		return nil, s.limited(r, ErrInvalidTOTP)
	case err != nil:
		return nil, fmt.Errorf("counting an answer: %w", err)
	}
	now := s.now()
	switch err := s.store.CountPendingTOTP(ctx, u.ID, t.TempSecret, now.Add(-pendingLife), pendingTries); {
	case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.Exhausted):
		if err := s.store.DropPendingTOTP(ctx, u.ID, t.TempSecret); err != nil && !errors.Is(err, dberr.Conflict) {
			return nil, fmt.Errorf("dropping a pending secret: %w", err)
		}
		return nil, s.refuse(r, TOTP, ErrInvalidTOTP)
	case err != nil:
		return nil, fmt.Errorf("counting an answer to a pending secret: %w", err)
	}
	at := s.pendingStep(r, t.TempSecret)
	if at < 0 {
		return nil, s.refuse(r, TOTP, ErrInvalidTOTP)
	}
	codes, salt, stored := s.newBackupCodes(u.ID)
	factor := user.TOTP{Enabled: true, Secret: t.TempSecret, LastStep: at, HashedBackup: stored, BackupSalt: salt}
	after, err := s.store.EnableTOTP(ctx, u.ID, t.TempSecret, factor, r.Token, now)
	switch {
	case errors.Is(err, dberr.Conflict):
		return nil, s.refuse(r, TOTP, ErrInvalidTOTP) // dropped or confirmed by somebody else
	case err != nil:
		return nil, fmt.Errorf("switching an authenticator on: %w", err)
	}
	// The factor is on: the owner must get the codes now, whatever the rest does.
	_ = s.store.Succeeded(ctx, u.ID, id, Spent{}, now)
	s.recovered(ctx, Request{User: after, Peer: r.Peer, Action: r.Action}, TOTP)
	s.settle(ctx, r, u, after, TOTPEnabled)
	return codes, nil
}

// pendingStep is the newest time step whose code the answer is, or -1.
func (s *Service) pendingStep(r Request, pending string) int64 {
	code := r.Proof.Typed()
	if !sixDigits(code) {
		return -1
	}
	plain, ok := s.openSecret(r, pending)
	if !ok {
		return -1
	}
	steps := s.matches(plain, code)
	if len(steps) == 0 {
		return -1
	}
	return steps[len(steps)-1]
}

// Disable switches the authenticator off with a code of it, or a backup code, in
// r.Proof. It is false when the factor is not on, the code is wrong or the budget
// of wrong ones is used up, as in Rocket.Chat.
func (s *Service) Disable(ctx context.Context, r Request) (bool, error) {
	u, ok, err := s.proveTOTP(ctx, r)
	if err != nil || !ok {
		return false, err
	}
	return s.switchOff(ctx, r, u)
}

// switchOff is Disable after a proof.
func (s *Service) switchOff(ctx context.Context, r Request, u *user.User) (bool, error) {
	after, err := s.store.DisableTOTP(ctx, u.ID, u.Services.TOTP.Secret, r.Token, s.now())
	switch {
	case errors.Is(err, dberr.Conflict):
		return false, nil // switched off by somebody else meanwhile
	case err != nil:
		return false, fmt.Errorf("switching an authenticator off: %w", err)
	}
	s.settle(ctx, r, u, after, TOTPDisabled)
	return true, nil
}

// Regenerate replaces the backup codes as a set, with a code of the
// authenticator or a backup code in r.Proof. It is nil for a wrong code and over
// the budget, as in Rocket.Chat; ErrInvalidTOTP when the factor is not on.
func (s *Service) Regenerate(ctx context.Context, r Request) ([]string, error) {
	u, err := s.named(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case !u.TOTPEnabled():
		return nil, ErrInvalidTOTP
	}
	u, ok, err := s.proveTOTP(ctx, r)
	if err != nil || !ok {
		return nil, err
	}
	codes, salt, stored := s.newBackupCodes(u.ID)
	err = s.store.ReplaceBackupCodes(ctx, u.ID, u.Services.TOTP.Secret, salt, stored)
	switch {
	case errors.Is(err, dberr.Conflict):
		return nil, nil // switched off by somebody else meanwhile
	case err != nil:
		return nil, fmt.Errorf("replacing backup codes: %w", err)
	}
	// The new codes are in force: the owner must get them, and trust given before
	// goes with the old ones.
	if err := s.store.ClearTrust(context.WithoutCancel(ctx), u.ID); err != nil {
		s.record(r, event{act: "trust_cleared", outcome: "error", user: u.ID})
	}
	s.tell(u.ID, user.FieldFactors, user.FieldTrust)
	s.announce(context.WithoutCancel(ctx), r, u, CodesReplaced)
	return codes, nil
}

// Remaining is how many backup codes are left; ErrInvalidTOTP when the
// authenticator is not on.
func (s *Service) Remaining(ctx context.Context, r Request) (int, error) {
	u, err := s.named(ctx, r)
	switch {
	case err != nil:
		return 0, err
	case !u.TOTPEnabled():
		return 0, ErrInvalidTOTP
	}
	return len(u.Services.TOTP.HashedBackup), nil
}

// proveTOTP asks for a code of the authenticator that is on, whatever the
// settings say: it is the key to its own switch. The user returned is as of
// after the proof, which may have sealed an adopted secret.
func (s *Service) proveTOTP(ctx context.Context, r Request) (*user.User, bool, error) {
	u, err := s.reload(ctx, r)
	if err != nil || !u.TOTPEnabled() {
		return nil, false, err
	}
	r.User = u
	if !r.Proof.Given() {
		return nil, false, nil
	}
	a, err := s.prove(ctx, r, totpFactor{Base{}, s})
	switch {
	case err != nil:
		return nil, false, s.refuse(r, TOTP, err)
	case a.limited:
		_ = s.limited(r, ErrMaxAttempts)
		return nil, false, nil
	case a.accepted == "":
		_ = s.refuse(r, TOTP, ErrInvalidTOTP) // recorded; the wire answer is the flow's own
		return nil, false, nil
	}
	s.record(r, event{act: "factor_check", outcome: "ok", factor: a.accepted, user: u.ID})
	u, err = s.reload(ctx, r)
	if err != nil || !u.TOTPEnabled() {
		return nil, false, err
	}
	return u, true, nil
}

// limited books an answer that was not compared, and hands on what the flow says.
func (s *Service) limited(r Request, err error) error {
	s.record(r, event{act: "factor_check", outcome: "limited", reason: ErrMaxAttempts.ID(), factor: TOTP, user: r.User.ID})
	return err
}

// named is the caller's account, which needs a user name.
func (s *Service) named(ctx context.Context, r Request) (*user.User, error) {
	u, err := s.reload(ctx, r)
	if err == nil && u.Username == "" {
		return nil, ErrInvalidUser
	}
	return u, err
}
