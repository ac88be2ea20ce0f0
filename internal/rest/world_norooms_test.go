//go:build norooms

package rest_test

import (
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/rest"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
)

type database = store.Store

func openDatabase(t testing.TB) database { return storetest.OpenSQLite(t) }

type roomParts struct{}

func (*world) openRooms() (accounts.Follower, error) { return nil, nil }

func (*world) roomCalls() ([]methods.Slice, []rest.Group) { return nil, nil }
