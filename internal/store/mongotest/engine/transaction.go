package engine

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// Transaction sees the collections as they were when it began, and its own changes. It is
// not safe for concurrent use. An operation that fails changes nothing.
type Transaction struct {
	base, collections map[Handle]*Collection
	dirty             bool // collections is its own
	log               bsonkit.List
}

func same(a, b map[Handle]*Collection) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Taken are the changes since it was last asked, in their order, as events of a change
// stream, which it forgets.
func (t *Transaction) Taken() bsonkit.List {
	log := t.log
	t.log = nil
	return log
}

// Has tells whether there is such a collection.
func (t *Transaction) Has(h Handle) bool { return t.collections[h] != nil }

// Collections lists those of a database that match a query, by name.
func (t *Transaction) Collections(db string, query bsonkit.Doc) (bsonkit.List, error) {
	var list bsonkit.List
	for h := range t.collections {
		if h[0] == db {
			list = append(list, &bson.D{{Key: "name", Value: h[1]}, {Key: "type", Value: "collection"}, {Key: "options", Value: bson.D{}}})
		}
	}
	bsonkit.Sort(list, []bsonkit.Column{{Path: "name"}})
	return mongokit.Filter(list, query, 0)
}

// put replaces a collection; nil removes it.
func (t *Transaction) put(h Handle, c *Collection) {
	if !t.dirty {
		t.collections, t.dirty = maps.Clone(t.collections), true
	}
	if c == nil {
		delete(t.collections, h)
		return
	}
	t.collections[h] = c
}

// draft is a copy of a collection to be changed, an empty one if there is none.
func (t *Transaction) draft(h Handle) *Collection {
	if c := t.collections[h]; c != nil {
		return c.Clone()
	}
	return NewCollection()
}

// note adds a change to the log.
func (t *Transaction) note(h Handle, op string, doc bsonkit.Doc, changes *mongokit.Changes) {
	now := bsonkit.Now()
	ns := bson.D{{Key: "db", Value: h[0]}}
	if h[1] != "" {
		ns = append(ns, bson.E{Key: "coll", Value: h[1]})
	}
	event := bson.D{
		{Key: "_id", Value: bson.D{{Key: "ts", Value: now}}}, {Key: "ns", Value: ns}, {Key: "clusterTime", Value: now}, {Key: "operationType", Value: op},
	}
	if doc != nil {
		event = append(event, bson.E{Key: "documentKey", Value: bson.D{{Key: "_id", Value: bsonkit.Get(doc, "_id")}}})
		if op != "delete" {
			event = append(event, bson.E{Key: "fullDocument", Value: *doc})
		}
	}
	if changes != nil {
		updated, removed := bson.D{}, bson.A{}
		for _, path := range slices.Sorted(maps.Keys(changes.Changed)) {
			if v := changes.Changed[path]; v == bsonkit.Missing {
				removed = append(removed, path)
			} else {
				updated = append(updated, bson.E{Key: path, Value: v})
			}
		}
		event = append(event, bson.E{Key: "updateDescription", Value: bson.D{
			{Key: "updatedFields", Value: updated}, {Key: "removedFields", Value: removed}, {Key: "truncatedArrays", Value: bson.A{}},
		}})
	}
	t.log = append(t.log, &event)
}

// Find looks documents up.
func (t *Transaction) Find(h Handle, query, sort bsonkit.Doc, skip, limit int) (*Result, error) {
	c := t.collections[h]
	if c == nil {
		return &Result{}, nil
	}
	found, err := c.find(query, sort, skip, limit)
	return &Result{Matched: docsOf(found)}, err
}

// Insert adds documents; the first that is refused is Result.Error, and what follows it is
// left out if the list is ordered.
func (t *Transaction) Insert(h Handle, list bsonkit.List, ordered bool) (*Result, error) {
	res := &Result{}
	for _, d := range bsonkit.CloneList(list) {
		draft := t.draft(h)
		if err := draft.insert(d); err != nil {
			if res.Error == nil {
				res.Error = err
			}
			if ordered {
				break
			}
			continue
		}
		t.put(h, draft)
		t.note(h, "insert", d, nil)
		res.Modified = append(res.Modified, d)
	}
	return res, nil
}

// Update changes documents. With upsert one is made if none matches.
func (t *Transaction) Update(h Handle, query, sort, update bsonkit.Doc, skip, limit int, upsert bool, filters bsonkit.List) (*Result, error) {
	if !t.Has(h) && !upsert {
		return &Result{}, nil
	}
	draft := t.draft(h)
	found, err := draft.find(query, sort, skip, limit)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if !upsert {
			return &Result{}, nil
		}
		return t.upsert(h, draft, query, nil, update, filters)
	}
	res := &Result{Matched: docsOf(found)}
	next := bsonkit.CloneList(res.Matched)
	changes, err := mongokit.Update(next, query, update, false, filters)
	if err != nil {
		return nil, err
	}
	for i, d := range next {
		if bsonkit.Compare(bsonkit.Get(d, "_id"), bsonkit.Get(res.Matched[i], "_id")) != 0 {
			return nil, errors.New("document _id is immutable")
		}
	}
	if err := draft.replaceAll(found, next); err != nil {
		return nil, err
	}
	for i, d := range next {
		if !equal(res.Matched[i], d) {
			res.Modified = append(res.Modified, d)
			t.note(h, "update", d, changes[i])
		}
	}
	if len(res.Modified) > 0 {
		t.put(h, draft)
	}
	return res, nil
}

// Replace replaces one document. With upsert one is made if none matches.
func (t *Transaction) Replace(h Handle, query, sort, repl bsonkit.Doc, upsert bool) (*Result, error) {
	if !t.Has(h) && !upsert {
		return &Result{}, nil
	}
	repl = bsonkit.Clone(repl)
	draft := t.draft(h)
	found, err := draft.find(query, sort, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if !upsert {
			return &Result{}, nil
		}
		return t.upsert(h, draft, query, repl, nil, nil)
	}
	old := found[0].doc
	if id := bsonkit.Get(repl, "_id"); id == bsonkit.Missing {
		if _, err := bsonkit.Put(repl, "_id", bsonkit.Get(old, "_id"), true); err != nil {
			return nil, err
		}
	} else if bsonkit.Compare(id, bsonkit.Get(old, "_id")) != 0 {
		return nil, errors.New("document _id is immutable")
	}
	if err := draft.replaceAll(found, bsonkit.List{repl}); err != nil {
		return nil, err
	}
	res := &Result{Matched: bsonkit.List{old}}
	if !equal(old, repl) {
		res.Modified = bsonkit.List{repl}
		t.put(h, draft)
		t.note(h, "replace", repl, nil)
	}
	return res, nil
}

// upsert makes the document that a query asks for, as that one collection of the engine
// that this one stands for does, which has no others to look at.
func (t *Transaction) upsert(h Handle, draft *Collection, query, repl, update bsonkit.Doc, filters bsonkit.List) (*Result, error) {
	made, err := mongokit.NewCollection(false).Upsert(query, repl, update, filters)
	if err != nil {
		return nil, err
	}
	if err := draft.insert(made.Upserted); err != nil {
		return nil, err
	}
	t.put(h, draft)
	t.note(h, "insert", made.Upserted, nil)
	return &Result{Upserted: made.Upserted}, nil
}

// Delete removes documents.
func (t *Transaction) Delete(h Handle, query, sort bsonkit.Doc, skip, limit int) (*Result, error) {
	if !t.Has(h) {
		return &Result{}, nil
	}
	draft := t.draft(h)
	found, err := draft.find(query, sort, skip, limit)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		draft.remove(e)
		t.note(h, "delete", e.doc, nil)
	}
	if len(found) > 0 {
		t.put(h, draft)
	}
	return &Result{Matched: docsOf(found)}, nil
}

// Expire removes the documents whose time is over by an index that has one.
func (t *Transaction) Expire() error {
	for h, c := range t.collections {
		var over bson.A
		for _, ix := range c.indexes {
			if ix.config.Expiry > 0 {
				before := primitive.NewDateTimeFromTime(time.Now().Add(-ix.config.Expiry))
				over = append(over, bson.D{{Key: ix.paths[0], Value: bson.D{{Key: "$lt", Value: before}}}})
			}
		}
		if len(over) == 0 {
			continue
		}
		if _, err := t.Delete(h, &bson.D{{Key: "$or", Value: over}}, nil, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// Drop removes a collection or, with a handle without one, those of a database.
func (t *Transaction) Drop(h Handle) error {
	dropped := false
	for _, of := range slices.Collect(maps.Keys(t.collections)) {
		if of == h || h[1] == "" && of[0] == h[0] {
			t.put(of, nil)
			t.note(of, "drop", nil, nil)
			dropped = true
		}
	}
	if dropped && h[1] == "" {
		t.note(h, "dropDatabase", nil, nil)
	}
	return nil
}

// CreateIndex makes an index, and the collection if there is none.
func (t *Transaction) CreateIndex(h Handle, name string, config mongokit.IndexConfig) (string, error) {
	draft := t.draft(h)
	if err := draft.createIndex(name, config); err != nil {
		return "", err
	}
	t.put(h, draft)
	return name, nil
}

// DropIndex removes an index or, with an empty name, all but that of the ids.
func (t *Transaction) DropIndex(h Handle, name string) error {
	if !t.Has(h) {
		return fmt.Errorf("missing namespace %q", h.String())
	}
	draft := t.draft(h)
	if name != "" && draft.indexes[name] == nil {
		return fmt.Errorf("missing index %q", name)
	}
	for n := range draft.indexes {
		if n == name || name == "" && n != idIndex {
			delete(draft.indexes, n)
		}
	}
	t.put(h, draft)
	return nil
}
