package rest

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
)

// tokens serves personal access tokens (docs/wire/rocketchat.md 2.4 and 5.8).
type tokens struct{ *Server }

// Routes lists them.
func (g *tokens) Routes() []Route {
	const tag = "tokens"
	byName := func(_ context.Context, r *Request) ([]any, error) {
		return []any{ejson.Doc{{Key: "tokenName", Value: r.Text("tokenName")}}}, nil
	}
	return []Route{
		{Verb: "POST", Path: "users.generatePersonalAccessToken", Tag: tag, Summary: "Make a personal access token", Method: "personalAccessTokens:generateToken",
			Body: fits[newToken](), Result: answers[madeToken](),
			Shape: under("token"),
			Params: func(_ context.Context, r *Request) ([]any, error) {
				o := ejson.Doc{{Key: "tokenName", Value: r.Text("tokenName")}, {Key: "bypassTwoFactor", Value: r.Flag("bypassTwoFactor")}}
				for _, name := range []string{"expiresInDays", "allowedAddresses"} {
					if r.Has(name) {
						o = append(o, ejson.Field{Key: name, Value: r.body.value[name]})
					}
				}
				return []any{o}, nil
			}},
		{Verb: "POST", Path: "users.regeneratePersonalAccessToken", Tag: tag, Summary: "Replace a personal access token",
			Method: "personalAccessTokens:regenerateToken",
			Body:   fits[tokenName](), Params: byName, Result: answers[madeToken](), Shape: under("token")},
		{Verb: "POST", Path: "users.removePersonalAccessToken", Tag: tag, Summary: "Remove a personal access token", Method: "personalAccessTokens:removeToken",
			Body: fits[tokenName](), Params: byName},
		{Verb: "GET", Path: "users.getPersonalAccessTokens", Effects: methods.Reads, Tag: tag, Summary: "List one's personal access tokens",
			Permission: permission.CreatePersonalAccessTokens,
			Result:     answers[tokenList](),
			Do:         g.list},
	}
}

func (g *tokens) list(_ context.Context, r *Request) (any, error) {
	out := []any{}
	for _, t := range g.accounts.Tokens(r.User) {
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
