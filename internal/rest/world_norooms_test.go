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

// A stage without rooms is bare, and there are no kinds of them.
func (*stage) furnish() {}

func scenesOfRooms(_, _, _ string) []scene { return nil }

// atLeast is how much of something a test must find: in the whole server, or in
// one without rooms.
func atLeast(_, core int) int { return core }

// lobby is the id of a room that is not there.
func (*client) lobby() string { return "lobby" }
