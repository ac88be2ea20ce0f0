package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// What an index says of a query is only which documents cannot match. Whatever is not
// understood here narrows nothing.

// maxPoints bounds the places that are looked up in an index for one query.
const maxPoints = 20_000

// terms are what a query demands of the values at one path, as far as an index can tell.
type terms struct {
	// points are values of which one must be there, of one demand; nil is no demand.
	points []any
	// from and to are bounds, of one demand each; nil is none.
	from, to any
}

// understood are the operators that cannot fail for a document that is not looked at.
var understood = map[string]bool{
	"$eq": true, "$ne": true, "$gt": true, "$gte": true, "$lt": true, "$lte": true, "$in": true, "$nin": true, "$exists": true, "$not": true,
	"$and": true, "$or": true, "$nor": true, "$elemMatch": true, "$all": true, "$size": true,
}

func plain(v any) bool {
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			if strings.HasPrefix(e.Key, "$") && !understood[e.Key] {
				return false
			}
			if _, list := e.Value.(bson.A); (e.Key == "$in" || e.Key == "$nin") && !list {
				return false
			}
			if !plain(e.Value) {
				return false
			}
		}
	case bson.A:
		return !slices.ContainsFunc(v, func(e any) bool { return !plain(e) })
	case primitive.Regex:
		return false
	}
	return true
}

// narrow lists the documents that may match a query, in the order in which they were
// inserted. It is false where that may be any.
func (c *Collection) narrow(query bson.D) ([]entry, bool) {
	if len(query) == 0 || !plain(query) {
		return nil, false
	}
	found := map[int64]entry{}
	if !c.collect(query, found) {
		return nil, false
	}
	list := make([]entry, 0, len(found))
	for _, e := range found {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	return list, true
}

// collect adds the documents that may match; it is false where no index knows them.
func (c *Collection) collect(query bson.D, found map[int64]entry) bool {
	demands := map[string]*terms{}
	var either bson.A
	demand(query, demands, &either)
	best, points := (*index)(nil), 0
	for _, ix := range c.indexes {
		if n := ix.worth(demands); n > points || n == points && n > 0 && len(ix.paths) < len(best.paths) {
			best, points = ix, n
		}
	}
	if best != nil {
		return best.collect(demands, found)
	}
	if len(either) == 0 {
		return false
	}
	for _, branch := range either {
		if q, is := branch.(bson.D); !is || !c.collect(q, found) {
			return false
		}
	}
	return true
}

// demand notes what a query demands of each path. Of several demands on one path one is
// enough. Either is a list of which one must match.
func demand(query bson.D, demands map[string]*terms, either *bson.A) {
	for _, e := range query {
		list, _ := e.Value.(bson.A)
		switch {
		case e.Key == "$and":
			for _, v := range list {
				if q, is := v.(bson.D); is {
					demand(q, demands, either)
				}
			}
		case e.Key == "$or":
			*either = list
		case !strings.HasPrefix(e.Key, "$"):
			t := demands[e.Key]
			if t == nil {
				t = &terms{}
				demands[e.Key] = t
			}
			t.demand(e.Value)
		}
	}
}

func (t *terms) demand(v any) {
	ops, is := v.(bson.D)
	if !is || len(ops) > 0 && !strings.HasPrefix(ops[0].Key, "$") {
		ops = bson.D{{Key: "$eq", Value: v}}
	}
	for _, op := range ops {
		switch op.Key {
		case "$eq":
			if ordered(op.Value) {
				t.points = []any{op.Value}
			}
		case "$in":
			if list := op.Value.(bson.A); t.points == nil && !slices.ContainsFunc(list, func(v any) bool { return !ordered(v) }) {
				t.points = append([]any{}, list...)
			}
		case "$gt", "$gte":
			if ordered(op.Value) {
				t.from = op.Value
			}
		case "$lt", "$lte":
			if ordered(op.Value) {
				t.to = op.Value
			}
		}
	}
}

// ordered tells whether documents with a value are found where it stands in an index, and
// nowhere else: null is equal to what is missing, and an array to several places.
func ordered(v any) bool {
	switch v.(type) {
	case string, int32, int64, float64, bool, primitive.ObjectID, primitive.DateTime, primitive.Timestamp, primitive.Binary:
		return !odd(v)
	}
	return false
}

// worth is how much an index narrows: two for each path with points, one for a path with
// bounds behind them, nothing if it may lack documents that match.
func (ix *index) worth(demands map[string]*terms) (n int) {
	if ix.odd || !ix.complete(demands) {
		return 0
	}
	for _, path := range ix.paths {
		t := demands[path]
		switch {
		case t != nil && t.points != nil:
			n += 2
			continue
		case t != nil && (t.from != nil || t.to != nil):
			n++
		}
		break
	}
	return n
}

// complete tells whether all documents that meet the demands are in the index: in one
// without a filter, and in one of those that have something at one of its paths.
func (ix *index) complete(demands map[string]*terms) bool {
	if ix.config.Partial == nil {
		return true
	}
	if !ix.sparse() {
		return false
	}
	return slices.ContainsFunc(ix.paths, func(path string) bool {
		t := demands[path]
		return t != nil && (len(t.points) > 0 || t.from != nil || t.to != nil)
	})
}

// sparse tells whether the filter is that of a sparse index, as package mongotest writes it.
func (ix *index) sparse() bool {
	filter := *ix.config.Partial
	list, _ := filter[0].Value.(bson.A)
	if len(filter) != 1 || filter[0].Key != "$or" || len(list) != len(ix.paths) {
		return false
	}
	for i, v := range list {
		exists := bson.D{{Key: ix.paths[i], Value: bson.D{{Key: "$exists", Value: true}}}}
		if bsonkit.Compare(v, exists) != 0 {
			return false
		}
	}
	return true
}

// collect adds what is found at the points, and within the bounds behind them.
func (ix *index) collect(demands map[string]*terms, found map[int64]entry) bool {
	prefixes := [][]any{nil}
	var bounds *terms
	for _, path := range ix.paths {
		t := demands[path]
		if t == nil || t.points == nil {
			bounds = t
			break
		}
		if len(prefixes)*len(t.points) > maxPoints {
			break
		}
		next := make([][]any, 0, len(prefixes)*len(t.points))
		for _, p := range prefixes {
			for _, v := range t.points {
				next = append(next, append(p[:len(p):len(p)], v))
			}
		}
		prefixes = next
	}
	if bounds == nil || bounds.from == nil && bounds.to == nil {
		if len(prefixes) == 1 && len(prefixes[0]) == 0 {
			return false
		}
		for _, p := range prefixes {
			ix.scan(p, func(k key) bool { found[k.entry.seq] = k.entry; return true })
		}
		return true
	}
	for _, p := range prefixes {
		ix.between(p, *bounds, found)
	}
	return true
}

// between adds the documents whose value behind a prefix lies within bounds. Where
// documents may have several values, one of which meets one bound and another the other,
// only one of them counts.
func (ix *index) between(prefix []any, b terms, found map[int64]entry) {
	if ix.multi && b.from != nil {
		b.to = nil
	}
	at := key{values: prefix}
	if b.from != nil {
		at.values = append(prefix[:len(prefix):len(prefix)], b.from)
	}
	n := len(prefix)
	class := cmp.Or(b.from, b.to)
	ix.tree.Ascend(at, func(k key) bool {
		for i, v := range prefix {
			if bsonkit.Compare(k.values[i], v) != 0 {
				return false
			}
		}
		switch v := k.values[n]; {
		case b.to != nil && bsonkit.Compare(v, b.to) > 0, kind(v) > kind(class):
			return false
		case kind(v) == kind(class):
			found[k.entry.seq] = k.entry
		}
		return true
	})
}

// kind is the place of a value's type in the order of all types.
func kind(v any) bsonkit.Class {
	c, _ := bsonkit.Inspect(v)
	return c
}
