// Package dberr names the outcomes that every store reports alike. It holds no
// store and wraps no driver.
package dberr

//lint:file-ignore ST1012 the package name says what these are: dberr.NotFound reads better than dberr.ErrNotFound

import "errors"

var (
	// NotFound: the document does not exist.
	NotFound = errors.New("not found")
	// Conflict: the condition of an atomic operation did not hold; nothing was changed.
	Conflict = errors.New("condition not met")
	// DuplicateUsername: another account has that user name.
	DuplicateUsername = errors.New("user name taken")
	// DuplicateEmail: another account has that address.
	DuplicateEmail = errors.New("address taken")
	// Duplicate: a document with that id or unique key exists.
	Duplicate = errors.New("already exists")
	// Exhausted: a counted budget is used up; nothing was counted or compared.
	Exhausted = errors.New("budget exhausted")
	// LastAdmin: the account is the only active administrator there is; nothing was changed.
	LastAdmin = errors.New("the last active administrator")
	// Broken: what is stored cannot be understood, or was refused by the database for its
	// shape. It stays so until somebody mends it.
	Broken = errors.New("stored document is broken")
	// Unavailable: the outcome is unknown or the store cannot be reached. Treat
	// it as a refusal; whatever was to be counted may have been.
	Unavailable = errors.New("store unavailable")
)
