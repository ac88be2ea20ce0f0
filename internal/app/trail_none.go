//go:build notrail

package app

import (
	"context"

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
)

func trailSchemas() []sqlite.Schema { return nil }
func trailParts() []mongo.Part      { return nil }

// trailSlice plugs nothing in: the audit stream is written and not read back.
type trailSlice struct{ next audit.Recorder }

func openTrail(_ store.Store, _ *settings.Service, next audit.Recorder, _ feed.Publisher, _ string, _ *zap.Logger) trailSlice {
	return trailSlice{next}
}

func (t *trailSlice) recorder() audit.Recorder { return t.next }

func (*trailSlice) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (*trailSlice) flush(context.Context) error { return nil }

func (*trailSlice) calls(*App) ([]methods.Slice, []rest.Group) { return nil, nil }

func (*trailSlice) streams(*App) []realtime.Group { return nil }

func (*trailSlice) notes() []string { return nil }

func (*trailSlice) metrics(*telemetry.Metrics) {}
