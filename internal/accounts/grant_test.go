package accounts_test

import (
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/secret"
	"ddpserver/internal/user"
)

// A1: an administrator who comes to be, whichever way, is told to all of them by
// mail and stands in the audit stream. Nothing is told where nobody became one.
func TestA1GrantsAreToldToEveryAdministrator(t *testing.T) {
	yes, no := true, false
	both := []string{"user", "admin"}
	for name, c := range map[string]struct {
		do    func(w *world, root, ada *user.User) error
		tells bool
	}{
		"made as one": {func(w *world, root, _ *user.User) error {
			_, err := w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Username: "new", Email: "new@x.com", Password: plain(t, "secret"), Roles: both})
			return err
		}, true},
		"given the role": {func(w *world, root, ada *user.User) error {
			_, err := w.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{Roles: &both})
			return err
		}, true},
		"made by the operator": {func(w *world, _, _ *user.User) error {
			_, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "new", Email: "new@x.com", Password: secret.String("secret"),
				Roles: []string{"admin"}})
			return err
		}, true},
		"made inactive": {func(w *world, root, _ *user.User) error {
			_, err := w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Username: "new", Email: "new@x.com", Password: plain(t, "secret"), Roles: both,
				Inactive: true})
			return err
		}, false},
		"activated again": {func(w *world, root, ada *user.User) error {
			_, err := w.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{Roles: &both, Active: &no})
			if err == nil {
				w.mailed()
				err = w.SetActive(t.Context(), w.peer, root, ada.ID, yes)
			}
			return err
		}, true},
		"another change": {func(w *world, root, ada *user.User) error {
			_, err := w.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{Name: ptr("Ada")})
			return err
		}, false},
		"an ordinary account": {func(w *world, root, _ *user.User) error {
			_, err := w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Username: "new", Email: "new@x.com", Password: plain(t, "secret")})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			root, second := w.operated(t, "root1"), w.operated(t, "root2")
			ada := w.add("ada", "ada@x.com")
			w.mailed()
			before := w.grants()
			if err := c.do(w, root, ada); err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, m := range w.mailed() {
				if m.Data["subject"] == "There is a new administrator" {
					told = append(told, m.To...)
					if text := m.Data["text"]; !strings.Contains(text, "“new”") && !strings.Contains(text, "“ada”") {
						t.Errorf("the notice names nobody: %s", text)
					}
				}
			}
			for _, u := range []*user.User{root, second} {
				if slices.Contains(told, u.Emails[0].Address) != c.tells {
					t.Errorf("%s was told: %v", u.Username, told)
				}
			}
			if n := w.grants() - before; (n == 1) != c.tells {
				t.Errorf("%d records", n)
			}
		})
	}
}

// operated is an administrator with a proved address.
func (w *world) operated(t *testing.T, name string) *user.User {
	u, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: name, Email: name + "@x.com", Verified: true,
		Password: secret.String("secret"), Roles: []string{"admin", "user"}})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// grants counts the records of grants.
func (w *world) grants() (n int) {
	for _, e := range w.ground.Trail.Of("admin_granted") {
		if e.Target != "" {
			n++
		}
	}
	return n
}
