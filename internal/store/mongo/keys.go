package mongo

import (
	"context"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/serverkey"
)

// keyCheckID is the document of the check value, beside the counters.
const keyCheckID = "serverKey"

// sealedPage is how many documents one page of SealedTexts looks at.
const sealedPage = 500

// KeyCheck implements serverkey.Store.
func (s *Store) KeyCheck(ctx context.Context) (string, error) {
	ctx, cancel := s.op(ctx)
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
	ctx, cancel := s.op(ctx)
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

// SealedTexts implements serverkey.Store. It reads only what it needs of an account.
func (s *Store) SealedTexts(ctx context.Context, k serverkey.Kind, after string) (page []serverkey.Item, next string, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	coll, path := s.outbox, "sealed"
	switch k {
	case serverkey.TOTPSecret:
		coll, path = s.users, "services.totp.secret"
	case serverkey.TOTPPending:
		coll, path = s.users, "services.totp.tempSecret"
	}
	fields := bson.D{{Key: path, Value: 1}}
	if k != serverkey.Mail {
		fields = append(fields, bson.E{Key: "services.totp.enabled", Value: 1})
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
		if sealed, ok := raw.Lookup(strings.Split(path, ".")...).StringValueOK(); ok && sealed != "" {
			page = append(page, serverkey.Item{ID: id, Sealed: sealed})
		}
		return nil
	}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(sealedPage).SetProjection(fields))
	if err != nil {
		return nil, "", err
	}
	if seen < sealedPage {
		next = ""
	}
	return page, next, nil
}

// KeyCheck reads the check value of the database that rawURL names without making
// or changing anything; "" when there is none.
func KeyCheck(ctx context.Context, rawURL string) (string, error) {
	name, err := databaseName(rawURL)
	if err != nil {
		return "", err
	}
	opts, limit := clientOptions(rawURL)
	client, err := driver.Connect(opts)
	if err != nil {
		return "", errors.New("MongoDB: the connection string cannot be used")
	}
	s := &Store{timeLimit: limit, client: client, counters: client.Database(name).Collection("ddpserver_counters")}
	sealed, err := s.KeyCheck(ctx)
	return sealed, errors.Join(err, s.Close())
}
