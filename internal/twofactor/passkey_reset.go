package twofactor

import (
	"context"
	"fmt"

	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// ErrPasskeyReset refuses to remove the passkeys of others at once where resets wait, and
// one's own together: those are removed one by one, with a proof.
var ErrPasskeyReset = fault.New("error-reset-not-allowed",
	"Passkeys of others are removed only where resets take effect at once, and one's own one by one")

// ResetPasskeys removes the passkeys of an account whose owner has lost them, ends every
// session and token of it and forgets its counters. r.User is whoever does it; the caller
// has checked the permission "edit-other-user-totp" and a fresh factor. The notice goes out
// first: when it is not accepted, ErrMailFailed and nothing is changed. Further refusals:
// ErrInvalidUser for an unknown account, ErrTwoFactorOff while passkeys are off on the
// server, and ErrPasskeyReset with the setting TwoFactorResetDelay above 0, which exists so
// that no administrator takes over an account unseen. Nothing happens without passkeys.
func (s *Service) ResetPasskeys(ctx context.Context, r Request, userID string) error {
	u, err := s.resettable(ctx, r, userID, settings.TwoFactorByWebAuthn, (*user.User).PasskeysEnabled)
	switch {
	case err != nil:
		return err
	case r.User == nil || r.User.ID == u.ID || s.config.Int(settings.TwoFactorResetDelay) > 0:
		return ErrPasskeyReset
	case len(u.Passkeys()) == 0:
		return nil
	}
	if to := u.VerifiedEmails(); len(to) > 0 {
		n := s.notice(r, u, PasskeysReset, to)
		n.By = r.User.Username
		if err := s.mailer.SendNotice(ctx, n); err != nil {
			return ErrMailFailed.Because(err)
		}
	}
	now := s.now()
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{Factor: user.DropPasskeys(now), RemoveTokens: true, ClearTrust: true, At: now})
	if err != nil {
		return fmt.Errorf("removing the passkeys of an account: %w", err)
	}
	s.changed(u, after)
	return s.forgotten(ctx, r, u, PasskeysReset)
}
