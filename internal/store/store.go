// Package store names what the whole program needs of a database. It is the sum
// of the small interfaces that the domain packages declare for themselves;
// package sqlite is the embedded implementation, package mongo the shared one,
// and package storetest the suite that both must pass.
//
// It holds no code: no query language, no transaction and no driver type crosses
// it. Whoever needs one more operation adds it, atomic by contract, to the
// interface of the domain package that needs it.
package store

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Store is a database. It is safe for use by many goroutines. Every method is
// atomic and durable when it returns nil; failures are those of package dberr.
// dberr.Unavailable means that the outcome is unknown or that nothing happened:
// callers refuse.
type Store interface {
	accounts.Store
	twofactor.Store
	settings.Store
	mail.Store
	feed.Store
	feed.Marks
	serverkey.Store

	// UsersByIDs finds the accounts that exist, in no order.
	UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error)
	// Ping tells whether the store answers now; readiness depends on it.
	Ping(ctx context.Context) error
	// Close ends the store after the operations under way. Operations that
	// come later fail with dberr.Unavailable. It may be called twice.
	Close() error
}
