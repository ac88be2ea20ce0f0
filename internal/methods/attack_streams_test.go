package methods_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// A23: who loses a right while a subscription begins does not keep what it opens:
// every event of every stream that an administrator hears and others do not, with the
// role taken before the subscription, after each read of the account that beginning it
// takes, and after it began.
func TestA23RightsLostWhileSubscribing(t *testing.T) {
	db := &testkit.Watched{Store: testkit.OpenStore(t)}
	onStore(t, db, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("root", "role=admin")
		w.User("plain")
		cells := 0
		for _, p := range w.Publications.List() {
			for _, event := range w.Publications.Events(p.Name) {
				if !ofOffice(w, p.Name, event) {
					continue
				}
				for moment := 0; ; moment++ {
					name := fmt.Sprintf("eve%d", cells)
					u := w.User(name, "role=admin")
					c := w.As(name)
					demote := func() {
						roles := []string{"user"}
						if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, u, u.ID, accounts.UserChange{Roles: &roles}); err != nil {
							t.Error(err)
						}
					}
					openOutbox(c, p.Name, event)
					taken := demotedAfter(db, moment, demote)
					fail := c.Subscribe(p.Name, event)
					inTime := taken()
					if !inTime {
						demote()
					}
					cells++
					if id := p.Name + " " + event; fail == nil && !stopped(c, id) {
						t.Errorf("%s/%s goes on for somebody who lost the role after read %d", p.Name, event, moment)
					}
					c.Close()
					if !inTime {
						break
					}
				}
			}
		}
		if cells < 10 {
			t.Errorf("only %d moments were tried", cells)
		}
	})
}

// ofOffice tells whether an administrator hears an event and others do not.
func ofOffice(w *world, stream, event string) bool {
	w.T.Helper()
	admin, plain := w.As("root"), w.As("plain")
	defer admin.Close()
	defer plain.Close()
	openOutbox(admin, stream, event)
	return admin.Subscribe(stream, event) == nil && plain.Subscribe(stream, event) != nil
}

// openOutbox gives the proof that the event of mails wants on its connection.
func openOutbox(c *client, stream, event string) {
	c.World.T.Helper()
	if stream == "stream-server" && event == "outbox" {
		c.Must("outbox:list", map[string]any{}, answer(testkit.DigestOf(c.Name), "password"))
	}
}

// demotedAfter has demote run after that many reads of accounts, the first being 0.
// What it returns tells whether it did.
func demotedAfter(db *testkit.Watched, reads int, demote func()) (taken func() bool) {
	done := false
	var next func()
	next = func() {
		if reads > 0 {
			reads--
			db.Then("UserByID", next)
			return
		}
		done = true
		demote()
	}
	db.Then("UserByID", next)
	return func() bool { db.Take(); return done }
}

// stopped tells whether the server ended a subscription.
func stopped(c *client, id string) bool {
	c.Must("getServerInfo") // what was sent before it is here
	return slices.ContainsFunc(c.Other, func(f frame) bool { return f.Msg == "nosub" && f.ID == id })
}

// A23: what administrators hear reaches nobody else, whatever is asked for: every event of
// every stream, asked for by nobody, an ordinary account, a program, a token, and one who
// was an administrator on the same connection, also under the ids of others.
func TestA23NobodyElseHearsOfOffice(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		root := w.User("root", "role=admin")
		w.User("plain")
		w.User("robot", "role=bot")
		was := w.User("was", "role=admin")
		token, err := w.Accounts.GenerateToken(t.Context(), &rpc.Peer{}, w.User("tokened"), "ci", true)
		if err != nil {
			t.Fatal(err)
		}
		listeners := map[string]*client{"nobody": w.Connect(), "an account": w.As("plain"), "a program": w.As("robot"), "one who was": w.As("was"),
			"a token": w.Connect()}
		listeners["a token"].Must("login", map[string]any{"resume": token})
		listeners["one who was"].Must("outbox:list", map[string]any{}, answer(testkit.DigestOf("was"), "password"))
		admin := w.As("root")
		admin.Must("outbox:list", map[string]any{}, answer(testkit.DigestOf("root"), "password"))
		ask := func(c *client) {
			for _, p := range w.Publications.List() {
				for _, event := range append(w.Publications.Events(p.Name), root.ID+"/security", root.ID+"/userData", "*", "__my_messages__") {
					c.Sub(c.NextID(), p.Name, event, map[string]any{"useCollection": false, "args": []any{}}) // a refusal is an answer, too
				}
			}
		}
		ask(listeners["one who was"]) // what was open closes
		if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, root, was.ID, accounts.UserChange{Roles: &[]string{"user"}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range listeners {
			c.Events()
			ask(c)
		}
		ask(admin)
		for _, c := range listeners {
			c.Events()
		}
		// Something of each kind happens.
		w.Set(settings.FromEmail, "marked@example.org")
		w.As("root").Close()
		if err := w.FlushTrail(); err != nil {
			t.Fatal(err)
		}
		admin.Must("setRealName", "Another name", answer(testkit.DigestOf("root"), "password"))
		time.Sleep(5 * time.Second)
		office := map[string]bool{}
		for _, e := range admin.Events() {
			office[e.Collection+"/"+e.Event] = true
		}
		for _, want := range []string{"stream-server/status", "stream-server/users", "stream-notify-logged/private-settings-changed",
			"stream-notify-user/" + root.ID + "/security"} {
			if !office[want] {
				t.Errorf("the administrator does not hear %s: %v", want, office)
			}
		}
		if testkit.WithTrail && !office["stream-audit/new"] {
			t.Error("the administrator does not hear of the audit")
		}
		for name, c := range listeners {
			for _, e := range c.Events() {
				key := e.Collection + "/" + e.Event
				if strings.HasPrefix(key, "stream-server/") || strings.HasPrefix(key, "stream-audit/") || strings.Contains(key, "private") ||
					strings.Contains(key, root.ID) || strings.Contains(fmt.Sprintf("%s", e.Args), "marked@example.org") {
					t.Errorf("%s hears %s: %s", name, key, e.Args)
				}
			}
		}
	})
}
