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
	"ddpserver/internal/store/rule"
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

// UserByPasskeys implements twofactor.Store.
func (s *Store) UserByPasskeys(ctx context.Context, handle string) (*user.User, error) {
	return s.user(ctx, bson.D{{Key: pathListKeys, Value: user.PasskeyTrait(handle)}})
}

// UserByToken implements accounts.Store.
func (s *Store) UserByToken(ctx context.Context, hash, clear string) (*user.User, error) {
	return s.userByToken(ctx, [][2]string{{pathHash, hash}, {pathTokens + ".token", clear}})
}

// UserByResetToken implements accounts.Store.
func (s *Store) UserByResetToken(ctx context.Context, hash, clear string) (*user.User, error) {
	clear = notHash(clear)
	return s.userByToken(ctx, [][2]string{{pathReset + ".token", hash}, {pathEarlier + ".token", hash}, {pathEnroll + ".token", hash},
		{pathReset + ".token", clear}, {pathEnroll + ".token", clear}})
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
	ctx, cancel := s.op(ctx)
	defer cancel()
	raw, err := findRaw(ctx, s.users, filter)
	if err != nil {
		return nil, err
	}
	return document.DecodeUser(raw)
}

// ListUsers implements accounts.Store.
func (s *Store) ListUsers(ctx context.Context, offset, count int) (page []*user.User, total int, err error) {
	ctx, cancel := s.op(ctx)
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

// CreateUser implements accounts.Store.
func (s *Store) CreateUser(ctx context.Context, u *user.User) error {
	ctx, cancel := s.op(ctx)
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
func (s *Store) DeleteUser(ctx context.Context, id string, admins bool) error {
	ctx, cancel := s.early(ctx)
	defer cancel()
	if err := s.mark(ctx, id); err != nil {
		return err
	}
	err := s.keepAnAdmin(ctx, id, func(ctx context.Context, d *departure) error {
		return s.userDocs.remove(ctx, id, func(u *user.User) error {
			if u.HasRole("admin") && !admins {
				return dberr.Conflict
			}
			return d.may(u, nil)
		})
	})
	if errors.Is(err, document.ErrBroken) && admins { // it has nobody's rights
		err = s.removeBroken(ctx, id)
	}
	if err != nil {
		return err
	}
	_, guard := s.guards.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	_, tries := s.tries.DeleteOne(ctx, bson.D{{Key: "_id", Value: accounts.TriesKey(id)}})
	return errors.Join(failure(guard), failure(tries))
}

// removeBroken removes an account that cannot be read.
func (s *Store) removeBroken(ctx context.Context, id string) error {
	res, err := s.users.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	if err == nil && res.DeletedCount == 0 {
		return dberr.NotFound
	}
	return failure(err)
}

// TokenOwners implements accounts.Store.
func (s *Store) TokenOwners(ctx context.Context, visit func(*user.User) error) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	some := bson.D{{Key: pathTokens + ".0", Value: bson.D{{Key: "$exists", Value: true}}}}
	return findAll(ctx, s.users, some, func(raw bson.Raw) error {
		u, err := document.DecodeTokens(raw)
		if err != nil { // it has nobody's rights
			return nil
		}
		return visit(u)
	}, options.Find().SetProjection(bson.D{
		{Key: "_id", Value: 1}, {Key: "username", Value: 1}, {Key: "name", Value: 1}, {Key: "active", Value: 1}, {Key: pathTokens, Value: 1},
	}))
}

// SweepTokens implements accounts.Store. Users are found by index and swept one
// by one, each in its own time. An account whose document cannot be changed does not
// keep the others from their turn, and one that may have been swept counts as swept.
func (s *Store) SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (owners []string, err error) {
	ids, err := s.haveOldTokens(ctx, sessions, resets, enrols)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		died := false
		_, err := s.ChangeUser(ctx, id, func(u *user.User) error {
			died = rule.Sweep(u, sessions, resets, enrols)
			return nil
		})
		if died && (err == nil || errors.Is(err, dberr.Unavailable)) {
			owners = append(owners, id)
		}
		if err != nil && !errors.Is(err, document.ErrBroken) && !errors.Is(err, dberr.NotFound) {
			return owners, err
		}
	}
	return owners, nil
}

// haveOldTokens lists the users with a session, reset or enrol token started before
// these times.
func (s *Store) haveOldTokens(ctx context.Context, sessions, resets, enrols time.Time) ([]string, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	var or bson.A
	for _, when := range tooOld(sessions) {
		session := bson.D{{Key: "type", Value: bson.D{{Key: "$ne", Value: user.PersonalAccessToken}}}, {Key: "when", Value: when}}
		or = append(or, bson.D{{Key: pathTokens, Value: bson.D{{Key: "$elemMatch", Value: session}}}})
	}
	for _, when := range tooOld(resets) {
		or = append(or, bson.D{{Key: pathReset + ".when", Value: when}},
			bson.D{{Key: pathEarlier, Value: bson.D{{Key: "$elemMatch", Value: bson.D{{Key: "when", Value: when}}}}}})
	}
	for _, when := range tooOld(enrols) {
		or = append(or, bson.D{{Key: pathEnroll + ".when", Value: when}})
	}
	return s.userIDs(ctx, bson.D{{Key: "$or", Value: or}}, options.Find())
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

// DueResets implements twofactor.Store.
func (s *Store) DueResets(ctx context.Context, now time.Time, max int) ([]string, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	due := bson.D{{Key: "$lte", Value: now}}
	return s.userIDs(ctx, bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "services.totp.resetDue", Value: due}, {Key: "services.totp.enabled", Value: true}},
		bson.D{{Key: "services.webauthn.resetDue", Value: due}, {Key: "services.webauthn.credentials.id", Value: bson.D{{Key: "$exists", Value: true}}}},
	}}}, options.Find().SetLimit(int64(max)))
}

// userIDs lists the ids of the users that a filter selects.
func (s *Store) userIDs(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) (ids []string, err error) {
	err = findAll(ctx, s.users, filter, func(raw bson.Raw) error {
		if id, ok := raw.Lookup("_id").StringValueOK(); ok {
			ids = append(ids, id)
		}
		return nil
	}, o.SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	return ids, nil
}
