package engine

import (
	"cmp"
	"math"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// index finds documents by the values at some paths: a document is in it once for each
// combination of the elements of the arrays at its paths, in the order of the values.
type index struct {
	config mongokit.IndexConfig
	paths  []string
	tree   *btree.BTreeG[key]
	// multi tells that a document had several values at a path, odd that one had a value
	// that has no place in the order of all others. Both stay.
	multi, odd bool
}

// key is a place in an index: the values at its paths, or at the first of them.
type key struct {
	values []any
	entry  entry
}

func newIndex(config mongokit.IndexConfig) (*index, error) {
	columns, err := mongokit.Columns(config.Key)
	if err != nil {
		return nil, err
	}
	ix := &index{config: config}
	for _, c := range columns {
		ix.paths = append(ix.paths, c.Path)
	}
	ix.tree = btree.NewBTreeG(func(a, b key) bool {
		for i := range min(len(a.values), len(b.values)) {
			if n := bsonkit.Compare(a.values[i], b.values[i]); n != 0 {
				return n < 0
			}
		}
		// A key with fewer values stands before all that begin with them.
		return cmp.Or(cmp.Compare(len(a.values), len(b.values)), cmp.Compare(a.entry.seq, b.entry.seq)) < 0
	})
	return ix, nil
}

func (ix *index) clone() *index {
	out := *ix
	out.tree = ix.tree.Copy()
	return &out
}

// holds tells whether a document belongs into the index.
func (ix *index) holds(d bsonkit.Doc) (bool, error) {
	if ix.config.Partial == nil {
		return true, nil
	}
	return mongokit.Match(d, ix.config.Partial)
}

// add is false when the index is one of unique keys and one of the document's is taken.
func (ix *index) add(e entry) (bool, error) {
	if held, err := ix.holds(e.doc); err != nil || !held {
		return err == nil, err
	}
	tuples := ix.tuples(e.doc)
	ix.multi = ix.multi || len(tuples) > 1
	for _, t := range tuples {
		for _, v := range t {
			ix.odd = ix.odd || odd(v)
		}
		if ix.config.Unique && ix.taken(t) {
			return false, nil
		}
	}
	for _, t := range tuples {
		ix.tree.Set(key{t, e})
	}
	return true, nil
}

func (ix *index) remove(e entry) {
	if held, err := ix.holds(e.doc); err != nil || !held {
		return
	}
	for _, t := range ix.tuples(e.doc) {
		ix.tree.Delete(key{t, e})
	}
}

func (ix *index) taken(values []any) (taken bool) {
	ix.scan(values, func(key) bool { taken = true; return false })
	return taken
}

// scan visits the keys that begin with some values.
func (ix *index) scan(values []any, visit func(key) bool) {
	ix.tree.Ascend(key{values: values}, func(k key) bool {
		for i, v := range values {
			if bsonkit.Compare(k.values[i], v) != 0 {
				return false
			}
		}
		return visit(k)
	})
}

// tuples are the values of a document at the paths. An empty array is a value of its own.
func (ix *index) tuples(d bsonkit.Doc) [][]any {
	tuples := [][]any{nil}
	for _, path := range ix.paths {
		at, _ := bsonkit.All(d, path, true, true)
		values := []any{at}
		if list, is := at.(bson.A); is && len(list) > 0 {
			values = list
		}
		next := make([][]any, 0, len(tuples)*len(values))
		for _, t := range tuples {
			for _, v := range values {
				next = append(next, append(t[:len(t):len(t)], v))
			}
		}
		tuples = next
	}
	return tuples
}

// odd tells that a value cannot be compared with all others in one order.
func odd(v any) bool {
	switch v := v.(type) {
	case float64:
		return math.IsNaN(v) || math.IsInf(v, 0)
	case primitive.Decimal128:
		return true
	}
	return false
}
