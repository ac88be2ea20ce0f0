package admin

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// acts are what administrators do to accounts and REST alone had, as methods: with the
// same rules, refusals and factors. The actions have the names of the routes, so that
// whoever protects one of the two means both.
type acts struct{ *Slice }

func (g *acts) Specs() []methods.Spec {
	const made = "{user: " + rowText + "}"
	return []methods.Spec{
		{
			Name: "users:create", Action: "users.create", Do: g.create, Factor: twofactor.Fresh, Permission: permission.CreateUser,
			Effects: methods.Accounts | methods.Rights | methods.Others, Result: made,
			Doc:    "Makes an account for somebody. Without a password a link to choose one is mailed.",
			Params: "{username?, email?, name?, password?, verified?, active?, roles?, sendWelcomeEmail?, customFields?}",
			Errors: "error-action-not-allowed; 403; username-invalid; error-invalid-email; 400 Match failed",
		},
		{
			Name: "users:update", Action: "users.update", Do: g.update, Factor: twofactor.Ordinary, Raise: raiseUpdate, Inside: twofactor.Fresh,
			Carries: []string{methods.SwitchAccount}, Carried: carriedByUpdate,
			Permission: permission.EditOtherUserInfo, Effects: methods.Accounts | methods.Rights | methods.Others, Result: made,
			Doc: "Changes somebody's account, all or nothing. More than the name, the status text and custom fields asks for a fresh factor; a new password " +
				"and deactivation end the sessions.",
			Params: "userId, {name?, username?, email?, verified?, password?, active?, roles?, statusText?, customFields?}",
			Errors: "error-action-not-allowed; error-invalid-user; 403; username-invalid; error-invalid-email; 400 Match failed",
		},
		{
			Name: "users:sendPasswordLink", Do: g.link, Factor: twofactor.Fresh, Permission: permission.EditOtherUserPassword,
			Effects: methods.Tokens | methods.Others,
			Doc: "Mails the owner of an account a link to choose a password: to the proved address, or the first one of an account that was never used. " +
				"Nobody else sees the link.",
			Params: "userId", Result: "true",
			Errors: "error-action-not-allowed; error-invalid-user; error-no-address; too-many-requests; 400 Match failed",
		},
	}
}

// newAccount is the parameter of users:create.
type newAccount struct {
	Username     string         `ejson:"username,omitempty"`
	Email        string         `ejson:"email,omitempty"`
	Name         string         `ejson:"name,omitempty"`
	Password     string         `ejson:"password,omitempty"`
	Verified     bool           `ejson:"verified,omitempty"`
	Active       *bool          `ejson:"active,omitempty"`
	Roles        []string       `ejson:"roles,omitempty"`
	Welcome      bool           `ejson:"sendWelcomeEmail,omitempty"`
	CustomFields map[string]any `ejson:"customFields,omitempty"`
}

func (g *acts) create(ctx context.Context, c *rpc.Call) (any, error) {
	var in newAccount
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	n := accounts.NewUser{
		Username: in.Username, Email: in.Email, Name: in.Name, Verified: in.Verified, Inactive: in.Active != nil && !*in.Active, Roles: in.Roles,
		Welcome: in.Welcome, CustomFields: in.CustomFields,
	}
	var err error
	if n.Password, err = password(in.Password); err != nil {
		return nil, err
	}
	return shown(g.o.Accounts.CreateUser(ctx, c.Peer, c.User, n))
}

func password(text string) (accounts.Password, error) {
	if text == "" {
		return accounts.Password{}, nil
	}
	p, err := accounts.Plain(text)
	if err != nil {
		err = accounts.ErrPolicy.Because(err)
	}
	return p, err
}

func shown(u *user.User, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "user", Value: accounts.Listed(u)}}, nil
}

// accountChange is the second parameter of users:update.
type accountChange struct {
	Name         *string         `ejson:"name,omitempty"`
	Username     *string         `ejson:"username,omitempty"`
	Email        *string         `ejson:"email,omitempty"`
	Verified     *bool           `ejson:"verified,omitempty"`
	Password     string          `ejson:"password,omitempty"`
	Active       *bool           `ejson:"active,omitempty"`
	Roles        *[]string       `ejson:"roles,omitempty"`
	StatusText   *string         `ejson:"statusText,omitempty"`
	CustomFields *map[string]any `ejson:"customFields,omitempty"`
}

// raiseUpdate asks for a fresh factor unless all that changes is what somebody is
// shown as, as the route does.
func raiseUpdate(c *rpc.Call) twofactor.Policy {
	var id string
	var in accountChange
	if c.Bind(&id, &in) != nil || in.Username != nil || in.Email != nil || in.Verified != nil || in.Password != "" || in.Active != nil || in.Roles != nil {
		return twofactor.Fresh
	}
	return twofactor.Ordinary
}

// carriedByUpdate is what a change of an account does that another call does, too.
func carriedByUpdate(c *rpc.Call) []string {
	var id string
	var in accountChange
	if c.Bind(&id, &in) == nil && in.Active == nil {
		return nil
	}
	return []string{methods.SwitchAccount}
}

func (g *acts) update(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var in accountChange
	if err := c.Bind(&id, &in); err != nil {
		return nil, err
	}
	change := accounts.UserChange{Name: in.Name, Username: in.Username, Email: in.Email, Verified: in.Verified, Active: in.Active, Roles: in.Roles,
		StatusText: in.StatusText, CustomFields: in.CustomFields}
	var err error
	if change.Password, err = password(in.Password); err != nil {
		return nil, err
	}
	return shown(g.o.Accounts.UpdateUser(ctx, c.Peer, c.User, id, change))
}

func (g *acts) link(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	return true, g.o.Accounts.SendPasswordLink(ctx, c.Peer, c.User, id)
}

// actRoutes are the routes beside those of the core.
type actRoutes struct{ *Slice }

type linkBody struct {
	UserID string `json:"userId" minLength:"1"`
}

// Routes lists them.
func (g *actRoutes) Routes() []rest.Route {
	return []rest.Route{{
		Verb: "POST", Path: "users.sendPasswordLink", Tag: "users", Summary: "Mail the owner of an account a link to choose a password",
		Method: "users:sendPasswordLink", Body: schema.Of[linkBody](),
		Params: func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Text("userId")}, nil },
	}}
}
