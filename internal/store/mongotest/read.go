package mongotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ddpserver/internal/store/mongotest/engine"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

// firstBatch is MongoDB's default size of the first batch of a cursor.
const firstBatch = 101

// look runs a query on a snapshot.
func (c *call) look(h engine.Handle, query, sort *bson.D, skip, limit int) ([]*bson.D, error) {
	if err := refuseQuery(*query); err != nil {
		return nil, err
	}
	tx, err := c.s.engine.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	if c.txn != nil {
		tx = c.txn.tx
	}
	res, err := tx.Find(h, query, sort, skip, limit)
	if err != nil {
		return nil, err
	}
	return res.Matched, nil
}

func (c *call) find() (bson.D, error) {
	limit := number(get(c.doc, "limit"))
	single := yes(get(c.doc, "singleBatch"))
	if limit < 0 {
		limit, single = -limit, true
	}
	fields := doc(c.doc, "projection")
	if err := refuseProjection(*fields); err != nil {
		return nil, err
	}
	found, err := c.look(c.handle(), doc(c.doc, "filter"), doc(c.doc, "sort"), number(get(c.doc, "skip")), limit)
	if err == nil && len(*fields) > 0 {
		found, err = project(found, *fields)
	}
	if err != nil {
		return nil, err
	}
	all := make([]bson.D, len(found))
	for i, d := range found {
		all[i] = *d
	}
	return c.s.cursor(c.ns(), all, number(get(c.doc, "batchSize")), single), nil
}

// project shows the fields that are asked for. The engine knows no dotted ones.
func project(found []*bson.D, fields bson.D) ([]*bson.D, error) {
	dotted := slices.ContainsFunc(fields, func(e bson.E) bool { return strings.Contains(e.Key, ".") })
	if !dotted {
		return mongokit.ProjectList(found, &fields)
	}
	paths := []string{"_id"}
	for _, e := range fields {
		if !shows(e.Value) {
			return nil, refused("a projection that shows and hides")
		}
		paths = append(paths, e.Key)
	}
	out := make([]*bson.D, len(found))
	for i, d := range found {
		shown := show(*d, paths)
		out[i] = &shown
	}
	return out, nil
}

// show keeps the members of a document that lie on one of the paths.
func show(d bson.D, paths []string) bson.D {
	out := bson.D{}
	for _, e := range d {
		var deeper []string
		for _, p := range paths {
			if p == e.Key {
				out = append(out, e)
				deeper = nil
				break
			}
			if rest, ok := strings.CutPrefix(p, e.Key+"."); ok {
				deeper = append(deeper, rest)
			}
		}
		if deeper == nil {
			continue
		}
		switch v := e.Value.(type) {
		case bson.D:
			out = append(out, bson.E{Key: e.Key, Value: show(v, deeper)})
		case bson.A:
			list := bson.A{}
			for _, element := range v {
				if doc, ok := element.(bson.D); ok {
					list = append(list, show(doc, deeper))
				}
			}
			out = append(out, bson.E{Key: e.Key, Value: list})
		}
	}
	return out
}

// cursor answers with the first documents and keeps the rest for getMore.
func (s *Server) cursor(ns string, all []bson.D, size int, single bool) bson.D {
	if size <= 0 {
		size = firstBatch
	}
	batch, rest := split(all, size)
	id := int64(0)
	if len(rest) > 0 && !single {
		id = s.ids.Add(1)
		s.mu.Lock()
		s.cursors[id] = &cursor{ns: ns, rest: rest}
		s.mu.Unlock()
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: id}, {Key: "ns", Value: ns}, {Key: "firstBatch", Value: batch}}}, good}
}

func split(all []bson.D, size int) (batch bson.A, rest []bson.D) {
	n := min(size, len(all))
	batch = make(bson.A, n)
	for i := range n {
		batch[i] = all[i]
	}
	return batch, all[n:]
}

func (c *call) getMore() (bson.D, error) {
	id, _ := c.doc[0].Value.(int64)
	size := number(get(c.doc, "batchSize"))
	if size <= 0 {
		size = 1 << 20
	}
	c.s.mu.Lock()
	cur := c.s.cursors[id]
	if cur != nil && cur.stream != nil {
		c.s.mu.Unlock()
		return c.await(id, cur)
	}
	defer c.s.mu.Unlock()
	if cur == nil {
		return nil, &failed{code: 43, name: "CursorNotFound", msg: fmt.Sprintf("cursor id %d not found", id)}
	}
	var batch bson.A
	batch, cur.rest = split(cur.rest, size)
	if len(cur.rest) == 0 {
		delete(c.s.cursors, id)
		id = 0
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: id}, {Key: "ns", Value: cur.ns}, {Key: "nextBatch", Value: batch}}}, good}, nil
}

func (c *call) killCursors() (bson.D, error) {
	ids, _ := get(c.doc, "cursors").(bson.A)
	for _, v := range ids {
		if id, ok := v.(int64); ok {
			c.s.end(id, nil)
		}
	}
	return bson.D{{Key: "cursorsKilled", Value: ids}, good}, nil
}

func (c *call) count() (bson.D, error) {
	found, err := c.look(c.handle(), doc(c.doc, "query"), nil, number(get(c.doc, "skip")), number(get(c.doc, "limit")))
	return bson.D{{Key: "n", Value: int32(len(found))}, good}, err
}

func (c *call) distinct() (bson.D, error) {
	key, _ := get(c.doc, "key").(string)
	found, err := c.look(c.handle(), doc(c.doc, "query"), nil, 0, 0)
	if err != nil {
		return nil, err
	}
	return bson.D{{Key: "values", Value: mongokit.Distinct(found, key)}, good}, nil
}

// aggregate knows change streams, $match, $sort, $skip, $limit and, at the end, counting all documents.
func (c *call) aggregate() (bson.D, error) {
	stages, err := docs(c.doc, "pipeline")
	if err != nil {
		return nil, err
	}
	if len(stages) > 0 && get(*stages[0], "$changeStream") != nil {
		return c.openStream(stages)
	}
	query, sort := &bson.D{}, &bson.D{}
	skip, limit, counting := 0, 0, false
	for i, st := range stages {
		if len(*st) != 1 || counting {
			return nil, refused("this pipeline")
		}
		switch e := (*st)[0]; e.Key {
		case "$match":
			if i > 0 {
				return nil, refused("$match after another stage")
			}
			query = doc(*st, "$match")
		case "$sort":
			sort = doc(*st, "$sort")
		case "$skip":
			skip = number(e.Value)
		case "$limit":
			limit = number(e.Value)
		case "$group":
			g := *doc(*st, "$group")
			sum := *doc(g, "n")
			if len(g) != 2 || number(get(g, "_id")) != 1 || len(sum) != 1 || number(get(sum, "$sum")) != 1 {
				return nil, refused("this $group")
			}
			counting = true
		default:
			return nil, refused("stage %s", e.Key)
		}
	}
	found, err := c.look(c.handle(), query, sort, skip, limit)
	if err != nil {
		return nil, err
	}
	all := make([]bson.D, len(found))
	for i, d := range found {
		all[i] = *d
	}
	if counting {
		all = nil
		if len(found) > 0 {
			all = []bson.D{{{Key: "_id", Value: int32(1)}, {Key: "n", Value: int32(len(found))}}}
		}
	}
	return c.s.cursor(c.ns(), all, number(get(*doc(c.doc, "cursor"), "batchSize")), false), nil
}

func (c *call) listCollections() (bson.D, error) {
	tx, err := c.s.engine.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	found, err := tx.Collections(c.db, doc(c.doc, "filter"))
	if err != nil {
		return nil, err
	}
	all := make([]bson.D, len(found))
	for i, d := range found {
		all[i] = *d
	}
	return c.s.cursor(c.db+".$cmd.listCollections", all, 0, false), nil
}

var errHangUp = errors.New("hang up")
