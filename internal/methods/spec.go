package methods

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/fault"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// Handler runs a method that passed all checks. It returns its result (nil for
// none) or an error: a *fault.Error goes to the client, any other becomes 500
// and is logged by the router, so handlers do not log.
type Handler func(ctx context.Context, c *rpc.Call) (any, error)

// Spec is one line of the surface: a method or a REST route, its handler and
// its policies. The zero value of every policy is the safe one.
type Spec struct {
	// Name is the DDP method, or the REST route without its prefix ("users.update").
	Name string
	Do   Handler
	// Anonymous methods run without a login; Call.User is nil then.
	Anonymous bool
	// LoginError replaces fault.NotAuthorized for a caller without a login.
	LoginError *fault.Error
	// Factor is the second factor asked for before the handler runs. Handlers
	// that know only later call Router.Challenge.
	Factor twofactor.Policy
	// Raise is what this very call asks for, read from its parameters before
	// anything is asked; the stronger of it and Factor counts. Parameters that do
	// not fit are answered with the strongest. nil raises nothing.
	Raise func(c *rpc.Call) twofactor.Policy
	// Inside is the most that Raise or the handler itself asks for when Doc's
	// conditions hold; it is for the list of the surface only.
	Inside twofactor.Policy
	// Proofs say which factors are a proof where the line, its handler or the
	// administrator's list asks for one; the zero value takes all. A bypass does not count
	// for a call that does not take them all, and trust only if it was earned with one that
	// it takes.
	Proofs rpc.Proofs
	// Effects say what the call changes; see CheckEffects for what follows.
	Effects Effects
	// Instead says what proves the caller where Factor and Inside are less than
	// the effects need: a mailed link, the code or the password in the parameters.
	// A call with a factor of its own does not need it.
	Instead string
	// Permission is checked after the login: before the factor over REST, after
	// it over DDP, as in Rocket.Chat.
	Permission string
	// PermissionError replaces ErrPermission for a caller without it.
	PermissionError *fault.Error
	// Limit is the class of rate limits.
	Limit ratelimit.Class
	// Action names what the call does, the same for every call that does it:
	// whoever lists one of them in Accounts_TwoFactorAuthentication_Protected_Calls
	// means them all. "" is the call's own name.
	Action string
	// Also are actions that every such call does as well, Carries those that it
	// does when its parameters say so: the handler asks for them
	// (Router.ChallengeActions). Listing the call lists them too.
	Also, Carries []string
	// Carried names those of Carries that this very call does, read from its parameters
	// before anything is asked, where the call asks for a factor in any case: one answer is
	// for all. nil leaves it to the handler.
	Carried func(c *rpc.Call) []string
	// Carrying names the method that this very call carries (Router.Carry), for which a code
	// is asked then; nil and "" mean none.
	Carrying func(c *rpc.Call) string
	// Rest is a REST route's own limit; the zero value is the configured default.
	Rest ratelimit.Rule
	// Enrolment keeps the call open to users who must set up a factor first
	// (setting Accounts_TwoFactorAuthentication_Mandatory_Roles).
	Enrolment bool
	// Enrols is the strength of the factor that the call is a step of setting up, 0 for
	// none: a demand for a factor of the administrator's list is lifted for these steps.
	Enrols twofactor.Strength
	// Passage calls are the way to give or to get a factor, or to leave: the
	// administrator's list of protected calls does not close them. Envelopes are among
	// them: what they carry is asked, once (rpc.Call.Via).
	Passage bool
	// Quick methods never wait: no store, no other call. They may run on the
	// goroutine that read them.
	Quick bool
	// Doc, Params, Result and Errors describe the call in docs/protocol.md. Empty
	// Params and Errors mean none.
	Doc, Params, Result, Errors string
}

// Actions are all that the call may do: its own, those it does as well, and those
// that its parameters may ask for.
func (s *Spec) Actions() []string { return slices.Concat([]string{s.Action}, s.Also, s.Carries) }

// Group is one file of methods.
type Group interface {
	Specs() []Spec
}

// Slice makes the groups of one slice of the program.
type Slice func(Challenger) []Group

// Challenger asks for a second factor from within a handler, and runs what a call carries;
// *Router has it.
type Challenger interface {
	Carrier
	Challenge(ctx context.Context, c *rpc.Call, p twofactor.Policy) error
}

// Metrics counts calls; package telemetry has it. Methods must be fast.
type Metrics interface {
	// Call counts one finished call. method is a name of the surface or
	// "unknown"; result is "ok", "refused", "limited" or "error".
	Call(door, method, result string, took time.Duration)
	// Panicked counts a handler that panicked.
	Panicked(method string)
}

// Info is what the server tells about itself.
type Info struct {
	// Version is the product's own.
	Version string
	// APILevel is the version of Rocket.Chat whose calls are here: clients compare it.
	APILevel string
	// RootURL is the server's address without a slash at the end.
	RootURL string
}

// ServerInfo is what clients are told of a server. Version is the API level, where
// Rocket.Chat has its version, and Product what it really is.
type ServerInfo struct {
	Version string  `json:"version"`
	Product Product `json:"product"`
}

// Product is a program and its version.
type Product struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Shown is the server as clients are told of it, over every door.
func (i Info) Shown() ServerInfo {
	return ServerInfo{Version: i.APILevel, Product: Product{Name: "ddpserver", Version: i.Version}}
}

// Deps are the parts that methods work with. The router needs Accounts,
// TwoFactor, Settings and Limiter; groups need what their methods use.
type Deps struct {
	Accounts  *accounts.Service
	TwoFactor *twofactor.Service
	Settings  *settings.Service
	Limiter   *ratelimit.Limiter
	Audit     audit.Recorder
	// Slices make the groups of slices, which are served beside those of the core.
	Slices []Slice
	// Routes names the REST routes, given the lines of the methods that they stand for;
	// nil means none. New calls it once. The administrator's list of protected calls
	// may name a route, and then covers its method too.
	Routes func(method Lookup) []RouteName
	// Logger gets one record for each call; nil discards them.
	Logger *zap.Logger
	// Metrics may be nil.
	Metrics Metrics
	Info    Info
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}
