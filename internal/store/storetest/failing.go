package storetest

import (
	"context"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/store"
	"ddpserver/internal/user"
)

// Failing is a store one of whose operations fails: those that package accounts
// asks for are counted.
type Failing struct {
	store.Store
	Turns
}

// UserByID fails when its turn has come.
func (f *Failing) UserByID(ctx context.Context, id string) (r0 *user.User, err error) {
	if err = f.Next("UserByID"); err == nil {
		r0, err = f.Store.UserByID(ctx, id)
	}
	return
}

// UserByUsername fails when its turn has come.
func (f *Failing) UserByUsername(ctx context.Context, key string) (r0 *user.User, err error) {
	if err = f.Next("UserByUsername"); err == nil {
		r0, err = f.Store.UserByUsername(ctx, key)
	}
	return
}

// UserByEmail fails when its turn has come.
func (f *Failing) UserByEmail(ctx context.Context, key string) (r0 *user.User, err error) {
	if err = f.Next("UserByEmail"); err == nil {
		r0, err = f.Store.UserByEmail(ctx, key)
	}
	return
}

// UserByToken fails when its turn has come.
func (f *Failing) UserByToken(ctx context.Context, hash, clear string) (r0 *user.User, err error) {
	if err = f.Next("UserByToken"); err == nil {
		r0, err = f.Store.UserByToken(ctx, hash, clear)
	}
	return
}

// UserByResetToken fails when its turn has come.
func (f *Failing) UserByResetToken(ctx context.Context, hash, clear string) (r0 *user.User, err error) {
	if err = f.Next("UserByResetToken"); err == nil {
		r0, err = f.Store.UserByResetToken(ctx, hash, clear)
	}
	return
}

// UserByVerificationToken fails when its turn has come.
func (f *Failing) UserByVerificationToken(ctx context.Context, hash, clear string) (r0 *user.User, err error) {
	if err = f.Next("UserByVerificationToken"); err == nil {
		r0, err = f.Store.UserByVerificationToken(ctx, hash, clear)
	}
	return
}

// ListUsers fails when its turn has come.
func (f *Failing) ListUsers(ctx context.Context, offset, count int) (r0 []*user.User, r1 int, err error) {
	if err = f.Next("ListUsers"); err == nil {
		r0, r1, err = f.Store.ListUsers(ctx, offset, count)
	}
	return
}

// FindUsers fails when its turn has come.
func (f *Failing) FindUsers(ctx context.Context, q user.Query) (r0 []*user.User, r1 int, err error) {
	if err = f.Next("FindUsers"); err == nil {
		r0, r1, err = f.Store.FindUsers(ctx, q)
	}
	return
}

// CountUsers fails when its turn has come.
func (f *Failing) CountUsers(ctx context.Context, trait string) (r0 int, err error) {
	if err = f.Next("CountUsers"); err == nil {
		r0, err = f.Store.CountUsers(ctx, trait)
	}
	return
}

// Administrators fails when its turn has come.
func (f *Failing) Administrators(ctx context.Context) (r0 []*user.User, err error) {
	if err = f.Next("Administrators"); err == nil {
		r0, err = f.Store.Administrators(ctx)
	}
	return
}

// CreateUser fails when its turn has come.
func (f *Failing) CreateUser(ctx context.Context, u *user.User) (err error) {
	if err = f.Next("CreateUser"); err == nil {
		err = f.Store.CreateUser(ctx, u)
	}
	return
}

// DeleteUser fails when its turn has come.
func (f *Failing) DeleteUser(ctx context.Context, id string, admins bool) (err error) {
	if err = f.Next("DeleteUser"); err == nil {
		err = f.Store.DeleteUser(ctx, id, admins)
	}
	return
}

// UpdateUser fails when its turn has come.
func (f *Failing) UpdateUser(ctx context.Context, id string, c user.Change) (r0 *user.User, err error) {
	if err = f.Next("UpdateUser"); err == nil {
		r0, err = f.Store.UpdateUser(ctx, id, c)
	}
	return
}

// TokenOwners fails when its turn has come.
func (f *Failing) TokenOwners(ctx context.Context, visit func(*user.User) error) (err error) {
	if err = f.Next("TokenOwners"); err == nil {
		err = f.Store.TokenOwners(ctx, visit)
	}
	return
}

// UseToken fails when its turn has come.
func (f *Failing) UseToken(ctx context.Context, userID, token string, use user.Use) (err error) {
	if err = f.Next("UseToken"); err == nil {
		err = f.Store.UseToken(ctx, userID, token, use)
	}
	return
}

// CountTries fails when its turn has come.
func (f *Failing) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) (err error) {
	if err = f.Next("CountTries"); err == nil {
		err = f.Store.CountTries(ctx, id, now, list)
	}
	return
}

// EndTries fails when its turn has come.
func (f *Failing) EndTries(ctx context.Context, id string, list []accounts.Budget, right bool) (err error) {
	if err = f.Next("EndTries"); err == nil {
		err = f.Store.EndTries(ctx, id, list, right)
	}
	return
}

// AddSource fails when its turn has come.
func (f *Failing) AddSource(ctx context.Context, key, digest string, now, since time.Time, most int) (err error) {
	if err = f.Next("AddSource"); err == nil {
		err = f.Store.AddSource(ctx, key, digest, now, since, most)
	}
	return
}

// SweepTokens fails when its turn has come.
func (f *Failing) SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (r0 []string, err error) {
	if err = f.Next("SweepTokens"); err == nil {
		r0, err = f.Store.SweepTokens(ctx, sessions, resets, enrols)
	}
	return
}

// Tries fails when its turn has come.
func (f *Failing) Tries(ctx context.Context, key string) (r0 accounts.Tries, err error) {
	if err = f.Next("Tries"); err == nil {
		r0, err = f.Store.Tries(ctx, key)
	}
	return
}
