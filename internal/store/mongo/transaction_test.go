package mongo_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// TestTransactionsAreFound: what a server is found out once, at the start, and no trace is left of it.
func TestTransactionsAreFound(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		kind mongotest.Kind
		want bool
	}{
		"replica set": {want: true}, "standalone": {kind: mongotest.Standalone()},
		"refuses": {kind: mongotest.Without(115, "CommandNotSupported")}, "knows no such thing": {kind: mongotest.Without(238, "NotImplemented")},
		"takes no notice": {kind: mongotest.Forgetful()},
	} {
		server := mongotest.StartServer(t, c.kind)
		s, err := mongo.Open(t.Context(), server.URI(), mongo.Options{})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s.Transactions() != c.want {
			t.Errorf("%s: transactions %v", what, s.Transactions())
		}
		probes := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: "probe:"}, {Key: "$lt", Value: "probe;"}}}}
		n, err := s.Collection("ddpserver_counters").Count(t.Context(), probes)
		if n != 0 || err != nil {
			t.Errorf("%s: %d probes left, %v", what, n, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTransactionOutcomes: what may be tried again is, up to the commit; an outcome that
// nobody knows is no success.
func TestTransactionOutcomes(t *testing.T) {
	t.Parallel()
	s, server, _ := start(t, mongo.Options{})
	a, b := s.Collection("a"), s.Collection("b")
	both := func(ctx context.Context) error {
		return s.Transaction(ctx, func(ctx context.Context) error {
			return errors.Join(a.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}),
				b.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}))
		})
	}
	counted := func() (int, int) {
		t.Helper()
		server.EndTransactions() // of clients that gave up
		n := func(c mongo.Collection) int {
			raw, err := c.One(t.Context(), bson.D{{Key: "_id", Value: "x"}})
			if err != nil {
				return 0
			}
			return int(raw.Lookup("n").AsInt64())
		}
		return n(a), n(b)
	}
	if err := both(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 1
	for what, f := range map[string]mongotest.Fault{
		"a question lost": {Command: "update", DropBefore: true}, "the second lost": {Command: "update", DropBefore: true, Skip: 1},
		"an answer lost": {Command: "update", DropAfter: true, Skip: 1}, "the commit lost": {Command: "commitTransaction", DropBefore: true},
		"its answer lost": {Command: "commitTransaction", DropAfter: true}, "a conflict": {Command: "update", Code: 112, Name: "WriteConflict",
			Labels: []string{"TransientTransactionError"}},
		"a fail-over at the commit": {Command: "commitTransaction", Code: 251, Name: "NoSuchTransaction", Labels: []string{"TransientTransactionError"}},
	} {
		server.Inject(f)
		err := both(t.Context())
		n++
		if x, y := counted(); err != nil || x != n || y != n {
			t.Errorf("%s: %d and %d, want %d, %v", what, x, y, n, err)
		}
		server.Heal()
	}
	for what, f := range map[string]mongotest.Fault{
		"every answer of the commit lost": {Command: "commitTransaction", DropAfter: true}, "every commit lost": {Command: "commitTransaction", DropBefore: true},
		"no majority": {Command: "commitTransaction", WriteConcernCode: 64}, "no writes": {Command: "update", DropBefore: true},
	} {
		ctx := untilHitTwice(t, &f)
		server.Inject(f)
		if err := both(ctx); !errors.Is(err, dberr.Unavailable) {
			t.Errorf("%s: got %v, want unavailable", what, err)
		}
		server.Heal()
		if x, y := counted(); x != y || x < n || x > n+1 {
			t.Errorf("%s: %d and %d, were %d", what, x, y, n)
		} else {
			n = x
		}
	}
	// What do refuses is what is answered, and nothing is there of it.
	err := s.Transaction(t.Context(), func(ctx context.Context) error {
		return errors.Join(a.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}), dberr.Conflict)
	})
	if x, y := counted(); !errors.Is(err, dberr.Conflict) || x != n || y != n {
		t.Errorf("refused: %d and %d, want %d, %v", x, y, n, err)
	}
}

// TestTransactionsMeet: all of a crowd come through, one after the other.
func TestTransactionsMeet(t *testing.T) {
	t.Parallel()
	s, _, _ := start(t, mongo.Options{})
	a, b := s.Collection("a"), s.Collection("b")
	const crowd = 12
	errs := make(chan error, crowd)
	for range crowd {
		go func() {
			errs <- s.Transaction(t.Context(), func(ctx context.Context) error {
				return errors.Join(a.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}),
					b.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}))
			})
		}()
	}
	for range crowd {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, c := range []mongo.Collection{a, b} {
		if raw, err := c.One(t.Context(), bson.D{{Key: "_id", Value: "x"}}); err != nil || raw.Lookup("n").AsInt64() != crowd {
			t.Errorf("%v %v", raw, err)
		}
	}
}

// TestTransactionEndsInTime: a server that answers nothing from the commit on holds nobody up for longer than an operation.
func TestTransactionEndsInTime(t *testing.T) {
	t.Parallel()
	s, server, _ := start(t, mongo.Options{})
	gate := make(chan struct{})
	defer close(gate)
	a := s.Collection("a")
	for _, command := range []string{"commitTransaction", "abortTransaction"} {
		server.Inject(mongotest.Fault{Command: command, Times: -1, Gate: gate})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- s.Transaction(ctx, func(ctx context.Context) error {
			return a.Put(ctx, "x", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
		})
	}()
	select {
	case err := <-done:
		if !errors.Is(err, dberr.Unavailable) {
			t.Errorf("got %v", err)
		}
	case <-time.After(testwait.Limit):
		t.Error("it waits for a server that says nothing")
	}
}
