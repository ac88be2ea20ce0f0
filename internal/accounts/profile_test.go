package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// forgetful counts what second factors are told.
type forgetful struct {
	mu   sync.Mutex
	told []string
}

func (f *forgetful) Forget(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, id)
	return nil
}

func (w *world) save(l rpc.Login, c accounts.Profile) (*user.User, error) {
	w.t.Helper()
	return w.SaveProfile(w.t.Context(), w.peer, l, w.user(l.UserID), c)
}

func TestSaveProfile(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "Ada@x.com")
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "Ada@x.com", Verified: true}}})
	l := w.login(ada).Login()
	w.mailed()

	after, err := w.save(l, accounts.Profile{
		Name: ptr(" Ada L. "), Username: ptr("Ada.L"), StatusText: ptr("busy\nbee"), Status: ptr("away"), Language: ptr("en"),
		CustomFields: &map[string]any{"team": "one"}, Email: ptr("ada@X.com"),
	})
	if err != nil || after.Name != "Ada L." || after.Username != "Ada.L" || after.StatusText != "busy\nbee" || after.StatusDefault != "away" ||
		after.Language != "en" || after.CustomFields["team"] != "one" {
		t.Fatalf("%v %+v", err, after)
	}
	if fmt.Sprint(after.Emails) != "[{Ada@x.com true}]" || len(w.mailed()) != 0 {
		t.Error("one's own address in another case is no change", after.Emails)
	}

	// A6: the proved address stays in force until the new one is proved.
	after, err = w.save(l, accounts.Profile{Email: ptr("new@x.com")})
	if err != nil || fmt.Sprint(after.Emails) != "[{Ada@x.com true}]" || after.PendingEmail() != "new@x.com" {
		t.Fatal(err, after)
	}
	mails := w.mailed()
	slices.SortFunc(mails, func(a, b accounts.Message) int { return strings.Compare(a.Template, b.Template) })
	if len(mails) != 2 || mails[0].Template != accounts.TemplateNotice || !slices.Equal(mails[0].To, []string{"Ada@x.com"}) ||
		mails[1].Template != accounts.TemplateVerify || mails[1].To[0] != "new@x.com" {
		t.Errorf("S020: %+v", mails)
	}
	if w.lastAudit("email_change_requested").User != ada.ID {
		t.Error("no audit event")
	}
}

func TestNewPassword(t *testing.T) { // S055
	w := newWorld(t)
	f := &w.factors
	ada := w.add("ada", "ada@x.com")
	// Names go to proved addresses only.
	ada = w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	mine, other := w.login(ada), w.login(ada)
	if _, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", false); err != nil {
		t.Fatal(err)
	}
	w.mailed()
	for _, change := range []func(accounts.Password) error{
		func(p accounts.Password) error {
			_, err := w.save(mine.Login(), accounts.Profile{Password: p})
			return err
		},
		func(p accounts.Password) error {
			return w.ChangePassword(t.Context(), w.peer, mine.Login(), w.user(ada.ID), p)
		},
	} {
		f.told = nil
		if err := change(plain(t, "secret")); !errors.Is(err, accounts.ErrSamePassword) {
			t.Error("same:", err)
		}
		if err := change(plain(t, "12345")); !errors.Is(err, accounts.ErrPolicy) {
			t.Error("weak:", err)
		}
		if err := change(plain(t, "another")); err != nil {
			t.Fatal(err)
		}
		if w.alive(ada.ID, other.Hash) || !w.alive(ada.ID, mine.Hash) {
			t.Error("sessions: the wrong one ended")
		}
		if len(w.Tokens(w.user(ada.ID))) != 1 {
			t.Error("the personal access token is kept by choice")
		}
		if mails := w.mailed(); len(mails) != 1 || !strings.Contains(mails[0].Data["text"], "bot") || mails[0].Data["address"] != "192.0.2.1" ||
			mails[0].Data["agent"] != "test" {
			t.Errorf("the notice lists what stays: %+v", mails)
		}
		if len(f.told) != 1 || f.told[0] != ada.ID {
			t.Error("pending codes live on:", f.told)
		}
		if err := w.try("ada", "another"); err != nil {
			t.Error(err)
		}
		if err := w.ChangePassword(t.Context(), w.peer, mine.Login(), w.user(ada.ID), plain(t, "secret")); err != nil {
			t.Fatal(err)
		}
		other = w.login(ada)
		w.mailed()
	}
	// A change that was proved against another password is refused.
	stale := w.user(ada.ID)
	w.patch(ada.ID, user.Change{Bcrypt: ptr(hashOf(t, "elsewhere", 4, 'b'))})
	if err := w.ChangePassword(t.Context(), w.peer, mine.Login(), stale, plain(t, "another")); !errors.Is(err, accounts.ErrCredentials) {
		t.Error(err)
	}
}

func TestProfileRefusals(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	w.add("bob", "bob@x.com")
	l := w.login(ada).Login()
	before := w.user(ada.ID)
	for name, c := range map[string]struct {
		change accounts.Profile
		want   error
	}{
		"taken name":     {accounts.Profile{Username: ptr("BOB"), Name: ptr("X")}, accounts.ErrUnavailable},
		"taken address":  {accounts.Profile{Email: ptr("BOB@x.com"), Name: ptr("X")}, accounts.ErrUnavailable},
		"reserved":       {accounts.Profile{Username: ptr("all")}, accounts.ErrReserved},
		"bad name":       {accounts.Profile{Username: ptr("a b")}, accounts.ErrUsername},
		"bad address":    {accounts.Profile{Email: ptr("a@b@c"), Name: ptr("X")}, accounts.ErrEmail},
		"header":         {accounts.Profile{Email: ptr("a@x.com\r\nBcc: b@x.com")}, accounts.ErrEmail},
		"bad real name":  {accounts.Profile{Name: ptr("a\x00")}, accounts.ErrName},
		"status":         {accounts.Profile{Status: ptr("dancing")}, accounts.ErrStatus},
		"status text":    {accounts.Profile{StatusText: ptr(strings.Repeat("a", 121))}, accounts.ErrTooLong},
		"language":       {accounts.Profile{Language: ptr(strings.Repeat("a", 17))}, accounts.ErrTooLong},
		"custom":         {accounts.Profile{CustomFields: &map[string]any{"$where": "1"}}, accounts.ErrTooLong},
		"weak":           {accounts.Profile{Name: ptr("X"), Password: plain(t, "12345")}, accounts.ErrPolicy},
		"all or nothing": {accounts.Profile{Name: ptr("X"), Username: ptr("free"), Email: ptr("bob@x.com")}, accounts.ErrUnavailable},
	} {
		if _, err := w.save(l, c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if now := w.user(ada.ID); !reflect.DeepEqual(now, before) {
		t.Errorf("something was changed:\n%+v\n%+v", before, now)
	}
	for id, c := range map[string]accounts.Profile{
		settings.AllowRealNameChange: {Name: ptr("X")}, settings.AllowUsernameChange: {Username: ptr("free")}, settings.AllowEmailChange: {Email: ptr("free@x.com")},
		settings.AllowPasswordChange: {Password: plain(t, "another")}, settings.AllowStatusChange: {StatusText: ptr("x")},
		settings.AllowProfileChange: {Status: ptr("away")},
		settings.AllowInvisible:     {Status: ptr("offline")},
	} {
		w.with(id, false)
		if _, err := w.save(l, c); !errors.Is(err, accounts.ErrNotAllowed) {
			t.Errorf("%s: %v", id, err)
		}
		w.with(id, true) // each by itself: one that forbids everything would answer for the rest
	}
}

func TestSensitive(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "Ada@x.com")
	for _, c := range []struct {
		change accounts.Profile
		want   bool
	}{
		{accounts.Profile{Name: ptr("x"), Username: ptr("y")}, false},
		{accounts.Profile{Email: ptr("ada@X.com")}, false},
		{accounts.Profile{Email: ptr("")}, false},
		{accounts.Profile{Email: ptr("b@x.com")}, true},
		{accounts.Profile{Email: ptr("not an address")}, true},
		{accounts.Profile{Password: plain(t, "another")}, true},
	} {
		if w.Sensitive(ada, c.change) != c.want {
			t.Errorf("%+v", c.change)
		}
	}
}

func TestProvePassword(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	w.login(ada)
	for range 10 {
		if err := w.ProvePassword(t.Context(), w.peer, ada, plain(t, "wrong!")); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatal(err)
		}
	}
	if err := w.ProvePassword(t.Context(), w.peer, ada, plain(t, "secret")); !errors.Is(err, accounts.ErrBlockedUser) {
		t.Error("a stolen session guesses without end:", err)
	}
	for digest, want := range map[string]bool{digest("secret"): true, digest("wrong!"): false, "secret": false, strings.ToUpper(digest("secret")): false,
		"": false} {
		if ok, err := w.pw.VerifyPassword(t.Context(), ada, digest); ok != want || err != nil {
			t.Errorf("%q: %v %v", digest, ok, err)
		}
	}
}

// A name that is one's own passes, also one that nobody else may choose.
func TestOnesOwnNamePasses(t *testing.T) {
	w := newWorld(t)
	root := w.admin("Admin") // which is reserved, and which an operator may give
	for _, name := range []string{"Admin", "admin"} {
		if free, err := w.UsernameFree(t.Context(), root, name); err != nil || !free {
			t.Errorf("%q: %v, %v", name, free, err)
		}
		if u, err := w.SaveProfile(t.Context(), w.peer, rpc.Login{}, root, accounts.Profile{Username: &name}); err != nil || u.Username != name {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := w.UpdateUser(t.Context(), w.peer, root, root.ID, accounts.UserChange{Username: &name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := w.UsernameFree(t.Context(), w.add("ada", ""), "admin"); !errors.Is(err, accounts.ErrReserved) {
		t.Error("somebody else's:", err)
	}
}
