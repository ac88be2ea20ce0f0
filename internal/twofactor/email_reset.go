package twofactor

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// EmailReset: by an administrator, or by the owner.
var EmailReset = Change{Name: "email-reset", Factor: Email, Act: "factor_reset",
	Ends:    true,
	Subject: "Codes by e-mail have been reset",
	Text: "Codes sent by e-mail are no longer a second factor of your account, and all its sessions and tokens are closed. " +
		"Log in again and set two-factor authentication up anew."}

// ResetEmail switches codes by mail off for an account whose owner cannot read its
// mails any more, forgets its counters and codes, and ends every session and token of
// the account, as Reset does for the app; an app stays as it is. r.User is whoever does
// it; the caller has checked the permission "edit-other-user-totp" and a fresh factor.
//
// It does not wait for TwoFactorResetDelay: whoever may reset another's factor may send
// that account's codes elsewhere as well, with another address, so the time would
// guard nothing.
//
// The notice goes out first: when it is not accepted, ErrMailFailed and nothing is
// changed. Further refusals: ErrInvalidUser for an unknown account; ErrTwoFactorOff for
// somebody else's while the factor is off on the server, and for one's own codes then;
// ErrOvertaken when the factors changed at this very moment. Where codes are off, only
// counters and codes are forgotten.
func (s *Service) ResetEmail(ctx context.Context, r Request, userID string) error {
	u, err := s.resettable(ctx, r, userID, settings.TwoFactorByEmail, (*user.User).Email2FAEnabled)
	if err != nil {
		return err
	}
	if u.Email2FAEnabled() {
		if err := s.sendNotice(ctx, r, u, EmailReset); err != nil {
			return ErrMailFailed.Because(err)
		}
		now, state := s.now(), u.FactorState()
		after, err := s.store.UpdateUser(ctx, u.ID, user.Change{
			IfFactors: &state, Factor: user.SetEmail2FA(user.Email2FA{ChangedAt: now}), RemoveTokens: true, ClearTrust: true, At: now,
		})
		switch {
		case errors.Is(err, dberr.Conflict):
			return ErrOvertaken
		case err != nil:
			return fmt.Errorf("resetting codes by mail: %w", err)
		}
		s.changed(u, after)
	}
	return s.forgotten(ctx, r, u, EmailReset)
}

// resetOf switches codes by mail off for the account whose id is the parameter.
func (f emailFactor) resetOf(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := whoseFactor(c)
	if err != nil {
		return nil, err
	}
	return nil, f.ResetEmail(ctx, RequestOf(c), id)
}

// whoseFactor is the parameter of a call that takes a factor away from the account
// whose id it is: one's own or, with the permission, another's.
func whoseFactor(c *rpc.Call) (id string, err error) {
	if err := c.Bind(&id); err != nil {
		return "", err
	}
	if id != c.User.ID && !permission.Has(c.User, permission.EditOtherUserTOTP) {
		return "", fault.NotAllowed
	}
	return id, nil
}
