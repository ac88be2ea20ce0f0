//go:build noadmin

package app

import (
	"context"

	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
)

// adminSlice plugs nothing in.
type adminSlice struct{}

func (*App) openAdmin() adminSlice { return adminSlice{} }

func (adminSlice) calls() ([]methods.Slice, []rest.Group) { return nil, nil }

func (adminSlice) streams() []realtime.Group { return nil }

func (adminSlice) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
