package mongotest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// begin starts a transaction; do runs in it.
func begin(t *testing.T, c *mongo.Collection) (sess *mongo.Session, in context.Context) {
	t.Helper()
	sess, err := c.Database().Client().StartSession()
	if err == nil {
		err = sess.StartTransaction()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sess.EndSession(context.Background()) })
	return sess, mongo.NewSessionContext(t.Context(), sess)
}

func labelled(err error, label string) bool {
	var e mongo.LabeledError
	return errors.As(err, &e) && e.HasErrorLabel(label)
}

func content(t *testing.T, ctx context.Context, c *mongo.Collection) map[string]int32 {
	t.Helper()
	cur, err := c.Find(ctx, d{})
	var all []bson.M
	if err == nil {
		err = cur.All(ctx, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int32{}
	for _, m := range all {
		out[m["_id"].(string)], _ = m["n"].(int32)
	}
	return out
}

func equalContent(t *testing.T, what string, got, want map[string]int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for k, n := range want {
		if have, ok := got[k]; !ok || have != n {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

// inc adds one to a document.
func inc(ctx context.Context, c *mongo.Collection, id string) error {
	_, err := c.UpdateOne(ctx, kv("_id", id), kv("$inc", kv("n", 1)))
	return err
}

// change does something of every kind of write in a transaction.
func change(t *testing.T, in context.Context, c *mongo.Collection) {
	t.Helper()
	_, err1 := c.InsertMany(in, []any{kv("_id", "new", "n", 7), kv("_id", "other", "n", 8)})
	err2 := inc(in, c, "a")
	_, err3 := c.DeleteOne(in, kv("_id", "b"))
	err4 := c.FindOneAndUpdate(in, kv("_id", "a"), kv("$inc", kv("n", 10))).Err()
	_, err5 := c.UpdateMany(in, kv("_id", kv("$in", bson.A{"c", "other"})), kv("$set", kv("n", 5)))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
}

var before, after = map[string]int32{"a": 0, "b": 0, "c": 0}, map[string]int32{"a": 11, "c": 5, "new": 7, "other": 5}

func filled(t *testing.T, server *mongotest.Server) *mongo.Collection {
	t.Helper()
	c := connect(t, server)
	insert(t, c, kv("_id", "a", "n", 0), kv("_id", "b", "n", 0), kv("_id", "c", "n", 0))
	return c
}

func TestTransactionIsSeenWhole(t *testing.T) {
	c := filled(t, mongotest.StartServer(t))
	sess, in := begin(t, c)
	change(t, in, c)
	equalContent(t, "inside", content(t, in, c), after)
	equalContent(t, "outside", content(t, t.Context(), c), before)
	if err := sess.CommitTransaction(t.Context()); err != nil {
		t.Fatal(err)
	}
	equalContent(t, "committed", content(t, t.Context(), c), after)

	sess, in = begin(t, c)
	if err := inc(in, c, "a"); err != nil {
		t.Fatal(err)
	}
	if err := sess.AbortTransaction(t.Context()); err != nil {
		t.Fatal(err)
	}
	equalContent(t, "aborted", content(t, t.Context(), c), after)
}

// TestTransactionConflicts: of two that change one document the later is told to begin anew;
// so is one whose document was changed since it began. A snapshot does not move.
func TestTransactionConflicts(t *testing.T) {
	c := filled(t, mongotest.StartServer(t))
	one, in1 := begin(t, c)
	_, in2 := begin(t, c)
	equalContent(t, "snapshot", content(t, in2, c), before)
	if err := inc(in1, c, "a"); err != nil {
		t.Fatal(err)
	}
	if err := inc(in2, c, "a"); !labelled(err, "TransientTransactionError") {
		t.Errorf("another transaction has it: %v", err)
	}
	if err := one.CommitTransaction(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, in3 := begin(t, c)
	equalContent(t, "snapshot", content(t, in3, c), map[string]int32{"a": 1, "b": 0, "c": 0})
	if err := inc(t.Context(), c, "a"); err != nil {
		t.Fatal(err)
	}
	equalContent(t, "snapshot", content(t, in3, c), map[string]int32{"a": 1, "b": 0, "c": 0})
	if err := inc(in3, c, "a"); !labelled(err, "TransientTransactionError") {
		t.Errorf("changed since the snapshot: %v", err)
	}
	// A unique key that both insert.
	four, in4 := begin(t, c)
	if _, err := c.InsertOne(in4, kv("_id", "x")); err != nil {
		t.Fatal(err)
	}
	_, in5 := begin(t, c)
	if _, err := c.InsertOne(in5, kv("_id", "x")); !labelled(err, "TransientTransactionError") {
		t.Errorf("an id of another transaction: %v", err)
	}
	if err := four.CommitTransaction(t.Context()); err != nil {
		t.Fatal(err)
	}
	six, in6 := begin(t, c)
	if _, err := c.InsertOne(in6, kv("_id", "x")); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("an id that is taken: %v", err)
	}
	if err := six.CommitTransaction(t.Context()); !labelled(err, "TransientTransactionError") {
		t.Errorf("a refused write ends the transaction: %v", err)
	}
}

// TestOrdinaryWritesWait: for a transaction's end, even that of one whose client is gone.
func TestOrdinaryWritesWait(t *testing.T) {
	server := mongotest.StartServer(t)
	c := filled(t, server)
	for what, end := range map[string]func(*mongo.Session) error{
		"commit":  func(s *mongo.Session) error { return s.CommitTransaction(t.Context()) },
		"abort":   func(s *mongo.Session) error { return s.AbortTransaction(t.Context()) },
		"its age": func(*mongo.Session) error { server.EndTransactions(); return nil },
	} {
		was := content(t, t.Context(), c)["a"]
		sess, in := begin(t, c)
		if err := inc(in, c, "a"); err != nil {
			t.Fatal(err)
		}
		waiting := func(n int) {
			testwait.Until(t, fmt.Sprint(what, ": ", n, " waiting"), func() bool { return server.Waiting() == n })
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- inc(ctx, c, "a") }()
		waiting(1)
		cancel()
		if err := <-done; err == nil {
			t.Errorf("%s: nobody waited", what)
		}
		waiting(0) // the server has noticed, and will not write it
		go func() { done <- inc(t.Context(), c, "a") }()
		waiting(1)
		if err := errors.Join(end(sess), <-done); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		want := was + 1
		if what == "commit" {
			want++
		}
		if n := content(t, t.Context(), c)["a"]; n != want {
			t.Errorf("%s: %d, want %d", what, n, want)
		}
	}
}

// TestLostAnswers: a commit whose answer is lost is asked for again and counts once; when
// nothing comes through, its outcome is unknown, whichever it is.
func TestLostAnswers(t *testing.T) {
	for what, c := range map[string]struct {
		fault   mongotest.Fault
		unknown bool
		want    int32
	}{
		"answer lost":         {mongotest.Fault{DropAfter: true}, false, 1},
		"question lost":       {mongotest.Fault{DropBefore: true}, false, 1},
		"every answer lost":   {mongotest.Fault{DropAfter: true, Times: -1}, true, 1},
		"every question lost": {mongotest.Fault{DropBefore: true, Times: -1}, true, 0},
		"no majority":         {mongotest.Fault{WriteConcernCode: 64, Times: -1}, true, 1},
	} {
		server := mongotest.StartServer(t)
		coll := filled(t, server)
		sess, in := begin(t, coll)
		if err := inc(in, coll, "a"); err != nil {
			t.Fatal(err)
		}
		c.fault.Command = "commitTransaction"
		ctx, cancel := context.WithCancel(t.Context())
		hits := 0
		c.fault.Hit = func() {
			if hits++; hits == 2 {
				cancel() // the driver tries again until its time is up
			}
		}
		server.Inject(c.fault)
		err := sess.CommitTransaction(ctx)
		cancel()
		if (err != nil) != c.unknown || c.unknown && !labelled(err, "UnknownTransactionCommitResult") {
			t.Errorf("%s: %v", what, err)
		}
		server.Heal()
		server.EndTransactions()
		if n := content(t, t.Context(), coll)["a"]; n != c.want {
			t.Errorf("%s: %d, want %d", what, n, c.want)
		}
	}
	// A connection that is cut in the middle ends nothing on the server, and may be tried again.
	server := mongotest.StartServer(t)
	coll := filled(t, server)
	_, in := begin(t, coll)
	server.Inject(mongotest.Fault{Command: "update", DropAfter: true})
	if err := inc(in, coll, "a"); !labelled(err, "TransientTransactionError") {
		t.Error(err)
	}
}

// TestWithoutTransactions: an engine refuses them, each in its way, or takes no notice.
func TestWithoutTransactions(t *testing.T) {
	for what, kind := range map[string]mongotest.Kind{
		"standalone": mongotest.Standalone(), "refuses": mongotest.Without(115, "CommandNotSupported"),
	} {
		c := filled(t, mongotest.StartServer(t, kind))
		_, in := begin(t, c)
		if err := inc(in, c, "a"); err == nil {
			t.Errorf("%s: taken", what)
		}
		equalContent(t, what, content(t, t.Context(), c), before)
	}
	c := filled(t, mongotest.StartServer(t, mongotest.Forgetful()))
	sess, in := begin(t, c)
	if err := inc(in, c, "a"); err != nil {
		t.Fatal(err)
	}
	if n := content(t, t.Context(), c)["a"]; n != 1 {
		t.Errorf("forgetful: %d", n)
	}
	if err := sess.AbortTransaction(t.Context()); err != nil {
		t.Error(err)
	}
	if n := content(t, t.Context(), c)["a"]; n != 1 {
		t.Errorf("forgetful: %d", n)
	}
}
