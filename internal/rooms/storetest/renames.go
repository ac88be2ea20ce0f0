package storetest

import (
	"strings"
	"testing"

	"ddpserver/internal/rooms"
)

// testRenames: direct rooms have no name but those of their sides; when one of them is
// renamed, the others find it under the new name, and nobody else's rooms change.
func testRenames(t *testing.T, s Store) {
	ctx := t.Context()
	direct := func(id string, members ...string) {
		t.Helper()
		r := &rooms.Room{ID: id, Type: rooms.Direct, DirectKey: rooms.DirectKey(members), UserIDs: members, Usernames: members, Users: len(members), TS: at(0),
			UpdatedAt: at(0)}
		var subs []*rooms.Subscription
		for _, m := range members {
			other := strings.Join(without(members, m), ", ")
			x := sub(id, m)
			x.Type, x.Name, x.FName = rooms.Direct, other, strings.ToUpper(other)
			subs = append(subs, x)
		}
		ok(t, s.CreateRoom(ctx, r, subs))
	}
	direct("duo", "ann", "bob")
	direct("trio", "ann", "bob", "cid")
	direct("self", "ann")
	direct("others", "bob", "cid")
	talk(t, s, "team", "ann", "bob")
	check := func(step, room, usernames string, calls map[string]string) {
		t.Helper()
		if r := must[*rooms.Room](t)(s.RoomByID(ctx, room)); strings.Join(r.Usernames, " ") != usernames {
			t.Errorf("%s: %s of %q, want %q", step, room, r.Usernames, usernames)
		}
		for who, want := range calls {
			m := must[*rooms.Subscription](t)(s.Subscription(ctx, room, who))
			if got := m.Name + "/" + m.FName; got != want {
				t.Errorf("%s: %s calls %s %q, want %q", step, who, room, got, want)
			}
		}
	}
	ok(t, s.RenameUser(ctx, rooms.Ref{ID: "ann", Username: "anna", Name: "Anna A."}, at(5)))
	check("anna", "duo", "anna bob", map[string]string{"ann": "bob/BOB", "bob": "anna/Anna A."})
	check("anna", "trio", "anna bob cid", map[string]string{"ann": "bob, cid/BOB, CID", "bob": "anna, cid/Anna A., CID", "cid": "anna, bob/Anna A., BOB"})
	check("anna", "self", "anna", map[string]string{"ann": "anna/Anna A."})
	check("anna", "others", "bob cid", map[string]string{"bob": "cid/CID", "cid": "bob/BOB"})
	check("anna", "team", "", map[string]string{"ann": "team/", "bob": "team/"})
	// Whoever asks what changed since is told of what is called otherwise, and of nothing else.
	changed := must[[]*rooms.Subscription](t)(s.SubscriptionsOf(ctx, "bob", at(5)))
	if got := sorted(changed, func(m *rooms.Subscription) string { return m.RoomID }); got != "duo trio" {
		t.Errorf("changed for bob: %s", got)
	}
	if r := must[*rooms.Room](t)(s.RoomByID(ctx, "duo")); !r.UpdatedAt.Equal(at(5)) {
		t.Errorf("the room changed at %v", r.UpdatedAt)
	}
	// Without a full name the user name stands for it.
	ok(t, s.RenameUser(ctx, rooms.Ref{ID: "bob", Username: "rob"}, at(6)))
	check("rob", "duo", "anna rob", map[string]string{"ann": "rob/rob", "bob": "anna/Anna A."})
	// Where a side is gone, the name that is there stays.
	_, _, err := s.RemoveMember(ctx, "duo", "ann", true, at(7))
	ok(t, err)
	ok(t, s.RenameUser(ctx, rooms.Ref{ID: "bob", Username: "robert"}, at(8)))
	check("robert", "duo", "anna rob", map[string]string{"bob": "anna/Anna A."})
	check("robert", "others", "robert cid", map[string]string{"cid": "robert/robert"})
}

// without is a list without one of its elements, or the whole where there is no other.
func without(list []string, one string) (out []string) {
	for _, v := range list {
		if v != one || len(list) == 1 {
			out = append(out, v)
		}
	}
	return out
}
