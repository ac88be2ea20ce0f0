package methods

import (
	"context"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// tokens serves personal access tokens (docs/wire/rocketchat.md 2.4). Each call that
// changes one asks for a fresh factor: neither remembered trust nor a token that bypasses checks
// may make more tokens (docs/decisions.md 3.6).
type tokens struct {
	accounts *accounts.Service
	settings *settings.Service
}

// errTokens is Rocket.Chat's refusal of these three calls.
var errTokens = fault.New("not-authorized", "Not Authorized")

func (g *tokens) Specs() []Spec {
	const factor = "totp-required; totp-invalid; totp-max-attempts"
	spec := func(name string, do Handler) Spec {
		return Spec{
			Name: "personalAccessTokens:" + name, Do: do, Factor: twofactor.Fresh, Effects: Tokens,
			LoginError: errTokens, PermissionError: errTokens, Permission: permission.CreatePersonalAccessTokens,
		}
	}
	generate := spec("generateToken", g.generate)
	generate.Doc = "Makes a personal access token, one for each name; it is shown only here."
	generate.Params, generate.Result = "{tokenName, bypassTwoFactor?, expiresInDays?, allowedAddresses?}", "the token"
	generate.Errors = "400 Match failed; not-authorized; error-token-already-exists; error-invalid-token-name; error-too-many-tokens; error-invalid-params; " +
		factor

	regenerate := spec("regenerateToken", g.regenerate)
	regenerate.Also = []string{generate.Name, "personalAccessTokens:removeToken"}
	regenerate.Doc = "Replaces a personal access token by a new one of the same name; the old one dies at once."
	regenerate.Params, regenerate.Result = "{tokenName}", "the new token"
	regenerate.Errors = "400 Match failed; not-authorized; error-token-does-not-exists; " + factor

	remove := spec("removeToken", g.remove)
	remove.Doc = "Ends a personal access token and closes its connections."
	remove.Params, remove.Result = "{tokenName}", "none"
	remove.Errors = regenerate.Errors

	list := spec("list", g.list)
	list.Factor, list.Effects = twofactor.None, Reads
	list.Doc = "Lists one's personal access tokens; of each token its last six characters."
	list.Params, list.Errors = "none", "not-authorized"
	list.Result = "{tokens: [{name, createdAt, lastTokenPart, bypassTwoFactor, lastUsedAt?, expiresAt?, allowedAddresses?}]}"
	return []Spec{generate, regenerate, remove, list}
}

// list asks for no factor: nothing in it is a secret, and it is asked for anew whenever a token changes.
func (g *tokens) list(_ context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	out := []any{}
	for _, t := range g.accounts.Tokens(c.User) {
		d := ejson.Doc{
			{Key: "name", Value: t.Name}, {Key: "createdAt", Value: t.CreatedAt},
			{Key: "lastTokenPart", Value: t.LastTokenPart}, {Key: "bypassTwoFactor", Value: t.BypassTwoFactor},
		}
		if !t.LastUsedAt.IsZero() {
			d = append(d, ejson.Field{Key: "lastUsedAt", Value: t.LastUsedAt})
		}
		if !t.ExpiresAt.IsZero() {
			d = append(d, ejson.Field{Key: "expiresAt", Value: t.ExpiresAt})
		}
		if len(t.AllowedAddresses) > 0 {
			d = append(d, ejson.Field{Key: "allowedAddresses", Value: t.AllowedAddresses})
		}
		out = append(out, d)
	}
	return ejson.Doc{{Key: "tokens", Value: out}}, nil
}

// allowed applies the switch of the whole feature.
func (g *tokens) allowed() error {
	if !g.settings.Bool(settings.PersonalAccessTokens) {
		return errTokens
	}
	return nil
}

func (g *tokens) generate(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Name   string `ejson:"tokenName"`
		Bypass *bool  `ejson:"bypassTwoFactor"`
		// Days and Addresses are this server's own: without them the token is
		// Rocket.Chat's, which never ends and works from everywhere.
		Days      *int      `ejson:"expiresInDays"`
		Addresses *[]string `ejson:"allowedAddresses"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	if err := g.allowed(); err != nil {
		return nil, err
	}
	var limits accounts.TokenLimits
	if o.Addresses != nil {
		limits.Addresses = *o.Addresses
	}
	if o.Days != nil {
		if limits.Days = *o.Days; limits.Days < 1 {
			return nil, accounts.ErrTokenLimits
		}
	}
	return g.accounts.GenerateToken(ctx, c.Peer, c.User, o.Name, o.Bypass != nil && *o.Bypass, limits)
}

// tokenRef is the parameter that names a token.
type tokenRef struct {
	Name string `ejson:"tokenName"`
}

func (g *tokens) regenerate(ctx context.Context, c *rpc.Call) (any, error) {
	var o tokenRef
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	if err := g.allowed(); err != nil {
		return nil, err
	}
	return g.accounts.RegenerateToken(ctx, c.Peer, c.User, o.Name)
}

func (g *tokens) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var o tokenRef
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	return nil, g.accounts.RemoveToken(ctx, c.Peer, c.User, o.Name)
}
