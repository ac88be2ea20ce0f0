package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// adopt gives accounts of another program's database the normalised keys that
// look-ups use. It is idempotent, harmless when several nodes do it at once,
// and leaves everything else of the documents alone.
//
// Two accounts that are the same after normalisation (Ann and ann) cannot both
// have the key: the first found has it, the others are reported and can be
// found by id only until somebody renames them.
func (s *Store) adopt(ctx context.Context) error {
	missing := func(path string) bson.E { return bson.E{Key: path, Value: bson.D{{Key: "$exists", Value: false}}} }
	there := func(path string) bson.E { return bson.E{Key: path, Value: bson.D{{Key: "$exists", Value: true}}} }
	filter := bson.D{{Key: "$or", Value: bson.A{
		bson.D{there("username"), missing("ddpUsernameKey")},
		bson.D{there("emails.0"), missing("ddpEmailKeys")},
	}}}
	fields := options.Find().SetProjection(bson.D{{Key: "username", Value: 1}, {Key: "emails", Value: 1}, {Key: "ddpUsernameKey", Value: 1},
		{Key: "ddpEmailKeys", Value: 1}})
	return findAll(ctx, s.users, filter, func(raw bson.Raw) error {
		u := plainKeys(raw)
		id := raw.Lookup("_id")
		if u.UsernameKey != "" {
			if err := s.setKey(ctx, id, "ddpUsernameKey", u.UsernameKey); err != nil {
				return err
			}
		}
		if len(u.EmailKeys) > 0 {
			return s.setKey(ctx, id, "ddpEmailKeys", u.EmailKeys)
		}
		return nil
	}, fields)
}

// plainKeys makes the keys of a document that may have any shape: an account
// too broken to be used must not keep the server from starting.
func plainKeys(raw bson.Raw) user.User {
	var u user.User
	u.Username, _ = raw.Lookup("username").StringValueOK()
	if list, ok := raw.Lookup("emails").ArrayOK(); ok {
		values, _ := list.Values()
		for _, v := range values {
			if d, ok := v.DocumentOK(); ok {
				if address, ok := d.Lookup("address").StringValueOK(); ok && address != "" {
					u.Emails = append(u.Emails, user.Email{Address: address})
				}
			}
		}
	}
	u.FillKeys()
	return u
}

// setKey sets a key that is still missing.
func (s *Store) setKey(ctx context.Context, id bson.RawValue, key string, value any) error {
	filter := bson.D{{Key: "_id", Value: id}, {Key: key, Value: bson.D{{Key: "$exists", Value: false}}}}
	_, err := s.users.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: bson.D{{Key: key, Value: value}}}})
	err = failure(err)
	if errors.Is(err, dberr.DuplicateUsername) || errors.Is(err, dberr.DuplicateEmail) {
		name, _ := id.StringValueOK()
		s.log.Warn("adopted_key_taken", zap.String("collection", s.users.Name()), zap.String("id", name), zap.String("field", key))
		return nil
	}
	return err
}
