// Package calls is what clients may ask of rooms: the DDP methods and the REST
// routes, which bind parameters, call the rules of package rooms and show what
// comes back. It decides nothing itself but whether an act is one of office, which
// asks for a second factor.
package calls

import (
	"context"

	"ddpserver/internal/audit"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Options are the parts the calls work with. All are required.
type Options struct {
	Rooms    *rooms.Service
	Presence *rooms.Tracker
	Accounts Accounts
	Settings *settings.Service
	Limiter  *ratelimit.Limiter
	// Audit is told of hooks that are made, changed and removed; nil tells nobody.
	Audit audit.Recorder
}

// Accounts finds accounts; *accounts.Service does. NotFound of package dberr
// when there is none.
type Accounts interface {
	User(ctx context.Context, id string) (*user.User, error)
	// Named takes a user name.
	Named(ctx context.Context, username string) (*user.User, error)
}

// Methods makes the groups of methods, for methods.Deps.
func Methods(o Options) methods.Slice {
	return func(c methods.Challenger) []methods.Group {
		return []methods.Group{
			&roomCalls{rooms: o.Rooms, limiter: o.Limiter, challenger: c},
			&messages{rooms: o.Rooms, settings: o.Settings, limiter: o.Limiter, challenger: c},
			&threads{rooms: o.Rooms}, &finds{rooms: o.Rooms}, &lists{rooms: o.Rooms},
			&search{rooms: o.Rooms}, &invites{rooms: o.Rooms, challenger: c}, &reports{rooms: o.Rooms, limiter: o.Limiter},
			&subscriptions{rooms: o.Rooms, presence: o.Presence},
			&files{rooms: o.Rooms, challenger: c},
			&emojis{}, &avatars{rooms: o.Rooms, accounts: o.Accounts, challenger: c},
			&slash{rooms: o.Rooms, carrier: c},
			&hooks{rooms: o.Rooms, audit: o.Audit},
		}
	}
}

// Routes makes the groups of routes, for rest.New and rest.Names.
func Routes(o Options) []rest.Group {
	r := &service{rooms: o.Rooms, presence: o.Presence, accounts: o.Accounts}
	posts := &hookRoutes{service: r, limiter: o.Limiter, settings: o.Settings}
	return []rest.Group{&roomRoutes{r}, &listRoutes{&roomRoutes{r}}, &searchRoutes{r}, &inviteRoutes{r}, &reportRoutes{r},
		&messageRoutes{r}, &threadRoutes{r}, &findRoutes{r}, &fileRoutes{r}, &emojis{},
		&presenceRoutes{r}, &slash{}, &avatarRoutes{r}, posts}
}

// service is what the handlers of all routes share.
type service struct {
	rooms    *rooms.Service
	presence *rooms.Tracker
	accounts Accounts
}

// update answers "what changed since"; both members are lists. Clients keep the
// rest.
type update struct {
	Update any `json:"update"`
	Remove any `json:"remove"`
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// askOffice asks for a second factor when office says that only a role of the server
// allows the call; err is what went wrong when that was looked up.
func askOffice(ctx context.Context, c *rpc.Call, challenger methods.Challenger, office bool, err error) error {
	if err != nil || !office {
		return err
	}
	return challenger.Challenge(ctx, c, twofactor.Ordinary)
}
