// Package mongo is the trail's half of the store on MongoDB: one collection in the
// database of the core.
package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/trail"
)

// Name is the collection.
const Name = "ddpserver_audit"

// Store keeps events of the audit stream.
type Store struct{ events mongo.Collection }

// New makes the trail's half of a store that was opened with Parts.
func New(core *mongo.Store) *Store { return &Store{events: core.Collection(Name)} }

// Parts is the collection of the trail, for mongo.Options. Each index ends with the id,
// so that what it finds comes in the order of time.
func Parts() []mongo.Part {
	return []mongo.Part{{Indexes: map[string][]mongo.Index{Name: {
		{Keys: []string{"accounts", "_id"}, Ours: true},
		{Keys: []string{"act", "_id"}, Ours: true},
		{Keys: []string{"outcome", "_id"}, Ours: true},
		{Keys: []string{"act", "outcome", "_id"}, Ours: true},
		{Keys: []string{"address", "_id"}, Ours: true},
	}}}}
}

// AppendTrail implements trail.Store.
func (s *Store) AppendTrail(ctx context.Context, events []trail.Event) error {
	writes := make([]driver.WriteModel, len(events))
	for i, e := range events {
		fields, err := document.Fields(e)
		if err != nil {
			return err
		}
		// Without _id, which comes first and stands in the filter.
		writes[i] = driver.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: e.ID}}).
			SetUpdate(bson.D{{Key: "$setOnInsert", Value: fields[1:]}}).SetUpsert(true)
	}
	return s.events.Write(ctx, writes)
}

// after is above every text that begins with a text that stands before it.
const after = "\U0010ffff"

// Filter is what MongoDB is asked for a query. The text is looked for in what it finds.
// It is exported for the test that every filter begins with the keys of an index.
func Filter(q trail.Query) bson.D {
	f := bson.D{}
	is := func(key, value string) {
		if value != "" {
			f = append(f, bson.E{Key: key, Value: value})
		}
	}
	is("accounts", q.Account)
	switch {
	case q.Prefix:
		f = append(f, bson.E{Key: "address", Value: bson.D{{Key: "$gte", Value: q.Address}, {Key: "$lt", Value: q.Address + after}}})
	default:
		is("address", q.Address)
	}
	is("act", q.Act)
	is("outcome", q.Outcome)
	switch q.As {
	case trail.Actor:
		is("user", q.Account)
	case trail.Subject:
		is("subject", q.Account)
	}
	ids := bson.D{{Key: "$gte", Value: q.Low}}
	if q.High != "" {
		ids = append(ids, bson.E{Key: "$lt", Value: q.High})
	}
	return append(f, bson.E{Key: "_id", Value: ids})
}

// newestFirst is the order of pages.
var newestFirst = bson.D{{Key: "_id", Value: -1}}

// PageTrail implements trail.Store.
func (s *Store) PageTrail(ctx context.Context, q trail.Query) (page trail.Page, err error) {
	// A text is looked for here: the server has no index of parts of words.
	find := options.Find().SetSort(newestFirst).SetSkip(int64(q.Skip)).SetLimit(int64(q.Limit) + 1)
	skip := 0
	if q.Text != "" {
		skip = q.Skip
		find = options.Find().SetSort(newestFirst).SetLimit(int64(q.Scan)).SetBatchSize(500)
	}
	looked, last, full := 0, "", false
	err = s.events.All(ctx, Filter(q), func(raw bson.Raw) error {
		looked++
		last, _ = raw.Lookup("_id").StringValueOK()
		var e trail.Event
		if err := document.Decode(raw, &e); err != nil {
			return err
		}
		switch {
		case !q.Fit(&e):
			return nil
		case skip > 0:
			skip--
			return nil
		case len(page.Events) == q.Limit:
			full = true
			return mongo.ErrEnough
		}
		page.Events = append(page.Events, e)
		return nil
	}, find)
	switch {
	case err != nil:
		return trail.Page{}, err
	case full:
		page.Next = page.Events[q.Limit-1].ID
	case q.Text != "" && looked >= q.Scan:
		page.Next = last
	}
	return page, nil
}

// CountTrail implements trail.Store.
func (s *Store) CountTrail(ctx context.Context, q trail.Query, most int) (int, error) {
	return s.events.CountUpTo(ctx, Filter(q), most)
}

// TrimTrail implements trail.Store. Several nodes may remove the same.
func (s *Store) TrimTrail(ctx context.Context, before time.Time, most, step int) (int, error) {
	total, err := s.events.Size(ctx)
	if err != nil {
		return 0, err
	}
	low, excess := trail.Lowest(before), total-most
	var ids []string
	err = s.events.All(ctx, bson.D{}, func(raw bson.Raw) error {
		id, _ := raw.Lookup("_id").StringValueOK()
		if id >= low && len(ids) >= excess {
			return mongo.ErrEnough
		}
		ids = append(ids, id)
		return nil
	}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(step)).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return len(ids), s.events.Remove(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
}

var _ trail.Store = (*Store)(nil)
