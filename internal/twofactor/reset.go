package twofactor

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Reset removes the authenticator of an account whose owner cannot use it any
// more, forgets its counters and codes, and ends every session and token of the
// account (spec rocketchat-2fa 1.10). r.User is whoever does it; the caller has
// checked the permission "edit-other-user-totp" and a fresh factor.
//
// The notice goes out first: when it is not accepted, ErrMailFailed and nothing
// is changed. Further refusals: ErrInvalidUser for an unknown account,
// ErrTwoFactorOff for somebody else's while the factor is off on the server, and
// for one's own authenticator then: the fresh factor was a weaker one, and
// Disable takes the authenticator's code whatever the settings say. An
// account without an authenticator keeps its sessions; only its counters and
// codes are forgotten, which lifts a stop after too many wrong answers.
func (s *Service) Reset(ctx context.Context, r Request, userID string) error {
	u, err := s.store.UserByID(ctx, userID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return ErrInvalidUser
	case err != nil:
		return err
	}
	own := r.User != nil && r.User.ID == u.ID
	on := s.config.Bool(settings.TwoFactorEnabled) && s.config.Bool(settings.TwoFactorByTOTP)
	if !on && (!own || u.TOTPEnabled()) {
		return ErrTwoFactorOff
	}
	enrolled := u.Services.TOTP != nil
	if enrolled {
		if err := s.sendNotice(ctx, r, u, TOTPReset); err != nil {
			return ErrMailFailed.Because(err)
		}
		after, err := s.store.UpdateUser(ctx, u.ID, user.Change{ClearTOTP: true, RemoveTokens: true, ClearTrust: true, At: s.now()})
		if err != nil {
			return fmt.Errorf("resetting an authenticator: %w", err)
		}
		s.revoked(u, after)
		s.changed(u.ID)
	}
	e := changeEvent(TOTPReset, "")
	if r.User != nil {
		e.user = r.User.ID
	}
	e.target = u.ID
	s.record(r, e)
	if err := s.store.ResetGuard(ctx, u.ID); err != nil {
		return fmt.Errorf("forgetting the counters of an account: %w", err)
	}
	return nil
}
