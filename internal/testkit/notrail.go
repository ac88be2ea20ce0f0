//go:build notrail

package testkit

import (
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
)

// WithTrail says which build is tested.
const WithTrail = false

// Store is the store of a server, with the halves of its slices.
type Store = withRooms

// OpenStore opens an empty embedded store that ends with the test.
func OpenStore(t testing.TB) Store {
	t.Helper()
	s, _ := openStore(t)
	return s
}

// Copy is what a World has of the trail: nothing.
type Copy struct{}

func (*World) keepTrail() {}

// FlushTrail does nothing.
func (*World) FlushTrail() error { return nil }

func (*World) trailActs() map[string]func(string) error { return nil }

func (*World) trailCalls() ([]methods.Slice, []rest.Group) { return nil, nil }

func (*World) trailStreams() []realtime.Group { return nil }
