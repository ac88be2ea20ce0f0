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
	// FindUsers is the part of a list that q selects, and how many accounts it selects
	// in all; by indexes, on both stores.
	FindUsers(ctx context.Context, q user.Query) (page []*user.User, total int, err error)
	// CountUsers counts the accounts with a trait.
	CountUsers(ctx context.Context, trait string) (int, error)
	// Administrators lists the active accounts with role "admin", found by an index and
	// ordered by id. One that cannot be read is none: nobody can be logged in as it.
	Administrators(ctx context.Context) ([]*user.User, error)

	// CreateUser inserts u with UsernameKey and EmailKeys filled in. It refuses
	// with DuplicateUsername, DuplicateEmail or Duplicate (id) and then leaves nothing.
	CreateUser(ctx context.Context, u *user.User) error
	// DeleteUser removes the account, its guard (attempts and codes) and what is
	// remembered of its passwords (TriesKey). Conflict for one with role "admin",
	// unless admins says that it may be one; LastAdmin as UpdateUser.
	DeleteUser(ctx context.Context, id string, admins bool) error
	// UpdateUser applies c if all its conditions hold and returns the new
	// document; otherwise Conflict (or NotFound, or a duplicate) and no change.
	// LastAdmin when the change would leave the server without an active
	// administrator; no operation on accounts does, on however many nodes they meet.
	UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error)
	// UseToken notes that a login token was used; Conflict when there is none.
	UseToken(ctx context.Context, userID, token string, use user.Use) error
	// TokenOwners shows visit every account that has a login token, in no order: its id,
	// its names, whether it is active, its tokens, and nothing else of it. Accounts that
	// cannot be read are left out; an error of visit ends it.
	TokenOwners(ctx context.Context, visit func(*user.User) error) error
	PasswordStore
	// CountTries counts one password, under id, in every one of the budgets before
	// it is compared. Exhausted when one of them is full: then it is counted in none.
	CountTries(ctx context.Context, id string, now time.Time, list []Budget) error
	// EndTries takes the counts under id back. A right password also ends the rows
	// of its classes of sources; otherwise nothing was compared. A wrong password
	// needs no call: it is counted already.
	EndTries(ctx context.Context, id string, list []Budget, right bool) error
	// AddSource notes that the account whose passwords are counted under key was
	// used from a source. Sources not seen after since are dropped, and the oldest
	// when there are more than most.
	AddSource(ctx context.Context, key, digest string, now, since time.Time, most int) error
	// SweepTokens removes session tokens started before sessions, reset tokens
	// before resets, enrol tokens before enrols, and reports whose sessions
	// died; also beside an error, those that died until then.
	SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (owners []string, err error)
}
