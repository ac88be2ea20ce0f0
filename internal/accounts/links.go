package accounts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Budgets of links by mail that anybody may ask for.
const (
	linksPerAccount = 5
	linksPerAddress = 20
	linksWindow     = time.Hour
)

// mailBudget counts one mail for a key and tells whether it is within its hour's budget.
func (s *Service) mailBudget(key string, most int) bool {
	now := s.now()
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	if s.blocks.full(key, now, linksWindow, most) {
		return false
	}
	list, _ := s.blocks.tries.get(key)
	s.blocks.tries.put(key, append(list, now))
	return true
}

// askForLink is the common part of the calls by which a stranger makes the
// server write a mail: shape, the asker's budget, then the rest unseen, so that
// neither the answer nor its time tells whether the account exists (S080).
func (s *Service) askForLink(ctx context.Context, p *rpc.Peer, act, email string, job func(context.Context, *user.User, string) error) error {
	if network := ratelimit.AddressKey(p.Address); network != "" && !s.mailBudget("link/"+network, linksPerAddress) {
		err := ratelimit.TooMany(linksWindow / linksPerAddress)
		s.record(p, act, "", err)
		return err
	}
	find := func(ctx context.Context) error {
		u, err := s.byAddress(ctx, email)
		id := ""
		if u != nil {
			id = u.ID
		}
		if err == nil && s.mailBudget("links-of/"+u.ID, linksPerAccount) {
			err = job(ctx, u, spelled(u, email))
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

// byAddress finds the active account with an address.
func (s *Service) byAddress(ctx context.Context, email string) (*user.User, error) {
	missing := fault.Num(403, "User not found")
	key := lookupKey(email)
	if key == "" {
		return nil, missing
	}
	u, err := s.store.UserByEmail(ctx, key)
	if errors.Is(err, dberr.NotFound) || err == nil && (!u.IsActive() || spelled(u, email) == "") {
		return nil, missing
	}
	return u, err
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

// ForgotPassword mails a link that sets a new password to the stored spelling
// of an address. The answer is the same whether or not anybody has the address.
// Errors: ErrResetDisabled, too-many-requests.
func (s *Service) ForgotPassword(ctx context.Context, p *rpc.Peer, email string) error {
	if !s.set.Bool(settings.PasswordReset) {
		return ErrResetDisabled
	}
	return s.askForLink(ctx, p, "password_reset_requested", email, func(ctx context.Context, u *user.User, to string) error {
		token := random.Secret()
		r := &user.ResetToken{Token: linkPrefix + HashToken(token), Email: to, When: s.time(), Reason: "reset"}
		if _, err := s.change(ctx, u.ID, user.Change{Reset: r}); err != nil {
			return err
		}
		return s.link(ctx, TemplateReset, "reset-password", to, u, token, ResetLife)
	})
}

// SendConfirmation mails a fresh verification link for an address that is not
// verified yet; the answer is the same for every address.
func (s *Service) SendConfirmation(ctx context.Context, p *rpc.Peer, email string) error {
	return s.askForLink(ctx, p, "verification_requested", email, func(ctx context.Context, u *user.User, to string) error {
		if slices.Contains(u.VerifiedEmails(), to) {
			return nil
		}
		return s.sendVerification(ctx, u, to)
	})
}

// sendVerification makes a verification token for the address, in the place of
// an older one, and mails it.
func (s *Service) sendVerification(ctx context.Context, u *user.User, address string) error {
	token := random.Secret()
	v := &user.VerificationToken{Token: linkPrefix + HashToken(token), Address: address, When: s.time()}
	if _, err := s.change(ctx, u.ID, user.Change{ClearVerification: address, AddVerification: v}); err != nil {
		return err
	}
	return s.link(ctx, TemplateVerify, "verify-email", address, u, token, VerificationLife)
}

// sendEnrolment mails the first link of an account that somebody else made.
func (s *Service) sendEnrolment(ctx context.Context, u *user.User, address string) error {
	token := random.Secret()
	e := &user.ResetToken{Token: linkPrefix + HashToken(token), Email: address, When: s.time(), Reason: "enroll"}
	if _, err := s.change(ctx, u.ID, user.Change{Enroll: e}); err != nil {
		return err
	}
	return s.link(ctx, TemplateEnroll, "enroll-account", address, u, token, EnrollLife)
}

// Proven is an account before and after a link proved an address. Who logs it in
// decides by Before whether a second factor stood in the way.
type Proven struct{ Before, After *user.User }

// ResetPassword sets a new password with the token of a reset or enrol link,
// marks the address as verified, ends every login token and forgets remembered
// trust. It logs nobody in.
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
	s.passwordChanged(ctx, p, got.After, "Your password was reset with a link from a mail. You were logged out everywhere and all access tokens ended.")
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
	if i < 0 {
		return got, ErrTokenAddress
	}
	emails[i].Verified = true
	if err := s.acceptable(pw); err != nil {
		return got, err
	}
	bcrypt, err := s.hasher.hash(ctx, pw)
	if err != nil {
		return got, err
	}
	got.After, err = s.change(ctx, u.ID, user.Change{
		IfResetToken: r.Token, IfEmails: &u.Emails,
		Bcrypt: &bcrypt, Emails: &emails, RemoveTokens: true, ClearTrust: true, ClearVerification: emails[i].Address,
	})
	return got, err
}

// liveReset is the pending reset or enrolment that a token stands for, unless it
// is too old.
func (s *Service) liveReset(u *user.User, hash, clear string) *user.ResetToken {
	p := u.Services.Password
	if p == nil {
		return nil
	}
	for _, c := range []struct {
		r    *user.ResetToken
		life time.Duration
	}{{p.Reset, ResetLife}, {p.Enroll, EnrollLife}} {
		if c.r != nil && (c.r.Token == hash || clear != "" && c.r.Token == clear) && s.now().Sub(c.r.When) < c.life {
			return c.r
		}
	}
	return nil
}

// VerifyEmail marks the address of a verification link as verified. It logs
// nobody in. Errors: ErrVerifyExpired, ErrVerifyAddress.
func (s *Service) VerifyEmail(ctx context.Context, p *rpc.Peer, token string) (Proven, error) {
	var got Proven
	err := retry(func() (err error) {
		got, err = s.verifyEmail(ctx, token)
		return err
	})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrVerifyExpired.Because(err)
	}
	id := ""
	if got.Before != nil {
		id = got.Before.ID
	}
	s.record(p, "email_verified", id, err)
	if err != nil {
		return Proven{}, err
	}
	return got, nil
}

func (s *Service) verifyEmail(ctx context.Context, token string) (Proven, error) {
	hash, clear, ok := linkForms(token)
	if !ok {
		return Proven{}, ErrVerifyExpired
	}
	u, err := s.store.UserByVerificationToken(ctx, hash, clear)
	if err != nil {
		return Proven{}, err
	}
	got := Proven{Before: u}
	var v *user.VerificationToken
	if u.Services.Email != nil {
		for i := range u.Services.Email.VerificationTokens {
			if t := &u.Services.Email.VerificationTokens[i]; t.Token == hash || clear != "" && t.Token == clear {
				v = t
			}
		}
	}
	// The clear tokens of an adopted database may lack a date; Meteor's never end.
	old := func(t user.VerificationToken) bool {
		return strings.HasPrefix(t.Token, linkPrefix) && s.now().Sub(t.When) >= VerificationLife
	}
	if v == nil || !u.IsActive() {
		return got, ErrVerifyExpired
	}
	if old(*v) {
		younger := func(t user.VerificationToken) bool { return t.Address == v.Address && !old(t) }
		if !slices.ContainsFunc(u.Services.Email.VerificationTokens, younger) { // seen dead, it stays dead
			_, _ = s.change(ctx, u.ID, user.Change{IfVerification: v.Token, ClearVerification: v.Address})
		}
		return got, ErrVerifyExpired
	}
	emails := slices.Clone(u.Emails)
	i := slices.IndexFunc(emails, func(e user.Email) bool { return e.Address == v.Address })
	if i < 0 {
		return got, ErrVerifyAddress
	}
	emails[i].Verified = true
	got.After, err = s.change(ctx, u.ID, user.Change{
		IfVerification: v.Token, IfEmails: &u.Emails, Emails: &emails, ClearVerification: v.Address,
	})
	return got, err
}
