//go:build norooms

package testkit

import (
	"context"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/store"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// WithRooms says which build is tested.
const WithRooms = false

// withRooms is the store of a server.
type withRooms interface {
	store.Store
	UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error)
}

// embedded is the embedded one.
type embedded = sqlite.Store

// openStore opens an empty embedded store with more tables, that ends with the test.
func openStore(t testing.TB, more ...sqlite.Schema) (*embedded, *sqlite.Store) {
	core := storetest.OpenSQLite(t, more...)
	return core, core
}

// Slice is what a World has of slices: nothing.
type Slice struct{}

func (*World) furnish() accounts.Follower { return nil }

func (*World) calls() ([]methods.Slice, []rest.Group) { return nil, nil }

func (*World) streams() []realtime.Group { return nil }

func (*World) sliceActs() map[string]func(string) error { return map[string]func(string) error{} }
