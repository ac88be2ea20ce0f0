package admin

import (
	"context"
	"errors"
	"slices"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// listing finds and counts accounts.
type listing struct{ *Slice }

const rowText = "{_id, username, name, active, state, emails, roles, createdAt, lastLogin?, factors, passwordSet, sessions, personalAccessTokens, " +
	"totpResetDue?, webauthnResetDue?, passkeysSuspended?, …}"

func (g *listing) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "users:list", Do: g.list, Effects: methods.Reads, Permission: permission.ViewFullOtherUserInfo,
			Doc: "Finds accounts: by the beginning of a word of user name, name or address, by role, state (active, inactive, pending: invited and without " +
				"a password) and factor (none, email, totp, webauthn, both, tokens), ordered by username, name, createdAt or lastLogin, with - in front the other " +
				"way round.",
			Params: "{search?, role?, state?, factor?, order?, offset?, count?}?", Errors: "400 Match failed",
			Result: "{users: [" + rowText + "], count, offset, total}",
		},
		{
			Name: "users:info", Do: g.info, Effects: methods.Reads, Permission: permission.ViewFullOtherUserInfo,
			Doc:    "Shows one account as users:list does.",
			Params: "userId", Result: rowText, Errors: "error-invalid-user; 400 Match failed",
		},
		{
			Name: "users:statistics", Do: g.statistics, Effects: methods.Reads, Permission: permission.ViewFullOtherUserInfo,
			Doc:    "Counts accounts by state, second factor and role.",
			Params: "none", Errors: "400 Match failed",
			Result: "{total, active, inactive, pending, neverLoggedIn, factors: {none, email, totp, webauthn, both}, personalAccessTokens, roles: {…}}",
		},
	}
}

// listQuery is the parameter of users:list.
type listQuery struct {
	Search string   `ejson:"search,omitempty"`
	Role   string   `ejson:"role,omitempty"`
	State  string   `ejson:"state,omitempty"`
	Factor string   `ejson:"factor,omitempty"`
	Order  string   `ejson:"order,omitempty"`
	Offset int      `ejson:"offset,omitempty"`
	Count  *int     `ejson:"count,omitempty"`
	_      struct{} `ejson:",ignore"`
}

func (g *listing) list(ctx context.Context, c *rpc.Call) (any, error) {
	var q *listQuery
	if err := c.Bind(&q); err != nil {
		return nil, err
	}
	if q == nil {
		q = &listQuery{}
	}
	count := g.o.Settings.Int(settings.DefaultCount)
	if q.Count != nil {
		count = *q.Count
	}
	if most := g.o.Settings.Int(settings.UpperCountLimit); count <= 0 || count > most {
		count = most
	}
	return g.page(ctx, accounts.Search{
		Text: q.Search, Role: q.Role, State: q.State, Factor: q.Factor, Order: q.Order, Offset: max(q.Offset, 0), Count: count,
	})
}

// page answers a search.
func (s *Slice) page(ctx context.Context, f accounts.Search) (ejson.Doc, error) {
	found, total, err := s.o.Accounts.Search(ctx, f)
	if err != nil {
		return nil, err
	}
	rows := make([]any, len(found))
	for i, u := range found {
		rows[i] = accounts.Listed(u)
	}
	return ejson.Doc{{Key: "users", Value: rows}, {Key: "count", Value: len(rows)}, {Key: "offset", Value: f.Offset}, {Key: "total", Value: total}}, nil
}

func (g *listing) info(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	u, err := g.o.Accounts.User(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		return nil, errNoUser
	}
	if err != nil {
		return nil, err
	}
	return accounts.Listed(u), nil
}

func (g *listing) statistics(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return g.o.Accounts.Statistics(ctx)
}

// listingRoutes are the routes beside those of the core, which has users.list.
type listingRoutes struct{ *Slice }

type (
	byStatus struct {
		rest.Page
		SearchTerm  string `json:"searchTerm,omitempty"`
		Status      string `json:"status,omitempty" enum:"active,deactivated"`
		HasLoggedIn bool   `json:"hasLoggedIn,omitempty"`
		Roles       string `json:"roles,omitempty" about:"one role"`
		Type        string `json:"type,omitempty"`
	}
	inRole struct {
		rest.Page
		Role string `json:"role" minLength:"1"`
	}
	passwordPolicy struct {
		Enabled bool    `json:"enabled"`
		Policy  [][]any `json:"policy" about:"pairs of Rocket.Chat's name of a rule and its numbers"`
	}
	accountStatistics struct {
		Total                int            `json:"total"`
		Active               int            `json:"active"`
		Inactive             int            `json:"inactive"`
		Pending              int            `json:"pending" about:"invited: active, without a password"`
		NeverLoggedIn        int            `json:"neverLoggedIn"`
		Factors              factorNumbers  `json:"factors"`
		PersonalAccessTokens int            `json:"personalAccessTokens" about:"accounts that have some"`
		Roles                map[string]any `json:"roles"`
	}
	factorNumbers struct {
		None     int `json:"none"`
		Email    int `json:"email"`
		TOTP     int `json:"totp"`
		WebAuthn int `json:"webauthn"`
		Both     int `json:"both" about:"more than one; counted in the others too"`
	}
)

// Routes lists them.
func (g *listingRoutes) Routes() []rest.Route {
	const tag = "users"
	return []rest.Route{
		{Verb: "GET", Path: "users.listByStatus", Tag: tag, Summary: "Accounts by status, as Rocket.Chat asks for them", Method: "users:list",
			Query: schema.Of[byStatus](), Result: rest.AccountPage(), Do: g.byStatus},
		{Verb: "GET", Path: "roles.getUsersInRole", Tag: tag, Summary: "Accounts with a role of the server", Method: "users:list",
			Query: schema.Of[inRole](), Result: rest.AccountPage(), Do: g.inRole, Errors: []string{"error-invalid-role"}},
		{Verb: "GET", Path: "pw.getPolicy", Tag: tag, Summary: "What a new password must be like", Auth: rest.NoLogin, Effects: methods.Reads,
			Result: schema.Answer[passwordPolicy](), Do: g.policy},
		{Verb: "GET", Path: "users.statistics", Tag: tag, Summary: "Numbers of accounts", Method: "users:statistics",
			Result: schema.Of[accountStatistics]().Answered(), Shape: rest.AsDoc},
	}
}

func (g *listingRoutes) byStatus(ctx context.Context, r *rest.Request) (any, error) {
	f := accounts.Search{Text: r.Query.Get("searchTerm"), Role: r.Query.Get("roles")}
	f.Offset, f.Count = r.Page()
	switch r.Query.Get("status") {
	case "active":
		f.State = string(user.Active)
	case "deactivated":
		f.State = string(user.Inactive)
	}
	switch r.Query.Get("hasLoggedIn") {
	case "":
	case "true", "1":
		yes := true
		f.BeenIn = &yes
	default:
		no := false
		f.BeenIn = &no
	}
	if f.Count < 0 {
		return nil, fault.MatchFailed
	}
	return g.page(ctx, f)
}

func (g *listingRoutes) inRole(ctx context.Context, r *rest.Request) (any, error) {
	role := r.Query.Get("role")
	if !slices.ContainsFunc(permission.Roles(), func(i permission.RoleInfo) bool { return i.ID == role && i.Scope == "Users" }) {
		return nil, accounts.ErrRole // a role that members have in a room is the room's to list
	}
	f := accounts.Search{Role: role}
	f.Offset, f.Count = r.Page()
	return g.page(ctx, f)
}

// policy tells the rules that are the same for every password, which public settings tell too.
func (g *listingRoutes) policy(context.Context, *rest.Request) (any, error) {
	rule := func(name, number string, n int) []any {
		return []any{"get-password-policy-" + name, ejson.Doc{{Key: number, Value: n}}}
	}
	return ejson.Doc{{Key: "enabled", Value: true}, {Key: "policy", Value: []any{
		rule("minLength", "minLength", g.o.Settings.Int(settings.PasswordMinLength)),
		rule("maxLength", "maxLength", g.o.Settings.Int("Accounts_Password_Policy_MaxLength")),
	}}}, nil
}
