package accounts

import (
	"context"

	"go.uber.org/zap"

	"ddpserver/internal/user"
)

// Follower does elsewhere what follows from a change of an account: in rooms
// and in presence. Its errors do not undo the change; they are logged.
type Follower interface {
	// Created: the account is new.
	Created(ctx context.Context, u *user.User) error
	// Renamed: its user name or name changed.
	Renamed(ctx context.Context, u *user.User) error
	// RolesChanged: it has other roles of the server.
	RolesChanged(ctx context.Context, u *user.User) error
	// StatusChosen: what it wants to be shown as changed.
	StatusChosen(userID string)
	// Deleted: it is no more.
	Deleted(ctx context.Context, userID string) error
}

// follow runs one of the follower's functions, also when the caller gave up
// meanwhile: the account has changed already.
func (s *Service) follow(ctx context.Context, what, userID string, do func(context.Context, Follower) error) {
	if s.follower == nil {
		return
	}
	if err := do(context.WithoutCancel(ctx), s.follower); err != nil {
		s.log.Error("account_not_followed", zap.String("what", what), zap.String("user_id", userID), zap.Error(err))
	}
}

// followChange tells the follower what a Change means to it.
func (s *Service) followChange(ctx context.Context, u *user.User, c *user.Change) {
	if c.Username != nil || c.Name != nil {
		s.follow(ctx, "renamed", u.ID, func(ctx context.Context, f Follower) error { return f.Renamed(ctx, u) })
	}
	if c.Roles != nil {
		s.follow(ctx, "roles", u.ID, func(ctx context.Context, f Follower) error { return f.RolesChanged(ctx, u) })
	}
	if c.StatusDefault != nil && s.follower != nil {
		s.follower.StatusChosen(u.ID)
	}
}
