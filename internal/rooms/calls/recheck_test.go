package calls_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
)

// unreadable is a store that does not say which rooms somebody is in.
type unreadable struct {
	testkit.Store
	fails bool
	reads int
}

var errUnreadable = errors.New("the rooms cannot be read")

func (s *unreadable) RoomIDsOf(ctx context.Context, userID string) ([]string, error) {
	if s.reads++; s.fails {
		return nil, errUnreadable
	}
	return s.Store.RoomIDsOf(ctx, userID)
}

// When the rights of an account change, what it listens to of rooms is judged by one read
// of its rooms for each stream: what it is no member of ends, also where no news told so,
// and everything does when it cannot be read.
func TestRightsAreJudgedByOneReadOfRooms(t *testing.T) {
	for _, fails := range []bool{false, true} {
		db := &unreadable{Store: testkit.OpenStore(t)}
		testkit.Bubble(t, testkit.Options{Store: db}, func(t *testing.T, tw *testkit.World) {
			w := &world{tw}
			w.Unlimited()
			root := w.User("root", "role=admin")
			ada := w.User("ada")
			c := w.talker("ada")
			stays, gone := c.room("createChannel", "stays"), c.room("createChannel", "gone")
			wants := map[string]bool{}
			for _, s := range []struct {
				stream, event string
				ends          bool
			}{
				{rooms.RoomMessages, stays, false}, {rooms.RoomMessages, gone, true}, {rooms.RoomMessages, rooms.MyMessages, false},
				{rooms.NotifyRoom, stays + "/user-activity", false}, {rooms.NotifyRoom, gone + "/user-activity", true},
				{rooms.NotifyRoom, gone + "/deleteMessage", true},
			} {
				id := s.stream + " " + s.event
				if fail := c.Sub(id, s.stream, s.event, false); fail != nil {
					t.Fatal(fail.Code())
				}
				wants[id] = s.ends || fails && s.event != rooms.MyMessages // which is judged at each delivery
			}
			if _, _, err := w.RoomStore().RemoveMember(t.Context(), gone, ada.ID, true, time.Now()); err != nil {
				t.Fatal(err)
			}
			c.Other, db.reads, db.fails = nil, 0, fails
			if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, root, ada.ID, accounts.UserChange{Roles: &[]string{"user", "bot"}}); err != nil {
				t.Fatal(err)
			}
			for f := c.ReadWithin(time.Second); f.Msg != ""; f = c.ReadWithin(time.Second) {
				if f.Msg == "nosub" && !wants[f.ID] {
					t.Errorf("rooms unreadable %v: %s ended", fails, f.ID)
				} else if f.Msg == "nosub" {
					delete(wants, f.ID)
				}
			}
			for id, ends := range wants {
				if ends {
					t.Errorf("rooms unreadable %v: %s goes on", fails, id)
				}
			}
			if db.reads != 2 {
				t.Errorf("the rooms were read %d times, for two streams", db.reads)
			}
		})
	}
}
