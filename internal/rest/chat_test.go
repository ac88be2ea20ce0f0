//go:build !norooms

package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
)

// ok makes a request that must succeed, and returns the answer.
func (c *client) ok(verb, path string, body any) answer {
	c.w.t.Helper()
	a := c.do(verb, path, body)
	if a.status != 200 || a.body["success"] != true {
		c.w.t.Fatalf("%s %s: %d %s", verb, path, a.status, a.raw)
	}
	return a
}

// refused makes a request that must be refused with that errorType.
func (c *client) refused(errorType, verb, path string, body any) {
	c.w.t.Helper()
	if a := c.do(verb, path, body); a.status == 200 || a.errorType() != errorType {
		c.w.t.Errorf("%s %s: %d %s, want %s", verb, path, a.status, a.raw, errorType)
	}
}

func (a answer) doc(key string) map[string]any { d, _ := a.body[key].(map[string]any); return d }

// column lists one member of every document of a list.
func (a answer) column(list, key string) string {
	var out []string
	for _, v := range a.body[list].([]any) {
		out = append(out, fmt.Sprint(v.(map[string]any)[key]))
	}
	return strings.Join(out, " ")
}

func chatWorld(t *testing.T, overrides map[string]string) (w *world, ann, bob, cid *client) {
	t.Helper()
	w = newWorld(t, overrides)
	for _, name := range []string{"ann", "bob", "cid"} {
		w.account(name)
	}
	return w, w.login("ann"), w.login("bob"), w.login("cid")
}

// What a chat widget asks for, in its order (docs/wire/clients.md 4).
func TestWidget(t *testing.T) {
	_, ann, bob, _ := chatWorld(t, nil)
	room := ann.ok("GET", "rooms.info?roomId=GENERAL", nil).doc("room")
	if room["t"] != "c" || room["ro"] != false || room["name"] != "general" || room["usersCount"] != 3.0 {
		t.Errorf("%v", room)
	}
	ann.refused("error-room-not-found", "GET", "rooms.info?roomId=none", nil)
	ann.refused("error-roomid-param-not-provided", "GET", "rooms.info", nil)
	if a := ann.ok("GET", "settings/Message_MaxAllowedSize", nil); a.body["value"] != 5000.0 {
		t.Errorf("%s", a.raw)
	}
	ann.ok("GET", "commands.list", nil)
	if a := ann.ok("GET", "channels.members?roomId=GENERAL", nil); a.column("members", "username") != "ann bob cid" {
		t.Errorf("%s", a.raw)
	}
	m := ann.ok("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "GENERAL", "msg": "hi @bob :smile:",
		"_id": "abcdefgh12345"}}).doc("message")
	if m["_id"] != "abcdefgh12345" || m["md"] == nil || m["u"].(map[string]any)["username"] != "ann" {
		t.Errorf("%v", m)
	}
	if _, err := time.Parse(time.RFC3339, m["ts"].(string)); err != nil {
		t.Error(err)
	}
	a := bob.ok("GET", "channels.messages?roomId=GENERAL&query="+url.QueryEscape(`{"u._id":{"$ne":""}}`), nil)
	if a.column("messages", "msg") == "" || !strings.HasPrefix(a.column("messages", "msg"), "hi @bob :smile:") || a.body["total"] != 4.0 {
		t.Errorf("%s", a.raw)
	}
	ann.ok("GET", "channels.roles?roomId=GENERAL", nil)
	ann.ok("GET", "permissions.listAll", nil)
	bob.ok("POST", "chat.react", map[string]any{"messageId": m["_id"], "emoji": ":+1:"})
	bob.ok("POST", "chat.starMessage", map[string]any{"messageId": m["_id"]})
	bob.ok("POST", "chat.unStarMessage", map[string]any{"messageId": m["_id"]})
	got := ann.ok("GET", "chat.getMessage?msgId=abcdefgh12345", nil).doc("message")
	if got["reactions"].(map[string]any)[":+1:"] == nil || got["starred"] != nil {
		t.Errorf("%v", got)
	}
	ann.refused("error-message-not-found", "GET", "chat.getMessage?msgId=none", nil)
	if m := ann.ok("POST", "chat.update", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345",
		"text": "edited"}).doc("message"); m["msg"] != "edited" || m["editedBy"] == nil {
		t.Errorf("%v", m)
	}
	bob.refused("error-action-not-allowed", "POST", "chat.update", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345", "text": "x"})
	bob.refused("error-action-not-allowed", "POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345"})
	ann.refused("error-action-not-allowed", "POST", "chat.delete", map[string]any{"roomId": "other", "msgId": "abcdefgh12345"})
	gone := ann.ok("POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": "abcdefgh12345"})
	if ms, err := strconv.ParseInt(gone.body["ts"].(string), 10, 64); err != nil || time.Since(time.UnixMilli(ms)).Abs() > time.Minute {
		t.Errorf("%s: not the time of the deletion in milliseconds", gone.raw)
	}
}

func TestRoomRoutes(t *testing.T) {
	w, ann, bob, cid := chatWorld(t, nil)
	team := ann.ok("POST", "channels.create", map[string]any{"name": "team", "members": []string{"bob"}}).doc("channel")
	id := team["_id"].(string)
	ann.refused("error-duplicate-channel-name", "POST", "channels.create", map[string]any{"name": "Team"})
	ann.refused("error-invalid-room-name", "POST", "channels.create", map[string]any{"name": "a b"})
	group := ann.ok("POST", "groups.create", map[string]any{"name": "secret", "members": []string{"bob"}}).doc("group")
	secret := group["_id"].(string)
	if a := cid.ok("GET", "channels.list?count=1&offset=1", nil); a.column("channels", "name") != "team" || a.body["total"] != 2.0 || a.body["offset"] != 1.0 {
		t.Errorf("%s", a.raw)
	}
	if a := cid.ok("GET", "channels.list.joined", nil); a.column("channels", "name") != "general" {
		t.Errorf("%s", a.raw)
	}
	if a := bob.ok("GET", "groups.list", nil); a.column("groups", "name") != "secret" {
		t.Errorf("%s", a.raw)
	}
	if a := cid.ok("GET", "groups.list", nil); a.body["total"] != 0.0 {
		t.Errorf("%s", a.raw)
	}
	// Strangers see channels and nothing of groups.
	cid.ok("GET", "channels.info?roomName=team", nil)
	for _, path := range []string{"groups.info?roomId=" + secret, "groups.info?roomName=secret", "channels.info?roomId=" + secret, "groups.messages?roomId=" +
		secret, "groups.members?roomName=secret",
		"channels.messages?roomId=" + id, "channels.history?roomId=" + id, "chat.search?roomId=" + secret + "&searchText=x", "chat.syncMessages?roomId=" + secret +
			"&lastUpdate=2020-01-01T00:00:00Z",
		"chat.getPinnedMessages?roomId=" + secret, "rooms.info?roomId=" + secret, "groups.roles?roomId=" + secret} {
		cid.refused("error-room-not-found", "GET", path, nil)
	}
	cid.refused("not-authorized", "GET", "channels.members?roomId="+id, nil)
	if room := cid.ok("POST", "channels.join", map[string]any{"roomId": id}).doc("channel"); room["usersCount"] != 3.0 {
		t.Errorf("%v", room)
	}
	if room := cid.ok("POST", "channels.leave", map[string]any{"roomName": "team"}).doc("channel"); room["usersCount"] != 2.0 || room["lastMessage"] != nil {
		t.Errorf("%v", room)
	}
	ann.refused("error-you-are-last-owner", "POST", "channels.leave", map[string]any{"roomId": id})
	ann.ok("POST", "channels.invite", map[string]any{"roomId": id, "userId": cid.id})
	ann.ok("POST", "groups.invite", map[string]any{"roomId": secret, "username": "cid"})
	ann.ok("POST", "groups.invite", map[string]any{"roomId": secret, "userIds": []string{cid.id, bob.id}})
	bob.refused("error-not-allowed", "POST", "groups.kick", map[string]any{"roomId": secret, "userId": cid.id})
	ann.ok("POST", "groups.kick", map[string]any{"roomId": secret, "userId": cid.id})
	ann.refused("error-user-not-in-room", "POST", "groups.kick", map[string]any{"roomId": secret, "username": "cid"})
	ann.refused("error-invalid-user", "POST", "groups.kick", map[string]any{"roomId": secret, "username": "nobody"})
	ann.refused("error-user-param-not-provided", "POST", "groups.kick", map[string]any{"roomId": secret})
	ann.ok("POST", "channels.addModerator", map[string]any{"roomId": id, "userId": bob.id})
	ann.ok("POST", "channels.removeModerator", map[string]any{"roomId": id, "userId": bob.id})
	ann.ok("POST", "channels.addOwner", map[string]any{"roomId": id, "userId": bob.id})
	if a := ann.ok("GET", "channels.roles?roomId="+id, nil); len(a.body["roles"].([]any)) != 2 {
		t.Errorf("%s", a.raw)
	}
	ann.ok("POST", "channels.removeOwner", map[string]any{"roomId": id, "userId": bob.id})

	// Direct rooms, under both names.
	direct := ann.ok("POST", "im.create", map[string]any{"username": "bob"}).doc("room")
	if again := bob.ok("POST", "dm.create", map[string]any{"usernames": "ann"}).doc("room"); again["_id"] != direct["_id"] || direct["rid"] != direct["_id"] {
		t.Errorf("%v %v", direct, again)
	}
	if a := bob.ok("GET", "im.list", nil); a.column("ims", "_id") != direct["_id"] {
		t.Errorf("%s", a.raw)
	}
	ann.ok("POST", "chat.postMessage", map[string]any{"channel": "@bob", "text": "psst"})
	if a := bob.ok("GET", "im.messages?username=ann", nil); a.column("messages", "msg") != "psst" {
		t.Errorf("%s", a.raw)
	}
	if a := bob.ok("GET", "im.counters?roomId="+direct["_id"].(string), nil); a.body["unreads"] != 1.0 || a.body["joined"] != true {
		t.Errorf("%s", a.raw)
	}
	bob.ok("POST", "subscriptions.read", map[string]any{"rid": direct["_id"]})
	sub := bob.ok("GET", "subscriptions.getOne?roomId="+direct["_id"].(string), nil).doc("subscription")
	if sub["unread"] != 0.0 || sub["name"] != "ann" {
		t.Errorf("%v", sub)
	}
	if a := cid.ok("GET", "subscriptions.getOne?roomId="+secret, nil); a.body["subscription"] != nil {
		t.Errorf("%s", a.raw)
	}
	bob.ok("POST", "im.close", map[string]any{"roomId": direct["_id"]})
	bob.ok("POST", "im.open", map[string]any{"roomId": direct["_id"]})
	bob.ok("POST", "rooms.favorite", map[string]any{"roomId": direct["_id"], "favorite": true})

	// Changes since a moment.
	if a := bob.ok("GET", "rooms.get", nil); len(a.body["update"].([]any)) != 4 || len(a.body["remove"].([]any)) != 0 {
		t.Errorf("%s", a.raw)
	}
	a := cid.ok("GET", "subscriptions.get?updatedSince="+url.QueryEscape(time.Now().Add(-time.Hour).Format(time.RFC3339)), nil)
	if len(a.body["remove"].([]any)) != 2 {
		t.Errorf("%s", a.raw)
	}
	cid.refused("error-invalid-params", "GET", "rooms.get?updatedSince=yesterday", nil)
	if rooms, err := w.store.RoomIDsOf(t.Context(), cid.id); err != nil || len(rooms) != 2 {
		t.Errorf("%v %v", rooms, err)
	}
}

// Every role that a permission or a subscription names is listed.
func TestRolesAreListed(t *testing.T) {
	_, ann, _, _ := chatWorld(t, nil)
	scopes := map[string]string{}
	for _, r := range ann.ok("GET", "roles.list", nil).body["roles"].([]any) {
		r := r.(map[string]any)
		scopes[r["_id"].(string)] = r["scope"].(string)
	}
	for _, p := range ann.ok("GET", "permissions.listAll", nil).body["update"].([]any) {
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
	_, ann, bob, cid := chatWorld(t, map[string]string{settings.LimitUserByMethodEnabled: "false"})
	before := time.Now().Add(-time.Second)
	var ids []string
	for i := range 12 {
		a := ann.ok("POST", "chat.postMessage", map[string]any{"channel": "#general", "text": fmt.Sprintf("Message %d straße", i),
			"bot": map[string]any{"i": "tester", "x": 1}, "attachments": []any{map[string]any{"text": "card", "color": "#f00"}}})
		if a.body["channel"] != "#general" || a.doc("message")["groupable"] != false {
			t.Errorf("%s", a.raw)
		}
		if bot := a.doc("message")["bot"]; !reflect.DeepEqual(bot, map[string]any{"i": "tester"}) {
			t.Errorf("bot %v", bot)
		}
		ids = append(ids, a.doc("message")["_id"].(string))
	}
	bob.refused("error-roomid-param-not-provided", "POST", "chat.postMessage", map[string]any{"text": "x"})
	bob.refused("error-invalid-room", "POST", "chat.postMessage", map[string]any{"channel": "#none", "text": "x"})
	bob.refused("error-message-size-exceeded", "POST", "chat.postMessage", map[string]any{"roomId": "GENERAL", "text": strings.Repeat("x", 5001)})
	bob.refused("error-not-allowed", "POST", "chat.postMessage", map[string]any{"roomId": "GENERAL", "text": "x", "alias": "root"})
	bob.refused("invalid-params", "POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": map[string]any{"$ne": ""}}})
	bob.refused("invalid-params", "POST", "chat.postMessage", map[string]any{"roomId": map[string]any{"$ne": ""}})
	if a := bob.ok("GET", "chat.search?roomId=GENERAL&searchText="+url.QueryEscape("MESSAGE 1")+"&count=2", nil); a.column("messages",
		"msg") != "Message 11 straße Message 10 straße" {
		t.Errorf("%s", a.raw)
	}
	for _, pattern := range []string{".*", "(a+)+", "^Message", "$ne"} {
		if a := bob.ok("GET", "chat.search?roomId=GENERAL&searchText="+url.QueryEscape(pattern), nil); len(a.body["messages"].([]any)) != 0 {
			t.Errorf("%s is a pattern: %s", pattern, a.raw)
		}
	}
	bob.refused("error-searchText-param-not-provided", "GET", "chat.search?roomId=GENERAL", nil)
	if a := bob.ok("GET", "channels.history?roomId=GENERAL&count=3", nil); len(a.body["messages"].([]any)) != 3 {
		t.Errorf("%s", a.raw)
	}
	latest := url.QueryEscape(before.Format(time.RFC3339Nano))
	if a := bob.ok("GET", "channels.history?roomId=GENERAL&latest="+latest, nil); strings.Contains(a.raw, "Message") {
		t.Errorf("%s", a.raw)
	}
	if a := bob.ok("GET", "channels.history?roomId=GENERAL&inclusive=true&oldest="+latest, nil); len(a.body["messages"].([]any)) < 12 {
		t.Errorf("%s", a.raw)
	}
	bob.refused("error-invalid-params", "GET", "channels.history?roomId=GENERAL&latest=now", nil)
	bob.refused("error-invalid-params", "GET", "channels.messages?roomId=GENERAL&count=many", nil)
	for _, absurd := range []string{"count=1000000", "count=-5", "offset=-1", "offset=1000000000"} {
		bob.ok("GET", "channels.messages?roomId=GENERAL&"+absurd, nil)
	}
	ann.ok("POST", "chat.delete", map[string]any{"roomId": "GENERAL", "msgId": ids[0], "asUser": true})
	sync := bob.ok("GET", "chat.syncMessages?roomId=GENERAL&lastUpdate="+latest, nil).doc("result")
	if len(sync["updated"].([]any)) < 11 || len(sync["deleted"].([]any)) != 1 {
		t.Errorf("%v", sync)
	}
	bob.ok("POST", "chat.starMessage", map[string]any{"messageId": ids[3]})
	if a := bob.ok("GET", "chat.getStarredMessages?roomId=GENERAL", nil); a.column("messages", "_id") != ids[3] || a.body["total"] != 1.0 {
		t.Errorf("%s", a.raw)
	}
	if a := cid.ok("GET", "chat.getStarredMessages?roomId=GENERAL", nil); a.body["total"] != 0.0 {
		t.Errorf("%s", a.raw)
	}
	bob.refused("error-emoji-param-not-provided", "POST", "chat.react", map[string]any{"messageId": ids[3]})
	bob.refused("error-not-allowed", "POST", "chat.react", map[string]any{"messageId": ids[3], "emoji": "a b"})
	bob.ok("POST", "chat.react", map[string]any{"messageId": ids[3], "reaction": "smile", "shouldReact": true})
	bob.refused("not-authorized", "POST", "chat.pinMessage", map[string]any{"messageId": ids[3]})
}

// Whoever puts a method under a second factor means its route as well, and the
// other way round.
func TestProtectedChat(t *testing.T) {
	for _, list := range []string{"pinMessage, updateMessage, sendMessage", "chat.pinMessage, chat.update, chat.sendMessage, chat.postMessage"} {
		w := newWorld(t, map[string]string{settings.TwoFactorProtectedCalls: list})
		w.account("root1", "admin")
		root := w.login("root1")
		message := map[string]any{"message": map[string]any{"_id": "m1", "rid": "GENERAL", "msg": "x"}}
		for _, c := range []struct {
			path string
			body map[string]any
		}{
			{"chat.sendMessage", message}, {"chat.postMessage", map[string]any{"roomId": "GENERAL", "text": "x"}},
			{"chat.update", map[string]any{"roomId": "GENERAL", "msgId": "m1", "text": "y"}}, {"chat.pinMessage", map[string]any{"messageId": "m1"}},
		} {
			if a := root.do("POST", c.path, c.body); a.status != 400 || a.errorType() != "totp-required" || a.details()["method"] != "password" {
				t.Errorf("%s with %q: %d %s", c.path, list, a.status, a.raw)
			}
		}
		proven := root.proven()
		proven.ok("POST", "chat.sendMessage", message)
		note := proven.ok("POST", "chat.pinMessage", map[string]any{"messageId": "m1"}).doc("message")
		if note["t"] != "message_pinned" {
			t.Errorf("%v", note)
		}
		if a := root.ok("GET", "chat.getPinnedMessages?roomId=GENERAL", nil); a.column("messages", "_id") != "m1" {
			t.Errorf("%s", a.raw)
		}
		proven.ok("POST", "chat.unPinMessage", map[string]any{"messageId": "m1"})
	}
}

// Posting is limited for each user, whatever the door.
func TestPostingIsLimited(t *testing.T) {
	_, ann, _, _ := chatWorld(t, nil)
	limited := false
	for i := range 30 {
		a := ann.do("POST", []string{"chat.postMessage", "chat.sendMessage"}[i%2], map[string]any{"roomId": "GENERAL", "text": "x",
			"message": map[string]any{"rid": "GENERAL", "msg": "x"}})
		limited = limited || a.status == 429
	}
	if !limited {
		t.Error("thirty messages at once")
	}
}

func TestPresenceRoutes(t *testing.T) {
	_, ann, bob, _ := chatWorld(t, nil)
	bob.ok("POST", "users.setStatus", map[string]any{"status": "busy", "message": "at work"})
	bob.refused("error-invalid-status", "POST", "users.setStatus", map[string]any{"status": "hungry"})
	if a := ann.ok("GET", "users.getStatus?username=bob", nil); a.body["_id"] != bob.id || a.body["message"] != "at work" || a.body["status"] != "offline" {
		t.Errorf("%s", a.raw)
	}
	if a := ann.ok("GET", "users.getStatus", nil); a.body["_id"] != ann.id {
		t.Errorf("%s", a.raw)
	}
	ann.refused("error-invalid-user", "GET", "users.getStatus?username=nobody", nil)
	ann.refused("error-invalid-user", "GET", "users.getStatus?user=bob@example.org", nil)
	ann.ok("GET", "users.getPresence?userId="+bob.id, nil)
	if a := ann.ok("GET", "users.presence?ids="+bob.id+",none", nil); a.column("users", "username") != "bob" || a.body["full"] != false {
		t.Errorf("%s", a.raw)
	}
	if a := ann.ok("GET", "users.presence", nil); a.body["full"] != true {
		t.Errorf("%s", a.raw)
	}
}

func TestAvatar(t *testing.T) {
	srv := httptest.NewServer(rest.Avatar())
	defer srv.Close()
	for path, want := range map[string]string{
		"/avatar/ann": ">A<", "/avatar/nobody.at.all": ">N<", "/avatar/%3Cscript%3E": ">S<", "/avatar/room/GENERAL": ">G<", "/avatar/_": ">?<",
		"/avatar/%D1%91%D0%B6": ">Ё<",
	} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(string(raw), want) ||
			strings.Contains(string(raw), "script") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, raw)
		}
		req, _ := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
		if again, err := http.DefaultClient.Do(req); err != nil || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %v %v", path, again, err)
		} else {
			_ = again.Body.Close()
		}
	}
	for path, status := range map[string]int{"/avatar/": 404, "/avatar/a/b": 404, "/avatar/" + strings.Repeat("x", 201): 404} {
		if resp, err := http.Get(srv.URL + path); err != nil || resp.StatusCode != status {
			t.Errorf("%s: %v %v", path, resp, err)
		} else {
			_ = resp.Body.Close()
		}
	}
	if resp, err := http.Post(srv.URL+"/avatar/ann", "text/plain", nil); err != nil || resp.StatusCode != 405 {
		t.Errorf("%v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}
