package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/mongo"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongotest"
)

// TestMendBesideOthers: what a dead node left is mended while others write in the room, join
// and leave, and nothing is counted twice or not at all.
func TestMendBesideOthers(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, x := openNodes(t, kind), "r"
			ctx := t.Context()
			n.ahead.Store(0)
			if err := then(makeRoom, joined)(ctx, n.first, x); err != nil {
				t.Fatal(err)
			}
			post := &act{do: func(ctx context.Context, s *mongo.Store, id string) error {
				return err3(s.InsertMessage(ctx, said(x, id, "ann", 1), rooms.Unread{CountAll: true}))
			}}
			n.back.Store(int64(time.Hour))
			for dead := range 4 {
				n.die(t, post, fmt.Sprint("dead", dead), dead+1)
			}
			n.back.Store(0)
			var writers, mender sync.WaitGroup
			for w := range 3 {
				writers.Go(func() {
					for i := range 8 {
						if err := err3(n.first.InsertMessage(ctx, said(x, fmt.Sprint(w, ".", i), "ann", 2+12*i+w), rooms.Unread{CountAll: true})); err != nil {
							t.Error(err)
						}
						if w > 1 { // who talk
							continue
						}
						if w > 0 && i > 4 { // what the last of them was mended wrong stays so
							return
						}
						if w > 0 { // of a node that died an hour ago, after its first command
							dead, err := document.Fields(said(x, fmt.Sprint("dead", w, ".", i), "ann", 10+12*i))
							dead = append(dead, bson.E{Key: "ddpOpen", Value: bson.D{{Key: "at", Value: time.Now().Add(-time.Hour)}, {Key: "countAll", Value: true}}})
							if err := errors.Join(err, n.first.Collection("rocketchat_message").Insert(ctx, dead)); err != nil {
								t.Error(err)
							}
							continue
						}
						m := member(x, "dan")
						m.ID += fmt.Sprint(i)
						if err := errors.Join(err2(n.first.AddMember(ctx, m)), err3(n.first.RemoveMember(ctx, x, x+"dan", false, at(i)))); err != nil {
							t.Error(err)
						}
					}
				})
			}
			done := make(chan struct{})
			for _, s := range []*mongo.Store{n.first, n.other} {
				mender.Go(func() {
					for over := false; !over; {
						select {
						case <-done:
							over = true // once more, when nobody writes
						default:
						}
						if err := s.Mend(ctx, time.Now()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			writers.Wait()
			close(done)
			mender.Wait()
			r, err := n.other.RoomByID(ctx, x)
			there, err2 := n.other.CountHistory(ctx, rooms.HistoryQuery{RoomID: x})
			_, members, err3 := n.other.ListMembers(ctx, x, 0, 9)
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			if r.Messages != there || r.Users != members || members != 3 || there < 2*8+5 {
				t.Errorf("%d messages of %d, %d members of %d", r.Messages, there, r.Users, members)
			}
			for _, who := range []string{"bob", "cid"} {
				if m, err := n.other.Subscription(ctx, x, x+who); err != nil || m.Unread != there || !m.Alert {
					t.Errorf("%s has %d unread of %d, %v", who, m.Unread, there, err)
				}
			}
			if m, err := n.other.Subscription(ctx, x, x+"ann"); err != nil || m.Unread != 0 || m.Alert {
				t.Errorf("ann has %d unread, %v", m.Unread, err)
			}
		})
	}
}

// TestMendWaitsForOthers: while a message is in the room that the room may not have counted,
// or may, nothing is computed of what a dead node left.
func TestMendWaitsForOthers(t *testing.T) {
	n, x, ctx := openNodes(t, mongotest.Kind{}), "r", t.Context()
	n.ahead.Store(0)
	if err := makeRoom(ctx, n.first, x); err != nil {
		t.Fatal(err)
	}
	post := func(ctx context.Context, s *mongo.Store, id string) error {
		return err3(s.InsertMessage(ctx, said(x, id, "ann", 1+len(id)), rooms.Unread{CountAll: true}))
	}
	n.back.Store(int64(time.Hour))
	n.die(t, &act{do: post}, "1", 1)
	n.back.Store(0)
	counted := func(what string, want int) {
		t.Helper()
		r, err := n.other.RoomByID(ctx, x)
		bob, err2 := n.other.Subscription(ctx, x, x+"bob")
		if err := errors.Join(err, err2); err != nil || r.Messages != want || bob.Unread != want {
			t.Fatalf("%s: %d messages, %d of them unread, want %d, %v", what, r.Messages, bob.Unread, want, err)
		}
	}
	gate, hit, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	n.server.Inject(mongotest.Fault{Command: "findAndModify", Gate: gate, Hit: func() { close(hit) }})
	go func() { done <- post(ctx, n.first, "22") }()
	<-hit
	err := n.other.Mend(ctx, time.Now())
	counted("while another is under way", 0)
	open()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	counted("when it is not", 1)
	if err := n.other.Mend(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	counted("mended", 2)
}

// TestMendBringsNobodyBack: who is removed while a room is mended that was being made stays removed.
func TestMendBringsNobodyBack(t *testing.T) {
	t.Parallel()
	n, x, ctx := openNodes(t, mongotest.Standalone()), "r", t.Context()
	n.die(t, &act{do: makeRoom}, x, 3) // before its note is removed
	gate, hit, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	// After it was asked whether bob went since, and before he is added.
	n.server.Inject(mongotest.Fault{Command: "insert", Skip: 1, Gate: gate, Hit: func() { close(hit) }})
	go func() { done <- n.other.Mend(ctx, n.other.Clock()) }()
	<-hit
	if err := err3(n.first.RemoveMember(ctx, x, x+"bob", false, at(5))); err != nil {
		t.Fatal(err)
	}
	open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if m, err := n.other.Subscription(ctx, x, x+"bob"); !errors.Is(err, dberr.NotFound) {
		t.Errorf("bob is a member again: %v, %v", m, err)
	}
	r, err := n.other.RoomByID(ctx, x)
	_, members, err2 := n.other.ListMembers(ctx, x, 0, 9)
	if err := errors.Join(err, err2); err != nil || r.Users != members || members != 1 {
		t.Errorf("%d members of %d, %v", r.Users, members, err)
	}
}

// TestMendKeepsNewsOfDeaths: a message that is deleted while the news of a deletion is taken
// back that did not happen is told of.
func TestMendKeepsNewsOfDeaths(t *testing.T) {
	t.Parallel()
	n, x, ctx := openNodes(t, mongotest.Standalone()), "r", t.Context()
	if err := talked(ctx, n.first, x); err != nil {
		t.Fatal(err)
	}
	n.die(t, &act{do: func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"1", at(3)))
	}}, x, 3)
	gate, hit, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	n.server.Inject(mongotest.Fault{Command: "delete", Gate: gate, Hit: func() { close(hit) }})
	go func() { done <- n.other.Mend(ctx, n.other.Clock()) }()
	<-hit
	if err := err3(n.first.DeleteMessage(ctx, x+"1", at(5))); err != nil {
		t.Fatal(err)
	}
	open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	gone, err := n.other.GoneMessages(ctx, x, rooms.Span{Limit: 9})
	if err != nil || len(gone) != 1 {
		t.Errorf("deletions: %v, %v", gone, err)
	}
}

// TestMendOfAdoptedMemberships: memberships that another program wrote, without all counters,
// are mended like others, and nobody's counter grows by more than the message that is mended.
func TestMendOfAdoptedMemberships(t *testing.T) {
	t.Parallel()
	n, x, ctx := openNodes(t, mongotest.Kind{}), "r", t.Context()
	if err := then(makeRoom, joined)(ctx, n.first, x); err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // of a time when only mentions were counted
		if err := err3(n.first.InsertMessage(ctx, said(x, string(rune('a'+i)), "ann", i), rooms.Unread{})); err != nil {
			t.Fatal(err)
		}
	}
	subs := n.first.Collection("rocketchat_subscription")
	gone := bson.D{{Key: "$unset", Value: bson.D{{Key: "userMentions", Value: 1}, {Key: "groupMentions", Value: 1}}}}
	if _, err := subs.UpdateOne(ctx, bson.D{{Key: "_id", Value: x + "cid"}}, gone); err != nil {
		t.Fatal(err)
	}
	dead, err := document.Fields(said(x, "dead", "ann", 10))
	dead = append(dead, bson.E{Key: "ddpOpen", Value: bson.D{{Key: "at", Value: time.Now().Add(-time.Hour)}, {Key: "countAll", Value: true}}})
	if err := errors.Join(err, n.first.Collection("rocketchat_message").Insert(ctx, dead), n.other.Mend(ctx, n.other.Clock())); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"bob", "cid"} {
		if m, err := n.other.Subscription(ctx, x, x+who); err != nil || m.Unread != 1 {
			t.Errorf("%s has %d unread, want 1, %v", who, m.Unread, err)
		}
	}
	left, err := n.first.Collection("rocketchat_message").Count(ctx, bson.D{{Key: "ddpOpen", Value: bson.D{{Key: "$exists", Value: true}}}})
	if left != 0 || err != nil {
		t.Errorf("%d notes left, %v", left, err)
	}
}

// TestMendOfCountsThatComeBack: a count that went and came back while a room is mended is not
// what was read.
func TestMendOfCountsThatComeBack(t *testing.T) {
	t.Parallel()
	n, x, ctx := openNodes(t, mongotest.Kind{}), "r", t.Context()
	n.ahead.Store(0)
	if err := talked(ctx, n.first, x); err != nil {
		t.Fatal(err)
	}
	dead, err := document.Fields(said(x, "dead", "ann", 3))
	dead = append(dead, bson.E{Key: "ddpOpen", Value: bson.D{{Key: "at", Value: time.Now().Add(-time.Hour)}, {Key: "none", Value: true}}})
	if err := errors.Join(err, n.first.Collection("rocketchat_message").Insert(ctx, dead)); err != nil {
		t.Fatal(err)
	}
	hold := func(f mongotest.Fault) (hit <-chan struct{}, open func()) {
		gate, there := make(chan struct{}), make(chan struct{})
		f.Gate, f.Hit = gate, func() { close(there) }
		n.server.Inject(f)
		return there, sync.OnceFunc(func() { close(gate) })
	}
	counting, count := hold(mongotest.Fault{Command: "aggregate"})
	defer count()
	done := make(chan error, 1)
	go func() { done <- n.other.Mend(ctx, n.other.Clock()) }()
	<-counting
	if err := err3(n.first.DeleteMessage(ctx, x+"1", at(5))); err != nil {
		t.Fatal(err)
	}
	reading, read := hold(mongotest.Fault{Command: "find"})
	defer read()
	count()
	<-reading
	m := said(x, "topic", "ann", 6)
	m.Type = "room_changed_topic"
	if err := err3(n.first.InsertMessage(ctx, m, rooms.Unread{None: true})); err != nil {
		t.Fatal(err)
	}
	read()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r, err := n.other.RoomByID(ctx, x)
	there, err2 := n.other.CountHistory(ctx, rooms.HistoryQuery{RoomID: x})
	if err := errors.Join(err, err2); err != nil || r.Messages != there {
		t.Errorf("%d messages of %d, %v", r.Messages, there, err)
	}
}
