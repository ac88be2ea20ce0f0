package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/netkey"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// askForLink is the common part of the calls by which a stranger makes the
// server write a mail: shape, the asker's budget, then the rest unseen, so that
// neither the answer nor its time tells whether the account exists (S080). by is
// the account that asks in its own session, or nil.
func (s *Service) askForLink(ctx context.Context, p *rpc.Peer, act string, by *user.User, email string,
	job func(context.Context, *user.User, string) error) error {
	if network := netkey.Of(p.Address); network != "" {
		if err := s.mailBudget("link/"+network, linksPerAddress); err != nil {
			s.record(p, act, "", err)
			return err
		}
	}
	find := func(ctx context.Context) error {
		u, to, err := s.byAddress(ctx, by, email)
		id := ""
		if u != nil {
			id = u.ID
		}
		if err == nil {
			err = s.mailBudget("links-of/"+u.ID, linksPerAccount)
		}
		if err == nil {
			err = job(ctx, u, to)
		}
		s.record(p, act, id, err)
		return err
	}
	if !s.set.Bool(settings.AmbiguousErrors) {
		return find(ctx)
	}
	return s.background(ctx, func(ctx context.Context) error {
		if err := find(ctx); err != nil {
			if _, refusal := fault.From(err); !refusal {
				return err
			}
		}
		return nil
	})
}

// errNoAccount answers for an address that nobody has, when specific texts are on.
var errNoAccount = fault.Num(403, "User not found")

// byAddress finds the active account with an address, and the address as the
// account spells it. One that waits for its proof is found by its own account only.
func (s *Service) byAddress(ctx context.Context, by *user.User, email string) (*user.User, string, error) {
	key := lookupKey(email)
	if key == "" {
		return nil, "", errNoAccount
	}
	if by != nil && by.PendingEmail() != "" && user.Key(by.PendingEmail()) == key {
		return by, by.PendingEmail(), nil
	}
	u, err := s.store.UserByEmail(ctx, key)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, "", errNoAccount
	case err != nil:
		return nil, "", err
	case !u.IsActive() || spelled(u, email) == "":
		return nil, "", errNoAccount
	}
	return u, spelled(u, email), nil
}

// spelled is the address as the account has it, or "".
func spelled(u *user.User, email string) string {
	key := lookupKey(email)
	for _, e := range u.Emails {
		if user.Key(e.Address) == key {
			return e.Address
		}
	}
	return ""
}

// inForce tells whether the account may be reached at that address of its own.
func inForce(u *user.User, address string) bool {
	return slices.ContainsFunc(u.Emails, func(e user.Email) bool { return user.Key(e.Address) == user.Key(address) && u.InForce(e) })
}

// ForgotPassword mails a link that sets a new password to the stored spelling
// of an address that is in force: a proved one, or one of an account that never
// proved any. The answer is the same whether or not anybody has the address.
// Errors: ErrResetDisabled, too-many-requests.
func (s *Service) ForgotPassword(ctx context.Context, p *rpc.Peer, email string) error {
	if !s.set.Bool(settings.PasswordReset) {
		return ErrResetDisabled
	}
	return s.askForLink(ctx, p, "password_reset_requested", nil, email, func(ctx context.Context, u *user.User, to string) error {
		if !inForce(u, to) {
			return errNoAccount
		}
		return s.sendReset(ctx, u, to)
	})
}

// SendConfirmation mails one more verification link for an address that is not
// verified yet; the answer is the same for every address. by is the account in
// whose session it was asked, or nil: only there a link is mailed to an address
// that is to take the place of a proved one.
func (s *Service) SendConfirmation(ctx context.Context, p *rpc.Peer, by *user.User, email string) error {
	return s.askForLink(ctx, p, "verification_requested", by, email, func(ctx context.Context, u *user.User, to string) error {
		if slices.Contains(u.VerifiedEmails(), to) {
			return nil
		}
		own := by != nil && by.ID == u.ID
		if own {
			ctx = inside(ctx)
		}
		return s.sendVerification(ctx, u, to, own)
	})
}

// sendEnrolment mails the first link of an account that somebody else made.
func (s *Service) sendEnrolment(ctx context.Context, u *user.User, address string) error {
	token := random.Secret()
	e := &user.ResetToken{Token: linkPrefix + HashToken(token), Email: address, When: s.time(), Reason: "enroll"}
	if _, err := s.change(ctx, u.ID, user.Change{Enroll: e}); err != nil {
		return err
	}
	return s.link(ctx, TemplateEnroll, "enroll-account", address, token, EnrollLife)
}

// Proven is an account before and after a link proved an address. Who logs it in
// decides by Before whether a second factor stood in the way.
type Proven struct {
	Before, After *user.User
	// Replaced tells that the address took the place of proved ones.
	Replaced bool
}

// ResetPassword sets a new password with the token of a reset or enrol link,
// marks the address as verified, ends every login token, forgets remembered
// trust and drops an address that waited for its proof: a thief may have asked
// for that one. Passkeys of before are suspended until one is used beside the new password
// (suspendKeys); those of when no address was proved go (dropKeys). It logs nobody in.
//
// Errors: ErrTokenExpired (unknown, used, old, deactivated account),
// ErrTokenAddress, ErrPolicy (the link stays good), too-many-requests.
func (s *Service) ResetPassword(ctx context.Context, p *rpc.Peer, token string, pw Password) (Proven, error) {
	var got Proven
	err := retry(func() (err error) {
		got, err = s.resetPassword(ctx, token, pw)
		return err
	})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrTokenExpired.Because(err)
	}
	id := ""
	if got.Before != nil {
		id = got.Before.ID
	}
	s.record(p, "password_reset", id, err)
	if err != nil {
		return Proven{}, err
	}
	s.passwordChanged(ctx, p, got.After, also("Your password was reset with a link from a mail. You were logged out everywhere and all access tokens ended.",
		s.keysChanged(p, got.After.ID, got.Before, got.After)))
	return got, nil
}

func (s *Service) resetPassword(ctx context.Context, token string, pw Password) (Proven, error) {
	hash, clear, ok := linkForms(token)
	if !ok {
		return Proven{}, ErrTokenExpired
	}
	u, err := s.store.UserByResetToken(ctx, hash, clear)
	if err != nil {
		return Proven{}, err
	}
	got := Proven{Before: u}
	r := s.liveReset(u, hash, clear)
	if r == nil {
		_ = s.Sweep(ctx) // seen dead, it stays dead, even for a clock that jumps back
	}
	if r == nil || !u.IsActive() {
		return got, ErrTokenExpired
	}
	emails := slices.Clone(u.Emails)
	i := slices.IndexFunc(emails, func(e user.Email) bool { return user.Key(e.Address) == user.Key(r.Email) })
	if i < 0 || !u.InForce(emails[i]) {
		return got, ErrTokenAddress
	}
	emails[i].Verified = true
	if err := s.acceptable(pw); err != nil {
		return got, err
	}
	bcrypt, err := s.passwords.hasher.hashFor(ctx, owner(u.ID), pw)
	if err != nil {
		return got, err
	}
	c := user.Change{
		IfResetToken: r.Token, IfEmails: &u.Emails,
		Bcrypt: &bcrypt, ResetAt: ptr(s.time()), Emails: &emails, RemoveTokens: true, ClearTrust: true,
		Pending: &user.PendingEmail{}, Verifications: ptr(proofsWithout(u, emails[i].Address, u.PendingEmail())),
	}
	if len(u.VerifiedEmails()) == 0 { // as in firstProof
		s.dropKeys(u, &c)
	}
	s.suspendKeys(u, &c)
	got.After, err = s.change(ctx, u.ID, c)
	return got, err
}

// liveReset is the pending reset or enrolment that a token stands for, unless it
// is too old.
func (s *Service) liveReset(u *user.User, hash, clear string) *user.ResetToken {
	p := u.Services.Password
	if p == nil {
		return nil
	}
	alive := func(r user.ResetToken, life time.Duration) bool {
		return (r.Token == hash || clear != "" && r.Token == clear) && s.now().Sub(r.When) < life
	}
	for _, r := range p.Resets() {
		if alive(r, ResetLife) {
			return &r
		}
	}
	if p.Enroll != nil && alive(*p.Enroll, EnrollLife) {
		return p.Enroll
	}
	return nil
}
