// Package fault holds the one error type that a client may see.
//
// An error that is not a *Error is an internal one: every door renders it as
// 500 "Internal server error" and the router logs it once. The package does
// not log, does not know any protocol, and never carries the text of a cause
// to the wire.
package fault

import (
	"errors"
	"fmt"
	"strconv"
)

// Error is a client-safe refusal in the shape of Meteor's error object
// (docs/wire/ddp.md A7). Exactly one of Code and Number identifies it.
type Error struct {
	// Code is the textual code, such as "totp-required".
	Code string
	// Number is the numeric code, such as 403; it is used when Code is empty.
	Number int
	// Reason is the sentence a person reads; it may be empty.
	Reason string
	// Details is rendered as plain JSON (dates as ISO strings), or left out when nil.
	Details any

	cause error
}

// New makes a refusal with a textual code.
func New(code, reason string) *Error { return &Error{Code: code, Reason: reason} }

// Num makes a refusal with a numeric code.
func Num(number int, reason string) *Error { return &Error{Number: number, Reason: reason} }

// With returns a copy that carries details for the client.
func (e *Error) With(details any) *Error {
	c := *e
	c.Details = details
	return &c
}

// Because returns a copy that remembers a private cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// ID is the code as text: "totp-required", or "403".
func (e *Error) ID() string {
	if e.Code != "" {
		return e.Code
	}
	return strconv.Itoa(e.Number)
}

// Message is the reason followed by the code in brackets, as Meteor writes it.
func (e *Error) Message() string {
	if e.Reason == "" {
		return "[" + e.ID() + "]"
	}
	return e.Reason + " [" + e.ID() + "]"
}

// Error implements error; it includes the private cause and is for logs only.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Message(), e.cause)
	}
	return e.Message()
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Is compares codes, so that a refusal with details matches its sentinel.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Number == e.Number && (t.Reason == "" || t.Reason == e.Reason)
}

// From finds the client-safe error in err's chain. ok is false for an internal
// error, for which the returned value is Internal with err as its cause.
func From(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	return Internal.Because(err), false
}

// Refusals that every door shares.
var (
	// Internal hides everything that is not client-safe (docs/wire/ddp.md A9).
	Internal = Num(500, "Internal server error")
	// MatchFailed answers a parameter of the wrong shape.
	MatchFailed = Num(400, "Match failed")
	// NotAuthorized answers a call that needs a login (docs/decisions.md 8.1).
	NotAuthorized = New("error-not-authorized", "Not authorized")
	// NotAllowed answers a call that needs a permission the caller lacks.
	NotAllowed = New("error-not-allowed", "Not allowed")
)
