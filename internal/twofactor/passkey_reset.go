package twofactor

import (
	"context"
	"time"

	"ddpserver/internal/fault"
)

// ErrPasskeyReset refuses to remove one's own passkeys together: they are removed one by
// one, with a proof.
var ErrPasskeyReset = fault.New("error-reset-not-allowed", "One's own passkeys are removed one by one")

// ResetPasskeys removes the passkeys of an account whose owner has lost them, ends every
// session and token of it and forgets its counters. r.User is whoever does it; the caller
// has checked the permission "edit-other-user-totp" and a fresh factor. With the setting
// TwoFactorResetDelay above 0 they are removed only after that time, as an authenticator is
// (Reset): every accepted answer with one of them stops it. due is zero when everything is
// done. The notice goes out first: when it is not accepted, ErrMailFailed and nothing is
// changed. Further refusals: ErrInvalidUser for an unknown account, ErrTwoFactorOff while
// passkeys are off on the server, ErrPasskeyReset. Nothing happens without passkeys.
func (s *Service) ResetPasskeys(ctx context.Context, r Request, userID string) (due time.Time, err error) {
	u, err := s.losing(ctx, r, userID, lostPasskeys)
	switch {
	case err != nil:
		return time.Time{}, err
	case r.User == nil || r.User.ID == u.ID:
		return time.Time{}, ErrPasskeyReset
	case len(u.Passkeys()) == 0:
		return time.Time{}, nil
	}
	if due, waits := s.waits(u, lostPasskeys); waits {
		return s.schedule(ctx, r, u, lostPasskeys, due)
	}
	if err := s.remove(ctx, r, u, lostPasskeys); err != nil {
		return time.Time{}, err
	}
	return time.Time{}, s.forgotten(ctx, r, u, PasskeysReset)
}
