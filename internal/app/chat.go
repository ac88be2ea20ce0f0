package app

import (
	"context"
	"fmt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	roommongo "ddpserver/internal/rooms/mongo"
	roomsqlite "ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

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

// buildRooms makes rooms and presence, and the first channel.
func (a *App) buildRooms(ctx context.Context) (err error) {
	if a.chat, err = newRooms(ctx, a.store, a.settings, a.hub); err != nil {
		return err
	}
	a.presence, err = rooms.NewTracker(rooms.PresenceOptions{
		Store: roomStore(a.store), Settings: a.settings, Feed: a.hub, Node: a.hub.Node(), Alone: a.cfg.MongoURL == "", Logger: a.log,
	})
	return err
}

// follower does in rooms and presence what follows from changes of accounts.
func (a *App) follower() accounts.Follower {
	return &rooms.Follower{Rooms: a.chat, Presence: a.presence}
}

// newRooms makes the rules of rooms, and the first channel if it is not there.
func newRooms(ctx context.Context, st store.Store, s *settings.Service, p feed.Publisher) (*rooms.Service, error) {
	svc, err := rooms.New(rooms.Options{Store: roomStore(st), Settings: s, Feed: p})
	if err != nil {
		return nil, err
	}
	if err := svc.Start(ctx); err != nil {
		return nil, fmt.Errorf("the first channel cannot be made: %w", err)
	}
	return svc, nil
}
