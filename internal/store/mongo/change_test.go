package mongo_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

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
