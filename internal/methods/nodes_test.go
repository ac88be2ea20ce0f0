package methods_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// cable carries events between nodes and can be cut.
type cable struct {
	feed.Store
	down atomic.Bool
}

func (c *cable) AppendEvents(ctx context.Context, events []feed.Event) error {
	if c.down.Load() {
		return errors.New("cut")
	}
	return c.Store.AppendEvents(ctx, events)
}

func (c *cable) EventsSince(ctx context.Context, cursor string) ([]feed.Event, string, error) {
	if c.down.Load() {
		return nil, "", errors.New("cut")
	}
	return c.Store.EventsSince(ctx, cursor)
}

// pair runs f with two nodes on one database. Users of one are known to both.
func pair(t *testing.T, f func(t *testing.T, n1, n2 *world, link *cable)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, key := testkit.OpenStore(t), secret.Generate()
		link := &cable{Store: db}
		n1 := newNode(t, "n1", db, key, link)
		n2 := newNode(t, "n2", db, key, link)
		n1.Unlimited()
		time.Sleep(2 * time.Second)
		f(t, n1, n2, link)
	})
}

// S069: the switches of second factors take effect on every node within two
// seconds, and are audited; S109: without the feed, too.
func TestSettingsOnNodes(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
		n1.User("ada")
		c := n2.As("ada")
		if _, fail := c.Call("saveSetting", "Site_Name", "x"); fail.Code() != "totp-required" {
			t.Fatalf("%s", fail.Code())
		}
		if fail := c.Sub("s", "stream-notify-all", "public-settings-changed", false); fail != nil {
			t.Fatal(fail.Code())
		}
		c.Other = nil
		n1.Set(settings.TwoFactorEnabled, false)
		time.Sleep(2 * time.Second)
		if _, fail := c.Call("saveSetting", "Site_Name", "x"); fail.Code() != "error-action-not-allowed" {
			t.Errorf("the other node did not follow: %s", fail.Code())
		}
		if f := c.Event(); !strings.Contains(f.Text, `"_id":"Accounts_TwoFactorAuthentication_Enabled","value":false`) {
			t.Errorf("not pushed: %s", f.Text)
		}
		go func() { _ = n2.Base.Run(t.Context()) }()
		time.Sleep(time.Second)
		link.down.Store(true)
		n1.Set(settings.TwoFactorEnabled, true)
		time.Sleep(2 * time.Second)
		if !n2.Settings.Bool(settings.TwoFactorEnabled) {
			t.Error("without the feed the other node does not follow")
		}
	})
}

// S061, S044, S109: tokens, roles and accounts that change on one node count on
// the other: connections close within two seconds, and with the feed cut the
// next call finds out by itself.
func TestAccountsOnNodes(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
		ada := n1.User("ada")
		n1.User("root", "role=admin")
		c1, c2 := n1.As("ada"), n2.As("ada")
		shared := n2.Connect().Resume(c1)
		if _, fail := c1.Call("logout"); fail != nil {
			t.Fatal(fail.Code())
		}
		if !shared.Closed(2 * time.Second) {
			t.Error("a connection with the dead token is open on the other node")
		}
		if _, fail := c2.Call("getServerInfo"); fail != nil {
			t.Errorf("another token of the account: %s", fail.Code())
		}
		if _, fail := n1.As("root").Call("setUserActiveStatus", ada.ID, false); fail.Code() == "totp-required" {
			_, fail = n1.As("root").Call("setUserActiveStatus", ada.ID, false, answer(testkit.DigestOf("root"), "password"))
			if fail != nil {
				t.Fatal(fail.Code())
			}
		} else if fail != nil {
			t.Fatal(fail.Code())
		}
		if !c2.Closed(2 * time.Second) {
			t.Error("a connection of a deactivated account is open on the other node")
		}

		// The cable is cut: what is written counts for the next call.
		bob := n1.User("bob", "role=admin")
		c3 := n2.As("bob")
		link.down.Store(true)
		if _, fail := c3.Call("private-settings/get"); fail != nil {
			t.Fatal(fail.Code())
		}
		roles := []string{"user"}
		if _, err := n1.Store.UpdateUser(t.Context(), bob.ID, user.Change{Roles: &roles, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if raw, fail := c3.Call("private-settings/get"); fail != nil || string(raw) != "[]" {
			t.Errorf("a role that was taken away: %.40s %s", raw, fail.Code())
		}
		if _, err := n1.Store.UpdateUser(t.Context(), bob.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, fail := c3.Call("getServerInfo"); fail.Code() != "error-not-authorized" {
			t.Errorf("a dead token: %s", fail.Code())
		}
	})
}

// After a cut long enough to lose events, everything that is shown is read anew.
func TestAccountsAfterCut(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
		ada, bob := n1.User("ada"), n1.User("bob")
		link.down.Store(true)
		time.Sleep(3 * time.Minute)
		c, d := n2.As("ada"), n2.As("bob")
		c.Other = nil
		name := "New name"
		if _, err := n1.Store.UpdateUser(t.Context(), ada.ID, user.Change{Name: &name, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := n1.Store.UpdateUser(t.Context(), bob.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		link.down.Store(false)
		if f := c.Event(); f.Msg != "changed" || string(f.Fields) != `{"name":"New name"}` {
			t.Errorf("got %s", f.Text)
		}
		if !d.Closed(2 * time.Second) {
			t.Error("a connection with a dead token is open")
		}
	})
}
