package accounts_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// doors are all ways to come in with a token.
func (w *world) doors(id, token string) map[string]func(address string) error {
	return map[string]func(address string) error{
		"DDP": func(address string) error {
			_, _, err := w.Resume(w.t.Context(), w.from(address), token)
			return err
		},
		"REST": func(address string) error {
			_, _, err := w.Header(w.t.Context(), w.from(address), id, token)
			return err
		},
	}
}

// A22: a token with an end stops at it at every door and in connections that are
// open; one without never does. A new one in its place lives as long anew.
func TestA22TokensEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.add("ada", "")
		limits := accounts.TokenLimits{Days: 30, Addresses: []string{"192.0.2.0/24"}}
		token, err := w.GenerateToken(t.Context(), w.peer, ada, "ci", true, limits)
		if err != nil {
			t.Fatal(err)
		}
		forever, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "old", false)
		if err != nil {
			t.Fatal(err)
		}
		login := rpc.Login{UserID: ada.ID, Token: accounts.HashToken(token)}
		if _, got, err := w.Resume(t.Context(), w.peer, token); err != nil || !got.Expires.Equal(w.now().AddDate(0, 0, 30)) {
			t.Errorf("ends %v, %v", got.Expires, err)
		}
		w.wait(30*24*time.Hour - time.Second)
		if _, err := w.Caller(t.Context(), login); err != nil {
			t.Error("before its end:", err)
		}
		if token, err = w.RegenerateToken(t.Context(), w.peer, w.user(ada.ID), "ci"); err != nil {
			t.Fatal(err)
		}
		login.Token = accounts.HashToken(token)
		if got := w.user(ada.ID).LoginToken(login.Token); !got.ExpiresAt.Equal(w.now().Add(30*24*time.Hour)) || !got.BypassTwoFactor ||
			len(got.AllowedAddresses) != 1 {
			t.Errorf("the new one is %+v", got)
		}
		w.wait(30 * 24 * time.Hour)
		if _, err := w.Caller(t.Context(), login); !errors.Is(err, fault.NotAuthorized) {
			t.Error("an open connection goes on:", err)
		}
		for name, try := range w.doors(ada.ID, token) {
			if err := try("192.0.2.1"); err == nil {
				t.Errorf("%s lets it in", name)
			}
		}
		w.wait(50 * 365 * 24 * time.Hour)
		for name, try := range w.doors(ada.ID, forever) {
			if err := try("192.0.2.1"); err != nil {
				t.Errorf("%s: a token without an end: %v", name, err)
			}
		}
	})
}

// A22: a token with a list of addresses works from those, at every door, and
// anybody else gets the answer to a token that does not exist.
func TestA22TokensWorkFromTheirAddresses(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	token, err := w.GenerateToken(t.Context(), w.peer, ada, "ci", false, accounts.TokenLimits{Addresses: []string{"192.0.2.7", "198.51.100.9/24",
		"2001:db8::/32", "::ffff:203.0.113.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"192.0.2.7": true, "::ffff:192.0.2.7": true, "198.51.100.200": true, "2001:db8:1::5": true, "203.0.113.1": true,
		"192.0.2.8": false, "198.51.101.1": false, "2001:db9::1": false, "": false, "garbage": false, "192.0.2.7, 8.8.8.8": false,
	} {
		unknown := w.doors(ada.ID, "no such token")
		for name, try := range w.doors(ada.ID, token) {
			err := try(address)
			if (err == nil) != want {
				t.Errorf("%s from %q: %v", name, address, err)
			}
			if err != nil && err.Error() != unknown[name](address).Error() {
				t.Errorf("%s from %q tells that the token is one: %v", name, address, err)
			}
		}
	}
	for _, l := range []accounts.TokenLimits{
		{Days: -1}, {Days: 3651}, {Addresses: []string{"localhost"}}, {Addresses: []string{""}}, {Addresses: []string{"192.0.2.1/33"}},
		{Addresses: []string{"fe80::1%eth0"}}, {Addresses: make([]string, 21)},
	} {
		if _, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "x", false, l); !errors.Is(err, accounts.ErrTokenLimits) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// counted is a store that counts the uses of tokens that are written.
type counted struct {
	accounts.Store
	uses atomic.Int32
}

func (c *counted) UseToken(ctx context.Context, userID, token string, use user.Use) error {
	c.uses.Add(1)
	return c.Store.UseToken(ctx, userID, token, use)
}

// A22: the owner sees when a token was last used, to the minute, over restarts;
// a busy token writes once a minute.
func TestA22LastUse(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.add("ada", "")
		token, err := w.GenerateToken(t.Context(), w.peer, ada, "ci", false)
		if err != nil {
			t.Fatal(err)
		}
		last := func() time.Time { return w.Tokens(w.user(ada.ID))[0].LastUsedAt }
		if !last().IsZero() {
			t.Error("used before its first use")
		}
		st := &counted{Store: w.store}
		svc := w.node(st)
		began := w.now()
		for range 60 { // a minute and a half
			for range 3 {
				if _, _, err := svc.Header(t.Context(), w.peer, ada.ID, token); err != nil {
					t.Fatal(err)
				}
			}
			w.wait(1500 * time.Millisecond)
		}
		if n := st.uses.Load(); n != 2 || !last().Equal(began.Add(time.Minute)) {
			t.Errorf("%d writes, last use %v after the first", n, last().Sub(began))
		}
		w.wait(time.Hour)
		svc.Used(t.Context(), w.peer, w.user(ada.ID), rpc.Login{UserID: ada.ID, Token: accounts.HashToken(token)})
		if !last().Equal(w.now()) {
			t.Errorf("a call in an open connection: last use %v, now %v", last(), w.now())
		}
	})
}

// A session is noted at most once an hour, behind the call that used it, with where it
// was used; what waits is written when the server stops.
func TestUseOfSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		st := &counted{Store: w.store}
		svc := w.node(st, func(o *accounts.Options) {
			o.Origin = func(p *rpc.Peer) *user.Origin { return &user.Origin{Client: p.UserAgent, Address: p.Address} }
		})
		ada := w.add("ada", "")
		got, err := svc.IssueToken(t.Context(), w.peer, ada, "password")
		if err != nil {
			t.Fatal(err)
		}
		token := func() *user.LoginToken { return w.user(ada.ID).LoginToken(got.Hash) }
		elsewhere := *w.peer
		elsewhere.UserAgent = "another"
		use := func() {
			t.Helper()
			if _, _, err := svc.Resume(t.Context(), &elsewhere, got.Token); err != nil {
				t.Fatal(err)
			}
			svc.Used(t.Context(), &elsewhere, w.user(ada.ID), got.Login())
		}
		stop := func() {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := svc.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		use()
		stop()
		if now := token(); st.uses.Load() != 0 || now.MadeFrom == nil || now.MadeFrom.Client != "test" || now.UsedFrom != nil {
			t.Errorf("within an hour of the login: %d writes, %+v", st.uses.Load(), now)
		}
		w.wait(time.Hour)
		at := w.now()
		for range 3 {
			use()
			w.wait(time.Minute)
		}
		if st.uses.Load() != 0 {
			t.Error("a call wrote")
		}
		stop()
		now := token()
		if st.uses.Load() != 1 || !now.LastUsedAt.Equal(at) || now.UsedFrom == nil || now.UsedFrom.Client != "another" || now.MadeFrom.Client != "test" {
			t.Errorf("%d writes, %+v", st.uses.Load(), now)
		}
		renewed, err := svc.RenewToken(t.Context(), &elsewhere, got.Login())
		if err != nil {
			t.Fatal(err)
		}
		if next := w.user(ada.ID).LoginToken(renewed.Hash); next.MadeFrom.Client != "test" || next.UsedFrom.Client != "another" || !next.When.Equal(now.When) {
			t.Errorf("the session in the place of it: %+v", next)
		}
		// What another program made is unknown until it is used.
		foreign := user.LoginToken{HashedToken: accounts.HashToken("foreign"), When: w.now()}
		if _, err := w.store.UpdateUser(t.Context(), ada.ID, user.Change{At: at, AddToken: &foreign}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := svc.Resume(t.Context(), w.peer, "foreign"); err != nil {
			t.Fatal(err)
		}
		stop()
		if now := w.user(ada.ID).LoginToken(accounts.HashToken("foreign")); now.MadeFrom != nil || now.UsedFrom == nil || now.UsedFrom.Client != "test" {
			t.Errorf("a foreign session: %+v", now)
		}
	})
}

// While the server runs, uses are written some seconds after they were.
func TestUsesAreWrittenBehind(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		ada := w.User("ada")
		c := w.As("ada")
		time.Sleep(61 * time.Minute)
		used := func() time.Time {
			u, err := w.Store.UserByID(t.Context(), ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			return u.LoginToken(accounts.HashToken(c.Token)).LastUsedAt
		}
		at := time.Now().UTC()
		w.Connect().Resume(c).Must("getServerInfo")
		if !used().IsZero() {
			t.Error("a call wrote")
		}
		time.Sleep(time.Minute)
		if !used().Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("used at %v, not %v", used(), at)
		}
	})
}
