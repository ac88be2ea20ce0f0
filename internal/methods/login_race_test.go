package methods_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// ends are the ways in which a token ends while its login runs.
var ends = map[string]func(w *world, id string) error{
	"its sessions are ended": func(w *world, id string) error {
		return w.Accounts.LogoutUser(w.T.Context(), &rpc.Peer{}, &user.User{ID: "root"}, id, "")
	},
	"it is deactivated": func(w *world, id string) error {
		return w.Accounts.SetActive(w.T.Context(), &rpc.Peer{}, &user.User{ID: "root", Roles: []string{"admin"}}, id, false)
	},
	"it is deleted": func(w *world, id string) error {
		return w.Accounts.DeleteUser(w.T.Context(), &rpc.Peer{}, &user.User{ID: "root", Roles: []string{"admin"}}, id)
	},
}

// loginsOfAda are logins of ada, and the operation of the store that proves the token of each.
func loginsOfAda(token string) map[string]struct {
	op     string
	params map[string]any
} {
	byName := map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")}
	return map[string]struct {
		op     string
		params map[string]any
	}{
		"password": {"AddToken", byName},
		"resume":   {"UserByToken", map[string]any{"resume": token}},
	}
}

// loggedIn counts the sessions of an account on that node.
func loggedIn(w *world, id string) (n int) {
	w.Engine.Sessions(id, func(*ddp.Session) bool { n++; return true })
	return n
}

// A token that ends between the one read of its account, or the change that made it,
// and the moment from which the connection is found by it leaves nobody logged in
// (docs/security-tests.md S061).
func TestTokenEndsWhileLoggingIn(t *testing.T) {
	for how, end := range ends {
		for _, door := range []string{"password", "resume"} {
			t.Run(door+", "+how, func(t *testing.T) {
				db := &testkit.Watched{Store: testkit.OpenStore(t)}
				onStore(t, db, func(t *testing.T, w *world) {
					ada := w.User("ada")
					first := w.As("ada")
					first.Close()
					d := loginsOfAda(first.Token)[door]
					c := w.Connect()
					db.Take()
					db.Then(d.op, func() {
						if err := end(w, ada.ID); err != nil {
							t.Error(err)
						}
						db.Take()
					})
					if _, fail := c.Call("login", d.params); fail == nil {
						t.Error("logged in with a dead token")
					}
					if ops := db.Take(); len(ops) == 0 || ops[0] != "UserByID" {
						t.Errorf("after the news the account was not read anew: %v", ops)
					}
					if n := loggedIn(w, ada.ID); n != 0 {
						t.Errorf("%d sessions are logged in", n)
					}
				})
			})
		}
	}
}

// The same when another node ends the token. Its news may come while the login runs,
// which is refused then, or after it, and then it ends the connection. While the node
// cannot hear the others, a login reads its account when the connection belongs to it;
// and where the feed fails in that very moment, the next round finds the connection.
func TestTokenEndsOnAnotherNodeWhileLoggingIn(t *testing.T) {
	for name, c := range map[string]struct {
		before func(link *cable) // the login
		within func(link *cable) // it, when the token has ended
		refuse bool
		after  time.Duration // what the connection is closed in
	}{
		"the news comes first": {within: func(*cable) { time.Sleep(time.Second) }, refuse: true},
		"the news comes last":  {after: 2 * time.Second},
		"the feed is cut":      {before: func(link *cable) { link.down.Store(true); time.Sleep(time.Second) }, refuse: true},
		"the feed is cut now":  {within: func(link *cable) { link.down.Store(true) }, after: time.Minute},
		"the feed is cut now, and comes again": {within: func(link *cable) {
			link.down.Store(true)
			time.Sleep(time.Second)
			link.down.Store(false)
		}, after: 2 * time.Second},
	} {
		for how, end := range ends {
			for _, door := range []string{"password", "resume"} {
				t.Run(door+", "+how+", "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						key, shared := secret.Generate(), testkit.OpenStore(t)
						link, db := &cable{Store: shared}, &testkit.Watched{Store: shared}
						n1, n2 := newNode(t, "n1", shared, key, link), newNode(t, "n2", db, key, link)
						go func() { _ = n2.Base.Run(t.Context()) }()
						ada := n1.User("ada")
						first := n1.As("ada")
						first.Close()
						time.Sleep(2 * time.Second)
						d := loginsOfAda(first.Token)[door]
						conn := n2.Connect()
						if c.before != nil {
							c.before(link)
						}
						db.Take()
						db.Then(d.op, func() {
							if err := end(n1, ada.ID); err != nil {
								t.Error(err)
							}
							if c.within != nil {
								c.within(link)
							}
						})
						_, fail := conn.Call("login", d.params)
						switch {
						case c.refuse && fail == nil:
							t.Error("logged in with a dead token")
						case c.refuse:
							if n := loggedIn(n2, ada.ID); n != 0 {
								t.Errorf("%d sessions are logged in", n)
							}
						case fail == nil && !leaves(conn, c.after):
							t.Error("the connection stays")
						}
					})
				})
			}
		}
	}
}

// A login binds and shows what is so when the connection belongs to it: a new name that
// somebody gave the account meanwhile is in the document.
func TestLoginShowsWhatChangedMeanwhile(t *testing.T) {
	for _, door := range []string{"password", "resume"} {
		t.Run(door, func(t *testing.T) {
			db := &testkit.Watched{Store: testkit.OpenStore(t)}
			onStore(t, db, func(t *testing.T, w *world) {
				ada := w.User("ada")
				first := w.As("ada")
				first.Close()
				d := loginsOfAda(first.Token)[door]
				c := w.Connect()
				name := "Countess"
				db.Take()
				db.Then(d.op, func() {
					if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, &user.User{ID: "root", Roles: []string{"admin"}}, ada.ID,
						accounts.UserChange{Name: &name}); err != nil {
						t.Error(err)
					}
				})
				c.Must("login", d.params)
				if len(c.Other) != 1 || !strings.Contains(c.Other[0].Text, `"name":"Countess"`) {
					t.Errorf("shown %v", c.Other)
				}
			})
		})
	}
}

// A read of the account that runs for somebody else and is older than the login's does
// not follow it: what the session is shown last is the newest.
func TestLoginIsNotShownAnOlderRead(t *testing.T) {
	db := &testkit.Watched{Store: testkit.OpenStore(t)}
	onStore(t, db, func(t *testing.T, w *world) {
		ada := w.User("ada")
		first := w.As("ada")
		c := w.Connect()
		reading, release := make(chan struct{}), make(chan struct{})
		db.Then("UserByID", func() {
			close(reading)
			<-release
		})
		go user.Changed.Publish(w.Hub, ada.ID, user.News{})
		<-reading
		name := "Countess"
		if _, err := db.Store.UpdateUser(t.Context(), ada.ID, user.Change{Name: &name, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		c.Send(`{"msg":"method","id":"in","method":"login","params":[{"resume":%q}]}`, first.Token)
		synctest.Wait()
		close(release)
		if _, fail := c.Result("in"); fail != nil {
			t.Fatal(fail.Code())
		}
		for f := c.ReadWithin(time.Second); f.Msg != ""; f = c.ReadWithin(time.Second) {
			c.Other = append(c.Other, f)
		}
		if n := len(c.Other); n == 0 || !strings.Contains(c.Other[n-1].Text, `"name":"Countess"`) {
			t.Errorf("shown %v", c.Other)
		}
	})
}

// What another program ends in the database in that moment, and tells nobody, is found
// as at any other moment: by the next call, and by the round that reads the accounts
// of whoever is logged in (docs/security-tests.md S109).
func TestTokenEndsByOtherToolsWhileLoggingIn(t *testing.T) {
	db := &testkit.Watched{Store: testkit.OpenStore(t)}
	onStore(t, db, func(t *testing.T, w *world) {
		go func() { _ = w.Base.Run(t.Context()) }()
		ada := w.User("ada")
		c := w.Connect()
		db.Then("AddToken", func() {
			if _, err := db.Store.UpdateUser(t.Context(), ada.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
				t.Error(err)
			}
		})
		c.Login("ada")
		c.Refused("error-not-authorized", "getServerInfo")
		if !leaves(c, time.Minute) {
			t.Error("the connection is still open after a minute")
		}
	})
}

// renewed sets a password at the moment at which a reset that is due takes effect.
type renewed struct {
	testkit.Store
	hash string
}

func (r *renewed) ApplyReset(ctx context.Context, id, factor string, now time.Time) (*user.User, error) {
	if _, err := r.UpdateUser(ctx, id, user.Change{Bcrypt: &r.hash, At: now}); err != nil {
		return nil, err
	}
	return r.Store.ApplyReset(ctx, id, factor, now)
}

// A4: the password that a login proved is the one that the account has when its factors
// were looked at, also when that look carried a reset out.
func TestA4LoginWhileAResetTakesEffect(t *testing.T) {
	for _, set := range []bool{true, false} {
		db := &renewed{Store: testkit.OpenStore(t)}
		onStore(t, db, func(t *testing.T, w *world) {
			root, bob := w.User("root", "role=admin"), w.User("bob", "verified")
			if db.hash = bob.PasswordHash(); set {
				db.hash = root.PasswordHash()
			}
			_, err := db.UpdateUser(t.Context(), bob.ID, user.Change{At: time.Now(), Factor: func(s *user.Services) {
				s.TOTP = &user.TOTP{Enabled: true, Secret: "JBSWY3DPEHPK3PXP", PendingReset: user.PendingReset{ResetDue: time.Now().Add(time.Hour), ResetBy: root.ID}}
			}})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			_, fail := w.Connect().Call("login", map[string]any{"user": map[string]any{"username": "bob"}, "password": testkit.PasswordOf("bob")})
			if (fail.Code() == "error-two-factor-changed") != set || !set && fail != nil {
				t.Errorf("set anew %v: %q", set, fail.Code())
			}
		})
	}
}
