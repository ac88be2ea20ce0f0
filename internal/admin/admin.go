package admin

import (
	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Options are the parts the slice works with. All are required.
type Options struct {
	Accounts *accounts.Service
	Settings *settings.Service
	Hub      *realtime.Hub
}

// Slice is the panel's half of a server.
type Slice struct{ o Options }

// New makes the slice. Its stream follows the hub, so it comes before Hub.Run.
func New(o Options) *Slice {
	s := &Slice{o: o}
	realtime.Listen(o.Hub, user.Changed, s.accountChanged)
	return s
}

// Methods makes the groups of methods, for methods.Deps.
func (s *Slice) Methods(methods.Challenger) []methods.Group { return []methods.Group{&listing{s}} }

// Routes makes the groups of routes, for rest.New and rest.Names.
func (s *Slice) Routes() []rest.Group { return []rest.Group{&listingRoutes{s}} }

// Streams makes the group of the stream.
func (s *Slice) Streams() realtime.Group { return &stream{s} }

// mayView tells whether somebody may see all of other people's accounts.
func mayView(u *user.User) bool { return permission.Has(u, permission.ViewFullOtherUserInfo) }

// errNoUser is how an account that is not there is refused, as in REST.
var errNoUser = fault.New("error-invalid-user", "User not found.")
