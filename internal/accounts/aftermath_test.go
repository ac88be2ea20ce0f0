package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

var errDown = errors.New("down")

// down is a follower, and second factors, that fail.
type down struct{}

func (down) Created(context.Context, *user.User) error      { return errDown }
func (down) Renamed(context.Context, *user.User) error      { return errDown }
func (down) RolesChanged(context.Context, *user.User) error { return errDown }
func (down) StatusChosen(string)                            {}
func (down) Deleted(context.Context, string) error          { return errDown }
func (down) Forget(context.Context, string) error           { return errDown }

// What follows from a change of an account may fail: the change stands, sessions
// end as they should, and the log says what did not follow.
func TestAChangeStandsWhateverFollows(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	svc := w.node(w.store, func(o *accounts.Options) { o.Follower, o.Factors = down{}, down{} })
	logged := func(event, what string) {
		t.Helper()
		for _, e := range w.ground.Logs.TakeAll() {
			if e.Message == event && (what == "" || e.ContextMap()["what"] == what) {
				return
			}
		}
		t.Errorf("the log has no %s %s", event, what)
	}
	ada, err := svc.Register(t.Context(), w.peer, accounts.Registration{Username: "ada", Email: "ada@x.com", Password: plain(t, "secret")})
	if err != nil {
		t.Fatal(err)
	}
	logged("account_not_followed", "")
	session := w.login(ada)
	if _, err := svc.SaveProfile(t.Context(), w.peer, session.Login(), w.user(ada.ID), accounts.Profile{Username: ptr("lovelace")}); err != nil {
		t.Fatal(err)
	}
	logged("account_not_followed", "")
	if _, err := svc.UpdateUser(t.Context(), w.peer, root, ada.ID, accounts.UserChange{Password: plain(t, "another one")}); err != nil {
		t.Fatal(err)
	}
	logged("codes_not_ended", "")
	if w.alive(ada.ID, session.Hash) || w.try("lovelace", "secret") == nil || w.try("lovelace", "another one") != nil {
		t.Error("the password, or the session of before it, is not as it was left")
	}
	if err := svc.DeleteUser(t.Context(), w.peer, root, ada.ID); err != nil {
		t.Fatal(err)
	}
	logged("account_not_followed", "")
	if w.try("lovelace", "another one") == nil {
		t.Error("a deleted account logs in")
	}
}

// A link that could not be mailed is none: nobody holds its token, and it takes no
// place among the few that may be alive.
func TestALinkThatWasNotMailedIsNone(t *testing.T) {
	w := newWorld(t)
	w.ground.Mails.Fail(errDown)
	ada := w.add("ada", "ada@x.com")
	for range 10 {
		_ = w.SendConfirmation(t.Context(), w.peer, w.user(ada.ID), "ada@x.com")
		w.settle()
	}
	if e := w.user(ada.ID).Services.Email; e != nil && len(e.VerificationTokens) != 0 {
		t.Errorf("%d tokens that nobody has", len(e.VerificationTokens))
	}
	w.ground.Mails.Fail(nil)
	w.wait(2 * time.Hour) // what was asked for counted as mailed
	if err := w.SendConfirmation(t.Context(), w.peer, w.user(ada.ID), "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.VerifyEmail(t.Context(), w.peer, w.login(ada).Login(), w.linkToken(accounts.TemplateVerify)); err != nil {
		t.Errorf("the link that came at last: %v", err)
	}
}

// The free object of an account is data, and not much of it: what a client sends is
// stored whole or refused whole.
func TestProfileObject(t *testing.T) {
	w := newWorld(t)
	w.with(settings.AllowProfileChange, true)
	ada := w.add("ada", "")
	save := func(p map[string]any) error { return w.SaveProfileObject(t.Context(), w.peer, w.user(ada.ID), p) }
	deep := map[string]any{"x": 1.0}
	wide, list := map[string]any{}, []any{}
	for i := range 1000 {
		deep = map[string]any{"d": deep}
		wide[fmt.Sprint("k", i)] = true
		list = append(list, nil)
	}
	kept := map[string]any{"bio": "a countess", "tags": []any{"a", 1.0, nil, true, time.UnixMilli(7).UTC()}, "in": map[string]any{"er": []byte{0, 255}}}
	if err := save(kept); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]map[string]any{
		"deep": deep, "deep list": {"l": []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{1.0}}}}}}}}}}, "wide": wide, "long list": {"l": list},
		"long": {"x": strings.Repeat("x", 1<<20)}, "long in pieces": {"a": []any{strings.Repeat("x", 1<<19), strings.Repeat("y", 1<<19)}},
		"a NUL": {"x": "a\x00b"}, "a NUL in a list": {"x": []any{"a\x00b"}}, "bytes": {"x": make([]byte, 1<<20)},
		"an expression": {"x": regexp.MustCompile("a")}, "an expression in a list": {"x": []any{regexp.MustCompile("a")}},
		"an operator": {"$set": map[string]any{"roles": []any{"admin"}}}, "a path": {"services.password": "x"},
	} {
		if err := save(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if got := w.user(ada.ID).Profile; got["bio"] != "a countess" || len(got) != len(kept) {
			t.Fatalf("%s: left %v", name, got)
		}
	}
	w.with(settings.AllowProfileChange, false)
	if err := save(map[string]any{"bio": "x"}); !errors.Is(err, accounts.ErrNotAllowed) {
		t.Errorf("switched off: %v", err)
	}
}

// A sweep that fails is told in the log and made up for by the next one.
func TestTheNextSweepMakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := &storetest.Failing{Store: storetest.OpenSQLite(t)}
		w := newWorldOn(t, bcrypt.MinCost, failing)
		ada := w.add("ada", "")
		session := w.login(ada)
		w.wait(10 * 365 * 24 * time.Hour)
		w.settle()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Run(ctx) })
		failing.FailAt(1)
		time.Sleep(accounts.SweepEvery + time.Second)
		if n := w.ground.Logs.FilterMessage("token_sweep_failed").Len(); n != 1 {
			t.Errorf("told %d times", n)
		}
		if !w.alive(ada.ID, session.Hash) {
			t.Error("told as ended before it was")
		}
		time.Sleep(accounts.SweepEvery)
		if w.alive(ada.ID, session.Hash) || len(w.user(ada.ID).Services.Resume.LoginTokens) != 0 {
			t.Error("the session of ten years ago lives")
		}
		stop()
		running.Wait()
	})
}

// Who hangs up while his password waits to be hashed leaves the queue, and holds
// nobody up.
func TestHangingUpLeavesTheQueue(t *testing.T) {
	w := newWorldWithCost(t, 8)
	w.add("ada", "")
	w.add("bob", "")
	w.with(settings.BlockLogins, false)
	ctx, hangUp := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range 40 {
		callers.Go(func() {
			p := w.from(fmt.Sprint("198.51.100.", i))
			if _, err := w.Authenticate(ctx, p, accounts.Selector{Username: "ada"}, plain(t, fmt.Sprint("guess", i))); err == nil {
				t.Error("a wrong password logged in")
			}
		})
	}
	hangUp()
	callers.Wait()
	if running, waiting := w.pw.Hashing(); running != 0 || waiting != 0 {
		t.Errorf("%d run and %d wait when all are gone", running, waiting)
	}
	if err := w.try("bob", "secret"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// A Service without one of its parts, and a cost that bcrypt does not know, are
// refused at once.
func TestNewNeedsItsParts(t *testing.T) {
	if _, err := accounts.New(accounts.Options{}); err == nil {
		t.Error("an empty service was made")
	}
	if _, err := accounts.NewPasswords(accounts.PasswordOptions{BcryptCost: 99}); err == nil {
		t.Error("a cost of 99 was taken")
	}
}
