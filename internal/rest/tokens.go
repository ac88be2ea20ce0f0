package rest

import (
	"context"

	"ddpserver/internal/ejson"
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
		{Verb: "GET", Path: "users.getPersonalAccessTokens", Tag: tag, Summary: "List one's personal access tokens", Method: "personalAccessTokens:list",
			Result: answers[tokenList](), Shape: AsDoc},
	}
}
