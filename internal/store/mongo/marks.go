package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
)

// A change of an account that counts everywhere has the primary write its time into the
// document with it, in one atomic command. A removal leaves no document, and settings
// are several: those are marked before, in a collection of their own. All stamps come
// from the cluster's clock, which only grows, on a new primary too. Reads see what a
// majority has: whoever finds a mark finds the change in the next read. Engines that only
// speak MongoDB's protocol may stamp all that happens in one second alike, hence a count.

// markField is where a marked document has its stamp, markCount how many it has had;
// other programs leave them alone.
const (
	markField = "ddpMark"
	markCount = "ddpMarks"
)

// marking are the operators of an update that mark a document with it.
func marking() bson.D {
	return bson.D{
		{Key: "$currentDate", Value: bson.D{{Key: markField, Value: stampNow}}},
		{Key: "$inc", Value: bson.D{{Key: markCount, Value: int64(1)}}},
	}
}

// clockID is the document that MarkNow stamps, beside the counters.
const clockID = "clock"

// stampNow asks for the server's clock, as the operand of $currentDate.
var stampNow = bson.D{{Key: "$type", Value: "timestamp"}}

const (
	// clockSkew is how far the clock of a node may lag behind that of the database, which
	// forgets marks by its own.
	clockSkew = 24 * time.Hour
	// withinEarly bounds what is marked early, however long an operation may take otherwise:
	// nobody looks for it after feed.MarkEarly.
	withinEarly = feed.MarkEarly - 2*time.Second
)

// early is the context of an operation that is marked before it is done.
func (s *Store) early(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithTimeout(ctx, withinEarly)
	op, cancel := s.op(ctx)
	return op, func() { cancel(); end() }
}

// mark makes an early mark of an account or, with "", of the settings.
func (s *Store) mark(ctx context.Context, account string) error {
	update := append(marking(), bson.E{Key: "$set", Value: bson.D{{Key: "forgetAt", Value: s.now().Add(feed.MarkLife + clockSkew)}}})
	for {
		_, err := s.marks.UpdateOne(ctx, byID(account), update, options.UpdateOne().SetUpsert(true))
		if err = failure(err); !errors.Is(err, dberr.Duplicate) { // another node made it in this moment
			return err
		}
	}
}

// MarksSince implements feed.Marks. It looks at an index, and at the documents that are
// marked: one command for each of the two collections, or for early marks alone.
func (s *Store) MarksSince(ctx context.Context, after feed.Mark, max int, earlyOnly bool) ([]feed.Mark, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	marks, err := marksIn(ctx, s.marks, after, max, true)
	if err != nil || earlyOnly {
		return marks, err
	}
	late, err := marksIn(ctx, s.users, after, max, false)
	if err != nil {
		return nil, err
	}
	marks = append(marks, late...)
	slices.SortFunc(marks, feed.Mark.Compare)
	return marks[:min(len(marks), max)], nil
}

func marksIn(ctx context.Context, c *driver.Collection, after feed.Mark, max int, early bool) (marks []feed.Mark, err error) {
	at := bson.Timestamp{T: uint32(after.At >> 32), I: uint32(after.At)}
	behind := bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: markField, Value: bson.D{{Key: "$gt", Value: at}}}},
		bson.D{{Key: markField, Value: at}, {Key: "_id", Value: bson.D{{Key: "$gt", Value: after.Account}}}},
	}}}
	err = findAll(ctx, c, behind, func(raw bson.Raw) error {
		id, ok := raw.Lookup("_id").StringValueOK()
		t, i, ok2 := raw.Lookup(markField).TimestampOK()
		if ok && ok2 {
			n, _ := raw.Lookup(markCount).AsInt64OK()
			marks = append(marks, feed.Mark{At: uint64(t)<<32 | uint64(i), Account: id, Count: n, Early: early})
		}
		return nil
	}, options.Find().SetSort(bson.D{{Key: markField, Value: 1}, {Key: "_id", Value: 1}}).SetLimit(int64(max)).SetBatchSize(int32(max)).
		SetProjection(bson.D{{Key: "_id", Value: 1}, {Key: markField, Value: 1}, {Key: markCount, Value: 1}}))
	return marks, err
}

// MarkNow implements feed.Marks. It is just before the moment it draws: what is marked in
// the same one, by a clock that tells no less, is behind it.
func (s *Store) MarkNow(ctx context.Context) (uint64, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	for {
		raw, err := s.counters.FindOneAndUpdate(ctx, byID(clockID), bson.D{{Key: "$currentDate", Value: bson.D{{Key: "ts", Value: stampNow}}}},
			options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)).Raw()
		if err = failure(err); errors.Is(err, dberr.Duplicate) { // another node made the document in this moment
			continue
		}
		if err != nil {
			return 0, err
		}
		t, i, _ := raw.Lookup("ts").TimestampOK()
		at := uint64(t)<<32 | uint64(i)
		return at - min(at, 1), nil
	}
}
