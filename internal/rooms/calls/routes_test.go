package calls_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

func apiWorld(t *testing.T, overrides map[string]string) (w *testkit.API, ann, bob, cid *testkit.Caller) {
	t.Helper()
	w = testkit.NewAPI(t, testkit.Options{Overrides: overrides})
	for _, name := range []string{"ann", "bob", "cid"} {
		w.Account(name)
	}
	return w, w.Login("ann"), w.Login("bob"), w.Login("cid")
}

// What a chat widget asks for, in its order (docs/wire/clients.md 4).
func TestWidget(t *testing.T) {
	_, ann, bob, _ := apiWorld(t, nil)
	room := ann.OK("GET", "rooms.info?roomId=GENERAL", nil).Doc("room")
	if room["t"] != "c" || room["ro"] != false || room["name"] != "general" || room["usersCount"] != 3.0 {
		t.Errorf("%v", room)
	}
	ann.Refused("error-room-not-found", "GET", "rooms.info?roomId=none", nil)
	ann.Refused("error-roomid-param-not-provided", "GET", "rooms.info", nil)
	if a := ann.OK("GET", "settings/Message_MaxAllowedSize", nil); a.Body["value"] != 5000.0 {
		t.Errorf("%s", a.Raw)
	}
	ann.OK("GET", "commands.list", nil)
	if a := ann.OK("GET", "channels.members?roomId=GENERAL", nil); a.Column("members", "username") != "ann bob cid" {
		t.Errorf("%s", a.Raw)
	}
	m := ann.OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "GENERAL", "msg": "hi @bob :smile:",
		"_id": "abcdefgh12345"}}).Doc("message")
	if m["_id"] != "abcdefgh12345" || m["md"] == nil || m["u"].(map[string]any)["username"] != "ann" {
		t.Errorf("%v", m)
	}
	if _, err := time.Parse(time.RFC3339, m["ts"].(string)); err != nil {
		t.Error(err)
	}
	a := bob.OK("GET", "channels.messages?roomId=GENERAL&query="+url.QueryEscape(`{"u._id":{"$ne":""}}`), nil)
	if a.Column("messages", "msg") == "" || !strings.HasPrefix(a.Column("messages", "msg"), "hi @bob :smile:") || a.Body["total"] != 4.0 {
		t.Errorf("%s", a.Raw)
	}
	ann.OK("GET", "channels.roles?roomId=GENERAL", nil)
	ann.OK("GET", "permissions.listAll", nil)
	bob.OK("POST", "chat.react", map[string]any{"messageId": m["_id"], "emoji": ":+1:"})
	bob.OK("POST", "chat.starMessage", map[string]any{"messageId": m["_id"]})
	bob.OK("POST", "chat.unStarMessage", map[string]any{"messageId": m["_id"]})
	got := ann.OK("GET", "chat.getMessage?msgId=abcdefgh12345", nil).Doc("message")
	if got["reactions"].(map[string]any)[":+1:"] == nil || got["starred"] != nil {
		t.Errorf("%v", got)
	}
	ann.Refused("error-message-not-found", "GET", "chat.getMessage?msgId=none", nil)
	if m := ann.OK("POST", "chat.update", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345",
		"text": "edited"}).Doc("message"); m["msg"] != "edited" || m["editedBy"] == nil {
		t.Errorf("%v", m)
	}
	bob.Refused("error-action-not-allowed", "POST", "chat.update", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345", "text": "x"})
	bob.Refused("error-action-not-allowed", "POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345"})
	ann.Refused("error-action-not-allowed", "POST", "chat.delete", map[string]any{"roomId": "other", "msgId": "abcdefgh12345"})
	gone := ann.OK("POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345"})
	if ms, err := strconv.ParseInt(gone.Body["ts"].(string), 10, 64); err != nil || time.Since(time.UnixMilli(ms)).Abs() > time.Minute {
		t.Errorf("%s: not the time of the deletion in milliseconds", gone.Raw)
	}
}

func TestRoomRoutes(t *testing.T) {
	w, ann, bob, cid := apiWorld(t, nil)
	team := ann.OK("POST", "channels.create", map[string]any{"name": "team", "members": []string{"bob"}}).Doc("channel")
	id := team["_id"].(string)
	ann.Refused("error-duplicate-channel-name", "POST", "channels.create", map[string]any{"name": "Team"})
	ann.Refused("error-invalid-room-name", "POST", "channels.create", map[string]any{"name": "a b"})
	group := ann.OK("POST", "groups.create", map[string]any{"name": "secret", "members": []string{"bob"}}).Doc("group")
	secret := group["_id"].(string)
	if a := cid.OK("GET", "channels.list?count=1&offset=1", nil); a.Column("channels", "name") != "team" || a.Body["total"] != 2.0 || a.Body["offset"] != 1.0 {
		t.Errorf("%s", a.Raw)
	}
	if a := cid.OK("GET", "channels.list.joined", nil); a.Column("channels", "name") != "general" {
		t.Errorf("%s", a.Raw)
	}
	if a := bob.OK("GET", "groups.list", nil); a.Column("groups", "name") != "secret" {
		t.Errorf("%s", a.Raw)
	}
	if a := cid.OK("GET", "groups.list", nil); a.Body["total"] != 0.0 {
		t.Errorf("%s", a.Raw)
	}
	// Strangers see channels and nothing of groups.
	cid.OK("GET", "channels.info?roomName=team", nil)
	for _, path := range []string{"groups.info?roomId=" + secret, "groups.info?roomName=secret", "channels.info?roomId=" + secret, "groups.messages?roomId=" +
		secret, "groups.members?roomName=secret",
		"channels.messages?roomId=" + id, "channels.history?roomId=" + id, "chat.search?roomId=" + secret + "&searchText=x", "chat.syncMessages?roomId=" + secret +
			"&lastUpdate=2020-01-01T00:00:00Z",
		"chat.getPinnedMessages?roomId=" + secret, "rooms.info?roomId=" + secret, "groups.roles?roomId=" + secret} {
		cid.Refused("error-room-not-found", "GET", path, nil)
	}
	cid.Refused("not-authorized", "GET", "channels.members?roomId="+id, nil)
	if room := cid.OK("POST", "channels.join", map[string]any{"roomId": id}).Doc("channel"); room["usersCount"] != 3.0 {
		t.Errorf("%v", room)
	}
	if room := cid.OK("POST", "channels.leave", map[string]any{"roomName": "team"}).Doc("channel"); room["usersCount"] != 2.0 || room["lastMessage"] != nil {
		t.Errorf("%v", room)
	}
	ann.Refused("error-you-are-last-owner", "POST", "channels.leave", map[string]any{"roomId": id})
	ann.OK("POST", "channels.invite", map[string]any{"roomId": id, "userId": cid.ID})
	ann.OK("POST", "groups.invite", map[string]any{"roomId": secret, "username": "cid"})
	ann.OK("POST", "groups.invite", map[string]any{"roomId": secret, "userIds": []string{cid.ID, bob.ID}})
	bob.Refused("error-not-allowed", "POST", "groups.kick", map[string]any{"roomId": secret, "userId": cid.ID})
	ann.OK("POST", "groups.kick", map[string]any{"roomId": secret, "userId": cid.ID})
	ann.Refused("error-user-not-in-room", "POST", "groups.kick", map[string]any{"roomId": secret, "username": "cid"})
	ann.Refused("error-invalid-user", "POST", "groups.kick", map[string]any{"roomId": secret, "username": "nobody"})
	ann.Refused("error-user-param-not-provided", "POST", "groups.kick", map[string]any{"roomId": secret})
	ann.OK("POST", "channels.addModerator", map[string]any{"roomId": id, "userId": bob.ID})
	ann.OK("POST", "channels.removeModerator", map[string]any{"roomId": id, "userId": bob.ID})
	ann.OK("POST", "channels.addOwner", map[string]any{"roomId": id, "userId": bob.ID})
	if a := ann.OK("GET", "channels.roles?roomId="+id, nil); len(a.Body["roles"].([]any)) != 2 {
		t.Errorf("%s", a.Raw)
	}
	ann.OK("POST", "channels.removeOwner", map[string]any{"roomId": id, "userId": bob.ID})

	// Direct rooms, under both names.
	direct := ann.OK("POST", "im.create", map[string]any{"username": "bob"}).Doc("room")
	if again := bob.OK("POST", "dm.create", map[string]any{"usernames": "ann"}).Doc("room"); again["_id"] != direct["_id"] || direct["rid"] != direct["_id"] {
		t.Errorf("%v %v", direct, again)
	}
	if a := bob.OK("GET", "im.list", nil); a.Column("ims", "_id") != direct["_id"] {
		t.Errorf("%s", a.Raw)
	}
	ann.OK("POST", "chat.postMessage", map[string]any{"channel": "@bob", "text": "psst"})
	if a := bob.OK("GET", "im.messages?username=ann", nil); a.Column("messages", "msg") != "psst" {
		t.Errorf("%s", a.Raw)
	}
	if a := bob.OK("GET", "im.counters?roomId="+direct["_id"].(string), nil); a.Body["unreads"] != 1.0 || a.Body["joined"] != true {
		t.Errorf("%s", a.Raw)
	}
	bob.OK("POST", "subscriptions.read", map[string]any{"rid": direct["_id"]})
	sub := bob.OK("GET", "subscriptions.getOne?roomId="+direct["_id"].(string), nil).Doc("subscription")
	if sub["unread"] != 0.0 || sub["name"] != "ann" {
		t.Errorf("%v", sub)
	}
	if a := cid.OK("GET", "subscriptions.getOne?roomId="+secret, nil); a.Body["subscription"] != nil {
		t.Errorf("%s", a.Raw)
	}
	bob.OK("POST", "im.close", map[string]any{"roomId": direct["_id"]})
	bob.OK("POST", "im.open", map[string]any{"roomId": direct["_id"]})
	bob.OK("POST", "rooms.favorite", map[string]any{"roomId": direct["_id"], "favorite": true})

	// Changes since a moment.
	if a := bob.OK("GET", "rooms.get", nil); len(a.Body["update"].([]any)) != 4 || len(a.Body["remove"].([]any)) != 0 {
		t.Errorf("%s", a.Raw)
	}
	a := cid.OK("GET", "subscriptions.get?updatedSince="+url.QueryEscape(time.Now().Add(-time.Hour).Format(time.RFC3339)), nil)
	if len(a.Body["remove"].([]any)) != 2 {
		t.Errorf("%s", a.Raw)
	}
	cid.Refused("error-invalid-params", "GET", "rooms.get?updatedSince=yesterday", nil)
	if rooms, err := w.RoomStore().RoomIDsOf(t.Context(), cid.ID); err != nil || len(rooms) != 2 {
		t.Errorf("%v %v", rooms, err)
	}
}

// Every role that a permission or a subscription names is listed.
func TestRolesAreListed(t *testing.T) {
	_, ann, _, _ := apiWorld(t, nil)
	scopes := map[string]string{}
	for _, r := range ann.OK("GET", "roles.list", nil).Body["roles"].([]any) {
		r := r.(map[string]any)
		scopes[r["_id"].(string)] = r["scope"].(string)
	}
	for _, p := range ann.OK("GET", "permissions.listAll", nil).Body["update"].([]any) {
		for _, role := range p.(map[string]any)["roles"].([]any) {
			if scopes[role.(string)] == "" {
				t.Errorf("%v names the role %v, which is not listed", p, role)
			}
		}
	}
	if scopes["owner"] != "Subscriptions" || scopes["admin"] != "Users" {
		t.Errorf("%v", scopes)
	}
}

func TestMessageRoutes(t *testing.T) {
	_, ann, bob, cid := apiWorld(t, map[string]string{settings.LimitUserByMethodEnabled: "false"})
	before := time.Now().Add(-time.Second)
	var ids []string
	for i := range 12 {
		a := ann.OK("POST", "chat.postMessage", map[string]any{"channel": "#general", "text": fmt.Sprintf("Message %d straße", i),
			"bot": map[string]any{"i": "tester", "x": 1}, "attachments": []any{map[string]any{"text": "card", "color": "#f00"}}})
		if a.Body["channel"] != "#general" || a.Doc("message")["groupable"] != false {
			t.Errorf("%s", a.Raw)
		}
		if bot := a.Doc("message")["bot"]; !reflect.DeepEqual(bot, map[string]any{"i": "tester"}) {
			t.Errorf("bot %v", bot)
		}
		ids = append(ids, a.Doc("message")["_id"].(string))
	}
	bob.Refused("error-roomid-param-not-provided", "POST", "chat.postMessage", map[string]any{"text": "x"})
	bob.Refused("error-invalid-room", "POST", "chat.postMessage", map[string]any{"channel": "#none", "text": "x"})
	bob.Refused("error-message-size-exceeded", "POST", "chat.postMessage", map[string]any{"roomId": "GENERAL", "text": strings.Repeat("x", 5001)})
	bob.Refused("error-not-allowed", "POST", "chat.postMessage", map[string]any{"roomId": "GENERAL", "text": "x", "alias": "root"})
	bob.Refused("invalid-params", "POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": map[string]any{"$ne": ""}}})
	bob.Refused("invalid-params", "POST", "chat.postMessage", map[string]any{"roomId": map[string]any{"$ne": ""}})
	if a := bob.OK("GET", "chat.search?roomId=GENERAL&searchText="+url.QueryEscape("MESSAGE 1")+"&count=2", nil); a.Column("messages",
		"msg") != "Message 11 straße Message 10 straße" {
		t.Errorf("%s", a.Raw)
	}
	for _, pattern := range []string{".*", "(a+)+", "^Message", "$ne"} {
		if a := bob.OK("GET", "chat.search?roomId=GENERAL&searchText="+url.QueryEscape(pattern), nil); len(a.Body["messages"].([]any)) != 0 {
			t.Errorf("%s is a pattern: %s", pattern, a.Raw)
		}
	}
	bob.Refused("error-searchText-param-not-provided", "GET", "chat.search?roomId=GENERAL", nil)
	if a := bob.OK("GET", "channels.history?roomId=GENERAL&count=3", nil); len(a.Body["messages"].([]any)) != 3 {
		t.Errorf("%s", a.Raw)
	}
	latest := url.QueryEscape(before.Format(time.RFC3339Nano))
	if a := bob.OK("GET", "channels.history?roomId=GENERAL&latest="+latest, nil); strings.Contains(a.Raw, "Message") {
		t.Errorf("%s", a.Raw)
	}
	if a := bob.OK("GET", "channels.history?roomId=GENERAL&inclusive=true&oldest="+latest, nil); len(a.Body["messages"].([]any)) < 12 {
		t.Errorf("%s", a.Raw)
	}
	bob.Refused("error-invalid-params", "GET", "channels.history?roomId=GENERAL&latest=now", nil)
	bob.Refused("error-invalid-params", "GET", "channels.messages?roomId=GENERAL&count=many", nil)
	for _, absurd := range []string{"count=1000000", "offset=1000000000"} {
		bob.OK("GET", "channels.messages?roomId=GENERAL&"+absurd, nil)
	}
	for _, wrong := range []string{"count=-5", "offset=-1"} {
		bob.Refused("error-invalid-params", "GET", "channels.messages?roomId=GENERAL&"+wrong, nil)
	}
	ann.OK("POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": ids[0], "asUser": true})
	sync := bob.OK("GET", "chat.syncMessages?roomId=GENERAL&lastUpdate="+latest, nil).Doc("result")
	if len(sync["updated"].([]any)) < 11 || len(sync["deleted"].([]any)) != 1 {
		t.Errorf("%v", sync)
	}
	pagesOfChanges(t, bob, len(sync["updated"].([]any)))
	bob.OK("POST", "chat.starMessage", map[string]any{"messageId": ids[3]})
	if a := bob.OK("GET", "chat.getStarredMessages?roomId=GENERAL", nil); a.Column("messages", "_id") != ids[3] || a.Body["total"] != 1.0 {
		t.Errorf("%s", a.Raw)
	}
	if a := cid.OK("GET", "chat.getStarredMessages?roomId=GENERAL", nil); a.Body["total"] != 0.0 {
		t.Errorf("%s", a.Raw)
	}
	bob.Refused("error-emoji-param-not-provided", "POST", "chat.react", map[string]any{"messageId": ids[3]})
	bob.Refused("error-not-allowed", "POST", "chat.react", map[string]any{"messageId": ids[3], "emoji": "a b"})
	bob.OK("POST", "chat.react", map[string]any{"messageId": ids[3], "reaction": "smile", "shouldReact": true})
	bob.Refused("not-authorized", "POST", "chat.pinMessage", map[string]any{"messageId": ids[3]})
}

// pagesOfChanges walks through the changes of GENERAL and what was deleted there as
// Rocket.Chat's mobile application does from level 7.1 on: one page of each kind after
// the other, from cursor to cursor.
func pagesOfChanges(t *testing.T, c *testkit.Caller, changes int) {
	t.Helper()
	for kind, want := range map[string]int{"UPDATED": changes, "DELETED": 1} {
		list := map[string]string{"UPDATED": "updated", "DELETED": "deleted"}[kind]
		seen, next, pages := map[string]bool{}, any("1577836800000"), 0 // the year 2020
		for ; next != nil; pages++ {
			a := c.OK("GET", fmt.Sprintf("chat.syncMessages?roomId=GENERAL&type=%s&count=3&next=%s", kind, next), nil).Doc("result")
			page := a[list].([]any)
			if len(page) > 3 || len(a["updated"].([]any))+len(a["deleted"].([]any)) != len(page) {
				t.Fatalf("%s: %v", kind, a)
			}
			for _, m := range page {
				seen[m.(map[string]any)["_id"].(string)] = true
			}
			next = a["cursor"].(map[string]any)["next"]
		}
		if len(seen) != want || pages != (want+2)/3 {
			t.Errorf("%s: %d on %d pages, want %d", kind, len(seen), pages, want)
		}
		// Backwards from the end of time: the newest first.
		a := c.OK("GET", "chat.syncMessages?roomId=GENERAL&type="+kind+"&previous=8640000000000000", nil).Doc("result")
		if page := a[list].([]any); len(page) != want || a["cursor"].(map[string]any)["previous"] != nil {
			t.Errorf("%s, backwards: %v", kind, a)
		}
		// Without a cursor: from the beginning.
		if a := c.OK("GET", "chat.syncMessages?roomId=GENERAL&type="+kind, nil).Doc("result"); len(a[list].([]any)) != want {
			t.Errorf("%s: %v", kind, a)
		}
	}
	for query, refusal := range map[string]string{
		"": "error-param-required", "next=1": "error-type-param-required", "previous=1": "error-type-param-required",
		"type=UPDATED&next=1&previous=1": "error-cursor-conflict", "type=DELETED&lastUpdate=2020-01-01": "error-cursor-and-lastUpdate-conflict",
		"type=OTHER": "error-invalid-params", "type=UPDATED&next=yesterday": "error-invalid-params", "type=UPDATED&next=-1": "error-invalid-params",
		"type=UPDATED&previous=8640000000000001": "error-invalid-params", "type=DELETED&next=99999999999999999999": "error-invalid-params",
		"type=UPDATED&count=-1": "error-invalid-params",
	} {
		c.Refused(refusal, "GET", "chat.syncMessages?roomId=GENERAL&"+query, nil)
	}
}

// Whoever puts a method under a second factor means its route as well, and the
// other way round.
func TestProtectedChat(t *testing.T) {
	for _, list := range []string{"pinMessage, updateMessage, sendMessage", "chat.pinMessage, chat.update, chat.sendMessage, chat.postMessage"} {
		w := testkit.NewAPI(t, testkit.Options{Overrides: map[string]string{settings.TwoFactorProtectedCalls: list}})
		w.Account("root1", "admin")
		root := w.Login("root1")
		message := map[string]any{"message": map[string]any{"_id": "m1", "rid": "GENERAL", "msg": "x"}}
		for _, c := range []struct {
			path string
			body map[string]any
		}{
			{"chat.sendMessage", message}, {"chat.postMessage", map[string]any{"roomId": "GENERAL", "text": "x"}},
			{"chat.update", map[string]any{"roomId": "GENERAL", "msgId": "m1", "text": "y"}}, {"chat.pinMessage", map[string]any{"messageId": "m1"}},
		} {
			if a := root.Do("POST", c.path, c.body); a.Status != 400 || a.ErrorType() != "totp-required" || a.Details()["method"] != "password" {
				t.Errorf("%s with %q: %d %s", c.path, list, a.Status, a.Raw)
			}
		}
		proven := root.Proven()
		proven.OK("POST", "chat.sendMessage", message)
		note := proven.OK("POST", "chat.pinMessage", map[string]any{"messageId": "m1"}).Doc("message")
		if note["t"] != "message_pinned" {
			t.Errorf("%v", note)
		}
		if a := root.OK("GET", "chat.getPinnedMessages?roomId=GENERAL", nil); a.Column("messages", "_id") != "m1" {
			t.Errorf("%s", a.Raw)
		}
		proven.OK("POST", "chat.unPinMessage", map[string]any{"messageId": "m1"})
	}
}

// Posting is limited for each user, whatever the door.
func TestPostingIsLimited(t *testing.T) {
	_, ann, _, _ := apiWorld(t, nil)
	limited := false
	for i := range 30 {
		a := ann.Do("POST", []string{"chat.postMessage", "chat.sendMessage"}[i%2], map[string]any{"roomId": "GENERAL", "text": "x",
			"message": map[string]any{"rid": "GENERAL", "msg": "x"}})
		limited = limited || a.Status == 429
	}
	if !limited {
		t.Error("thirty messages at once")
	}
}

func TestPresenceRoutes(t *testing.T) {
	_, ann, bob, _ := apiWorld(t, nil)
	bob.OK("POST", "users.setStatus", map[string]any{"status": "busy", "message": "at work"})
	bob.Refused("error-invalid-status", "POST", "users.setStatus", map[string]any{"status": "hungry"})
	if a := ann.OK("GET", "users.getStatus?username=bob", nil); a.Body["_id"] != bob.ID || a.Body["message"] != "at work" || a.Body["status"] != "offline" {
		t.Errorf("%s", a.Raw)
	}
	if a := ann.OK("GET", "users.getStatus", nil); a.Body["_id"] != ann.ID {
		t.Errorf("%s", a.Raw)
	}
	ann.Refused("error-invalid-user", "GET", "users.getStatus?username=nobody", nil)
	ann.Refused("error-invalid-user", "GET", "users.getStatus?user=bob@example.org", nil)
	ann.OK("GET", "users.getPresence?userId="+bob.ID, nil)
	if a := ann.OK("GET", "users.presence?ids="+bob.ID+",none", nil); a.Column("users", "username") != "bob" || a.Body["full"] != false {
		t.Errorf("%s", a.Raw)
	}
	if a := ann.OK("GET", "users.presence", nil); a.Body["full"] != true {
		t.Errorf("%s", a.Raw)
	}
}
