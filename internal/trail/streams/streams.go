// Package streams tells administrators of new events of the audit stream as soon as
// they are kept. What they are told comes from package trail, over the feed; this
// package says who may listen.
package streams

import (
	"context"

	"ddpserver/internal/permission"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/trail"
	"ddpserver/internal/user"
)

// Users reads accounts; *accounts.Service does.
type Users interface {
	User(ctx context.Context, id string) (*user.User, error)
}

// Streams is the group of the stream.
type Streams struct{ users Users }

// New makes the group.
func New(users Users) *Streams { return &Streams{users: users} }

// Publications lists none.
func (*Streams) Publications() []realtime.Publication { return nil }

// Streams lists the stream.
func (g *Streams) Streams() []realtime.Stream {
	return []realtime.Stream{{
		Name: trail.StreamName, Allow: g.allow, Events: []string{trail.StreamEvent},
		Doc: "New events of the audit stream, for those who may view-logs: new, whose args are one or more events as audit:list shows them, oldest first.",
	}}
}

// allow is asked again when the rights of the account change.
func (g *Streams) allow(ctx context.Context, l rpc.Login, event string) error {
	if event != trail.StreamEvent {
		return realtime.ErrStream
	}
	u, err := g.users.User(ctx, l.UserID)
	if err != nil {
		return err
	}
	if !permission.Has(u, permission.ViewLogs) {
		return realtime.ErrStream
	}
	return nil
}
