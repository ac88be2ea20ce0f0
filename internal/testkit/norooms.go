//go:build norooms

package testkit

import (
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
)

// WithRooms says which build is tested.
const WithRooms = false

// Store is the store of a server.
type Store = store.Store

// OpenStore opens an empty embedded store that ends with the test.
func OpenStore(t testing.TB) Store { return storetest.OpenSQLite(t) }

// Slice is what a World has of slices: nothing.
type Slice struct{}

func (*World) furnish() accounts.Follower { return nil }

func (*World) calls() ([]methods.Slice, []rest.Group) { return nil, nil }

func (*World) streams() []realtime.Group { return nil }

func (*World) sliceActs() map[string]func(string) error { return map[string]func(string) error{} }
