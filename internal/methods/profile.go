package methods

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// profiles serves what users change in their own account
// (docs/wire/rocketchat.md 2.5, docs/wire/ddp.md D3).
type profiles struct {
	accounts *accounts.Service
	gate     gate
	// challenge asks for a factor where only the parameters tell whether one is
	// needed (Router.Challenge), listed where they do what the administrator's list
	// may name (Router.ChallengeActions).
	challenge challenge
	listed    func(ctx context.Context, c *rpc.Call, actions ...string) error
}

func (g *profiles) Specs() []Spec {
	const rules = "error-not-allowed; username-invalid; error-blocked-username; error-field-unavailable; error-invalid-name"
	return []Spec{
		{
			Name: "saveUserProfile", Carries: []string{"setUsername", "setRealName", "setUserStatus", "changePassword"}, Do: g.save, Effects: Profile | Accounts,
			Inside: twofactor.Fresh, Enrolment: true,
			Doc:    "Changes one's own account. A new e-mail address or password asks for a fresh second factor.",
			Params: "{realname?, username?, email?, newPassword?, statusText?, statusType?, language?, …}, customFields?", Result: "true",
			Errors: "400 Match failed; " + rules + "; error-invalid-email; error-email-domain-not-accepted; error-password-policy-not-met; " +
				"error-password-same-as-current; error-invalid-status; error-invalid-params; totp-required; totp-invalid; totp-max-attempts",
		},
		{
			Name: "changePassword", Do: g.changePassword, Effects: Accounts, Inside: twofactor.Fresh, LoginError: accounts.ErrMustLogin,
			Doc:    "Sets a new password. The old one is the proof; an account with a second factor is asked for that too.",
			Params: "old, new", Result: "{passwordChanged: true}",
			Errors: "400 Match failed; 401 Must be logged in; 403; error-password-policy-not-met; error-password-same-as-current; error-login-blocked-for-user; " +
				"totp-required; totp-invalid; totp-max-attempts",
		},
		{
			Name: "setUsername", Do: g.setUsername, Effects: Profile,
			Doc:    "Changes one's own user name.",
			Params: "username, options?", Result: "the user name", Errors: "400 Match failed; " + rules,
		},
		{
			Name: "setRealName", Do: g.setRealName, Effects: Profile,
			Doc:    "Changes one's own name.",
			Params: "name", Result: "the name", Errors: "400 Match failed; error-not-allowed; error-invalid-name",
		},
		{
			Name: "getUsernameSuggestion", Do: g.suggest, Effects: Reads,
			Doc:    "Makes up a free user name from the account's name and address.",
			Params: "none", Result: "a user name", Errors: "-",
		},
		{
			Name: "deleteUserOwnAccount", Do: g.deleteOwn, Effects: Accounts, Inside: twofactor.Fresh,
			Doc: "Deletes one's own account. The proof is the hex SHA-256 of the password, or of the user name where there is none. An account with a second " +
				"factor, or without a password, is asked for a fresh one too.",
			Params: "proof, confirmRelinquish?", Result: "true",
			Errors: "400 Match failed; error-not-allowed; error-invalid-password; error-invalid-username; error-action-not-allowed; error-login-blocked-for-user; " +
				"totp-required; totp-invalid; totp-max-attempts",
		},
	}
}

func (g *profiles) save(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Name        *string    `ejson:"realname"`
		Username    *string    `ejson:"username"`
		Email       *string    `ejson:"email"`
		NewPassword *ejson.Raw `ejson:"newPassword"`
		StatusText  *string    `ejson:"statusText"`
		StatusType  *string    `ejson:"statusType"`
		Language    *string    `ejson:"language"`
		_           struct{}   `ejson:",ignore"`
	}
	var custom *ejson.Doc
	if err := c.Bind(&o, &custom); err != nil {
		return nil, err
	}
	change := accounts.Profile{
		Name: o.Name, Username: o.Username, Email: o.Email,
		Status: o.StatusType, StatusText: o.StatusText, Language: o.Language,
	}
	// Clients send blanks and {} for what stays as it is.
	if custom != nil && len(*custom) > 0 {
		fields, _ := ejson.Plain(*custom).(map[string]any)
		change.CustomFields = &fields
	}
	if o.StatusType != nil && *o.StatusType == "" {
		change.Status = nil
	}
	if raw := o.NewPassword; raw != nil && string(*raw) != `""` {
		var err error
		if change.Password, err = bindPassword(*raw); err != nil {
			return nil, err
		}
	}
	return true, g.apply(ctx, c, change)
}

// apply asks for a fresh factor when the change is one of address or password.
func (g *profiles) apply(ctx context.Context, c *rpc.Call, change accounts.Profile) error {
	if g.accounts.Sensitive(c.User, change) {
		if err := g.challenge(ctx, c, twofactor.Fresh); err != nil {
			return err
		}
	}
	if err := g.listed(ctx, c, actionsOf(c.User, change)...); err != nil {
		return err
	}
	_, err := g.accounts.SaveProfile(ctx, c.Peer, c.Login, c.User, change)
	return err
}

// actionsOf names what a change of one's profile does that other calls do too.
// Members that are sent along as they are do nothing.
func actionsOf(u *user.User, change accounts.Profile) (actions []string) {
	differs := func(to *string, from string) bool { return to != nil && *to != from }
	if differs(change.Username, u.Username) {
		actions = append(actions, "setUsername")
	}
	if differs(change.Name, u.Name) {
		actions = append(actions, "setRealName")
	}
	if differs(change.Status, u.StatusDefault) || differs(change.StatusText, u.StatusText) {
		actions = append(actions, "setUserStatus")
	}
	if !change.Password.IsZero() {
		actions = append(actions, "changePassword")
	}
	return actions
}

func (g *profiles) changePassword(ctx context.Context, c *rpc.Call) (any, error) {
	var before, after ejson.Raw
	if err := c.Bind(&before, &after); err != nil {
		return nil, err
	}
	old, err := bindPassword(before)
	if err != nil {
		return nil, err
	}
	fresh, err := bindPassword(after)
	if err != nil {
		return nil, err
	}
	// The factor first, so that a stolen session cannot try old passwords here.
	if g.gate.guarded(c.User) {
		if err := g.challenge(ctx, c, twofactor.Fresh); err != nil {
			return nil, err
		}
	}
	if err := g.accounts.ProvePassword(ctx, c.Peer, c.User, old); err != nil {
		return nil, err
	}
	if err := g.accounts.ChangePassword(ctx, c.Peer, c.Login, c.User, fresh); err != nil {
		return nil, err
	}
	return struct {
		PasswordChanged bool `json:"passwordChanged"`
	}{true}, nil
}

func (g *profiles) setUsername(ctx context.Context, c *rpc.Call) (any, error) {
	var name string
	var options *ejson.Doc
	if err := c.Bind(&name, &options); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, accounts.ErrUsername
	}
	if err := g.apply(ctx, c, accounts.Profile{Username: &name}); err != nil {
		return nil, err
	}
	return name, nil
}

func (g *profiles) setRealName(ctx context.Context, c *rpc.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	if err := g.apply(ctx, c, accounts.Profile{Name: &name}); err != nil {
		return nil, err
	}
	return name, nil
}

func (g *profiles) suggest(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	email := ""
	if len(c.User.Emails) > 0 {
		email = c.User.Emails[0].Address
	}
	return g.accounts.SuggestUsername(ctx, c.User.Name, email)
}

func (g *profiles) deleteOwn(ctx context.Context, c *rpc.Call) (any, error) {
	var proof string
	var relinquish *bool
	if err := c.Bind(&proof, &relinquish); err != nil {
		return nil, err
	}
	if len(proof) > 256 {
		return nil, fault.MatchFailed
	}
	// The password is proof enough where no factor is on. The user name proves
	// nothing to somebody who holds a session or a token, so an account without a
	// password needs a factor.
	if g.gate.guarded(c.User) || c.User.PasswordHash() == "" {
		if err := g.challenge(ctx, c, twofactor.Fresh); err != nil {
			return nil, err
		}
	}
	if err := g.accounts.DeleteOwn(ctx, c.Peer, c.User, proof); err != nil {
		return nil, err
	}
	return true, nil
}
