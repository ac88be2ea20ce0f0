package engine

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/256dpi/lungo/bsonkit"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"pgregory.net/rapid"
)

var at = Handle{"db", "c"}

// genScalar draws values that are often equal, and of several types.
func genScalar() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		n := rapid.IntRange(0, 4).Draw(t, "n")
		switch rapid.IntRange(0, 9).Draw(t, "type") {
		case 0:
			return int64(n)
		case 1:
			return float64(n) + 0.5*float64(n%2)
		case 2:
			return nil
		case 3:
			return n > 1
		case 4:
			return primitive.DateTime(n)
		case 5:
			return primitive.Timestamp{T: 1, I: uint32(n)}
		case 6:
			return int32(n)
		default:
			return fmt.Sprint("s", n)
		}
	})
}

func genValue() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			list := bson.A{}
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				list = append(list, genScalar().Draw(t, "element"))
			}
			return list
		case 1:
			return bson.D{{Key: "d", Value: genScalar().Draw(t, "d")}}
		case 2:
			list := bson.A{}
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				list = append(list, bson.D{{Key: "d", Value: genScalar().Draw(t, "d")}})
			}
			return list
		case 3:
			return bson.A{bson.A{genScalar().Draw(t, "deep")}, genScalar().Draw(t, "flat")}
		case 4:
			return rapid.SampledFrom([]any{primitive.NewDecimal128(0, 7), primitive.Binary{Data: []byte{1}}, primitive.NilObjectID}).Draw(t, "rare")
		default:
			return genScalar().Draw(t, "scalar")
		}
	})
}

var members = []string{"a", "b", "c"}

func genDoc() *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		d := bson.D{{Key: "_id", Value: fmt.Sprint("s", rapid.IntRange(0, 12).Draw(t, "id"))}}
		for _, m := range members {
			if rapid.IntRange(0, 3).Draw(t, "has "+m) > 0 {
				d = append(d, bson.E{Key: m, Value: genValue().Draw(t, m)})
			}
		}
		return d
	})
}

func genTerm() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		op := rapid.SampledFrom([]string{"", "", "$eq", "$gt", "$gte", "$lt", "$lte", "$in", "$ne", "$nin", "$exists", "$not", "two"}).Draw(t, "operator")
		list := bson.A{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, genScalar().Draw(t, "element"))
		}
		switch op {
		case "":
			return genValue().Draw(t, "value")
		case "$in", "$nin":
			return bson.D{{Key: op, Value: list}}
		case "$exists":
			return bson.D{{Key: op, Value: rapid.Bool().Draw(t, "there")}}
		case "$not":
			return bson.D{{Key: op, Value: bson.D{{Key: "$gte", Value: genScalar().Draw(t, "value")}}}}
		case "two":
			return bson.D{{Key: "$gt", Value: genScalar().Draw(t, "from")}, {Key: "$lte", Value: genScalar().Draw(t, "to")}}
		}
		return bson.D{{Key: op, Value: genValue().Draw(t, "value")}}
	})
}

func genQuery(depth int) *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		q := bson.D{}
		for range rapid.IntRange(0, 3).Draw(t, "terms") {
			if depth > 0 && rapid.IntRange(0, 4).Draw(t, "nested") == 0 {
				list := bson.A{genQuery(depth-1).Draw(t, "one"), genQuery(depth-1).Draw(t, "other")}
				q = append(q, bson.E{Key: rapid.SampledFrom([]string{"$and", "$or", "$nor"}).Draw(t, "how"), Value: list})
				continue
			}
			q = append(q, bson.E{Key: rapid.SampledFrom([]string{"_id", "a", "b", "c", "a.d", "c.d", "a.0"}).Draw(t, "path"), Value: genTerm().Draw(t, "term")})
		}
		return q
	})
}

func sparse(paths ...string) *bson.D {
	var or bson.A
	for _, p := range paths {
		or = append(or, bson.D{{Key: p, Value: bson.D{{Key: "$exists", Value: true}}}})
	}
	return &bson.D{{Key: "$or", Value: or}}
}

func keys(paths ...string) *bson.D {
	d := bson.D{}
	for _, p := range paths {
		d = append(d, bson.E{Key: p, Value: int32(1)})
	}
	return &d
}

// configs are indexes of every kind that package mongotest makes.
var configs = map[string]mongokit.IndexConfig{
	"a": {Key: keys("a")}, "a b": {Key: keys("a", "b")}, "b id": {Key: keys("b", "_id")}, "c.d": {Key: keys("c.d"), Partial: sparse("c.d")},
	"a.d b":  {Key: keys("a.d", "b"), Partial: sparse("a.d", "b")},
	"c":      {Key: keys("c"), Partial: &bson.D{{Key: "c", Value: bson.D{{Key: "$gt", Value: "s1"}}}}},
	"unique": {Key: keys("c", "a"), Unique: true, Partial: sparse("c", "a")}, "down": {Key: &bson.D{{Key: "b", Value: int32(-1)}, {Key: "c", Value: int32(1)}}},
}

func bytesOf(t *rapid.T, list bsonkit.List) (out []string) {
	for _, d := range list {
		raw, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(raw))
	}
	return out
}

// TestLikeTheEngine: whatever is done to a collection, and asked of it, has the outcome
// that it has on the engine whose place this one takes, which looks at every document.
func TestLikeTheEngine(t *testing.T) {
	narrowed, indexed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		e := New()
		theirs := mongokit.NewCollection(true)
		tx, err := e.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, got *Result, gotErr error, want *mongokit.Result, wantErr error) {
			if (gotErr != nil) != (wantErr != nil) {
				t.Fatalf("%s: %v, and there %v", what, gotErr, wantErr)
			}
			if gotErr != nil {
				return
			}
			if want == nil {
				want = &mongokit.Result{}
			}
			for i, pair := range [][2]bsonkit.List{{got.Matched, want.Matched}, {got.Modified, want.Modified}} {
				if g, w := bytesOf(t, pair[0]), bytesOf(t, pair[1]); fmt.Sprint(g) != fmt.Sprint(w) {
					t.Fatalf("%s: list %d: %d documents, and there %d: %q, %q", what, i, len(g), len(w), g, w)
				}
			}
			if (got.Upserted == nil) != (want.Upserted == nil) {
				t.Fatalf("%s: made %v, and there %v", what, got.Upserted, want.Upserted)
			}
		}
		// on runs one of their operations on a copy, since one that fails leaves a half.
		on := func(do func(c *mongokit.Collection) (*mongokit.Result, error)) (*mongokit.Result, error) {
			c := theirs.Clone()
			res, err := do(c)
			if err == nil {
				theirs = c
			}
			return res, err
		}
		for _, name := range slices.Sorted(maps.Keys(configs)) {
			config := configs[name]
			if rapid.Bool().Draw(t, "index "+name) {
				if _, err := tx.CreateIndex(at, name, config); err != nil {
					t.Fatal(err)
				}
				if _, err := theirs.CreateIndex(name, config); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "operations") {
			q := genQuery(1).Draw(t, "query")
			limit := rapid.IntRange(0, 2).Draw(t, "limit")
			var sort *bson.D
			if rapid.Bool().Draw(t, "sorted") {
				sort = &bson.D{{Key: rapid.SampledFrom(members).Draw(t, "by"), Value: int32(1 - 2*rapid.IntRange(0, 1).Draw(t, "down"))}}
			}
			ops := []string{"insert", "insert", "insert", "find", "find", "find", "update", "upsert", "replace", "delete"}
			switch op := rapid.SampledFrom(ops).Draw(t, "operation"); op {
			case "insert":
				d := genDoc().Draw(t, "document")
				res, err := tx.Insert(at, bsonkit.List{&d}, true)
				if err == nil {
					err = res.Error
				}
				want, wantErr := on(func(c *mongokit.Collection) (*mongokit.Result, error) { return c.Insert(bsonkit.Clone(&d)) })
				check(op, res, err, want, wantErr)
			case "find":
				skip := rapid.IntRange(0, 2).Draw(t, "skip")
				res, err := tx.Find(at, &q, sort, skip, limit)
				want, wantErr := theirs.Find(&q, sort, skip, limit)
				check(fmt.Sprint(op, q), res, err, want, wantErr)
				if c := tx.collections[at]; c != nil {
					if some, is := c.narrow(q); is {
						if indexed++; len(some) < c.docs.Len() {
							narrowed++
						}
					}
				}
			case "update", "upsert":
				u := bson.D{{Key: "$set", Value: bson.D{{Key: rapid.SampledFrom(members).Draw(t, "member"), Value: genValue().Draw(t, "new")}}}}
				up := op == "upsert"
				if up {
					q = bson.D{{Key: "_id", Value: fmt.Sprint("s", rapid.IntRange(0, 12).Draw(t, "id"))}}
				}
				res, err := tx.Update(at, &q, sort, &u, 0, limit, up, nil)
				want, wantErr := on(func(c *mongokit.Collection) (*mongokit.Result, error) {
					res, err := c.Update(&q, &u, sort, 0, limit, nil)
					if err == nil && len(res.Matched) == 0 && up {
						return c.Upsert(&q, nil, &u, nil)
					}
					return res, err
				})
				check(fmt.Sprint(op, q, u), res, err, want, wantErr)
			case "replace":
				d := genDoc().Draw(t, "document")[1:]
				res, err := tx.Replace(at, &q, sort, &d, false)
				want, wantErr := on(func(c *mongokit.Collection) (*mongokit.Result, error) { return c.Replace(&q, bsonkit.Clone(&d), sort) })
				check(fmt.Sprint(op, q), res, err, want, wantErr)
			case "delete":
				res, err := tx.Delete(at, &q, sort, 0, limit)
				want, wantErr := on(func(c *mongokit.Collection) (*mongokit.Result, error) { return c.Delete(&q, sort, 0, limit) })
				check(fmt.Sprint(op, q), res, err, want, wantErr)
			}
		}
		all, err := tx.Find(at, &bson.D{}, nil, 0, 0)
		check("at the end", all, err, &mongokit.Result{Matched: theirs.Documents.List}, nil)
	})
	if indexed == 0 || narrowed*3 < indexed {
		t.Errorf("an index was used for %d queries, and left documents out for %d", indexed, narrowed)
	}
}

// TestTransactionsAreSnapshots: what others commit is not seen, what is not committed is
// nowhere, and two that write do not lose each other's changes.
func TestTransactionsAreSnapshots(t *testing.T) {
	e := New()
	begin := func() *Transaction {
		tx, err := e.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	n := func(tx *Transaction) int {
		res, err := tx.Find(at, &bson.D{}, nil, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(res.Matched)
	}
	add := func(tx *Transaction, id int) {
		if res, err := tx.Insert(at, bsonkit.List{{{Key: "_id", Value: int32(id)}}}, true); err != nil || res.Error != nil {
			t.Fatal(err, res.Error)
		}
	}
	for i := range 1000 {
		before, dropped, tx := begin(), begin(), begin()
		add(tx, i)
		add(dropped, i)
		e.Abort(dropped)
		if n(before) != i || n(tx) != i+1 || n(dropped) != i || n(begin()) != i {
			t.Fatalf("%d: seen %d, %d, %d, %d", i, n(before), n(tx), n(dropped), n(begin()))
		}
		if err := e.Commit(tx); err != nil {
			t.Fatal(err)
		}
		if n(before) != i || n(begin()) != i+1 || len(tx.Taken()) != 1 || len(tx.Taken()) != 0 {
			t.Fatalf("%d: seen %d, %d", i, n(before), n(begin()))
		}
		add(before, -1)
		if err := e.Commit(before); err == nil {
			t.Fatal("a change was lost")
		}
	}
}
