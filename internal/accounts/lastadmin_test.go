package accounts_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// Two nodes on one database take away the only two administrators in the same
// moment, by whatever ways: one of them stays.
func TestTheLastAdministratorStaysOnTwoNodes(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		st := storetest.OpenSQLite(t)
		removeInPairs(t, st, st)
	})
	t.Run("mongo", func(t *testing.T) {
		url := mongotest.Start(t)
		open := func() store.Store {
			st, err := mongo.Open(t.Context(), url, mongo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := st.Close(); err != nil {
					t.Error(err)
				}
			})
			return st
		}
		removeInPairs(t, open(), open())
	})
}

// removal is a way for by to take the rights of an administrator away.
type removal struct {
	name string
	run  func(t *testing.T, w *world, svc *accounts.Service, by, of *user.User) error
}

var removals = []removal{
	{"demote", func(t *testing.T, w *world, svc *accounts.Service, by, of *user.User) error {
		_, err := svc.UpdateUser(t.Context(), w.peer, by, of.ID, accounts.UserChange{Roles: &[]string{"user"}})
		return err
	}},
	{"deactivate", func(t *testing.T, w *world, svc *accounts.Service, by, of *user.User) error {
		return svc.SetActive(t.Context(), w.peer, by, of.ID, false)
	}},
	{"delete", func(t *testing.T, w *world, svc *accounts.Service, by, of *user.User) error {
		return svc.DeleteUser(t.Context(), w.peer, by, of.ID)
	}},
	{"self-delete", func(t *testing.T, w *world, svc *accounts.Service, _, of *user.User) error {
		return svc.DeleteOwn(t.Context(), w.peer, of, digest("secret"))
	}},
}

func removeInPairs(t *testing.T, one, two store.Store) {
	w := newWorldOn(t, bcrypt.MinCost, one)
	w.with(settings.AllowDeleteOwnAccount, true)
	nodes := [2]*accounts.Service{w.node(one), w.node(two)}
	var last *user.User // the administrator that the pair before left
	for i, first := range removals {
		for j, second := range removals {
			for round := range 4 {
				a, b := w.admin(fmt.Sprintf("a%d-%d-%d", i, j, round)), w.admin(fmt.Sprintf("b%d-%d-%d", i, j, round))
				if last != nil {
					if err := nodes[0].DeleteUser(t.Context(), w.peer, a, last.ID); err != nil {
						t.Fatal(err)
					}
				}
				var errs [2]error
				var wg sync.WaitGroup
				wg.Go(func() { errs[0] = first.run(t, w, nodes[0], b, a) })
				wg.Go(func() { errs[1] = second.run(t, w, nodes[1], a, b) })
				wg.Wait()
				if last = w.onlyAdmin(a, b); last == nil || errs[0] == nil == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), accounts.ErrLastAdmin) {
					t.Fatalf("%s and %s: %v; left is %+v", first.name, second.name, errs, last)
				}
			}
		}
	}
}

// onlyAdmin is the one of these accounts that is an active administrator, nil when
// it is not one.
func (w *world) onlyAdmin(accounts ...*user.User) (only *user.User) {
	for _, u := range accounts {
		u, err := w.store.UserByID(w.t.Context(), u.ID)
		if err != nil || !u.HasRole("admin") || !u.IsActive() {
			continue
		}
		if only != nil {
			return nil
		}
		only = u
	}
	return only
}
