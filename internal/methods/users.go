package methods

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// SwitchAccount is the action of whatever switches somebody's account on or off.
const SwitchAccount = "setUserActiveStatus"

// users serves what administrators do with other people's accounts.
type users struct{ accounts *accounts.Service }

func (g *users) Specs() []Spec {
	return []Spec{
		{
			Name: SwitchAccount, Do: g.setActive, Factor: twofactor.Fresh, Effects: Accounts | Others, Permission: permission.EditOtherUserActiveStatus,
			Doc:    "Activates or deactivates an account. Deactivation ends every token and closes every connection.",
			Params: "userId, active, confirmRelinquish?", Result: "true",
			Errors: "400 Match failed; error-not-allowed; error-invalid-user; error-action-not-allowed; totp-required; totp-invalid; totp-max-attempts",
		},
		{
			Name: "deleteUser", Do: g.delete, Factor: twofactor.Fresh, Effects: Accounts | Others, Permission: permission.DeleteUser,
			Doc:    "Deletes an account and closes its connections.",
			Params: "userId, confirmRelinquish?", Result: "true",
			Errors: "400 Match failed; error-not-allowed; error-invalid-user; error-action-not-allowed; totp-required; totp-invalid; totp-max-attempts",
		},
		{
			Name: "users:logout", Action: "removeOtherTokens", Do: g.logout, Raise: raiseLogout, Inside: twofactor.Ordinary, Effects: Ends | Others,
			Doc: "Ends every session of an account and closes its connections; personal access tokens stay. Those of somebody else need the permission " +
				"`logout-other-user` and ask for a factor.",
			Params: "userId?", Result: "true",
			Errors: "400 Match failed; error-not-allowed; error-invalid-user; totp-required; totp-invalid; totp-max-attempts",
		},
	}
}

func (g *users) setActive(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var active bool
	var relinquish *bool
	if err := c.Bind(&id, &active, &relinquish); err != nil {
		return nil, err
	}
	if err := g.accounts.SetActive(ctx, c.Peer, c.User, id, active); err != nil {
		return nil, err
	}
	return true, nil
}

func (g *users) delete(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var relinquish *bool
	if err := c.Bind(&id, &relinquish); err != nil {
		return nil, err
	}
	if err := g.accounts.DeleteUser(ctx, c.Peer, c.User, id); err != nil {
		return nil, err
	}
	return true, nil
}

// raiseLogout asks for a factor before somebody else's sessions end. One's own end
// without: it is what people do who think that somebody else is in.
func raiseLogout(c *rpc.Call) twofactor.Policy {
	if id, err := whoseSessions(c); err == nil && id == c.User.ID {
		return twofactor.None
	}
	return twofactor.Ordinary
}

// whoseSessions reads the parameter of users:logout: who names nobody means himself.
func whoseSessions(c *rpc.Call) (string, error) {
	var id *string
	if err := c.Bind(&id); err != nil {
		return "", err
	}
	if id == nil {
		return c.User.ID, nil
	}
	return *id, nil
}

func (g *users) logout(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := whoseSessions(c)
	if err != nil {
		return nil, err
	}
	if id != c.User.ID && !permission.Has(c.User, permission.LogoutOtherUser) {
		return nil, fault.NotAllowed
	}
	if err := g.accounts.LogoutUser(ctx, c.Peer, c.User, id, ""); err != nil {
		return nil, err
	}
	return true, nil
}
