package sqlite

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

func session(hash string) *user.LoginToken {
	return &user.LoginToken{HashedToken: hash, When: time.UnixMilli(1).UTC()}
}

// TestCacheIsNeverBehind: whoever was told that a change is done sees it, or a
// later one, by id and by token, while others read all the time.
func TestCacheIsNeverBehind(t *testing.T) {
	s := openHere(t, Options{Server: true})
	ctx, stop := context.WithCancel(t.Context())
	if err := s.CreateUser(ctx, &user.User{ID: "u", CreatedAt: time.UnixMilli(1),
		Services: user.Services{Resume: &user.Resume{LoginTokens: []user.LoginToken{*session("h")}}}}); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64 // the newest change somebody was told of
	var readers sync.WaitGroup
	check := func(read func() (*user.User, error)) {
		before := done.Load()
		u, err := read()
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		if n, _ := strconv.ParseInt(u.Name, 10, 64); n < before {
			t.Errorf("read %d after %d was acknowledged", n, before)
		}
		u.Name = "mine now" // a copy: nobody else may see this
		u.Services.Resume.LoginTokens[0].HashedToken = "mine now"
	}
	for range 3 {
		readers.Go(func() {
			for ctx.Err() == nil {
				check(func() (*user.User, error) { return s.UserByID(ctx, "u") })
				check(func() (*user.User, error) { return s.UserByToken(ctx, "h", "") })
			}
		})
	}
	for i := int64(1); i <= 200; i++ {
		name := strconv.FormatInt(i, 10)
		if _, err := s.UpdateUser(ctx, "u", user.Change{Name: &name, At: time.UnixMilli(i)}); err != nil {
			t.Error(err)
		}
		done.Store(i)
	}
	stop()
	readers.Wait()
}

// TestCacheForgetsTokens: a token that was taken away finds nobody, although
// its account was just read by it; a deleted account is gone at once.
func TestCacheForgetsTokens(t *testing.T) {
	s := openHere(t, Options{Server: true})
	ctx := t.Context()
	if err := s.CreateUser(ctx, &user.User{ID: "u", CreatedAt: time.UnixMilli(1)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []user.Change{{AddToken: session("a")}, {AddToken: session("b")}} {
		c.At = time.UnixMilli(2)
		if _, err := s.UpdateUser(ctx, "u", c); err != nil {
			t.Fatal(err)
		}
	}
	for _, hash := range []string{"a", "b", "a"} {
		if u, err := s.UserByToken(ctx, hash, ""); err != nil || u.ID != "u" {
			t.Fatal(u, err)
		}
	}
	if _, err := s.UpdateUser(ctx, "u", user.Change{RemoveToken: "a", At: time.UnixMilli(3)}); err != nil {
		t.Fatal(err)
	}
	if u, err := s.UserByToken(ctx, "a", ""); !errors.Is(err, dberr.NotFound) {
		t.Errorf("a token that is gone finds %v, %v", u, err)
	}
	if u, err := s.UserByToken(ctx, "b", ""); err != nil || u.LoginToken("a") != nil {
		t.Errorf("%+v, %v", u, err)
	}
	if err := s.DeleteUser(ctx, "u", true); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() (*user.User, error){
		func() (*user.User, error) { return s.UserByID(ctx, "u") },
		func() (*user.User, error) { return s.UserByToken(ctx, "b", "") },
	} {
		if u, err := read(); !errors.Is(err, dberr.NotFound) {
			t.Errorf("a deleted account is %v, %v", u, err)
		}
	}
}

// TestCacheGenerations: it holds what is asked for and drops the rest.
func TestCacheGenerations(t *testing.T) {
	var c userCache
	now := time.UnixMilli(1)
	put := func(id string) {
		_, ticket := c.get(id, now)
		c.put(&user.User{ID: id, Services: user.Services{Resume: &user.Resume{LoginTokens: []user.LoginToken{*session("t" + id)}}}}, ticket, now)
	}
	put("kept")
	for i := range 3 * generationSize {
		put(strconv.Itoa(i))
		if u, _ := c.getToken("tkept", now); u == nil {
			t.Fatalf("an account in use was dropped after %d others", i)
		}
	}
	if u, _ := c.get("0", now); u != nil {
		t.Error("the first of many is still here")
	}
	if n := len(c.young.byID) + len(c.old.byID); n > 2*generationSize || n != len(c.young.byToken)+len(c.old.byToken) {
		t.Errorf("%d accounts, %d and %d tokens", n, len(c.young.byToken), len(c.old.byToken))
	}
	for range 3 {
		now = now.Add(2 * generationAge)
		put("new")
	}
	if u, _ := c.get("kept", now); u != nil {
		t.Error("an account that nobody asked for stays for ever")
	}
	_, ticket := c.get("x", now)
	c.begin(nil)
	c.put(&user.User{ID: "x"}, ticket, now)
	_, during := c.get("x", now)
	c.end()
	c.put(&user.User{ID: "x"}, ticket, now)
	c.put(&user.User{ID: "x"}, during, now)
	if u, _ := c.get("x", now); u != nil {
		t.Error("what was read before the end of a commit was remembered")
	}
}

// TestCacheBelievesNobodyForLong: an account that somebody changed with other
// tools is read again although it is asked for all the time.
func TestCacheBelievesNobodyForLong(t *testing.T) {
	s := openHere(t, Options{Server: true})
	now := time.UnixMilli(1)
	s.now = func() time.Time { return now }
	if err := s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UserByID(t.Context(), "u"); err != nil {
		t.Fatal(err)
	}
	// Nothing of this store touches the account.
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Exec(`DELETE FROM users WHERE id = 'u'`) }); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := s.UserByID(t.Context(), "u"); err != nil {
			t.Fatalf("not from memory: %v", err)
		}
		now = now.Add(entryAge / 4)
	}
	now = now.Add(time.Second)
	if u, err := s.UserByID(t.Context(), "u"); !errors.Is(err, dberr.NotFound) {
		t.Errorf("still %v, %v", u, err)
	}
}

// TestOnlyTheServerChangesAccounts: what runs beside a server may add, so that
// the server's memory stays right.
func TestOnlyTheServerChangesAccounts(t *testing.T) {
	s := openHere(t, Options{})
	ctx := t.Context()
	if err := s.CreateUser(ctx, &user.User{ID: "u", CreatedAt: time.UnixMilli(1)}); err != nil {
		t.Fatal(err)
	}
	name := "x"
	if _, err := s.UpdateUser(ctx, "u", user.Change{Name: &name, At: time.UnixMilli(2)}); !errors.Is(err, errNotOwner) {
		t.Errorf("a change: %v", err)
	}
	if err := s.DeleteUser(ctx, "u", true); !errors.Is(err, errNotOwner) {
		t.Errorf("a deletion: %v", err)
	}
	if u, err := s.UserByID(ctx, "u"); err != nil || u.Name != "" {
		t.Errorf("%+v, %v", u, err)
	}
}
