package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// forgetReset is what every accepted answer with the app or a backup code does.
func (p *plan) forgetReset() {
	p.put(pathResetDue, nil, true)
	p.put(pathResetBy, nil, true)
}

// ScheduleTOTPReset implements twofactor.Store.
func (s *Store) ScheduleTOTPReset(ctx context.Context, userID, secret, by string, due time.Time) error {
	p := inForce(secret)
	p.cond(pathResetDue, bson.D{{Key: "$exists", Value: false}})
	p.put(pathResetDue, due, false)
	p.put(pathResetBy, by, by == "")
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.ScheduleTOTPReset(u, secret, by, due) })
}

// CancelTOTPReset implements twofactor.Store.
func (s *Store) CancelTOTPReset(ctx context.Context, userID string, now time.Time) error {
	var p plan
	p.cond(pathEnabled, true)
	p.cond(pathResetDue, bson.D{{Key: "$gt", Value: now}})
	p.forgetReset()
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.CancelTOTPReset(u, now) })
}

// ApplyTOTPReset implements twofactor.Store.
func (s *Store) ApplyTOTPReset(ctx context.Context, userID string, now time.Time) (*user.User, error) {
	var p plan
	p.cond(pathEnabled, true)
	p.cond(pathResetDue, bson.D{{Key: "$lte", Value: now}})
	p.put(pathTOTP, nil, true)
	p.put("_updatedAt", now, now.IsZero())
	p.rewrite = []string{pathTokens}
	return s.changed(ctx, userID, p, func(u *user.User) error { return rule.ApplyTOTPReset(u, now) })
}

// DueTOTPResets implements twofactor.Store.
func (s *Store) DueTOTPResets(ctx context.Context, now time.Time, max int) (ids []string, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	due := bson.D{{Key: pathResetDue, Value: bson.D{{Key: "$lte", Value: now}}}, {Key: pathEnabled, Value: true}}
	err = findAll(ctx, s.users, due, func(raw bson.Raw) error {
		if id, ok := raw.Lookup("_id").StringValueOK(); ok {
			ids = append(ids, id)
		}
		return nil
	}, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}).SetSort(bson.D{{Key: pathResetDue, Value: 1}}).SetLimit(int64(max)))
	if err != nil {
		return nil, err
	}
	return ids, nil
}
