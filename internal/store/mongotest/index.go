package mongotest

import (
	"context"
	"fmt"
	"reflect"
	"sort"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
)

var idIndex = bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "name", Value: "_id_"}}

func (c *call) createIndexes() (bson.D, error) {
	specs, err := docs(c.doc, "indexes")
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		if err := c.createIndex(*spec); err != nil {
			return nil, err
		}
	}
	return bson.D{good}, nil
}

func (c *call) createIndex(spec bson.D) error {
	name, _ := get(spec, "name").(string)
	h := c.handle()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for n, have := range c.s.indexes[h] {
		sameKey := reflect.DeepEqual(get(have, "key"), get(spec, "key"))
		switch {
		case n == name && reflect.DeepEqual(have, spec):
			return nil
		case n == name && !sameKey:
			return &failed{code: 86, name: "IndexKeySpecsConflict", msg: fmt.Sprintf("index %s exists with other keys", name)}
		case n == name || sameKey:
			return &failed{code: 85, name: "IndexOptionsConflict", msg: fmt.Sprintf("index %s exists with other options or another name", n)}
		}
	}
	config, err := indexConfig(spec)
	if err != nil {
		return err
	}
	err = c.s.commit(0, nil, func(tx *engine.Transaction) error {
		_, err := tx.CreateIndex(h, name, config)
		return err
	})
	if err != nil {
		return err
	}
	if c.s.indexes[h] == nil {
		c.s.indexes[h] = make(map[string]bson.D)
	}
	c.s.indexes[h][name] = spec
	return nil
}

func indexConfig(spec bson.D) (mongokit.IndexConfig, error) {
	key := doc(spec, "key")
	config := mongokit.IndexConfig{Key: key}
	for _, e := range spec {
		switch e.Key {
		case "key", "name", "v", "background":
		case "unique":
			config.Unique = yes(e.Value)
		case "partialFilterExpression":
			config.Partial = doc(spec, e.Key)
			if err := refuseQuery(*config.Partial); err != nil {
				return config, err
			}
		case "sparse":
			if !yes(e.Value) {
				break
			}
			// The engine has no sparse indexes: a document is in one when it
			// has at least one of the fields.
			var or bson.A
			for _, k := range *key {
				or = append(or, bson.D{{Key: k.Key, Value: bson.D{{Key: "$exists", Value: true}}}})
			}
			config.Partial = &bson.D{{Key: "$or", Value: or}}
		case "expireAfterSeconds":
			// The engine takes 0 for none.
			config.Expiry = max(time.Duration(number(e.Value))*time.Second, 1)
		default:
			return config, refused("index option %s", e.Key)
		}
	}
	return config, nil
}

func (c *call) listIndexes() (bson.D, error) {
	tx, err := c.s.engine.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	if !tx.Has(c.handle()) {
		return nil, &failed{code: 26, name: "NamespaceNotFound", msg: "ns does not exist: " + c.ns()}
	}
	c.s.mu.Lock()
	all := []bson.D{idIndex}
	for _, spec := range c.s.indexes[c.handle()] {
		all = append(all, append(bson.D{{Key: "v", Value: int32(2)}}, spec...))
	}
	c.s.mu.Unlock()
	sort.Slice(all[1:], func(i, j int) bool {
		return get(all[1:][i], "name").(string) < get(all[1:][j], "name").(string)
	})
	return c.s.cursor(c.ns(), all, 0, false), nil
}

func (c *call) dropIndexes() (bson.D, error) {
	name, ok := get(c.doc, "index").(string)
	if !ok {
		return nil, refused("dropping an index by anything but its name")
	}
	if name == "*" {
		name = ""
	}
	err := c.write(func(tx *engine.Transaction) error { return tx.DropIndex(c.handle(), name) })
	if err != nil {
		return nil, &failed{code: 27, name: "IndexNotFound", msg: err.Error()}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if name == "" {
		delete(c.s.indexes, c.handle())
	} else {
		delete(c.s.indexes[c.handle()], name)
	}
	return bson.D{good}, nil
}

func (c *call) drop() (bson.D, error) {
	return c.dropped(c.handle(), func(h engine.Handle) bool { return h == c.handle() })
}

func (c *call) dropDatabase() (bson.D, error) {
	return c.dropped(engine.Handle{c.db}, func(h engine.Handle) bool { return h[0] == c.db })
}

func (c *call) dropped(h engine.Handle, hit func(engine.Handle) bool) (bson.D, error) {
	if err := c.write(func(tx *engine.Transaction) error { return tx.Drop(h) }); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for h := range c.s.indexes {
		if hit(h) {
			delete(c.s.indexes, h)
		}
	}
	return bson.D{good}, nil
}
