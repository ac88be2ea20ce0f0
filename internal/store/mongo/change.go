package mongo

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
)

// Documents is a collection whose documents have the type T and are changed one at
// a time, each by a function on its value (Change).
type Documents[T any] struct {
	timeLimit
	collection, newest *driver.Collection
	changes            *changes
	keys               []string // what a T is decoded from; _id is not among them
	decode             func(bson.Raw) (*T, error)
	options            DocumentOptions[T]
}

// DocumentOptions say what is special about a collection. The zero value is usable.
type DocumentOptions[T any] struct {
	// Decode reads a document; nil means document.Decode.
	Decode func(bson.Raw) (*T, error)
	// Adopt makes what another program wrote ours, before every change and as a part of
	// it; nil does nothing. Whoever only reads does the same in memory.
	Adopt func(*T)
	// New makes the value that is changed when there is no document with that id;
	// nil means that Change fails with dberr.NotFound.
	New func(id string) *T
	// Derive brings members that follow from others up to date after a change.
	Derive func(before, after *T)
	// Marked tells which changes are marked: the server writes its time into the document
	// with them (markField), which T does not know. Nil marks none.
	Marked func(before, after *T) bool
}

// NewDocuments describes the documents of a collection of this store.
func NewDocuments[T any](s *Store, c *driver.Collection, o DocumentOptions[T]) *Documents[T] {
	d := &Documents[T]{timeLimit: s.timeLimit, collection: c, newest: newest(c), changes: &s.changes, decode: o.Decode, options: o}
	d.keys = slices.DeleteFunc(document.Keys[T](), func(key string) bool { return key == "_id" })
	if d.decode == nil {
		d.decode = func(raw bson.Raw) (*T, error) {
			v := new(T)
			return v, document.Decode(raw, v)
		}
	}
	return d
}

const (
	// maxRounds bounds how often a change is tried while other writers are faster.
	maxRounds = 50
	// maxPause bounds the pause before a further round; the first ones are shorter.
	maxPause = 50 * time.Millisecond
)

// Change runs do on the document with that id and stores what it made of it. What do
// returns nil for is written on condition that every key a T is decoded from still
// has the value that was read, so nothing that do could have seen has changed, by
// whatever program. Keys that T does not know may change meanwhile, and are kept.
// When the condition fails, another writer was faster, and do runs again on what is
// there now, up to 50 times; then the error is dberr.Unavailable, and nothing was
// changed. An error of do ends it. The new document is returned.
func (d *Documents[T]) Change(ctx context.Context, id string, do func(*T) error) (*T, error) {
	ctx, cancel := d.op(ctx)
	defer cancel()
	slot, err := d.changes.lock(ctx, d.collection.Name()+"/"+id)
	if err != nil {
		return nil, err
	}
	defer slot.unlock()
	// What this node wrote or saw a moment ago is most likely still there: that saves the
	// look. Where it leads to no write, nothing proves that it is.
	if raw := slot.recent(d.collection, id, d.changes.now()); raw != nil {
		if p, err := d.propose(raw, do); err == nil && p.update != nil {
			if v, won, err := d.write(ctx, slot, p); won || err != nil {
				return v, err
			}
		}
	} else if slot.absent(d.collection, id, d.changes.now()) && d.options.New != nil {
		if v, won, err := d.insert(ctx, slot, id, do); won || errors.Is(err, dberr.Unavailable) {
			return v, err
		}
	}
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return nil, err
		}
		begin := time.Now()
		v, won, err := d.round(ctx, slot, id, do)
		if won || err != nil {
			return v, err
		}
		d.changes.lost(time.Since(begin))
	}
	return nil, fmt.Errorf("MongoDB: %w: a change of %s lost %d times against other writers of the document", dberr.Unavailable, d.collection.Name(), maxRounds)
}

// round looks, runs do and writes; won is false when another writer was faster.
func (d *Documents[T]) round(ctx context.Context, slot *slot, id string, do func(*T) error) (_ *T, won bool, err error) {
	raw, err := findRaw(ctx, d.newest, bson.D{{Key: "_id", Value: id}})
	if errors.Is(err, dberr.NotFound) && d.options.New != nil {
		return d.insert(ctx, slot, id, do)
	}
	if err != nil {
		return nil, false, err
	}
	p, err := d.propose(raw, do)
	if err != nil {
		return nil, false, err
	}
	return d.write(ctx, slot, p)
}

// remove runs do on the document with that id and removes it, on condition that it is
// still what was read, as Change writes. An error of do ends it.
func (d *Documents[T]) remove(ctx context.Context, id string, do func(*T) error) error {
	ctx, cancel := d.op(ctx)
	defer cancel()
	slot, err := d.changes.lock(ctx, d.collection.Name()+"/"+id)
	if err != nil {
		return err
	}
	defer slot.unlock()
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return err
		}
		raw, err := findRaw(ctx, d.newest, bson.D{{Key: "_id", Value: id}})
		if err != nil {
			return err
		}
		v, err := d.decode(raw)
		if err == nil {
			err = do(v)
		}
		if err != nil {
			return err
		}
		res, err := d.collection.DeleteOne(ctx, d.unchanged(raw))
		if err != nil || res.DeletedCount > 0 {
			return failure(err)
		}
	}
	return fmt.Errorf("MongoDB: %w: a removal from %s lost %d times against other writers of the document", dberr.Unavailable, d.collection.Name(), maxRounds)
}

// proposal is a change that is decided and not yet made.
type proposal struct {
	raw, next bson.Raw
	update    bson.D // nil when there is nothing to write
}

// propose runs do on a document and finds out what it changed.
func (d *Documents[T]) propose(raw bson.Raw, do func(*T) error) (p proposal, err error) {
	before, err := d.decode(raw)
	if err != nil {
		return p, err
	}
	after, err := d.decode(raw)
	if err != nil {
		return p, err
	}
	if d.options.Adopt != nil {
		d.options.Adopt(after)
	}
	if err := d.apply(before, after, do); err != nil {
		return p, err
	}
	p.raw = raw
	if p.next, err = document.Merge(raw, before, after); err != nil {
		return p, err
	}
	set, unset, err := document.Diff(raw, p.next)
	if len(set) > 0 {
		p.update = append(p.update, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		p.update = append(p.update, bson.E{Key: "$unset", Value: unset})
	}
	if p.update != nil && d.options.Marked != nil && d.marked(before, p.next) {
		p.update = append(p.update, marking()...)
	}
	return p, err
}

// marked judges what will be read from now on: times have lost what is less than a millisecond.
func (d *Documents[T]) marked(before *T, next bson.Raw) bool {
	after, err := d.decode(next)
	return err != nil || d.options.Marked(before, after)
}

func (d *Documents[T]) apply(before, after *T, do func(*T) error) error {
	if err := do(after); err != nil {
		return err
	}
	if d.options.Derive != nil {
		d.options.Derive(before, after)
	}
	return nil
}

// write makes a proposed change, unless the document is no longer what was read.
func (d *Documents[T]) write(ctx context.Context, slot *slot, p proposal) (_ *T, won bool, err error) {
	if p.update != nil {
		if won, err = matched(d.collection.UpdateOne(ctx, d.unchanged(p.raw), p.update)); err != nil || !won {
			return nil, false, err
		}
		slot.remember(d.collection, p.next, d.changes.now())
	}
	v, err := d.decode(p.next)
	return v, true, err
}

// saw notes what a look found under an id, nil for no document, for a change that follows.
func (d *Documents[T]) saw(id string, raw bson.Raw) {
	slot := d.changes.slot(d.collection.Name() + "/" + id)
	select {
	case slot.turn <- struct{}{}:
		slot.remember(d.collection, raw, d.changes.now())
		if raw == nil {
			slot.none = id
		}
		slot.unlock()
	default: // a change knows better
	}
}

// insert makes the document that is not there.
func (d *Documents[T]) insert(ctx context.Context, slot *slot, id string, do func(*T) error) (_ *T, won bool, err error) {
	v := d.options.New(id)
	if err := d.apply(d.options.New(id), v, do); err != nil {
		return nil, false, err
	}
	raw, err := document.Encode(v)
	if err != nil {
		return nil, false, err
	}
	_, err = d.collection.InsertOne(ctx, raw)
	if err = failure(err); errors.Is(err, dberr.Duplicate) {
		return nil, false, nil
	}
	if err == nil {
		slot.remember(d.collection, raw, d.changes.now())
	}
	return v, err == nil, err
}

// unchanged selects the document if all that was decoded of it is as it was read.
func (d *Documents[T]) unchanged(raw bson.Raw) bson.D {
	filter := make(bson.D, 0, 1+len(d.keys))
	filter = append(filter, bson.E{Key: "_id", Value: raw.Lookup("_id")})
	for _, key := range d.keys {
		is := bson.E{Key: "$exists", Value: false}
		if value, err := raw.LookupErr(key); err == nil {
			is = bson.E{Key: "$eq", Value: value}
			if value.Type == bson.TypeUndefined { // which an old document may hold, and no server compares with
				is = bson.E{Key: "$type", Value: int32(bson.TypeUndefined)}
			}
		}
		filter = append(filter, bson.E{Key: key, Value: bson.D{is}})
	}
	return filter
}

// pause waits before a further round, longer the more were lost and never as long as
// another node that lost the same one.
func pause(ctx context.Context, round int) error {
	if round < 2 { // most often the other writer is through
		return nil
	}
	select {
	case <-random.Moment(min(maxPause, time.Millisecond<<min(round, 10))):
		return nil
	case <-ctx.Done():
		return failure(ctx.Err())
	}
}

// changes is what the changes of one store's documents share.
type changes struct {
	// lost is told of every round that another writer won, and how long it took.
	lost  func(time.Duration)
	now   func() time.Time
	seed  maphash.Seed
	slots [1024]slot
}

// slot is held by one change at a time of the documents that fall on it, and
// remembers the last document that was written under it, or seen.
type slot struct {
	turn       chan struct{}
	collection *driver.Collection
	raw        bson.Raw
	none       string // the id that there was no document of, else ""
	at         time.Time
}

const (
	// recently is for how long a document that was written is taken for what is there:
	// the changes of one login follow each other within it.
	recently = 2 * time.Second
	// maxRemembered bounds the documents that are remembered, in bytes.
	maxRemembered = 16 << 10
)

func (c *changes) init(now func() time.Time, lost func(time.Duration)) {
	c.now, c.lost, c.seed = now, lost, maphash.MakeSeed()
	for i := range c.slots {
		c.slots[i].turn = make(chan struct{}, 1)
	}
}

// lock keeps the goroutines of this node that change one document from racing each
// other, so that rounds are lost to other nodes and programs only.
func (c *changes) lock(ctx context.Context, document string) (*slot, error) {
	s := c.slot(document)
	select {
	case s.turn <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		return nil, failure(ctx.Err())
	}
}

func (c *changes) slot(document string) *slot {
	return &c.slots[maphash.String(c.seed, document)%uint64(len(c.slots))]
}

func (s *slot) unlock() { <-s.turn }

// absent tells that there was no such document a moment ago.
func (s *slot) absent(c *driver.Collection, id string, now time.Time) bool {
	return s.collection == c && s.none == id && now.Sub(s.at) <= recently
}

// recent is the document as it was written under the slot a moment ago, or nil.
func (s *slot) recent(c *driver.Collection, id string, now time.Time) bson.Raw {
	if s.collection != c || s.raw == nil || now.Sub(s.at) > recently || s.raw.Lookup("_id").StringValue() != id {
		return nil
	}
	return s.raw
}

func (s *slot) remember(c *driver.Collection, raw bson.Raw, now time.Time) {
	if len(raw) > maxRemembered {
		raw, c = nil, nil
	}
	s.collection, s.raw, s.none, s.at = c, raw, "", now
}
