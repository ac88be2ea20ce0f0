//go:build norooms

package app

import (
	"context"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/config"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

func roomSchemas() []sqlite.Schema { return nil }
func roomParts() []mongo.Part      { return nil }

// roomSlice plugs nothing in: a server of accounts and second factors.
type roomSlice struct{}

func openRooms(context.Context, store.Store, *settings.Service, feed.Publisher, *secret.Key, *config.Config) (roomSlice, error) {
	return roomSlice{}, nil
}

func (*roomSlice) close() error { return nil }

func checkFiles(*config.Config) (problems, warnings []string) { return nil, nil }

func (*roomSlice) track(store.Store, *settings.Service, *realtime.Hub, bool, *zap.Logger) error {
	return nil
}

func (*roomSlice) follower() accounts.Follower { return nil }

func (*roomSlice) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (*roomSlice) calls(*App) ([]methods.Slice, []rest.Group) { return nil, nil }

func (*roomSlice) streams(*App) []realtime.Group { return nil }
