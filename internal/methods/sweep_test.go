package methods_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// lossy takes every event and hands none on, and nobody can tell.
type lossy struct{ feed.Store }

func (lossy) AppendEvents(context.Context, []feed.Event) error { return nil }

func (lossy) EventsSince(context.Context, string) ([]feed.Event, string, error) {
	return nil, "1", nil
}

// wall is a store that can be out of reach.
type wall struct {
	testkit.Store
	down atomic.Bool
}

func (s *wall) MarksSince(ctx context.Context, after feed.Mark, max int, earlyOnly bool) ([]feed.Mark, error) {
	if s.down.Load() {
		return nil, dberr.Unavailable
	}
	return s.Store.MarksSince(ctx, after, max, earlyOnly)
}

func (s *wall) MarkNow(ctx context.Context) (uint64, error) {
	if s.down.Load() {
		return 0, dberr.Unavailable
	}
	return s.Store.MarkNow(ctx)
}

func (s *wall) UserByID(ctx context.Context, id string) (*user.User, error) {
	if s.down.Load() {
		return nil, dberr.Unavailable
	}
	return s.Store.UserByID(ctx, id)
}

func (s *wall) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	if s.down.Load() {
		return nil, dberr.Unavailable
	}
	return s.Store.UsersByIDs(ctx, ids)
}

// apart runs f with two nodes on one database whose events are all lost.
func apart(t *testing.T, f func(t *testing.T, n1, n2 *world, db *wall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		shared, key := testkit.OpenStore(t), secret.Generate()
		db := &wall{Store: shared} // that of the second node
		n1 := newNode(t, "n1", shared, key, lossy{shared})
		n2 := newNode(t, "n2", db, key, lossy{shared})
		n1.Unlimited()
		n2.Unlimited()
		go func() { _ = n2.Base.Run(t.Context()) }()
		time.Sleep(500 * time.Millisecond) // between two sweeps
		f(t, n1, n2, db)
	})
}

// enforced is how long what one node did may take on another that hears nothing.
const enforced = 2 * time.Second

// listens subscribes to what ends with the rights of an account.
func listens(t *testing.T, c *client, streams ...string) *client {
	t.Helper()
	for _, s := range streams {
		stream, event, _ := strings.Cut(s, " ")
		if fail := c.Sub(s, stream, event, false); fail != nil {
			t.Fatal(fail.Code())
		}
	}
	return c
}

// S061, S109: whatever a call ends of other sessions of an account on its own node, it
// ends on a node that no event reaches, within two seconds. The sessions of each node are
// one with the token of the caller and one with a token of its own.
func TestCallsEndSessionsWhereNoEventArrives(t *testing.T) {
	for name, scene := range endsOwn {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, n1, n2 *world, _ *wall) {
				n1.Set(settings.TwoFactorByEmail, false)
				n1.User("ada", "role=admin")
				n1.User("root", "role=admin")
				n2.Vars["ada"] = n1.Vars["ada"]
				c := n1.As("ada")
				if scene.pat {
					token := testkit.Unmarshal[string](t, must(n1, c, "personalAccessTokens:generateToken", map[string]any{"tokenName": "bot"}))
					c = n1.Connect()
					must(n1, c, "login", map[string]any{"resume": token})
					c.Token = token
				}
				here := map[string]*client{"its token": n1.Connect().Resume(c), "another token": n1.As("ada")}
				there := map[string]*client{"its token": n2.Connect().Resume(c), "another token": n2.As("ada")}
				params := scene.params(n1, c)
				time.Sleep(enforced)
				for which, c := range there { // what the preparations ended
					if c.Closed(time.Millisecond) {
						delete(here, which)
					}
				}
				if len(here) == 0 && name != "users:resetEmail2FA" { // whose preparations log the caller in anew
					t.Fatal("the preparations end all sessions")
				}
				must(n1, c, name, params...)
				for which, other := range here {
					ended := other.Closed(time.Millisecond)
					if got := there[which].Closed(enforced); got != ended {
						t.Errorf("a session with %s ended: %v; where no event arrives: %v", which, ended, got)
					}
				}
			})
		})
	}
}

// A change of an account that is made on one node without a call of the account's own,
// by an administrator, by time or by a factor's own operation, ends on the other what it
// is to end. "private" is what only an administrator may listen to.
func TestChangesCountWhereNoEventArrives(t *testing.T) {
	root := &user.User{ID: "root", Roles: []string{"admin"}}
	secret := func(s *user.Services) {
		s.TOTP = &user.TOTP{Enabled: true, Secret: "JBSWY3DPEHPK3PXP", PendingReset: user.PendingReset{ResetDue: time.Now().Add(time.Minute), ResetBy: "root"}}
	}
	apply := func(c user.Change) func(context.Context, *world, *user.User) error {
		return func(ctx context.Context, w *world, u *user.User) error {
			c.At = time.Now()
			_, err := w.Store.UpdateUser(ctx, u.ID, c)
			return err
		}
	}
	for name, c := range map[string]struct {
		before user.Change
		act    func(ctx context.Context, w *world, u *user.User) error
		ends   bool // the session; what is private ends always
	}{
		"its sessions are ended": {act: func(ctx context.Context, w *world, u *user.User) error {
			return w.Accounts.LogoutUser(ctx, &rpc.Peer{}, root, u.ID, "")
		}, ends: true},
		"it is deactivated": {act: func(ctx context.Context, w *world, u *user.User) error {
			return w.Accounts.SetActive(ctx, &rpc.Peer{}, root, u.ID, false)
		}, ends: true},
		"it is deleted": {act: func(ctx context.Context, w *world, u *user.User) error {
			return w.Accounts.DeleteUser(ctx, &rpc.Peer{}, root, u.ID)
		}, ends: true},
		"its role is taken": {act: func(ctx context.Context, w *world, u *user.User) error {
			_, err := w.Accounts.UpdateUser(ctx, &rpc.Peer{}, root, u.ID, accounts.UserChange{Roles: &[]string{"user"}})
			return err
		}},
		"its password is set": {act: func(ctx context.Context, w *world, u *user.User) error {
			password, err := accounts.Plain("quite another one")
			if err == nil {
				_, err = w.Accounts.UpdateUser(ctx, &rpc.Peer{}, root, u.ID, accounts.UserChange{Password: password})
			}
			return err
		}, ends: true},
		"an app is switched on": {act: func(ctx context.Context, w *world, u *user.User) error {
			return errors.Join(
				w.Store.SetPendingTOTP(ctx, u.ID, "pending", w.Vars["token"], u.ProofState(w.Vars["token"]), time.Now()),
				func() error {
					_, err := w.Store.EnableTOTP(ctx, u.ID, "pending", user.TOTP{Secret: "JBSWY3DPEHPK3PXP"}, w.Vars["token"], time.Now())
					return err
				}())
		}, ends: true},
		"an app is switched off": {before: user.Change{Factor: secret}, act: func(ctx context.Context, w *world, u *user.User) error {
			_, err := w.Store.DisableTOTP(ctx, u.ID, "JBSWY3DPEHPK3PXP", "", time.Now())
			return err
		}, ends: true},
		"a reset takes effect": {before: user.Change{Factor: secret}, act: func(ctx context.Context, w *world, u *user.User) error {
			_, err := w.Store.ApplyReset(ctx, u.ID, "totp", time.Now().Add(time.Hour))
			return err
		}, ends: true},
		"its sessions grow old": {act: func(ctx context.Context, w *world, _ *user.User) error {
			_, err := w.Store.SweepTokens(ctx, time.Now().Add(time.Hour), time.Time{}, time.Time{})
			return err
		}, ends: true},
		"its tokens go":      {act: apply(user.Change{RemoveTokens: true}), ends: true},
		"its role goes":      {act: apply(user.Change{Roles: &[]string{"user"}})},
		"it is switched off": {act: apply(user.Change{Active: new(bool)}), ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, n1, n2 *world, _ *wall) {
				n1.User("root", "role=admin")
				ada := n1.User("ada", "role=admin")
				if c.before.Factor != nil { // somebody is logged in who will not be asked
					n1.Set(settings.TwoFactorEnabled, false)
					time.Sleep(6 * time.Second)
				}
				keeper, there := n1.As("ada"), listens(t, n2.As("ada"), "stream-notify-logged private-settings-changed")
				idle := n2.As("ada") // that listens to nothing
				if c.before.Factor != nil {
					if err := apply(c.before)(t.Context(), n1, ada); err != nil {
						t.Fatal(err)
					}
				}
				ada, err := n1.Store.UserByID(t.Context(), ada.ID)
				if err != nil {
					t.Fatal(err)
				}
				n1.Vars["token"] = accounts.HashToken(keeper.Token)
				there.Other, idle.Other = nil, nil
				time.Sleep(enforced)
				if err := c.act(t.Context(), n1, ada); err != nil {
					t.Fatal(err)
				}
				if c.ends {
					for _, c := range []*client{there, idle} {
						if !c.Closed(enforced) {
							t.Error("a session is still open")
						}
					}
					return
				}
				if gone := ended(t, there, enforced); len(gone) != 1 {
					t.Errorf("ended: %v", gone)
				}
				if idle.Closed(time.Millisecond) {
					t.Error("a session that lost no token is closed")
				}
			})
		})
	}
}

// The list of protected calls, and the rules of who must have a factor, count within two
// seconds where no event arrives.
func TestSettingsCountWhereNoEventArrives(t *testing.T) {
	apart(t, func(t *testing.T, n1, n2 *world, _ *wall) {
		n1.User("ada", "role=admin")
		time.Sleep(6500 * time.Millisecond) // between two rounds of the settings
		c := listens(t, n2.As("ada"), "stream-notify-logged private-settings-changed")
		if _, fail := c.Call("private-settings/get"); fail != nil {
			t.Fatal(fail.Code())
		}
		n1.Set(settings.TwoFactorProtectedCalls, "private-settings/get")
		time.Sleep(enforced)
		if _, fail := c.Call("private-settings/get"); fail.Code() != "totp-required" {
			t.Errorf("a call that was protected on the other node: %q", fail.Code())
		}
		time.Sleep(600 * time.Millisecond)
		n1.Set(settings.TwoFactorMandatoryRoles, "admin")
		if gone := ended(t, c, enforced); len(gone) != 1 {
			t.Errorf("ended: %v", gone)
		}
	})
}

// A sweep that fails takes nothing for seen: what was revoked while the store was out of
// reach counts within two seconds of its return, however long that took, and so does an
// account that was deleted, of which nothing is left to be found.
func TestSweepsThatFail(t *testing.T) {
	root := &user.User{ID: "root", Roles: []string{"admin"}}
	for _, away := range []time.Duration{time.Second, time.Minute, time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			apart(t, func(t *testing.T, n1, n2 *world, db *wall) {
				n1.User("root", "role=admin")
				ada, bob, eve := n1.User("ada"), n1.User("bob"), n1.User("eve")
				c, d, other := n2.As("ada"), n2.As("bob"), n2.As("eve")
				_ = eve
				db.down.Store(true)
				if err := errors.Join(n1.Accounts.LogoutUser(t.Context(), &rpc.Peer{}, root, ada.ID, ""),
					n1.Accounts.DeleteUser(t.Context(), &rpc.Peer{}, root, bob.ID)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(away)
				if _, fail := c.Call("getServerInfo"); fail == nil {
					t.Error("a dead token opens a call")
				}
				db.down.Store(false)
				if !c.Closed(enforced) || !d.Closed(enforced) {
					t.Error("a session is still open after the store came back")
				}
				if other.Closed(time.Millisecond) {
					t.Error("somebody else's session is closed")
				}
			})
		})
	}
}

// A login that read its account before a change elsewhere that nobody tells of, and
// belongs to its connection after it, is refused or its connection is closed within two
// seconds, wherever between the two the sweep comes.
func TestSweepsMeetLogins(t *testing.T) {
	for how, end := range ends {
		for _, door := range []string{"password", "resume"} {
			for _, pause := range []time.Duration{0, 1500 * time.Millisecond} {
				t.Run(door+", "+how+", "+pause.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						shared, key := testkit.OpenStore(t), secret.Generate()
						db := &testkit.Watched{Store: shared}
						n1, n2 := newNode(t, "n1", shared, key, lossy{shared}), newNode(t, "n2", db, key, lossy{shared})
						go func() { _ = n2.Base.Run(t.Context()) }()
						ada := n1.User("ada")
						first := n1.As("ada")
						first.Close()
						time.Sleep(1500 * time.Millisecond)
						d := loginsOfAda(first.Token)[door]
						c := n2.Connect()
						db.Take()
						db.Then(d.op, func() {
							if err := end(n1, ada.ID); err != nil {
								t.Error(err)
							}
							time.Sleep(pause)
						})
						if _, fail := c.Call("login", d.params); fail == nil && !c.Closed(enforced) {
							t.Error("the connection stays")
						} else if fail == nil && pause > 0 {
							t.Error("a sweep came between, and the login was let in")
						}
					})
				})
			}
		}
	}
}

// A login on a connection that has subscriptions judges them anew before it is known to be
// one of the account: a right that is taken between the two ends them all the same.
func TestSweepsMeetSubscriptionsThatRunAgain(t *testing.T) {
	for _, pause := range []time.Duration{0, 1500 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, key := testkit.OpenStore(t), secret.Generate()
				db := &testkit.Watched{Store: shared}
				n1, n2 := newNode(t, "n1", shared, key, lossy{shared}), newNode(t, "n2", db, key, lossy{shared})
				go func() { _ = n2.Base.Run(t.Context()) }()
				n1.User("root", "role=admin")
				ada := n1.User("ada", "role=admin")
				first := n1.As("ada")
				first.Close()
				c := listens(t, n2.Connect().Resume(first), "stream-notify-logged private-settings-changed")
				time.Sleep(1500 * time.Millisecond)
				db.Take()
				db.Then("UserByToken", func() {
					n2.Hub.Heard().Hear(ada.ID) // so that the subscription reads the account
					db.Then("UserByID", func() {
						if _, err := n1.Store.UpdateUser(t.Context(), ada.ID, user.Change{Roles: &[]string{"user"}, At: time.Now()}); err != nil {
							t.Error(err)
						}
						time.Sleep(pause)
					})
				})
				if _, fail := c.Call("login", map[string]any{"resume": first.Token}); fail != nil {
					t.Fatal(fail.Code())
				}
				if gone := ended(t, c, enforced); len(gone) != 1 {
					t.Errorf("ended: %v, read %v", gone, db.Take())
				}
			})
		})
	}
}

// A personal access token that comes to its end is no change that anybody marks: its
// sessions end all the same, within two seconds, and no others.
func TestSessionsEndWithTheirToken(t *testing.T) {
	apart(t, func(t *testing.T, n1, n2 *world, db *wall) {
		ada := n1.User("ada")
		n2.Vars["ada"] = n1.Vars["ada"]
		c := n1.As("ada")
		token := testkit.Unmarshal[string](t, must(n1, c, "personalAccessTokens:generateToken", map[string]any{"tokenName": "bot"}))
		ends := time.Now().Add(30 * time.Second)
		changer := db.Store.(interface {
			ChangeUser(ctx context.Context, id string, do func(*user.User) error) (*user.User, error)
		})
		if _, err := changer.ChangeUser(t.Context(), ada.ID, func(u *user.User) error {
			for i := range u.Services.Resume.LoginTokens {
				if l := &u.Services.Resume.LoginTokens[i]; l.IsPAT() {
					l.ExpiresAt = ends
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		bot, session := n2.Connect(), n2.As("ada")
		must(n2, bot, "login", map[string]any{"resume": token})
		if bot.Closed(time.Until(ends) - time.Millisecond) {
			t.Fatal("closed before its end")
		}
		time.Sleep(2 * time.Millisecond)
		n2.Connect().Resume(session) // shows the account in the moment after
		if !bot.Closed(time.Second + enforced) {
			t.Error("the session of a token that has ended goes on")
		}
		if session.Closed(time.Second) {
			t.Error("another session was closed with it")
		}
	})
}
