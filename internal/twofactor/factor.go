package twofactor

import (
	"context"
	"slices"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// Factor is one way to prove that a call comes from the account's owner. It is all
// that the server knows of it: checks, challenges, methods, routes, mails and the
// audit stream take what they need from here. A new factor is a type that embeds
// Base and implements the rest, what an account's document holds of it
// (user.FactorFields), and a line in builtin.
type Factor interface {
	// Name is the factor's name on the wire and in the audit stream.
	Name() string
	// Strength compares the factor with others.
	Strength() Strength
	// Offered tells whether the server lets the account set the factor up.
	Offered(u *user.User) bool
	// SwitchedOn tells whether the account has the factor, whether or not it can be
	// asked for now.
	SwitchedOn(u *user.User) bool
	// Enabled tells whether the account can use the factor now: it is switched on
	// for the account and for the server.
	Enabled(u *user.User) bool
	// Named tells that not every client can ask people for it: it is asked for when a
	// client names it, and where nothing else is left to ask for.
	Named() bool
	// Reads tells that an answer which names no factor can only be meant for this one.
	Reads(p rpc.Proof) bool
	// Unguessable tells that nobody finds a right answer by trying, so that wrong ones stand
	// for no risk: they have a budget of their own, and shut out no other factor.
	Unguessable() bool
	// Tries is how many answers a live set of codes survives; 0 when the factor
	// has no sets.
	Tries() int
	// Verify compares r.Proof to r.User's factor after it was counted, and spends it.
	// The value may be anything. It returns the name of the factor that was accepted,
	// its own or that of one it stands in for, or "" for a wrong answer. It does not
	// ask Enabled.
	Verify(ctx context.Context, r Request) (accepted string, err error)
	// Prepare fills in the details of a challenge to r.User and, when send is
	// set, makes sure that the owner has a code to answer with. The details count
	// beside an error, too.
	Prepare(ctx context.Context, r Request, d *Details, send bool) error
	// Calls are the methods and routes with which people set the factor up and use it.
	Calls() []Call
}

// Base is what a factor embeds for what it does not have: sets of codes, details
// of its own, calls.
type Base struct{}

// Named implements Factor.
func (Base) Named() bool { return false }

// Reads implements Factor.
func (Base) Reads(rpc.Proof) bool { return false }

// Unguessable implements Factor.
func (Base) Unguessable() bool { return false }

// Tries implements Factor.
func (Base) Tries() int { return 0 }

// Prepare implements Factor.
func (Base) Prepare(context.Context, Request, *Details, bool) error { return nil }

// Calls implements Factor.
func (Base) Calls() []Call { return nil }

// builtin are the factors of the server. A new one is a line here.
func builtin(s *Service) []Factor {
	return []Factor{emailFactor{Base{}, s}, totpFactor{Base{}, s}, backupCodes{Base{}, s}, passwordFactor{Base{}, s}, passkeyFactor{Base{}, s}}
}

// byStrength orders factors, strongest first.
func byStrength(list []Factor) []Factor {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Factor) int { return int(b.Strength()) - int(a.Strength()) })
	return list
}

// factor is the one of that name, or nil.
func (s *Service) factor(name string) Factor {
	for _, f := range s.factors {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

// strengthOf is the strength of the factor of that name, or 0 when there is none.
func (s *Service) strengthOf(name string) Strength {
	if f := s.factor(name); f != nil {
		return f.Strength()
	}
	return 0
}

// SwitchedOn tells whether the account has a second factor switched on, whether or
// not it can be asked for now: codes by mail wait for a verified address.
func (s *Service) SwitchedOn(u *user.User) bool {
	return slices.ContainsFunc(s.factors, func(f Factor) bool { return f.SwitchedOn(u) })
}

// Available lists the account's factors that are on, strongest first, without
// the password. It is never nil, and empty while second factors are switched off
// on the server.
func (s *Service) Available(u *user.User) []string { return names(s.on(u)) }

// Names lists the factors that people are asked for by name, strongest first, whether or
// not an account has them.
func (s *Service) Names() []string {
	return names(slices.DeleteFunc(slices.Clone(s.factors), func(f Factor) bool { return f.Name() == Backup }))
}

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

// Details describe a challenge to the client. They stand in totp-required,
// totp-invalid and totp-max-attempts alike.
type Details struct {
	// Method is the factor that is asked for.
	Method string
	// CodeGenerated says that this very challenge mailed a code.
	CodeGenerated bool
	// AvailableMethods are the factors that this very check accepts, strongest
	// first; the password is never among them.
	AvailableMethods []string
	// Before and After are members of the factor's own, which stand before and after
	// availableMethods.
	Before, After ejson.Doc
}

// doc is the wire form, in the order of the documentation.
func (d *Details) doc() ejson.Doc {
	doc := ejson.Doc{{Key: "method", Value: d.Method}, {Key: "codeGenerated", Value: d.CodeGenerated}}
	methods := make([]any, len(d.AvailableMethods))
	for i, m := range d.AvailableMethods {
		methods[i] = m
	}
	doc = append(append(doc, d.Before...), ejson.Field{Key: "availableMethods", Value: methods})
	return append(doc, d.After...)
}
