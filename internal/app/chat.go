package app

import (
	"context"
	"fmt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
)

// buildChat makes rooms and presence, and the first channel.
func (a *App) buildChat(ctx context.Context) (err error) {
	if a.chat, err = newChat(ctx, a.store, a.settings, a.hub); err != nil {
		return err
	}
	a.presence, err = rooms.NewTracker(rooms.PresenceOptions{
		Store: a.store, Settings: a.settings, Feed: a.hub, Node: a.hub.Node(), Alone: a.cfg.MongoURL == "", Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.accounts.Follow(&rooms.Follower{Rooms: a.chat, Presence: a.presence})
	a.hub.Register(realtime.NewChat(a.hub, realtime.ChatOptions{Rooms: a.chat, Presence: a.presence}))
	return nil
}

// newChat makes the rules of rooms, and the first channel if it is not there.
func newChat(ctx context.Context, st store.Store, s *settings.Service, p feed.Publisher) (*rooms.Service, error) {
	svc, err := rooms.New(rooms.Options{Store: st, Settings: s, Feed: p})
	if err != nil {
		return nil, err
	}
	if err := svc.Start(ctx); err != nil {
		return nil, fmt.Errorf("the first channel cannot be made: %w", err)
	}
	return svc, nil
}

// followAccounts lets new accounts join the default rooms, for commands that
// work without a server.
func followAccounts(ctx context.Context, a *accounts.Service, st store.Store, s *settings.Service, p feed.Publisher) error {
	svc, err := newChat(ctx, st, s, p)
	if err == nil {
		a.Follow(&rooms.Follower{Rooms: svc})
	}
	return err
}
