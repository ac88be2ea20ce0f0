package calls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
)

// Both forms in which clients subscribe, what is quiet, and what is refused.
func TestStreamSubscriptions(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		secret := ann.room("createPrivateGroup", "secret")
		uid := w.Vars["ann"]
		for _, e := range []string{"message", "otr", "webrtc", "notification", "rooms-changed", "subscriptions-changed", "uiInteraction", "userData"} {
			ann.Stream(rooms.NotifyUser, uid+"/"+e)
			if fail := bob.Subscribe(rooms.NotifyUser, uid+"/"+e); fail.Code() != "not-allowed" {
				t.Errorf("another's %s: %v", e, fail)
			}
		}
		for _, e := range []string{"typing", "deleteMessage", "user-activity"} {
			ann.Stream(rooms.NotifyRoom, secret+"/"+e)
			if fail := bob.Subscribe(rooms.NotifyRoom, secret+"/"+e); fail.Code() != "not-allowed" {
				t.Errorf("another's %s: %v", e, fail)
			}
		}
		for _, e := range []string{"user-status", "Users:NameChanged", "roles-change"} {
			ann.Stream(rooms.NotifyLogged, e)
		}
		ann.Stream(rooms.RoomMessages, secret)
		for _, e := range []string{secret, "none", "__proto__", "constructor", secret + "/typing", strings.Repeat("x", 256)} {
			if fail := bob.Subscribe(rooms.RoomMessages, e); fail.Code() != "not-allowed" {
				t.Errorf("messages of %.20q: %v", e, fail)
			}
		}
		for _, e := range []string{general, general + "/", general + "/made-up", "/typing", "typing", "none/typing"} {
			if fail := bob.Subscribe(rooms.NotifyRoom, e); fail.Code() != "not-allowed" {
				t.Errorf("%q: %v", e, fail)
			}
		}
		for e, want := range map[string]string{"": "invalid-event-name", strings.Repeat("x", 1<<15): "400"} {
			if fail := bob.Subscribe(rooms.RoomMessages, e); fail.Code() != want || want != "400" && fail.Reason != "" {
				t.Errorf("%.20q: %v", e, fail)
			}
		}
		if fail := bob.Sub("x", "stream-made-up", general); fail.Code() != "404" {
			t.Errorf("%v", fail)
		}
		if fail := bob.Sub("y", rooms.RoomMessages, map[string]any{"$ne": ""}); fail.Code() != "400" {
			t.Errorf("%v", fail)
		}
		out := &talker{w.Connect()}
		for _, s := range []string{rooms.RoomMessages, rooms.NotifyRoom, rooms.NotifyUser, rooms.NotifyLogged} {
			if fail := out.Subscribe(s, general); fail.Code() != "not-allowed" {
				t.Errorf("%s without a login: %v", s, fail)
			}
		}
		// The old form: a flag in place of the options; and useCollection, which
		// shows a document first.
		if fail := bob.Sub("old", rooms.RoomMessages, rooms.MyMessages, false); fail != nil {
			t.Error(fail)
		}
		if fail := bob.Sub("older", rooms.RoomMessages, general, true); fail != nil {
			t.Error(fail)
		}
		ann.say(general, "hello")
		got := bob.Events()
		if names := eventNames(got); !slices.Equal(names, []string{"stream-room-messages/GENERAL", "stream-room-messages/__my_messages__"}) {
			t.Errorf("%v", names)
		}
		mine := testkit.Unmarshal[map[string]any](t, got[1].Args[1])
		if mine["roomParticipant"] != true || mine["roomType"] != "c" || mine["roomName"] != "general" {
			t.Errorf("%v", mine)
		}
		if got := ann.Events(); slices.Contains(eventNames(got), "stream-room-messages/GENERAL") {
			t.Error("a room nobody subscribed to")
		}
	}, "ann", "bob")
}

// Who may not see a room sees no frame of it: 500 random joins, leaves, user
// switches and removals, with messages in between (docs/security-tests.md S063, S064).
func TestNothingLeaks(t *testing.T) {
	users := []string{"ann", "bob", "cid", "dan"}
	chatWorld(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(7, 7))
		owner := w.talker("root")
		ids := make([]string, 3)
		member := map[string]map[string]bool{}
		for i := range ids {
			ids[i] = owner.room("createPrivateGroup", fmt.Sprint("room", i))
			member[ids[i]] = map[string]bool{}
		}
		conns := make([]*talker, 6)
		for i := range conns {
			conns[i] = &talker{w.Connect(func(p *rpc.Peer) { p.Address = fmt.Sprintf("192.0.2.%d", i) })}
		}
		id := 0
		subscribe := func(c *talker) {
			room := ids[r.IntN(len(ids))]
			id++
			for _, s := range [][2]string{{rooms.RoomMessages, room}, {rooms.RoomMessages, rooms.MyMessages}, {rooms.NotifyRoom, room + "/typing"},
				{rooms.NotifyUser, w.Vars[users[r.IntN(4)]] + "/rooms-changed"}} {
				_ = c.Sub(fmt.Sprint("s", id, s), s[0], s[1], false)
			}
		}
		// check reads what came: everything must be of a room whose member the
		// connection's user is now; between two checks one thing changes at most.
		seen := 0
		check := func(step int) {
			for i, c := range conns {
				for _, e := range c.Events() {
					seen++
					room := ""
					for _, id := range ids {
						if strings.Contains(e.Event+string(slices.Concat(rawOf(e)...)), id) {
							room = id
						}
					}
					gone := strings.HasSuffix(e.Event, "-changed") && strings.HasPrefix(string(e.Args[0]), `"removed"`)
					own := !strings.HasSuffix(e.Event, "-changed") || strings.HasPrefix(e.Event, w.Vars[c.Name]+"/")
					if !own || !gone && room != "" && (c.Name == "" || !member[room][c.Name]) {
						t.Fatalf("step %d: connection %d (%q) got %s/%s %s", step, i, c.Name, e.Collection, e.Event, e.Args)
					}
				}
			}
		}
		for step := range 500 {
			c := conns[r.IntN(len(conns))]
			room, name := ids[r.IntN(len(ids))], users[r.IntN(len(users))]
			switch r.IntN(6) {
			case 0:
				if c.Name != name {
					check(step)
					c.Login(name)
					c.Name = name
				}
			case 1:
				if c.Name != "" {
					check(step)
					c.Call("logout")
					c.Name = ""
				}
			case 2:
				if !member[room][name] {
					owner.Must("addUsersToRoom", map[string]any{"rid": room, "users": []string{name}})
					member[room][name] = true
				}
			case 3:
				if member[room][name] {
					check(step)
					owner.Must("removeUserFromRoom", map[string]any{"rid": room, "username": name})
					member[room][name] = false
				}
			case 4:
				if c.Name != "" && member[room][c.Name] {
					check(step)
					c.Must("leaveRoom", room)
					member[room][c.Name] = false
				}
			default:
				if c.Name != "" {
					subscribe(c)
				}
			}
			owner.say(room, "secret of "+room)
			owner.Must("stream-notify-room", room+"/typing", "root", true)
			check(step)
		}
		if seen < 500 { // or the test looks at nothing
			t.Errorf("only %d frames came", seen)
		}
	}, append(users, "root")...)
}

func rawOf(e testkit.Streamed) (out [][]byte) {
	for _, a := range e.Args {
		out = append(out, a)
	}
	return out
}

// Presence: who logs in is online, who closes the last connection is offline
// after a grace, and what a user chose stands above what connections say.
func TestPresence(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Presence.Run(ctx) })
		defer running.Wait()
		defer stop()
		ann := w.talker("ann")
		ann.Stream(rooms.NotifyLogged, "user-status")
		uid := w.Vars["bob"]
		status := func(want string) {
			t.Helper()
			var got []string
			time.Sleep(100 * time.Millisecond) // changes gather for a moment
			for _, e := range ann.Events() {
				for _, a := range e.Args {
					if strings.Contains(string(a), uid) {
						got = append(got, string(a))
					}
				}
			}
			if strings.Join(got, "; ") != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		line := func(n int, text string) string {
			return fmt.Sprintf(`[%q,"bob",%d,%q,"Bob",["user"]]`, uid, n, text)
		}
		bob := w.talker("bob")
		status(line(1, ""))
		second := w.talker("bob")
		status("")
		bob.Must("UserPresence:away")
		status("")
		second.Must("UserPresence:away")
		status(line(2, ""))
		second.Must("UserPresence:online")
		status(line(1, ""))
		bob.Must("setUserStatus", "busy", "in a meeting")
		status(line(1, "in a meeting") + "; " + line(3, "in a meeting"))
		second.Must("UserPresence:setDefaultStatus", "online")
		status(line(1, "in a meeting"))
		bob.Refused("error-invalid-status", "setUserStatus", "hungry")
		bob.Refused("error-invalid-status", "UserPresence:setDefaultStatus", "")
		bob.Refused("400", "setUserStatus", map[string]any{"$ne": ""})
		bob.Must("UserPresence:online")
		second.Close()
		status("")
		bob.Close()
		time.Sleep(rooms.Grace - time.Second)
		status("")
		third := w.talker("bob") // back within the grace: nobody hears of it
		status("")
		third.Must("logout")
		time.Sleep(rooms.Grace + time.Second)
		status(line(0, "in a meeting"))
		third.Login("bob")
		status(line(1, "in a meeting"))
		users := testkit.Unmarshal[struct{ Records []map[string]any }](t, ann.Must("getUsersOfRoom", general, false))
		if len(users.Records) != 2 || users.Records[1]["status"] != "online" {
			t.Errorf("%v", users)
		}
		third.Must("UserPresence:setDefaultStatus", "offline")
		status(line(0, "in a meeting"))
		stop()
		running.Wait()
		if list, err := w.RoomStore().UsersNotOffline(context.Background(), 10); err != nil || len(list) != 0 {
			t.Errorf("after the end: %v %v", list, err)
		}
	}, "ann", "bob")
}

// Followers of accounts: names change in memberships, deleted users leave and
// pass their rooms on.
func TestAccountsInRooms(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		root, ann, bob := w.talker("root"), w.talker("ann"), w.talker("bob")
		room := ann.room("createChannel", "team", "bob")
		bob.Stream(rooms.NotifyLogged, "Users:NameChanged")
		if _, fail := ann.Call("saveUserProfile", map[string]any{"realname": "Ann A."}, map[string]any{}); fail != nil {
			t.Fatal(fail)
		}
		changed := testkit.Unmarshal[map[string]any](t, only(t, bob.Events(), "stream-notify-logged/Users:NameChanged").Args[0])
		if changed["name"] != "Ann A." || changed["username"] != "ann" || changed["_id"] != w.Vars["ann"] {
			t.Errorf("%v", changed)
		}
		if m := ann.say(room, "hi"); m.U.Name != "Ann A." {
			t.Errorf("%+v", m.U)
		}
		u, err := w.Store.UserByID(t.Context(), w.Vars["root"])
		if err != nil {
			t.Fatal(err)
		}
		bob.Stream(rooms.NotifyLogged, "roles-change")
		if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, u, w.Vars["ann"], accounts.UserChange{Roles: &[]string{"bot"}}); err != nil {
			t.Fatal(err)
		}
		if change := testkit.Unmarshal[map[string]any](t, only(t, bob.Events(), "stream-notify-logged/roles-change").Args[0]); change["type"] != "changed" ||
			change["_id"] != "bot" {
			t.Errorf("%v", change)
		}
		if err := w.Accounts.DeleteUser(t.Context(), &rpc.Peer{}, u, w.Vars["ann"]); err != nil {
			t.Fatal(err)
		}
		roles := testkit.Unmarshal[[]map[string]any](t, bob.Must("getRoomRoles", room))
		if len(roles) != 1 || roles[0]["u"].(map[string]any)["username"] != "bob" {
			t.Errorf("%v", roles)
		}
		root.Must("joinRoom", room)
		if r := testkit.Unmarshal[map[string]any](t, bob.Must("getRoomByTypeAndName", "c", "team")); r["usersCount"] != 2.0 {
			t.Errorf("%v", r)
		}
	}, "root", "ann", "bob")
}
