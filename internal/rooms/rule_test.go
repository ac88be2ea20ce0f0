package rooms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/dberr"
)

// moment is n seconds into the tests.
func moment(n int) time.Time { return time.Unix(int64(n), 0).UTC() }

// An ordinary message becomes a room's last one unless a newer one is; every message
// counts.
func TestCountMessage(t *testing.T) {
	for _, c := range []struct {
		name string
		m    Message
		last string
		at   int
	}{
		{"newer", Message{ID: "new", TS: moment(11)}, "new", 11},
		{"of the same moment", Message{ID: "new", TS: moment(10)}, "new", 10},
		{"older, by its author's clock", Message{ID: "new", TS: moment(9)}, "old", 10},
		{"of the system", Message{ID: "new", TS: moment(11), Type: TypeJoined}, "old", 10},
	} {
		r := &Room{Messages: 1, LastMessage: &Message{ID: "old"}, LastAt: moment(10)}
		c.m.UpdatedAt = moment(12)
		r.CountMessage(&c.m)
		if r.Messages != 2 || r.LastMessage.ID != c.last || !r.LastAt.Equal(moment(c.at)) || !r.UpdatedAt.Equal(moment(12)) {
			t.Errorf("%s: %+v, last %s", c.name, r, r.LastMessage.ID)
		}
	}
}

// Every way to count, for somebody who is mentioned and for somebody who is not.
func TestUnreadGrows(t *testing.T) {
	for _, c := range []struct {
		e                     Unread
		mentioned             bool
		unread, users, groups int
	}{
		{Unread{}, false, 0, 0, 0},
		{Unread{}, true, 0, 1, 0},
		{Unread{CountUsers: true}, true, 1, 1, 0},
		{Unread{CountUsers: true}, false, 0, 0, 0},
		{Unread{CountGroup: true}, true, 0, 1, 0},
		{Unread{CountGroup: true, Group: true}, false, 1, 0, 1},
		{Unread{CountUsers: true, Group: true}, false, 0, 0, 1},
		{Unread{CountUsers: true, CountGroup: true, Group: true}, true, 1, 1, 1}, // once, for whatever reasons
		{Unread{CountAll: true}, false, 1, 0, 0},
		{Unread{CountAll: true, Group: true}, true, 1, 1, 1},
	} {
		s := &Subscription{Unread: 5, UserMentions: 3, GroupMentions: 2}
		s.CountUnread(c.e, c.mentioned, moment(1))
		if s.Unread-5 != c.unread || s.UserMentions-3 != c.users || s.GroupMentions-2 != c.groups {
			t.Errorf("%+v, mentioned %v: %+v", c.e, c.mentioned, s)
		}
		if !s.Alert || !s.Open || !s.UpdatedAt.Equal(moment(1)) {
			t.Errorf("%+v: nobody is alerted: %+v", c.e, s)
		}
	}
	s := &Subscription{Unread: 5, UserMentions: 3, GroupMentions: 2, Alert: true}
	s.CountOwn(&Message{TS: moment(3), UpdatedAt: moment(4)})
	if s.Unread+s.UserMentions+s.GroupMentions != 0 || s.Alert || s.Open || !s.LastSeen.Equal(moment(3)) || !s.LastReply.Equal(moment(3)) ||
		!s.UpdatedAt.Equal(moment(4)) {
		t.Errorf("the author's own: %+v", s)
	}
}

// A change of a membership says whether it changed anything, and leaves no trace when
// it did not.
func TestApply(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    Subscription
		change  SubscriptionChange
		changed bool
		open    bool
		alert   bool
		fav     bool
	}{
		{"nothing", Subscription{Open: true}, SubscriptionChange{}, false, true, false, false},
		{"open what is open", Subscription{Open: true, Alert: true}, SubscriptionChange{Open: ptr(true)}, false, true, true, false},
		{"open", Subscription{}, SubscriptionChange{Open: ptr(true)}, true, true, false, false},
		{"hide takes the alert along", Subscription{Open: true, Alert: true}, SubscriptionChange{Open: ptr(false)}, true, false, false, false},
		{"hide what is hidden", Subscription{Alert: true}, SubscriptionChange{Open: ptr(false)}, false, false, true, false},
		{"mark", Subscription{Open: true}, SubscriptionChange{Favorite: ptr(true)}, true, true, false, true},
		{"unmark what is not marked", Subscription{Open: true}, SubscriptionChange{Favorite: ptr(false)}, false, true, false, false},
		{"read opens", Subscription{Alert: true}, SubscriptionChange{Read: true}, true, true, false, false},
		{"read is always news", Subscription{Open: true}, SubscriptionChange{Read: true}, true, true, false, false},
		{"all at once", Subscription{Open: true, Alert: true}, SubscriptionChange{Open: ptr(false), Favorite: ptr(true), Read: true}, true, true, false, true},
	} {
		s := c.from
		s.Unread, s.UpdatedAt = 4, moment(1)
		c.change.At = moment(2)
		if got := s.Apply(c.change); got != c.changed || s.Open != c.open || s.Alert != c.alert || s.Favorite != c.fav {
			t.Errorf("%s: %v %+v", c.name, got, s)
		}
		if want := moment(map[bool]int{true: 2, false: 1}[c.changed]); !s.UpdatedAt.Equal(want) {
			t.Errorf("%s: changed at %v, want %v", c.name, s.UpdatedAt, want)
		}
		if read := s.Unread == 0; read != c.change.Read || read && !s.LastSeen.Equal(moment(2)) {
			t.Errorf("%s: %d unread, seen %v", c.name, s.Unread, s.LastSeen)
		}
	}
}

// Roles in the membership and in the room's list of owners go together; the last owner
// stays.
func TestSetMemberRoleAndGoing(t *testing.T) {
	for _, c := range []struct {
		name   string
		owners []string
		roles  []string
		role   string
		on     bool
		err    error
		after  string // owners, then roles
	}{
		{"a new owner", []string{"ann"}, nil, Owner, true, nil, "ann bob; owner"},
		{"an owner who moderates too", []string{"ann"}, []string{Moderator}, Owner, true, nil, "ann bob; moderator owner"},
		{"an owner twice", []string{"ann", "bob"}, []string{Owner}, Owner, true, dberr.Conflict, "ann bob; owner"},
		{"one of two owners less", []string{"ann", "bob"}, []string{Owner}, Owner, false, nil, "ann; "},
		{"the last owner less", []string{"bob"}, []string{Owner}, Owner, false, dberr.Conflict, "bob; owner"},
		{"no owner less", []string{"ann"}, nil, Owner, false, dberr.Conflict, "ann; "},
		{"a moderator", []string{"ann"}, nil, Moderator, true, nil, "ann; moderator"},
		{"a moderator less", []string{"bob"}, []string{Owner, Moderator}, Moderator, false, nil, "bob; owner"},
		{"listed, by a mistake, before the role", []string{"ann", "bob"}, nil, Owner, true, nil, "ann bob; owner"},
	} {
		r := &Room{Owners: slices.Clone(c.owners), UpdatedAt: moment(1)}
		s := &Subscription{User: Ref{ID: "bob"}, Roles: slices.Clone(c.roles), UpdatedAt: moment(1)}
		err := SetMemberRole(r, s, c.role, c.on, moment(2))
		if got := strings.Join(r.Owners, " ") + "; " + strings.Join(s.Roles, " "); !errors.Is(err, c.err) || got != c.after {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, err, c.after, c.err)
		}
		if moved := s.UpdatedAt.Equal(moment(2)); moved != (c.err == nil) {
			t.Errorf("%s: changed at %v", c.name, s.UpdatedAt)
		}
		if moved := r.UpdatedAt.Equal(moment(2)); moved != (c.err == nil && c.role == Owner) {
			t.Errorf("%s: room changed at %v", c.name, r.UpdatedAt)
		}
	}
	for _, c := range []struct {
		owners []string
		force  bool
		err    error
		left   string
	}{
		{[]string{"ann"}, false, nil, "ann"}, {[]string{"ann", "bob"}, false, nil, "ann"},
		{[]string{"bob"}, false, dberr.Conflict, "bob"}, {[]string{"bob"}, true, nil, ""}, {nil, false, nil, ""},
	} {
		r := &Room{Owners: slices.Clone(c.owners), Users: 2, Membership: 7}
		err := r.DropMember("bob", c.force, moment(2))
		if !errors.Is(err, c.err) || strings.Join(r.Owners, " ") != c.left {
			t.Errorf("bob of %v goes, force %v: %v, left %v", c.owners, c.force, err, r.Owners)
		}
		if gone := r.Users == 1 && r.Membership == 8; gone != (c.err == nil) {
			t.Errorf("bob of %v goes: %d members at change %d", c.owners, r.Users, r.Membership)
		}
	}
	empty := &Room{}
	if err := empty.DropMember("bob", false, moment(1)); err != nil || empty.Users != 0 {
		t.Errorf("a room whose count was wrong: %d, %v", empty.Users, err)
	}
}

// Marks and edits of messages: what is the same already, and what somebody else did.
func TestMessageRules(t *testing.T) {
	for _, c := range []struct {
		name string
		m    Message
		old  string
		err  error
	}{
		{"an edit", Message{Text: "a"}, "a", nil},
		{"somebody was faster", Message{Text: "b"}, "a", dberr.Conflict},
		{"of the system", Message{Text: "a", Type: TypeLeft}, "a", dberr.Conflict},
		{"hidden", Message{Text: "a", Hidden: true}, "a", dberr.Conflict},
	} {
		by := Ref{ID: "bob"}
		err := c.m.Edit(Edit{Old: c.old, Text: "new", By: by, At: moment(2)})
		by.ID = "somebody else" // a copy is kept
		if !errors.Is(err, c.err) || (c.m.Text == "new") != (c.err == nil) || c.err == nil && (c.m.EditedBy.ID != "bob" || !c.m.UpdatedAt.Equal(moment(2))) {
			t.Errorf("%s: %v %+v", c.name, err, c.m)
		}
	}
	m := &Message{}
	for i, c := range []struct {
		on      bool
		err     error
		pinned  bool
		changed int
	}{{false, dberr.Conflict, false, 0}, {true, nil, true, 1}, {true, dberr.Conflict, true, 1}, {false, nil, false, 3}} {
		err := m.SetPinned(c.on, Ref{ID: "ann"}, moment(i))
		if !errors.Is(err, c.err) || m.Pinned != c.pinned || c.changed > 0 && !m.PinnedAt.Equal(moment(c.changed)) {
			t.Errorf("pin %d: %v %+v", i, err, m)
		}
	}
	no, yes := false, true
	for i, c := range []struct {
		emoji, by    string
		on           *bool
		set, changed bool
		err          error
		left         string
	}{
		{":a:", "ann", nil, true, true, nil, ":a:ann"},
		{":a:", "ann", &yes, true, false, nil, ":a:ann"},
		{":a:", "bob", &no, false, false, nil, ":a:ann"},
		{":b:", "ann", &no, false, false, nil, ":a:ann"}, // what is not there takes no place
		{":b:", "bob", nil, true, true, nil, ":a:ann :b:bob"},
		{":c:", "bob", nil, false, false, dberr.Exhausted, ":a:ann :b:bob"},
		{":c:", "bob", &no, false, false, nil, ":a:ann :b:bob"},
		{":a:", "bob", nil, true, true, nil, ":a:ann,bob :b:bob"},
		{":a:", "ann", nil, false, true, nil, ":a:bob :b:bob"},
		{":a:", "bob", &no, false, true, nil, ":b:bob"},
		{":c:", "bob", &yes, true, true, nil, ":b:bob :c:bob"},
	} {
		before := fmt.Sprint(m.Reactions)
		names := slices.Clone(m.Reactions[c.emoji].Usernames)
		shared := m.Reactions[c.emoji].Usernames
		set, changed, err := m.SetReaction(c.emoji, c.by, c.on, 2, moment(10+i))
		var left []string
		for _, emoji := range []string{":a:", ":b:", ":c:"} {
			if r, known := m.Reactions[emoji]; known {
				left = append(left, emoji+strings.Join(r.Usernames, ","))
			}
		}
		if set != c.set || changed != c.changed || !errors.Is(err, c.err) || strings.Join(left, " ") != c.left {
			t.Errorf("reaction %d on %s: %v %v %v, %v", i, before, set, changed, err, left)
		}
		if !slices.Equal(shared, names) {
			t.Errorf("reaction %d changed a list that others may hold: %v was %v", i, shared, names)
		}
		if moved := m.UpdatedAt.Equal(moment(10 + i)); moved != changed {
			t.Errorf("reaction %d: changed at %v", i, m.UpdatedAt)
		}
	}
}

// A page ends before the message with which it would be too long, never in the middle of
// a moment, and always with something on it.
func TestFit(t *testing.T) {
	text := strings.Repeat("x", PageBytes/4) // with its parsed text more than half of a page
	list := func(moments ...int) (out []*Message) {
		for i, n := range moments {
			out = append(out, &Message{ID: fmt.Sprint(i), Text: text, TS: moment(n), UpdatedAt: moment(n)})
		}
		return out
	}
	for _, c := range []struct {
		moments []int
		n       int // with moments kept together
		cut     bool
		plain   int // by number alone
	}{
		{nil, 0, false, 0},
		{[]int{9}, 1, false, 1},
		{[]int{9, 8, 7, 6}, 1, true, 1},
		{[]int{9, 9, 9, 8}, 3, true, 1},
		{[]int{9, 9, 9, 9}, 4, false, 1},
		{[]int{9, 8, 8, 8}, 1, true, 1},
	} {
		page, cut, err := fit(list(c.moments...), written)
		if err != nil || len(page) != c.n || cut != c.cut {
			t.Errorf("%v: %d on the page, cut %v; %v; want %d, %v", c.moments, len(page), cut, err, c.n, c.cut)
		}
		page, cut, err = fit(list(c.moments...), nil)
		if err != nil || len(page) != c.plain || cut != (len(c.moments) > c.plain) {
			t.Errorf("%v by number: %d on the page, cut %v; %v", c.moments, len(page), cut, err)
		}
	}
	small := list(1, 2, 3)
	for _, m := range small {
		m.Text = "short"
	}
	if page, cut, err := fit(small, changed); err != nil || len(page) != 3 || cut {
		t.Errorf("three short ones: %d, cut %v, %v", len(page), cut, err)
	}
}

// A list of rooms keeps the last messages of those where something happened lately, and
// every room.
func TestFitRooms(t *testing.T) {
	long := func() *Message { return &Message{Text: strings.Repeat("x", PageBytes/5)} } // two in a list, with their parsed text
	rooms := []*Room{
		{ID: "oldest", LastMessage: long(), LastAt: moment(1)},
		{ID: "silent", LastAt: moment(9)},
		{ID: "newest", LastMessage: long(), LastAt: moment(8)},
		{ID: "second", LastMessage: long(), LastAt: moment(7)},
		{ID: "third", LastMessage: &Message{Text: "short"}, LastAt: moment(2)},
	}
	FitRooms(rooms)
	var shown []string
	for _, r := range rooms {
		if r.LastMessage != nil {
			shown = append(shown, r.ID)
		}
	}
	if got := strings.Join(shown, " "); len(rooms) != 5 || rooms[0].ID != "oldest" || got != "newest second third" {
		t.Errorf("shown with their last message: %s", got)
	}
}
