package twofactor

import (
	"context"
	"errors"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// EnableEmail switches codes by mail on. It needs a verified address (ErrUnverified),
// and the proof of another factor if one is on, or the password of a caller that may
// skip checks (Policy Fresh): the errors of Check are possible. Nothing happens when
// the factor is on.
func (s *Service) EnableEmail(ctx context.Context, r Request) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	r.User, r.Policy = u, Fresh
	switch {
	case u.Email2FAEnabled():
		return nil
	case len(u.VerifiedEmails()) == 0:
		return ErrUnverified
	case s.SwitchedOn(u) || mayBypass(u, r.Token):
		if err := s.Check(ctx, r); err != nil {
			return err
		}
	}
	return s.switchEmail(ctx, r, true)
}

// DisableEmail switches codes by mail off. The caller has checked a fresh factor of
// r.User, and it is asked for again only when the account's factors are others by
// now. What only the server's settings keep from use is not switched off
// (ErrTwoFactorOff), as a password was proof enough: they may change back. Nothing
// happens when the factor is off.
func (s *Service) DisableEmail(ctx context.Context, r Request) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	changed := u.FactorState() != r.User.FactorState()
	r.User, r.Policy = u, Fresh
	switch {
	case u.Email2FAEnabled() && len(u.VerifiedEmails()) > 0 && len(s.on(u)) == 0:
		return ErrTwoFactorOff
	case changed:
		if err := s.Check(ctx, r); err != nil {
			return err
		}
	}
	if !u.Email2FAEnabled() {
		return nil
	}
	return s.switchEmail(ctx, r, false)
}

// switchEmail puts the factor of r.User in the other position, in one write with the
// end of the account's other sessions. When its factors changed at this very moment,
// nothing happens: what was proved may not be what they ask for.
func (s *Service) switchEmail(ctx context.Context, r Request, on bool) error {
	u, now, state := r.User, s.now(), r.User.FactorState()
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{
		IfFactors: &state, Factor: user.SetEmail2FA(user.Email2FA{Enabled: on, ChangedAt: now}),
		RemoveSessions: true, KeepToken: r.Token, ClearTrust: true, At: now,
	})
	switch {
	case errors.Is(err, dberr.Conflict):
		if after, err = s.reload(ctx, r); err == nil && after.Email2FAEnabled() != on {
			err = ErrOvertaken
		}
		return err // nil when somebody else put it there
	case err != nil:
		return err
	}
	change := EmailEnabled
	if !on {
		s.forgetCodes(context.WithoutCancel(ctx), r, u.ID)
		change = EmailDisabled
	}
	s.settle(ctx, r, u, after, change)
	return nil
}
