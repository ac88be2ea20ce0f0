package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/store/document"
)

// Part is what a slice of the program keeps in the same database.
type Part struct {
	// Indexes are those it needs, by the name of the collection.
	Indexes map[string][]Index
	// Adopt brings a database of another program up to date; nil does nothing.
	// It may run again, and on several nodes at once.
	Adopt func(ctx context.Context, s *Store, log *zap.Logger) error
}

// Collection is a collection as a slice uses it: every operation is one command
// that ends in time, and its errors are those of package dberr.
type Collection struct {
	c *driver.Collection
	timeLimit
}

// Collection names a collection of the database. Accounts are changed through
// the Store's operations alone.
func (s *Store) Collection(name string) Collection {
	return Collection{s.db.Collection(name), s.timeLimit}
}

// Clock is what time it is on this node.
func (s *Store) Clock() time.Time { return document.Milli(s.now()) }

// Log is where the store tells its operator what he should know.
func (s *Store) Log() *zap.Logger { return s.log }

// Limit is the longest time of one operation.
func (s *Store) Limit() time.Duration { return time.Duration(s.timeLimit) }

// Timed gives an operation of several commands its time.
func (s *Store) Timed(ctx context.Context) (context.Context, context.CancelFunc) { return s.op(ctx) }

// Name is the collection's name.
func (c Collection) Name() string { return c.c.Name() }

// Newest is the collection as the primary has it now, acknowledged by a majority or not:
// for looks that are followed by a write on condition of what was seen.
func (c Collection) Newest() Collection { return Collection{newest(c.c), c.timeLimit} }

// One reads one document.
func (c Collection) One(ctx context.Context, filter bson.D) (bson.Raw, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	return findRaw(ctx, c.c, filter)
}

// All reads documents and hands each to each, which may end that with Enough.
func (c Collection) All(ctx context.Context, filter bson.D, each func(bson.Raw) error, opts ...options.Lister[options.FindOptions]) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	return findAll(ctx, c.c, filter, each, opts...)
}

// Count counts documents.
func (c Collection) Count(ctx context.Context, filter bson.D) (int, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	n, err := c.c.CountDocuments(ctx, filter)
	return int(n), failure(err)
}

// CountUpTo counts documents, but no further than most.
func (c Collection) CountUpTo(ctx context.Context, filter bson.D, most int) (int, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	n, err := c.c.CountDocuments(ctx, filter, options.Count().SetLimit(int64(most)))
	return int(n), failure(err)
}

// Size is about how many documents there are; the server knows without counting.
func (c Collection) Size(ctx context.Context) (int, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	n, err := c.c.EstimatedDocumentCount(ctx)
	return int(n), failure(err)
}

// Insert adds documents, in order, up to the first whose key is taken.
func (c Collection) Insert(ctx context.Context, docs ...any) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	_, err := c.c.InsertMany(ctx, docs)
	return failure(err)
}

// Update changes one document and returns it as it is afterwards; NotFound when
// none matches the filter.
func (c Collection) Update(ctx context.Context, filter, update bson.D) (bson.Raw, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	raw, err := c.c.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
	return raw, failure(err)
}

// UpdateOne changes one document and tells whether any matched the filter.
func (c Collection) UpdateOne(ctx context.Context, filter, update bson.D) (bool, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	return matched(c.c.UpdateOne(ctx, filter, update))
}

// UpdateAll changes every document that matches the filter.
func (c Collection) UpdateAll(ctx context.Context, filter, update bson.D) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	_, err := c.c.UpdateMany(ctx, filter, update)
	return failure(err)
}

// Put changes the document with that id, which it makes if it is not there.
func (c Collection) Put(ctx context.Context, id string, update bson.D) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	_, err := c.c.UpdateOne(ctx, byID(id), update, options.UpdateOne().SetUpsert(true))
	return failure(err)
}

// Write runs several changes at once, in any order.
func (c Collection) Write(ctx context.Context, changes []driver.WriteModel) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	_, err := c.c.BulkWrite(ctx, changes, options.BulkWrite().SetOrdered(false))
	return failure(err)
}

// Take removes one document and returns it: of several callers one gets it.
func (c Collection) Take(ctx context.Context, filter bson.D) (bson.Raw, error) {
	ctx, cancel := c.op(ctx)
	defer cancel()
	raw, err := c.c.FindOneAndDelete(ctx, filter).Raw()
	return raw, failure(err)
}

// Remove removes every document that matches the filter.
func (c Collection) Remove(ctx context.Context, filter bson.D) error {
	ctx, cancel := c.op(ctx)
	defer cancel()
	_, err := c.c.DeleteMany(ctx, filter)
	return failure(err)
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
