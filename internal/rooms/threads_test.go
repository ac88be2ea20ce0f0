package rooms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// Every call on a thread asks the rule of its room: members read, also where they may not
// write, and nobody else learns whether there is such a message.
func TestAccessToThreads(t *testing.T) {
	h := newHouse(t)
	ann, bob, was, out := h.account("ann"), h.account("bob"), h.account("was"), h.account("out")
	h.room("open", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann, bob, was)
	h.room("muted", rooms.Group, func(r *rooms.Room, _ []*rooms.Subscription) { r.MutedIDs = []string{"bob"} }, ann, bob, was)
	h.room("archived", rooms.Group, func(r *rooms.Room, _ []*rooms.Subscription) { r.Archived = true }, ann, bob, was)
	h.room("channel", rooms.Channel, func(*rooms.Room, []*rooms.Subscription) {}, ann, bob, was)
	h.room("apart", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann)
	ctx := t.Context()
	for _, room := range []string{"open", "muted", "archived", "channel"} {
		m := &rooms.Message{ID: "answer-" + room, RoomID: room, ThreadID: "in-" + room, Text: "yes", TS: time.Now(), UpdatedAt: time.Now(),
			User: rooms.Ref{ID: "was"}}
		_, _, err := h.store.InsertMessage(ctx, m, rooms.Unread{Thread: m.ThreadID, Follow: []string{"ann", "bob", "was"}, Tell: []string{"ann", "bob", "was"}})
		if err == nil {
			_, _, err = h.store.RemoveMember(ctx, room, "was", false, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string]func(by *user.User, room, id string) error{
			"follow":    func(by *user.User, _, id string) error { return h.Follow(ctx, by, id, true) },
			"unfollow":  func(by *user.User, _, id string) error { return h.Follow(ctx, by, id, false) },
			"mark read": func(by *user.User, _, id string) error { return h.ReadThread(ctx, by, id) },
			"read": func(by *user.User, _, id string) error {
				_, _, _, err := h.Thread(ctx, by, id, rooms.ThreadPage{})
				return err
			},
			"sync": func(by *user.User, _, id string) error {
				_, _, err := h.ThreadSince(ctx, by, id, time.Time{})
				return err
			},
			"sync all": func(by *user.User, room, _ string) error {
				_, _, err := h.ThreadsSince(ctx, by, room, time.Time{})
				return err
			},
			"mentions": func(by *user.User, room, _ string) error { _, _, err := h.Mentioned(ctx, by, room, 0, 9); return err },
			"deletions": func(by *user.User, room, _ string) error {
				_, _, err := h.Deleted(ctx, by, room, time.Time{}, 0, 9)
				return err
			},
			"list": func(by *user.User, room, _ string) error {
				_, _, err := h.Threads(ctx, by, rooms.ThreadQuery{RoomID: room, Text: "old"})
				return err
			},
			"answer": func(by *user.User, room, id string) error {
				_, err := h.Send(ctx, by, rooms.Draft{RoomID: room, Text: "yes", ThreadID: id})
				return err
			},
		}
		for what, do := range calls {
			for _, who := range []*user.User{ann, bob, was, out} {
				member := who == ann || who == bob
				err, nowhere := do(who, room, "in-"+room), do(who, "none", "none")
				want := member && (what != "answer" || room != "archived" && (room != "muted" || who == ann))
				if _, refused := fault.From(err); (err == nil) != want || err != nil && !refused {
					t.Errorf("%s of %s in %s: %v, allowed is %v", what, who.Username, room, err, want)
				}
				if !member && !strings.HasPrefix(what, "answer") && fmt.Sprint(err) != fmt.Sprint(nowhere) {
					t.Errorf("%s of %s in %s: %v, and where there is nothing %v", what, who.Username, room, err, nowhere)
				}
			}
		}
		if _, err := h.Send(ctx, ann, rooms.Draft{RoomID: "apart", Text: "elsewhere", ThreadID: "in-" + room}); !errors.Is(err, rooms.ErrInvalidMessage) {
			t.Errorf("a message of %s is answered in another room: %v", room, err)
		}
	}
}

// What a deletion leaves of a thread: the answers are the room's, nobody has them unread,
// and a message whose last answer goes has no thread.
func TestDeletedThreads(t *testing.T) {
	h := newHouse(t)
	ctx, ann, bob := t.Context(), h.account("ann"), h.account("bob")
	h.room("r", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann, bob)
	send := func(by *user.User, thread string) *rooms.Message {
		t.Helper()
		m, err := h.Send(ctx, by, rooms.Draft{RoomID: "r", Text: "by " + by.Username, ThreadID: thread})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	unread := func(want string) {
		t.Helper()
		s, err := h.Subscription(ctx, ann, "r")
		if err != nil || strings.Join(s.Threads, " ") != want {
			t.Errorf("ann has %q unread, want %q; %v", s.Threads, want, err)
		}
	}
	parent := send(ann, "")
	only := send(bob, parent.ID)
	unread(parent.ID)
	if _, err := h.Delete(ctx, bob, only.ID); err != nil {
		t.Fatal(err)
	}
	unread("")
	if m, err := h.Message(ctx, ann, parent.ID); err != nil || m.Replies != 0 || m.Followers != nil || !m.LastReply.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
	first, second := send(bob, parent.ID), send(bob, only.ThreadID)
	unread(parent.ID)
	if _, err := h.Delete(ctx, ann, parent.ID); err != nil {
		t.Fatal(err)
	}
	unread("")
	page, _, err := h.Page(ctx, ann, rooms.HistoryQuery{RoomID: "r", Main: true})
	if err != nil || len(page) != 3 || page[0].ID != second.ID || page[1].ID != first.ID || page[0].ThreadID != "" {
		t.Errorf("%d messages, %v", len(page), err)
	}
	if r, _, err := h.Room(ctx, ann, "r"); err != nil || r.LastMessage == nil || r.LastMessage.ID != second.ID {
		t.Errorf("the last message is %+v, %v", r.LastMessage, err)
	}
	if _, err := h.Send(ctx, bob, rooms.Draft{RoomID: "r", Text: "late", ThreadID: parent.ID}); !errors.Is(err, rooms.ErrInvalidMessage) {
		t.Errorf("what is gone is answered: %v", err)
	}
}
