package calls_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
)

// mute is a store that does not answer one kind of question for a while.
type mute struct {
	testkit.Store
	mu    sync.Mutex
	what  string
	asked int
}

// set has a question not answered from now on; "" has all of them answered. It tells how
// often one was not.
func (m *mute) set(what string) (asked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked, m.what, m.asked = m.asked, what, 0
	return asked
}

func (m *mute) away(what string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.what != what {
		return nil
	}
	m.asked++
	return dberr.Unavailable
}

func (m *mute) Members(ctx context.Context, roomID string) ([]string, int64, error) {
	if err := m.away("Members"); err != nil {
		return nil, 0, err
	}
	return m.Store.Members(ctx, roomID)
}

func (m *mute) SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) ([]*rooms.Subscription, error) {
	if err := m.away("SubscriptionsIn"); err != nil {
		return nil, err
	}
	return m.Store.SubscriptionsIn(ctx, roomID, userIDs)
}

func (m *mute) ChangedMessages(ctx context.Context, roomID string, in rooms.Span) ([]*rooms.Message, error) {
	if err := m.away("ChangedMessages"); err != nil {
		return nil, err
	}
	return m.Store.ChangedMessages(ctx, roomID, in)
}

func (m *mute) RoomsByIDs(ctx context.Context, ids []string, since time.Time) ([]*rooms.Room, error) {
	if err := m.away("RoomsByIDs"); err != nil {
		return nil, err
	}
	return m.Store.RoomsByIDs(ctx, ids, since)
}

// A store that does not answer in the moment in which news arrives, or is made good, keeps
// it from nobody: it is told when the store answers again. Whatever question it is.
func TestNewsWaitsForTheStore(t *testing.T) {
	for what, loss := range map[string]bool{"Members": false, "SubscriptionsIn": false, "ChangedMessages": true, "RoomsByIDs": true} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared, key := testkit.OpenStore(t), secret.Generate()
				db := &mute{Store: shared}
				o := testkit.Options{Store: shared, RawKey: key, Node: "n1"}
				if !loss { // else it tells nobody
					o.Events = shared
				}
				n1 := testkit.NewWorld(t, o)
				n2 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n2", Events: shared})
				n1.Unlimited()
				n2.Unlimited()
				n1.User("ann")
				bobs := n1.User("bob").ID
				ann, bob := n1.As("ann"), n2.As("bob")
				var r struct{ RID string }
				if err := json.Unmarshal(ann.Must("createPrivateGroup", "team", []string{"bob"}), &r); err != nil {
					t.Fatal(err)
				}
				room := r.RID
				bob.Stream(rooms.RoomMessages, room)
				bob.Stream(rooms.RoomMessages, rooms.MyMessages)
				bob.Stream(rooms.NotifyUser, bobs+"/subscriptions-changed")
				time.Sleep(time.Minute)
				bob.Events()
				heard := func(after time.Duration) (messages, unread int) {
					time.Sleep(after)
					for _, e := range bob.Events() {
						var text string
						for _, arg := range e.Args {
							text += string(arg)
						}
						switch {
						case strings.Contains(text, `"msg":"@bob a word"`):
							messages++
						case strings.Contains(e.Event, "subscriptions-changed") && strings.Contains(text, `"unread":1`):
							unread++
						}
					}
					return messages, unread
				}
				db.set(what)
				ann.Must("sendMessage", map[string]any{"rid": room, "msg": "@bob a word"})
				if loss {
					if err := shared.AppendEvents(t.Context(), []feed.Event{{ID: "lost", Node: "n1", Kind: "events-lost", At: time.Now()}}); err != nil {
						t.Fatal(err)
					}
				}
				before, unreadBefore := heard(10 * time.Second)
				if asked := db.set(""); asked == 0 || asked > 100 {
					t.Errorf("the store was asked %d times in ten seconds in which it did not answer", asked)
				}
				after, unreadAfter := heard(5 * time.Second)
				if before+after == 0 || unreadBefore+unreadAfter == 0 {
					t.Errorf("the message came %d and %d times, the unread count %d and %d", before, after, unreadBefore, unreadAfter)
				}
				if after, unread := heard(10 * time.Minute); after+unread != 0 {
					t.Errorf("it was told again %d and %d times long after that", after, unread)
				}
			})
		})
	}
}

// A store that stays away is not asked for ever for what clients have long read themselves.
func TestNewsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, key := testkit.OpenStore(t), secret.Generate()
		db := &mute{Store: shared}
		n := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n2", Events: shared})
		n.Unlimited()
		n.User("ann")
		ann := n.As("ann")
		ann.Must("createPrivateGroup", "team", []string{})
		ann.Stream(rooms.RoomMessages, rooms.MyMessages)
		time.Sleep(time.Minute)
		db.set("RoomsByIDs")
		if err := shared.AppendEvents(t.Context(), []feed.Event{{ID: "lost", Node: "n1", Kind: "events-lost", At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		if asked := db.set("RoomsByIDs"); asked < 50 {
			t.Errorf("it was tried %d times in four minutes", asked)
		}
		time.Sleep(3 * time.Minute)
		db.set("RoomsByIDs")
		time.Sleep(10 * time.Minute)
		if asked := db.set(""); asked != 0 {
			t.Errorf("it was tried %d times more", asked)
		}
	})
}
