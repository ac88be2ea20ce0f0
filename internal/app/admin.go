//go:build !noadmin

package app

import (
	"context"

	"ddpserver/internal/admin"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
)

// adminSlice is the panel of administration: a part of the program that the build tag
// noadmin leaves out (admin_none.go).
type adminSlice struct{ slice *admin.Slice }

func (a *App) openAdmin() adminSlice {
	return adminSlice{admin.New(admin.Options{
		Accounts: a.accounts, Settings: a.settings, Hub: a.hub, Nodes: a.nodes, Sessions: a.sessions, Metrics: a.metrics, Outbox: a.mail, Queue: a.store.MailQueue,
		Server: admin.Server{Version: a.opts.Version, Node: a.node, Started: a.started, Shared: a.shared()}, Logger: a.log,
		Router: func() *methods.Router { return a.router }, Routes: func() []rest.Route { return a.rest.Routes() },
		Publications: func() *realtime.Publications { return a.publications },
	})}
}

func (s adminSlice) calls() ([]methods.Slice, []rest.Group) {
	return []methods.Slice{s.slice.Methods}, s.slice.Routes()
}

func (s adminSlice) streams() []realtime.Group { return []realtime.Group{s.slice.Streams()} }

// run tells who listens how the server does, until ctx ends.
func (s adminSlice) run(ctx context.Context) error { return s.slice.Run(ctx) }
