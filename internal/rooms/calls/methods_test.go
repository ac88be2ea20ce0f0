package calls_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// A new account is in GENERAL; what one writes the others see at once.
func TestChatTour(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		list := testkit.Unmarshal[[]map[string]any](t, ann.Must("rooms/get"))
		if len(list) != 1 || list[0]["_id"] != general || list[0]["name"] != "general" || list[0]["usersCount"] != 2.0 {
			t.Fatalf("rooms %v", list)
		}
		bob.Stream(rooms.RoomMessages, general)
		bob.Stream(rooms.NotifyUser, w.Vars["bob"]+"/notification")
		m := ann.say(general, "hi @bob, *look*: #general https://x.org :smile:")
		if m.U.Username != "ann" || m.U.Name != "Ann" || m.RoomID != general || m.TS.MS == 0 || len(m.ID) != 17 {
			t.Errorf("%+v", m)
		}
		if len(m.Mentions) != 1 || m.Mentions[0].ID != w.Vars["bob"] || len(m.Channels) != 1 || len(m.URLs) != 1 {
			t.Errorf("%+v", m)
		}
		if want := `[{"type":"PARAGRAPH","value":[{"type":"PLAIN_TEXT","value":"hi "},{"type":"MENTION_USER",`; !strings.HasPrefix(string(m.MD), want) {
			t.Errorf("md %s", m.MD)
		}
		got := bob.Events()
		if names := eventNames(got); !slices.Equal(names, []string{"stream-room-messages/GENERAL", "stream-notify-user/" + w.Vars["bob"] + "/notification"}) {
			t.Fatalf("events %v", names)
		}
		if e := wire(t, got[0].Args[0]); e.ID != m.ID || e.Msg != m.Msg || string(e.MD) != string(m.MD) {
			t.Errorf("%+v", e)
		}
		note := testkit.Unmarshal[map[string]any](t, got[1].Args[0])
		if note["title"] != "#general" || note["payload"].(map[string]any)["_id"] != m.ID {
			t.Errorf("%v", note)
		}

		// Editing shows who and when, and the text is parsed anew.
		time.Sleep(time.Second)
		ann.Must("updateMessage", map[string]any{"_id": m.ID, "rid": general, "msg": "Whats 4*!"})
		e := wire(t, bob.Events()[0].Args[0])
		if e.Msg != "Whats 4*!" || e.EditedBy == nil || e.EditedBy.Username != "ann" || e.EditedAt.MS < m.TS.MS+1000 || e.TS != m.TS || len(e.Mentions) != 0 {
			t.Errorf("%+v", e)
		}
		// The same text again leaves no trace.
		ann.Must("updateMessage", map[string]any{"_id": m.ID, "rid": general, "msg": "Whats 4*!"})
		if got := bob.Events(); len(got) > 0 {
			t.Errorf("events %v", eventNames(got))
		}
		single := wire(t, bob.Must("getSingleMessage", m.ID))
		if single.Msg != "Whats 4*!" {
			t.Errorf("%+v", single)
		}
		if raw := bob.Must("getSingleMessage", "nothing"); string(raw) != "null" {
			t.Errorf("no message: %s", raw)
		}
		bob.Stream(rooms.NotifyRoom, general+"/deleteMessage")
		ann.Must("deleteMessage", map[string]any{"_id": m.ID})
		if got := bob.Events(); len(got) != 1 || string(got[0].Args[0]) != fmt.Sprintf(`{"_id":%q}`, m.ID) {
			t.Errorf("%v", got)
		}
	}, "ann", "bob")
}

func TestRoomMethods(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob, cid := w.talker("ann"), w.talker("bob"), w.talker("cid")
		bob.Stream(rooms.NotifyUser, w.Vars["bob"]+"/rooms-changed")
		bob.Stream(rooms.NotifyUser, w.Vars["bob"]+"/subscriptions-changed")
		room := ann.room("createChannel", "team", "bob")
		if names := eventNames(bob.Events()); !slices.Equal(names, []string{
			"stream-notify-user/" + w.Vars["bob"] + "/subscriptions-changed", "stream-notify-user/" + w.Vars["bob"] + "/rooms-changed",
		}) {
			t.Errorf("a new room: %v", names)
		}
		secret := ann.room("createPrivateGroup", "secret")

		for _, name := range []string{"team", "TEAM"} {
			bob.Refused("error-duplicate-channel-name", "createChannel", name, []string{})
		}
		for _, name := range []string{"", "  ", "a b", "a/b", "<script>", strings.Repeat("x", 101), "naïve", "__proto__\x00"} {
			if fail := bob.Refused("error-invalid-room-name", "createChannel", name, []string{}); strings.ContainsAny(fail.Reason, "<>") ||
				!strings.HasSuffix(fail.Reason, " is not a valid room name.") {
				t.Errorf("%q: %q", name, fail.Reason)
			}
		}
		bob.Refused("error-user-not-found", "createChannel", "free", []string{"nobody"})
		bob.Refused("400", "createChannel", 7, []string{})
		bob.Refused("400", "createChannel", "free", "ann")
		if rooms := testkit.Unmarshal[[]map[string]any](t, cid.Must("rooms/get")); len(rooms) != 1 {
			t.Errorf("cid's rooms %v", rooms)
		}

		// Finding rooms: channels by everybody, groups by members, no last message for strangers.
		ann.say(room, "only for us")
		r := testkit.Unmarshal[map[string]any](t, cid.Must("getRoomByTypeAndName", "c", "team"))
		if r["_id"] != room || r["lastMessage"] != nil || r["msgs"] != 1.0 {
			t.Errorf("%v", r)
		}
		if r := testkit.Unmarshal[map[string]any](t, bob.Must("getRoomByTypeAndName", "c", room)); r["lastMessage"] == nil {
			t.Errorf("%v", r)
		}
		cid.Refused("error-invalid-room", "getRoomByTypeAndName", "p", "secret")
		cid.Refused("error-invalid-room", "getRoomByTypeAndName", "p", secret)
		cid.Refused("error-invalid-room", "getRoomByTypeAndName", "c", "secret")
		cid.Refused("error-invalid-room", "getRoomByTypeAndName", "x", "team")
		if id := testkit.Unmarshal[string](t, cid.Must("getRoomIdByNameOrId", "team")); id != room {
			t.Errorf("id %s", id)
		}
		if name := testkit.Unmarshal[string](t, ann.Must("getRoomNameById", secret)); name != "secret" {
			t.Errorf("name %s", name)
		}
		cid.Refused("error-not-allowed", "getRoomIdByNameOrId", "secret")
		cid.Refused("error-not-allowed", "getRoomNameById", secret)

		// Joining, and what is told of it in the room.
		bob.Stream(rooms.RoomMessages, room)
		cid.Must("joinRoom", room)
		cid.Must("joinRoom", room)
		cid.Refused("error-not-allowed", "joinRoom", secret)
		cid.Refused("error-invalid-room", "joinRoom", "none")
		if got := roomMessages(t, bob.Events()); !slices.Equal(got, []string{"uj cid by cid"}) {
			t.Errorf("join: %v", got)
		}
		// Inviting and removing.
		cid.Refused("error-not-allowed", "addUsersToRoom", map[string]any{"rid": room, "users": []string{"dan"}})
		ann.Refused("error-user-not-found", "addUsersToRoom", map[string]any{"rid": room, "users": []string{"dan", "nobody"}})
		ann.Refused("error-invalid-room", "addUsersToRoom", map[string]any{"rid": "none", "users": []string{"dan"}})
		ann.Must("addUsersToRoom", map[string]any{"rid": room, "users": []string{"dan", "bob"}})
		ann.Must("addUserToRoom", map[string]any{"rid": secret, "username": "@dan"})
		if got := roomMessages(t, bob.Events()); !slices.Equal(got, []string{"au dan by ann"}) {
			t.Errorf("invite: %v", got)
		}
		cid.Refused("error-not-allowed", "removeUserFromRoom", map[string]any{"rid": room, "username": "dan"})
		ann.Refused("error-user-not-in-room", "removeUserFromRoom", map[string]any{"rid": secret, "username": "bob"})
		ann.Refused("error-invalid-user", "removeUserFromRoom", map[string]any{"rid": room, "username": "nobody"})
		ann.Must("removeUserFromRoom", map[string]any{"rid": room, "username": "dan"})
		if got := roomMessages(t, bob.Events()); !slices.Equal(got, []string{"ru dan by ann"}) {
			t.Errorf("removal: %v", got)
		}
		cid.Must("leaveRoom", room)
		cid.Refused("error-user-not-in-room", "leaveRoom", room)
		cid.Refused("error-invalid-room", "leaveRoom", "none")
		if got := roomMessages(t, bob.Events()); !slices.Equal(got, []string{"ul cid by cid"}) {
			t.Errorf("leave: %v", got)
		}

		// Roles: the last owner stays until there is another.
		ann.Refused("error-you-are-last-owner", "leaveRoom", room)
		bob.Refused("error-not-allowed", "addRoomOwner", room, w.Vars["bob"])
		bob.Stream(rooms.NotifyLogged, "roles-change")
		ann.Must("addRoomModerator", room, w.Vars["bob"])
		ann.Refused("error-user-already-has-role", "addRoomModerator", room, w.Vars["bob"])
		got := bob.Events()
		if change := testkit.Unmarshal[map[string]any](t, only(t, got, "stream-notify-logged/roles-change").Args[0]); change["type"] != "added" ||
			change["_id"] != "moderator" || change["scope"] != room {
			t.Errorf("%v", change)
		}
		ann.Refused("error-remove-last-owner", "removeRoomOwner", room, w.Vars["ann"])
		ann.Refused("error-user-not-has-role", "removeRoomModerator", room, w.Vars["ann"])
		ann.Must("addRoomOwner", room, w.Vars["bob"])
		roles := testkit.Unmarshal[[]map[string]any](t, ann.Must("getRoomRoles", room))
		if len(roles) != 2 {
			t.Errorf("roles %v", roles)
		}
		ann.Must("leaveRoom", room)
		bob.Refused("error-you-are-last-owner", "leaveRoom", room)

		// What is gone stands in the answer to a Date.
		time.Sleep(10 * time.Second)
		since := time.Now().Add(-time.Hour)
		for method, id := range map[string]string{"rooms/get": room, "subscriptions/get": ""} {
			changed := testkit.Unmarshal[struct{ Update, Remove []map[string]any }](t, ann.Must(method, since))
			if len(changed.Update) == 0 || len(changed.Remove) != 1 || changed.Remove[0]["_deletedAt"] == nil || id != "" && changed.Remove[0]["_id"] != id {
				t.Errorf("%s: %v", method, changed)
			}
			changed = testkit.Unmarshal[struct{ Update, Remove []map[string]any }](t, ann.Must(method, time.Now()))
			if len(changed.Update)+len(changed.Remove) > 0 {
				t.Errorf("%s: %v", method, changed)
			}
		}
	}, "ann", "bob", "cid", "dan")
}

func TestDirectRooms(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob, cid := w.talker("ann"), w.talker("bob"), w.talker("cid")
		bob.Stream(rooms.RoomMessages, rooms.MyMessages)
		bob.Stream(rooms.NotifyUser, w.Vars["bob"]+"/notification")
		open := func(c *talker, names ...any) string {
			t.Helper()
			return testkit.Unmarshal[struct {
				RID string `json:"rid"`
				T   string `json:"t"`
			}](t, c.Must("createDirectMessage", names...)).RID
		}
		id := open(ann, "bob")
		want := []string{w.Vars["ann"], w.Vars["bob"]}
		slices.Sort(want)
		if id != strings.Join(want, "") || open(bob, "ann") != id || open(ann, "@bob") != id {
			t.Errorf("direct room %s", id)
		}
		if self := open(ann, "ann"); self == id || open(ann, "ann") != self {
			t.Error("a room with oneself")
		}
		three := open(ann, "bob", "cid")
		if open(cid, "ann", "bob") != three || open(cid, "bob", "ann", "cid") != three || three == id {
			t.Error("a room of three")
		}
		ann.Refused("error-invalid-user", "createDirectMessage", "nobody")
		ann.Refused("error-invalid-user", "createDirectMessage")
		ann.Refused("400", "createDirectMessage", 7)
		ann.Refused("error-direct-message-max-user-exceeded", "createDirectMessage", "a", "b", "c", "d", "e", "f", "g", "h", "i")
		ann.Refused("error-cant-invite-for-direct-room", "addUsersToRoom", map[string]any{"rid": id, "users": []string{"cid"}})
		ann.Refused("error-not-allowed", "leaveRoom", id)
		ann.Refused("error-not-allowed", "removeUserFromRoom", map[string]any{"rid": id, "username": "bob"})
		cid.Refused("error-not-allowed", "joinRoom", id)
		cid.Refused("error-not-allowed", "sendMessage", map[string]any{"rid": id, "msg": "x"})
		if raw := cid.Must("loadHistory", id); string(raw) != "false" {
			t.Errorf("a stranger reads %s", raw)
		}

		sub := func(c *talker) map[string]any {
			t.Helper()
			for _, s := range testkit.Unmarshal[[]map[string]any](t, c.Must("subscriptions/get")) {
				if s["rid"] == id {
					return s
				}
			}
			t.Fatal("no subscription")
			return nil
		}
		ann.say(id, "psst")
		ann.say(id, "still there?")
		if s := sub(bob); s["name"] != "ann" || s["fname"] != "Ann" || s["unread"] != 2.0 || s["open"] != true || s["alert"] != true {
			t.Errorf("%v", s)
		}
		got := bob.Events()
		mine := only(t, got[:1], "stream-room-messages/__my_messages__")
		if about := testkit.Unmarshal[map[string]any](t, mine.Args[1]); about["roomParticipant"] != true || about["roomType"] != "d" {
			t.Errorf("%v", about)
		}
		if names := eventNames(got); len(names) != 4 {
			t.Errorf("events %v", names)
		}
		bob.Must("readMessages", id)
		if s := sub(bob); s["unread"] != 0.0 || s["alert"] != false || s["ls"] == nil {
			t.Errorf("%v", s)
		}
		if r := testkit.Unmarshal[map[string]any](t, bob.Must("getRoomByTypeAndName", "d", "ann")); r["_id"] != id || len(r["usernames"].([]any)) != 2 {
			t.Errorf("%v", r)
		}
		// Both sides may pin here.
		m := bob.say(id, "mind this")
		bob.Must("pinMessage", map[string]any{"_id": m.ID})
	}, "ann", "bob", "cid")
}

// Nothing is unread in a room that is just made; being brought into one that is
// there counts as a mention, coming by oneself does not.
func TestUnreadOfNewMembers(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob, cid, dan := w.talker("ann"), w.talker("bob"), w.talker("cid"), w.talker("dan")
		room := ann.room("createChannel", "team", "bob")
		ann.Must("addUserToRoom", map[string]any{"rid": room, "username": "dan"})
		cid.Must("joinRoom", room)
		for c, want := range map[*talker]string{ann: "false 0 0", bob: "false 0 0", cid: "false 0 0", dan: "true 1 1"} {
			for _, s := range testkit.Unmarshal[[]struct {
				RoomID   string `json:"rid"`
				Alert    bool
				Unread   int
				Mentions int `json:"userMentions"`
			}](t, c.Must("subscriptions/get")) {
				if got := fmt.Sprint(s.Alert, s.Unread, s.Mentions); s.RoomID == room && got != want {
					t.Errorf("%s: alert, unread, mentions are %s, want %s", c.Name, got, want)
				}
			}
		}
	}, "ann", "bob", "cid", "dan")
}

func TestSubscriptionMethods(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		uid := w.Vars["bob"]
		bob.Stream(rooms.NotifyUser, uid+"/subscriptions-changed")
		num := func(raw json.RawMessage) float64 { return testkit.Unmarshal[float64](t, raw) }
		if n := num(bob.Must("openRoom", general)); n != 0 {
			t.Errorf("open already: %v", n)
		}
		if n := num(bob.Must("hideRoom", general)); n != 1 {
			t.Errorf("hide: %v", n)
		}
		if n := num(bob.Must("hideRoom", "none")); n != 0 {
			t.Errorf("hide none: %v", n)
		}
		if n := num(bob.Must("toggleFavorite", general)); n != 1 {
			t.Errorf("favorite: %v", n)
		}
		if n := num(bob.Must("toggleFavorite", general, true)); n != 0 {
			t.Errorf("favorite again: %v", n)
		}
		bob.Refused("error-invalid-subscription", "toggleFavorite", "none", true)
		bob.Refused("error-room-does-not-exist", "readMessages", "none")
		secret := ann.room("createPrivateGroup", "secret")
		bob.Refused("error-not-allowed", "readMessages", secret)
		if got := eventNames(bob.Events()); len(got) != 2 {
			t.Errorf("events %v", got)
		}
		ann.say(general, "hello @all")
		got := bob.Events()
		s := testkit.Unmarshal[map[string]any](t, only(t, got, "stream-notify-user/"+uid+"/subscriptions-changed").Args[1])
		if s["unread"] != 1.0 || s["groupMentions"] != 1.0 || s["open"] != true || s["f"] != true || s["alert"] != true {
			t.Errorf("%v", s)
		}
		ann.say(general, "plain")
		if got := bob.Events(); len(got) > 0 {
			t.Errorf("a plain message to somebody alerted: %v", eventNames(got))
		}
		w.Set(settings.UnreadCount, settings.CountAllMessages)
		ann.say(general, "counted")
		s = testkit.Unmarshal[map[string]any](t, only(t, bob.Events(), "stream-notify-user/"+uid+"/subscriptions-changed").Args[1])
		if s["unread"] != 2.0 {
			t.Errorf("%v", s)
		}
		page := testkit.Unmarshal[struct {
			Total   int
			Records []map[string]any
		}](t, ann.Must("getUsersOfRoom", general, true, map[string]any{"limit": 1, "skip": 1}))
		if page.Total != 2 || len(page.Records) != 1 || page.Records[0]["username"] != "bob" {
			t.Errorf("%+v", page)
		}
		page.Records = nil
		page = testkit.Unmarshal[struct {
			Total   int
			Records []map[string]any
		}](t, ann.Must("getUsersOfRoom", general, true, nil, "AN"))
		if len(page.Records) != 1 || page.Records[0]["username"] != "ann" {
			t.Errorf("%+v", page)
		}
		bob.Refused("not-authorized", "getUsersOfRoom", secret, true)
		bob.Refused("error-room-not-found", "getUsersOfRoom", "none", true)
	}, "ann", "bob")
}

func TestConversations(t *testing.T) { testkit.Play(t, "*.txtar", nil) }
