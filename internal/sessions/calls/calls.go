// Package calls is what clients may ask of sessions: the DDP methods, and the REST
// routes that stand for them, with Rocket.Chat's names and shapes where it has some
// (docs/wire/rocketchat.md 5.9). It decides nothing.
package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/sessions"
	"ddpserver/internal/twofactor"
)

// Options are the parts the calls work with. All are required.
type Options struct {
	Sessions *sessions.Service
	// Accounts ends all sessions but one; *accounts.Service does.
	Accounts Accounts
}

// Accounts is what the calls need of accounts.
type Accounts interface {
	RemoveOtherTokens(ctx context.Context, p *rpc.Peer, l rpc.Login) error
}

// Methods makes the group of methods, for methods.Deps.
func Methods(o Options) methods.Slice {
	return func(methods.Challenger) []methods.Group { return []methods.Group{&group{o}} }
}

// Routes makes the group of routes, for rest.New and rest.Names.
func Routes() []rest.Group { return []rest.Group{routes{}} }

type group struct{ Options }

// Specs lists the methods. Whoever ends sessions of his own is asked for nothing, as by
// removeOtherTokens: it is the brake of somebody who thinks that another is in, and who
// has stolen a session gains nothing by it that the owner could not undo.
func (g *group) Specs() []methods.Spec {
	const (
		unknown = "400 Match failed; error-session-not-found"
		query   = "count?, offset?, search?, sort?"
		refused = "400 Match failed; error-invalid-sort-keys; error-invalid-params"
		element = "{id, userId, current, connected, createdAt, expiresAt, lastUsedAt?, trustedUntil?, made: {kind, client?, clientVersion?, os?, osVersion?, " +
			"address?, door?}, used: the same}"
	)
	return []methods.Spec{
		{
			Name: "sessions:list", Do: g.list, Effects: methods.Reads,
			Doc:    "The account's sessions, without personal access tokens.",
			Params: "{" + query + "}?", Result: "{sessions: [" + element + "], count, offset, total}", Errors: refused,
		},
		{
			Name: "sessions:info", Do: g.info, Effects: methods.Reads,
			Doc:    "One session of the account.",
			Params: "{sessionId}", Result: "as an element of sessions:list", Errors: unknown,
		},
		{
			Name: "sessions:end", Do: g.end, Effects: methods.Ends,
			Doc:    "Ends one session of the account, perhaps the one that asks, and closes its connections.",
			Params: "{sessionId}", Result: "{sessionId}", Errors: unknown,
		},
		{
			Name: "sessions:endOthers", Action: "removeOtherTokens", Do: g.endOthers, Effects: methods.Ends, Enrolment: true,
			Doc:    "Ends every session of the account but the one that asks; personal access tokens stay.",
			Params: "none", Result: "none",
		},
		{
			Name: "sessions:forgetTrust", Do: g.forgetTrust, Effects: methods.Ends,
			Doc:    "Forgets that a second factor was given: in one session of the account, or in all of them.",
			Params: "{sessionId?}?", Result: "none", Errors: unknown,
		},
		{
			Name: "sessions:listAll", Do: g.listAll, Effects: methods.Reads, Permission: permission.ViewSessions,
			Doc:    "The sessions of all accounts.",
			Params: "{" + query + ", userId?, address?, client?}?", Result: "as sessions:list, each with user: {_id, username?, name?}",
			Errors: refused + "; error-not-allowed",
		},
		{
			Name: "sessions:infoAny", Do: g.infoAny, Effects: methods.Reads, Permission: permission.ViewSessions,
			Doc:    "One session of any account.",
			Params: "{sessionId}", Result: "as an element of sessions:listAll", Errors: unknown + "; error-not-allowed",
		},
		{
			Name: "sessions:endAny", Do: g.endAny, Effects: methods.Ends | methods.Others, Factor: twofactor.Ordinary, Permission: permission.LogoutSessions,
			Doc:    "Ends a session of any account and closes its connections.",
			Params: "{sessionId}", Result: "{sessionId}", Errors: unknown + "; error-not-allowed; totp-required; totp-invalid; totp-max-attempts",
		},
	}
}

// usualCount and maxCount bound a part of a list.
const (
	usualCount = 50
	maxCount   = 100
)

// asked is the parameter of a list.
type asked struct {
	Count   *int    `ejson:"count"`
	Offset  *int    `ejson:"offset"`
	Search  *string `ejson:"search"`
	Sort    *string `ejson:"sort"`
	UserID  *string `ejson:"userId"`
	Address *string `ejson:"address"`
	Client  *string `ejson:"client"`
}

// query reads the parameter of a list of one account's sessions, or of all.
func query(c *rpc.Call, all bool) (sessions.Query, error) {
	var o *asked
	if err := c.Bind(&o); err != nil {
		return sessions.Query{}, err
	}
	if o == nil {
		o = &asked{}
	}
	q := sessions.Query{Count: usualCount, Offset: value(o.Offset), Search: value(o.Search), Sort: value(o.Sort)}
	if o.Count != nil {
		q.Count = min(*o.Count, maxCount)
	}
	if all {
		q.UserID, q.Address, q.Client = value(o.UserID), value(o.Address), value(o.Client)
	}
	return q, nil
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (g *group) list(_ context.Context, c *rpc.Call) (any, error) {
	q, err := query(c, false)
	if err != nil {
		return nil, err
	}
	found, total, err := g.Sessions.Own(c.User, c.Login, q)
	if err != nil {
		return nil, err
	}
	return list(found, q.Offset, total, false), nil
}

func (g *group) listAll(ctx context.Context, c *rpc.Call) (any, error) {
	q, err := query(c, true)
	if err != nil {
		return nil, err
	}
	found, total, err := g.Sessions.All(ctx, c.Login, q)
	if err != nil {
		return nil, err
	}
	return list(found, q.Offset, total, true), nil
}

// one reads the parameter that names a session.
func one(c *rpc.Call) (id string, err error) {
	var o struct {
		ID string `ejson:"sessionId"`
	}
	err = c.Bind(&o)
	return o.ID, err
}

func (g *group) info(_ context.Context, c *rpc.Call) (any, error) {
	id, err := one(c)
	if err != nil {
		return nil, err
	}
	s, err := g.Sessions.Info(c.User, c.Login, id)
	if err != nil {
		return nil, err
	}
	return show(s, false), nil
}

func (g *group) infoAny(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := one(c)
	if err != nil {
		return nil, err
	}
	s, err := g.Sessions.InfoAny(ctx, c.Login, id)
	if err != nil {
		return nil, err
	}
	return show(s, true), nil
}

// ended is the answer of a call that ended a session.
func ended(id string) ejson.Doc { return ejson.Doc{{Key: "sessionId", Value: id}} }

func (g *group) end(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := one(c)
	if err == nil {
		err = g.Sessions.End(ctx, c.Peer, c.User, id)
	}
	if err != nil {
		return nil, err
	}
	return ended(id), nil
}

func (g *group) endAny(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := one(c)
	if err == nil {
		err = g.Sessions.EndAny(ctx, c.Peer, c.User, id)
	}
	if err != nil {
		return nil, err
	}
	return ended(id), nil
}

func (g *group) endOthers(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return nil, g.Accounts.RemoveOtherTokens(ctx, c.Peer, c.Login)
}

func (g *group) forgetTrust(ctx context.Context, c *rpc.Call) (any, error) {
	var o *struct {
		ID *string `ejson:"sessionId"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	id := ""
	if o != nil && o.ID != nil {
		if id = *o.ID; id == "" { // names none, which is not the same as all
			return nil, sessions.ErrNotFound
		}
	}
	return nil, g.Sessions.ForgetTrust(ctx, c.Peer, c.User, c.Login, id)
}
