// Package rule holds the operations of the core's store that change one document.
// Each is written once, as a method of Operations with the rule inside: a function
// that looks at a document and changes it or refuses with an error of package
// dberr. Both stores embed Operations and bring only the Engine that runs such a
// function atomically.
//
// The functions perform no I/O, read no clock, and have no effects but on their
// document and on variables that every run sets anew: an engine may run them more
// than once.
package rule

import (
	"context"
	"slices"

	"ddpserver/internal/accounts"
	"ddpserver/internal/mail"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Engine changes single documents. Each method reads the document, runs do on it and
// stores the result in one atomic step: when it is stored, nothing that do could
// have seen has changed since it was read. What do does not know of the document
// stays as it is. An error of do is returned, and nothing is stored.
//
// Failures of its own are those of package dberr. Unavailable also says that other
// writers were faster too often.
type Engine interface {
	// ChangeUser returns the new document. NotFound when there is no such account.
	ChangeUser(ctx context.Context, id string, do func(*user.User) error) (*user.User, error)
	// ChangeGuard makes the guard when there is none.
	ChangeGuard(ctx context.Context, userID string, do func(*twofactor.Guard) error) error
	// ChangeTries makes the document when there is none.
	ChangeTries(ctx context.Context, key string, do func(*accounts.Tries) error) error
	// ChangeMail changes a waiting mail. NotFound when there is none.
	ChangeMail(ctx context.Context, id string, do func(*mail.Item) error) error
}

// Operations are the operations that both stores share. They implement parts of
// accounts.Store, twofactor.Store, mail.Store and serverkey.Store, where each is
// described.
type Operations struct{ engine Engine }

// On makes the operations of an engine.
func On(e Engine) Operations { return Operations{engine: e} }

// user runs a rule whose result nobody needs.
func (o Operations) user(ctx context.Context, id string, do func(*user.User) error) error {
	_, err := o.engine.ChangeUser(ctx, id, do)
	return err
}

// Keys brings the normalised spellings of names and addresses up to date. Where the
// name or the addresses are what they were, their keys are too: of two adopted
// accounts with the same name only one has the key.
func Keys(before, after *user.User) {
	username, emails := after.Username == before.Username, slices.Equal(after.Emails, before.Emails)
	after.FillKeys()
	if username {
		after.UsernameKey = before.UsernameKey
	}
	if emails {
		after.EmailKeys = before.EmailKeys
	}
}
