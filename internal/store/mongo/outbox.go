package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/store/document"
)

// The number of waiting items of a class is a counter document, so that the bound holds
// with any number of nodes: it is raised before an item is inserted and lowered
// after one is removed. A crash in between leaves it too high, never too low;
// repair sets it right once nothing has touched it for a while.

const (
	outboxCounter = "outbox" // of items from before there were classes
	// repairAfter is longer than any operation that could still be under way.
	repairAfter = time.Minute
)

// outboxCount names the counter of a class.
func outboxCount(c mail.Class) string {
	if c == "" {
		return outboxCounter
	}
	return outboxCounter + ":" + string(c)
}

// PutMail implements mail.Store; Duplicate when the id is in use.
func (s *Store) PutMail(ctx context.Context, it mail.Item, max int) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	raw, err := document.Encode(it)
	if err != nil {
		return err
	}
	ok, err := s.reserve(ctx, it.Class, max)
	if err == nil && !ok {
		if ok, err = s.repair(ctx, it.Class, max); ok {
			ok, err = s.reserve(ctx, it.Class, max)
		}
	}
	if err != nil {
		return err
	}
	if !ok {
		return dberr.Exhausted
	}
	_, err = s.outbox.InsertOne(ctx, raw)
	if err = failure(err); err != nil && !errors.Is(err, dberr.Unavailable) {
		return errors.Join(err, s.release(ctx, it.Class))
	}
	return err
}

func (s *Store) reserve(ctx context.Context, c mail.Class, max int) (bool, error) {
	return matched(s.counters.UpdateOne(ctx, bson.D{{Key: "_id", Value: outboxCount(c)}, {Key: "n", Value: bson.D{{Key: "$lt", Value: int64(max)}}}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(1)}}}, {Key: "$set", Value: bson.D{{Key: "at", Value: s.now()}}}}))
}

func (s *Store) release(ctx context.Context, c mail.Class) error {
	_, err := s.counters.UpdateOne(ctx, bson.D{{Key: "_id", Value: outboxCount(c)}, {Key: "n", Value: bson.D{{Key: "$gt", Value: int64(0)}}}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(-1)}}}, {Key: "$set", Value: bson.D{{Key: "at", Value: s.now()}}}})
	return failure(err)
}

// repair makes the counter of a class that never had an item, or sets it to the
// number of items when nobody can be in the middle of changing it. It tells whether
// there is room for another item now, whoever made it: of many senders that meet a
// missing or too high counter at once only one mends it.
func (s *Store) repair(ctx context.Context, c mail.Class, max int) (room bool, err error) {
	raw, err := findRaw(ctx, s.counters, bson.D{{Key: "_id", Value: outboxCount(c)}})
	if errors.Is(err, dberr.NotFound) {
		_, err = s.counters.InsertOne(ctx, bson.D{{Key: "_id", Value: outboxCount(c)}, {Key: "n", Value: int64(0)}, {Key: "at", Value: time.UnixMilli(0)}})
		if err = failure(err); errors.Is(err, dberr.Duplicate) { // another node was first
			err = nil
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	if n, ok := raw.Lookup("n").AsInt64OK(); ok && n < int64(max) {
		return true, nil
	}
	at, ok := raw.Lookup("at").TimeOK()
	if !ok || s.now().Sub(at) < repairAfter {
		return false, nil
	}
	items, err := s.outbox.CountDocuments(ctx, ofClass(c))
	if err != nil {
		return false, failure(err)
	}
	_, err = s.counters.UpdateOne(ctx,
		bson.D{{Key: "_id", Value: outboxCount(c)}, {Key: "n", Value: bson.D{{Key: "$gt", Value: items}}}, {Key: "at", Value: at}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: items}, {Key: "at", Value: s.now()}}}})
	return items < int64(max), failure(err)
}

// ofClass selects the items of a class.
func ofClass(c mail.Class) bson.D {
	if c == "" {
		return bson.D{{Key: "class", Value: bson.D{{Key: "$exists", Value: false}}}}
	}
	return bson.D{{Key: "class", Value: string(c)}}
}

// ClaimMail implements mail.Store.
func (s *Store) ClaimMail(ctx context.Context, owner string, now time.Time, lease time.Duration) (mail.Item, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	filter := bson.D{
		{Key: "notBefore", Value: bson.D{{Key: "$lte", Value: now}}},
		{Key: "leaseUntil", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gt", Value: now}}}}},
	}
	update := bson.D{
		{Key: "$set", Value: bson.D{{Key: "owner", Value: owner}, {Key: "leaseUntil", Value: now.Add(lease)}}},
		{Key: "$inc", Value: bson.D{{Key: "tries", Value: 1}}},
	}
	raw, err := s.outbox.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().
		SetSort(bson.D{{Key: "rank", Value: 1}, {Key: "createdAt", Value: 1}, {Key: "_id", Value: 1}}).SetReturnDocument(options.After)).Raw()
	if err != nil {
		return mail.Item{}, failure(err)
	}
	var it mail.Item
	if err := document.Decode(raw, &it); err != nil {
		id, _ := raw.Lookup("_id").StringValueOK()
		return mail.Item{}, fmt.Errorf("mail %s: %w", id, err)
	}
	return it, nil
}

// ChangeMail implements rule.Engine.
func (s *Store) ChangeMail(ctx context.Context, id string, do func(*mail.Item) error) error {
	_, err := s.mailDocs.Change(ctx, id, do)
	return err
}

// DeleteMail implements mail.Store; an item that is gone is no error.
func (s *Store) DeleteMail(ctx context.Context, id string) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	raw, err := s.outbox.FindOneAndDelete(ctx, bson.D{{Key: "_id", Value: id}}).Raw()
	if err = failure(err); err != nil {
		if errors.Is(err, dberr.NotFound) {
			return nil
		}
		return err
	}
	class, _ := raw.Lookup("class").StringValueOK()
	// The item is gone whatever becomes of the counter, which repair corrects.
	_ = s.release(ctx, mail.Class(class))
	return nil
}

// MailQueue implements mail.Store.
func (s *Store) MailQueue(ctx context.Context) (waiting int, oldest time.Time, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	n, err := s.outbox.CountDocuments(ctx, bson.D{})
	if err != nil {
		return 0, time.Time{}, failure(err)
	}
	oldest, err = first(ctx, s.outbox, bson.D{}, "createdAt")
	return int(n), oldest, err
}

// NextMail implements mail.Store.
func (s *Store) NextMail(ctx context.Context) (time.Time, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	leased := bson.D{{Key: "leaseUntil", Value: bson.D{{Key: "$exists", Value: true}}}}
	free := bson.D{{Key: "leaseUntil", Value: bson.D{{Key: "$exists", Value: false}}}}
	a, err := first(ctx, s.outbox, free, "notBefore")
	if err != nil {
		return time.Time{}, err
	}
	b, err := first(ctx, s.outbox, leased, "leaseUntil")
	if err != nil {
		return time.Time{}, err
	}
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b, nil
	}
	return a, nil
}

// first is the lowest date under a key among the documents that match; zero when none does.
func first(ctx context.Context, c *driver.Collection, filter bson.D, key string) (time.Time, error) {
	raw, err := findRaw(ctx, c, filter, options.FindOne().SetSort(bson.D{{Key: key, Value: 1}}).SetProjection(bson.D{{Key: key, Value: 1}}))
	if errors.Is(err, dberr.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	t, ok := raw.Lookup(key).TimeOK()
	if !ok {
		return time.Time{}, document.ErrBroken
	}
	return t.UTC(), nil
}
