package accounts

import (
	"context"
	"time"

	"ddpserver/internal/user"
)

// Store is what accounts need of a store. Every method is one atomic operation;
// failures are those of package dberr. Users handed out belong to the caller.
type Store interface {
	UserByID(ctx context.Context, id string) (*user.User, error)
	// UserByUsername and UserByEmail take a key made by user.Key.
	UserByUsername(ctx context.Context, key string) (*user.User, error)
	UserByEmail(ctx context.Context, key string) (*user.User, error)
	// UserByToken finds the owner of a login token by its hash; clear, when not
	// empty, also finds the clear token of an adopted Meteor database.
	UserByToken(ctx context.Context, hash, clear string) (*user.User, error)
	// UserByResetToken finds the owner of a reset or enrol token, stored as
	// hash or, in adopted databases, as clear.
	UserByResetToken(ctx context.Context, hash, clear string) (*user.User, error)
	// UserByVerificationToken likewise for address verification.
	UserByVerificationToken(ctx context.Context, hash, clear string) (*user.User, error)
	// ListUsers pages through accounts ordered by user name key, then id.
	ListUsers(ctx context.Context, offset, count int) (page []*user.User, total int, err error)
	// CountAdmins counts active accounts with role "admin".
	CountAdmins(ctx context.Context) (int, error)

	// CreateUser inserts u with UsernameKey and EmailKeys filled in. It refuses
	// with DuplicateUsername, DuplicateEmail or Duplicate (id) and then leaves nothing.
	CreateUser(ctx context.Context, u *user.User) error
	// DeleteUser removes the account and its guard (attempts and codes).
	DeleteUser(ctx context.Context, id string) error
	// UpdateUser applies c if all its conditions hold and returns the new
	// document; otherwise Conflict (or NotFound, or a duplicate) and no change.
	UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error)
	// SweepTokens removes session tokens started before sessions, reset tokens
	// before resets, enrol tokens before enrols, and reports whose sessions
	// died; also beside an error, those that died until then.
	SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (owners []string, err error)
}
