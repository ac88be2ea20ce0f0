package twofactor

import (
	"context"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// Names of the factors on the wire, and of the backup codes in the audit stream.
const (
	TOTP     = "totp"
	Email    = "email"
	Password = "password"
	backup   = "backup"
)

// Factor is one way to prove that a call comes from the account's owner.
type Factor interface {
	// Name is the factor's name on the wire.
	Name() string
	// Strength compares the factor with others.
	Strength() Strength
	// Offered tells whether the server lets the account set the factor up.
	Offered(u *user.User) bool
	// Enabled tells whether the account can use the factor now: it is switched
	// on for the account and for the server.
	Enabled(u *user.User) bool
	// Tries is how many answers a live set of codes survives; 0 when the factor
	// has no sets.
	Tries() int
	// Verify compares r.Proof to r.User's factor after it was counted, and spends it.
	// The value may be anything. It returns what was accepted (the name, or "backup"),
	// or "" for a wrong answer. It does not ask Enabled.
	Verify(ctx context.Context, r Request) (accepted string, err error)
	// Prepare fills in the details of a challenge to r.User and, when send is
	// set, makes sure that the owner has a code to answer with.
	Prepare(ctx context.Context, r Request, d *Details, send bool) error
}

// Details describe a challenge to the client (docs/decisions.md 2.2). They stand in
// totp-required, totp-invalid and totp-max-attempts alike.
type Details struct {
	// Method is the factor that is asked for.
	Method string
	// CodeGenerated says that this very challenge mailed a code.
	CodeGenerated bool
	// CodeExpires are the ends of the mailed codes that are alive, oldest first,
	// and EmailOrUsername whom to ask for another one; both for Method "email" only.
	CodeExpires     []time.Time
	EmailOrUsername string
	// AvailableMethods are the factors that this very check accepts, strongest
	// first; the password is never among them.
	AvailableMethods []string
}

// doc is the wire form, in the order of the documentation.
func (d *Details) doc() ejson.Doc {
	doc := ejson.Doc{{Key: "method", Value: d.Method}, {Key: "codeGenerated", Value: d.CodeGenerated}}
	if d.Method == Email {
		expires := make([]any, len(d.CodeExpires))
		for i, t := range d.CodeExpires {
			expires[i] = t
		}
		doc = append(doc, ejson.Field{Key: "codeCount", Value: len(expires)}, ejson.Field{Key: "codeExpires", Value: expires})
	}
	methods := make([]any, len(d.AvailableMethods))
	for i, m := range d.AvailableMethods {
		methods[i] = m
	}
	doc = append(doc, ejson.Field{Key: "availableMethods", Value: methods})
	if d.Method == Email {
		doc = append(doc, ejson.Field{Key: "emailOrUsername", Value: d.EmailOrUsername})
	}
	return doc
}

// Available lists the account's factors that are on, strongest first, without
// the password. It is never nil, and empty while second factors are switched off
// on the server.
func (s *Service) Available(u *user.User) []string { return names(s.on(u)) }

// names are those of the factors that can be named.
func names(list []Factor) []string {
	out := make([]string, 0, len(list))
	for _, f := range list {
		if f.Strength() > ByPassword {
			out = append(out, f.Name())
		}
	}
	return out
}
