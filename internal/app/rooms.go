//go:build !norooms

package app

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/calls"
	roommongo "ddpserver/internal/rooms/mongo"
	roomsqlite "ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/rooms/streams"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

// roomSchemas and roomParts are what rooms keep in the two stores.
func roomSchemas() []sqlite.Schema { return roomsqlite.Schemas() }
func roomParts() []mongo.Part      { return roommongo.Parts() }

// roomSlice is rooms, and who is connected: a part of the program that the build
// tag norooms leaves out (rooms_none.go).
type roomSlice struct {
	service  *rooms.Service
	presence *rooms.Tracker // nil in a command that works without a server
}

// openRooms makes the rules of rooms, and the first channel if it is not there.
func openRooms(ctx context.Context, st store.Store, s *settings.Service, p feed.Publisher, key *secret.Key) (roomSlice, error) {
	svc, err := rooms.New(rooms.Options{Store: roomStore(st), Settings: s, Feed: p, Codes: key})
	if err != nil {
		return roomSlice{}, err
	}
	if err := svc.Start(ctx); err != nil {
		return roomSlice{}, fmt.Errorf("the first channel cannot be made: %w", err)
	}
	return roomSlice{service: svc}, nil
}

// roomStore is the rooms' half of a store that openStore opened.
func roomStore(st store.Store) rooms.Store {
	switch st := st.(type) {
	case *sqlite.Store:
		return roomsqlite.New(st)
	case *mongo.Store:
		return roommongo.New(st)
	}
	panic(fmt.Sprintf("app: no rooms in a %T", st))
}

// track makes presence, for a server. alone says that no other node shares the store.
func (r *roomSlice) track(st store.Store, s *settings.Service, hub *realtime.Hub, alone bool, log *zap.Logger) (err error) {
	r.presence, err = rooms.NewTracker(rooms.PresenceOptions{
		Store: roomStore(st), Settings: s, Feed: hub, Node: hub.Node(), Alone: alone, Logger: log,
	})
	return err
}

// follower does in rooms what follows from changes of accounts.
func (r *roomSlice) follower() accounts.Follower {
	return &rooms.Follower{Rooms: r.service, Presence: r.presence}
}

// run follows who is connected until ctx ends.
func (r *roomSlice) run(ctx context.Context) error { return r.presence.Run(ctx) }

// calls are the methods and routes; streams what members may subscribe to.
func (r *roomSlice) calls(a *App) ([]methods.Slice, []rest.Group) {
	o := calls.Options{Rooms: r.service, Presence: r.presence, Accounts: a.accounts, Settings: a.settings, Limiter: a.limiter}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

func (r *roomSlice) streams(a *App) []realtime.Group {
	return []realtime.Group{streams.New(streams.Options{Hub: a.hub, Rooms: r.service, Presence: r.presence, Logger: a.log})}
}
