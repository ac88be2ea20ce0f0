//go:build !norooms

package testkit

import (
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/calls"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/rooms/streams"
)

// WithRooms says which build is tested.
const WithRooms = true

// Store is the store of a server, with the halves of its slices.
type Store = storetest.Store

// OpenStore opens an empty embedded store that ends with the test.
func OpenStore(t testing.TB) Store { return storetest.OpenSQLite(t) }

// Slice is what a World has of rooms; a server without them has none of it.
type Slice struct {
	// Chat has the rules of rooms.
	Chat *rooms.Service
	// Presence says who is connected; it is idle until a test runs it.
	Presence *rooms.Tracker
}

// NewRooms makes the rules of rooms, and the first channel, on a ground whose store
// has a half for them.
func (g *Ground) NewRooms(change ...func(*rooms.Options)) *rooms.Service {
	g.T.Helper()
	o := rooms.Options{Store: g.RoomStore(), Settings: g.Settings, Feed: g.Feed, Now: g.opts.Now}
	for _, f := range change {
		f(&o)
	}
	s, err := rooms.New(o)
	g.ok(err)
	g.ok(s.Start(g.T.Context()))
	return s
}

// NewTracker makes what knows who is connected.
func (g *Ground) NewTracker(change ...func(*rooms.PresenceOptions)) *rooms.Tracker {
	g.T.Helper()
	o := rooms.PresenceOptions{Store: g.RoomStore(), Settings: g.Settings, Feed: g.Feed, Node: g.opts.Node, Alone: g.opts.Events == nil, Logger: g.log}
	for _, f := range change {
		f(&o)
	}
	p, err := rooms.NewTracker(o)
	g.ok(err)
	return p
}

// RoomStore is the half of the store that keeps rooms.
func (g *Ground) RoomStore() rooms.Store {
	s, ok := g.Store.(rooms.Store)
	if !ok {
		g.T.Fatalf("no rooms in a %T", g.Store)
	}
	return s
}

// furnish makes the rooms of a world; accounts follow from what it returns.
func (w *World) furnish() accounts.Follower {
	w.T.Helper()
	w.Chat, w.Presence = w.NewRooms(), w.NewTracker()
	return &rooms.Follower{Rooms: w.Chat, Presence: w.Presence}
}

// calls are the methods and routes of rooms.
func (w *World) calls() ([]methods.Slice, []rest.Group) {
	o := calls.Options{Rooms: w.Chat, Presence: w.Presence, Accounts: w.Accounts, Settings: w.Settings, Limiter: w.Limiter}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

// streams are what members may subscribe to.
func (w *World) streams() []realtime.Group {
	return []realtime.Group{streams.New(streams.Options{Hub: w.Hub, Rooms: w.Chat, Presence: w.Presence, Logger: w.log})}
}
