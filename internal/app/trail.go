//go:build !notrail

package app

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"ddpserver/internal/audit"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/trail"
	"ddpserver/internal/trail/calls"
	trailmongo "ddpserver/internal/trail/mongo"
	trailsqlite "ddpserver/internal/trail/sqlite"
	"ddpserver/internal/trail/streams"
)

// trailSchemas and trailParts are what the trail keeps in the two stores.
func trailSchemas() []sqlite.Schema { return trailsqlite.Schemas() }
func trailParts() []mongo.Part      { return trailmongo.Parts() }

// trailSlice is the copy of the audit stream that can be read back: a part of the
// program that the build tag notrail leaves out (trail_none.go).
type trailSlice struct{ service *trail.Service }

// openTrail puts the copy behind an audit stream. feed may be nil.
func openTrail(st store.Store, s *settings.Service, next audit.Recorder, feed feed.Publisher, node string, log *zap.Logger) trailSlice {
	half, users := trailStore(st)
	return trailSlice{trail.New(trail.Options{Store: half, Users: users, Settings: s, Next: next, Feed: feed, Node: node, Logger: log})}
}

// trailStore is the trail's half of a store that openStore opened, and its accounts.
func trailStore(st store.Store) (trail.Store, trail.Users) {
	switch st := st.(type) {
	case *sqlite.Store:
		return trailsqlite.New(st), st
	case *mongo.Store:
		return trailmongo.New(st), st
	}
	panic(fmt.Sprintf("app: no trail in a %T", st))
}

// recorder is what services record with.
func (t *trailSlice) recorder() audit.Recorder { return t.service }

// run writes and trims the copy until ctx ends.
func (t *trailSlice) run(ctx context.Context) error { return t.service.Run(ctx) }

// flush writes the copy of what was recorded in a command, which runs nothing.
func (t *trailSlice) flush(ctx context.Context) error { return t.service.Flush(ctx) }

// calls are the methods and routes; streams what administrators may subscribe to.
func (t *trailSlice) calls(a *App) ([]methods.Slice, []rest.Group) {
	o := calls.Options{Trail: t.service, Accounts: a.accounts, Settings: a.settings}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

func (t *trailSlice) streams(a *App) []realtime.Group {
	return []realtime.Group{streams.New(a.accounts)}
}

// notes are what /readyz mentions without being unready for it.
func (t *trailSlice) notes() []string {
	if t.service.Failing() {
		return []string{"audit_copy_failing"}
	}
	return nil
}

// metrics registers what an operator may want to know of the copy.
func (t *trailSlice) metrics(m *telemetry.Metrics) {
	m.Counter("audit_copy_events_total", "Audit events written to the copy in the database.",
		func() float64 { written, _, _ := t.service.Stats(); return float64(written) })
	m.Counter("audit_copy_events_lost_total", "Audit events that are missing from the copy in the database.",
		func() float64 { _, lost, _ := t.service.Stats(); return float64(lost) })
	m.Gauge("audit_copy_waiting", "Audit events that wait for the copy in the database.",
		func() float64 { _, _, waiting := t.service.Stats(); return float64(waiting) })
}
