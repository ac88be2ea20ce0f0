//go:build !norooms

package rest_test

import (
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/calls"
	"ddpserver/internal/rooms/storetest"
)

// database is the store of a world.
type database = storetest.Store

func openDatabase(t testing.TB) database { return storetest.OpenSQLite(t) }

// roomParts are a world's rooms; without them the build is a server of second
// factors, which world_norooms_test.go makes.
type roomParts struct {
	chat     *rooms.Service
	presence *rooms.Tracker
}

// openRooms makes the rooms of a world; accounts follow from what it returns.
func (w *world) openRooms() (f accounts.Follower, err error) {
	if w.chat, err = rooms.New(rooms.Options{Store: w.store, Settings: w.settings, Feed: w}); err != nil {
		return nil, err
	}
	if err := w.chat.Start(w.t.Context()); err != nil {
		return nil, err
	}
	w.presence, err = rooms.NewTracker(rooms.PresenceOptions{Store: w.store, Settings: w.settings, Feed: w, Node: "n1"})
	return &rooms.Follower{Rooms: w.chat, Presence: w.presence}, err
}

// roomCalls are the methods and routes of rooms.
func (w *world) roomCalls() ([]methods.Slice, []rest.Group) {
	o := calls.Options{Rooms: w.chat, Presence: w.presence, Accounts: w.accounts, Settings: w.settings, Limiter: w.limiter}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

// atLeast is how much of something a test must find: in the whole server, or in
// one without rooms.
func atLeast(whole, _ int) int { return whole }

// lobby makes a channel of the client's and gives its id.
func (c *client) lobby() string {
	return c.do("POST", "channels.create", map[string]any{"name": "lobby"}).body["channel"].(map[string]any)["_id"].(string)
}
