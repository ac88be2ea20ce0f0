// Package calls is what clients may ask of the trail: the DDP methods and the REST
// routes, which bind parameters, call package trail and show what comes back.
package calls

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/trail"
	"ddpserver/internal/user"
)

// Options are the parts the calls work with. All are required.
type Options struct {
	Trail    *trail.Service
	Accounts Accounts
	Settings *settings.Service
}

// Accounts finds accounts; *accounts.Service does. NotFound of package dberr
// when there is none.
type Accounts interface {
	User(ctx context.Context, id string) (*user.User, error)
	// Named takes a user name.
	Named(ctx context.Context, username string) (*user.User, error)
}

// Methods makes the group of methods, for methods.Deps.
func Methods(o Options) methods.Slice {
	return func(methods.Challenger) []methods.Group { return []methods.Group{&calls{o}} }
}

// Routes makes the group of routes, for rest.New and rest.Names.
func Routes(o Options) []rest.Group { return []rest.Group{&routes{calls{o}}} }

// calls serves the trail.
type calls struct{ Options }

// Specs lists the methods.
func (g *calls) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "audit:list", Do: g.list, Effects: methods.Reads, Permission: permission.ViewLogs, Limit: ratelimit.Wide,
			Doc: "Lists events of the audit stream, the newest first. A page looks at a bounded number of events, so that it may be short and have a cursor; " +
				"without a cursor there is nothing older. A first page says which acts and outcomes there are, and a total where an index knows it.",
			Params: "{user?, as?: \"actor\" or \"subject\", act?, outcome?, address?, from?: Date, to?: Date, text?, count?, offset?, cursor?}?",
			Result: "{events, cursor?, total?, totalAtLeast?, known?: {acts, outcomes}}", Errors: "error-invalid-params; 400 Match failed",
		},
		{
			Name: "audit:mine", Do: g.mine, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists what concerns the caller's own account, the newest first. What somebody else did has no address.",
			Params: "{count?, offset?, cursor?}?", Result: "{events, cursor?}", Errors: "error-invalid-params; 400 Match failed",
		},
	}
}

// asked is a filter as clients write it.
type asked struct {
	User    string     `ejson:"user,omitempty"`
	As      string     `ejson:"as,omitempty"`
	Act     string     `ejson:"act,omitempty"`
	Outcome string     `ejson:"outcome,omitempty"`
	Address string     `ejson:"address,omitempty"`
	From    *time.Time `ejson:"from,omitempty"`
	To      *time.Time `ejson:"to,omitempty"`
	Text    string     `ejson:"text,omitempty"`
	Count   *int       `ejson:"count,omitempty"`
	Offset  int        `ejson:"offset,omitempty"`
	Cursor  string     `ejson:"cursor,omitempty"`
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// count is the size of a page: as asked for, the usual one, or the largest for 0.
func (g *calls) count(wanted *int) (int, error) {
	most := g.Settings.Int(settings.UpperCountLimit)
	switch {
	case wanted == nil:
		return min(g.Settings.Int(settings.DefaultCount), most), nil
	case *wanted < 0:
		return 0, fault.New("error-invalid-params", "'count' must not be negative")
	case *wanted == 0:
		return most, nil
	}
	return min(*wanted, most), nil
}

func (g *calls) list(ctx context.Context, c *rpc.Call) (any, error) {
	var a *asked
	if err := c.Bind(&a); err != nil {
		return nil, err
	}
	if a == nil {
		a = &asked{}
	}
	count, err := g.count(a.Count)
	if err != nil {
		return nil, err
	}
	f := trail.Filter{
		As: a.As, Act: a.Act, Outcome: a.Outcome, Address: a.Address, Text: a.Text, From: value(a.From), To: value(a.To), Cursor: a.Cursor,
		Offset: a.Offset, Count: count,
	}
	if f.Account, err = g.account(ctx, a.User); err != nil {
		return nil, err
	}
	l, err := g.Trail.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return listDoc(l, f.Cursor == ""), nil
}

// account is the id of the account that a filter names by id or user name. A name that
// nobody has may be the id of an account that is gone.
func (g *calls) account(ctx context.Context, name string) (string, error) {
	u, err := g.Accounts.User(ctx, name)
	if errors.Is(err, dberr.NotFound) {
		u, err = g.Accounts.Named(ctx, name)
	}
	switch {
	case err == nil:
		return u.ID, nil
	case errors.Is(err, dberr.NotFound):
		return name, nil
	}
	return "", err
}

// listDoc is a page as it is answered.
func listDoc(l *trail.Listed, first bool) ejson.Doc {
	events := make([]any, len(l.Events))
	for i := range l.Events {
		events[i] = l.Events[i].Doc(l.Names)
	}
	d := ejson.Doc{{Key: "events", Value: events}}
	if l.Cursor != "" {
		d = append(d, ejson.Field{Key: "cursor", Value: l.Cursor})
	}
	if l.Total >= 0 {
		d = append(d, ejson.Field{Key: "total", Value: l.Total})
	}
	if l.AtLeast {
		d = append(d, ejson.Field{Key: "totalAtLeast", Value: true})
	}
	if first {
		d = append(d, ejson.Field{Key: "known", Value: ejson.Doc{{Key: "acts", Value: trail.Acts()}, {Key: "outcomes", Value: trail.Outcomes()}}})
	}
	return d
}

func (g *calls) mine(ctx context.Context, c *rpc.Call) (any, error) {
	var a *struct {
		Count  *int   `ejson:"count,omitempty"`
		Offset int    `ejson:"offset,omitempty"`
		Cursor string `ejson:"cursor,omitempty"`
	}
	if err := c.Bind(&a); err != nil {
		return nil, err
	}
	f := trail.Filter{}
	var wanted *int
	if a != nil {
		wanted, f.Offset, f.Cursor = a.Count, a.Offset, a.Cursor
	}
	var err error
	if f.Count, err = g.count(wanted); err != nil {
		return nil, err
	}
	list, next, err := g.Trail.Mine(ctx, c.Login.UserID, f)
	if err != nil {
		return nil, err
	}
	events := make([]any, len(list))
	for i := range list {
		events[i] = list[i].OwnDoc()
	}
	d := ejson.Doc{{Key: "events", Value: events}}
	if next != "" {
		d = append(d, ejson.Field{Key: "cursor", Value: next})
	}
	return d, nil
}
