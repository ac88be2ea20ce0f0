package sqlite

import (
	"context"
	"time"

	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// The operations on the factors inside a user document: package rule in a
// write transaction.

// changedUser is updateUser for those who need the new document.
func (s *Store) changedUser(ctx context.Context, id string, do func(*user.User) error) (*user.User, error) {
	var out *user.User
	err := s.update(ctx, func(t *tx) (err error) {
		out, err = t.changeUser(id, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetPendingTOTP implements twofactor.Store.
func (s *Store) SetPendingTOTP(ctx context.Context, userID, sealed, token, state string, at time.Time) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.SetPendingTOTP(u, sealed, token, state, at) })
}

// CountPendingTOTP implements twofactor.Store.
func (s *Store) CountPendingTOTP(ctx context.Context, userID, sealed string, notBefore time.Time, max int) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.CountPendingTOTP(u, sealed, notBefore, max) })
}

// DropPendingTOTP implements twofactor.Store.
func (s *Store) DropPendingTOTP(ctx context.Context, userID, sealed string) error {
	return s.updateUser(ctx, userID, func(u *user.User) error {
		rule.DropPendingTOTP(u, sealed)
		return nil
	})
}

// EnableTOTP implements twofactor.Store.
func (s *Store) EnableTOTP(ctx context.Context, userID, pending string, t user.TOTP, keep string, at time.Time) (*user.User, error) {
	return s.changedUser(ctx, userID, func(u *user.User) error { return rule.EnableTOTP(u, pending, t, keep, at) })
}

// DisableTOTP implements twofactor.Store.
func (s *Store) DisableTOTP(ctx context.Context, userID, secret, keep string, at time.Time) (*user.User, error) {
	return s.changedUser(ctx, userID, func(u *user.User) error { return rule.DisableTOTP(u, secret, keep, at) })
}

// UseTOTPStep implements twofactor.Store.
func (s *Store) UseTOTPStep(ctx context.Context, userID, secret string, step int64) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.UseTOTPStep(u, secret, step) })
}

// ResealTOTP implements twofactor.Store.
func (s *Store) ResealTOTP(ctx context.Context, userID, old, sealed string) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.ResealTOTP(u, old, sealed) })
}

// UseBackupCode implements twofactor.Store.
func (s *Store) UseBackupCode(ctx context.Context, userID, stored string) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.UseBackupCode(u, stored) })
}

// ReplaceBackupCodes implements twofactor.Store.
func (s *Store) ReplaceBackupCodes(ctx context.Context, userID, secret, salt string, stored []string) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.ReplaceBackupCodes(u, secret, salt, stored) })
}

// SetTrust implements twofactor.Store.
func (s *Store) SetTrust(ctx context.Context, userID, token, fingerprint string, until time.Time) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.SetTrust(u, token, fingerprint, until) })
}

// ClearTrust implements twofactor.Store.
func (s *Store) ClearTrust(ctx context.Context, userID string) error {
	return s.updateUser(ctx, userID, func(u *user.User) error {
		rule.ClearTrust(u)
		return nil
	})
}
