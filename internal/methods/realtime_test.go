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
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// args takes a stream event apart.
func (f frame) args() (event string, args []json.RawMessage) {
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
		u := w.user("ada", "email2fa")
		c := w.as("ada")
		f := c.event()
		want := `{"msg":"added","collection":"users","id":"` + u.ID +
			`","fields":{"username":"ada","emails":[{"address":"ada@example.com","verified":true}],"name":"Ada","roles":["user"],"services":{"totp":{"enabled":false},"email2fa":{"enabled":true}}}}`
		got := strings.Replace(f.text, `"status":"offline",`, "", 1)
		if got != want {
			t.Errorf("got  %s\nwant %s", f.text, want)
		}
		if _, fail := c.call("logout"); fail != nil {
			t.Fatal(fail.code())
		}
		if f := c.event(); f.Msg != "removed" || f.Collection != "users" || f.ID != u.ID {
			t.Errorf("after logout: %s", f.text)
		}
	})
}

// A change of the own account reaches every session of it, and userData tells
// the dotted difference; hashes of tokens never leave.
func TestOwnChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		u := w.user("ada", "verified")
		w.user("bob")
		c1, other := w.as("ada"), w.as("bob")
		c2, ended := w.connect().resume(c1), w.as("ada") // one with the same token, one with its own
		for _, c := range []*client{c1, c2, other} {
			c.other = nil // the own document
		}
		if fail := c2.sub("s", "stream-notify-user", u.ID+"/userData", map[string]any{"useCollection": false, "args": []any{}}); fail != nil {
			t.Fatal(fail.code())
		}
		_, fail := c1.call("2fa:enable-email")
		if fail.code() == "totp-required" {
			_, fail = c1.call("2fa:enable-email", answer(digestOf("ada"), "password"))
		}
		if fail != nil {
			t.Fatal(fail.code())
		}
		const services = `{"services":{"totp":{"enabled":false},"email2fa":{"enabled":true}}}`
		if f := c1.event(); f.Msg != "changed" || string(f.Fields) != services {
			t.Errorf("first session: %s", f.text)
		}
		if f := other.event(); f.Msg != "" {
			t.Errorf("somebody else: %s", f.text)
		}
		if !ended.closed(2 * time.Second) {
			t.Error("the other session is still open")
		}
		sawDocument, sawEvent := false, false
		for f := c2.event(); f.Msg != ""; f = c2.event() {
			if strings.Contains(f.text, "hashedToken") {
				t.Errorf("a token leaves the server: %s", f.text)
			}
			sawDocument = sawDocument || string(f.Fields) == services
			if event, args := f.args(); event == u.ID+"/userData" && len(args) == 1 {
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
		w.unlimited()
		ada := w.user("ada")
		w.user("bob")
		for name, c := range map[string]*client{"bob": w.as("bob"), "stranger": w.connect()} {
			c.other = nil
			for i, event := range []string{
				ada.ID + "/userData", ada.ID + "/notification", ada.ID + "/", ada.ID, "/userData", "userData", "*", "__proto__",
				w.vars["bob"] + "/made-up", w.vars["bob"] + "/userData/" + ada.ID, ada.ID + "/userData/../x",
			} {
				fail := c.sub(fmt.Sprint(i), "stream-notify-user", event, false)
				if fail.code() != "not-allowed" {
					t.Errorf("%s, %q: %s", name, event, fail.code())
				}
			}
			if fail := c.sub("all", "stream-notify-all", "made-up", false); fail.code() != "not-allowed" {
				t.Errorf("%s: %s", name, fail.code())
			}
			if fail := c.sub("none", "stream-notify-all", "", false); fail.code() != "invalid-event-name" {
				t.Errorf("%s: %s", name, fail.code())
			}
			for i, params := range [][]any{{}, {5}, {strings.Repeat("x", 300)}, {"public-settings-changed", 5}, {map[string]any{"$ne": 1}}} {
				if name == "bob" {
					if fail := c.sub(fmt.Sprint("p", i), "stream-notify-user", params...); fail.code() != "400" {
						t.Errorf("%v: %s", params, fail.code())
					}
				}
			}
			for i := range 1000 {
				user.Changed.Publish(w.hub, ada.ID, user.News{})
				if err := w.hub.EmitHere("stream-notify-user", ada.ID+"/notification", i); err != nil {
					t.Fatal(err)
				}
			}
			if f := c.event(); f.Msg != "" {
				t.Errorf("%s got %s", name, f.text)
			}
		}
	})
}

// Known events that nothing here sends are ready and quiet; both ways of asking
// work, and useCollection gives collections their document.
func TestStreamForms(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		u := w.user("ada")
		c := w.as("ada")
		c.other = nil
		for i, event := range []string{"message", "otr", "webrtc", "notification", "rooms-changed", "subscriptions-changed", "uiInteraction"} {
			if fail := c.sub(fmt.Sprint(i), "stream-notify-user", u.ID+"/"+event, map[string]any{"useCollection": false,
				"args": []any{map[string]any{"visitorToken": false}}}); fail != nil {
				t.Errorf("%s: %s", event, fail.code())
			}
		}
		if len(c.other) != 0 {
			t.Errorf("not quiet: %s", c.other[0].text)
		}
		if fail := c.sub("old", "stream-notify-all", "public-settings-changed", true); fail != nil {
			t.Fatal(fail.code())
		}
		if f := c.event(); f.text != `{"msg":"added","collection":"stream-notify-all","id":"id","fields":{"eventName":"public-settings-changed"}}` {
			t.Errorf("%s", f.text)
		}
		if fail := c.sub("bare", "stream-notify-all", "roles-change"); fail != nil {
			t.Fatal(fail.code())
		}
		if err := w.hub.EmitHere("stream-notify-all", "roles-change", "x", map[string]any{"y": 1}); err != nil {
			t.Fatal(err)
		}
		if f := c.event(); f.text != `{"msg":"changed","collection":"stream-notify-all","id":"id","fields":{"eventName":"roles-change","args":["x",{"y":1}]}}` {
			t.Errorf("%s", f.text)
		}
		c.send(`{"msg":"unsub","id":"bare"}`)
		if f := c.event(); f.text != `{"msg":"nosub","id":"bare"}` {
			t.Errorf("%s", f.text)
		}
		if w.hub.Listening("stream-notify-all/roles-change") {
			t.Error("the topic outlives its last listener")
		}
	})
}

// Settings that change are pushed: public ones to everybody, all of them to
// those who may see them, and to nobody else.
func TestSettingsStreams(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.user("root", "role=admin")
		w.user("bob")
		stranger, bob, root := w.connect(), w.as("bob"), w.as("root")
		bob.other, root.other = nil, nil
		for _, c := range []*client{stranger, bob, root} {
			if fail := c.sub("a", "stream-notify-all", "public-settings-changed", false); fail != nil {
				t.Fatal(fail.code())
			}
		}
		if fail := stranger.sub("b", "stream-notify-logged", "private-settings-changed", false); fail.code() != "not-allowed" {
			t.Errorf("stranger: %s", fail.code())
		}
		if fail := bob.sub("b", "stream-notify-logged", "private-settings-changed", false); fail.code() != "not-allowed" {
			t.Errorf("bob: %s", fail.code())
		}
		if fail := root.sub("b", "stream-notify-logged", "private-settings-changed", false); fail != nil {
			t.Fatal(fail.code())
		}
		w.set(settings.TwoFactorMaxDelta, 2)
		private := `{"msg":"changed","collection":"stream-notify-logged","id":"id","fields":{"eventName":"private-settings-changed","args":["updated",{"_id":"Accounts_TwoFactorAuthentication_MaxDelta","value":2,"properties":{"type":"int","public":false},"enterprise":false,"requiredOnWizard":false}]}}`
		if f := root.event(); f.text != private {
			t.Errorf("root got %s", f.text)
		}
		w.set(settings.SiteName, "Pushed")
		public := `{"msg":"changed","collection":"stream-notify-all","id":"id","fields":{"eventName":"public-settings-changed","args":["updated",{"_id":"Site_Name","value":"Pushed","properties":{"type":"string","public":true},"enterprise":false,"requiredOnWizard":false}]}}`
		for name, c := range map[string]*client{"stranger": stranger, "bob": bob} {
			if f := c.event(); f.text != public {
				t.Errorf("%s got %s", name, f.text)
			}
		}
		// Who loses the right loses the subscription (docs/security-tests.md S109).
		roles := []string{"user"}
		if _, err := w.store.UpdateUser(t.Context(), w.vars["root"], user.Change{Roles: &roles, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		user.Changed.Publish(w.hub, w.vars["root"], user.News{})
		gone := false
		for f := root.event(); f.Msg != ""; f = root.event() {
			gone = gone || f.Msg == "nosub" && f.ID == "b" && f.Error.code() == "not-allowed"
		}
		if !gone {
			t.Error("the subscription outlives the right")
		}
		w.set(settings.TwoFactorMaxDelta, 0)
		if f := root.event(); f.Msg != "" {
			t.Errorf("root got %s", f.text)
		}
	})
}

// S063: switching users on one connection leaves nothing of the first one.
func TestUserSwitch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		ada, bob := w.user("ada"), w.user("bob")
		c := w.connect()
		for i := range 25 {
			c.login("ada")
			c.other = nil
			if fail := c.sub(fmt.Sprint("s", i), "stream-notify-user", ada.ID+"/userData", false); fail != nil {
				t.Fatal(fail.code())
			}
			c.other = nil
			c.login("bob")
			removed, added, refused := -1, -1, false
			for n, f := range c.other {
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
			c.other = nil
			user.Changed.Publish(w.hub, ada.ID, user.News{})
			if err := w.hub.EmitHere("stream-notify-user", ada.ID+"/userData", "leak"); err != nil {
				t.Fatal(err)
			}
			if _, fail := c.call("getServerTime"); fail != nil || len(c.other) != 0 {
				t.Fatalf("round %d: bob got %v", i, c.other)
			}
		}
	})
}

// S065: a login that lacks its code is nobody's.
func TestHalfLoggedIn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		u := w.user("ada", "email2fa")
		c := w.connect()
		if _, fail := c.call("login", map[string]any{"user": map[string]any{"username": "ada"}, "password": passwordOf("ada")}); fail.code() != "totp-required" {
			t.Fatal(fail.code())
		}
		if fail := c.sub("1", "stream-notify-user", u.ID+"/userData", false); fail.code() != "not-allowed" {
			t.Errorf("%s", fail.code())
		}
		for _, m := range []string{"getServerInfo", "saveSettings", "2fa:disable-email"} {
			if _, fail := c.call(m); fail.code() != "error-not-authorized" {
				t.Errorf("%s: %s", m, fail.code())
			}
		}
		if len(c.other) != 0 {
			t.Errorf("got %s", c.other[0].text)
		}
	})
}

// Publications that clients make unasked (docs/wire/ddp.md D7).
func TestPublications(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.user("ada")
		c := w.connect()
		if fail := c.sub("1", "meteor.loginServiceConfiguration"); fail != nil || len(c.other) != 0 {
			t.Errorf("%s %v", fail.code(), c.other)
		}
		if fail := c.sub("2", "meteor_autoupdate_clientVersions", "some app"); fail != nil {
			t.Error(fail.code())
		}
		if f := c.event(); f.Msg != "" {
			t.Errorf("a client that names its app got %s", f.text)
		}
		if fail := c.sub("3", "meteor_autoupdate_clientVersions", nil); fail != nil || len(c.other) != 0 {
			t.Errorf("ready comes before the documents: %s %v", fail.code(), c.other)
		}
		var got []string
		for f := c.event(); f.Msg == "added"; f = c.event() {
			got = append(got, f.ID)
		}
		if fmt.Sprint(got) != "[web.browser web.browser.legacy web.cordova version version-refreshable version-cordova]" {
			t.Errorf("%v", got)
		}
		if fail := c.sub("4", "meteor_autoupdate_clientVersions", 5); fail.code() != "400" {
			t.Error(fail.code())
		}
		if fail := c.sub("5", "nope"); fail == nil || fail.Message != "Subscription 'nope' not found [404]" {
			t.Errorf("%+v", fail)
		}
		if fail := c.sub("6", "userData"); fail.code() != "error-not-authorized" {
			t.Error(fail.code())
		}
		a := w.as("ada")
		a.other = nil
		for i, name := range []string{"userData", "activeUsers"} {
			if fail := a.sub(fmt.Sprint(i), name); fail != nil || len(a.other) != 0 {
				t.Errorf("%s: %s %v", name, fail.code(), a.other)
			}
		}
		if fail := a.sub("roles", "roles"); fail != nil || len(a.other) != 5 {
			t.Errorf("%s %v", fail.code(), a.other)
		}
		for _, f := range a.other {
			room := f.ID == "owner" || f.ID == "moderator"
			if f.Collection != "rocketchat_roles" || strings.Contains(f.text, `"scope":"Subscriptions"`) != room {
				t.Errorf("%s", f.text)
			}
		}
	})
}

// S20: subscriptions are counted, streams four times as generously; what is run
// again after a login is not.
func TestSubscriptionLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.user("ada")
		c := w.connect()
		for i := range 10 {
			if fail := c.sub(fmt.Sprint(i), "meteor.loginServiceConfiguration"); fail != nil {
				t.Fatalf("sub %d: %s", i+1, fail.code())
			}
		}
		fail := c.sub("10", "meteor.loginServiceConfiguration")
		var details struct {
			TimeToReset int64 `json:"timeToReset"`
		}
		if fail.code() != "too-many-requests" || json.Unmarshal(fail.Details, &details) != nil || details.TimeToReset > 10_000 || details.TimeToReset <= 0 {
			t.Errorf("%+v", fail)
		}
		c.login("ada") // runs ten subscriptions again
		for _, f := range c.other {
			if f.Msg == "nosub" {
				t.Errorf("a re-run was limited: %s", f.text)
			}
		}
		for i := range 40 {
			if fail := c.sub(fmt.Sprint("s", i), "stream-notify-all", "public-settings-changed", false); fail != nil {
				t.Fatalf("stream %d: %s", i+1, fail.code())
			}
		}
		if fail := c.sub("s40", "stream-notify-all", "public-settings-changed", false); fail.code() != "too-many-requests" {
			t.Errorf("%s", fail.code())
		}
	})
}

// A login token that dies closes its connections, and only those (S061, docs/wire/ddp.md F2 A20).
func TestTokensRevoked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		ada := w.user("ada")
		w.user("bob")
		c1, c2, bob := w.as("ada"), w.as("ada"), w.as("bob")
		var tokens []string
		w.server.Sessions(ada.ID, func(s *ddp.Session) bool {
			tokens = append(tokens, s.Login().Token)
			return true
		})
		if len(tokens) != 2 {
			t.Fatalf("%d sessions", len(tokens))
		}
		user.Changed.Publish(w.hub, ada.ID, user.News{Ended: &user.EndedTokens{Hashes: tokens[:1]}})
		closed := 0
		for _, c := range []*client{c1, c2} {
			if c.closed(2 * time.Second) {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%d connections closed, want 1", closed)
		}
		user.Changed.Publish(w.hub, ada.ID, user.News{Ended: &user.EndedTokens{Kept: true}})
		synctest.Wait()
		w.server.Sessions(ada.ID, func(*ddp.Session) bool {
			t.Error("a session of ada is left")
			return true
		})
		if _, fail := bob.call("getServerInfo"); fail != nil {
			t.Errorf("bob: %s", fail.code())
		}
		// A token that vanishes from the database closes at the next news of the account.
		u, err := w.store.UpdateUser(t.Context(), w.vars["bob"], user.Change{RemoveTokens: true, At: time.Now()})
		if err != nil || len(u.Services.Resume.LoginTokens) != 0 {
			t.Fatal(u, err)
		}
		user.Changed.Publish(w.hub, u.ID, user.News{})
		if !bob.closed(2 * time.Second) {
			t.Error("bob's connection is still open")
		}
	})
}

// What nobody told the hub of has its effect within a minute all the same: a
// token or an account that was removed, or an account that was deactivated, in
// the database (S044, S109, docs/wire/ddp.md F2 A20). Everybody else stays.
func TestRechecks(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.base.Run(ctx) })
		defer running.Wait()
		defer stop()
		off := false
		for name, change := range map[string]func(id string) error{
			"token removed": func(id string) error {
				_, err := w.store.UpdateUser(ctx, id, user.Change{RemoveTokens: true, At: time.Now()})
				return err
			},
			"deactivated": func(id string) error {
				_, err := w.store.UpdateUser(ctx, id, user.Change{Active: &off, At: time.Now()})
				return err
			},
			"deleted": func(id string) error { return w.store.DeleteUser(ctx, id) },
		} {
			name = strings.ReplaceAll(name, " ", "-")
			u := w.user(name)
			c, other := w.as(name), w.as(w.user("other-"+name).Username)
			if err := change(u.ID); err != nil {
				t.Fatal(err)
			}
			var quiet sync.WaitGroup
			quiet.Go(func() {
				if other.ends(time.Minute) {
					t.Errorf("%s: somebody else's connection ended", name)
				}
			})
			if !c.ends(time.Minute) {
				t.Errorf("%s: the connection is still open after a minute", name)
			}
			quiet.Wait()
		}
	})
}

// A22: a connection that came in with a token that ends, ends with it, also when it
// calls nothing and only listens.
func TestA22OpenConnectionsEndWithTheirToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.base.Run(ctx) })
		defer running.Wait()
		defer stop()
		ada := w.user("ada")
		ends, err := w.accounts.GenerateToken(ctx, &rpc.Peer{}, ada, "ends", false, accounts.TokenLimits{Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		c := w.connect()
		if _, err := c.call("login", map[string]string{"resume": ends}); err != nil {
			t.Fatal(err)
		}
		if c.ends(24*time.Hour - time.Minute) {
			t.Fatal("ended before its time")
		}
		if !c.ends(2 * time.Minute) {
			t.Error("still open a minute after its end")
		}
	})
}

// ends answers pings for a while and tells whether the server ended the connection.
func (c *client) ends(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		text, ok, code := c.conn.Next(ctx.Done())
		switch {
		case !ok:
			return code != 0
		case strings.Contains(text, `"msg":"ping"`):
			c.send(`{"msg":"pong"}`)
		}
	}
}

// A handler of events that panics keeps nobody from the news.
func TestEventHandlerPanics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		got := 0
		realtime.Listen(w.hub, rooms.MembershipChanged, func(feed.Event, rooms.UserNews) { panic("boom") })
		realtime.Listen(w.hub, rooms.MembershipChanged, func(feed.Event, rooms.UserNews) { got++ })
		rooms.MembershipChanged.Publish(w.hub, "r", rooms.UserNews{Users: []string{"u"}})
		if got != 1 || w.logs.FilterMessage("event_handler_panicked").Len() != 1 {
			t.Errorf("delivered %d times", got)
		}
	})
}

// Joining, leaving, publishing and switching users at once; run with -race.
func TestHubRaces(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		u := w.user("ada")
		ctx, cancel := context.WithCancel(t.Context())
		var publishers sync.WaitGroup
		for range 2 {
			publishers.Go(func() {
				for i := 0; ctx.Err() == nil && i < 500; i++ {
					user.Changed.Publish(w.hub, u.ID, user.News{})
					if err := w.hub.EmitHere("stream-notify-all", "public-settings-changed", i); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		var clients sync.WaitGroup
		for range 4 {
			c := w.as("ada")
			clients.Go(func() {
				for i := range 20 {
					id := fmt.Sprint(i)
					if fail := c.sub(id, "stream-notify-all", "public-settings-changed", false); fail != nil {
						t.Error(fail.code())
					}
					if fail := c.sub("u"+id, "stream-notify-user", u.ID+"/userData", false); fail != nil {
						t.Error(fail.code())
					}
					c.send(`{"msg":"unsub","id":%q}`, id)
					c.send(`{"msg":"unsub","id":%q}`, "u"+id)
					if i%5 == 0 {
						c.login("ada")
					}
				}
				c.close()
			})
		}
		clients.Wait()
		cancel()
		publishers.Wait()
		if w.hub.Listening("stream-notify-all/public-settings-changed") {
			t.Error("a topic is left")
		}
	})
}

// The engine's limit of the account's own reads: when the account cannot be
// read, nothing is pushed and nobody is thrown out.
func TestAccountNotReadable(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		u := w.user("ada")
		c := w.as("ada")
		c.other = nil
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		user.Changed.Publish(w.hub, u.ID, user.News{})
		if f := c.event(); f.Msg != "" {
			t.Errorf("got %s", f.text)
		}
		if w.logs.FilterMessage("own_account_not_readable").Len() != 1 {
			t.Error("not logged")
		}
		if _, fail := c.call("getServerInfo"); fail.code() != "500" {
			t.Error(fail.code())
		}
	})
}
