package methods_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ddp"
	"ddpserver/internal/feed"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// When a call is answered that ended login tokens, their sessions are closed; and
// what it changed of the own account was sent before the answer.
func TestNewsOfAnAccountComesBeforeTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		call   string
		params []any
		shows  string // in the change of the own document
	}{
		"other sessions end": {call: "removeOtherTokens"},
		"a factor goes on":   {call: "2fa:enable-email", shows: `"email2fa":{"enabled":true}`},
		"a new name":         {call: "saveUserProfile", params: []any{map[string]any{"realname": "Countess"}}, shows: `"name":"Countess"`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.Unlimited()
				ada := w.User("ada", "verified")
				actor := w.As("ada")
				others := []*client{w.As("ada"), w.As("ada")}
				seen := len(actor.Other)
				if _, fail := actor.Call(c.call, c.params...); fail != nil {
					t.Fatal(fail.Code(), fail.Reason)
				}
				answered := time.Now()
				u, err := w.Store.UserByID(t.Context(), ada.ID)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range others {
					if u.LoginToken(accounts.HashToken(other.Token)) == nil && (!other.Closed(time.Second) || time.Now() != answered) {
						t.Error("a session with a dead token was open when the answer came")
					}
				}
				told := ""
				for _, f := range actor.Other[seen:] {
					if f.Msg == "changed" && strings.Contains(f.Text, `"collection":"users"`) {
						told += f.Text
					}
				}
				if !strings.Contains(told, c.shows) {
					t.Errorf("before the answer came %q", told)
				}
			})
		})
	}
}

// A node of an older version tells of dead tokens in a way that this version cannot
// read. It reads the account instead, within two seconds.
func TestTokensRevokedByAnOlderVersion(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, _ *cable) {
		ada := n1.User("ada")
		c := n2.As("ada")
		time.Sleep(2 * time.Second) // until the news of all this has been everywhere
		if _, err := n1.Store.UpdateUser(t.Context(), ada.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := n1.Store.AppendEvent(t.Context(), feed.Event{ID: "old", Node: "older", Kind: "tokens-revoked", Key: ada.ID, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if !c.Closed(2 * time.Second) {
			t.Error("the connection is open")
		}
		if n := n2.Logs.FilterMessage("event_not_readable").Len(); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

// counted is a store that counts how often accounts are read.
type counted struct {
	storetest.Store
	mu    sync.Mutex
	reads map[string]int
}

func (c *counted) count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads[operation]++
}

// take is what was counted since the last call, like "UserByID 2".
func (c *counted) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, op := range slices.Sorted(maps.Keys(c.reads)) {
		lines = append(lines, fmt.Sprint(op, " ", c.reads[op]))
	}
	c.reads = map[string]int{}
	return strings.Join(lines, ", ")
}

func (c *counted) UserByID(ctx context.Context, id string) (*user.User, error) {
	c.count("UserByID")
	return c.Store.UserByID(ctx, id)
}

func (c *counted) UserByToken(ctx context.Context, hash, clear string) (*user.User, error) {
	c.count("UserByToken")
	return c.Store.UserByToken(ctx, hash, clear)
}

func (c *counted) UserByUsername(ctx context.Context, name string) (*user.User, error) {
	c.count("UserByUsername")
	return c.Store.UserByUsername(ctx, name)
}

// A login finds the account by what the caller gave, and reads it once more when
// the connection belongs to it: for the own document, for the subscriptions that
// run again and for whether the token is still alive.
func TestLoginReadsTheAccountOnce(t *testing.T) {
	db := &counted{Store: storetest.OpenSQLite(t), reads: map[string]int{}}
	w := newNode(t, "n1", db, secret.Generate(), nil)
	w.Unlimited()
	w.User("ada")
	c := w.Connect()
	for _, name := range []string{"userData", "activeUsers", "roles"} {
		if fail := c.Sub(name, "stream-notify-all", "public-settings-changed", false); fail != nil {
			t.Fatal(fail.Code())
		}
	}
	db.take()
	c.Login("ada")
	if got := db.take(); got != "UserByID 1, UserByUsername 1" {
		t.Errorf("with a password: %s", got)
	}
	again := w.Connect()
	db.take()
	again.Resume(c)
	if got := db.take(); got != "UserByID 1, UserByToken 1" {
		t.Errorf("with a token: %s", got)
	}
}

// revoking is a store that ends an account's tokens at a moment of a login.
type revoking struct {
	storetest.Store
	when func(c user.Change) bool
}

func (r *revoking) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	u, err := r.Store.UpdateUser(ctx, id, c)
	if err == nil && r.when != nil && r.when(c) {
		r.when = nil
		_, other := r.Store.UpdateUser(ctx, id, user.Change{RemoveTokens: true, At: time.Now()})
		err = errors.Join(err, other)
	}
	return u, err
}

// A token that is revoked between its issue and the moment from which the
// connection is found by it leaves nobody logged in.
func TestTokenRevokedWhileLoggingIn(t *testing.T) {
	db := &revoking{Store: storetest.OpenSQLite(t)}
	w := newNode(t, "n1", db, secret.Generate(), nil)
	w.User("ada")
	c := w.Connect()
	db.when = func(c user.Change) bool { return c.AddToken != nil }
	_, fail := c.Call("login", map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")})
	if fail == nil {
		t.Fatal("logged in with a dead token")
	}
	if db.when != nil {
		t.Error("nothing was revoked")
	}
	w.Engine.Sessions(w.Vars["ada"], func(*ddp.Session) bool {
		t.Error("a session is logged in")
		return true
	})
}

// The news of ended tokens may reach another node after somebody logged in there
// with a new one: that connection stays.
func TestLoginBeforeTheNewsOfEndedTokens(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
		n1.User("ada")
		actor, other := n1.As("ada"), n2.As("ada")
		time.Sleep(2 * time.Second) // until the news of all this has been everywhere
		link.down.Store(true)
		if _, fail := actor.Call("removeOtherTokens"); fail != nil {
			t.Fatal(fail.Code())
		}
		late := n2.As("ada")
		link.down.Store(false)
		if !other.Closed(10 * time.Second) {
			t.Error("a connection with a dead token is open on the other node")
		}
		time.Sleep(10 * time.Second) // the news has come by now
		if _, fail := late.Call("getServerInfo"); fail != nil {
			t.Errorf("the new connection: %s", fail.Code())
		}
	})
}
