//go:build !notrail

package testkit

import (
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/trail"
	"ddpserver/internal/trail/calls"
	"ddpserver/internal/trail/sqlite"
	"ddpserver/internal/trail/streams"
)

// WithTrail says which build is tested.
const WithTrail = true

// Store is the store of a server, with the halves of its slices.
type Store interface {
	withRooms
	trail.Store
}

// OpenStore opens an empty embedded store that ends with the test.
func OpenStore(t testing.TB) Store {
	t.Helper()
	rooms, core := openStore(t, sqlite.Schemas()...)
	return &struct {
		*embedded
		*sqlite.Store
	}{rooms, sqlite.New(core)}
}

// Copy is what a World has of the trail.
type Copy struct {
	// Kept is the copy of the audit stream. It is idle until a test runs or flushes it.
	Kept *trail.Service
}

// keepTrail puts the copy behind the Trail of a world whose store has a half for it.
func (w *World) keepTrail() {
	w.T.Helper()
	s, ok := w.Store.(trail.Store)
	users, hasUsers := w.Store.(trail.Users)
	if !ok || !hasUsers {
		w.T.Fatalf("no trail in a %T", w.Store)
	}
	w.Kept = trail.New(trail.Options{
		Store: s, Users: users, Settings: w.Settings, Next: &w.Trail, Feed: w.Feed, Node: w.opts.Node, Logger: w.log, Now: w.opts.Now,
	})
	w.audit = w.Kept
}

// FlushTrail writes the copy of what was recorded.
func (w *World) FlushTrail() error { return w.Kept.Flush(w.T.Context()) }

// trailActs are the "do" lines of the trail: audit writes the copy, trim removes what
// the settings do not keep.
func (w *World) trailActs() map[string]func(string) error {
	return map[string]func(string) error{
		"audit": func(string) error { return w.FlushTrail() },
		"trim":  func(string) error { _, err := w.Kept.Trim(w.T.Context()); return err },
	}
}

// trailCalls are the methods and routes of the trail.
func (w *World) trailCalls() ([]methods.Slice, []rest.Group) {
	o := calls.Options{Trail: w.Kept, Accounts: w.Accounts, Settings: w.Settings}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

// trailStreams are what administrators may subscribe to.
func (w *World) trailStreams() []realtime.Group {
	return []realtime.Group{streams.New(w.Accounts)}
}
