package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"github.com/tidwall/btree"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// idIndex is the name of the index that every collection has.
const idIndex = "_id_"

// entry is a document and its place in the order in which they were inserted. The
// document is never changed.
type entry struct {
	seq int64
	doc bsonkit.Doc
}

// Collection has documents and indexes. A Clone of it costs next to nothing: the trees
// share what neither changes.
type Collection struct {
	docs    *btree.BTreeG[entry]
	next    int64
	indexes map[string]*index
}

// NewCollection makes an empty one, with an index of ids.
func NewCollection() *Collection {
	c := &Collection{docs: btree.NewBTreeG(func(a, b entry) bool { return a.seq < b.seq }), indexes: map[string]*index{}}
	if err := c.createIndex(idIndex, mongokit.IndexConfig{Key: &bson.D{{Key: "_id", Value: int32(1)}}, Unique: true}); err != nil {
		panic(err) // it has no documents that could be twice there
	}
	return c
}

// Clone makes a copy; what is done to one of them does nothing to the other.
func (c *Collection) Clone() *Collection {
	out := &Collection{docs: c.docs.Copy(), next: c.next, indexes: maps.Clone(c.indexes)}
	for name, ix := range out.indexes {
		out.indexes[name] = ix.clone()
	}
	return out
}

func docsOf(found []entry) bsonkit.List {
	if len(found) == 0 {
		return nil
	}
	list := make(bsonkit.List, len(found))
	for i, e := range found {
		list[i] = e.doc
	}
	return list
}

// equal tells whether two documents are the same to the byte.
func equal(a, b bsonkit.Doc) bool {
	x, err := bson.Marshal(a)
	y, err2 := bson.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// find looks documents up, in the order in which they were inserted or in that of sort.
func (c *Collection) find(query, sort bsonkit.Doc, skip, limit int) (found []entry, err error) {
	sorted := sort != nil && len(*sort) > 0
	most := 0 // how many are enough
	if limit > 0 && !sorted {
		most = skip + limit
	}
	if query == nil {
		query = &bson.D{}
	}
	visit := func(e entry) bool {
		var ok bool
		if ok, err = mongokit.Match(e.doc, query); ok {
			found = append(found, e)
		}
		return err == nil && (most == 0 || len(found) < most)
	}
	if some, narrowed := c.narrow(*query); narrowed {
		for _, e := range some {
			if !visit(e) {
				break
			}
		}
	} else {
		c.docs.Scan(visit)
	}
	if err != nil {
		return nil, err
	}
	if sorted {
		if found, err = sortBy(found, sort); err != nil {
			return nil, err
		}
	}
	found = found[min(skip, len(found)):]
	if limit > 0 {
		found = found[:min(limit, len(found))]
	}
	return found, nil
}

func sortBy(found []entry, sort bsonkit.Doc) ([]entry, error) {
	list, err := mongokit.Sort(docsOf(found), sort)
	if err != nil {
		return nil, err
	}
	of := make(map[bsonkit.Doc]entry, len(found))
	for _, e := range found {
		of[e.doc] = e
	}
	for i, d := range list {
		found[i] = of[d]
	}
	return found, nil
}

// insert adds a document, which gets an id if it has none. After an error the collection
// is of no use any more.
func (c *Collection) insert(d bsonkit.Doc) error {
	if bsonkit.Get(d, "_id") == bsonkit.Missing {
		if _, err := bsonkit.Put(d, "_id", primitive.NewObjectID(), true); err != nil {
			return err
		}
	}
	c.next++
	return c.add(entry{c.next, d})
}

func (c *Collection) add(e entry) error {
	for _, name := range slices.Sorted(maps.Keys(c.indexes)) { // of several that refuse it, the same one always does
		if added, err := c.indexes[name].add(e); err != nil {
			return err
		} else if !added {
			return fmt.Errorf("duplicate document for index %q", name)
		}
	}
	c.docs.Set(e)
	return nil
}

func (c *Collection) remove(e entry) {
	for _, ix := range c.indexes {
		ix.remove(e)
	}
	c.docs.Delete(e)
}

// replaceAll puts documents in the places of others. After an error the collection is of
// no use any more.
func (c *Collection) replaceAll(found []entry, next bsonkit.List) error {
	for _, e := range found {
		c.remove(e)
	}
	for i, e := range found {
		if err := c.add(entry{e.seq, next[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collection) createIndex(name string, config mongokit.IndexConfig) (err error) {
	if len(*config.Key) == 0 {
		return fmt.Errorf("empty index key")
	}
	if config.Expiry > 0 && len(*config.Key) > 1 {
		return fmt.Errorf("invalid expiring compound index")
	}
	if have := c.indexes[name]; have != nil && config.Equal(have.config) {
		return nil
	}
	for other, have := range c.indexes {
		if bsonkit.Compare(*config.Key, *have.config.Key) == 0 {
			return fmt.Errorf("existing index %q has same key", other)
		}
	}
	ix, err := newIndex(config)
	if err != nil {
		return err
	}
	c.docs.Scan(func(e entry) bool {
		var added bool
		if added, err = ix.add(e); err == nil && !added {
			err = fmt.Errorf("duplicate document for index %q", name)
		}
		return err == nil
	})
	if err == nil {
		c.indexes[name] = ix
	}
	return err
}
