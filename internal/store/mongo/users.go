package mongo

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// Paths inside a user document.
const (
	pathTokens        = "services.resume.loginTokens"
	pathHash          = pathTokens + ".hashedToken"
	pathVerifications = "services.email.verificationTokens"
	pathReset         = "services.password.reset"
	pathEnroll        = "services.password.enroll"
	pathEarlier       = "services.password.earlierResets"
	pathPending       = "services.email.pending"
)

// UserByID implements accounts.Store and twofactor.Store.
func (s *Store) UserByID(ctx context.Context, id string) (*user.User, error) {
	return s.user(ctx, bson.D{{Key: "_id", Value: id}})
}

// UserByUsername implements accounts.Store.
func (s *Store) UserByUsername(ctx context.Context, key string) (*user.User, error) {
	return s.user(ctx, bson.D{{Key: "ddpUsernameKey", Value: key}})
}

// UserByEmail implements accounts.Store.
func (s *Store) UserByEmail(ctx context.Context, key string) (*user.User, error) {
	return s.user(ctx, bson.D{{Key: "ddpEmailKeys", Value: key}})
}

// UserByToken implements accounts.Store.
func (s *Store) UserByToken(ctx context.Context, hash, clear string) (*user.User, error) {
	return s.userByToken(ctx, [][2]string{{pathHash, hash}, {pathTokens + ".token", clear}})
}

// UserByResetToken implements accounts.Store.
func (s *Store) UserByResetToken(ctx context.Context, hash, clear string) (*user.User, error) {
	clear = notHash(clear)
	return s.userByToken(ctx, [][2]string{{pathReset + ".token", hash}, {pathEarlier + ".token", hash}, {pathEnroll + ".token", hash}, {pathReset + ".token", clear}, {pathEnroll + ".token", clear}})
}

// UserByVerificationToken implements accounts.Store.
func (s *Store) UserByVerificationToken(ctx context.Context, hash, clear string) (*user.User, error) {
	return s.userByToken(ctx, [][2]string{{pathVerifications + ".token", hash}, {pathVerifications + ".token", notHash(clear)}})
}

// notHash drops a "clear" token that is spelled like a stored hash: whoever
// reads the database must not be able to present what he found there.
func notHash(clear string) string {
	if strings.HasPrefix(clear, "sha256:") {
		return ""
	}
	return clear
}

// userByToken finds a user by any of these path and value pairs; empty values do not count.
func (s *Store) userByToken(ctx context.Context, tokens [][2]string) (*user.User, error) {
	var or bson.A
	for _, t := range tokens {
		if t[1] != "" {
			or = append(or, bson.D{{Key: t[0], Value: t[1]}})
		}
	}
	switch len(or) {
	case 0:
		return nil, dberr.NotFound
	case 1:
		return s.user(ctx, or[0].(bson.D))
	}
	return s.user(ctx, bson.D{{Key: "$or", Value: or}})
}

func (s *Store) user(ctx context.Context, filter bson.D) (*user.User, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	raw, err := findRaw(ctx, s.users, filter)
	if err != nil {
		return nil, err
	}
	return document.DecodeUser(raw)
}

// ListUsers implements accounts.Store.
func (s *Store) ListUsers(ctx context.Context, offset, count int) (page []*user.User, total int, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	n, err := s.users.CountDocuments(ctx, bson.D{})
	if err != nil {
		return nil, 0, failure(err)
	}
	if count <= 0 { // to MongoDB a limit of 0 is none
		return nil, int(n), nil
	}
	err = findAll(ctx, s.users, bson.D{}, func(raw bson.Raw) error {
		u, err := document.DecodeUser(raw)
		page = append(page, u)
		return err
	}, options.Find().SetSort(bson.D{{Key: "ddpUsernameKey", Value: 1}, {Key: "_id", Value: 1}}).SetSkip(int64(max(offset, 0))).SetLimit(int64(count)))
	if err != nil {
		return nil, 0, err
	}
	return page, int(n), nil
}

// CountAdmins implements accounts.Store.
func (s *Store) CountAdmins(ctx context.Context) (int, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	n, err := s.users.CountDocuments(ctx, bson.D{{Key: "roles", Value: "admin"}, {Key: "active", Value: bson.D{{Key: "$ne", Value: false}}}})
	return int(n), failure(err)
}

// CreateUser implements accounts.Store.
func (s *Store) CreateUser(ctx context.Context, u *user.User) error {
	ctx, cancel := op(ctx)
	defer cancel()
	u.FillKeys()
	raw, err := document.Encode(u)
	if err != nil {
		return err
	}
	_, err = s.users.InsertOne(ctx, raw)
	return failure(err)
}

// DeleteUser implements accounts.Store. The account goes first: what a
// crash leaves behind of it belongs to nobody.
func (s *Store) DeleteUser(ctx context.Context, id string) error {
	ctx, cancel := op(ctx)
	defer cancel()
	res, err := s.users.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	if err != nil {
		return failure(err)
	}
	if res.DeletedCount == 0 {
		return dberr.NotFound
	}
	_, guard := s.guards.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	_, tries := s.tries.DeleteOne(ctx, bson.D{{Key: "_id", Value: accounts.TriesKey(id)}})
	return errors.Join(failure(guard), failure(tries))
}

// UpdateUser implements accounts.Store.
func (s *Store) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	return s.run(ctx, id, planChange(&c), func(u *user.User) error {
		if !c.Apply(u) {
			return dberr.Conflict
		}
		return nil
	})
}

// SweepTokens implements accounts.Store. Users are found by index and swept one
// by one, each under the condition that something is still too old.
func (s *Store) SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (owners []string, err error) {
	var old, hasOld bson.A
	for _, when := range tooOld(sessions) {
		session := bson.D{{Key: "type", Value: bson.D{{Key: "$ne", Value: user.PersonalAccessToken}}}, {Key: "when", Value: when}}
		old = append(old, session)
		hasOld = append(hasOld, bson.D{{Key: pathTokens, Value: bson.D{{Key: "$elemMatch", Value: session}}}})
	}
	// A condition of $pull starts with a field, see removed.
	pull := bson.D{{Key: "type", Value: bson.D{{Key: "$ne", Value: user.PersonalAccessToken}}}, {Key: "$or", Value: old}}
	err = s.each(ctx, hasOld, bson.D{{Key: "$pull", Value: bson.D{{Key: pathTokens, Value: pull}}}}, func(id string) { owners = append(owners, id) })
	if err != nil {
		return owners, err
	}
	if err := s.sweepEarlier(ctx, resets); err != nil {
		return owners, err
	}
	for path, limit := range map[string]time.Time{pathReset: resets, pathEnroll: enrols} {
		var old bson.A
		for _, when := range tooOld(limit) {
			old = append(old, bson.D{{Key: path + ".when", Value: when}})
		}
		if err := s.each(ctx, old, bson.D{{Key: "$unset", Value: bson.D{{Key: path, Value: 1}}}}, func(string) {}); err != nil {
			return owners, err
		}
	}
	return owners, nil
}

// sweepEarlier removes reset links that are too old from beside the newest.
func (s *Store) sweepEarlier(ctx context.Context, resets time.Time) error {
	var old, hasOld bson.A
	for _, when := range tooOld(resets) {
		old = append(old, bson.D{{Key: "when", Value: when}})
		hasOld = append(hasOld, bson.D{{Key: pathEarlier, Value: bson.D{{Key: "$elemMatch", Value: bson.D{{Key: "when", Value: when}}}}}})
	}
	// A condition of $pull starts with a field, see removed.
	pull := bson.D{{Key: "token", Value: bson.D{{Key: "$ne", Value: false}}}, {Key: "$or", Value: old}}
	return s.each(ctx, hasOld, bson.D{{Key: "$pull", Value: bson.D{{Key: pathEarlier, Value: pull}}}}, func(string) {})
}

// tooOld are the conditions, any of which a start before t meets: a date, or
// the number of milliseconds that old databases keep instead. The zero date of
// a document without a start is no start.
func tooOld(t time.Time) []bson.D {
	ms := t.UnixMilli()
	return []bson.D{
		{{Key: "$lt", Value: bson.DateTime(ms)}, {Key: "$gt", Value: zeroDate}},
		{{Key: "$lt", Value: ms}},
	}
}

// zeroDate is how time.Time's zero value is stored where it is not left out.
var zeroDate = bson.NewDateTimeFromTime(time.Time{})

// each updates the users that match any of the conditions, one by one, and
// reports those it changed or may have changed. Each command has its own time.
// An account whose document the server refuses to change does not keep the
// others from their turn.
func (s *Store) each(ctx context.Context, or bson.A, update bson.D, changed func(id string)) error {
	ids, err := s.idsOf(ctx, or)
	if err != nil {
		return err
	}
	for _, id := range ids {
		ctx, cancel := op(ctx)
		res, err := s.users.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "$or", Value: or}}, update)
		cancel()
		err = failure(err)
		if err == nil && res.ModifiedCount > 0 || errors.Is(err, dberr.Unavailable) {
			changed(id)
		}
		if err != nil && !errors.Is(err, document.ErrBroken) {
			return err
		}
	}
	return nil
}

// idsOf lists the users that match any of the conditions.
func (s *Store) idsOf(ctx context.Context, or bson.A) (ids []string, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	err = findAll(ctx, s.users, bson.D{{Key: "$or", Value: or}}, func(raw bson.Raw) error {
		if id, ok := raw.Lookup("_id").StringValueOK(); ok {
			ids = append(ids, id)
		}
		return nil
	}, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	return ids, err
}
