package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/adopt"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
)

// Survey looks at a database without changing it. It takes as long as its contexts
// allow: it may read every account.
type Survey struct{ db *driver.Database }

// Survey looks at the database of the store.
func (s *Store) Survey() Survey { return Survey{s.db} }

// Look opens the database that rawURL names for a look, without making or changing
// anything; done ends that.
func Look(ctx context.Context, rawURL string) (survey Survey, done func() error, err error) {
	name, err := databaseName(rawURL)
	if err != nil {
		return Survey{}, nil, err
	}
	opts, limit := clientOptions(rawURL)
	client, err := driver.Connect(opts)
	if err != nil {
		return Survey{}, nil, errors.New("MongoDB: the connection string cannot be used")
	}
	s := &Store{timeLimit: limit, client: client}
	if err := s.Ping(ctx); err != nil {
		return Survey{}, nil, errors.Join(fmt.Errorf("MongoDB does not answer: %w", err), s.Close())
	}
	return Survey{client.Database(name)}, s.Close, nil
}

// Count implements adopt.Source.
func (s Survey) Count(ctx context.Context, collection string) (int, error) {
	n, err := s.db.Collection(collection).CountDocuments(ctx, bson.D{})
	return int(n), failure(err)
}

// Documents implements adopt.Source.
func (s Survey) Documents(ctx context.Context, q adopt.Query, each func(adopt.Document)) error {
	filter, fields := bson.D{}, bson.D{{Key: "_id", Value: 1}}
	var either bson.A
	for _, m := range q.Any {
		e := bson.E{Key: m.Path, Value: m.Value}
		if m.Value == nil {
			e = bson.E{Key: m.Path + ".0", Value: bson.D{{Key: "$exists", Value: true}}}
		}
		either = append(either, bson.D{e})
	}
	if either != nil {
		filter = bson.D{{Key: "$or", Value: either}}
	}
	for _, path := range q.Fields {
		fields = append(fields, bson.E{Key: path, Value: 1})
	}
	return findAll(ctx, s.db.Collection(q.Collection), filter, func(raw bson.Raw) error {
		var all bson.D
		if bson.Unmarshal(raw, &all) != nil {
			all = nil
		}
		doc, _ := document.Plain(all).(map[string]any)
		if id, ok := raw.Lookup("_id").ObjectIDOK(); ok && doc != nil {
			doc["_id"] = adopt.ObjectID(id.Hex())
		}
		each(doc)
		return nil
	}, options.Find().SetProjection(fields))
}

// ErrObjectIDs refuses a database in which accounts have ids of MongoDB's own kind.
var ErrObjectIDs = errors.New("accounts have ObjectIDs as _id, and this server knows text ids only")

// refuseObjectIDs looks for such an account, by the index of _id alone.
func (s *Store) refuseObjectIDs(ctx context.Context) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	anyID := bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: bson.ObjectID{}}}}}
	raw, err := findRaw(ctx, s.users, anyID, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil
	case err != nil:
		return err
	case raw.Lookup("_id").Type == bson.TypeObjectID:
		return ErrObjectIDs
	}
	return nil
}

// ClaimAdoption tells one caller of all, ever, that it is the first who starts a
// server on this database.
func (s *Store) ClaimAdoption(ctx context.Context) (first bool, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	_, err = s.counters.InsertOne(ctx, bson.D{{Key: "_id", Value: "adopted"}, {Key: "at", Value: s.now()}})
	if err = failure(err); errors.Is(err, dberr.Duplicate) {
		return false, nil
	}
	return err == nil, err
}

// MandatoryRoles are the roles whose users Rocket.Chat made have a second factor.
func (s *Store) MandatoryRoles(ctx context.Context) (roles []string, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	filter := bson.D{{Key: "mandatory2fa", Value: true}, {Key: "scope", Value: bson.D{{Key: "$ne", Value: "Subscriptions"}}}}
	err = findAll(ctx, s.db.Collection("rocketchat_roles"), filter, func(raw bson.Raw) error {
		if id, ok := raw.Lookup("_id").StringValueOK(); ok {
			roles = append(roles, id)
		}
		return nil
	}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	return roles, err
}
