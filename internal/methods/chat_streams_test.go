//go:build !norooms

package methods_test

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
)

// Both forms in which clients subscribe, what is quiet, and what is refused.
func TestStreamSubscriptions(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		secret := ann.room("createPrivateGroup", "secret")
		uid := w.vars["ann"]
		for _, e := range []string{"message", "otr", "webrtc", "notification", "rooms-changed", "subscriptions-changed", "uiInteraction", "userData"} {
			ann.stream(rooms.NotifyUser, uid+"/"+e)
			if fail := bob.subscribe(rooms.NotifyUser, uid+"/"+e); fail.code() != "not-allowed" {
				t.Errorf("another's %s: %v", e, fail)
			}
		}
		for _, e := range []string{"typing", "deleteMessage", "user-activity"} {
			ann.stream(rooms.NotifyRoom, secret+"/"+e)
			if fail := bob.subscribe(rooms.NotifyRoom, secret+"/"+e); fail.code() != "not-allowed" {
				t.Errorf("another's %s: %v", e, fail)
			}
		}
		for _, e := range []string{"user-status", "Users:NameChanged", "roles-change"} {
			ann.stream(rooms.NotifyLogged, e)
		}
		ann.stream(rooms.RoomMessages, secret)
		for _, e := range []string{secret, "none", "__proto__", "constructor", secret + "/typing", strings.Repeat("x", 256)} {
			if fail := bob.subscribe(rooms.RoomMessages, e); fail.code() != "not-allowed" {
				t.Errorf("messages of %.20q: %v", e, fail)
			}
		}
		for _, e := range []string{general, general + "/", general + "/made-up", "/typing", "typing", "none/typing"} {
			if fail := bob.subscribe(rooms.NotifyRoom, e); fail.code() != "not-allowed" {
				t.Errorf("%q: %v", e, fail)
			}
		}
		for e, want := range map[string]string{"": "invalid-event-name", strings.Repeat("x", 1<<15): "400"} {
			if fail := bob.subscribe(rooms.RoomMessages, e); fail.code() != want || want != "400" && fail.Reason != "" {
				t.Errorf("%.20q: %v", e, fail)
			}
		}
		if fail := bob.sub("x", "stream-made-up", general); fail.code() != "404" {
			t.Errorf("%v", fail)
		}
		if fail := bob.sub("y", rooms.RoomMessages, map[string]any{"$ne": ""}); fail.code() != "400" {
			t.Errorf("%v", fail)
		}
		out := &talker{w.connect(), "nobody"}
		for _, s := range []string{rooms.RoomMessages, rooms.NotifyRoom, rooms.NotifyUser, rooms.NotifyLogged} {
			if fail := out.subscribe(s, general); fail.code() != "not-allowed" {
				t.Errorf("%s without a login: %v", s, fail)
			}
		}
		// The old form: a flag in place of the options; and useCollection, which
		// shows a document first.
		if fail := bob.sub("old", rooms.RoomMessages, rooms.MyMessages, false); fail != nil {
			t.Error(fail)
		}
		if fail := bob.sub("older", rooms.RoomMessages, general, true); fail != nil {
			t.Error(fail)
		}
		ann.say(general, "hello")
		got := bob.events()
		if names := eventNames(got); !slices.Equal(names, []string{"stream-room-messages/GENERAL", "stream-room-messages/__my_messages__"}) {
			t.Errorf("%v", names)
		}
		mine := unmarshal[map[string]any](t, got[1].Args[1])
		if mine["roomParticipant"] != true || mine["roomType"] != "c" || mine["roomName"] != "general" {
			t.Errorf("%v", mine)
		}
		if got := ann.events(); slices.Contains(eventNames(got), "stream-room-messages/GENERAL") {
			t.Error("a room nobody subscribed to")
		}
	}, "ann", "bob")
}

// What clients publish themselves: their own name only, in their own rooms
// only, heard by the others but not by the connection that said it.
func TestTyping(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		secret := ann.room("createPrivateGroup", "secret")
		for _, c := range []*talker{ann, bob} {
			c.stream(rooms.NotifyRoom, general+"/typing")
			c.stream(rooms.NotifyRoom, general+"/user-activity")
		}
		args := func(e streamed) string {
			var parts []string
			for _, a := range e.Args {
				parts = append(parts, string(a))
			}
			return e.Event + " " + strings.Join(parts, " ")
		}
		for _, c := range []struct {
			event string
			what  any
			want  []string
		}{
			{"typing", true, []string{`GENERAL/typing "ann" true`, `GENERAL/user-activity "ann" ["user-typing"] {}`}},
			{"typing", false, []string{`GENERAL/typing "ann" false`, `GENERAL/user-activity "ann" [] {}`}},
			{"user-activity", []string{"user-typing"}, []string{`GENERAL/typing "ann" true`, `GENERAL/user-activity "ann" ["user-typing"] {}`}},
			{"user-activity", []string{}, []string{`GENERAL/typing "ann" false`, `GENERAL/user-activity "ann" [] {}`}},
			{"user-activity", []string{"user-recording"}, []string{`GENERAL/typing "ann" false`, `GENERAL/user-activity "ann" ["user-recording"] {}`}},
		} {
			ann.must("stream-notify-room", general+"/"+c.event, "ann", c.what)
			var got []string
			for _, e := range bob.events() {
				got = append(got, args(e))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s %v: %q", c.event, c.what, got)
			}
			if own := ann.events(); len(own) > 0 {
				t.Errorf("the connection that said it heard %v", eventNames(own))
			}
		}
		bob.refused("not-allowed", "stream-notify-room", general+"/typing", "ann", true)
		bob.refused("not-allowed", "stream-notify-room", secret+"/typing", "bob", true)
		bob.refused("not-allowed", "stream-notify-room", "none/typing", "bob", true)
		bob.refused("not-allowed", "stream-notify-room", general+"/deleteMessage", "bob", true)
		bob.refused("not-allowed", "stream-notify-room", general, "bob", true)
		bob.refused("400", "stream-notify-room", general+"/typing", "bob", 1)
		bob.refused("400", "stream-notify-room", general+"/user-activity", "bob", []any{1})
		bob.refused("400", "stream-notify-room", general+"/user-activity", "bob", strings.Split(strings.Repeat("x ", 20), " "))
		if got := ann.events(); len(got) > 0 {
			t.Errorf("%v", eventNames(got))
		}
	}, "ann", "bob")
}

// The removal's answer is the end: no frame of the room comes after it, on any
// stream, and the streams are closed with a nosub.
func TestRemovedUserHearsNothing(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		room := ann.room("createPrivateGroup", "team", "bob")
		bob.stream(rooms.RoomMessages, room)
		bob.stream(rooms.RoomMessages, rooms.MyMessages)
		bob.stream(rooms.NotifyRoom, room+"/typing")
		bob.stream(rooms.NotifyUser, w.vars["bob"]+"/rooms-changed")
		bob.stream(rooms.NotifyUser, w.vars["bob"]+"/subscriptions-changed")
		ann.say(room, "before")
		if got := bob.events(); len(got) != 4 { // twice the message, the room, and the alert
			t.Errorf("%v", eventNames(got))
		}
		ann.must("removeUserFromRoom", map[string]any{"rid": room, "username": "bob"})
		var nosubs []string
		for f := bob.readWithin(time.Millisecond); f.Msg != ""; f = bob.readWithin(time.Millisecond) {
			if f.Msg == "nosub" {
				nosubs = append(nosubs, f.ID+" "+f.Error.code())
			} else if !strings.Contains(f.text, `"removed"`) {
				t.Errorf("got %s", f.text)
			}
		}
		slices.Sort(nosubs)
		if len(nosubs) != 2 || nosubs[0] != "stream-notify-room "+room+"/typing not-allowed" {
			t.Errorf("%q", nosubs)
		}
		ann.say(room, "after")
		ann.must("stream-notify-room", room+"/typing", "ann", true)
		if got := bob.events(); len(got) > 0 {
			t.Errorf("%v", eventNames(got))
		}
		if fail := bob.subscribe(rooms.RoomMessages, room); fail.code() != "not-allowed" {
			t.Errorf("%v", fail)
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
			conns[i] = &talker{w.connect(func(p *rpc.Peer) { p.Address = fmt.Sprintf("192.0.2.%d", i) }), ""}
		}
		id := 0
		subscribe := func(c *talker) {
			room := ids[r.IntN(len(ids))]
			id++
			for _, s := range [][2]string{{rooms.RoomMessages, room}, {rooms.RoomMessages, rooms.MyMessages}, {rooms.NotifyRoom, room + "/typing"},
				{rooms.NotifyUser, w.vars[users[r.IntN(4)]] + "/rooms-changed"}} {
				_ = c.sub(fmt.Sprint("s", id, s), s[0], s[1], false)
			}
		}
		// check reads what came: everything must be of a room whose member the
		// connection's user is now; between two checks one thing changes at most.
		seen := 0
		check := func(step int) {
			for i, c := range conns {
				for _, e := range c.events() {
					seen++
					room := ""
					for _, id := range ids {
						if strings.Contains(e.Event+string(slices.Concat(rawOf(e)...)), id) {
							room = id
						}
					}
					gone := strings.HasSuffix(e.Event, "-changed") && strings.HasPrefix(string(e.Args[0]), `"removed"`)
					own := !strings.HasSuffix(e.Event, "-changed") || strings.HasPrefix(e.Event, w.vars[c.name]+"/")
					if !own || !gone && room != "" && (c.name == "" || !member[room][c.name]) {
						t.Fatalf("step %d: connection %d (%q) got %s/%s %s", step, i, c.name, e.Collection, e.Event, e.Args)
					}
				}
			}
		}
		for step := range 500 {
			c := conns[r.IntN(len(conns))]
			room, name := ids[r.IntN(len(ids))], users[r.IntN(len(users))]
			switch r.IntN(6) {
			case 0:
				if c.name != name {
					check(step)
					c.login(name)
					c.name = name
				}
			case 1:
				if c.name != "" {
					check(step)
					c.call("logout")
					c.name = ""
				}
			case 2:
				if !member[room][name] {
					owner.must("addUsersToRoom", map[string]any{"rid": room, "users": []string{name}})
					member[room][name] = true
				}
			case 3:
				if member[room][name] {
					check(step)
					owner.must("removeUserFromRoom", map[string]any{"rid": room, "username": name})
					member[room][name] = false
				}
			case 4:
				if c.name != "" && member[room][c.name] {
					check(step)
					c.must("leaveRoom", room)
					member[room][c.name] = false
				}
			default:
				if c.name != "" {
					subscribe(c)
				}
			}
			owner.say(room, "secret of "+room)
			owner.must("stream-notify-room", room+"/typing", "root", true)
			check(step)
		}
		if seen < 500 { // or the test looks at nothing
			t.Errorf("only %d frames came", seen)
		}
	}, append(users, "root")...)
}

func rawOf(e streamed) (out [][]byte) {
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
		running.Go(func() { _ = w.presence.Run(ctx) })
		defer running.Wait()
		defer stop()
		ann := w.talker("ann")
		ann.stream(rooms.NotifyLogged, "user-status")
		uid := w.vars["bob"]
		status := func(want string) {
			t.Helper()
			var got []string
			time.Sleep(100 * time.Millisecond) // changes gather for a moment
			for _, e := range ann.events() {
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
		bob.must("UserPresence:away")
		status("")
		second.must("UserPresence:away")
		status(line(2, ""))
		second.must("UserPresence:online")
		status(line(1, ""))
		bob.must("setUserStatus", "busy", "in a meeting")
		status(line(1, "in a meeting") + "; " + line(3, "in a meeting"))
		second.must("UserPresence:setDefaultStatus", "online")
		status(line(1, "in a meeting"))
		bob.refused("error-invalid-status", "setUserStatus", "hungry")
		bob.refused("error-invalid-status", "UserPresence:setDefaultStatus", "")
		bob.refused("400", "setUserStatus", map[string]any{"$ne": ""})
		bob.must("UserPresence:online")
		second.close()
		status("")
		bob.close()
		time.Sleep(rooms.Grace - time.Second)
		status("")
		third := w.talker("bob") // back within the grace: nobody hears of it
		status("")
		third.must("logout")
		time.Sleep(rooms.Grace + time.Second)
		status(line(0, "in a meeting"))
		third.login("bob")
		status(line(1, "in a meeting"))
		users := unmarshal[struct{ Records []map[string]any }](t, ann.must("getUsersOfRoom", general, false))
		if len(users.Records) != 2 || users.Records[1]["status"] != "online" {
			t.Errorf("%v", users)
		}
		third.must("UserPresence:setDefaultStatus", "offline")
		status(line(0, "in a meeting"))
		stop()
		running.Wait()
		if list, err := w.store.UsersNotOffline(context.Background(), 10); err != nil || len(list) != 0 {
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
		bob.stream(rooms.NotifyLogged, "Users:NameChanged")
		if _, fail := ann.call("saveUserProfile", map[string]any{"realname": "Ann A."}, map[string]any{}); fail != nil {
			t.Fatal(fail)
		}
		changed := unmarshal[map[string]any](t, only(t, bob.events(), "stream-notify-logged/Users:NameChanged").Args[0])
		if changed["name"] != "Ann A." || changed["username"] != "ann" || changed["_id"] != w.vars["ann"] {
			t.Errorf("%v", changed)
		}
		if m := ann.say(room, "hi"); m.U.Name != "Ann A." {
			t.Errorf("%+v", m.U)
		}
		u, err := w.store.UserByID(t.Context(), w.vars["root"])
		if err != nil {
			t.Fatal(err)
		}
		bob.stream(rooms.NotifyLogged, "roles-change")
		if _, err := w.accounts.UpdateUser(t.Context(), &rpc.Peer{}, u, w.vars["ann"], accounts.UserChange{Roles: &[]string{"bot"}}); err != nil {
			t.Fatal(err)
		}
		if change := unmarshal[map[string]any](t, only(t, bob.events(), "stream-notify-logged/roles-change").Args[0]); change["type"] != "changed" ||
			change["_id"] != "bot" {
			t.Errorf("%v", change)
		}
		if err := w.accounts.DeleteUser(t.Context(), &rpc.Peer{}, u, w.vars["ann"]); err != nil {
			t.Fatal(err)
		}
		roles := unmarshal[[]map[string]any](t, bob.must("getRoomRoles", room))
		if len(roles) != 1 || roles[0]["u"].(map[string]any)["username"] != "bob" {
			t.Errorf("%v", roles)
		}
		root.must("joinRoom", room)
		if r := unmarshal[map[string]any](t, bob.must("getRoomByTypeAndName", "c", "team")); r["usersCount"] != 2.0 {
			t.Errorf("%v", r)
		}
	}, "root", "ann", "bob")
}
