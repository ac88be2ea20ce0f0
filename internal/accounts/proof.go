package accounts

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// VerifyEmail marks the address of a verification link as verified; one that
// waited takes the place of the others in the same write. l is the login of the
// connection that calls, or the zero value. It logs nobody in.
//
// The first proof of an account ends every session and every personal access
// token but the login l, and forgets trust: until then nobody knows whether the
// one who registered the address owns it. For the same reason the mail factor is
// switched on again where somebody switched it off before the proof, unless the
// proof came in a session of the account.
//
// Errors: ErrVerifyExpired, ErrVerifyAddress (also when another account proved
// the address first), ErrProveInSession.
func (s *Service) VerifyEmail(ctx context.Context, p *rpc.Peer, l rpc.Login, token string) (Proven, error) {
	var got Proven
	err := retry(func() (err error) {
		got, err = s.verifyEmail(ctx, l, token)
		return err
	})
	switch {
	case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
		err = ErrVerifyExpired.Because(err)
	case errors.Is(err, dberr.DuplicateEmail):
		err = ErrVerifyAddress.Because(err)
	}
	id := ""
	if got.Before != nil {
		id = got.Before.ID
	}
	s.record(p, "email_verified", id, err)
	if err != nil {
		return Proven{}, err
	}
	s.proved(ctx, p, got)
	s.keysNotice(ctx, p, got.Before, got.After)
	return got, nil
}

// proved ends what the proof made void and tells of an address that was replaced.
func (s *Service) proved(ctx context.Context, p *rpc.Peer, got Proven) {
	if got.Replaced {
		s.record(p, "email_changed", got.After.ID, nil)
		s.notice(ctx, p, got.After, provedOf(got.Before), "Your e-mail address was changed",
			"The new e-mail address of your account was confirmed and is in force now. If this was not you, ask your administrator for help.")
	}
	if got.Replaced || len(got.Before.VerifiedEmails()) == 0 {
		s.forgetCodes(ctx, got.After.ID)
	}
}

func (s *Service) verifyEmail(ctx context.Context, l rpc.Login, token string) (Proven, error) {
	hash, clear, ok := linkForms(token)
	if !ok {
		return Proven{}, ErrVerifyExpired
	}
	u, err := s.store.UserByVerificationToken(ctx, hash, clear)
	if err != nil {
		return Proven{}, err
	}
	got := Proven{Before: u}
	i := slices.IndexFunc(proofs(u), func(t user.VerificationToken) bool { return t.Token == hash || clear != "" && t.Token == clear })
	if i < 0 || !u.IsActive() {
		return got, ErrVerifyExpired
	}
	v := proofs(u)[i]
	if s.proofTooOld(v) { // seen dead, it stays dead
		_ = s.editVerifications(ctx, u.ID, func(list []user.VerificationToken) ([]user.VerificationToken, bool) {
			return slices.DeleteFunc(list, func(t user.VerificationToken) bool { return t.Token == v.Token }), true
		})
		return got, ErrVerifyExpired
	}
	c, replaced, err := s.proofOf(u, l, v)
	if err != nil {
		return got, err
	}
	got.Replaced = replaced
	got.After, err = s.change(ctx, u.ID, c)
	return got, err
}

// proofTooOld tells whether a link has expired. The clear tokens of an adopted
// database may lack a date; Meteor's never end.
func (s *Service) proofTooOld(t user.VerificationToken) bool {
	return strings.HasPrefix(t.Token, linkPrefix) && s.now().Sub(t.When) >= VerificationLife
}

// proofOf is the one write that a proof is.
func (s *Service) proofOf(u *user.User, l rpc.Login, v user.VerificationToken) (c user.Change, replaced bool, err error) {
	emails, active := slices.Clone(u.Emails), true
	i := slices.IndexFunc(emails, func(e user.Email) bool { return e.Address == v.Address })
	c = user.Change{
		IfVerification: v.Token, IfEmails: &u.Emails, IfActive: &active,
		Emails: &emails, Verifications: ptr(proofsWithout(u, v.Address)),
	}
	switch {
	case i >= 0:
		emails[i].Verified = true
		if len(u.VerifiedEmails()) == 0 {
			if err := s.firstProof(u, l, &c); err != nil {
				return c, false, err
			}
		}
	case u.PendingEmail() == v.Address:
		replaced = true
		c.IfFactors = ptr(u.FactorState())
		emails = []user.Email{{Address: v.Address, Verified: true}}
		c.Pending, c.Verifications, c.ClearTrust = &user.PendingEmail{}, &[]user.VerificationToken{}, true
	default:
		return c, false, ErrVerifyAddress
	}
	return c, replaced, nil
}

// firstProof ends what was made before anybody proved to own the address. An app
// cannot be ended so: it may be the owner's, and the mailbox alone removes none. It
// may as well be that of somebody who registered a foreign address and would enter
// the account with it, so such an account is proved in a session of its own. Passkeys
// of before any proof go: each is a way in by itself, and who began with one alone has
// no session yet. Its owner sets a password with a reset mail.
func (s *Service) firstProof(u *user.User, l rpc.Login, c *user.Change) error {
	c.RemoveTokens, c.ClearTrust = true, true
	if l.UserID == u.ID && l.Token != "" {
		c.KeepToken, c.IfToken = l.Token, l.Token
		return nil
	}
	if u.TOTPEnabled() {
		return ErrProveInSession
	}
	if e := u.Services.Email2FA; e != nil && !e.Enabled && s.set.Bool(settings.TwoFactorEmailOptIn) {
		c.Factor = user.SetEmail2FA(user.Email2FA{Enabled: true, ChangedAt: s.time()})
	}
	s.dropKeys(u, c)
	return nil
}

// putEmail adds a new address to a change of u. A proved one (verified is an
// administrator's word) takes the place of the others at once. One that still
// has to be proved waits beside a proved address; where none is proved, it takes
// the place of what nobody proved.
func (s *Service) putEmail(u *user.User, address string, verified bool, c *user.Change) {
	c.IfEmails = &u.Emails
	if !verified && len(u.VerifiedEmails()) > 0 {
		c.Pending = &user.PendingEmail{Address: address, When: s.time(), Factors: u.FactorState()}
		c.Verifications = ptr(proofsWithout(u, u.PendingEmail(), address))
		return
	}
	c.Emails, c.ClearTrust = &[]user.Email{{Address: address, Verified: verified}}, true
	c.Pending, c.Verifications = &user.PendingEmail{}, &[]user.VerificationToken{}
}

// dropPending forgets an address that waits for its proof, with its links, in a
// change that ends what a thief may have begun. One that the same change names stays.
func dropPending(u *user.User, c *user.Change) {
	if u.PendingEmail() == "" || c.Pending != nil {
		return
	}
	c.Pending, c.IfEmails = &user.PendingEmail{}, &u.Emails
	c.Verifications = ptr(proofsWithout(u, u.PendingEmail()))
}

// emailChanged follows a change of address that was made or asked for: it tells
// the addresses that are or were in force, and asks the new one to prove itself.
func (s *Service) emailChanged(ctx context.Context, p *rpc.Peer, before, after *user.User) {
	s.forgetCodes(ctx, after.ID)
	if after.PendingEmail() != "" && slices.Equal(before.Emails, after.Emails) {
		s.record(p, "email_change_requested", after.ID, nil)
		s.notice(ctx, p, after, nil, "A new e-mail address was asked for",
			"A new e-mail address was asked for in your account. It takes effect once it is confirmed; until then everything goes to this one.\n"+
				"If this was not you, change your password: that also drops the new address.")
		s.invite(ctx, after, after.PendingEmail())
		return
	}
	s.record(p, "email_changed", after.ID, nil)
	s.notice(ctx, p, after, before.Emails, "Your e-mail address was changed",
		"The e-mail address of your account was changed. If this was not you, ask your administrator for help.")
	s.verifyNew(inside(ctx), after)
}

// invite mails the link to an address that waits. When another account has the
// address, its owner is told instead; whoever asked sees no difference, so that
// asking does not tell which addresses have accounts.
func (s *Service) invite(ctx context.Context, u *user.User, address string) {
	ctx = inside(context.WithoutCancel(ctx))
	_, err := s.store.UserByEmail(ctx, user.Key(address))
	switch {
	case errors.Is(err, dberr.NotFound):
		err = s.sendVerification(ctx, u, address, true)
	case err == nil:
		if _, _, err = s.addVerification(ctx, u, address, true); err == nil {
			now := s.time()
			err = s.mailer.Send(ctx, Message{To: []string{address}, Template: TemplateNotice, Inside: true, Expire: now.Add(noticeLife), Data: map[string]string{
				"subject": "This e-mail address has an account already", "when": now.Format(noticeTime),
				"text": "Somebody asked to use this e-mail address for another account. It belongs to an account here, so nothing was changed.",
			}})
		}
	}
	if err != nil {
		s.log.Warn("verification_not_sent", zap.String("user_id", u.ID), zap.Error(err))
	}
}

func ptr[T any](v T) *T { return &v }
