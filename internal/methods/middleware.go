package methods

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"go.uber.org/zap"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

type step func(context.Context, *rpc.Call) (any, error)

// maxLoggedName bounds what a stranger can write into the log.
const maxLoggedName = 64

// observe is the outermost step: one record and one count for each call,
// whatever became of it. name is "unknown" for names that do not exist, so that
// strangers can not invent metric labels. A call that went well is a record for
// debugging, and refusals that repeat are counted instead of told (Sampler).
func (r *Router) observe(ctx context.Context, c *rpc.Call, name string, next step) (any, error) {
	begin := r.deps.now()
	asked := c.Method
	result, err := r.recovering(ctx, c, name, next)
	if c.Told {
		return result, err
	}
	took := r.deps.now().Sub(begin)
	if name != unknownName && c.Method != asked {
		name = c.Method // the launcher called on
	}
	outcome := outcomeOf(err)
	if m := r.deps.Metrics; m != nil {
		m.Call(string(c.Peer.Door), name, outcome, took)
	}
	level := levelOf(ctx, outcome, err, took)
	entry := r.deps.Logger.Check(level, "call")
	if entry == nil || r.repeated(level, c, name, outcome, err) {
		return result, err
	}
	fields := make([]zap.Field, 0, 10)
	fields = append(fields, zap.String("method", clip(c.Method)), zap.String("door", string(c.Peer.Door)),
		zap.String("conn", c.Peer.Conn), zap.String("address", c.Peer.Address), zap.String("user_id", c.Login.UserID),
		zap.String("result", outcome), zap.Duration("duration", took))
	if asked != c.Method {
		fields = append(fields, zap.String("via", asked))
	}
	if err != nil {
		f, safe := fault.From(err)
		fields = append(fields, zap.String("fault", f.ID()))
		if !safe || f.Unwrap() != nil {
			fields = append(fields, zap.NamedError("cause", cause(err, f, safe)))
		}
		var p *panicked
		if errors.As(err, &p) {
			fields = append(fields, zap.ByteString("stack", p.stack))
		}
	}
	entry.Write(fields...)
	return result, err
}

func cause(err error, f *fault.Error, safe bool) error {
	if safe {
		return f.Unwrap()
	}
	return err
}

// outcomeOf names the result of a call for logs and metrics.
func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	f, safe := fault.From(err)
	switch {
	case !safe || f.Number == fault.Internal.Number:
		return "error"
	case f.Code == "too-many-requests" || f.Code == "error-too-many-requests":
		return "limited"
	}
	return "refused"
}

func clip(s string) string {
	if len(s) <= maxLoggedName {
		return s
	}
	return s[:maxLoggedName] + "…"
}

// panicked carries a panic to the record of its call. Its text and stack go to
// the log and nowhere else.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovering turns a panic into an internal error.
func (r *Router) recovering(ctx context.Context, c *rpc.Call, name string, next step) (result any, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, &panicked{value: v, stack: debug.Stack()}
			if r.deps.Metrics != nil {
				r.deps.Metrics.Panicked(name)
			}
		}
	}()
	return next(ctx, c)
}

// loadUser reads the caller's account, once for each call, and refuses callers
// whose account or login token is no longer good. Reading it anew is what makes
// a role, a factor or a token that changed on another node count at once.
func (r *Router) loadUser(ctx context.Context, c *rpc.Call, spec *Spec) error {
	if c.User == nil && c.Login.UserID != "" && !spec.Quick {
		u, err := r.deps.Accounts.Caller(ctx, c.Login)
		switch {
		case errors.Is(err, fault.NotAuthorized):
			// The connection is about to be closed; until then it is nobody's.
			c.Login = rpc.Login{}
		case err != nil:
			return fmt.Errorf("read the caller's account: %w", err)
		default:
			c.User = u
			r.deps.Accounts.Used(ctx, c.Peer, u, c.Login)
		}
	}
	switch {
	case c.User == nil && spec.Anonymous:
		return nil
	case c.User == nil && spec.LoginError != nil:
		return spec.LoginError
	case c.User == nil:
		return fault.NotAuthorized
	case !spec.Enrolment && r.mustEnrol(c.User):
		return ErrEnrol
	}
	return nil
}

// Still refuses a caller who might not begin the call now: for answers that take long.
// The account is read anew; neither limit nor factor is asked again.
func (r *Router) Still(ctx context.Context, c *rpc.Call, spec *Spec) error {
	now := rpc.Call{Method: c.Method, Peer: c.Peer, Login: c.Login}
	return r.enter(ctx, &now, spec, nil)
}

// mustEnrol tells whether the account has a role that needs a second factor, and
// none that is strong enough, although it can set one up.
func (r *Router) mustEnrol(u *user.User) bool {
	return slices.ContainsFunc(r.policy.Load().mandatory(u.Roles), func(need twofactor.Strength) bool { return r.deps.TwoFactor.Lacks(u, need) })
}

// Admit tells whether a login may have a subscription of that name: nobody who
// must set up a factor first gets more than the own state and what is public.
func (r *Router) Admit(ctx context.Context, l rpc.Login, name, event string) error {
	if l.UserID == "" || len(r.policy.Load().roles) == 0 {
		return nil
	}
	switch name {
	case "meteor.loginServiceConfiguration", "meteor_autoupdate_clientVersions", "userData", "stream-notify-all":
		return nil
	case "stream-notify-user":
		if event == l.UserID+"/userData" {
			return nil
		}
	}
	return r.Enrolled(ctx, l)
}

// Enrolled refuses a login that must set up a factor before it gets more than
// Admit leaves open. Without rules it reads nothing.
func (r *Router) Enrolled(ctx context.Context, l rpc.Login) error {
	if l.UserID == "" || len(r.policy.Load().roles) == 0 {
		return nil
	}
	u, err := r.deps.Accounts.Caller(ctx, l)
	switch {
	case err != nil:
		return err
	case r.mustEnrol(u):
		return ErrEnrol
	}
	return nil
}

// factor asks for the second factor of the call's table line or of the
// administrator's list.
func (r *Router) factor(ctx context.Context, c *rpc.Call, spec *Spec) error {
	policy := r.asks(c, spec)
	r.demand(c, spec)
	switch policy {
	case twofactor.Login: // the handler asks, after the password
		return nil
	case twofactor.None:
		return nil
	}
	return r.Challenge(ctx, c, policy)
}

// asks is what the call is asked for before its handler runs: the strongest of
// the line, the parameters and the administrator's list. It is asked once, so
// that an answer that is good enough for one is not spent before the other.
func (r *Router) asks(c *rpc.Call, spec *Spec) twofactor.Policy {
	policy := spec.Factor
	if policy == twofactor.Login {
		return policy
	}
	if spec.Raise != nil && c.User != nil {
		policy = max(policy, spec.Raise(c))
	}
	if policy == twofactor.None && c.User != nil && !spec.Passage && r.listed(c, spec) {
		policy = twofactor.Ordinary
	}
	if policy == twofactor.Fresh && spec.Effects&Guards != 0 { // which may switch factors off
		c.Proofs.OfFactors = true
	}
	return policy
}

// demand leaves as proofs of a call what the administrator's list takes for its actions.
func (r *Router) demand(c *rpc.Call, spec *Spec) {
	demands := r.policy.Load().demands
	if len(demands) == 0 || c.User == nil || spec.Passage || spec.Factor == twofactor.Login {
		return
	}
	need := max(demands[spec.Action], demands[c.Via])
	also := spec.Also
	if spec.Carried != nil {
		also = slices.Concat(also, spec.Carried(c))
	}
	for _, a := range also {
		need = max(need, demands[a])
	}
	// Who has none of what is demanded must be able to set it up, and to see where he is.
	if need > 0 && !(spec.leadsTo(need) && r.deps.TwoFactor.Without(c.User, need)) {
		c.Proofs = r.deps.TwoFactor.AtLeast(c.Proofs, need)
	}
}

// leadsTo tells whether the call is a step of setting up a factor of at least that strength,
// or shows the own state and changes nothing.
func (s *Spec) leadsTo(need twofactor.Strength) bool {
	return s.Enrols >= need || s.Enrolment && s.Effects == Reads
}

// listed tells whether the administrator's list names a call of an action that
// this one does, or the envelope that carried it.
func (r *Router) listed(c *rpc.Call, spec *Spec) bool {
	actions := r.policy.Load().actions
	return len(actions) > 0 && (actions[spec.Action] || slices.ContainsFunc(spec.Also, func(a string) bool { return actions[a] }) || actions[c.Via])
}

// ChallengeActions asks for an ordinary second factor when the administrator's
// list names a call of one of these actions. Handlers ask it for what their
// parameters make the call do (Spec.Carries).
func (r *Router) ChallengeActions(ctx context.Context, c *rpc.Call, actions ...string) error {
	p, need := r.policy.Load(), twofactor.Strength(0)
	if !slices.ContainsFunc(actions, func(a string) bool { return p.actions[a] }) {
		return nil
	}
	for _, a := range actions {
		need = max(need, p.demands[a])
	}
	if need > 0 {
		proofs := c.Proofs
		c.Proofs = r.deps.TwoFactor.AtLeast(proofs, need)
		defer func() { c.Proofs = proofs }()
	}
	return r.Challenge(ctx, c, twofactor.Ordinary)
}

// Challenge asks for a second factor from within a handler that knows only now
// whether its call needs one. A code that was accepted for this call before is
// not asked for again.
func (r *Router) Challenge(ctx context.Context, c *rpc.Call, p twofactor.Policy) error {
	return r.verify(ctx, c, p, false)
}

// verify is Challenge. insist compares an answer even where none is needed.
func (r *Router) verify(ctx context.Context, c *rpc.Call, p twofactor.Policy, insist bool) error {
	req := twofactor.RequestOf(c)
	req.Policy, req.Insist = p, insist
	return r.deps.TwoFactor.Check(ctx, req)
}
