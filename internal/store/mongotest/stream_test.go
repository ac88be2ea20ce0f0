package mongotest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// shown is an event of a change stream.
type shown struct {
	Op       string         `bson:"operationType"`
	Full     bson.M         `bson:"fullDocument"`
	Key      bson.M         `bson:"documentKey"`
	At       bson.Timestamp `bson:"clusterTime"`
	NS       struct{ DB, Coll string }
	Changed  struct{ UpdatedFields bson.M } `bson:"updateDescription"`
	WallTime time.Time                      `bson:"wallTime"`
}

func watch(t *testing.T, c *mongo.Collection, pipeline mongo.Pipeline, opts ...options.Lister[options.ChangeStreamOptions]) *mongo.ChangeStream {
	t.Helper()
	opts = append([]options.Lister[options.ChangeStreamOptions]{options.ChangeStream().SetMaxAwaitTime(time.Minute)}, opts...)
	cs, err := c.Watch(t.Context(), pipeline, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cs.Close(context.Background()) })
	return cs
}

func next(t *testing.T, cs *mongo.ChangeStream) (e shown) {
	t.Helper()
	if !cs.Next(t.Context()) {
		t.Fatalf("no event: %v", cs.Err())
	}
	if err := cs.Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestStreamShows: each kind of change, as MongoDB shows it, an upsert that inserts as an
// insert, and nothing of other collections.
func TestStreamShows(t *testing.T) {
	c, ctx := connect(t, mongotest.StartServer(t)), t.Context()
	insert(t, c, kv("_id", "before"))
	cs := watch(t, c, mongo.Pipeline{})
	looking := watch(t, c, mongo.Pipeline{kv("$match", kv("operationType", "update")), kv("$project", kv("fullDocument", 1))},
		options.ChangeStream().SetFullDocument(options.UpdateLookup))
	insert(t, c.Database().Collection("other"), kv("_id", "elsewhere"))
	insert(t, c, kv("_id", "1", "n", 1))
	upsert := options.UpdateOne().SetUpsert(true)
	for what, err := range map[string]error{
		"upsert": func() error {
			_, err := c.UpdateOne(ctx, kv("_id", "2"), kv("$setOnInsert", kv("n", 2)), upsert)
			return err
		}(),
		"upsert of an old": func() error {
			_, err := c.UpdateOne(ctx, kv("_id", "1"), kv("$setOnInsert", kv("n", 2)), upsert)
			return err
		}(),
	} {
		if err != nil {
			t.Fatal(what, err)
		}
	}
	if _, err := c.UpdateOne(ctx, kv("_id", "1"), kv("$set", kv("n", 7))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReplaceOne(ctx, kv("_id", "1"), kv("r", true)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteOne(ctx, kv("_id", "1")); err != nil {
		t.Fatal(err)
	}
	last := bson.Timestamp{}
	for _, want := range []struct{ op, id, full string }{
		{"insert", "1", "n"}, {"insert", "2", "n"}, {"update", "1", ""}, {"replace", "1", "r"}, {"delete", "1", ""},
	} {
		e := next(t, cs)
		if e.Op != want.op || e.Key["_id"] != want.id || (e.Full == nil) != (want.full == "") || want.full != "" && e.Full[want.full] == nil ||
			e.NS.Coll != "c" || !e.At.After(last) || e.WallTime.IsZero() {
			t.Errorf("%+v, want %v", e, want)
		}
		if want.op == "update" && fmt.Sprint(e.Changed.UpdatedFields["n"]) != "7" {
			t.Errorf("the update shows %v", e.Changed)
		}
		last = e.At
	}
	// Looked up later: the document is gone by then.
	if e := next(t, looking); e.Op != "" || e.Full != nil && e.Full["n"] != nil {
		t.Errorf("%+v", e)
	}
	if _, err := c.UpdateOne(ctx, kv("_id", "2"), kv("$set", kv("n", 8))); err != nil {
		t.Fatal(err)
	}
	if e := next(t, looking); fmt.Sprint(e.Full["n"]) != "8" {
		t.Errorf("%+v", e)
	}
}

// TestStreamBegins: behind a token, behind another's token, at a time, and from now.
func TestStreamBegins(t *testing.T) {
	c := connect(t, mongotest.StartServer(t))
	first := watch(t, c, mongo.Pipeline{})
	for i := range 5 {
		insert(t, c, kv("_id", fmt.Sprint(i)))
	}
	next(t, first)
	one := next(t, first)
	token := first.ResumeToken()
	for what, o := range map[string]*options.ChangeStreamOptionsBuilder{
		"resumeAfter": options.ChangeStream().SetResumeAfter(token), "startAfter": options.ChangeStream().SetStartAfter(token),
		"startAtOperationTime": options.ChangeStream().SetStartAtOperationTime(&bson.Timestamp{T: one.At.T, I: one.At.I + 1}),
		"in parts":             options.ChangeStream().SetResumeAfter(token).SetBatchSize(1),
	} {
		cs := watch(t, c, mongo.Pipeline{}, o)
		for _, want := range []string{"2", "3", "4"} {
			if e := next(t, cs); e.Key["_id"] != want {
				t.Errorf("%s: %v, want %s", what, e.Key, want)
			}
		}
	}
	cs := watch(t, c, mongo.Pipeline{})
	if cs.ResumeToken() == nil {
		t.Error("no token before the first event")
	}
	insert(t, c, kv("_id", "now"))
	if e := next(t, cs); e.Key["_id"] != "now" {
		t.Errorf("from now: %v", e.Key)
	}
}

// code is what a server answered.
func code(err error) int {
	var ce mongo.CommandError
	if errors.As(err, &ce) {
		return int(ce.Code)
	}
	return 0
}

// TestStreamRefusals: with the codes of a real server.
func TestStreamRefusals(t *testing.T) {
	server := mongotest.StartServer(t)
	c, ctx := connect(t, server), t.Context()
	open := func(c *mongo.Collection, p mongo.Pipeline, o ...options.Lister[options.ChangeStreamOptions]) error {
		cs, err := c.Watch(ctx, p, o...)
		if err == nil {
			_ = cs.Close(ctx)
		}
		return err
	}
	old := watch(t, c, mongo.Pipeline{}).ResumeToken()
	server.Forget()
	local := c.Clone(options.Collection().SetReadConcern(readconcern.Local()))
	for what, want := range map[string]struct {
		err  error
		code int
	}{
		"a token that is forgotten": {open(c, mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(old)), 286},
		"a time that is forgotten":  {open(c, mongo.Pipeline{}, options.ChangeStream().SetStartAtOperationTime(&bson.Timestamp{T: 1})), 286},
		"no token":                  {open(c, mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(kv("_data", "zz"))), 260},
		"two places":                {open(c, mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(old).SetStartAtOperationTime(&bson.Timestamp{T: 1})), 40674},
		"read concern":              {open(local, mongo.Pipeline{}), 72},
		"another stage":             {open(c, mongo.Pipeline{kv("$sort", kv("_id", 1))}), 115},
		"not first": {func() error {
			_, err := c.Aggregate(ctx, mongo.Pipeline{kv("$changeStream", d{}), kv("$changeStream", d{})})
			return err
		}(), 40602},
		"standalone":       {open(connect(t, mongotest.StartServer(t, mongotest.Standalone())), mongo.Pipeline{}), 40573},
		"another engine":   {open(connect(t, mongotest.StartServer(t, mongotest.Without(238, "NotImplemented"))), mongo.Pipeline{}), 238},
		"a whole database": {func() error { _, err := c.Database().Watch(ctx, mongo.Pipeline{}); return err }(), 115},
	} {
		if code(want.err) != want.code {
			t.Errorf("%s: %v, want code %d", what, want.err, want.code)
		}
	}
	hiding := watch(t, c, mongo.Pipeline{kv("$project", kv("_id", 0))})
	insert(t, c, kv("_id", "x"))
	if hiding.Next(ctx) || code(hiding.Err()) != 280 {
		t.Errorf("without its token: %v", hiding.Err())
	}
}

// A server that stands alone is one in everything else.
func TestStandalone(t *testing.T) {
	c, ctx := connect(t, mongotest.StartServer(t, mongotest.Standalone())), t.Context()
	insert(t, c, kv("_id", "1"))
	if _, err := c.UpdateOne(ctx, kv("_id", "1"), kv("$set", kv("n", 1))); err != nil {
		t.Error(err)
	}
	var hello struct {
		SetName string `bson:"setName"`
	}
	if err := c.Database().RunCommand(ctx, kv("hello", 1)).Decode(&hello); err != nil || hello.SetName != "" {
		t.Errorf("%+v, %v", hello, err)
	}
	err := c.Database().RunCommand(ctx, kv("insert", "c", "documents", bson.A{kv("_id", "2")}, "txnNumber", int64(1))).Err()
	if code(err) != 20 {
		t.Errorf("a retryable write: %v", err)
	}
}

// TestStreamWaits: an event comes at once, an empty answer when the time of a getMore is
// over and not before, and who waits sends nothing meanwhile.
func TestStreamWaits(t *testing.T) {
	server := mongotest.StartServer(t)
	c, ctx := connect(t, server), t.Context()
	var mores atomic.Int64
	asked := make(chan struct{}, 100)
	server.Watch(func(command string, _ []byte) {
		if command == "getMore" {
			mores.Add(1)
			asked <- struct{}{}
		}
	})
	cs := watch(t, c, mongo.Pipeline{kv("$match", kv("operationType", "insert"))})
	go func() {
		<-asked
		_, _ = c.Database().Collection("other").InsertOne(ctx, kv("_id", "elsewhere"))
		_, _ = c.DeleteOne(ctx, kv("_id", "not matched"))
		_, _ = c.InsertOne(ctx, kv("_id", "1"))
	}()
	begin := time.Now()
	if e := next(t, cs); e.Key["_id"] != "1" || mores.Load() != 1 {
		t.Errorf("%v after %d getMores", e.Key, mores.Load())
	}
	if took := time.Since(begin); took > 50*time.Second {
		t.Errorf("after %v", took)
	}
	short := watch(t, c, mongo.Pipeline{}, options.ChangeStream().SetMaxAwaitTime(100*time.Millisecond))
	before := short.ResumeToken()
	insert(t, c.Database().Collection("other"), kv("_id", "later"))
	short.TryNext(ctx) // the first batch, of the aggregate
	begin = time.Now()
	if short.TryNext(ctx) || short.Err() != nil || time.Since(begin) < 90*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(begin), short.Err())
	}
	if before.String() == short.ResumeToken().String() {
		t.Error("the token stands still while other things happen")
	}
}

// TestStreamEnds: by its owner, by whoever kills the cursor, with the connection, and with
// the collection.
func TestStreamEnds(t *testing.T) {
	server := mongotest.StartServer(t)
	c, ctx := connect(t, server), t.Context()
	waits := make(chan struct{}, 100)
	server.Watch(func(command string, _ []byte) {
		if command == "getMore" {
			waits <- struct{}{}
		}
	})
	cs := watch(t, c, mongo.Pipeline{})
	if server.Streams() != 1 {
		t.Errorf("%d streams", server.Streams())
	}
	if err := cs.Close(ctx); err != nil || server.Streams() != 0 {
		t.Errorf("%d streams, %v", server.Streams(), err)
	}

	cs = watch(t, c, mongo.Pipeline{})
	ended := make(chan error, 1)
	go func() { cs.Next(ctx); ended <- cs.Err() }()
	// A cursor that is killed before the getMore comes is not found, and the driver goes on from that.
	testwait.Until(t, "a getMore that waits", func() bool { return server.Waiting() == 1 })
	if err := c.Database().RunCommand(ctx, kv("killCursors", "c", "cursors", bson.A{cs.ID()})).Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; code(err) != 237 {
		t.Errorf("killed: %v", err)
	}

	insert(t, c, kv("_id", "1"))
	cs = watch(t, c, mongo.Pipeline{})
	matching := watch(t, c, mongo.Pipeline{kv("$match", kv("operationType", "insert"))})
	if err := c.Drop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"drop", "invalidate"} {
		if e := next(t, cs); e.Op != want {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	for _, s := range []*mongo.ChangeStream{cs, matching} {
		if s.Next(ctx) || s.Err() != nil || s.ID() != 0 {
			t.Errorf("after the end of the collection: %v, %v", s.Current, s.Err())
		}
	}

	// A client that goes away while it waits leaves nothing behind.
	for len(waits) > 0 {
		<-waits
	}
	cs = watch(t, c, mongo.Pipeline{})
	gone, cancel := context.WithCancel(ctx)
	go func() { cs.Next(gone); ended <- cs.Err() }()
	<-waits
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := cs.Close(ctx); err != nil {
		t.Error(err)
	}
	testwait.Until(t, "the end of the streams", func() bool { return server.Streams() == 0 })
}

// TestStreamFaults: what the driver goes on from by itself loses nothing and doubles
// nothing; what it cannot go on from reaches its user.
func TestStreamFaults(t *testing.T) {
	for name, harm := range map[string]func(*mongotest.Server){
		"a cut before": func(s *mongotest.Server) { s.Inject(mongotest.Fault{Command: "getMore", DropBefore: true}) },
		"a cut after":  func(s *mongotest.Server) { s.Inject(mongotest.Fault{Command: "getMore", DropAfter: true}) },
		"slow":         func(s *mongotest.Server) { s.Inject(mongotest.Fault{Command: "getMore", Delay: 50 * time.Millisecond}) },
		"not primary":  func(s *mongotest.Server) { s.Inject(mongotest.NotPrimary("getMore", 1)) },
		"a fail-over":  func(s *mongotest.Server) { s.FailOver() },
		"a forgotten cursor": func(s *mongotest.Server) {
			s.Inject(mongotest.Fault{Command: "getMore", Code: 43, Name: "CursorNotFound"})
		},
		"a cut for all": func(s *mongotest.Server) { s.Down(); s.Up() },
	} {
		server := mongotest.StartServer(t)
		c := connect(t, server)
		cs := watch(t, c, mongo.Pipeline{})
		insert(t, c, kv("_id", "1"), kv("_id", "2"))
		next(t, cs)
		harm(server)
		next(t, cs)
		testwait.Until(t, "an insert after "+name, func() bool {
			_, err := c.InsertOne(t.Context(), kv("_id", "3"))
			return err == nil || mongo.IsDuplicateKeyError(err)
		})
		if e := next(t, cs); e.Key["_id"] != "3" {
			t.Errorf("%s: %v", name, e.Key)
		}
	}
	server := mongotest.StartServer(t)
	c := connect(t, server)
	waits := make(chan struct{}, 1)
	server.Watch(func(command string, _ []byte) {
		if command == "getMore" {
			waits <- struct{}{}
		}
	})
	cs := watch(t, c, mongo.Pipeline{})
	ended := make(chan error, 1)
	go func() { cs.Next(t.Context()); ended <- cs.Err() }()
	<-waits
	server.EndStreams(286, "ChangeStreamHistoryLost", "NonResumableChangeStreamError")
	if err := <-ended; code(err) != 286 {
		t.Errorf("history lost while it waits: %v", err)
	}
	cs = watch(t, c, mongo.Pipeline{})
	server.EndStreams(286, "ChangeStreamHistoryLost", "NonResumableChangeStreamError")
	if cs.Next(t.Context()) || code(cs.Err()) != 286 {
		t.Errorf("history lost between two getMores: %v", cs.Err())
	}
	<-waits
	var hello struct {
		Election bson.ObjectID `bson:"electionId"`
	}
	ask := func() string {
		if err := c.Database().RunCommand(t.Context(), kv("hello", 1)).Decode(&hello); err != nil && !strings.Contains(err.Error(), "connection") {
			t.Fatal(err)
		}
		return hello.Election.Hex()
	}
	before := ask()
	server.FailOver()
	testwait.Until(t, "another election", func() bool { return ask() > before })
}

// Many streams wait for one collection and for others: all are told of their event, in
// order, and while nothing happens nobody sends anything.
func TestManyStreams(t *testing.T) {
	server := mongotest.StartServer(t)
	c := connect(t, server)
	var commands atomic.Int64
	server.Watch(func(string, []byte) { commands.Add(1) })
	const streams, events = 50, 20
	var wg sync.WaitGroup
	for i := range streams {
		on := c
		if i%2 == 1 {
			on = c.Database().Collection("quiet")
		}
		cs := watch(t, on, mongo.Pipeline{})
		wg.Go(func() {
			for n := 0; ; n++ {
				var e shown
				if !cs.Next(t.Context()) || cs.Decode(&e) != nil {
					t.Error(cs.Err())
					return
				}
				if e.Key["_id"] == "end" {
					if want := (i + 1) % 2 * events; n != want {
						t.Errorf("stream %d: %d events, want %d", i, n, want)
					}
					return
				}
				if e.Key["_id"] != fmt.Sprint(n) {
					t.Errorf("stream %d: %v, want %d", i, e.Key, n)
				}
			}
		})
	}
	testwait.Until(t, "all to wait", func() bool { return commands.Load() == 2*streams })
	for i := range events {
		insert(t, c, kv("_id", fmt.Sprint(i)))
	}
	insert(t, c, kv("_id", "end"))
	insert(t, c.Database().Collection("quiet"), kv("_id", "end"))
	wg.Wait()
	if n := commands.Load(); n > 2*streams+(streams/2)*(events+1)+events+2 {
		t.Errorf("%d commands", n)
	}
}
