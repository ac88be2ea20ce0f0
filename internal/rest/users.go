package rest

import (
	"context"
	"errors"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// users serves other people's accounts, for those who may see or manage them.
type users struct{ *Server }

var errUserNotFound = fault.New("error-invalid-user", "User not found.")

// Routes lists them.
func (g *users) Routes() []Route {
	const tag = "users"
	return []Route{
		{Verb: "GET", Path: "users.info", Tag: tag, Summary: "One account", Query: fits[accountQuery](), Result: answers[accountAnswer](),
			Effects: methods.Reads, Do: g.info, Errors: []string{"error-invalid-user", "error-user-param-not-provided"}},
		{Verb: "GET", Path: "users.list", Tag: tag, Summary: "Accounts by user name; found and ordered in other ways by those who see all of them",
			Query: fits[accountSearch](), Effects: methods.Reads, Result: AccountPage(), Do: g.list},
		{Verb: "POST", Path: "users.create", Tag: tag, Summary: "Make an account for somebody", Permission: permission.CreateUser, Factor: twofactor.Fresh,
			Effects: methods.Accounts | methods.Rights | methods.Others,
			Body:    fits[newAccount](), Result: answers[accountAnswer](), Do: g.create,
			Errors: []string{"error-action-not-allowed", "403", "username-invalid", "error-invalid-email"}},
		{Verb: "POST", Path: "users.update", Tag: tag, Summary: "Change somebody's account", Permission: permission.EditOtherUserInfo, Factor: twofactor.Ordinary,
			Raise: raiseUpdate, Inside: twofactor.Fresh, Carries: []string{methods.SwitchAccount}, Carried: carriedByUpdate,
			Effects: methods.Accounts | methods.Rights | methods.Others,
			Body:    fits[accountUpdate](), Result: answers[accountAnswer](), Do: g.update, Errors: []string{"error-action-not-allowed", "error-invalid-user"}},
		{Verb: "POST", Path: "users.setActiveStatus", Tag: tag, Summary: "Activate or deactivate an account", Method: "setUserActiveStatus",
			Body: fits[activation](), Result: answers[accountAnswer](), Do: g.setActive},
		{Verb: "POST", Path: "users.delete", Tag: tag, Summary: "Delete an account", Method: "deleteUser",
			Body: fits[deletion](), Params: g.named},
		{Verb: "POST", Path: "users.logout", Tag: tag, Summary: "End every session of an account, one's own or another's", Method: "users:logout",
			Body: fits[otherLogout](), Raise: raiseLogout, Inside: twofactor.Ordinary, Result: answers[endedSessions](), Do: g.logout},
		{Verb: "GET", Path: "users.getUsernameSuggestion", Tag: tag, Summary: "A user name that is free", Result: answers[suggestion](),
			Method: "getUsernameSuggestion", Shape: under("result")},
		{Verb: "GET", Path: "users.checkUsernameAvailability", Tag: tag, Summary: "Whether a user name is free", Query: fits[usernameQuery](),
			Result: answers[availability](), Effects: methods.Reads, Do: g.available,
			Errors: []string{"username-invalid"}},
	}
}

// called reads the account of that user name; also of that address for a caller
// who may see addresses. To others an address is a name that nobody has.
func (s *Server) called(ctx context.Context, r *Request, name string) (*user.User, error) {
	if permission.Has(r.User, permission.ViewFullOtherUserInfo) {
		return s.accounts.Find(ctx, name)
	}
	return s.accounts.Named(ctx, name)
}

// target is the id of the account a request names, or "" when it names none.
func (s *Server) target(ctx context.Context, r *Request) (string, error) {
	get := func(name string) string {
		if v := r.Query.Get(name); v != "" {
			return v
		}
		return r.Text(name)
	}
	if id := get("userId"); id != "" {
		return id, nil
	}
	for _, name := range []string{"username", "user", "email"} {
		v := get(name)
		if v == "" {
			continue
		}
		u, err := s.called(ctx, r, v)
		if errors.Is(err, dberr.NotFound) {
			return "", errUserNotFound
		}
		if err != nil {
			return "", err
		}
		return u.ID, nil
	}
	return "", nil
}

// view shows an account as much as the caller may see.
func view(r *Request, u *user.User) ejson.Doc {
	if r.User != nil && (r.User.ID == u.ID || permission.Has(r.User, permission.ViewFullOtherUserInfo)) {
		return accounts.Full(u)
	}
	return accounts.Public(u)
}

func (g *users) info(ctx context.Context, r *Request) (any, error) {
	id, err := g.target(ctx, r)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fault.New("error-user-param-not-provided", `The required "userId" or "username" param was not provided`)
	}
	return g.one(ctx, r, id)
}

func (g *users) one(ctx context.Context, r *Request, id string) (any, error) {
	u, err := g.accounts.User(ctx, id)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, errUserNotFound
	case err != nil:
		return nil, err
	case !u.IsActive() && !permission.Has(r.User, permission.ViewFullOtherUserInfo):
		return nil, errUserNotFound
	}
	return ejson.Doc{{Key: "user", Value: view(r, u)}}, nil
}

func (g *users) list(ctx context.Context, r *Request) (any, error) {
	offset, count := r.Page()
	full := permission.Has(r.User, permission.ViewFullOtherUserInfo)
	f := accounts.Search{Text: r.Query.Get("search"), Role: r.Query.Get("role"), State: r.Query.Get("state"), Factor: r.Query.Get("factor"),
		Order: r.Query.Get("order"), Offset: offset, Count: count}
	if f.Filters() && !full {
		return nil, errForbidden
	}
	list := g.accounts.List
	if f.Filters() {
		list = func(ctx context.Context, _, _ int) ([]*user.User, int, error) { return g.accounts.Search(ctx, f) }
	}
	page, total, err := list(ctx, offset, count)
	if err != nil {
		return nil, err
	}
	view := view
	if full {
		view = func(_ *Request, u *user.User) ejson.Doc { return accounts.Listed(u) }
	}
	out := make([]any, len(page))
	for i, u := range page {
		out[i] = view(r, u)
	}
	return ejson.Doc{{Key: "users", Value: out}, {Key: "count", Value: len(out)}, {Key: "offset", Value: offset}, {Key: "total", Value: total}}, nil
}

func (g *users) create(ctx context.Context, r *Request) (any, error) {
	n := accounts.NewUser{
		Username: r.Text("username"), Email: r.Text("email"), Name: r.Text("name"), Verified: r.Flag("verified"),
		Inactive: r.Has("active") && !r.Flag("active"), Roles: texts(r.body.value["roles"]), Welcome: r.Flag("sendWelcomeEmail"),
	}
	n.CustomFields, _ = r.body.value["customFields"].(map[string]any)
	if pw := r.Text("password"); pw != "" && !r.Flag("setRandomPassword") {
		var err error
		if n.Password, err = accounts.Plain(pw); err != nil {
			return nil, accounts.ErrPolicy.Because(err)
		}
	}
	u, err := g.accounts.CreateUser(ctx, r.Peer, r.User, n)
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "user", Value: accounts.Full(u)}}, nil
}

// raiseUpdate asks for a fresh factor unless all that changes is what somebody is
// shown as: what lets somebody in, and with which rights, is never changed on
// remembered trust or by a token that may skip checks (S057).
// Members that nobody knows yet count as the former.
func raiseUpdate(r *Request) twofactor.Policy {
	data, _ := r.body.value["data"].(map[string]any)
	for name := range data {
		switch name {
		case "name", "statusText", "customFields":
		default:
			return twofactor.Fresh
		}
	}
	return twofactor.Ordinary
}

// raiseLogout asks for a factor before somebody else's sessions end. One's own
// end without: it is what people do who think that somebody else is in.
func raiseLogout(r *Request) twofactor.Policy {
	if id := r.Text("userId"); id == "" || id == r.User.ID {
		return twofactor.None
	}
	return twofactor.Ordinary
}

// carriedByUpdate is what a change of an account does that another route does, too.
func carriedByUpdate(r *Request) []string {
	if data, _ := r.body.value["data"].(map[string]any); data["active"] == nil {
		return nil
	}
	return []string{methods.SwitchAccount}
}

func (g *users) update(ctx context.Context, r *Request) (any, error) {
	data := r.body.value["data"].(map[string]any)
	text := func(name string) *string {
		if s, ok := data[name].(string); ok {
			return &s
		}
		return nil
	}
	flag := func(name string) *bool {
		if b, ok := data[name].(bool); ok {
			return &b
		}
		return nil
	}
	c := accounts.UserChange{Name: text("name"), Username: text("username"), Email: text("email"), Verified: flag("verified"), Active: flag("active"),
		StatusText: text("statusText")}
	if list, ok := data["roles"]; ok {
		roles := texts(list)
		c.Roles = &roles
	}
	if fields, ok := data["customFields"].(map[string]any); ok {
		c.CustomFields = &fields
	}
	if pw := text("password"); pw != nil && *pw != "" {
		var err error
		if c.Password, err = accounts.Plain(*pw); err != nil {
			return nil, accounts.ErrPolicy.Because(err)
		}
	}
	u, err := g.accounts.UpdateUser(ctx, r.Peer, r.User, r.Text("userId"), c)
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "user", Value: accounts.Full(u)}}, nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (g *users) setActive(ctx context.Context, r *Request) (any, error) {
	if _, err := r.Run(ctx, r.Text("userId"), r.Flag("activeStatus")); err != nil {
		return nil, err
	}
	return g.one(ctx, r, r.Text("userId"))
}

// named are the parameters of a call about the account that the request names.
func (g *users) named(ctx context.Context, r *Request) ([]any, error) {
	id, err := g.target(ctx, r)
	return []any{id}, err
}

func (g *users) logout(ctx context.Context, r *Request) (any, error) {
	id := r.Text("userId")
	if id == "" {
		id = r.User.ID
	}
	if _, err := r.Run(ctx, id); err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "message", Value: "User " + id + " has been logged out!"}}, nil
}

func (g *users) available(ctx context.Context, r *Request) (any, error) {
	free, err := g.accounts.UsernameFree(ctx, r.User, r.Query.Get("username"))
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "result", Value: free}}, nil
}
