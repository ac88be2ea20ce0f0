package methods

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// launcher serves the documented way to answer a challenge (docs/decisions.md 2.1).
type launcher struct{ router *Router }

// launcherName calls another method with a code.
const launcherName = "callWithTwoFactorRequired"

func (g *launcher) Specs() []Spec {
	return []Spec{{
		Name: launcherName, Do: g.call, Effects: Reads, Enrolment: true, Passage: true,
		Doc:    "Calls another method and gives the code that it asks for.",
		Params: "{code, ddpMethod, method?, params}", Result: "the other method's",
		Errors: "400 Match failed; 404; totp-invalid; totp-max-attempts; the other method's",
	}}
}

var (
	errLaunchSelf  = fault.Num(400, "Method 'callWithTwoFactorRequired' cannot call itself")
	errLaunchLogin = fault.Num(400, "Method 'login' cannot be called with callWithTwoFactorRequired")
)

// launch is the one parameter. Members nobody knows are let pass: the literal
// frame of the documentation carries more than these.
type launch struct {
	Code   string    `ejson:"code"`
	Target string    `ejson:"ddpMethod"`
	Factor *string   `ejson:"method"`
	Params ejson.Raw `ejson:"params"`
	_      struct{}  `ejson:",ignore"`
}

// call checks in the order of docs/decisions.md 2.1: login (the router did), shape,
// target, code. Then the target runs under its own rules and its own name; a
// launcher grants nothing that the target does not (docs/security-tests.md S047).
func (g *launcher) call(ctx context.Context, c *rpc.Call) (any, error) {
	var l launch
	if err := c.Bind(&l); err != nil {
		return nil, err
	}
	params, ok := asList(l.Params)
	if !ok {
		return nil, fault.MatchFailed
	}
	target := g.router.specs[l.Target]
	switch {
	case target == nil:
		return nil, NotFound(l.Target)
	case l.Target == launcherName:
		return nil, errLaunchSelf
	case target.Factor == twofactor.Login:
		return nil, refuseLaunch(l.Target)
	}
	c.Proof, c.Passed = launchedProof(l), rpc.Passed{}
	c.Method, c.Params = l.Target, params
	g.router.settle(c, target)
	g.router.demand(c, target)
	if err := g.router.verify(ctx, c, max(g.router.asks(c, target), target.Inside, twofactor.Ordinary), true); err != nil {
		return nil, err
	}
	return g.router.run(ctx, c, target)
}

func refuseLaunch(name string) *fault.Error {
	if name == "login" {
		return errLaunchLogin
	}
	return fault.Num(400, "Method '"+name+"' cannot be called with callWithTwoFactorRequired")
}

// asList makes a parameter list of what the documentation shows: a list, or one
// object that stands for the only parameter.
func asList(raw ejson.Raw) ([]byte, bool) {
	for i, b := range raw {
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		case '[':
			return raw, true
		case '{':
			list := make([]byte, 0, len(raw)-i+2)
			list = append(list, '[')
			return append(append(list, raw[i:]...), ']'), true
		}
		return nil, false
	}
	return nil, false
}
