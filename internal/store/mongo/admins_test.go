package mongo_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/user"
)

// pair opens a database with two administrators, ann and bob, from two nodes; the
// second node's clock is ahead.
func pair(t *testing.T, ahead time.Duration) (one, two *mongo.Store, server *mongotest.Server) {
	t.Helper()
	one, server, d := start(t, mongo.Options{})
	for _, id := range []string{"ann", "bob"} {
		if err := one.CreateUser(t.Context(), &user.User{ID: id, Username: id, CreatedAt: time.Now(), Roles: []string{"admin"}}); err != nil {
			t.Fatal(err)
		}
	}
	two, err := mongo.Open(t.Context(), d.url, mongo.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := two.Close(); err != nil {
			t.Error(err)
		}
	})
	return one, two, server
}

func demote(ctx context.Context, s *mongo.Store, id string) error {
	_, err := s.UpdateUser(ctx, id, user.Change{Roles: &[]string{"user"}, At: time.Now()})
	return err
}

func administrators(t *testing.T, s *mongo.Store) (ids []string) {
	t.Helper()
	list, err := s.Administrators(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		ids = append(ids, u.ID)
	}
	return ids
}

// A node is stopped between its claim and its write, for longer than an operation
// takes. Another one that needs the administrator settles the claim, and the write
// of before does not come true when the first node goes on.
func TestAClaimThatWasLeftBehind(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{time.Minute, -time.Hour} { // of the second node's clock: claims may be of the future
		one, two, _ := pair(t, ahead)
		runs := 0
		_, err := one.ChangeUser(t.Context(), "ann", func(u *user.User) error {
			if runs++; runs == 2 { // with the claim
				if err := demote(t.Context(), two, "bob"); err != nil {
					t.Error(err)
				}
			}
			u.Roles = []string{"user"}
			return nil
		})
		if !errors.Is(err, dberr.LastAdmin) {
			t.Errorf("the write of a settled claim: %v", err)
		}
		if left := administrators(t, one); !slices.Equal(left, []string{"ann"}) {
			t.Errorf("administrators %v, want ann", left)
		}
		// Nothing is left on the list: the next ones leave as ever.
		if err := one.CreateUser(t.Context(), &user.User{ID: "carl", CreatedAt: time.Now(), Roles: []string{"admin"}}); err != nil {
			t.Fatal(err)
		}
		if err := demote(t.Context(), one, "ann"); err != nil {
			t.Error(err)
		}
	}
}

// While a claim of another node is young, whoever depends on it waits for what becomes
// of it, and does not guess.
func TestAYoungClaimIsWaitedFor(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t, 0)
	waiting, goesOn := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	refused := errors.New("changed its mind")
	runs := 0
	go func() {
		_, err := one.ChangeUser(t.Context(), "ann", func(u *user.User) error {
			if runs++; runs == 2 {
				close(waiting)
				<-goesOn
				return refused
			}
			u.Roles = []string{"user"}
			return nil
		})
		done <- err
	}()
	<-waiting
	var rounds atomic.Int32
	_, err := two.ChangeUser(t.Context(), "bob", func(u *user.User) error {
		if rounds.Add(1) == 1 {
			time.AfterFunc(20*time.Millisecond, func() { close(goesOn) })
		}
		u.Roles = []string{"user"}
		return nil
	})
	if err != nil || !errors.Is(<-done, refused) {
		t.Error("the one that waited:", err)
	}
	if left := administrators(t, one); !slices.Equal(left, []string{"ann"}) {
		t.Errorf("administrators %v, want ann", left)
	}
}

// Whatever command of a departure gets lost, with its effect or without, an
// administrator stays, and the next departure is decided as if nothing had been.
func TestDeparturesWithFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []mongotest.Fault{{DropBefore: true}, {DropAfter: true}, {WriteConcernCode: 64}} {
		for _, command := range []string{"insert", "update", "find"} {
			for skip := range 4 {
				one, two, server := pair(t, time.Minute)
				fault.Command, fault.Skip = command, skip
				ctx := untilHitTwice(t, &fault)
				server.Inject(fault)
				first := demote(ctx, one, "ann")
				server.Heal()
				second := demote(t.Context(), two, "bob")
				left := administrators(t, two)
				if len(left) != 1 || first == nil && !errors.Is(second, dberr.LastAdmin) || slices.Contains(left, "bob") != errors.Is(second, dberr.LastAdmin) {
					t.Errorf("%+v: %v, then %v; left are %v", fault, first, second, left)
				}
			}
		}
	}
}
