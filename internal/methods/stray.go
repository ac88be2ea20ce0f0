package methods

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ddpserver/internal/audit"
	"ddpserver/internal/fault"
	"ddpserver/internal/netkey"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
)

// unknownName stands in metrics and limits for every name that a client made
// up, so that strangers cannot invent labels.
const unknownName = "unknown"

// Observe makes the one record and the one count of a call that is no method: a
// subscription, or a request that its door refuses. name must come from the
// program's own tables. The error is fault.Internal's kind or client-safe, as
// Method's.
func (r *Router) Observe(ctx context.Context, c *rpc.Call, name string, run func(context.Context) error) error {
	_, err := r.observe(ctx, c, name, func(ctx context.Context, _ *rpc.Call) (any, error) { return nil, run(ctx) })
	return err
}

// Stray counts, limits and records a call that nothing takes: an unknown method,
// publication or path, a wrong verb. It returns why the call is refused: err, or
// too-many-requests for a caller who goes on.
func (r *Router) Stray(ctx context.Context, c *rpc.Call, name string, err error) error {
	return r.Observe(ctx, c, name, func(context.Context) error { return r.stray(c, name, err) })
}

// stray limits a refusal that no other rule has counted. DDP's are counted by
// connection and user as calls are, those of HTTP by address.
func (r *Router) stray(c *rpc.Call, name string, err error) error {
	e := ratelimit.Event{Kind: ratelimit.Unknown, Name: name, UserID: c.Login.UserID, Conn: c.Peer.Conn, Address: c.Peer.Address, Shared: c.Peer.Proxied}
	if c.Peer.Door == rpc.REST || c.Peer.Conn == "" {
		e = ratelimit.Event{Kind: ratelimit.Refused, Name: name, Address: c.Peer.Address}
	}
	if limited := r.deps.Limiter.Allow(e); limited != nil {
		return limited
	}
	return err
}

// guesses is how many different wrong login tokens may come from one network in
// a window before nothing is looked up for it any more. A token has 256 bits, so
// the number protects no token; it bounds what guessing costs and makes it seen.
const (
	guesses     = 60
	guessWindow = time.Minute
	// workedWindow is how long a token that worked is known to its network.
	workedWindow = 24 * time.Hour
)

// Guess runs the check of a login token that came with a request, unless too
// many wrong ones came from its network. A wrong token that comes again is no
// new guess: the client of somebody who was logged out must not close the door
// for those beside him. Refusals are audited as token_refused, the first few of a
// network singly, then as a number. check refuses with a *fault.Error; any other
// error is the store's, and nobody's guess.
func (r *Router) Guess(p *rpc.Peer, token string, check func() error) error {
	network := netkey.Of(p.Address)
	worked := "worked/" + network + "/" + token
	if wait, ok := r.deps.Limiter.Peek("guess/"+network, guesses); !ok {
		if _, strange := r.deps.Limiter.Peek(worked, 1); strange {
			err := ratelimit.TooMany(wait)
			r.tokenRefused(p, network, "limited", err)
			return err
		}
	}
	err := check()
	if err == nil {
		r.deps.Limiter.Take(worked, 1, workedWindow)
		return nil
	}
	if _, safe := fault.From(err); !safe {
		return err // the store could not answer; nobody guessed wrong
	}
	if _, first := r.deps.Limiter.Take("guessed/"+network+"/"+token, 1, guessWindow); first {
		if wait, ok := r.deps.Limiter.Take("guess/"+network, guesses, guessWindow); !ok {
			err = ratelimit.TooMany(wait)
		}
	}
	r.tokenRefused(p, network, outcomeOf(err), err)
	return err
}

// tokenRefused audits a login token that was not accepted.
func (r *Router) tokenRefused(p *rpc.Peer, network, outcome string, err error) {
	if r.deps.Audit == nil {
		return
	}
	f, _ := fault.From(err)
	e := audit.Event{Act: "token_refused", Outcome: outcome, Reason: f.ID(), Door: string(p.Door), Address: p.Address, Agent: p.UserAgent, Conn: p.Conn}
	if r.guessed.Tell(outcome, network, func(from string, count int) {
		r.deps.Audit.Record(audit.Event{Act: "token_refused", Outcome: outcome, Reason: "repeated", Count: count, Address: from})
	}) {
		r.deps.Audit.Record(e)
	}
}

// Flush tells what was counted and not yet told. It is for the end of a server.
func (r *Router) Flush() {
	r.repeats.Flush()
	r.guessed.Flush()
}

// slow is how long a call may take before its record is for an operator.
const slow = time.Second

// levelOf says for whom the record of a call is: an error and a refusal are what
// an operator acts on, a call that went well is not, unless it was slow.
func levelOf(ctx context.Context, outcome string, err error, took time.Duration) zapcore.Level {
	switch {
	case outcome == "ok" && took < slow:
		return zapcore.DebugLevel
	case outcome == "error" && (ctx.Err() == nil || !errors.Is(err, ctx.Err())):
		return zapcore.ErrorLevel // otherwise the connection went away, nobody's fault
	}
	return zapcore.InfoLevel
}

// repeated tells whether a record that is not about success was told often
// enough in this minute to that network; then it is only counted, and told as
// one record, calls_repeated, when the minute is over.
func (r *Router) repeated(level zapcore.Level, c *rpc.Call, name, outcome string, err error) bool {
	if err == nil {
		return false
	}
	f, _ := fault.From(err)
	door := string(c.Peer.Door)
	return !r.repeats.Tell(door+" "+name+" "+outcome+" "+f.ID(), netkey.Of(c.Peer.Address), func(from string, count int) {
		r.deps.Logger.Log(level, "calls_repeated", zap.String("method", name), zap.String("door", door), zap.String("address", from),
			zap.String("result", outcome), zap.String("fault", f.ID()), zap.Int("count", count))
	})
}
