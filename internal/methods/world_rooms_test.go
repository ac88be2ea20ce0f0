//go:build !norooms

package methods_test

import (
	"testing"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/calls"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/rooms/streams"
)

// withRooms says which build is tested.
const withRooms = true

// database is the store of a world, and of all the nodes that share it.
type database = storetest.Store

func openDatabase(t testing.TB) database { return storetest.OpenSQLite(t) }

// roomParts are a world's rooms; without them the build is a server of second
// factors, which world_norooms_test.go makes.
type roomParts struct {
	chat     *rooms.Service
	presence *rooms.Tracker // idle until a test runs it
}

// openRooms makes the rooms of a world; accounts follow from what it returns.
func (w *world) openRooms(node string, alone bool, log *zap.Logger) (f accounts.Follower, err error) {
	if w.chat, err = rooms.New(rooms.Options{Store: w.store, Settings: w.settings, Feed: w.hub}); err != nil {
		return nil, err
	}
	if err := w.chat.Start(w.t.Context()); err != nil {
		return nil, err
	}
	w.presence, err = rooms.NewTracker(rooms.PresenceOptions{Store: w.store, Settings: w.settings, Feed: w.hub, Node: node, Alone: alone, Logger: log})
	return &rooms.Follower{Rooms: w.chat, Presence: w.presence}, err
}

// roomStreams are what members may subscribe to.
func (w *world) roomStreams() []realtime.Group {
	return []realtime.Group{streams.New(streams.Options{Hub: w.hub, Rooms: w.chat, Presence: w.presence})}
}

// roomMethods are the methods of rooms.
func (w *world) roomMethods() []methods.Slice {
	return []methods.Slice{calls.Methods(calls.Options{Rooms: w.chat, Presence: w.presence, Accounts: w.accounts, Settings: w.settings, Limiter: w.limiter})}
}
