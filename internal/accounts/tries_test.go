package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/user"
)

// onBoth runs a test on the embedded store, on the MongoDB store over the
// in-process wire server, and on a real server when MONGODB_TEST_URI names one.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	open := func(t *testing.T, uri string) *world {
		st, err := mongo.Open(t.Context(), uri, mongo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		w := newWorldOn(t, bcrypt.MinCost, st)
		w.wait(100 * 365 * 24 * time.Hour) // or the database's own clock forgets what ages
		return w
	}
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("mongo", func(t *testing.T) { test(t, open(t, mongotest.Start(t))) })
	if uri := os.Getenv("MONGODB_TEST_URI"); uri != "" {
		t.Run("mongodb", func(t *testing.T) {
			u, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			u.Path = "/accounts" + random.ID()
			test(t, open(t, u.String()))
		})
	}
}

// guess tries a password at a Service from an address and returns the code and
// the text of the refusal.
func (w *world) guess(svc *accounts.Service, name, address, password string) string {
	w.t.Helper()
	_, err := svc.Authenticate(w.t.Context(), w.from(address), accounts.Selector{Username: name}, plain(w.t, password))
	if err == nil {
		return ""
	}
	f, ok := fault.From(err)
	if !ok {
		return "internal: " + err.Error()
	}
	return f.Message()
}

const (
	wrongAnswer   = "Something went wrong. Please check your credentials. [403]"
	blockedAnswer = "Login has been temporarily blocked For User [error-login-blocked-for-user]"
)

var stoppedAnswer = accounts.ErrStoppedUser.Message()

// A22: ten wrong passwords are ten, whatever node is asked and however often the
// server is started anew; so for an account and for a name that nobody has.
func TestA22WrongPasswordsBelongToTheCluster(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.add("ada", "")
		for _, name := range []string{"ada", "nobody"} {
			for i := range 10 {
				if got := w.guess(w.node(w.store), name, fmt.Sprint("198.51.100.", i), "wrong!"); got != wrongAnswer {
					t.Fatalf("%s, %d: %q", name, i, got)
				}
			}
			if got := w.guess(w.node(w.store), name, "198.51.100.99", "secret"); got != blockedAnswer {
				t.Errorf("%s, the 11th: %q", name, got)
			}
		}
		for i := range 50 {
			w.guess(w.node(w.store), fmt.Sprint("name", i), "203.0.113.1", "wrong!")
		}
		if got := w.guess(w.node(w.store), "other", "203.0.113.1", "wrong!"); got != accounts.ErrBlockedAddress.Message() {
			t.Errorf("the 51st of an address: %q", got)
		}
	})
}

// A22: what cannot be taken back stays counted, and is refused; what cannot be
// counted is not compared.
func TestA22CountedBeforeCompared(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	broken := &lame{Store: w.store}
	svc, pw := w.nodeAndPasswords(broken)
	broken.end = dberr.Unavailable
	for range 10 { // a crash between the comparison and the end of the count
		if got := w.guess(svc, "ada", "192.0.2.9", "secret"); got == "" || got == wrongAnswer {
			t.Fatalf("a right password whose count stays: %q", got)
		}
	}
	if got := w.guess(w.Service, "ada", "192.0.2.9", "secret"); got != blockedAnswer {
		t.Errorf("after ten crashes: %q", got)
	}
	broken.count = dberr.Unavailable
	before := w.pw.HashWork() + pw.HashWork()
	if got := w.guess(svc, "bob", "192.0.2.9", "secret"); got == wrongAnswer || got == "" {
		t.Errorf("not counted: %q", got)
	}
	if w.pw.HashWork()+pw.HashWork() != before {
		t.Error("compared without being counted")
	}
}

// lame is a store whose counting breaks.
type lame struct {
	accounts.Store
	count, end error
}

func (l *lame) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) error {
	if l.count != nil {
		return l.count
	}
	return l.Store.CountTries(ctx, id, now, list)
}

func (l *lame) EndTries(ctx context.Context, id string, list []accounts.Budget, right bool) error {
	if l.end != nil {
		return l.end
	}
	return l.Store.EndTries(ctx, id, list, right)
}

// stop guesses until the row of wrong passwords is full.
func (w *world) stop(name string) {
	w.t.Helper()
	for i := range w.set.Int(settings.BlockLoginsInRow) {
		if got := w.guess(w.Service, name, fmt.Sprint("198.51.100.", i), "wrong!"); got != wrongAnswer {
			w.t.Fatalf("%s, %d: %q", name, i, got)
		}
		if i%10 == 9 {
			w.wait(5 * time.Minute)
		}
	}
}

// A22: the stop comes after a hundred, as NIST SP 800-63B asks.
func TestA22AHundred(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	if w.stop("ada"); w.set.Int(settings.BlockLoginsInRow) != 100 {
		t.Error("another bound")
	}
	if got := w.guess(w.Service, "ada", "203.0.113.7", "secret"); got != stoppedAnswer {
		t.Errorf("after a hundred: %q", got)
	}
}

// A22: so many wrong passwords in a row from addresses it was never used from
// stop the password for such addresses, for good; a name that nobody has looks
// the same, and the addresses the account was used from, and its sessions, go on.
func TestA22ManyInARowStop(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.with(settings.BlockLoginsInRow, 20)
		ada := w.add("ada", "ada@x.com")
		w.login(ada) // from 192.0.2.1
		for _, name := range []string{"ada", "nobody"} {
			w.stop(name)
			for _, later := range []time.Duration{0, time.Hour, 48 * time.Hour} {
				w.wait(later)
				if got := w.guess(w.node(w.store), name, "203.0.113.7", "secret"); got != stoppedAnswer {
					t.Errorf("%s, %v later: %q", name, later, got)
				}
			}
		}
		if got := w.guess(w.Service, "ada", "192.0.2.1", "secret"); got != "" {
			t.Errorf("at home: %q", got)
		}
		if err := w.ProvePassword(t.Context(), w.from("203.0.113.7"), w.user(ada.ID), plain(t, "secret")); err != nil {
			t.Errorf("in a session: %v", err)
		}
		if got := w.guess(w.Service, "ada", "203.0.113.7", "secret"); got != stoppedAnswer {
			t.Errorf("the owner's logins at home lifted the stop for strangers: %q", got)
		}
		// The rows of known addresses and of sessions have the same end.
		for name, try := range map[string]func() string{
			"known": func() string { return w.guess(w.Service, "ada", "192.0.2.1", "wrong!") },
			"session": func() string {
				f, _ := fault.From(w.ProvePassword(t.Context(), w.from("203.0.113.7"), w.user(ada.ID), plain(t, "wrong!")))
				return f.Message()
			},
		} {
			wrong := 0
			for range 4 {
				for try() == wrongAnswer {
					wrong++
				}
				w.wait(5 * time.Minute)
			}
			if got := try(); wrong != 20 || got != stoppedAnswer {
				t.Errorf("%s: %d compared, then %q", name, wrong, got)
			}
		}
	})
}

// A22: every way to another password lifts the stop.
func TestA22AnotherPasswordLiftsTheStop(t *testing.T) {
	root := &user.User{ID: "root", Roles: []string{"admin"}}
	for name, set := range map[string]func(w *world, ada *user.User) error{
		"link by mail": func(w *world, ada *user.User) error {
			if err := w.ForgotPassword(w.t.Context(), w.peer, "ada@x.com"); err != nil {
				return err
			}
			_, err := w.ResetPassword(w.t.Context(), w.peer, w.linkToken(accounts.TemplateReset), plain(w.t, "another"))
			return err
		},
		"administrator": func(w *world, ada *user.User) error {
			_, err := w.UpdateUser(w.t.Context(), w.peer, root, ada.ID, accounts.UserChange{Password: plain(w.t, "another")})
			return err
		},
		"in a session": func(w *world, ada *user.User) error {
			return w.ChangePassword(w.t.Context(), w.peer, rpc.Login{}, w.user(ada.ID), plain(w.t, "another"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.with(settings.BlockLoginsInRow, 20)
			ada := w.add("ada", "ada@x.com")
			w.stop("ada")
			if err := set(w, ada); err != nil {
				t.Fatal(err)
			}
			if got := w.guess(w.Service, "ada", "203.0.113.7", "secret"); got != wrongAnswer {
				t.Errorf("the old one: %q", got)
			}
			if got := w.guess(w.Service, "ada", "203.0.113.7", "another"); got != "" {
				t.Errorf("the new one: %q", got)
			}
		})
	}
}

// A15b: an address becomes known by a whole login, and by nothing less: not by a
// right password whose factor is not given, nor by a token, whoever found it.
func TestA21WhatMakesAnAddressKnown(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.add("ada", "")
		known := func(address string) bool {
			t.Helper()
			s, err := w.passwords(w.store).Source(t.Context(), ada.ID, address)
			if err != nil {
				t.Fatal(err)
			}
			return s != accounts.Strangers
		}
		got := w.login(ada)
		if !known("192.0.2.1") || known("192.0.2.2") {
			t.Error("a login makes its own address known")
		}
		if w.guess(w.Service, "ada", "192.0.2.2", "secret"); known("192.0.2.2") {
			t.Error("the password alone makes an address known")
		}
		if _, _, err := w.Resume(t.Context(), w.from("192.0.2.3"), got.Token); err != nil || known("192.0.2.3") {
			t.Error("a token makes an address known:", err)
		}
		// A session in use keeps its address known; without one it is forgotten.
		for range 4 {
			w.wait(20 * 24 * time.Hour)
			if _, _, err := w.Resume(t.Context(), w.peer, got.Token); err != nil {
				t.Fatal(err)
			}
		}
		if !known("192.0.2.1") {
			t.Error("forgotten although it is in use")
		}
		if w.wait(61 * 24 * time.Hour); known("192.0.2.1") {
			t.Error("never forgotten")
		}
		// A /64 of IPv6 is one place; the list is short.
		for i := range 11 {
			if _, err := w.IssueToken(t.Context(), w.from(fmt.Sprintf("2001:db8:0:%x::1", i)), w.user(ada.ID), "password"); err != nil {
				t.Fatal(err)
			}
		}
		if !known("2001:db8:0:a::ffff") || known("2001:db8:0:0::1") {
			t.Error("eleven addresses")
		}
	})
}

// A15: forty right passwords of one account at once, with the
// budget of wrong ones at its smallest, all succeed, without a clock.
func TestA15ABurstOfRightPasswordsSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.with(settings.BlockLoginsUserTries, 1, settings.BlockLoginsAddressTries, 1)
		w.add("ada", "")
		w.add("bob", "")
		errs := make(chan error, 80)
		for i := range 40 {
			go func() { errs <- w.try([]string{"ada", "bob"}[i%2], "secret") }()
		}
		for range 40 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if err := w.try("ada", "wrong!"); !errors.Is(err, accounts.ErrCredentials) {
			t.Error("a count was not taken back:", err)
		}
	})
}
