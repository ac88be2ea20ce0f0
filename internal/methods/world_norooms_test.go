//go:build norooms

package methods_test

import (
	"testing"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
)

const withRooms = false

type database = store.Store

func openDatabase(t testing.TB) database { return storetest.OpenSQLite(t) }

type roomParts struct{}

func (*world) openRooms(string, bool, *zap.Logger) (accounts.Follower, error) { return nil, nil }

func (*world) roomMethods() []methods.Slice { return nil }

func (*world) roomStreams() []realtime.Group { return nil }
