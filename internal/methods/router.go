package methods

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// The refusals of the router. Unknown names are made by NotFound.
var (
	// ErrEnrol answers a user who must set up a second factor before anything else.
	ErrEnrol = fault.New("error-two-factor-setup-required", "You need to set up two-factor authentication first")
	// ErrPermission answers a caller who lacks the permission of the call.
	ErrPermission = fault.NotAllowed
)

// NotFound is Meteor's answer to an unknown method.
func NotFound(name string) *fault.Error {
	return fault.Num(404, "Method '"+name+"' not found")
}

// Router finds methods and puts every call through the same checks, whatever
// door it came through. It is safe for concurrent use.
type Router struct {
	deps  Deps
	specs map[string]*Spec
	// routes are the REST routes, for the administrator's list of protected calls.
	routes []RouteName
	// repeats thins out records of refused calls, guessed the audit events of
	// wrong tokens.
	repeats, guessed *ratelimit.Sampler
	// policy is what the settings say about all calls; replaced as a whole.
	policy atomic.Pointer[policy]
}

// New makes a router with the groups of All and the extra ones. A name that
// occurs twice, or a spec that contradicts itself, is a programming error and panics.
func New(d Deps, extra ...Group) *Router {
	if d.Logger == nil {
		d.Logger = zap.NewNop()
	}
	r := &Router{deps: d, specs: map[string]*Spec{}}
	r.repeats = ratelimit.NewSampler(ratelimit.SamplerOptions{Now: d.Now})
	r.guessed = ratelimit.NewSampler(ratelimit.SamplerOptions{Now: d.Now})
	groups := append(All(d, r), extra...)
	for _, slice := range d.Slices {
		groups = append(groups, slice(r)...)
	}
	for _, g := range groups {
		for _, s := range g.Specs() {
			r.add(s)
		}
	}
	if d.Routes != nil {
		r.routes = d.Routes(r.Spec)
	}
	r.announce(r.configure())
	d.Settings.Subscribe(func(changed []*settings.Setting) {
		unknown := r.configure()
		if slices.ContainsFunc(changed, func(s *settings.Setting) bool { return s.ID == settings.TwoFactorProtectedCalls }) {
			r.announce(unknown)
		}
	})
	return r
}

func (r *Router) add(s Spec) {
	switch {
	case s.Name == "" || s.Do == nil:
		panic("methods: a spec without name or handler: " + s.Name)
	case r.specs[s.Name] != nil:
		panic("methods: a method named '" + s.Name + "' is already defined")
	case s.Permission != "" && !permission.Known(s.Permission):
		panic("methods: " + s.Name + " asks for an unknown permission " + s.Permission)
	case s.Permission != "" && s.Anonymous:
		panic("methods: " + s.Name + " is open to everybody and asks for a permission")
	case s.Quick && !s.Anonymous:
		panic("methods: " + s.Name + " needs a login and so cannot be quick")
	}
	if err := twofactor.CheckEffects(s.Effects, max(s.Factor, s.Inside), s.Instead); err != nil {
		panic("methods: " + s.Name + " " + err.Error())
	}
	if err := r.deps.TwoFactor.CheckProofs(s.Proofs, max(s.Factor, s.Inside)); err != nil {
		panic("methods: " + s.Name + " " + err.Error())
	}
	if s.Action == "" {
		s.Action = s.Name
	}
	if s.Params == "" {
		s.Params = "none"
	}
	if s.Errors == "" {
		s.Errors = "-"
	}
	r.specs[s.Name] = &s
}

// Specs lists the surface, ordered by name.
func (r *Router) Specs() []Spec {
	out := make([]Spec, 0, len(r.specs))
	for _, name := range slices.Sorted(maps.Keys(r.specs)) {
		out = append(out, *r.specs[name])
	}
	return out
}

// Spec finds the line of a method.
func (r *Router) Spec(name string) (Spec, bool) {
	if s := r.specs[name]; s != nil {
		return *s, true
	}
	return Spec{}, false
}

// Lookup finds the line of a method, as Router.Spec does.
type Lookup func(method string) (Spec, bool)

// RouteName names a REST route: its path below the prefix, its HTTP method, and
// the actions that it does.
type RouteName struct {
	Verb, Path string
	Actions    []string
}

// known tells whether a pattern of the list fits a method or a route.
func (r *Router) known(pattern string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	fits := func(name string) bool { return name == pattern || wild && strings.HasPrefix(name, prefix) }
	for name := range r.specs {
		if fits(name) {
			return true
		}
	}
	return slices.ContainsFunc(r.routes, func(n RouteName) bool { return fits(n.Path) })
}

// Quick tells whether a method never waits (ddp.QuickHandler).
func (r *Router) Quick(name string) bool {
	s := r.specs[name]
	return s != nil && s.Quick
}

// Method runs one call: ddp.Handler's, and that of every other door that names
// methods. The error is fault.Internal's kind or client-safe; it is logged here.
func (r *Router) Method(ctx context.Context, c *rpc.Call) (any, error) {
	spec := r.specs[c.Method]
	if spec == nil {
		return nil, r.Stray(ctx, c, unknownName, NotFound(c.Method))
	}
	return r.observe(ctx, c, spec.Name, func(ctx context.Context, c *rpc.Call) (any, error) {
		// The limit comes before anything is decoded: what is refused is not read.
		if err := r.limit(c, spec); err != nil {
			return nil, err
		}
		takeProof(c, spec)
		return r.admitted(ctx, c, spec)
	})
}

// purpose is what the call is for: its action, the same for calls that do the same.
func (s *Spec) purpose() string { return cmp.Or(s.Action, s.Name) }

// settle writes into a call what its line says of every check on its way.
func (s *Spec) settle(c *rpc.Call) {
	c.Purpose, c.Proofs = s.purpose(), s.Proofs
	c.Proofs.OfFactors = s.Effects&Factors != 0
}

// run is the pipeline of DDP: limit ► user ► factor ► permission ► handler.
func (r *Router) run(ctx context.Context, c *rpc.Call, spec *Spec) (any, error) {
	if err := r.limit(c, spec); err != nil {
		return nil, err
	}
	return r.admitted(ctx, c, spec)
}

// admitted is run without the limit.
func (r *Router) admitted(ctx context.Context, c *rpc.Call, spec *Spec) (any, error) {
	r.settle(c, spec)
	return r.settled(ctx, c, spec)
}

// settled is admitted for a call that says already what it is for.
func (r *Router) settled(ctx context.Context, c *rpc.Call, spec *Spec) (any, error) {
	if err := r.loadUser(ctx, c, spec); err != nil {
		return nil, err
	}
	if err := r.factor(ctx, c, spec); err != nil {
		return nil, err
	}
	if err := permit(c, spec); err != nil {
		return nil, err
	}
	return spec.Do(ctx, c)
}

// Route runs one REST request in the order of Rocket.Chat's newer releases:
// observe ► recover ► login ► permission ► limit ► parameters ► factor ►
// handler, in Rocket.Chat's order. spec.Name is the route. enter finds
// out who calls, params checks the parameters before any code is asked for; both may be nil. What is refused before the route's limit counts
// it is counted by a limit of its own. The verdict is for the X-RateLimit headers.
func (r *Router) Route(ctx context.Context, c *rpc.Call, spec *Spec, enter, params func(*rpc.Call) error) (result any, v ratelimit.Verdict, err error) {
	v.OK = true
	spec.settle(c)
	result, err = r.observe(ctx, c, spec.Name, func(ctx context.Context, c *rpc.Call) (any, error) {
		if err := r.enter(ctx, c, spec, enter); err != nil {
			if outcomeOf(err) == "refused" {
				err = r.stray(c, spec.Name, err)
			}
			return nil, err
		}
		if c.User == nil || !permission.Has(c.User, permission.BypassRateLimit) {
			v = r.deps.Limiter.Route(spec.Name, c.Peer.Address, spec.Rest)
			if err := v.Err(); err != nil {
				return nil, err
			}
		}
		if params != nil {
			if err := params(c); err != nil {
				return nil, err
			}
		}
		if spec.Factor != twofactor.Login {
			c.Proof = c.Peer.Proof
		}
		if err := r.factor(ctx, c, spec); err != nil {
			return nil, err
		}
		return spec.Do(ctx, c)
	})
	return result, v, err
}

// enter finds out who calls and whether they may.
func (r *Router) enter(ctx context.Context, c *rpc.Call, spec *Spec, find func(*rpc.Call) error) error {
	if find != nil {
		if err := find(c); err != nil {
			return err
		}
	}
	if err := r.loadUser(ctx, c, spec); err != nil {
		return err
	}
	return permit(c, spec)
}

// limit counts the call.
func (r *Router) limit(c *rpc.Call, spec *Spec) error {
	return r.deps.Limiter.Allow(ratelimit.Event{
		Kind: ratelimit.Method, Name: spec.Name, Class: spec.Limit,
		UserID: c.Login.UserID, Conn: c.Peer.Conn, Address: c.Peer.Address, Shared: c.Peer.Proxied,
	})
}

func permit(c *rpc.Call, spec *Spec) error {
	switch {
	case spec.Permission == "" || permission.Has(c.User, spec.Permission):
		return nil
	case spec.PermissionError != nil:
		return spec.PermissionError
	}
	return ErrPermission
}

func (d Deps) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// configure reads what the settings say about all calls. unknown are entries of
// the list of protected calls that fit nothing there is.
func (r *Router) configure() (unknown []string) {
	s := r.deps.Settings
	p, unknown := parsePolicy(s.String(settings.TwoFactorProtectedCalls), s.String(settings.TwoFactorMandatoryRoles), r.known)
	r.mark(p)
	r.policy.Store(p)
	r.deps.Limiter.Configure(limits(s))
	return unknown
}

// mark finds the actions of the calls that the list names.
func (r *Router) mark(p *policy) {
	for _, spec := range r.specs {
		p.list(spec.Name, "", spec.Actions()...)
	}
	for _, n := range r.routes {
		p.list(n.Path, n.Verb, n.Actions...)
	}
}

// Protection is one entry of a list of protected calls. Known says that it fits a
// method or a route.
type Protection struct {
	Entry   string
	Known   bool
	actions map[string]bool
}

// Covers tells whether the entry puts a call that always does these actions under a
// second factor (Spec.Action and Also). Calls with Passage are asked by no list.
func (p *Protection) Covers(actions ...string) bool {
	return slices.ContainsFunc(actions, func(a string) bool { return p.actions[a] })
}

// Protection tells what each entry of a list covers that might be saved as the setting
// TwoFactorProtectedCalls.
func (r *Router) Protection(list string) []Protection {
	var out []Protection
	for _, entry := range split(list) {
		p, unknown := parsePolicy(entry, "", r.known)
		r.mark(p)
		out = append(out, Protection{Entry: entry, Known: len(unknown) == 0, actions: p.actions})
	}
	return out
}

// announce tells an operator about entries that may be misspelled.
func (r *Router) announce(unknown []string) {
	if len(unknown) > 0 {
		r.deps.Logger.Warn("protected_calls_without_method", zap.String("names", strings.Join(unknown, " ")))
	}
}
