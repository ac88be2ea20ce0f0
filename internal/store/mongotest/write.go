package mongotest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"
)

// write commits one change, or makes it in the command's transaction; its error is as
// MongoDB has it. do may run more than once.
func (c *call) write(do func(*engine.Transaction) error) error {
	var err error
	if c.txn != nil {
		err = c.txn.write(c.s, do)
	} else {
		err = c.s.commit(time.Duration(number(get(c.doc, "maxTimeMS")))*time.Millisecond, c.peer, do)
	}
	if err != nil && !errors.Is(err, errHangUp) {
		return c.duplicate(err)
	}
	return err
}

// duplicate gives the engine's error for a unique index the shape of MongoDB's.
func (c *call) duplicate(err error) error {
	_, index, ok := strings.Cut(err.Error(), `duplicate document for index "`)
	if !ok {
		return bad(err)
	}
	index = strings.TrimSuffix(index, `"`)
	c.s.mu.Lock()
	keys, ok := get(c.s.indexes[c.handle()][index], "key").(bson.D)
	c.s.mu.Unlock()
	if !ok {
		keys = bson.D{{Key: "_id", Value: int32(1)}}
	}
	return &failed{code: 11000, name: "DuplicateKey", keys: keys, msg: fmt.Sprintf("E11000 duplicate key error collection: %s index: %s dup key: { ... }",
		c.ns(), index)}
}

// each runs the statements of a bulk command in order and collects what fails.
func (c *call) each(key string, do func(st bson.D) error) (failures bson.A, err error) {
	statements, err := docs(c.doc, key)
	if err != nil {
		return nil, err
	}
	ordered := get(c.doc, "ordered") != false
	for i, st := range statements {
		err := do(*st)
		if err == nil {
			continue
		}
		if errors.Is(err, errHangUp) {
			return nil, err
		}
		var f *failed
		if !errors.As(bad(err), &f) || len(f.labels) > 0 { // of the transaction, not of this statement
			return nil, err
		}
		failure := bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: f.code}, {Key: "errmsg", Value: f.msg}}
		if f.keys != nil {
			failure = append(failure, bson.E{Key: "keyPattern", Value: f.keys})
		}
		failures = append(failures, failure)
		if ordered {
			break
		}
	}
	return failures, nil
}

func withFailures(answer bson.D, failures bson.A) bson.D {
	if len(failures) > 0 {
		answer = append(answer, bson.E{Key: "writeErrors", Value: failures})
	}
	return append(answer, good)
}

// insertAll inserts documents in one transaction; false when any of them is refused, and
// none is there.
func (c *call) insertAll(list []*bson.D) bool {
	if c.txn != nil {
		return false // there is no second try in a transaction
	}
	return c.write(func(tx *engine.Transaction) error {
		res, err := tx.Insert(c.handle(), list, true)
		if err != nil {
			return err
		}
		return res.Error
	}) == nil
}

func (c *call) insert() (bson.D, error) {
	if list, err := docs(c.doc, "documents"); err == nil && len(list) > 1 && c.insertAll(list) {
		return bson.D{{Key: "n", Value: int32(len(list))}, good}, nil
	}
	n := int32(0)
	failures, err := c.each("documents", func(d bson.D) error {
		err := c.write(func(tx *engine.Transaction) error {
			res, err := tx.Insert(c.handle(), bsonkit.List{&d}, true)
			if err != nil {
				return err
			}
			return res.Error
		})
		if err == nil {
			n++
		}
		return err
	})
	return withFailures(bson.D{{Key: "n", Value: n}}, failures), err
}

func (c *call) update() (bson.D, error) {
	var matched, modified int32
	var upserted bson.A
	at := int32(-1)
	failures, err := c.each("updates", func(st bson.D) error {
		at++
		res, err := c.change(st, "u", nil)
		if err != nil {
			return err
		}
		matched += int32(len(res.Matched))
		modified += int32(len(res.Modified))
		if res.Upserted != nil {
			matched++
			upserted = append(upserted, bson.D{{Key: "index", Value: at}, {Key: "_id", Value: bsonkit.Get(res.Upserted, "_id")}})
		}
		return nil
	})
	answer := bson.D{{Key: "n", Value: matched}, {Key: "nModified", Value: modified}}
	if upserted != nil {
		answer = append(answer, bson.E{Key: "upserted", Value: upserted})
	}
	return withFailures(answer, failures), err
}

// change runs one update or replacement, whose update stands under key.
func (c *call) change(st bson.D, key string, sort *bson.D) (res *engine.Result, err error) {
	u, ok := get(st, key).(bson.D)
	if !ok {
		return nil, refused("a pipeline as update")
	}
	query := doc(st, "q")
	if key == "update" {
		query = doc(st, "query")
	}
	filters, err := docs(st, "arrayFilters")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(refuseQuery(*query), refuseUpdate(u)); err != nil {
		return nil, err
	}
	for _, f := range filters {
		if err := refuseQuery(*f); err != nil {
			return nil, err
		}
	}
	u = c.s.kind.coarse(u)
	upsert := yes(get(st, "upsert"))
	limit := 1
	if yes(get(st, "multi")) {
		limit = 0
	}
	err = c.write(func(tx *engine.Transaction) (err error) {
		if len(u) == 0 || !strings.HasPrefix(u[0].Key, "$") {
			res, err = c.replace(tx, query, sort, u, upsert)
			return err
		}
		res, err = tx.Update(c.handle(), query, sort, &u, 0, limit, upsert, filters)
		return err
	})
	return res, err
}

// replace keeps the stored id, which the engine compares by identity.
func (c *call) replace(tx *engine.Transaction, query, sort *bson.D, u bson.D, upsert bool) (*engine.Result, error) {
	found, err := tx.Find(c.handle(), query, sort, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(found.Matched) == 1 {
		id := bsonkit.Get(found.Matched[0], "_id")
		if given := get(u, "_id"); given != nil && bsonkit.Compare(given, id) != 0 {
			return nil, &failed{code: 66, name: "ImmutableField", msg: "the _id field cannot be changed"}
		}
	}
	return tx.Replace(c.handle(), query, sort, &u, upsert)
}

func (c *call) delete() (bson.D, error) {
	n := int32(0)
	failures, err := c.each("deletes", func(st bson.D) error {
		query := doc(st, "q")
		if err := refuseQuery(*query); err != nil {
			return err
		}
		deleted := 0
		err := c.write(func(tx *engine.Transaction) error {
			res, err := tx.Delete(c.handle(), query, nil, 0, number(get(st, "limit")))
			if err == nil {
				deleted = len(res.Matched)
			}
			return err
		})
		n += int32(deleted)
		return err
	})
	return withFailures(bson.D{{Key: "n", Value: n}}, failures), err
}

func (c *call) findAndModify() (bson.D, error) {
	query, sort := doc(c.doc, "query"), doc(c.doc, "sort")
	fields := doc(c.doc, "fields")
	if err := errors.Join(refuseQuery(*query), refuseProjection(*fields)); err != nil {
		return nil, err
	}
	var old, now *bson.D
	var n int32
	status := bson.D{}
	if yes(get(c.doc, "remove")) {
		err := c.write(func(tx *engine.Transaction) error {
			old, n = nil, 0
			res, err := tx.Delete(c.handle(), query, sort, 0, 1)
			if err == nil && len(res.Matched) > 0 {
				old, n = res.Matched[0], 1
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	} else {
		res, err := c.change(c.doc, "update", sort)
		if err != nil {
			return nil, err
		}
		updated := len(res.Matched) > 0
		status = bson.D{{Key: "updatedExisting", Value: updated}}
		switch {
		case res.Upserted != nil:
			now, n = res.Upserted, 1
			status = append(status, bson.E{Key: "upserted", Value: bsonkit.Get(res.Upserted, "_id")})
		case updated:
			old, now, n = res.Matched[0], res.Matched[0], 1
			if len(res.Modified) > 0 {
				now = res.Modified[0]
			}
		}
	}
	result := old
	if yes(get(c.doc, "new")) {
		result = now
	}
	var value any
	if result != nil {
		value = *result
		if len(*fields) > 0 {
			shown, err := project([]*bson.D{result}, *fields)
			if err != nil {
				return nil, err
			}
			value = *shown[0]
		}
	}
	return bson.D{{Key: "lastErrorObject", Value: append(status, bson.E{Key: "n", Value: n})}, {Key: "value", Value: value}, good}, nil
}
