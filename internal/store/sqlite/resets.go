package sqlite

import (
	"context"
	"database/sql"
	"time"

	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// ScheduleTOTPReset implements twofactor.Store.
func (s *Store) ScheduleTOTPReset(ctx context.Context, userID, secret, by string, due time.Time) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.ScheduleTOTPReset(u, secret, by, due) })
}

// CancelTOTPReset implements twofactor.Store.
func (s *Store) CancelTOTPReset(ctx context.Context, userID string, now time.Time) error {
	return s.updateUser(ctx, userID, func(u *user.User) error { return rule.CancelTOTPReset(u, now) })
}

// ApplyTOTPReset implements twofactor.Store.
func (s *Store) ApplyTOTPReset(ctx context.Context, userID string, now time.Time) (*user.User, error) {
	return s.changedUser(ctx, userID, func(u *user.User) error { return rule.ApplyTOTPReset(u, now) })
}

// DueTOTPResets implements twofactor.Store.
func (s *Store) DueTOTPResets(ctx context.Context, now time.Time, max int) (ids []string, err error) {
	err = s.queryAll(ctx, `SELECT user_id FROM user_tokens WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?`, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, int(appReset), now.UnixMilli(), max)
	if err != nil {
		return nil, err
	}
	return ids, nil
}
