package twofactor_test

import (
	"context"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// lost is the outcome of the operation that is lost, or nil for every other.
func (f failing) lost(op string) error {
	if f.op == op {
		return fmt.Errorf("%s: %w: %w", op, dberr.Unavailable, errCut)
	}
	return nil
}

func (f failing) UserByID(ctx context.Context, id string) (*user.User, error) {
	if err := f.lost("UserByID"); err != nil {
		return nil, err
	}
	return f.Store.UserByID(ctx, id)
}

func (f failing) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	if err := f.lost("UpdateUser"); err != nil {
		return nil, err
	}
	return f.Store.UpdateUser(ctx, id, c)
}

func (f failing) Guard(ctx context.Context, userID string) (twofactor.Guard, error) {
	if err := f.lost("Guard"); err != nil {
		return twofactor.Guard{}, err
	}
	return f.Store.Guard(ctx, userID)
}

func (f failing) CountAttempt(ctx context.Context, userID, factor string, now time.Time, l twofactor.Limits) (string, error) {
	if err := f.lost("CountAttempt"); err != nil {
		return "", err
	}
	return f.Store.CountAttempt(ctx, userID, factor, now, l)
}

func (f failing) Succeeded(ctx context.Context, userID, countID string, spent twofactor.Spent, since time.Time) error {
	if err := f.lost("Succeeded"); err != nil {
		return err
	}
	return f.Store.Succeeded(ctx, userID, countID, spent, since)
}

func (f failing) UseTOTPStep(ctx context.Context, userID, secret string, step int64) error {
	if err := f.lost("UseTOTPStep"); err != nil {
		return err
	}
	return f.Store.UseTOTPStep(ctx, userID, secret, step)
}

func (f failing) UseBackupCode(ctx context.Context, userID, stored string) error {
	if err := f.lost("UseBackupCode"); err != nil {
		return err
	}
	return f.Store.UseBackupCode(ctx, userID, stored)
}

func (f failing) UseMailCode(ctx context.Context, userID, digest, purpose string, now time.Time) error {
	if err := f.lost("UseMailCode"); err != nil {
		return err
	}
	return f.Store.UseMailCode(ctx, userID, digest, purpose, now)
}

func (f failing) AddMailCode(ctx context.Context, userID string, c twofactor.MailCode, now time.Time, r twofactor.MailRules) ([]twofactor.MailCode, error) {
	if err := f.lost("AddMailCode"); err != nil {
		return nil, err
	}
	return f.Store.AddMailCode(ctx, userID, c, now, r)
}

func (f failing) ApplyReset(ctx context.Context, userID, factor string, now time.Time) (*user.User, error) {
	if err := f.lost("ApplyReset"); err != nil {
		return nil, err
	}
	return f.Store.ApplyReset(ctx, userID, factor, now)
}

func (f failing) CancelReset(ctx context.Context, userID, factor string, now time.Time) error {
	if err := f.lost("CancelReset"); err != nil {
		return err
	}
	return f.Store.CancelReset(ctx, userID, factor, now)
}
