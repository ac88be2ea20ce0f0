package storetest

import (
	order "cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// model is one room as the rules of package rooms leave it: what a store must hold
// after the same operations.
type model struct {
	room     *rooms.Room
	subs     map[string]*rooms.Subscription // by user
	messages map[string]*rooms.Message      // by id
	gone     map[string]bool                // ids of what was deleted
}

// copied is a model of its own.
func (m *model) copied() *model {
	room := *m.room
	room.Owners, room.CustomFields = slices.Clone(m.room.Owners), maps.Clone(m.room.CustomFields)
	next := &model{room: &room, subs: map[string]*rooms.Subscription{}, messages: map[string]*rooms.Message{}, gone: maps.Clone(m.gone)}
	for id, s := range m.subs {
		c := *s
		c.Roles, c.Threads, c.UserThreads, c.GroupThreads = slices.Clone(s.Roles), slices.Clone(s.Threads), slices.Clone(s.UserThreads), slices.Clone(s.GroupThreads)
		next.subs[id] = &c
	}
	for id, x := range m.messages {
		next.messages[id] = copyMessage(x)
	}
	if l := m.room.LastMessage; l != nil {
		room.LastMessage = copyMessage(l)
	}
	return next
}

func copyMessage(m *rooms.Message) *rooms.Message {
	c := *m
	c.Starred, c.Reactions, c.Followers = slices.Clone(m.Starred), maps.Clone(m.Reactions), slices.Clone(m.Followers)
	return &c
}

// insert is InsertMessage.
func (m *model) insert(x *rooms.Message, e rooms.Unread) (string, error) {
	if m.messages[x.ID] != nil {
		return "", dberr.Duplicate
	}
	if e.Thread != "" {
		parent := m.messages[e.Thread]
		if parent == nil || !parent.Answerable(m.room.ID) {
			return "", dberr.Conflict
		}
		parent.CountReply(x, e.Follow)
	}
	m.messages[x.ID] = x
	m.room.CountMessage(copyMessage(x))
	var touched []string
	for id, s := range m.subs {
		mentioned, told := slices.Contains(e.Users, id), false
		switch {
		case id == x.User.ID && x.Aside():
			s.CountOwnReply(x)
		case id == x.User.ID:
			s.CountOwn(x)
		default:
			if !x.Aside() && (e.CountAll || e.Group || mentioned || !s.Alert || !s.Open) {
				s.CountUnread(e, mentioned, x.UpdatedAt)
				told = true
			}
			if slices.Contains(e.Tell, id) && s.CountThread(x, mentioned, e.Group) || told {
				touched = append(touched, id)
			}
		}
	}
	slices.Sort(touched)
	return told(m.room) + strings.Join(touched, ","), nil
}

// remove is DeleteMessage.
func (m *model) remove(id string, when time.Time) (string, error) {
	x := m.messages[id]
	if x == nil {
		return "", dberr.NotFound
	}
	delete(m.messages, id)
	m.gone[id] = true
	m.dropThread(x, when)
	last := m.newest(func(o *rooms.Message) bool { return o.Type == "" && !o.Aside() })
	m.room.DropMessage(x, last, when)
	return told(m.room) + x.Text, nil
}

// dropThread is what a deletion does to a thread.
func (m *model) dropThread(x *rooms.Message, when time.Time) {
	if parent := m.messages[x.ThreadID]; parent != nil {
		var at time.Time
		if newest := m.newest(func(o *rooms.Message) bool { return o.ThreadID == parent.ID }); newest != nil {
			at = newest.TS
		}
		parent.DropReply(at, when)
	}
	for _, o := range m.messages {
		if o.ThreadID == x.ID {
			o.Free(when)
		}
	}
}

// newest is a copy of the newest of the messages that are kept, or nil.
func (m *model) newest(keep func(*rooms.Message) bool) *rooms.Message {
	var last *rooms.Message
	for _, o := range m.messages {
		if keep(o) && (last == nil || o.TS.After(last.TS)) {
			last = copyMessage(o)
		}
	}
	return last
}

// stored reads from a store what a model of that room holds.
func stored(t testing.TB, s Store, room string) *model {
	t.Helper()
	ctx := t.Context()
	m := &model{room: must[*rooms.Room](t)(s.RoomByID(ctx, room)), subs: map[string]*rooms.Subscription{}, messages: map[string]*rooms.Message{},
		gone: map[string]bool{}}
	for _, x := range must[[]*rooms.Subscription](t)(s.SubscriptionsIn(ctx, room, people)) {
		m.subs[x.User.ID] = x
	}
	for _, x := range must[[]*rooms.Message](t)(s.History(ctx, rooms.HistoryQuery{RoomID: room})) {
		m.messages[x.ID] = x
	}
	for _, g := range must[[]rooms.Gone](t)(s.GoneMessages(ctx, room, rooms.Span{Limit: 1000})) {
		m.gone[g.ID] = true
	}
	for _, p := range people {
		for _, g := range must[[]rooms.Gone](t)(s.GoneSubscriptions(ctx, p, time.Time{})) {
			if g.RoomID == room {
				m.gone[g.ID] = true
			}
		}
	}
	return m
}

// diff tells what a store has that the model has not, and the other way round.
func (m *model) diff(got *model) string {
	return cmp.Diff(m, got, cmp.AllowUnexported(model{}), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(rooms.Message{}),
		cmp.AllowUnexported(rooms.Attachment{}, rooms.AttachmentField{}))
}

// begun makes a room of ann's and bob's, in a store and as a model. They have said something,
// or what is done to messages would find none most of the time.
func begun(t testing.TB, s Store, id string) *model {
	t.Helper()
	talk(t, s, id, "ann", "bob")
	post(t, s, message(id, id+"-m1", "ann", 1), rooms.Unread{})
	post(t, s, message(id, id+"-m2", "bob", 2), rooms.Unread{CountAll: true})
	return stored(t, s, id)
}

// testModel: whatever is done to a room in whatever order, a store answers what the
// rules answer, and holds what they leave; the lists agree with the documents.
func testModel(t *testing.T, s Store) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint("r", n)
		want := begun(t, s, id)
		var done []string
		for i := range rapid.IntRange(1, 20).Draw(rt, "acts") {
			a := genAct(id)(i).Draw(rt, "act")
			said, wantErr := a.model(want)
			got, err := a.store(t.Context(), s)
			done = append(done, a.name)
			if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) || err == nil && got != said {
				rt.Fatalf("%q: %q %v, want %q %v", done, got, err, said, wantErr)
			}
		}
		if d := want.diff(stored(t, s, id)); d != "" {
			rt.Fatalf("after %q (-want +got):\n%s", done, d)
		}
		want.lists(t, rt, s)
	})
}

// lists compares what a store lists with the documents.
func (m *model) lists(t testing.TB, rt *rapid.T, s Store) {
	t.Helper()
	ctx, id := t.Context(), m.room.ID
	members, change, err := s.Members(ctx, id)
	ok(t, err)
	slices.Sort(members)
	if in := slices.Sorted(maps.Keys(m.subs)); !slices.Equal(members, in) || change != m.room.Membership {
		rt.Fatalf("members %v at change %d, want %v at %d", members, change, in, m.room.Membership)
	}
	byName := slices.SortedFunc(maps.Values(m.subs), func(a, b *rooms.Subscription) int { return strings.Compare(a.UserKey, b.UserKey) })
	page, total, err := s.ListMembers(ctx, id, 0, 10)
	ok(t, err)
	if got, want := ids(page, subID), ids(byName, subID); got != want || total != len(byName) {
		rt.Fatalf("page of members %q of %d, want %q", got, total, want)
	}
	roles := slices.DeleteFunc(slices.Clone(byName), func(x *rooms.Subscription) bool { return len(x.Roles) == 0 })
	held := must[[]*rooms.Subscription](t)(s.MembersWithRole(ctx, id))
	if got, want := sorted(held, subID), sorted(roles, subID); got != want {
		rt.Fatalf("members with a role %q, want %q", got, want)
	}
	newest := slices.SortedFunc(maps.Values(m.messages), func(a, b *rooms.Message) int { return b.TS.Compare(a.TS) })
	if got, want := ids(must[[]*rooms.Message](t)(s.History(ctx, rooms.HistoryQuery{RoomID: id})), messageID), ids(newest, messageID); got != want {
		rt.Fatalf("history %q, want %q", got, want)
	}
	for what, c := range map[string]struct {
		q    rooms.HistoryQuery
		keep func(x *rooms.Message) bool
	}{
		"pinned":   {rooms.HistoryQuery{Pinned: true}, func(x *rooms.Message) bool { return x.Pinned }},
		"starred":  {rooms.HistoryQuery{StarredBy: "ann"}, func(x *rooms.Message) bool { return x.StarredBy("ann") }},
		"main":     {rooms.HistoryQuery{Main: true}, func(x *rooms.Message) bool { return !x.Aside() }},
		"answers":  {rooms.HistoryQuery{Thread: id + "-m1"}, func(x *rooms.Message) bool { return x.ThreadID == id+"-m1" }},
		"one":      {rooms.HistoryQuery{In: []string{id + "-m1", "none"}}, func(x *rooms.Message) bool { return x.ID == id+"-m1" }},
		"none":     {rooms.HistoryQuery{In: []string{}}, func(*rooms.Message) bool { return false }},
		"ordinary": {rooms.HistoryQuery{Ordinary: true}, func(x *rooms.Message) bool { return x.Type == "" }},
	} {
		c.q.RoomID = id
		kept := slices.DeleteFunc(slices.Clone(newest), func(x *rooms.Message) bool { return !c.keep(x) })
		if got, want := ids(must[[]*rooms.Message](t)(s.History(ctx, c.q)), messageID), ids(kept, messageID); got != want {
			rt.Fatalf("%s %q, want %q", what, got, want)
		}
		if got := must[int](t)(s.CountHistory(ctx, c.q)); got != len(kept) {
			rt.Fatalf("%s: counted %d, want %d", what, got, len(kept))
		}
	}
	threads := slices.SortedFunc(maps.Values(m.messages), func(a, b *rooms.Message) int { return b.LastReply.Compare(a.LastReply) })
	threads = slices.DeleteFunc(threads, func(x *rooms.Message) bool { return x.Replies == 0 })
	listed := must[[]*rooms.Message](t)(s.History(ctx, rooms.HistoryQuery{RoomID: id, Threads: true}))
	if got, want := ids(listed, messageID), ids(threads, messageID); got != want {
		rt.Fatalf("threads %q, want %q", got, want)
	}
	threads = slices.DeleteFunc(threads, func(x *rooms.Message) bool { return !slices.Contains(x.Followers, "bob") })
	q := rooms.HistoryQuery{RoomID: id, Threads: true, FollowedBy: "bob"}
	if got, want := ids(must[[]*rooms.Message](t)(s.History(ctx, q)), messageID), ids(threads, messageID); got != want {
		rt.Fatalf("followed threads %q, want %q", got, want)
	}
	changed := slices.SortedFunc(maps.Values(m.messages), func(a, b *rooms.Message) int {
		return order.Or(a.UpdatedAt.Compare(b.UpdatedAt), strings.Compare(a.ID, b.ID))
	})
	found := must[[]*rooms.Message](t)(s.ChangedMessages(ctx, id, rooms.Span{After: at(0), Limit: 100}))
	if got, want := ids(found, messageID), ids(changed, messageID); got != want {
		rt.Fatalf("changed messages %q, want %q", got, want)
	}
}

func sorted[T any](list []T, name func(T) string) string {
	var out []string
	for _, v := range list {
		out = append(out, name(v))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
