package rooms

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// Follower does in rooms and presence what follows from changes of accounts;
// package accounts calls it.
type Follower struct {
	Rooms    *Service
	Presence *Tracker
}

// Created makes a new account a member of the default rooms.
func (f *Follower) Created(ctx context.Context, u *user.User) error {
	return f.Rooms.JoinDefaults(ctx, u)
}

// Renamed rewrites the name in memberships and tells everybody. An account that
// is in no room joins the default ones: it may have got its first name.
func (f *Follower) Renamed(ctx context.Context, u *user.User) error {
	rooms, err := f.Rooms.store.RoomIDsOf(ctx, u.ID)
	if err != nil {
		return err
	}
	if len(rooms) == 0 {
		if err := f.Rooms.JoinDefaults(ctx, u); err != nil {
			return err
		}
	}
	return f.Rooms.Renamed(ctx, u)
}

// RolesChanged tells everybody which roles of the server an account has now.
func (f *Follower) RolesChanged(_ context.Context, u *user.User) error {
	r := ref(u)
	for _, role := range u.Roles {
		err := f.Rooms.stream(NotifyLogged, "roles-change", ejson.Doc{{Key: "type", Value: "changed"}, {Key: "_id", Value: role}, {Key: "u", Value: r.Doc()}})
		if err != nil {
			return err
		}
	}
	return nil
}

// StatusChosen has the status that others see worked out again.
func (f *Follower) StatusChosen(userID string) {
	if f.Presence != nil {
		f.Presence.Refresh(userID)
	}
}

// Deleted ends the memberships of an account that is no more.
func (f *Follower) Deleted(ctx context.Context, userID string) error {
	return f.Rooms.Forget(ctx, userID)
}
