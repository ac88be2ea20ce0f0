package calls_test

import (
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// listenToAll subscribes to every event that every stream has, as far as it is
// let: in the name of its own account and in that of the room.
func (c *talker) listenToAll(uid, room string) (refused int) {
	for _, p := range c.World.Publications.List() {
		for _, e := range append(c.World.Publications.Events(p.Name), room) {
			for _, event := range []string{e, uid + "/" + e, room + "/" + e} {
				if c.Subscribe(p.Name, event) != nil {
					refused++
				}
			}
		}
	}
	return refused
}

// The kind behind "roles-change tells everybody the members of private groups":
// whoever listens to everything there is, logged in or not, administrator or not,
// hears no word of a private room while everything happens in it that calls can
// make happen; its members do (A19).
func TestA19NobodyOutsideHearsOfAPrivateRoom(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		owner, bob := w.talker("ann"), w.talker("bob")
		eve, root := w.talker("eve"), w.talker("root")
		nobody := &talker{w.Connect(func(p *rpc.Peer) { p.Address = "192.0.2.99" })}
		room := owner.room("createPrivateGroup", "hidden-name", "bob", "cid")
		outside := []*talker{eve, root, nobody}
		for _, c := range append(outside, bob) {
			if refused := c.listenToAll(w.Vars[c.Name], room); refused == 0 {
				t.Errorf("%s was refused nothing", c.Name)
			}
			c.Events()
		}
		m := owner.say(room, "hidden-text of @bob")
		owner.Must("updateMessage", map[string]any{"_id": m.ID, "rid": room, "msg": "hidden-text again"})
		owner.Must("setReaction", ":+1:", m.ID, true)
		owner.Must("starMessage", map[string]any{"_id": m.ID, "rid": room, "starred": true})
		owner.Must("pinMessage", map[string]any{"_id": m.ID, "rid": room})
		owner.Must("unpinMessage", map[string]any{"_id": m.ID, "rid": room})
		owner.Must("stream-notify-room", room+"/typing", "ann", true)
		owner.Must("stream-notify-room", room+"/user-activity", "ann", []string{"user-typing"}, map[string]any{})
		owner.Must("deleteMessage", map[string]any{"_id": m.ID})
		for _, role := range []string{"Moderator", "Owner"} {
			owner.Must("addRoom"+role, room, w.Vars["bob"])
			owner.Must("removeRoom"+role, room, w.Vars["bob"])
		}
		owner.Must("addUsersToRoom", map[string]any{"rid": room, "users": []string{"dan"}})
		owner.Must("removeUserFromRoom", map[string]any{"rid": room, "username": "dan"})
		for _, call := range []string{"readMessages", "hideRoom", "openRoom"} {
			bob.Must(call, room)
		}
		bob.Must("toggleFavorite", room, true)
		bob.Must("saveUserProfile", map[string]any{"realname": "Bob B."}, map[string]any{})
		heard := eventNames(bob.Events())
		for _, want := range []string{"stream-notify-logged/roles-change", rooms.RoomMessages + "/" + room, rooms.RoomMessages + "/" + rooms.MyMessages,
			rooms.NotifyRoom + "/" + room + "/typing", rooms.NotifyRoom + "/" + room + "/user-activity", rooms.NotifyRoom + "/" + room + "/deleteMessage",
			rooms.NotifyUser + "/" + w.Vars["bob"] + "/rooms-changed", rooms.NotifyUser + "/" + w.Vars["bob"] + "/subscriptions-changed"} {
			if !slices.Contains(heard, want) {
				t.Errorf("a member did not hear %s, only %q", want, slices.Compact(heard))
			}
		}
		for _, c := range outside {
			for _, e := range c.Events() {
				text := e.Collection + "/" + e.Event + string(slices.Concat(rawOf(e)...))
				if strings.Contains(text, room) || strings.Contains(text, "hidden-") {
					t.Errorf("%s heard %s", c.Name, text)
				}
			}
		}
		// Who was a member is one no more.
		owner.Must("removeUserFromRoom", map[string]any{"rid": room, "username": "bob"})
		bob.Events()
		owner.Must("addRoomModerator", room, w.Vars["cid"])
		for _, e := range bob.Events() {
			if e.Event == "roles-change" && strings.Contains(string(slices.Concat(rawOf(e)...)), room) {
				t.Errorf("a former member heard %s", e.Args)
			}
		}
	}, "ann", "bob", "cid", "dan", "eve", "root")
}
