package mongotest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, server *mongotest.Server) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(server.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client.Database("db").Collection("c")
}

type d = bson.D

func kv(pairs ...any) d {
	var out d
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return out
}

func insert(t *testing.T, c *mongo.Collection, docs ...any) {
	t.Helper()
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// TestRefusals: what the engine gets wrong must fail loudly.
func TestRefusals(t *testing.T) {
	c, ctx := connect(t, mongotest.StartServer(t)), t.Context()
	insert(t, c, kv("_id", "1", "a", bson.A{kv("b", 1)}, "s", "text"))
	set := kv("$set", kv("x", 1))
	find := func(filter d, opts ...options.Lister[options.FindOptions]) error {
		cur, err := c.Find(ctx, filter, opts...)
		if err == nil {
			err = cur.Close(ctx)
		}
		return err
	}
	update := func(filter, u any) error {
		_, err := c.UpdateOne(ctx, filter, u)
		return err
	}
	index := func(name string, keys d, unique bool) error {
		_, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: options.Index().SetName(name).SetUnique(unique)})
		return err
	}
	if err := index("i", kv("k", 1), false); err != nil {
		t.Fatal(err)
	}
	if err := index("i", kv("k", 1), false); err != nil {
		t.Error("the same index again:", err)
	}
	for what, err := range map[string]error{
		"$regex":                   find(kv("s", kv("$regex", "t"))),
		"a regular expression":     find(kv("s", bson.Regex{Pattern: "t"})),
		"one inside $in":           find(kv("s", kv("$in", bson.A{bson.Regex{Pattern: "t"}}))),
		"$type":                    find(kv("s", kv("$type", "null"))),
		"$all":                     find(kv("a.b", kv("$all", bson.A{1}))),
		"$expr":                    find(kv("$expr", kv("$eq", bson.A{"$a", "$b"}))),
		"$where":                   find(kv("$where", "1")),
		"nested":                   find(kv("$or", bson.A{kv("$and", bson.A{kv("s", kv("$not", kv("$regex", "x")))})})),
		"hiding in arrays":         find(d{}, options.Find().SetProjection(kv("a.b", 0))),
		"showing and hiding":       find(d{}, options.Find().SetProjection(kv("a.b", 1, "s", 0))),
		"positional projection":    find(d{}, options.Find().SetProjection(kv("a.$", 1))),
		"$slice":                   find(d{}, options.Find().SetProjection(kv("a", kv("$slice", 1)))),
		"collation":                find(d{}, options.Find().SetCollation(&options.Collation{Locale: "en"})),
		"positional $":             update(kv("a.b", 1), kv("$set", kv("a.$.b", 2))),
		"conflicting paths":        update(d{}, kv("$set", kv("a", 1), "$unset", kv("a.b", 1))),
		"the same path":            update(d{}, kv("$set", kv("x", 1), "$inc", kv("x", 1))),
		"a pipeline":               update(d{}, mongo.Pipeline{kv("$set", kv("x", 1))}),
		"$regex in an update":      update(kv("s", kv("$regex", "t")), set),
		"index name, other keys":   index("i", kv("other", 1), false),
		"index keys, other name":   index("j", kv("k", 1), false),
		"index, other options":     index("i", kv("k", 1), true),
		"aggregation":              func() error { _, err := c.Aggregate(ctx, mongo.Pipeline{kv("$lookup", d{})}); return err }(),
		"replacing the id":         func() error { _, err := c.ReplaceOne(ctx, kv("_id", "1"), kv("_id", "2")); return err }(),
		"an unknown command":       c.Database().RunCommand(ctx, kv("frobnicate", 1)).Err(),
		"a push on a non-array":    update(d{}, kv("$push", kv("s", 1))),
		"an empty update document": c.Database().RunCommand(ctx, kv("findAndModify", "c", "query", d{}, "update", kv("$set", d{}))).Err(),
	} {
		if err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

// TestOperations: what package mongo relies on.
func TestOperations(t *testing.T) {
	c, ctx := connect(t, mongotest.StartServer(t)), t.Context()
	_, err := c.Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: kv("name", 1), Options: options.Index().SetUnique(true).SetSparse(true)},
		{Keys: kv("list.key", 1), Options: options.Index().SetUnique(true).SetSparse(true)},
		{Keys: kv("at", 1), Options: options.Index().SetExpireAfterSeconds(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var many []any
	for i := range 250 {
		many = append(many, kv("_id", fmt.Sprint(i), "n", i, "list", bson.A{}))
	}
	insert(t, c, many...)
	cur, err := c.Find(ctx, kv("n", kv("$gte", 10)), options.Find().SetSort(kv("n", -1)).SetSkip(5).SetLimit(220).SetProjection(kv("n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var found []struct {
		N    int `bson:"n"`
		List any `bson:"list"`
	}
	if err := cur.All(ctx, &found); err != nil || len(found) != 220 || found[0].N != 244 || found[219].N != 25 || found[0].List != nil {
		t.Errorf("%d found, %v", len(found), err)
	}
	if n, err := c.CountDocuments(ctx, kv("n", kv("$lt", 7))); err != nil || n != 7 {
		t.Error(n, err)
	}
	if n, err := c.CountDocuments(ctx, kv("n", -1)); err != nil || n != 0 {
		t.Error(n, err)
	}
	insert(t, c, kv("_id", "u1", "name", "x", "list", bson.A{kv("key", "a"), kv("key", "b")}))
	for what, err := range map[string]error{
		"id":   func() error { _, err := c.InsertOne(ctx, kv("_id", "u1")); return err }(),
		"name": func() error { _, err := c.InsertOne(ctx, kv("_id", "u2", "name", "x")); return err }(),
		"list element": func() error {
			_, err := c.UpdateOne(ctx, kv("_id", "1"), kv("$push", kv("list", kv("key", "b"))))
			return err
		}(),
		"upsert": func() error {
			_, err := c.UpdateOne(ctx, kv("_id", "u1", "name", "y"), kv("$set", kv("z", 1)), options.UpdateOne().SetUpsert(true))
			return err
		}(),
		"findAndModify": c.FindOneAndUpdate(ctx, kv("_id", "2"), kv("$set", kv("name", "x"))).Err(),
	} {
		if !mongo.IsDuplicateKeyError(err) || !strings.Contains(err.Error(), " index: ") {
			t.Errorf("%s: %v, want a duplicate key", what, err)
		}
	}
	res, err := c.UpdateOne(ctx, kv("_id", "u1"), kv("$set", kv("list.$[e].hit", true)), options.UpdateOne().SetArrayFilters([]any{kv("e.key", "b")}))
	if err != nil || res.ModifiedCount != 1 {
		t.Error(res, err)
	}
	var after struct {
		List []struct {
			Key string
			Hit bool
		}
		Stamp bson.Timestamp
	}
	err = c.FindOneAndUpdate(ctx, kv("_id", "u1"), kv("$pull", kv("list", kv("key", kv("$ne", "b"), "$or", bson.A{kv("key", "a"), kv("key", "b")})),
		"$currentDate", kv("stamp", kv("$type", "timestamp"))),
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&after)
	if err != nil || len(after.List) != 1 || after.List[0].Key != "b" || !after.List[0].Hit || after.Stamp.IsZero() {
		t.Errorf("%+v, %v", after, err)
	}
	if err := c.FindOneAndDelete(ctx, kv("_id", "u1")).Err(); err != nil {
		t.Error(err)
	}
	if err := c.FindOneAndUpdate(ctx, kv("_id", "u1"), kv("$set", kv("x", 1))).Err(); !errors.Is(err, mongo.ErrNoDocuments) {
		t.Error(err)
	}
	specs, err := c.Indexes().ListSpecifications(ctx)
	if err != nil || len(specs) != 4 {
		t.Errorf("%d indexes, %v", len(specs), err)
	}
	if _, err := c.Database().Collection("none").Indexes().ListSpecifications(ctx); err != nil {
		t.Error("indexes of a collection that is not there:", err)
	}
	del, err := c.DeleteMany(ctx, kv("n", kv("$lt", 100)))
	if err != nil || del.DeletedCount != 100 {
		t.Error(del, err)
	}
	if err := c.Database().Drop(ctx); err != nil {
		t.Error(err)
	}
	if n, err := c.CountDocuments(ctx, d{}); err != nil || n != 0 {
		t.Error(n, err)
	}
}

// TestExpiry: a TTL index really deletes, within a few seconds.
// TestDottedProjection: what lies on the paths is shown, also inside arrays.
func TestDottedProjection(t *testing.T) {
	c, ctx := connect(t, mongotest.StartServer(t)), t.Context()
	insert(t, c, kv("_id", "1", "a", bson.A{kv("b", 1, "c", 2), 5, kv("c", 3)}, "s", kv("t", kv("u", 1, "v", 2), "w", 3), "x", 4, "z", "no document"))
	got, err := c.FindOne(ctx, d{}, options.FindOne().SetProjection(kv("a.b", 1, "s.t.u", true, "x", 1, "y.z", 1, "z.y", 1))).Raw()
	if err != nil {
		t.Fatal(err)
	}
	want, err := bson.Marshal(kv("_id", "1", "a", bson.A{kv("b", 1), d{}}, "s", kv("t", kv("u", 1)), "x", 4))
	if err != nil || got.String() != bson.Raw(want).String() {
		t.Errorf("got %v, want %v", got, bson.Raw(want))
	}
}

func TestExpiry(t *testing.T) {
	server := mongotest.StartServer(t)
	c, ctx := connect(t, server), t.Context()
	if _, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: kv("at", 1), Options: options.Index().SetExpireAfterSeconds(0)}); err != nil {
		t.Fatal(err)
	}
	insert(t, c, kv("_id", "old", "at", time.Now().Add(-time.Minute)), kv("_id", "new", "at", time.Now().Add(time.Hour)), kv("_id", "none"))
	testwait.Until(t, "the end of the old document", func() bool {
		n, err := c.CountDocuments(ctx, d{})
		if err != nil {
			t.Fatal(err)
		}
		return n == 2
	})
}

// TestRetryIsOneWrite: a retryable write that comes twice happens once.
func TestRetryIsOneWrite(t *testing.T) {
	server := mongotest.StartServer(t)
	c, ctx := connect(t, server), t.Context()
	insert(t, c, kv("_id", "1", "n", 0))
	var mu sync.Mutex
	commands := 0
	server.Watch(func(command string, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		if command == "update" {
			commands++
		}
	})
	server.Inject(mongotest.Fault{Command: "update", DropAfter: true})
	if _, err := c.UpdateOne(ctx, kv("_id", "1"), kv("$inc", kv("n", 1))); err != nil {
		t.Fatal(err)
	}
	var doc struct{ N int }
	if err := c.FindOne(ctx, kv("_id", "1")).Decode(&doc); err != nil || doc.N != 1 {
		t.Errorf("n is %d, %v", doc.N, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if commands != 2 {
		t.Errorf("%d commands, want the driver to have tried twice", commands)
	}
}
