package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

func testMessages(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann", "bob")
	m := message("r", "m1", "ann", 10)
	m.Mentions = []rooms.Mention{{ID: "bob", Username: "bob", Type: "user"}}
	m.URLs, m.Channels = []rooms.URL{{URL: "https://x.org"}}, []rooms.ChannelRef{{ID: "r", Name: "r"}}
	m.Groupable, m.Alias = ptr(false), "robot"
	m.Bot = &rooms.Bot{Integration: "js.SDK"}
	m.Attachments = []rooms.Attachment{{Text: "card", Title: "T", TS: at(1), Fields: []rooms.AttachmentField{{Title: "a", Value: "b"}}}}
	m.Text = "nul \x00, quote \", emoji 😀, \u2028"
	post(t, s, m, rooms.Unread{})
	equal(t, must[*rooms.Message](t)(s.MessageByID(ctx, "m1")), m)
	r := must[*rooms.Room](t)(s.RoomByID(ctx, "r"))
	if r.Messages != 1 || r.LastMessage == nil || !r.LastAt.Equal(at(10)) || !r.UpdatedAt.Equal(at(10)) {
		t.Errorf("%+v", r)
	}
	equal(t, r.LastMessage, m)

	_, _, err := s.InsertMessage(ctx, message("r", "m1", "bob", 11), rooms.Unread{CountAll: true})
	fails(t, err, dberr.Duplicate)
	if r := must[*rooms.Room](t)(s.RoomByID(ctx, "r")); r.Messages != 1 {
		t.Error("a refused message counts")
	}
	_, _, err = s.InsertMessage(ctx, message("none", "m2", "bob", 11), rooms.Unread{})
	fails(t, err, dberr.NotFound)
	_, err = s.MessageByID(ctx, "m2")
	fails(t, err, dberr.NotFound)

	post(t, s, message("r", "older", "ann", 5), rooms.Unread{})
	system := message("r", "system", "ann", 20)
	system.Type = rooms.TypeJoined
	if touched := post(t, s, system, rooms.Unread{None: true}); len(touched) > 0 {
		t.Error("a system message moves counters", touched)
	}
	r = must[*rooms.Room](t)(s.RoomByID(ctx, "r"))
	if r.Messages != 3 || r.LastMessage.ID != "m1" || !r.LastAt.Equal(at(10)) {
		t.Errorf("%+v", r)
	}

	m.Pinned, m.UpdatedAt = true, at(30)
	if is := must[bool](t)(s.TouchLastMessage(ctx, m, at(30))); !is {
		t.Error("it is the last message")
	}
	if is := must[bool](t)(s.TouchLastMessage(ctx, message("r", "older", "ann", 5), at(31))); is {
		t.Error("it is not the last message")
	}
	r = must[*rooms.Room](t)(s.RoomByID(ctx, "r"))
	if !r.LastMessage.Pinned || !r.UpdatedAt.Equal(at(30)) {
		t.Errorf("%+v", r)
	}
}

func testUnread(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann", "bob", "cid", "dan")
	get := func(id string) *rooms.Subscription { return must[*rooms.Subscription](t)(s.Subscription(ctx, "r", id)) }
	type counters struct {
		unread, users, groups int
		alert                 bool
	}
	check := func(step string, want map[string]counters) {
		t.Helper()
		for id, w := range want {
			m := get(id)
			if got := (counters{m.Unread, m.UserMentions, m.GroupMentions, m.Alert}); got != w {
				t.Errorf("%s: %s has %+v, want %+v", step, id, got, w)
			}
		}
	}
	mode := rooms.Unread{CountUsers: true, CountGroup: true}
	if touched := post(t, s, message("r", "m1", "ann", 1), mode); strings.Join(touched, " ") != "bob cid dan" {
		t.Error("touched", touched)
	}
	check("plain", map[string]counters{"ann": {}, "bob": {alert: true}, "dan": {alert: true}})
	if m := get("ann"); !m.LastReply.Equal(at(1)) || !m.LastSeen.Equal(at(1)) {
		t.Errorf("author %+v", m)
	}
	if touched := post(t, s, message("r", "m2", "ann", 2), mode); len(touched) > 0 {
		t.Error("a second plain message touched", touched)
	}
	mode.Users = []string{"bob", "ann", "eve"}
	if touched := post(t, s, message("r", "m3", "ann", 3), mode); strings.Join(touched, " ") != "bob" {
		t.Error("touched", touched)
	}
	check("mention", map[string]counters{"ann": {}, "bob": {1, 1, 0, true}, "cid": {0, 0, 0, true}})
	mode.Group = true
	post(t, s, message("r", "m4", "ann", 4), mode)
	check("group and mention", map[string]counters{"ann": {}, "bob": {2, 2, 1, true}, "cid": {1, 0, 1, true}})
	post(t, s, message("r", "m5", "bob", 5), rooms.Unread{CountAll: true})
	check("all", map[string]counters{"ann": {1, 0, 0, true}, "bob": {}, "cid": {2, 0, 1, true}})
	_, _, err := s.ChangeSubscription(ctx, "r", "cid", rooms.SubscriptionChange{Read: true, At: at(6)})
	ok(t, err)
	check("read", map[string]counters{"cid": {}})
	_, _, err = s.ChangeSubscription(ctx, "r", "cid", rooms.SubscriptionChange{Open: ptr(false), At: at(7)})
	ok(t, err)
	post(t, s, message("r", "m6", "ann", 8), rooms.Unread{CountUsers: true, Users: []string{"dan"}})
	if m := get("cid"); !m.Open || !m.Alert || m.Unread != 0 {
		t.Errorf("a hidden room is shown again: %+v", m)
	}
	if m := get("dan"); m.Unread != 3 || m.UserMentions != 1 || !m.UpdatedAt.Equal(at(8)) {
		t.Errorf("%+v", m)
	}
}

func testHistory(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann")
	talk(t, s, "other", "ann")
	for i := range 10 {
		m := message("r", fmt.Sprint("m", i), "ann", i/2) // two at each moment
		switch i {
		case 3:
			m.Type = rooms.TypeJoined
		case 5:
			m.Hidden = true
		}
		post(t, s, m, rooms.Unread{None: true})
	}
	post(t, s, message("other", "x", "ann", 2), rooms.Unread{None: true})
	must[*rooms.Message](t)(s.SetPinned(ctx, "m1", true, rooms.Ref{ID: "ann"}, at(50)))
	_, _, err := s.SetStar(ctx, "m8", "bob", true, at(51))
	ok(t, err)
	for _, c := range []struct {
		q    rooms.HistoryQuery
		want string
		n    int
	}{
		{rooms.HistoryQuery{Limit: 4}, "m9 m8 m7 m6", 9},
		{rooms.HistoryQuery{}, "m9 m8 m7 m6 m4 m3 m2 m1 m0", 9},
		{rooms.HistoryQuery{Limit: 3, Offset: 7}, "m1 m0", 9},
		{rooms.HistoryQuery{OldestFirst: true, Limit: 2}, "m0 m1", 9},
		{rooms.HistoryQuery{Before: at(2)}, "m3 m2 m1 m0", 4},
		{rooms.HistoryQuery{Before: at(2), Inclusive: true}, "m4 m3 m2 m1 m0", 5},
		{rooms.HistoryQuery{After: at(3)}, "m9 m8", 2},
		{rooms.HistoryQuery{After: at(3), Before: at(4), Inclusive: true}, "m9 m8 m7 m6", 4},
		{rooms.HistoryQuery{After: at(4), Before: at(1)}, "", 0},
		{rooms.HistoryQuery{Ordinary: true, Before: at(2)}, "m2 m1 m0", 3},
		{rooms.HistoryQuery{Pinned: true}, "m1", 1},
		{rooms.HistoryQuery{StarredBy: "bob"}, "m8", 1},
		{rooms.HistoryQuery{StarredBy: "ann"}, "", 0},
	} {
		c.q.RoomID = "r"
		list := must[[]*rooms.Message](t)(s.History(ctx, c.q))
		if got := ids(list, messageID); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
		}
		if n := must[int](t)(s.CountHistory(ctx, c.q)); n != c.n {
			t.Errorf("%+v: counted %d, want %d", c.q, n, c.n)
		}
	}
	changed := must[[]*rooms.Message](t)(s.ChangedMessages(ctx, "r", rooms.Span{After: at(3), Limit: 10}))
	if got := ids(changed, messageID); got != "m8 m9 m1 m8" && got != "m9 m1 m8" {
		t.Error("changed", got)
	}
	slices.Reverse(changed)
	before := must[[]*rooms.Message](t)(s.ChangedMessages(ctx, "r", rooms.Span{Before: at(1000), Limit: len(changed)}))
	if got, want := ids(before, messageID), ids(changed, messageID); got != want {
		t.Errorf("changed before: %q, want %q", got, want)
	}
}

func testEdits(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann")
	m := message("r", "m", "ann", 1)
	m.Mentions, m.URLs = []rooms.Mention{{ID: "bob", Username: "bob"}}, []rooms.URL{{URL: "https://x.org"}}
	post(t, s, m, rooms.Unread{})
	e := rooms.Edit{Old: m.Text, Text: "new", By: rooms.Ref{ID: "cid", Username: "cid"}, At: at(5), Channels: []rooms.ChannelRef{{ID: "r", Name: "r"}}}
	got := must[*rooms.Message](t)(s.EditMessage(ctx, "m", e))
	if got.Text != "new" || got.Mentions != nil || got.URLs != nil || len(got.Channels) != 1 || got.EditedBy.ID != "cid" ||
		!got.EditedAt.Equal(at(5)) || !got.UpdatedAt.Equal(at(5)) || !got.TS.Equal(at(1)) || got.User.ID != "ann" {
		t.Errorf("%+v", got)
	}
	equal(t, must[*rooms.Message](t)(s.MessageByID(ctx, "m")), got)
	_, err := s.EditMessage(ctx, "m", e)
	fails(t, err, dberr.Conflict) // its text is another one now
	_, err = s.EditMessage(ctx, "none", e)
	fails(t, err, dberr.NotFound)
	system := message("r", "system", "ann", 2)
	system.Type = rooms.TypeLeft
	post(t, s, system, rooms.Unread{None: true})
	e.Old = system.Text
	_, err = s.EditMessage(ctx, "system", e)
	fails(t, err, dberr.Conflict)

	by := rooms.Ref{ID: "ann", Username: "ann"}
	got = must[*rooms.Message](t)(s.SetPinned(ctx, "m", true, by, at(6)))
	if !got.Pinned || *got.PinnedBy != by || !got.PinnedAt.Equal(at(6)) || !got.UpdatedAt.Equal(at(6)) {
		t.Errorf("%+v", got)
	}
	_, err = s.SetPinned(ctx, "m", true, by, at(7))
	fails(t, err, dberr.Conflict)
	if got = must[*rooms.Message](t)(s.SetPinned(ctx, "m", false, by, at(8))); got.Pinned {
		t.Errorf("%+v", got)
	}
	_, err = s.SetPinned(ctx, "m", false, by, at(9))
	fails(t, err, dberr.Conflict)
	_, err = s.SetPinned(ctx, "none", true, by, at(9))
	fails(t, err, dberr.NotFound)

	for _, step := range []struct {
		id      string
		on      bool
		changed bool
	}{{"ann", true, true}, {"ann", true, false}, {"bob", true, true}, {"ann", false, true}, {"ann", false, false}} {
		got, changed, err := s.SetStar(ctx, "m", step.id, step.on, at(10))
		ok(t, err)
		if changed != step.changed || got.StarredBy(step.id) != step.on {
			t.Errorf("%+v: changed %v, %+v", step, changed, got.Starred)
		}
	}
	if got := must[*rooms.Message](t)(s.MessageByID(ctx, "m")); len(got.Starred) != 1 || !got.StarredBy("bob") {
		t.Errorf("%+v", got.Starred)
	}
	_, _, err = s.SetStar(ctx, "none", "ann", true, at(11))
	fails(t, err, dberr.NotFound)
}

func testReactions(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann")
	post(t, s, message("r", "m", "ann", 1), rooms.Unread{})
	for i, step := range []struct {
		emoji, name  string
		on           *bool
		set, changed bool
		want         string
	}{
		{":a:", "ann", nil, true, true, ":a: ann"},
		{":a:", "bob", ptr(true), true, true, ":a: ann,bob"},
		{":a:", "bob", ptr(true), true, false, ":a: ann,bob"},
		{":b:", "bob", nil, true, true, ":a: ann,bob :b: bob"},
		{":a:", "ann", nil, false, true, ":a: bob :b: bob"},
		{":a:", "ann", ptr(false), false, false, ":a: bob :b: bob"},
		{":a:", "bob", ptr(false), false, true, ":b: bob"},
		{":+1:", "a.b-c", nil, true, true, ":+1: a.b-c :b: bob"},
	} {
		m, set, changed, err := s.SetReaction(ctx, "m", step.emoji, step.name, step.on, 2, at(10+i))
		ok(t, err)
		stored := must[*rooms.Message](t)(s.MessageByID(ctx, "m"))
		if got := reactions(stored); set != step.set || changed != step.changed || got != step.want || reactions(m) != got {
			t.Errorf("step %d: set %v changed %v, %s (answered %s)", i, set, changed, got, reactions(m))
		}
	}
	_, _, _, err := s.SetReaction(ctx, "m", ":c:", "ann", nil, 2, at(30))
	fails(t, err, dberr.Exhausted)
	if _, set, _, err := s.SetReaction(ctx, "m", ":b:", "ann", nil, 2, at(31)); err != nil || !set {
		t.Error("an emoji that is there already", set, err)
	}
	_, _, _, err = s.SetReaction(ctx, "none", ":c:", "ann", nil, 2, at(32))
	fails(t, err, dberr.NotFound)
}

func reactions(m *rooms.Message) string {
	var out []string
	for _, emoji := range []string{":+1:", ":a:", ":b:", ":c:"} {
		if r, known := m.Reactions[emoji]; known {
			out = append(out, emoji+" "+strings.Join(r.Usernames, ","))
		}
	}
	return strings.Join(out, " ")
}

func testDeletes(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann")
	for i := range 3 {
		post(t, s, message("r", fmt.Sprint("m", i), "ann", i), rooms.Unread{})
	}
	system := message("r", "system", "ann", 9)
	system.Type = rooms.TypeJoined
	post(t, s, system, rooms.Unread{None: true})
	r, was, err := s.DeleteMessage(ctx, "m1", at(20))
	ok(t, err)
	if r.Messages != 3 || r.LastMessage.ID != "m2" || was.ID != "m1" || !r.UpdatedAt.Equal(at(20)) {
		t.Errorf("%+v %+v", r, was)
	}
	_, _, err = s.DeleteMessage(ctx, "m1", at(21))
	fails(t, err, dberr.NotFound)
	if r, _, err = s.DeleteMessage(ctx, "m2", at(22)); err != nil || r.LastMessage == nil || r.LastMessage.ID != "m0" {
		t.Errorf("%+v %v", r, err)
	}
	if r, _, err = s.DeleteMessage(ctx, "m0", at(23)); err != nil || r.LastMessage != nil || r.Messages != 1 {
		t.Errorf("%+v %v", r, err)
	}
	gone := must[[]rooms.Gone](t)(s.GoneMessages(ctx, "r", rooms.Span{After: at(20), Limit: 10}))
	if got := ids(gone, func(g rooms.Gone) string { return g.ID }); got != "m2 m0" {
		t.Error("gone", got)
	}
	if got := must[[]rooms.Gone](t)(s.GoneMessages(ctx, "r", rooms.Span{After: at(0), Limit: 1})); len(got) != 1 || got[0].ID != "m1" {
		t.Error("gone, limited", got)
	}
	// Backwards, the newest first; neither end is in a span.
	gone = must[[]rooms.Gone](t)(s.GoneMessages(ctx, "r", rooms.Span{Before: at(23), Limit: 10}))
	if got := ids(gone, func(g rooms.Gone) string { return g.ID }); got != "m2 m1" {
		t.Error("gone before", got)
	}
	if got := must[[]rooms.Gone](t)(s.GoneMessages(ctx, "r", rooms.Span{Before: at(20), Limit: 10})); len(got) != 0 {
		t.Error("gone before the first", got)
	}
}
