package admin

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// stream tells administrators what changes while they look.
type stream struct{ *Slice }

// streamName is the name of the stream.
const streamName = "stream-server"

// The events of the stream.
const eventUsers = "users"

// Publications lists none.
func (*stream) Publications() []realtime.Publication { return nil }

// Streams lists the stream.
func (g *stream) Streams() []realtime.Stream {
	return []realtime.Stream{{
		Name: streamName, Allow: g.allow, Events: []string{eventUsers},
		Doc: "Events for administrators: users, {_id} of an account that changed.",
	}}
}

// allow reads the account anew: a right that is gone counts at once.
func (g *stream) allow(ctx context.Context, l rpc.Login, event string) error {
	u, err := g.o.Accounts.Caller(ctx, l)
	if err != nil {
		return err
	}
	if event == eventUsers && mayView(u) {
		return nil
	}
	return realtime.ErrStream
}

// accountChanged tells of an account that changed on whichever node: every node hears
// of it by itself.
func (s *Slice) accountChanged(e feed.Event, _ user.News) {
	_ = s.o.Hub.EmitHere(streamName, eventUsers, ejson.Doc{{Key: "_id", Value: e.Key}})
}
