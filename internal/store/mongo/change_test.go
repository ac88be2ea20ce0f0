package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/user"
)

// TestLostRounds: a change that another program is faster than every time ends, says
// so, and has changed nothing; every round is counted.
func TestLostRounds(t *testing.T) {
	t.Parallel()
	var lost atomic.Int64
	s, _, d := start(t, mongo.Options{Observe: func(command string, _ time.Duration, _ error) {
		if command == "lostRound" {
			lost.Add(1)
		}
	}})
	createAnn(t, s)
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		rounds := 0
		set := func(text string) error {
			_, err := db.Collection("users").UpdateOne(ctx, bson.D{{Key: "_id", Value: "ann"}},
				bson.D{{Key: "$set", Value: bson.D{{Key: "roles", Value: bson.A{text}}}}})
			return err
		}
		_, err := s.ChangeUser(ctx, "ann", func(u *user.User) error {
			rounds++
			u.Name = "changed"
			return set(strings.Repeat("x", rounds))
		})
		if !errors.Is(err, dberr.Unavailable) || !strings.Contains(err.Error(), "a change of users lost 50 times") {
			t.Errorf("got %v, want that the change lost", err)
		}
		if rounds != 50 || lost.Load() != 50 {
			t.Errorf("%d rounds, %d counted", rounds, lost.Load())
		}
		return nil
	})
	if u, err := s.UserByID(t.Context(), "ann"); err != nil || u.Name != "" || len(u.Roles) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestClashingNames: an adopted account whose name another one has the key of can be
// changed all the same; only its look-up by name is not its own.
func TestClashingNames(t *testing.T) {
	t.Parallel()
	s, _, d := start(t, mongo.Options{})
	createAnn(t, s)
	d.Plant(t, bson.D{{Key: "_id", Value: "2"}, {Key: "username", Value: "Ann"}, {Key: "createdAt", Value: time.Now()}})
	u, err := s.UpdateUser(t.Context(), "2", user.Change{AddToken: &user.LoginToken{HashedToken: "h2"}, At: time.Now()})
	if err != nil || u.LoginToken("h2") == nil {
		t.Fatal(u, err)
	}
	if _, err := s.UpdateUser(t.Context(), "2", user.Change{Username: new("ANN"), At: time.Now()}); !errors.Is(err, dberr.DuplicateUsername) {
		t.Errorf("got %v, want that the name is taken", err)
	}
	if u, err = s.UpdateUser(t.Context(), "2", user.Change{Username: new("Anna"), At: time.Now()}); err != nil || u.UsernameKey != "anna" {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestSeenAMomentAgo: what a node saw saves the change that follows a look, and decides
// nothing: what another node did since then counts, whether there was a document or not.
func TestSeenAMomentAgo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s1, server, d := start(t, mongo.Options{Now: func() time.Time { return now }}) // a moment lasts, however slow the machine is
	s2 := d.Open(t)
	defer func() { _ = s2.Close() }()
	var commands atomic.Int64
	server.Watch(func(string, []byte) { commands.Add(1) })
	for most := 1; most < 4; most++ {
		b := []accounts.Budget{{Key: fmt.Sprint("k", most), Most: most, Window: time.Hour}}
		for n := range most {
			before, err := s1.Tries(t.Context(), b[0].Key)
			if err != nil || len(before.Recent) != n {
				t.Fatal(before, err)
			}
			if n == most-1 { // the last one, which both want
				if err := s2.CountTries(t.Context(), "other", now, b); err != nil {
					t.Fatal(err)
				}
				if err := s1.CountTries(t.Context(), "late", now, b); !errors.Is(err, dberr.Exhausted) {
					t.Errorf("%d of %d: %v", n+1, most, err)
				}
				break
			}
			was := commands.Load()
			if err := s1.CountTries(t.Context(), fmt.Sprint(n), now, b); err != nil {
				t.Fatal(err)
			}
			if n := commands.Load() - was; n != 1 {
				t.Errorf("a change behind a look took %d commands", n)
			}
		}
		after, err := s2.Tries(t.Context(), b[0].Key)
		if err != nil || len(after.Recent) != most || after.Recent[most-1].ID != "other" {
			t.Errorf("counted %+v, %v", after, err)
		}
	}
}
