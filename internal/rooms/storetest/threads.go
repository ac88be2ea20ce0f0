package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// threadActs are the operations on threads. Answers have ids of their own, and the ids of
// other messages, so that something is answered that was an answer.
func (d draw) threadActs() []act {
	id := d.room + []string{"-a1", "-a2", "-m1", "-m2"}[d.some%4]
	unread := rooms.Unread{Group: d.some == 5, CountUsers: true, CountGroup: true, Thread: d.id, Follow: []string{d.who, "ann"},
		Tell: []string{"ann", "bob", d.by}}
	if d.some > 5 {
		unread.Users = []string{d.by}
	}
	written := func() *rooms.Message {
		m := message(d.room, id, d.who, 0)
		m.TS, m.UpdatedAt, m.ThreadID, m.Shown = d.at, d.at, d.id, d.on
		return m
	}
	deletion := func(id string) act {
		return act{"delete " + id, func(m *model) (string, error) { return m.remove(id, d.at) }, func(ctx context.Context, s Store) (string, error) {
			r, was, err := s.DeleteMessage(ctx, id, d.at)
			if err != nil {
				return "", err
			}
			return told(r) + was.Text, nil
		}}
	}
	return []act{
		{fmt.Sprint("answer ", d.id, " with ", id, d.on), func(m *model) (string, error) { return m.insert(written(), unread) },
			func(ctx context.Context, s Store) (string, error) {
				r, touched, err := s.InsertMessage(ctx, written(), unread)
				slices.Sort(touched)
				return told(r) + strings.Join(touched, ","), err
			}},
		deletion(id),
		{fmt.Sprint("follow ", d.id, d.by, d.on), func(m *model) (string, error) {
			if m.messages[d.id] == nil {
				return "", dberr.NotFound
			}
			changed, _ := m.messages[d.id].SetFollower(d.by, d.on, d.at)
			return fmt.Sprint(changed), nil
		}, func(ctx context.Context, s Store) (string, error) {
			_, changed, err := s.SetFollower(ctx, d.id, d.by, d.on, d.at)
			return answer(changed, err)
		}},
		{"forget " + d.id, func(m *model) (string, error) {
			var touched []string
			for id, s := range m.subs {
				if s.ForgetThread(d.id, d.at) {
					touched = append(touched, id)
				}
			}
			slices.Sort(touched)
			return strings.Join(touched, ","), nil
		}, func(ctx context.Context, s Store) (string, error) {
			touched, err := s.ForgetThread(ctx, d.room, d.id, d.at)
			slices.Sort(touched)
			return strings.Join(touched, ","), err
		}},
	}
}

// reply posts an answer.
func reply(t testing.TB, s Store, room, id, thread, by string, n int, e rooms.Unread) []string {
	t.Helper()
	m := message(room, id, by, n)
	m.ThreadID, e.Thread = thread, thread
	return post(t, s, m, e)
}

// testThreads: what is answered counts its answers, those who follow have the thread
// unread and the room not, and lists that may be long are bounded.
func testThreads(t *testing.T, s Store) {
	ctx := t.Context()
	talk(t, s, "r", "ann", "bob", "cid", "dan")
	talk(t, s, "other", "ann", "bob")
	// One that was followed, never answered, and deleted is followed by nobody when its id comes again.
	for range 2 {
		post(t, s, message("other", "again", "ann", 1), rooms.Unread{})
		if list := must[[]*rooms.Message](t)(s.History(ctx, rooms.HistoryQuery{RoomID: "other", FollowedBy: "bob"})); len(list) > 0 {
			t.Error("who followed the message of before follows the new one")
		}
		_, _, err := s.SetFollower(ctx, "again", "bob", true, at(2))
		ok(t, err)
		_, _, err = s.DeleteMessage(ctx, "again", at(3))
		ok(t, err)
	}
	post(t, s, message("r", "m", "ann", 1), rooms.Unread{})
	for _, who := range []string{"ann", "bob", "cid", "dan"} {
		_, _, err := s.ChangeSubscription(ctx, "r", who, rooms.SubscriptionChange{Read: true, At: at(2)})
		ok(t, err)
	}
	first := rooms.Unread{Follow: []string{"ann", "bob"}, Tell: []string{"ann", "bob"}}
	if touched := reply(t, s, "r", "a1", "m", "bob", 3, first); strings.Join(touched, " ") != "ann" {
		t.Error("touched", touched)
	}
	if touched := reply(t, s, "r", "a2", "m", "bob", 4, first); len(touched) > 0 {
		t.Error("an answer more in an unread thread touched", touched)
	}
	second := rooms.Unread{Follow: []string{"bob", "cid"}, Tell: []string{"ann", "bob", "cid"}, Users: []string{"cid"}, Group: true,
		CountUsers: true, CountGroup: true}
	reply(t, s, "r", "a3", "m", "bob", 5, second)
	m := must[*rooms.Message](t)(s.MessageByID(ctx, "m"))
	if m.Replies != 3 || !m.LastReply.Equal(at(5)) || strings.Join(m.Followers, " ") != "ann bob cid" || !m.UpdatedAt.Equal(at(5)) {
		t.Errorf("%+v", m)
	}
	for who, want := range map[string]string{"ann": "[m] [] [m]", "bob": "[] [] []", "cid": "[m] [m] [m]", "dan": "[] [] []"} {
		x := must[*rooms.Subscription](t)(s.Subscription(ctx, "r", who))
		if got := fmt.Sprint(x.Threads, x.UserThreads, x.GroupThreads); got != want || x.Alert || x.Unread+x.UserMentions+x.GroupMentions > 0 {
			t.Errorf("%s: %s, want %s; %+v", who, got, want, x)
		}
	}
	r := must[*rooms.Room](t)(s.RoomByID(ctx, "r"))
	if r.Messages != 4 || r.LastMessage.ID != "m" || !r.LastAt.Equal(at(1)) {
		t.Errorf("%+v", r)
	}
	for what, e := range map[string]rooms.Unread{"none": {Thread: "none"}, "an answer": {Thread: "a1"}, "another room's": {Thread: "m"}} {
		room := map[bool]string{true: "other", false: "r"}[e.Thread == "m"]
		x := message(room, "refused", "ann", 6)
		x.ThreadID, e.Tell = e.Thread, []string{"bob"}
		_, _, err := s.InsertMessage(ctx, x, e)
		fails(t, err, dberr.Conflict)
		if _, err := s.MessageByID(ctx, "refused"); err == nil || len(must[*rooms.Subscription](t)(s.Subscription(ctx, room, "bob")).Threads) > 0 {
			t.Error(what, "is answered")
		}
	}
	crowd := message("r", "crowd", "ann", 6)
	for i := range rooms.MaxFollowers - 1 {
		crowd.Followers = append(crowd.Followers, fmt.Sprint("u", i))
	}
	post(t, s, crowd, rooms.Unread{})
	_, _, err := s.SetFollower(ctx, "crowd", "bob", true, at(7))
	ok(t, err)
	_, _, err = s.SetFollower(ctx, "crowd", "cid", true, at(7))
	fails(t, err, dberr.Exhausted)
	reply(t, s, "r", "a4", "crowd", "dan", 8, rooms.Unread{Follow: []string{"dan"}})
	if m := must[*rooms.Message](t)(s.MessageByID(ctx, "crowd")); len(m.Followers) != rooms.MaxFollowers || m.Replies != 1 {
		t.Errorf("%d follow, %d answers", len(m.Followers), m.Replies)
	}
	testUnreadThreads(t, s)
}

func testUnreadThreads(t *testing.T, s Store) {
	ctx := t.Context()
	full := sub("full", "bob")
	for i := range rooms.MaxThreads - 1 {
		full.Threads = append(full.Threads, fmt.Sprint("old", i))
	}
	ok(t, s.CreateRoom(ctx, channel("full"), []*rooms.Subscription{full}))
	for i := range 2 {
		id := fmt.Sprint("t", i)
		post(t, s, message("full", id, "ann", i), rooms.Unread{None: true})
		reply(t, s, "full", id+"a", id, "ann", i, rooms.Unread{Tell: []string{"bob"}})
	}
	if x := must[*rooms.Subscription](t)(s.Subscription(ctx, "full", "bob")); len(x.Threads) != rooms.MaxThreads {
		t.Errorf("%d threads are unread", len(x.Threads))
	}
	if touched := reply(t, s, "full", "more", "t0", "ann", 999, rooms.Unread{Tell: []string{"bob"}, Users: []string{"bob"}}); len(touched) != 1 {
		t.Error("a mention in one of them does not count")
	}
	in := must[[]*rooms.Message](t)(s.ChangedMessages(ctx, "full", rooms.Span{After: at(998), Threads: true, Limit: 10}))
	answers := must[[]*rooms.Message](t)(s.ChangedMessages(ctx, "full", rooms.Span{Before: at(1000), Thread: "t0", Limit: 10}))
	if ids(in, messageID) != "t0" || ids(answers, messageID) != "more t0a" {
		t.Errorf("changed: threads %q, answers %q", ids(in, messageID), ids(answers, messageID))
	}
}
