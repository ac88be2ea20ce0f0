package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// keyCheckID is the document of the check value, beside the counters.
const keyCheckID = "serverKey"

// sealedPage is how many documents one page of SealedTexts looks at.
const sealedPage = 500

// KeyCheck implements serverkey.Store.
func (s *Store) KeyCheck(ctx context.Context) (string, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	raw, err := findRaw(ctx, s.counters, bson.D{{Key: "_id", Value: keyCheckID}})
	if errors.Is(err, dberr.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	sealed, _ := raw.Lookup("sealed").StringValueOK()
	return sealed, nil
}

// SetKeyCheck implements serverkey.Store.
func (s *Store) SetKeyCheck(ctx context.Context, old, sealed string) error {
	ctx, cancel := op(ctx)
	defer cancel()
	if old == "" {
		_, err := s.counters.InsertOne(ctx, bson.D{{Key: "_id", Value: keyCheckID}, {Key: "sealed", Value: sealed}})
		if err = failure(err); errors.Is(err, dberr.Duplicate) {
			return dberr.Conflict
		}
		return err
	}
	ok, err := matched(s.counters.UpdateOne(ctx, bson.D{{Key: "_id", Value: keyCheckID}, {Key: "sealed", Value: old}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "sealed", Value: sealed}}}}))
	if err == nil && !ok {
		err = dberr.Conflict
	}
	return err
}

// SealedTexts implements serverkey.Store.
func (s *Store) SealedTexts(ctx context.Context, k serverkey.Kind, after string) (page []serverkey.Item, next string, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	coll, path := s.outbox, []string{"sealed"}
	switch k {
	case serverkey.TOTPSecret:
		coll, path = s.users, []string{"services", "totp", "secret"}
	case serverkey.TOTPPending:
		coll, path = s.users, []string{"services", "totp", "tempSecret"}
	}
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}
	seen := 0
	err = findAll(ctx, coll, filter, func(raw bson.Raw) error {
		id, ok := raw.Lookup("_id").StringValueOK()
		if !ok {
			return nil
		}
		seen, next = seen+1, id
		enabled, _ := raw.Lookup("services", "totp", "enabled").BooleanOK()
		if k != serverkey.Mail && enabled != (k == serverkey.TOTPSecret) {
			return nil
		}
		if sealed, ok := raw.Lookup(path...).StringValueOK(); ok && sealed != "" {
			page = append(page, serverkey.Item{ID: id, Sealed: sealed})
		}
		return nil
	}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(sealedPage))
	if err != nil {
		return nil, "", err
	}
	if seen < sealedPage {
		next = ""
	}
	return page, next, nil
}

// Reseal implements serverkey.Store.
func (s *Store) Reseal(ctx context.Context, k serverkey.Kind, id, old, sealed string) error {
	switch k {
	case serverkey.TOTPSecret:
		return s.ResealTOTP(ctx, id, old, sealed)
	case serverkey.TOTPPending:
		p := waiting(old)
		p.put(pathTempSecret, sealed, sealed == "")
		return s.factor(ctx, id, p, func(u *user.User) error { return rule.ResealPendingTOTP(u, old, sealed) })
	}
	ctx, cancel := op(ctx)
	defer cancel()
	ok, err := matched(s.outbox.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "sealed", Value: old}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "sealed", Value: sealed}}}}))
	if err == nil && !ok {
		err = dberr.Conflict
	}
	return err
}

// KeyCheck reads the check value of the database that rawURL names without making
// or changing anything; "" when there is none.
func KeyCheck(ctx context.Context, rawURL string) (string, error) {
	name, err := databaseName(rawURL)
	if err != nil {
		return "", err
	}
	client, err := driver.Connect(options.Client().ApplyURI(rawURL).SetAppName("ddpserver").SetServerSelectionTimeout(opTimeout).SetConnectTimeout(opTimeout))
	if err != nil {
		return "", errors.New("MongoDB: the connection string cannot be used")
	}
	s := &Store{client: client, counters: client.Database(name).Collection("ddpserver_counters")}
	sealed, err := s.KeyCheck(ctx)
	return sealed, errors.Join(err, s.Close())
}
