// Package sessions is what people may know of, and do with, the sessions of an
// account: the login tokens that are no personal access tokens, each with when and
// where it was made and used.
//
// It says what of a client is kept (Keeper), lists, and ends. It issues no tokens and
// checks none: package accounts does. Where the list of one account ends and that of
// all begins, its callers have asked for a permission.
package sessions
