package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

const pathListKeys = "ddpListKeys"

// orders are the fields that accounts are ordered by; each has an index.
var orders = map[user.Order]string{
	user.ByUsername: "ddpUsernameKey", user.ByName: "ddpNameKey", user.ByCreatedAt: "createdAt", user.ByLastLogin: "lastLogin",
}

// FindUsers implements accounts.Store.
func (s *Store) FindUsers(ctx context.Context, q user.Query) (page []*user.User, total int, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	filter := selected(q)
	n, err := s.users.CountDocuments(ctx, filter)
	if err != nil || q.Count <= 0 {
		return nil, int(n), failure(err)
	}
	field, ok := orders[q.Order]
	if !ok {
		field = orders[user.ByUsername]
	}
	way := 1
	if q.Descending {
		way = -1
	}
	sort := bson.D{{Key: field, Value: way}, {Key: "_id", Value: way}}
	err = findAll(ctx, s.users, filter, func(raw bson.Raw) error {
		u, err := document.DecodeUser(raw)
		page = append(page, u)
		return err
	}, options.Find().SetSort(sort).SetSkip(int64(max(q.Offset, 0))).SetLimit(int64(q.Count)))
	if err != nil {
		return nil, 0, err
	}
	return page, int(n), nil
}

// selected is the filter of a query.
func selected(q user.Query) bson.D {
	var all bson.A
	for _, trait := range q.Traits {
		all = append(all, bson.D{{Key: pathListKeys, Value: trait}})
	}
	if q.Word != "" {
		word := bson.D{{Key: "$gte", Value: q.Word}, {Key: "$lt", Value: user.AfterWord(q.Word)}}
		all = append(all, bson.D{{Key: pathListKeys, Value: bson.D{{Key: "$elemMatch", Value: word}}}})
	}
	if len(all) == 0 {
		return bson.D{}
	}
	return bson.D{{Key: "$and", Value: all}}
}

// CountUsers implements accounts.Store.
func (s *Store) CountUsers(ctx context.Context, trait string) (int, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	n, err := s.users.CountDocuments(ctx, bson.D{{Key: pathListKeys, Value: trait}})
	return int(n), failure(err)
}

// fillListing lists the accounts of another program's database, or of an older version
// of this one. An account that cannot be read stays out of the lists.
func (s *Store) fillListing(ctx context.Context) error {
	missing := bson.D{{Key: pathListKeys, Value: bson.D{{Key: "$exists", Value: false}}}}
	return findAll(ctx, s.users, missing, func(raw bson.Raw) error {
		u, err := document.DecodeUser(raw)
		if err != nil {
			return nil
		}
		u.FillKeys()
		set := bson.D{{Key: pathListKeys, Value: u.ListKeys}, {Key: "ddpNameKey", Value: u.NameKey}}
		if !u.LastLogin.IsZero() {
			set = append(set, bson.E{Key: "lastLogin", Value: u.LastLogin})
		}
		_, err = s.users.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: raw.Lookup("_id")}}, missing...), bson.D{{Key: "$set", Value: set}})
		return failure(err)
	}, options.Find())
}
