package twofactor

import (
	"context"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// Call is a line of the surface that a factor brings: a DDP method, a REST route, or
// both for the same. Packages methods and rest make their lines of it, so that it
// passes the checks that every call passes.
type Call struct {
	// Method is the name of the DDP method; empty for a route alone.
	Method string
	// Action is what the call is listed under among the protected calls, where another one
	// does the same; empty for the method's own name.
	Action string
	// Do runs the method. It returns what a handler of package methods does.
	Do func(ctx context.Context, c *rpc.Call) (any, error)
	// Effects say what the call changes, Asks the second factor that is asked for
	// before it runs, Inside the most that Do asks for itself. Instead says what proves
	// the caller where both are less than the effects need.
	Effects      Effects
	Asks, Inside Policy
	Instead      string
	// Anonymous calls need no login.
	Anonymous bool
	// Late closes the call to somebody who must set up a factor first: it is no way to
	// get one.
	Late bool
	// Enrols is the strength of the factor that the call is a step of setting up, 0 for none:
	// who lacks a factor that is demanded for every call may take the steps to it.
	Enrols Strength
	// Passage keeps the administrator's list of protected calls from asking for a factor
	// here: the call is how people get a code to answer with.
	Passage bool
	// Sentence says what the call does, as in "to log in", for the mail with its code.
	Sentence string
	// Doc, Params, Result and Errors describe the method in docs/protocol.md.
	Doc, Params, Result, Errors string

	// Route is the REST route, its HTTP method and path: "POST users.enableTotp".
	Route string
	// Summary describes the route, RouteErrors are the codes that it answers beside
	// those of the method.
	Summary     string
	RouteErrors []string
	// Body is a value of the struct that the body fills, nil for none. Its tags say
	// what the members are called (json), with ",omitempty" that one may be missing, and
	// what is known of its values (about, enum, minLength). Exact refuses other members.
	Body  any
	Exact bool
	// Spread makes the members of the body the parameters of the call, one each, in
	// their order; otherwise the body is the only parameter.
	Spread bool
	// Account lets the request name an account by userId, username or user: its id is
	// then the only parameter, that of the caller if none is named.
	Account bool
	// Answer is a value of the struct that Shape returns, nil when success is all that
	// the route answers. Without Shape the result of Do is answered.
	Answer any
	Shape  func(result any) (any, error)
	// DoRoute runs the route where it differs from the method.
	DoRoute func(ctx context.Context, c *rpc.Call) (any, error)
}

// FactorCalls lists what the factors bring to the surface, weakest factor first.
func (s *Service) FactorCalls() []Call {
	var all []Call
	for i := len(s.factors) - 1; i >= 0; i-- {
		all = append(all, s.factors[i].Calls()...)
	}
	return all
}

// codeRequest is a request whose proof is the one parameter of the call. A number is
// a wrong answer and counts as one; other types are 400 Match failed. given is false
// when there is none. What was accepted for the call does not stand for it.
func codeRequest(c *rpc.Call) (r Request, given bool, err error) {
	r = RequestOf(c)
	r.Passed, r.Proof = nil, rpc.Proof{}
	var code *any
	if err := c.Bind(&code); err != nil || code == nil || *code == nil {
		return r, false, err
	}
	switch v := (*code).(type) {
	case string:
		r.Proof = rpc.TextProof("", v)
	case float64:
		r.Proof = rpc.WrongProof("")
	default:
		return r, false, fault.MatchFailed
	}
	return r, true, nil
}

// neededCode is codeRequest where a missing code is 400 Match failed, too.
func neededCode(c *rpc.Call) (Request, error) {
	r, given, err := codeRequest(c)
	if err == nil && !given {
		err = fault.MatchFailed
	}
	return r, err
}
