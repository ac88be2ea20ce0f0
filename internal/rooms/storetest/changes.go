package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// changing begins the names of changes of the room.
const changing = "change room"

// roomActs are the operations on the room itself.
func (d draw) roomActs() []act {
	c := rooms.RoomChange{At: d.at}
	text := fmt.Sprint("text ", d.some%3)
	if d.some%3 == 0 {
		text = ""
	}
	switch d.some {
	case 0, 1:
		c.Name = fmt.Sprint(d.room, "-", d.by)
	case 2:
		c.Type = map[bool]string{true: rooms.Channel, false: rooms.Group}[d.on]
	case 3:
		c.Topic, c.Announcement = &text, &text
	case 4:
		c.ReadOnly, c.ReactWhenReadOnly = &d.on, &d.on
	case 5:
		c.JoinDigest = &text
	case 6:
		c.CustomFields, c.AvatarETag = &map[string]any{"by": d.by}, &text
	default:
		c.Archived, c.Description = &d.on, &text
	}
	if who := (rooms.Ref{ID: d.by, Username: d.by}); d.number%3 == 0 {
		if c.Mute = &who; d.on {
			c.Mute, c.Unmute = nil, &who
		}
	}
	return []act{{fmt.Sprintf("%s %+v", changing, c), func(m *model) (string, error) {
		was := *m.room
		m.room.Change(c)
		if !was.Calls(m.room) {
			for _, s := range m.subs {
				s.Follow(m.room, d.at)
			}
		}
		return told(m.room), nil
	}, func(ctx context.Context, s Store) (string, error) {
		_, r, err := s.ChangeRoom(ctx, d.room, c)
		return told(r), err
	}}}
}

// testRoomChanges: what a room says of itself is changed as a whole or not at all, its name
// stays one of its kind, and its memberships call it what it is.
func testRoomChanges(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "one", "ann", "bob")
	talk(t, s, "two", "ann")
	change := func(c rooms.RoomChange) (was, r *rooms.Room) {
		t.Helper()
		c.At = at(7)
		was, r, err := s.ChangeRoom(ctx, "one", c)
		ok(t, err)
		return was, r
	}
	_, _, err := s.ChangeRoom(ctx, "none", rooms.RoomChange{Topic: ptr("x"), At: at(1)})
	fails(t, err, dberr.NotFound)
	_, _, err = s.ChangeRoom(ctx, "one", rooms.RoomChange{Name: "TWO", Topic: ptr("with another's name"), At: at(1)})
	fails(t, err, dberr.Duplicate)
	was, r := change(rooms.RoomChange{Name: "Three", Type: rooms.Group, Topic: ptr("topic"), Description: ptr("description"), Announcement: ptr("news"),
		ReadOnly: ptr(true), ReactWhenReadOnly: ptr(true), Default: ptr(true), JoinDigest: ptr("digest"),
		CustomFields: &map[string]any{"a": "b", "c": map[string]any{"d": "e"}}})
	if was.Name != "one" || was.Topic != "" || !was.UpdatedAt.Equal(at(0)) {
		t.Errorf("before: %+v", was)
	}
	want := channel("one")
	want.Owners, want.Users, want.Membership, want.UpdatedAt = []string{"ann"}, 2, 1, at(7)
	want.Name, want.FName, want.NameKey, want.Type, want.Default = "Three", "Three", "three", rooms.Group, true
	want.Topic, want.Description, want.Announcement, want.ReadOnly, want.ReactWhenReadOnly = "topic", "description", "news", true, true
	want.JoinCodeRequired, want.JoinDigest, want.CustomFields = true, "digest", map[string]any{"a": "b", "c": map[string]any{"d": "e"}}
	for _, got := range []*rooms.Room{r, must[*rooms.Room](t)(s.RoomByID(ctx, "one")), must[*rooms.Room](t)(s.RoomByName(ctx, "three"))} {
		equal(t, got, want)
	}
	for _, who := range []string{"ann", "bob"} {
		m := must[*rooms.Subscription](t)(s.Subscription(ctx, "one", who))
		if m.Name != "Three" || m.FName != "Three" || m.Type != rooms.Group || !m.UpdatedAt.Equal(at(7)) {
			t.Errorf("%s calls it %+v", who, m)
		}
	}
	// Its old name is free, and it is listed and joined under the new one and as what it is.
	_, err = s.RoomByName(ctx, "one")
	fails(t, err, dberr.NotFound)
	talk(t, s, "ONE", "cid")
	for kind, name := range map[string]string{rooms.Group: "Three", rooms.Channel: "ONE two"} {
		list, n, err := s.ListRooms(ctx, rooms.RoomQuery{Types: []string{kind}, Count: 10})
		ok(t, err)
		if got := ids(list, func(r *rooms.Room) string { return r.Name }); got != name || n != len(list) {
			t.Errorf("rooms of type %s: %q of %d, want %q", kind, got, n, name)
		}
	}
	if list := must[[]*rooms.Room](t)(s.DefaultRooms(ctx)); len(list) != 1 || list[0].ID != "one" {
		t.Errorf("default rooms: %v", list)
	}
	late := sub("one", "cid") // made when the room was called otherwise
	must[*rooms.Room](t)(s.AddMember(ctx, late))
	if m := must[*rooms.Subscription](t)(s.Subscription(ctx, "one", "cid")); m.Name != "Three" || m.Type != rooms.Group || late.Name != "Three" {
		t.Errorf("who came then calls it %+v", m)
	}
	// The same again changes nothing; what is taken back is gone.
	before := must[*rooms.Room](t)(s.RoomByID(ctx, "one"))
	_, _, err = s.ChangeRoom(ctx, "one", rooms.RoomChange{Name: "Three", Topic: ptr("topic"), ReadOnly: ptr(true), At: at(9)})
	ok(t, err)
	equal(t, must[*rooms.Room](t)(s.RoomByID(ctx, "one")), before)
	_, r = change(rooms.RoomChange{Topic: ptr(""), ReadOnly: ptr(false), Default: ptr(false), JoinDigest: ptr(""), CustomFields: &map[string]any{}})
	if r.Topic != "" || r.ReadOnly || r.Default || r.JoinCodeRequired || r.JoinDigest != "" || len(r.CustomFields) > 0 || r.Description != "description" {
		t.Errorf("taken back: %+v", r)
	}
	testArchived(t, s)
	testRenamedAtOnce(t, s)
}

// testMuted: who is muted is muted by name and by id, until that is taken back; in a room that is
// read-only taking it back lets somebody write there.
func testMuted(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "loud", "ann", "bob")
	bob := rooms.Ref{ID: "bob-id", Username: "bob"}
	for i, c := range []struct {
		change         rooms.RoomChange
		muted, unmuted string
	}{
		{rooms.RoomChange{Mute: &bob}, "bob/bob-id", "/"}, {rooms.RoomChange{Mute: &bob}, "bob/bob-id", "/"}, {rooms.RoomChange{Unmute: &bob}, "/", "/"},
		{rooms.RoomChange{Unmute: &bob, ReadOnly: ptr(true)}, "/", "bob/bob-id"}, {rooms.RoomChange{Mute: &bob}, "bob/bob-id", "/"},
		{rooms.RoomChange{Unmute: &rooms.Ref{ID: "ann", Username: "ann"}}, "bob/bob-id", "ann/ann"},
	} {
		c.change.At = at(i)
		_, r, err := s.ChangeRoom(ctx, "loud", c.change)
		ok(t, err)
		list := func(names, ids []string) string { return strings.Join(names, ",") + "/" + strings.Join(ids, ",") }
		if got := list(r.Muted, r.MutedIDs); got != c.muted {
			t.Errorf("step %d: muted %s, want %s", i, got, c.muted)
		}
		if got := list(r.Unmuted, r.UnmutedIDs); got != c.unmuted {
			t.Errorf("step %d: unmuted %s, want %s", i, got, c.unmuted)
		}
	}
}

// testBlocked: each side of a direct room may block the other, for itself; of two calls at
// once one stands, on both sides.
func testBlocked(t *testing.T, s Store) {
	ctx := t.Context()
	r := &rooms.Room{ID: "pair", Type: rooms.Direct, DirectKey: "ann,bob", UserIDs: []string{"ann", "bob"}, Users: 2, TS: at(0), UpdatedAt: at(0)}
	ok(t, s.CreateRoom(ctx, r, []*rooms.Subscription{sub("pair", "ann"), sub("pair", "bob")}))
	flags := func() string {
		t.Helper()
		a, b := must[*rooms.Subscription](t)(s.Subscription(ctx, "pair", "ann")), must[*rooms.Subscription](t)(s.Subscription(ctx, "pair", "bob"))
		return fmt.Sprint(a.Blocker, b.Blocked, b.Blocker, a.Blocked)
	}
	for i, c := range []struct {
		blocker, blocked string
		on, changed      bool
		want             string
	}{
		{"ann", "bob", true, true, "true true false false"}, {"ann", "bob", true, false, "true true false false"},
		{"bob", "ann", true, true, "true true true true"}, {"ann", "bob", false, true, "false false true true"},
		{"bob", "ann", false, true, "false false false false"},
	} {
		changed, err := s.SetBlocked(ctx, "pair", c.blocker, c.blocked, c.on, at(i))
		ok(t, err)
		if got := flags(); got != c.want || changed != c.changed {
			t.Errorf("step %d: %s, changed %v", i, got, changed)
		}
	}
	_, err := s.SetBlocked(ctx, "pair", "ann", "cid", true, at(9))
	fails(t, err, dberr.NotFound)
	for range 10 {
		var wg sync.WaitGroup
		for _, on := range []bool{true, false} {
			wg.Go(func() { _, _ = s.SetBlocked(ctx, "pair", "ann", "bob", on, at(9)) })
		}
		wg.Wait()
		if got := flags(); got != "true true false false" && got != "false false false false" {
			t.Fatalf("at once: %s", got)
		}
	}
}

// testArchived: a room that is archived leaves the lists of its members, and comes back
// into them.
func testArchived(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "old", "ann", "bob")
	post(t, s, message("old", "hello", "ann", 1), rooms.Unread{CountAll: true})
	for _, on := range []bool{true, true, false} {
		_, r, err := s.ChangeRoom(ctx, "old", rooms.RoomChange{Archived: &on, At: at(9)})
		ok(t, err)
		m := must[*rooms.Subscription](t)(s.Subscription(ctx, "old", "bob"))
		if r.Archived != on || m.Archived != on || m.Open == on || m.Alert || m.Unread != 1 || !m.UpdatedAt.Equal(at(9)) {
			t.Errorf("archived %v: %+v of %+v", on, m, r)
		}
	}
}

// testErased: with a room go its memberships, each of which leaves news, and its messages,
// and nothing of other rooms. Whoever does something there meanwhile leaves nothing either.
func testErased(t *testing.T, s Store) {
	ctx := t.Context()
	_, _, err := s.DeleteRoom(ctx, "none", at(1))
	fails(t, err, dberr.NotFound)
	talk(t, s, "stays", "ann", "bob")
	post(t, s, message("stays", "kept", "bob", 1), rooms.Unread{})
	for i := range 6 {
		id := fmt.Sprint("goes", i)
		talk(t, s, id, "ann", "bob")
		for n := range 3 {
			post(t, s, message(id, fmt.Sprint(id, n), "bob", n), rooms.Unread{CountAll: true})
		}
		_, _, err := s.SetStar(ctx, id+"1", "ann", true, at(5))
		ok(t, err)
		_, _, err = s.SetFollower(ctx, id+"1", "ann", true, at(5))
		ok(t, err)
		eraseAtOnce(t, s, id, i)
		_, err = s.RoomByID(ctx, id)
		fails(t, err, dberr.NotFound)
		for _, who := range people {
			if _, err := s.Subscription(ctx, id, who); !errors.Is(err, dberr.NotFound) {
				t.Errorf("%s is in %s: %v", who, id, err)
			}
		}
		if list := must[[]*rooms.Message](t)(s.History(ctx, rooms.HistoryQuery{RoomID: id})); len(list) > 0 {
			t.Errorf("%d messages of %s are left", len(list), id)
		}
		_, err = s.MessageByID(ctx, id+"1")
		fails(t, err, dberr.NotFound)
		gone := must[[]rooms.Gone](t)(s.GoneSubscriptions(ctx, "ann", at(10)))
		if !slices.ContainsFunc(gone, func(g rooms.Gone) bool { return g.RoomID == id && g.ID == id+"/ann" && g.DeletedAt.Equal(at(10)) }) {
			t.Errorf("ann is not told that %s is gone: %v", id, gone)
		}
		talk(t, s, id+"again", "ann") // and its name is free
		_, _, err = s.ChangeRoom(ctx, id+"again", rooms.RoomChange{Name: id, At: at(11)})
		ok(t, err)
	}
	if r := must[*rooms.Room](t)(s.RoomByID(ctx, "stays")); r.Messages != 1 || r.Users != 2 {
		t.Errorf("another room: %+v", r)
	}
	if ids := must[[]string](t)(s.RoomIDsOf(ctx, "bob")); len(ids) != 1 {
		t.Errorf("bob is in %v", ids)
	}
	must[*rooms.Message](t)(s.MessageByID(ctx, "kept"))
}

// eraseAtOnce deletes a room twice in one moment, beside one other act; one of the two is
// told who was in it.
func eraseAtOnce(t *testing.T, s Store, id string, meanwhile int) {
	t.Helper()
	ctx := t.Context()
	var wg sync.WaitGroup
	told := make([]int, 2)
	for n := range told {
		wg.Go(func() {
			if was, members, err := s.DeleteRoom(ctx, id, at(10)); err == nil && was.ID == id {
				told[n] = len(members)
			}
		})
	}
	if others := []func(){
		nil,
		func() { _, _, _ = s.InsertMessage(ctx, message(id, id+"late", "bob", 9), rooms.Unread{CountAll: true}) },
		func() { _, _ = s.AddMember(ctx, sub(id, "cid")) },
		func() { _, _, _ = s.ChangeRoom(ctx, id, rooms.RoomChange{Name: id + "new", At: at(9)}) },
		func() { _, _, _ = s.RemoveMember(ctx, id, "bob", true, at(9)) },
		func() { _, _ = s.SetMemberRole(ctx, id, "bob", rooms.Owner, true, at(9)) },
	}; others[meanwhile] != nil {
		wg.Go(others[meanwhile])
	}
	wg.Wait()
	if (told[0] > 0) == (told[1] > 0) {
		t.Errorf("%s was deleted twice at once, and members were told of: %v", id, told)
	}
}

// testRenamedAtOnce: of renames at once one stands, in the room and in every membership, of
// those who come meanwhile as well.
func testRenamedAtOnce(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "many", "ann", "bob")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { _, _, _ = s.ChangeRoom(ctx, "many", rooms.RoomChange{Name: fmt.Sprint("many", i), At: at(i)}) })
		wg.Go(func() { _, _ = s.AddMember(ctx, sub("many", fmt.Sprint("new", i))) })
	}
	wg.Wait()
	r := must[*rooms.Room](t)(s.RoomByID(ctx, "many"))
	members, _, err := s.Members(ctx, "many")
	ok(t, err)
	if len(members) != 10 {
		t.Errorf("members %v", members)
	}
	for _, m := range must[[]*rooms.Subscription](t)(s.SubscriptionsIn(ctx, "many", members)) {
		if m.Name != r.Name || m.FName != r.FName {
			t.Errorf("%s calls %s %s", m.User.ID, r.Name, m.Name)
		}
	}
}
