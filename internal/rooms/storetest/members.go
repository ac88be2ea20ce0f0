package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// at is epoch as stores keep it, n milliseconds later.
func at(n int) time.Time {
	return epoch.Truncate(time.Millisecond).Add(time.Duration(n) * time.Millisecond)
}

func channel(id string) *rooms.Room {
	return &rooms.Room{ID: id, Type: rooms.Channel, Name: id, FName: id, NameKey: user.Key(id), TS: at(0), UpdatedAt: at(0)}
}

func sub(room, id string, roles ...string) *rooms.Subscription {
	return &rooms.Subscription{
		ID: room + "/" + id, RoomID: room, Type: rooms.Channel, Name: room, User: rooms.Ref{ID: id, Username: id, Name: strings.ToUpper(id)},
		UserKey: id, Open: true, Roles: roles, TS: at(0), UpdatedAt: at(0),
	}
}

// talk makes a channel with members, the first of whom owns it.
func talk(t testing.TB, s Store, id string, members ...string) *rooms.Room {
	t.Helper()
	r := channel(id)
	var subs []*rooms.Subscription
	for i, m := range members {
		if i == 0 {
			subs = append(subs, sub(id, m, rooms.Owner))
			r.Owners = []string{m}
		} else {
			subs = append(subs, sub(id, m))
		}
	}
	r.Users, r.Membership = len(subs), 1
	ok(t, s.CreateRoom(t.Context(), r, subs))
	return r
}

func message(room, id, by string, ms int) *rooms.Message {
	return &rooms.Message{ID: id, RoomID: room, Text: "text of " + id, TS: at(ms), UpdatedAt: at(ms), User: rooms.Ref{ID: by, Username: by}}
}

func post(t testing.TB, s Store, m *rooms.Message, e rooms.Unread) []string {
	t.Helper()
	_, touched, err := s.InsertMessage(t.Context(), m, e)
	ok(t, err)
	slices.Sort(touched)
	return touched
}

func testRooms(t *testing.T, s Store) {
	ctx := t.Context()
	r := channel("Lobby")
	r.Creator, r.Topic, r.Default, r.Owners = &rooms.Ref{ID: "ann", Username: "ann"}, "talk", true, []string{"ann"}
	ok(t, s.CreateRoom(ctx, r, []*rooms.Subscription{sub("Lobby", "ann", rooms.Owner)}))
	got := must[*rooms.Room](t)(s.RoomByID(ctx, "Lobby"))
	equal(t, got, r)
	equal(t, must[*rooms.Room](t)(s.RoomByName(ctx, "lobby")), r)
	_, err := s.RoomByName(ctx, "Lobby")
	fails(t, err, dberr.NotFound)
	_, err = s.RoomByID(ctx, "none")
	fails(t, err, dberr.NotFound)

	other := channel("x1")
	other.NameKey = "lobby"
	fails(t, s.CreateRoom(ctx, other, []*rooms.Subscription{sub("x1", "bob")}), dberr.Duplicate)
	if ids := must[[]string](t)(s.RoomIDsOf(ctx, "bob")); len(ids) > 0 {
		t.Error("a refused room left memberships", ids)
	}
	again := channel("Lobby")
	again.NameKey = "free"
	fails(t, s.CreateRoom(ctx, again, nil), dberr.Duplicate)

	direct := &rooms.Room{ID: "annbob", Type: rooms.Direct, DirectKey: "ann,bob", UserIDs: []string{"ann", "bob"}, Usernames: []string{"ann", "bob"}, TS: at(0),
		UpdatedAt: at(0)}
	ok(t, s.CreateRoom(ctx, direct, []*rooms.Subscription{sub("annbob", "ann"), sub("annbob", "bob")}))
	equal(t, must[*rooms.Room](t)(s.RoomByDirectKey(ctx, "ann,bob")), direct)
	direct2 := *direct
	direct2.ID = "other"
	fails(t, s.CreateRoom(ctx, &direct2, nil), dberr.Duplicate)

	for i := range 5 {
		ok(t, s.CreateRoom(ctx, channel(fmt.Sprint("room", 4-i)), nil))
	}
	page, total, err := s.ListRooms(ctx, rooms.RoomQuery{Types: []string{rooms.Channel}, Offset: 1, Count: 3})
	ok(t, err)
	if names := ids(page, func(r *rooms.Room) string { return r.ID }); total != 6 || names != "room0 room1 room2" {
		t.Errorf("page %s of %d", names, total)
	}
	if page, total, err := s.ListRooms(ctx, rooms.RoomQuery{Types: []string{rooms.Channel}}); err != nil || total != 6 || len(page) != 0 {
		t.Error("a page of nothing", page, total, err)
	}
	for _, c := range []struct {
		q     rooms.RoomQuery
		want  string
		total int
	}{
		{rooms.RoomQuery{Count: 9}, "", 0},
		{rooms.RoomQuery{Types: []string{rooms.Channel, rooms.Direct}, Count: 2}, "annbob Lobby", 7}, // who has no name comes first
		{rooms.RoomQuery{Types: []string{rooms.Channel, rooms.Direct}, Begins: "room", Offset: 3, Count: 9}, "room3 room4", 5},
		{rooms.RoomQuery{Types: []string{rooms.Channel}, Begins: "room4", Count: 9}, "room4", 1},
		{rooms.RoomQuery{Types: []string{rooms.Channel}, Begins: "room%", Count: 9}, "", 0},
		{rooms.RoomQuery{Types: []string{rooms.Group}, Begins: "room", Count: 9}, "", 0},
	} {
		list, n, err := s.ListRooms(ctx, c.q)
		ok(t, err)
		if got := ids(list, func(r *rooms.Room) string { return r.ID }); got != c.want || n != c.total {
			t.Errorf("%+v: %q of %d", c.q, got, n)
		}
	}
	if d := must[[]*rooms.Room](t)(s.DefaultRooms(ctx)); len(d) != 1 || d[0].ID != "Lobby" {
		t.Error("default rooms", d)
	}
	ann := sub("room0", "ann")
	ann.UpdatedAt = at(9)
	must[*rooms.Room](t)(s.AddMember(ctx, ann))
	found := must[[]*rooms.Room](t)(s.RoomsByIDs(ctx, []string{"Lobby", "room1", "none"}, time.Time{}))
	if len(found) != 2 {
		t.Error("rooms by id", found)
	}
	found = must[[]*rooms.Room](t)(s.RoomsByIDs(ctx, []string{"Lobby", "room0"}, at(9)))
	if len(found) != 1 || found[0].ID != "room0" {
		t.Error("rooms changed since", found)
	}
}

// ids joins what name says of each, in the order given.
func ids[T any](list []T, name func(T) string) string {
	var out []string
	for _, v := range list {
		out = append(out, name(v))
	}
	return strings.Join(out, " ")
}

func subID(s *rooms.Subscription) string { return s.User.ID }

func messageID(m *rooms.Message) string { return m.ID }

func testMembers(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann")
	_, err := s.AddMember(ctx, sub("none", "bob"))
	fails(t, err, dberr.NotFound)
	if got := must[[]string](t)(s.RoomIDsOf(ctx, "bob")); len(got) > 0 {
		t.Error("a membership of no room", got)
	}
	bob := sub("r", "bob")
	bob.UpdatedAt = at(5)
	room := must[*rooms.Room](t)(s.AddMember(ctx, bob))
	if room.Users != 2 || room.Membership != 2 || !room.UpdatedAt.Equal(at(5)) {
		t.Errorf("%+v", room)
	}
	twice := sub("r", "bob")
	twice.ID = "another"
	_, err = s.AddMember(ctx, twice)
	fails(t, err, dberr.Duplicate)
	if room := must[*rooms.Room](t)(s.RoomByID(ctx, "r")); room.Users != 2 || room.Membership != 2 {
		t.Errorf("a refused member counts: %+v", room)
	}
	equal(t, must[*rooms.Subscription](t)(s.Subscription(ctx, "r", "bob")), bob)
	_, err = s.Subscription(ctx, "r", "eve")
	fails(t, err, dberr.NotFound)
	for _, id := range []string{"dan", "cid"} {
		must[*rooms.Room](t)(s.AddMember(ctx, sub("r", id)))
	}
	members, counter, err := s.Members(ctx, "r")
	ok(t, err)
	slices.Sort(members)
	if strings.Join(members, " ") != "ann bob cid dan" || counter != 4 {
		t.Error("members", members, counter)
	}
	_, _, err = s.Members(ctx, "none")
	fails(t, err, dberr.NotFound)
	page, total, err := s.ListMembers(ctx, "r", 1, 2)
	ok(t, err)
	if got := ids(page, subID); got != "bob cid" || total != 4 {
		t.Error("page", got, total)
	}
	found := must[[]*rooms.Subscription](t)(s.SubscriptionsIn(ctx, "r", []string{"dan", "eve", "ann"}))
	if len(found) != 2 {
		t.Error("subscriptions in", found)
	}

	room, was, err := s.RemoveMember(ctx, "r", "bob", false, at(7))
	ok(t, err)
	if room.Users != 3 || room.Membership != 5 || was.ID != "r/bob" {
		t.Errorf("%+v %+v", room, was)
	}
	_, _, err = s.RemoveMember(ctx, "r", "bob", false, at(8))
	fails(t, err, dberr.NotFound)
	if room := must[*rooms.Room](t)(s.RoomByID(ctx, "r")); room.Users != 3 || room.Membership != 5 {
		t.Errorf("%+v", room)
	}
	gone := must[[]rooms.Gone](t)(s.GoneSubscriptions(ctx, "bob", at(7)))
	if len(gone) != 1 || gone[0].ID != "r/bob" || gone[0].RoomID != "r" || !gone[0].DeletedAt.Equal(at(7)) {
		t.Error("gone", gone)
	}
	if gone := must[[]rooms.Gone](t)(s.GoneSubscriptions(ctx, "bob", at(8))); len(gone) > 0 {
		t.Error("gone", gone)
	}
	ok(t, s.SweepGone(ctx, at(8)))
	if gone := must[[]rooms.Gone](t)(s.GoneSubscriptions(ctx, "bob", at(0))); len(gone) > 0 {
		t.Error("gone after the sweep", gone)
	}
	must[*rooms.Room](t)(s.AddMember(ctx, sub("r", "bob"))) // back again
}

func testOwners(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann", "bob", "cid")
	_, _, err := s.RemoveMember(ctx, "r", "ann", false, at(1))
	fails(t, err, dberr.Conflict)
	if _, err := s.Subscription(ctx, "r", "ann"); err != nil {
		t.Error("the last owner is gone", err)
	}
	_, err = s.SetMemberRole(ctx, "r", "ann", rooms.Owner, false, at(1))
	fails(t, err, dberr.Conflict)
	_, err = s.SetMemberRole(ctx, "r", "ann", rooms.Owner, true, at(1))
	fails(t, err, dberr.Conflict)
	_, err = s.SetMemberRole(ctx, "r", "eve", rooms.Owner, true, at(1))
	fails(t, err, dberr.NotFound)
	m := must[*rooms.Subscription](t)(s.SetMemberRole(ctx, "r", "bob", rooms.Moderator, true, at(2)))
	if !m.HasRole(rooms.Moderator) || !m.UpdatedAt.Equal(at(2)) {
		t.Errorf("%+v", m)
	}
	m = must[*rooms.Subscription](t)(s.SetMemberRole(ctx, "r", "bob", rooms.Owner, true, at(3)))
	if !m.HasRole(rooms.Owner) || !m.HasRole(rooms.Moderator) {
		t.Errorf("%+v", m)
	}
	if got := ids(must[[]*rooms.Subscription](t)(s.MembersWithRole(ctx, "r")), subID); got != "ann bob" {
		t.Error("roles", got)
	}
	r, _, err := s.RemoveMember(ctx, "r", "ann", false, at(4))
	ok(t, err)
	if !slices.Equal(r.Owners, []string{"bob"}) {
		t.Error("owners", r.Owners)
	}
	_, err = s.SetMemberRole(ctx, "r", "bob", rooms.Owner, false, at(5))
	fails(t, err, dberr.Conflict)
	m = must[*rooms.Subscription](t)(s.SetMemberRole(ctx, "r", "bob", rooms.Moderator, false, at(5)))
	if m.HasRole(rooms.Moderator) || !m.HasRole(rooms.Owner) {
		t.Errorf("%+v", m)
	}
	if _, _, err := s.RemoveMember(ctx, "r", "bob", true, at(6)); err != nil {
		t.Error("forced removal of the last owner", err)
	}
}

func testSubscriptions(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann", "bob")
	talk(t, s, "q", "bob")
	change := func(c rooms.SubscriptionChange) (*rooms.Subscription, bool) {
		t.Helper()
		m, changed, err := s.ChangeSubscription(ctx, "r", "bob", c)
		ok(t, err)
		equal(t, must[*rooms.Subscription](t)(s.Subscription(ctx, "r", "bob")), m)
		return m, changed
	}
	if m, changed := change(rooms.SubscriptionChange{Open: ptr(true), At: at(1)}); changed || !m.UpdatedAt.Equal(at(0)) {
		t.Errorf("opening what is open: %+v", m)
	}
	if m, changed := change(rooms.SubscriptionChange{Open: ptr(false), At: at(2)}); !changed || m.Open || !m.UpdatedAt.Equal(at(2)) {
		t.Errorf("%+v", m)
	}
	if m, changed := change(rooms.SubscriptionChange{Favorite: ptr(true), At: at(3)}); !changed || !m.Favorite {
		t.Errorf("%+v", m)
	}
	if _, changed := change(rooms.SubscriptionChange{Favorite: ptr(true), At: at(4)}); changed {
		t.Error("a favorite twice")
	}
	if m, changed := change(rooms.SubscriptionChange{Favorite: ptr(false), At: at(5)}); !changed || m.Favorite {
		t.Errorf("%+v", m)
	}
	if _, changed := change(rooms.SubscriptionChange{Favorite: ptr(false), At: at(5)}); changed {
		t.Error("no favorite twice")
	}
	if m, changed := change(rooms.SubscriptionChange{Read: true, At: at(6)}); !changed || !m.LastSeen.Equal(at(6)) || !m.Open {
		t.Errorf("%+v", m)
	}
	if m, changed := change(rooms.SubscriptionChange{UnreadFrom: at(2), At: at(7)}); !changed || !m.LastSeen.Equal(at(2)) || !m.Alert || !m.Open {
		t.Errorf("unread again: %+v", m)
	}
	for i, c := range []struct {
		change rooms.SubscriptionChange
		does   bool
		left   string
	}{
		{rooms.SubscriptionChange{Heed: "ann"}, false, ""}, {rooms.SubscriptionChange{Ignore: "ann"}, true, "ann"},
		{rooms.SubscriptionChange{Ignore: "ann"}, false, "ann"}, {rooms.SubscriptionChange{Ignore: "cid"}, true, "ann cid"},
		{rooms.SubscriptionChange{Heed: "ann"}, true, "cid"},
	} {
		c.change.At = at(8 + i)
		if m, changed := change(c.change); changed != c.does || strings.Join(m.Ignored, " ") != c.left {
			t.Errorf("%+v: changed %v, ignored are %v", c.change, changed, m.Ignored)
		}
	}
	for i := range rooms.MaxIgnored + 1 {
		change(rooms.SubscriptionChange{Ignore: fmt.Sprint("i", i), At: at(20)})
	}
	if m := must[*rooms.Subscription](t)(s.Subscription(ctx, "r", "bob")); len(m.Ignored) != rooms.MaxIgnored {
		t.Errorf("%d are ignored", len(m.Ignored))
	}
	_, _, err := s.ChangeSubscription(ctx, "r", "eve", rooms.SubscriptionChange{Read: true, At: at(6)})
	fails(t, err, dberr.NotFound)

	if list := must[[]*rooms.Subscription](t)(s.SubscriptionsOf(ctx, "bob", time.Time{})); len(list) != 2 {
		t.Error("all", list)
	}
	if list := must[[]*rooms.Subscription](t)(s.SubscriptionsOf(ctx, "bob", at(6))); len(list) != 1 || list[0].RoomID != "r" {
		t.Error("changed since", list)
	}
	in := must[[]string](t)(s.RoomIDsOf(ctx, "bob"))
	slices.Sort(in)
	if strings.Join(in, " ") != "q r" {
		t.Error("rooms", in)
	}
	ok(t, s.RenameUser(ctx, rooms.Ref{ID: "bob", Username: "Zoe", Name: "Zoe Z."}, at(9)))
	m := must[*rooms.Subscription](t)(s.Subscription(ctx, "q", "bob"))
	if m.User.Username != "Zoe" || m.User.Name != "Zoe Z." || m.UserKey != "zoe" || !m.UpdatedAt.Equal(at(9)) {
		t.Errorf("%+v", m)
	}
	page, _, err := s.ListMembers(ctx, "r", 0, 5)
	ok(t, err)
	if got := ids(page, subID); got != "ann bob" {
		t.Error("order by the new name", got)
	}
}

func testPresence(t *testing.T, s Store) {
	ctx := t.Context()
	create(t, s, "ann")
	create(t, s, "bob")
	save := func(node string, now int, states ...rooms.Presence) string {
		t.Helper()
		out := must[[]rooms.Presence](t)(s.SavePresence(ctx, node, states, at(now), at(now-100)))
		return ids(out, func(p rooms.Presence) string { return p.UserID + ":" + p.Status })
	}
	if got := save("n1", 1000, rooms.Presence{UserID: "ann", Status: rooms.Away}, rooms.Presence{UserID: "bob",
		Status: rooms.Online}); got != "ann:away bob:online" {
		t.Error(got)
	}
	if got := save("n2", 1000, rooms.Presence{UserID: "ann", Status: rooms.Online}); got != "ann:online" {
		t.Error(got)
	}
	if got := save("n2", 1001, rooms.Presence{UserID: "ann"}); got != "ann:away" {
		t.Error(got)
	}
	if got := save("n1", 1002, rooms.Presence{UserID: "ann"}, rooms.Presence{UserID: "eve"}); got != "ann: eve:" {
		t.Error(got)
	}
	save("n1", 1003, rooms.Presence{UserID: "ann", Status: rooms.Online})
	save("n2", 1003, rooms.Presence{UserID: "ann", Status: rooms.Away})
	ok(t, s.TouchNode(ctx, "n2", at(2000)))
	if got := save("n3", 2000); got != "" {
		t.Error(got)
	}
	// n1 was not seen lately: its word does not count, and the sweep forgets it.
	if got := save("n3", 2001, rooms.Presence{UserID: "ann"}); got != "ann:away" {
		t.Error(got)
	}
	lost := must[[]rooms.Presence](t)(s.SweepPresence(ctx, at(1900)))
	slices.SortFunc(lost, func(a, b rooms.Presence) int { return strings.Compare(a.UserID, b.UserID) })
	if got := ids(lost, func(p rooms.Presence) string { return p.UserID + ":" + p.Status }); got != "ann:away bob:" {
		t.Error(got)
	}
	if lost := must[[]rooms.Presence](t)(s.SweepPresence(ctx, at(1900))); len(lost) > 0 {
		t.Error("swept twice", lost)
	}

	changed := must[[]*user.User](t)(s.SaveStatuses(ctx, map[string]string{"ann": rooms.Busy, "bob": rooms.Offline, "eve": rooms.Online}, at(5)))
	if got := ids(changed, func(u *user.User) string { return u.ID + ":" + u.Status }); got != "ann:busy bob:offline" && got != "bob:offline ann:busy" {
		t.Error(got)
	}
	if u := must[*user.User](t)(s.UserByID(ctx, "ann")); u.Status != rooms.Busy || !u.UpdatedAt.Equal(at(5)) {
		t.Errorf("%+v", u)
	}
	if changed := must[[]*user.User](t)(s.SaveStatuses(ctx, map[string]string{"ann": rooms.Busy}, at(6))); len(changed) > 0 {
		t.Error("changed twice", changed)
	}
	if got := ids(must[[]*user.User](t)(s.UsersNotOffline(ctx, 10)), func(u *user.User) string { return u.ID }); got != "ann" {
		t.Error("not offline", got)
	}
	must[[]*user.User](t)(s.SaveStatuses(ctx, map[string]string{"ann": rooms.Offline}, at(7)))
	if got := must[[]*user.User](t)(s.UsersNotOffline(ctx, 10)); len(got) > 0 {
		t.Error("not offline", got)
	}
	users := must[[]*user.User](t)(s.UsersByUsernames(ctx, []string{"bob", "none", "ann"}))
	if len(users) != 2 || len(must[[]*user.User](t)(s.UsersByIDs(ctx, []string{"bob", "none"}))) != 1 {
		t.Error("users", users)
	}
}

// testChatRaces: of fifty at once, exactly one wins what is there once, and
// nothing that counts is lost.
func testChatRaces(t *testing.T, s Store) {
	const n = 50
	talk(t, s, "r", "u0", "ann")
	at50 := func(do func(ctx context.Context, i int) error) (good, refused int64) {
		t.Helper()
		var wg sync.WaitGroup
		var won, lost atomic.Int64
		for i := range n {
			wg.Go(func() {
				switch err := do(t.Context(), i); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, dberr.Duplicate), errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return won.Load(), lost.Load()
	}
	one := func(what string, do func(ctx context.Context, i int) error) {
		t.Helper()
		if good, _ := at50(do); good != 1 {
			t.Errorf("%s: %d winners", what, good)
		}
	}
	all := func(what string, do func(ctx context.Context, i int) error) {
		t.Helper()
		if good, _ := at50(do); good != n {
			t.Errorf("%s: %d of %d", what, good, n)
		}
	}
	one("room name", func(ctx context.Context, i int) error {
		r := channel(fmt.Sprint("race", i))
		r.NameKey = "race"
		return s.CreateRoom(ctx, r, nil)
	})
	one("direct room", func(ctx context.Context, i int) error {
		return s.CreateRoom(ctx, &rooms.Room{ID: fmt.Sprint("d", i), Type: rooms.Direct, DirectKey: "a,b", TS: at(0), UpdatedAt: at(0)}, nil)
	})
	one("seat", func(ctx context.Context, i int) error {
		m := sub("r", "bob")
		m.ID = fmt.Sprint("seat", i)
		_, err := s.AddMember(ctx, m)
		return err
	})
	one("leaving", func(ctx context.Context, _ int) error {
		_, _, err := s.RemoveMember(ctx, "r", "bob", false, at(1))
		return err
	})
	all("members", func(ctx context.Context, i int) error {
		_, err := s.AddMember(ctx, sub("r", fmt.Sprint("v", i)))
		return err
	})
	r := must[*rooms.Room](t)(s.RoomByID(t.Context(), "r"))
	if r.Users != n+2 || r.Membership != n+3 {
		t.Errorf("%d members, counter %d", r.Users, r.Membership)
	}
	all("messages", func(ctx context.Context, i int) error {
		_, _, err := s.InsertMessage(ctx, message("r", fmt.Sprint("m", i), "u0", i), rooms.Unread{CountAll: true})
		return err
	})
	one("message id", func(ctx context.Context, _ int) error {
		_, _, err := s.InsertMessage(ctx, message("r", "same", "u0", 5), rooms.Unread{None: true})
		return err
	})
	r = must[*rooms.Room](t)(s.RoomByID(t.Context(), "r"))
	if r.Messages != n+1 || r.LastMessage.ID != "m49" {
		t.Errorf("%d messages, last %s", r.Messages, r.LastMessage.ID)
	}
	if m := must[*rooms.Subscription](t)(s.Subscription(t.Context(), "r", "ann")); m.Unread != n {
		t.Errorf("%d unread", m.Unread)
	}
	one("pin", func(ctx context.Context, _ int) error {
		_, err := s.SetPinned(ctx, "m0", true, rooms.Ref{ID: "u0"}, at(1))
		return err
	})
	one("edit", func(ctx context.Context, i int) error {
		_, err := s.EditMessage(ctx, "m1", rooms.Edit{Old: "text of m1", Text: fmt.Sprint("edit ", i), By: rooms.Ref{ID: fmt.Sprint(i)}, At: at(i)})
		return err
	})
	if m := must[*rooms.Message](t)(s.MessageByID(t.Context(), "m1")); m.Text != "edit "+m.EditedBy.ID {
		t.Errorf("half an edit: %+v", m)
	}
	all("reactions", func(ctx context.Context, i int) error {
		_, _, _, err := s.SetReaction(ctx, "m2", ":a:", fmt.Sprint("n", i), ptr(true), 10, at(i))
		return err
	})
	all("stars", func(ctx context.Context, i int) error {
		_, _, err := s.SetStar(ctx, "m2", fmt.Sprint("n", i), true, at(i))
		return err
	})
	if m := must[*rooms.Message](t)(s.MessageByID(t.Context(), "m2")); len(m.Reactions[":a:"].Usernames) != n || len(m.Starred) != n {
		t.Errorf("%d reactions, %d stars", len(m.Reactions[":a:"].Usernames), len(m.Starred))
	}
	all("reactions taken back", func(ctx context.Context, i int) error {
		_, _, _, err := s.SetReaction(ctx, "m2", ":a:", fmt.Sprint("n", i), ptr(false), 10, at(i))
		return err
	})
	if m := must[*rooms.Message](t)(s.MessageByID(t.Context(), "m2")); len(m.Reactions) > 0 {
		t.Errorf("left: %+v", m.Reactions)
	}
	one("delete", func(ctx context.Context, _ int) error {
		_, _, err := s.DeleteMessage(ctx, "m3", at(1))
		return err
	})
	if r := must[*rooms.Room](t)(s.RoomByID(t.Context(), "r")); r.Messages != n {
		t.Errorf("%d messages", r.Messages)
	}
	// Two owners leave at once: one of them has to stay.
	must[*rooms.Subscription](t)(s.SetMemberRole(t.Context(), "r", "ann", rooms.Owner, true, at(1)))
	one("last owner", func(ctx context.Context, i int) error {
		_, _, err := s.RemoveMember(ctx, "r", []string{"u0", "ann"}[i%2], false, at(2))
		return err
	})
	if list := must[[]*rooms.Subscription](t)(s.MembersWithRole(t.Context(), "r")); len(list) != 1 {
		t.Errorf("%d owners", len(list))
	}
}
