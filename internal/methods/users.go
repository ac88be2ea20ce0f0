package methods

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// users serves what administrators do with other people's accounts.
type users struct{ accounts *accounts.Service }

func (g *users) Specs() []Spec {
	return []Spec{
		{
			Name: "setUserActiveStatus", Do: g.setActive, Factor: twofactor.Fresh, Effects: Accounts | Others, Permission: permission.EditOtherUserActiveStatus,
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
