package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

func TestCreateUser(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	u, err := w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Username: "ada", Email: "ada@x.com", Name: "Ada", Password: plain(t, "secret"),
		Verified: true, Roles: []string{"user", "bot"}})
	if err != nil || !u.Emails[0].Verified || fmt.Sprint(u.Roles) != "[user bot]" || u.Type != "bot" || !u.Email2FAEnabled() {
		t.Fatal(err, u)
	}
	if mails := w.mailed(); len(mails) != 0 {
		t.Errorf("%+v", mails)
	}
	if err := w.try("ada", "secret"); err != nil {
		t.Error(err)
	}

	u, err = w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Email: "bob@x.com", Name: "Bob"})
	if err != nil || u.Username != "Bob" {
		t.Fatal(err, u)
	}
	token := w.linkToken(accounts.TemplateEnroll)
	if _, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "chosen")); err != nil {
		t.Fatal(err)
	}
	if err := w.try("bob", "chosen"); err != nil {
		t.Error(err)
	}

	for name, c := range map[string]struct {
		n    accounts.NewUser
		by   *user.User
		want error
	}{
		"taken":                 {accounts.NewUser{Username: "ADA"}, root, accounts.ErrUsernameExists},
		"taken address":         {accounts.NewUser{Username: "x1", Email: "ada@X.com"}, root, accounts.ErrEmailExists},
		"unknown role":          {accounts.NewUser{Username: "x1", Roles: []string{"king"}}, root, accounts.ErrRole},
		"admin by a mere user":  {accounts.NewUser{Username: "x1", Roles: []string{"admin"}}, u, accounts.ErrAdminOnly},
		"weak password":         {accounts.NewUser{Username: "x1", Password: plain(t, "12345")}, root, accounts.ErrPolicy},
		"nothing":               {accounts.NewUser{}, root, accounts.ErrNeedNameOrEmail},
		"hostile custom fields": {accounts.NewUser{Username: "x1", CustomFields: map[string]any{"$x": 1.0}}, root, accounts.ErrTooLong},
	} {
		if _, err := w.CreateUser(t.Context(), w.peer, c.by, c.n); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUpdateUser(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	ada := w.add("ada", "ada@x.com")
	session := w.login(ada)
	w.mailed()
	u, err := w.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{
		Name: ptr("Ada"), Username: ptr("ada2"), Email: ptr("new@x.com"), Verified: ptr(true), Roles: &[]string{"user", "admin"}, Password: plain(t, "another"),
		StatusText: ptr("hi"),
	})
	if err != nil || u.Name != "Ada" || u.Username != "ada2" || fmt.Sprint(u.Emails) != "[{new@x.com true}]" || !u.HasRole("admin") || u.StatusText != "hi" {
		t.Fatal(err, u)
	}
	if w.alive(ada.ID, session.Hash) {
		t.Error("a session outlived the password")
	}
	var to []string
	for _, m := range w.mailed() {
		to = append(to, m.To...)
	}
	if !slices.Contains(to, "ada@x.com") {
		t.Error("the old address was not told:", to)
	}
	if err := w.try("ada2", "another"); err != nil {
		t.Error(err)
	}
	if u, err = w.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{Verified: ptr(false)}); err != nil || u.Emails[0].Verified {
		t.Error(err)
	}
	bob := w.add("bob", "")
	for name, c := range map[string]struct {
		by   *user.User
		id   string
		c    accounts.UserChange
		want error
	}{
		"unknown":           {root, "nobody", accounts.UserChange{}, accounts.ErrInvalidUser},
		"empty id":          {root, "", accounts.UserChange{}, accounts.ErrInvalidUser},
		"admin by bob":      {bob, ada.ID, accounts.UserChange{Name: ptr("x")}, accounts.ErrAdminOnly},
		"bob makes himself": {bob, bob.ID, accounts.UserChange{Roles: &[]string{"admin"}}, accounts.ErrAdminOnly},
		"taken":             {root, bob.ID, accounts.UserChange{Username: ptr("ADA2")}, accounts.ErrUsernameExists},
		"role":              {root, bob.ID, accounts.UserChange{Roles: &[]string{""}}, accounts.ErrRole},
	} {
		if _, err := w.UpdateUser(t.Context(), w.peer, c.by, c.id, c.c); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	w := newWorld(t)
	one, two := w.admin("one"), w.admin("two")
	errs := together(8, func() error { return w.SetActive(t.Context(), w.peer, one, two.ID, false) })
	if count(errs, nil) == 0 {
		t.Fatal(errs)
	}
	for name, err := range map[string]error{
		"deactivate": w.SetActive(t.Context(), w.peer, one, one.ID, false),
		"delete":     w.DeleteUser(t.Context(), w.peer, one, one.ID),
	} {
		if !errors.Is(err, accounts.ErrLastAdmin) {
			t.Error(name, err)
		}
	}
	if _, err := w.UpdateUser(t.Context(), w.peer, one, one.ID, accounts.UserChange{Roles: &[]string{"user"}}); !errors.Is(err, accounts.ErrLastAdmin) {
		t.Error(err)
	}
	if err := w.DeleteUser(t.Context(), w.peer, one, two.ID); err != nil {
		t.Error("a deactivated administrator may go:", err)
	}
}

// slow is a follower that takes its time with the roles of one account.
type slow struct {
	accounts.Follower
	id              string
	entered, goesOn chan struct{}
}

func (s *slow) RolesChanged(_ context.Context, u *user.User) error {
	if u.ID == s.id {
		close(s.entered)
		<-s.goesOn
	}
	return nil
}
func (*slow) Deleted(context.Context, string) error { return nil }

// What follows from a change of one account does not hold up changes of others.
func TestChangesOfAccountsDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	root, bob, carl := w.admin("root"), w.add("bob", ""), w.add("carl", "")
	f := &slow{id: bob.ID, entered: make(chan struct{}), goesOn: make(chan struct{})}
	w.follower = f
	svc := w.node(w.store)
	done := make(chan error, 1)
	go func() {
		_, err := svc.UpdateUser(t.Context(), w.peer, root, bob.ID, accounts.UserChange{Roles: &[]string{"user", "bot"}})
		done <- err
	}()
	<-f.entered
	err := svc.SetActive(t.Context(), w.peer, root, carl.ID, false)
	if err == nil {
		err = svc.DeleteUser(t.Context(), w.peer, root, carl.ID)
	}
	close(f.goesOn)
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	root, ada := w.admin("root1"), w.add("ada", "ada@x.com")
	session := w.login(ada)
	if err := w.DeleteUser(t.Context(), w.peer, ada, root.ID); !errors.Is(err, accounts.ErrAdminOnly) {
		t.Error(err)
	}
	if err := w.DeleteUser(t.Context(), w.peer, root, ada.ID); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, session.Hash) {
		t.Error("connections stay open")
	}
	if _, err := w.User(t.Context(), ada.ID); !errors.Is(err, dberr.NotFound) {
		t.Error(err)
	}
	if err := w.DeleteUser(t.Context(), w.peer, root, ada.ID); !errors.Is(err, accounts.ErrInvalidUser) {
		t.Error(err)
	}
	w.add("ada", "ada@x.com") // the name is free again
}

func TestDeleteOwn(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	bare, err := w.Register(t.Context(), w.peer, accounts.Registration{Username: "bare"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteOwn(t.Context(), w.peer, ada, digest("secret")); !errors.Is(err, accounts.ErrNotAllowed) {
		t.Error(err)
	}
	w.with(settings.AllowDeleteOwnAccount, true)
	for _, proof := range []string{"", "secret", digest("wrong!")} {
		if err := w.DeleteOwn(t.Context(), w.peer, ada, proof); !errors.Is(err, accounts.ErrInvalidPassword) {
			t.Errorf("%q: %v", proof, err)
		}
		if err := w.DeleteOwn(t.Context(), w.peer, bare, proof); !errors.Is(err, accounts.ErrInvalidUsername) {
			t.Errorf("%q: %v", proof, err)
		}
	}
	for u, proof := range map[*user.User]string{ada: digest("secret"), bare: digest("bare")} {
		if err := w.DeleteOwn(t.Context(), w.peer, u, proof); err != nil {
			t.Error(u.Username, err)
		}
	}
}

func TestLogoutUserAndList(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	ada, _ := w.add("ada", ""), w.add("bob", "")
	keep, other := w.login(ada), w.login(ada)
	if err := w.LogoutUser(t.Context(), w.peer, root, ada.ID, keep.Hash); err != nil || w.alive(ada.ID, other.Hash) || !w.alive(ada.ID, keep.Hash) {
		t.Error(err)
	}
	if err := w.LogoutUser(t.Context(), w.peer, root, "nobody", ""); !errors.Is(err, accounts.ErrInvalidUser) {
		t.Error(err)
	}
	page, total, err := w.List(t.Context(), -1, 1_000_000)
	if err != nil || total != 3 || len(page) != 3 || page[0].Username != "ada" {
		t.Error(err, total, len(page))
	}
}

// Who asks for a welcome mail gets one, which holds nothing that people wrote.
func TestWelcome(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	for i, c := range []struct {
		n    accounts.NewUser
		want string
	}{
		{accounts.NewUser{Password: plain(t, "secret"), Verified: true}, "[]"},
		{accounts.NewUser{Password: plain(t, "secret"), Verified: true, Welcome: true}, "[notice]"},
		{accounts.NewUser{Password: plain(t, "secret"), Welcome: true}, "[verify notice]"},
		{accounts.NewUser{Verified: true, Welcome: true}, "[enroll]"},
	} {
		c.n.Username, c.n.Email = fmt.Sprint("u", i), fmt.Sprint("u", i, "@x.com")
		if _, err := w.CreateUser(t.Context(), w.peer, root, c.n); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range w.mailed() {
			got = append(got, m.Template)
			if strings.Contains(m.Data["text"], "root1") || fmt.Sprint(m.To) != "["+c.n.Email+"]" {
				t.Errorf("%d: %+v", i, m)
			}
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%d: %v, want %s", i, got, c.want)
		}
	}
}
