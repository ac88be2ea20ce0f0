package streams_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
)

// countedRooms is a store that counts how often a membership is looked up.
type countedRooms struct {
	storetest.Store
	memberships atomic.Int64
}

func (c *countedRooms) Subscription(ctx context.Context, roomID, userID string) (*rooms.Subscription, error) {
	c.memberships.Add(1)
	return c.Store.Subscription(ctx, roomID, userID)
}

// A change of membership reads the memberships it concerns, whatever else the
// user listens to.
func TestMembershipChangeReadsWhatItConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &countedRooms{Store: storetest.OpenSQLite(t)}
		n := newChatNode(t, "n1", db, nil)
		ada, bob := n.account("ada"), n.account("bob")
		var streams []string
		var left *rooms.Room
		for i := range 20 {
			room, err := n.chat.Create(t.Context(), ada, rooms.NewRoom{Type: rooms.Channel, Name: fmt.Sprint("room", i), Usernames: []string{"bob"}})
			if err != nil {
				t.Fatal(err)
			}
			left = room
			streams = append(streams, rooms.RoomMessages+"/"+room.ID, rooms.NotifyRoom+"/"+room.ID+"/typing", rooms.NotifyRoom+"/"+room.ID+"/deleteMessage")
		}
		c := n.listen("bob", streams...)
		synctest.Wait()
		for _, step := range []struct {
			name string
			do   func() error
			most int64
		}{
			{"a change of another member", func() error {
				_, err := n.chat.Create(t.Context(), ada, rooms.NewRoom{Type: rooms.Channel, Name: "elsewhere"})
				return err
			}, 0},
			{"bob leaves", func() error { return n.chat.Leave(t.Context(), bob, left.ID) }, 2}, // one by the rules of leaving
		} {
			db.memberships.Store(0)
			if err := step.do(); err != nil {
				t.Fatal(step.name, err)
			}
			if got := db.memberships.Load(); got > step.most {
				t.Errorf("%s: %d memberships were read, want at most %d", step.name, got, step.most)
			}
		}
		for range 3 { // the three subscriptions of that room end, and no others
			next(t, c, "nosub")
		}
	})
}
