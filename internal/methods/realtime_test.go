package methods_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ddp"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// args takes a stream event apart.
func argsOf(f frame) (event string, args []json.RawMessage) {
	var fields struct {
		EventName string            `json:"eventName"`
		Args      []json.RawMessage `json:"args"`
	}
	_ = json.Unmarshal(f.Fields, &fields)
	return fields.EventName, fields.Args
}

// The own account comes before the login's result and goes with the logout;
// nothing of the credentials is in it (docs/decisions.md 8.2).
func TestOwnDocument(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		u := w.User("ada", "email2fa")
		c := w.As("ada")
		f := c.Event()
		want := `{"msg":"added","collection":"users","id":"` + u.ID +
			`","fields":{"username":"ada","emails":[{"address":"ada@example.com","verified":true}],"name":"Ada","roles":["user"],"services":{"totp":{"enabled":false},"email2fa":{"enabled":true}}}}`
		got := strings.Replace(f.Text, `"status":"offline",`, "", 1)
		if got != want {
			t.Errorf("got  %s\nwant %s", f.Text, want)
		}
		if _, fail := c.Call("logout"); fail != nil {
			t.Fatal(fail.Code())
		}
		if f := c.Event(); f.Msg != "removed" || f.Collection != "users" || f.ID != u.ID {
			t.Errorf("after logout: %s", f.Text)
		}
	})
}

// A change of the own account reaches every session of it, and userData tells
// the dotted difference; hashes of tokens never leave.
func TestOwnChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		u := w.User("ada", "verified")
		w.User("bob")
		c1, other := w.As("ada"), w.As("bob")
		c2, ended := w.Connect().Resume(c1), w.As("ada") // one with the same token, one with its own
		for _, c := range []*client{c1, c2, other} {
			c.Other = nil // the own document
		}
		if fail := c2.Sub("s", "stream-notify-user", u.ID+"/userData", map[string]any{"useCollection": false, "args": []any{}}); fail != nil {
			t.Fatal(fail.Code())
		}
		_, fail := c1.Call("2fa:enable-email")
		if fail.Code() == "totp-required" {
			_, fail = c1.Call("2fa:enable-email", answer(testkit.DigestOf("ada"), "password"))
		}
		if fail != nil {
			t.Fatal(fail.Code())
		}
		const services = `{"services":{"totp":{"enabled":false},"email2fa":{"enabled":true}}}`
		if f := c1.Event(); f.Msg != "changed" || string(f.Fields) != services {
			t.Errorf("first session: %s", f.Text)
		}
		if f := other.Event(); f.Msg != "" {
			t.Errorf("somebody else: %s", f.Text)
		}
		if !ended.Closed(2 * time.Second) {
			t.Error("the other session is still open")
		}
		sawDocument, sawEvent := false, false
		for f := c2.Event(); f.Msg != ""; f = c2.Event() {
			if strings.Contains(f.Text, "hashedToken") {
				t.Errorf("a token leaves the server: %s", f.Text)
			}
			sawDocument = sawDocument || string(f.Fields) == services
			if event, args := argsOf(f); event == u.ID+"/userData" && len(args) == 1 {
				sawEvent = sawEvent || strings.Contains(string(args[0]), `"diff":{"services.email2fa":{"enabled":true,"changedAt":{"$date":`)
			}
		}
		if !sawDocument || !sawEvent {
			t.Errorf("the other session: document %v, event %v", sawDocument, sawEvent)
		}
	})
}

// S064: the streams of somebody else, and events that do not exist, are refused
// to everybody, and nothing of them is delivered.
func TestForeignStreams(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada")
		w.User("bob")
		for name, c := range map[string]*client{"bob": w.As("bob"), "stranger": w.Connect()} {
			c.Other = nil
			for i, event := range []string{
				ada.ID + "/userData", ada.ID + "/notification", ada.ID + "/", ada.ID, "/userData", "userData", "*", "__proto__",
				w.Vars["bob"] + "/made-up", w.Vars["bob"] + "/userData/" + ada.ID, ada.ID + "/userData/../x",
			} {
				fail := c.Sub(fmt.Sprint(i), "stream-notify-user", event, false)
				if fail.Code() != "not-allowed" {
					t.Errorf("%s, %q: %s", name, event, fail.Code())
				}
			}
			if fail := c.Sub("all", "stream-notify-all", "made-up", false); fail.Code() != "not-allowed" {
				t.Errorf("%s: %s", name, fail.Code())
			}
			if fail := c.Sub("none", "stream-notify-all", "", false); fail.Code() != "invalid-event-name" {
				t.Errorf("%s: %s", name, fail.Code())
			}
			for i, params := range [][]any{{}, {5}, {strings.Repeat("x", 300)}, {"public-settings-changed", 5}, {map[string]any{"$ne": 1}}} {
				if name == "bob" {
					if fail := c.Sub(fmt.Sprint("p", i), "stream-notify-user", params...); fail.Code() != "400" {
						t.Errorf("%v: %s", params, fail.Code())
					}
				}
			}
			for i := range 1000 {
				user.Changed.Publish(w.Hub, ada.ID, user.News{})
				if err := w.Hub.EmitHere("stream-notify-user", ada.ID+"/notification", i); err != nil {
					t.Fatal(err)
				}
			}
			if f := c.Event(); f.Msg != "" {
				t.Errorf("%s got %s", name, f.Text)
			}
		}
	})
}

// Known events that nothing here sends are ready and quiet; both ways of asking
// work, and useCollection gives collections their document.
func TestStreamForms(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		u := w.User("ada")
		c := w.As("ada")
		c.Other = nil
		for i, event := range []string{"message", "otr", "webrtc", "notification", "rooms-changed", "subscriptions-changed", "uiInteraction"} {
			if fail := c.Sub(fmt.Sprint(i), "stream-notify-user", u.ID+"/"+event, map[string]any{"useCollection": false,
				"args": []any{map[string]any{"visitorToken": false}}}); fail != nil {
				t.Errorf("%s: %s", event, fail.Code())
			}
		}
		if len(c.Other) != 0 {
			t.Errorf("not quiet: %s", c.Other[0].Text)
		}
		if fail := c.Sub("old", "stream-notify-all", "public-settings-changed", true); fail != nil {
			t.Fatal(fail.Code())
		}
		if f := c.Event(); f.Text != `{"msg":"added","collection":"stream-notify-all","id":"id","fields":{"eventName":"public-settings-changed"}}` {
			t.Errorf("%s", f.Text)
		}
		if fail := c.Sub("bare", "stream-notify-all", "roles-change"); fail != nil {
			t.Fatal(fail.Code())
		}
		if err := w.Hub.EmitHere("stream-notify-all", "roles-change", "x", map[string]any{"y": 1}); err != nil {
			t.Fatal(err)
		}
		if f := c.Event(); f.Text != `{"msg":"changed","collection":"stream-notify-all","id":"id","fields":{"eventName":"roles-change","args":["x",{"y":1}]}}` {
			t.Errorf("%s", f.Text)
		}
		c.Send(`{"msg":"unsub","id":"bare"}`)
		if f := c.Event(); f.Text != `{"msg":"nosub","id":"bare"}` {
			t.Errorf("%s", f.Text)
		}
		if w.Hub.Listening("stream-notify-all/roles-change") {
			t.Error("the topic outlives its last listener")
		}
	})
}

// Settings that change are pushed: public ones to everybody, all of them to
// those who may see them, and to nobody else.
func TestSettingsStreams(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("root", "role=admin")
		w.User("bob")
		stranger, bob, root := w.Connect(), w.As("bob"), w.As("root")
		bob.Other, root.Other = nil, nil
		for _, c := range []*client{stranger, bob, root} {
			if fail := c.Sub("a", "stream-notify-all", "public-settings-changed", false); fail != nil {
				t.Fatal(fail.Code())
			}
		}
		if fail := stranger.Sub("b", "stream-notify-logged", "private-settings-changed", false); fail.Code() != "not-allowed" {
			t.Errorf("stranger: %s", fail.Code())
		}
		if fail := bob.Sub("b", "stream-notify-logged", "private-settings-changed", false); fail.Code() != "not-allowed" {
			t.Errorf("bob: %s", fail.Code())
		}
		if fail := root.Sub("b", "stream-notify-logged", "private-settings-changed", false); fail != nil {
			t.Fatal(fail.Code())
		}
		w.Set(settings.TwoFactorMaxDelta, 2)
		private := `{"msg":"changed","collection":"stream-notify-logged","id":"id","fields":{"eventName":"private-settings-changed","args":["updated",{"_id":"Accounts_TwoFactorAuthentication_MaxDelta","value":2,"properties":{"type":"int","public":false},"enterprise":false,"requiredOnWizard":false}]}}`
		if f := root.Event(); f.Text != private {
			t.Errorf("root got %s", f.Text)
		}
		w.Set(settings.SiteName, "Pushed")
		public := `{"msg":"changed","collection":"stream-notify-all","id":"id","fields":{"eventName":"public-settings-changed","args":["updated",{"_id":"Site_Name","value":"Pushed","properties":{"type":"string","public":true},"enterprise":false,"requiredOnWizard":false}]}}`
		for name, c := range map[string]*client{"stranger": stranger, "bob": bob} {
			if f := c.Event(); f.Text != public {
				t.Errorf("%s got %s", name, f.Text)
			}
		}
		// Who loses the right loses the subscription (docs/security-tests.md S109).
		if err := w.Store.CreateUser(t.Context(), &user.User{ID: "second", CreatedAt: time.Now(), Roles: []string{"admin"}}); err != nil {
			t.Fatal(err) // the last administrator would stay one
		}
		roles := []string{"user"}
		if _, err := w.Store.UpdateUser(t.Context(), w.Vars["root"], user.Change{Roles: &roles, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		user.Changed.Publish(w.Hub, w.Vars["root"], user.News{})
		gone := false
		for f := root.Event(); f.Msg != ""; f = root.Event() {
			gone = gone || f.Msg == "nosub" && f.ID == "b" && f.Error.Code() == "not-allowed"
		}
		if !gone {
			t.Error("the subscription outlives the right")
		}
		w.Set(settings.TwoFactorMaxDelta, 0)
		if f := root.Event(); f.Msg != "" {
			t.Errorf("root got %s", f.Text)
		}
	})
}

// S063: switching users on one connection leaves nothing of the first one.
func TestUserSwitch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada, bob := w.User("ada"), w.User("bob")
		c := w.Connect()
		for i := range 25 {
			c.Login("ada")
			c.Other = nil
			if fail := c.Sub(fmt.Sprint("s", i), "stream-notify-user", ada.ID+"/userData", false); fail != nil {
				t.Fatal(fail.Code())
			}
			c.Other = nil
			c.Login("bob")
			removed, added, refused := -1, -1, false
			for n, f := range c.Other {
				switch {
				case f.Msg == "removed" && f.ID == ada.ID:
					removed = n
				case f.Msg == "added" && f.ID == bob.ID:
					added = n
				case f.Msg == "nosub" && f.ID == fmt.Sprint("s", i):
					refused = true
				}
			}
			if removed < 0 || added < 0 || removed > added || !refused {
				t.Fatalf("round %d: removed %d, added %d, refused %v", i, removed, added, refused)
			}
			c.Other = nil
			user.Changed.Publish(w.Hub, ada.ID, user.News{})
			if err := w.Hub.EmitHere("stream-notify-user", ada.ID+"/userData", "leak"); err != nil {
				t.Fatal(err)
			}
			if _, fail := c.Call("getServerTime"); fail != nil || len(c.Other) != 0 {
				t.Fatalf("round %d: bob got %v", i, c.Other)
			}
		}
	})
}

// S065: a login that lacks its code is nobody's.
func TestHalfLoggedIn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		u := w.User("ada", "email2fa")
		c := w.Connect()
		password := map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")}
		if _, fail := c.Call("login", password); fail.Code() != "totp-required" {
			t.Fatal(fail.Code())
		}
		if fail := c.Sub("1", "stream-notify-user", u.ID+"/userData", false); fail.Code() != "not-allowed" {
			t.Errorf("%s", fail.Code())
		}
		for _, m := range []string{"getServerInfo", "saveSettings", "2fa:disable-email"} {
			if _, fail := c.Call(m); fail.Code() != "error-not-authorized" {
				t.Errorf("%s: %s", m, fail.Code())
			}
		}
		if len(c.Other) != 0 {
			t.Errorf("got %s", c.Other[0].Text)
		}
	})
}

// Publications that clients make unasked (docs/wire/ddp.md D7).
func TestPublications(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c := w.Connect()
		if fail := c.Sub("1", "meteor.loginServiceConfiguration"); fail != nil || len(c.Other) != 0 {
			t.Errorf("%s %v", fail.Code(), c.Other)
		}
		if fail := c.Sub("2", "meteor_autoupdate_clientVersions", "some app"); fail != nil {
			t.Error(fail.Code())
		}
		if f := c.Event(); f.Msg != "" {
			t.Errorf("a client that names its app got %s", f.Text)
		}
		if fail := c.Sub("3", "meteor_autoupdate_clientVersions", nil); fail != nil || len(c.Other) != 0 {
			t.Errorf("ready comes before the documents: %s %v", fail.Code(), c.Other)
		}
		var got []string
		for f := c.Event(); f.Msg == "added"; f = c.Event() {
			got = append(got, f.ID)
		}
		if fmt.Sprint(got) != "[web.browser web.browser.legacy web.cordova version version-refreshable version-cordova]" {
			t.Errorf("%v", got)
		}
		if fail := c.Sub("4", "meteor_autoupdate_clientVersions", 5); fail.Code() != "400" {
			t.Error(fail.Code())
		}
		if fail := c.Sub("5", "nope"); fail == nil || fail.Message != "Subscription 'nope' not found [404]" {
			t.Errorf("%+v", fail)
		}
		if fail := c.Sub("6", "userData"); fail.Code() != "error-not-authorized" {
			t.Error(fail.Code())
		}
		a := w.As("ada")
		a.Other = nil
		for i, name := range []string{"userData", "activeUsers"} {
			if fail := a.Sub(fmt.Sprint(i), name); fail != nil || len(a.Other) != 0 {
				t.Errorf("%s: %s %v", name, fail.Code(), a.Other)
			}
		}
		if fail := a.Sub("roles", "roles"); fail != nil || len(a.Other) != 6 {
			t.Errorf("%s %v", fail.Code(), a.Other)
		}
		for _, f := range a.Other {
			room := f.ID == "owner" || f.ID == "moderator" || f.ID == "leader"
			if f.Collection != "rocketchat_roles" || strings.Contains(f.Text, `"scope":"Subscriptions"`) != room {
				t.Errorf("%s", f.Text)
			}
		}
	})
}

// S20: subscriptions are counted, streams four times as generously; what is run
// again after a login is not.
func TestSubscriptionLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ada")
		c := w.Connect()
		for i := range 10 {
			if fail := c.Sub(fmt.Sprint(i), "meteor.loginServiceConfiguration"); fail != nil {
				t.Fatalf("sub %d: %s", i+1, fail.Code())
			}
		}
		fail := c.Sub("10", "meteor.loginServiceConfiguration")
		var details struct {
			TimeToReset int64 `json:"timeToReset"`
		}
		if fail.Code() != "too-many-requests" || json.Unmarshal(fail.Details, &details) != nil || details.TimeToReset > 10_000 || details.TimeToReset <= 0 {
			t.Errorf("%+v", fail)
		}
		c.Login("ada") // runs ten subscriptions again
		for _, f := range c.Other {
			if f.Msg == "nosub" {
				t.Errorf("a re-run was limited: %s", f.Text)
			}
		}
		for i := range 40 {
			if fail := c.Sub(fmt.Sprint("s", i), "stream-notify-all", "public-settings-changed", false); fail != nil {
				t.Fatalf("stream %d: %s", i+1, fail.Code())
			}
		}
		if fail := c.Sub("s40", "stream-notify-all", "public-settings-changed", false); fail.Code() != "too-many-requests" {
			t.Errorf("%s", fail.Code())
		}
	})
}

// A login token that dies closes its connections, and only those (S061, docs/wire/ddp.md F2 A20).
func TestTokensRevoked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada")
		w.User("bob")
		c1, c2, bob := w.As("ada"), w.As("ada"), w.As("bob")
		var tokens []string
		w.Engine.Sessions(ada.ID, func(s *ddp.Session) bool {
			tokens = append(tokens, s.Login().Token)
			return true
		})
		if len(tokens) != 2 {
			t.Fatalf("%d sessions", len(tokens))
		}
		user.Changed.Publish(w.Hub, ada.ID, user.News{Ended: &user.EndedTokens{Hashes: tokens[:1]}})
		closed := 0
		for _, c := range []*client{c1, c2} {
			if c.Closed(2 * time.Second) {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%d connections closed, want 1", closed)
		}
		user.Changed.Publish(w.Hub, ada.ID, user.News{Ended: &user.EndedTokens{Kept: true}})
		synctest.Wait()
		w.Engine.Sessions(ada.ID, func(*ddp.Session) bool {
			t.Error("a session of ada is left")
			return true
		})
		if _, fail := bob.Call("getServerInfo"); fail != nil {
			t.Errorf("bob: %s", fail.Code())
		}
		// A token that vanishes from the database closes at the next news of the account.
		u, err := w.Store.UpdateUser(t.Context(), w.Vars["bob"], user.Change{RemoveTokens: true, At: time.Now()})
		if err != nil || len(u.Services.Resume.LoginTokens) != 0 {
			t.Fatal(u, err)
		}
		user.Changed.Publish(w.Hub, u.ID, user.News{})
		if !bob.Closed(2 * time.Second) {
			t.Error("bob's connection is still open")
		}
	})
}

// What nobody told the hub of has its effect within a minute all the same: a
// token or an account that was removed, or an account that was deactivated, in
// the database (S044, S109, docs/wire/ddp.md F2 A20). Everybody else stays.
func TestRechecks(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Base.Run(ctx) })
		defer running.Wait()
		defer stop()
		off := false
		for name, change := range map[string]func(id string) error{
			"token removed": func(id string) error {
				_, err := w.Store.UpdateUser(ctx, id, user.Change{RemoveTokens: true, At: time.Now()})
				return err
			},
			"deactivated": func(id string) error {
				_, err := w.Store.UpdateUser(ctx, id, user.Change{Active: &off, At: time.Now()})
				return err
			},
			"deleted": func(id string) error { return w.Store.DeleteUser(ctx, id, true) },
			"must change the password": func(id string) error { // as Rocket.Chat says it, beside this server
				db := w.Store.(interface {
					ChangeUser(context.Context, string, func(*user.User) error) (*user.User, error)
				})
				_, err := db.ChangeUser(ctx, id, func(u *user.User) error {
					u.RequirePasswordChange = true
					return nil
				})
				return err
			},
		} {
			name = strings.ReplaceAll(name, " ", "-")
			u := w.User(name)
			c, other := w.As(name), w.As(w.User("other-"+name).Username)
			if err := change(u.ID); err != nil {
				t.Fatal(err)
			}
			var quiet sync.WaitGroup
			quiet.Go(func() {
				if leaves(other, time.Minute) {
					t.Errorf("%s: somebody else's connection ended", name)
				}
			})
			if !leaves(c, time.Minute) {
				t.Errorf("%s: the connection is still open after a minute", name)
			}
			quiet.Wait()
		}
	})
}

// Accounts that cannot be read keep nobody else from being checked.
func TestUnreadableAccountsDoNotEndTheRound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Base.Run(ctx) })
		defer running.Wait()
		defer stop()
		var gone sync.WaitGroup
		defer gone.Wait()
		for i := range 120 {
			u := w.User(fmt.Sprint("u", i))
			c := w.As(u.Username)
			if i%2 == 0 {
				db := w.Store.(interface {
					Update(context.Context, func(*sqlite.Tx) error) error
				})
				err := db.Update(ctx, func(tx *sqlite.Tx) error { return tx.Exec(`UPDATE users SET doc = x'00' WHERE id = ?`, u.ID) })
				if err != nil {
					t.Fatal(err)
				}
				continue
			}
			if _, err := w.Store.UpdateUser(ctx, u.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			gone.Go(func() {
				if !leaves(c, 70*time.Second) {
					t.Errorf("%s is still connected", u.Username)
				}
			})
		}
	})
}

// A22: a connection that came in with a token that ends, ends with it, also when it
// calls nothing and only listens.
func TestA22OpenConnectionsEndWithTheirToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Base.Run(ctx) })
		defer running.Wait()
		defer stop()
		ada := w.User("ada")
		ends, err := w.Accounts.GenerateToken(ctx, &rpc.Peer{}, ada, "ends", false, accounts.TokenLimits{Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		c := w.Connect()
		if _, err := c.Call("login", map[string]string{"resume": ends}); err != nil {
			t.Fatal(err)
		}
		if leaves(c, 24*time.Hour-time.Minute) {
			t.Fatal("ended before its time")
		}
		if !leaves(c, 2*time.Minute) {
			t.Error("still open a minute after its end")
		}
	})
}

// leaves answers pings for a while and tells whether the server ended the connection.
func leaves(c *client, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		text, ok, code := c.Conn.Next(ctx.Done())
		switch {
		case !ok:
			return code != 0
		case strings.Contains(text, `"msg":"ping"`):
			c.Send(`{"msg":"pong"}`)
		}
	}
}

// A handler of events that panics keeps nobody from the news.
func TestEventHandlerPanics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		got := 0
		realtime.Listen(w.Hub, user.Changed, func(feed.Event, user.News) { panic("boom") })
		realtime.Listen(w.Hub, user.Changed, func(feed.Event, user.News) { got++ })
		user.Changed.Publish(w.Hub, "u", user.News{Fields: []string{user.FieldTokens}})
		if got != 1 || w.Logs.FilterMessage("event_handler_panicked").Len() != 1 {
			t.Errorf("delivered %d times", got)
		}
	})
}

// Joining, leaving, publishing and switching users at once; run with -race.
func TestHubRaces(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		u := w.User("ada")
		ctx, cancel := context.WithCancel(t.Context())
		var publishers sync.WaitGroup
		for range 2 {
			publishers.Go(func() {
				for i := 0; ctx.Err() == nil && i < 500; i++ {
					user.Changed.Publish(w.Hub, u.ID, user.News{})
					if err := w.Hub.EmitHere("stream-notify-all", "public-settings-changed", i); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		var clients sync.WaitGroup
		for range 4 {
			c := w.As("ada")
			clients.Go(func() {
				for i := range 20 {
					id := fmt.Sprint(i)
					if fail := c.Sub(id, "stream-notify-all", "public-settings-changed", false); fail != nil {
						t.Error(fail.Code())
					}
					if fail := c.Sub("u"+id, "stream-notify-user", u.ID+"/userData", false); fail != nil {
						t.Error(fail.Code())
					}
					c.Send(`{"msg":"unsub","id":%q}`, id)
					c.Send(`{"msg":"unsub","id":%q}`, "u"+id)
					if i%5 == 0 {
						c.Login("ada")
					}
				}
				c.Close()
			})
		}
		clients.Wait()
		cancel()
		publishers.Wait()
		if w.Hub.Listening("stream-notify-all/public-settings-changed") {
			t.Error("a topic is left")
		}
	})
}

// The engine's limit of the account's own reads: when the account cannot be
// read, nothing is pushed and nobody is thrown out.
func TestAccountNotReadable(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		u := w.User("ada")
		c := w.As("ada")
		c.Other = nil
		if err := w.Store.Close(); err != nil {
			t.Fatal(err)
		}
		user.Changed.Publish(w.Hub, u.ID, user.News{})
		if f := c.Event(); f.Msg != "" {
			t.Errorf("got %s", f.Text)
		}
		if w.Logs.FilterMessage("own_account_not_readable").Len() != 1 {
			t.Error("not logged")
		}
		if _, fail := c.Call("getServerInfo"); fail.Code() != "500" {
			t.Error(fail.Code())
		}
	})
}
