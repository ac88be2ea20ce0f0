package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/document"
)

// Several settings change at once although each has its own document: what is
// saved together is inserted as one batch document first, and that insert is
// the commit. Then every value is written where it belongs and the batch is
// removed. Whoever reads in between, or after a crash, lays pending batches
// over the documents. Batches are numbered; for each setting the highest number
// wins, whatever the order in which batches arrive or are applied.
//
// A reader that saw some documents before and some after a batch was applied
// would see half of it. So applying counts in a counter of its own after the
// last value and before the batch goes, and a reader starts again when that
// counter moved.

// batch is a set of values saved together.
type batch struct {
	ID     string            `bson:"_id"`
	Seq    int64             `bson:"seq"`
	Values []settings.Stored `bson:"values"`
}

// seqField is the number of the batch that wrote a setting's value; documents
// of an adopted database have none, which is lower than any.
const seqField = "ddpSeq"

// Names of the documents that count.
const (
	settingCounter = "settings"
	appliedCounter = "settings-applied"
)

// Settings implements settings.Store.
func (s *Store) Settings(ctx context.Context) ([]settings.Stored, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	for {
		before, err := s.counter(ctx, appliedCounter)
		if err != nil {
			return nil, err
		}
		all, err := s.readSettings(ctx)
		if err != nil {
			return nil, err
		}
		after, err := s.counter(ctx, appliedCounter)
		if err != nil || after == before {
			return all, err
		}
	}
}

func (s *Store) counter(ctx context.Context, id string) (int64, error) {
	raw, err := findRaw(ctx, s.counters, bson.D{{Key: "_id", Value: id}})
	if err != nil {
		return 0, err
	}
	n, _ := raw.Lookup("n").AsInt64OK()
	return n, nil
}

// readSettings reads the documents first and pending batches after them, so
// that a batch whose values are partly in what was read is still found.
func (s *Store) readSettings(ctx context.Context) ([]settings.Stored, error) {
	type numbered struct {
		settings.Stored
		seq int64
	}
	byID := make(map[string]numbered)
	err := findAll(ctx, s.settings, bson.D{}, func(raw bson.Raw) error {
		v := document.DecodeSetting(raw)
		seq, _ := raw.Lookup(seqField).AsInt64OK()
		byID[v.ID] = numbered{v, seq}
		return nil
	})
	if err != nil {
		return nil, err
	}
	pending, unreadable, err := s.pending(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range pending {
		for _, v := range b.Values {
			if b.Seq >= byID[v.ID].seq {
				byID[v.ID] = numbered{v, b.Seq}
			}
		}
	}
	all := append(make([]settings.Stored, 0, len(byID)+len(unreadable)), unreadable...)
	for _, v := range byID {
		all = append(all, v.Stored)
	}
	slices.SortFunc(all, func(a, b settings.Stored) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// pending reads the batches that are not applied yet, in their order, and lists what
// cannot be read of them.
func (s *Store) pending(ctx context.Context) (all []batch, unreadable []settings.Stored, err error) {
	err = findAll(ctx, s.batches, bson.D{}, func(raw bson.Raw) error {
		var b struct {
			ID     string     `bson:"_id"`
			Seq    int64      `bson:"seq"`
			Values []bson.Raw `bson:"values"`
		}
		if err := document.Decode(raw, &b); err != nil {
			unreadable = append(unreadable, settings.Stored{ID: "in " + s.batches.Name(), Unreadable: err})
			return nil
		}
		out := batch{ID: b.ID, Seq: b.Seq}
		for _, raw := range b.Values {
			if v := document.DecodeSetting(raw); v.Unreadable == nil {
				out.Values = append(out.Values, v)
			} else {
				unreadable = append(unreadable, v)
			}
		}
		all = append(all, out)
		return nil
	}, options.Find().SetSort(bson.D{{Key: "seq", Value: 1}}))
	return all, unreadable, err
}

// SaveSettings implements settings.Store.
func (s *Store) SaveSettings(ctx context.Context, values []settings.Stored) error {
	if len(values) == 0 {
		return nil
	}
	ctx, cancel := s.early(ctx)
	defer cancel()
	seq, err := s.next(ctx, settingCounter)
	if err != nil {
		return err
	}
	b := batch{ID: random.ID(), Seq: seq}
	for i, v := range values { // of two values for one setting the later counts
		if !slices.ContainsFunc(values[i+1:], func(later settings.Stored) bool { return later.ID == v.ID }) {
			b.Values = append(b.Values, v)
		}
	}
	raw, err := document.Encode(b)
	if err != nil {
		return err
	}
	if err := s.mark(ctx, ""); err != nil {
		return err
	}
	if _, err := s.batches.InsertOne(ctx, raw); err != nil {
		return failure(err)
	}
	// Committed. What cannot be applied now is read through and applied later.
	_ = s.apply(ctx, b)
	return nil
}

// next draws a number that no node draws twice.
func (s *Store) next(ctx context.Context, counter string) (int64, error) {
	raw, err := s.counters.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: counter}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(1)}}}}, options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
	if err != nil {
		return 0, failure(err)
	}
	n, ok := raw.Lookup("n").AsInt64OK()
	if !ok {
		return 0, document.ErrBroken
	}
	return n, nil
}

// apply writes a batch's values where they belong and removes it. Doing it
// twice, or on two nodes at once, does no harm.
func (s *Store) apply(ctx context.Context, b batch) error {
	for _, v := range b.Values {
		older := bson.D{{Key: "_id", Value: v.ID}, {Key: seqField, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: b.Seq}}}}}}
		set := bson.D{{Key: "value", Value: v.Value}, {Key: "_updatedAt", Value: v.UpdatedAt}, {Key: seqField, Value: b.Seq}}
		_, err := s.settings.UpdateOne(ctx, older, bson.D{{Key: "$set", Value: set}}, options.UpdateOne().SetUpsert(true))
		// A duplicate id: the document is there and has a newer value.
		if err = failure(err); err != nil && !errors.Is(err, dberr.Duplicate) {
			return err
		}
	}
	if _, err := s.next(ctx, appliedCounter); err != nil {
		return err
	}
	_, err := s.batches.DeleteOne(ctx, bson.D{{Key: "_id", Value: b.ID}})
	return failure(err)
}

// recoverBatches applies what a crash left behind.
func (s *Store) recoverBatches(ctx context.Context) error {
	pending, _, err := s.pending(ctx)
	if err != nil {
		return err
	}
	for _, b := range pending {
		if err := s.apply(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// ensureCounters creates the documents that count.
func (s *Store) ensureCounters(ctx context.Context) error {
	for _, id := range []string{settingCounter, appliedCounter, outboxCounter} {
		_, err := s.counters.InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "n", Value: int64(0)}, {Key: "at", Value: time.UnixMilli(0)}})
		if err = failure(err); err != nil && !errors.Is(err, dberr.Duplicate) {
			return err
		}
	}
	return nil
}
