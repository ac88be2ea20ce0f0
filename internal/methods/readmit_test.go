package methods_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// openToAll are the publications that somebody who must set up a factor keeps:
// what is public, and the own state.
var openToAll = []string{"meteor.loginServiceConfiguration", "meteor_autoupdate_clientVersions", "userData", "stream-notify-all", "stream-notify-user userData"}

// everything subscribes to every publication, and to every event of every
// stream, of the tables, and lists the subscriptions by id. What the account may
// not have is left out.
func everything(c *client, table *realtime.Publications, uid, room string) map[string]string {
	subs := map[string]string{}
	try := func(what, name string, params ...any) {
		id := c.NextID() // one in use is not answered
		if fail := c.Sub(id, name, params...); fail == nil {
			subs[id] = what
		}
	}
	for _, p := range table.List() {
		events := table.Events(p.Name)
		switch {
		case !strings.HasPrefix(p.Name, "stream-"):
			try(p.Name, p.Name)
		case strings.Contains(p.Name, "-room"):
			try(p.Name+" room", p.Name, room, false)
		}
		for _, e := range events {
			switch p.Name {
			case "stream-notify-user":
				try(p.Name+" "+e, p.Name, uid+"/"+e, false)
			case "stream-notify-room":
				try(p.Name+" "+e, p.Name, room+"/"+e, false)
			default:
				try(p.Name+" "+e, p.Name, e, false)
			}
		}
	}
	return subs
}

// A9: whatever makes a factor mandatory for somebody who has none that will do —
// the rule, a switch, the role, the loss of the factor — ends what they listen to
// on every node, over every publication and stream of the tables but what is open
// to all, with the named error; and it does not begin again. With the feed cut,
// the node finds out by itself.
func TestA9MandatoryFactorEndsWhatIsOpen(t *testing.T) {
	set := func(id string, v any) func(*testing.T, *world, *user.User) {
		return func(_ *testing.T, w *world, _ *user.User) { w.Set(id, v) }
	}
	update := func(change user.Change) func(*testing.T, *world, *user.User) {
		return func(t *testing.T, w *world, u *user.User) {
			change.At = time.Now()
			if _, err := w.Store.UpdateUser(t.Context(), u.ID, change); err != nil {
				t.Fatal(err)
			}
		}
	}
	admin := []string{"admin"}
	for name, c := range map[string]struct {
		traits []string
		before map[string]any
		change func(*testing.T, *world, *user.User)
	}{
		"the rule": {[]string{"role=admin"}, nil, set(settings.TwoFactorMandatoryRoles, "admin")},
		"a stronger rule": {[]string{"role=admin", "email2fa"}, map[string]any{settings.TwoFactorMandatoryRoles: "admin"},
			set(settings.TwoFactorMandatoryRoles, "admin:totp")},
		"a switch": {[]string{"role=admin", "email2fa"}, map[string]any{settings.TwoFactorMandatoryRoles: "admin"}, set(settings.TwoFactorByEmail, false)},
		"the main switch": {[]string{"role=admin"}, map[string]any{settings.TwoFactorEnabled: false}, func(_ *testing.T, w *world, _ *user.User) {
			w.Set(settings.TwoFactorEnabled, true)
			w.Set(settings.TwoFactorMandatoryRoles, "admin")
		}},
		"the role": {nil, map[string]any{settings.TwoFactorMandatoryRoles: "admin"}, func(t *testing.T, w *world, u *user.User) {
			if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, &user.User{ID: "root", Roles: admin}, u.ID, accounts.UserChange{Roles: &admin}); err != nil {
				t.Fatal(err)
			}
		}},
		"the role, by other tools": {nil, map[string]any{settings.TwoFactorMandatoryRoles: "admin"}, update(user.Change{Roles: &admin})},
		"the factor, by other tools": {[]string{"email2fa", "role=admin"}, map[string]any{settings.TwoFactorMandatoryRoles: "admin"},
			update(user.Change{Factor: user.SetEmail2FA(user.Email2FA{})})},
		"the address, by other tools": {[]string{"email2fa", "role=admin"}, map[string]any{settings.TwoFactorMandatoryRoles: "admin"},
			update(user.Change{Emails: &[]user.Email{{Address: "ada@example.com"}}})},
	} {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, feed cut %v", name, cut), func(t *testing.T) {
				pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
					ctx, stop := context.WithCancel(t.Context())
					var running sync.WaitGroup
					defer running.Wait()
					defer stop()
					running.Go(func() { _ = n2.Base.Run(ctx) })
					for id, v := range c.before {
						n1.Set(id, v)
					}
					time.Sleep(10 * time.Second)
					ada := n1.User("ada", c.traits...)
					n1.User("bob")
					n2.Vars = n1.Vars
					for _, m := range n1.Mails.Codes() {
						_ = n2.Mails.SendCode(ctx, m)
					}
					listener, other := n2.As("ada"), n2.As("bob")
					room := "GENERAL"
					subs, others := everything(listener, n2.Publications, ada.ID, room), everything(other, n2.Publications, n1.Vars["bob"], room)
					if len(subs) < 40 {
						t.Fatalf("only %d subscriptions", len(subs))
					}
					link.down.Store(cut)
					c.change(t, n1, ada)
					var quiet sync.WaitGroup
					quiet.Go(func() {
						if ended := ended(t, other, 70*time.Second); len(ended) > 0 {
							t.Errorf("%d of %d subscriptions of somebody else ended", len(ended), len(others))
						}
					})
					ended := ended(t, listener, 70*time.Second)
					quiet.Wait()
					for id, what := range subs {
						keeps := slices.Contains(openToAll, what) || slices.Contains(openToAll, strings.Fields(what)[0])
						want := "error-two-factor-setup-required"
						if keeps {
							want = ""
						}
						if ended[id] != want {
							t.Errorf("%s: ended with %q, want %q", what, ended[id], want)
						}
					}
					again := everything(listener, n2.Publications, ada.ID, room)
					for _, what := range again {
						if !slices.Contains(openToAll, what) && !slices.Contains(openToAll, strings.Fields(what)[0]) {
							t.Errorf("%s began again", what)
						}
					}
				})
			})
		}
	}
}

// ended collects the subscriptions that end within a while, with their errors.
func ended(t *testing.T, c *client, within time.Duration) map[string]string {
	t.Helper()
	out := map[string]string{}
	end := time.Now().Add(within)
	for _, f := range c.Other {
		if f.Msg == "nosub" {
			out[f.ID] = f.Error.Code()
		}
	}
	c.Other = nil
	for left := within; left > 0; left = time.Until(end) {
		began := time.Now()
		switch f := c.ReadWithin(min(left, 5*time.Second)); { // a ping begins the span anew
		case f.Msg == "nosub":
			out[f.ID] = f.Error.Code()
		case f.Msg == "" && time.Since(began) == 0:
			t.Error("the connection ended")
			return out
		}
	}
	return out
}
