package rest

import (
	"context"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// own serves what people do with their own account.
type own struct{ *Server }

// Routes lists them.
func (g *own) Routes() []Route {
	const tag = "own account"
	return []Route{
		{Verb: "GET", Path: "me", Effects: methods.Reads, Tag: tag, Summary: "One's own account", Enrolment: true, Result: answers[ownAnswer](), Do: g.me},
		{Verb: "POST", Path: "users.register", Tag: tag, Summary: "Make an account", Method: "registerUser", Auth: NoLogin,
			Limit: ratelimit.Rule{Count: 10, Window: time.Minute}, Form: true,
			Body: fits[registration](), Result: answers[accountAnswer](), Do: g.register},
		{Verb: "POST", Path: "users.updateOwnBasicInfo", Tag: tag, Summary: "Change one's own profile, e-mail or password", Method: "saveUserProfile",
			Body: fits[ownUpdate](), Result: answers[updatedOwn](), Do: g.update},
		{Verb: "POST", Path: "users.logoutOtherClients", Tag: tag, Summary: "End every other session", Method: "logoutOtherClients",
			Result: answers[renewedToken](), Shape: AsDoc},
		{Verb: "POST", Path: "users.removeOtherTokens", Tag: tag, Summary: "End every other session", Method: "removeOtherTokens"},
		{Verb: "POST", Path: "users.forgotPassword", Tag: tag, Summary: "Mail a link that sets a new password", Method: "forgotPassword", Auth: NoLogin,
			Body: fits[emailBody](),
			Params: func(_ context.Context, r *Request) ([]any, error) {
				return []any{ejson.Doc{{Key: "email", Value: r.Text("email")}}}, nil
			}},
		{Verb: "POST", Path: "users.sendConfirmationEmail", Tag: tag, Summary: "Mail a verification link", Method: "sendConfirmationEmail", Body: fits[emailBody](),
			Params: members("email")},
		{Verb: "POST", Path: "users.verifyEmail", Tag: tag, Summary: "Prove an address with the token of a mailed link", Method: "verifyEmail",
			Body: fits[mailedToken](), Do: g.verify, Never: []string{"2fa-enabled"}},
		{Verb: "POST", Path: "users.resetPassword", Tag: tag, Summary: "Set a new password with the token of a mailed link", Method: "resetPassword", Auth: NoLogin,
			Body: fits[passwordReset](), Do: g.reset, Never: []string{"2fa-enabled"}},
		{Verb: "POST", Path: "users.deleteOwnAccount", Tag: tag, Summary: "Delete one's own account", Method: "deleteUserOwnAccount",
			Body: fits[ownDeletion](), Params: members("password")},
	}
}

func (g *own) me(_ context.Context, r *Request) (any, error) { return g.ownAccount(r.User), nil }

func (g *own) register(ctx context.Context, r *Request) (any, error) {
	if _, err := accounts.Plain(r.Text("pass")); err != nil {
		return nil, accounts.ErrPolicy.Because(err)
	}
	var given ejson.Doc
	for _, name := range []string{"username", "email", "name", "reason", "pass", "secretURL"} {
		if r.Has(name) {
			given = append(given, ejson.Field{Key: name, Value: r.Text(name)})
		}
	}
	id, err := r.Run(ctx, given)
	if err != nil {
		return nil, err
	}
	u, err := g.accounts.User(ctx, id.(string))
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "user", Value: accounts.Full(u)}}, nil
}

// update is the method saveUserProfile under its REST member names. The member
// currentPassword is that method's second-factor answer, by the factor
// "password" (docs/wire/rocketchat.md 2.5); headers count when it is missing.
func (g *own) update(ctx context.Context, r *Request) (any, error) {
	data, _ := r.body.value["data"].(map[string]any)
	names := map[string]string{"name": "realname", "username": "username", "email": "email", "newPassword": "newPassword",
		"statusText": "statusText", "statusType": "statusType", "nickname": "nickname"}
	var profile ejson.Doc
	for _, from := range []string{"name", "username", "email", "nickname", "statusText", "statusType", "newPassword"} {
		if v, ok := data[from]; ok {
			profile = append(profile, ejson.Field{Key: names[from], Value: v})
		}
	}
	if proof, ok := data["currentPassword"].(string); ok && proof != "" {
		r.Proof = rpc.TextProof(twofactor.Password, proof)
	}
	custom := r.body.value["customFields"]
	if v, ok := data["customFields"]; ok {
		custom = v
	}
	params := []any{profile}
	if custom != nil {
		params = append(params, custom)
	}
	if _, err := r.Run(ctx, params...); err != nil {
		return nil, err
	}
	u, err := g.accounts.User(ctx, r.User.ID)
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "user", Value: g.ownAccount(u)}}, nil
}

// verify and reset prove an address or set a password; over REST neither logs
// anybody in, so an account with a second factor needs no exception.
func (g *own) verify(ctx context.Context, r *Request) (any, error) {
	_, err := g.accounts.VerifyEmail(ctx, r.Peer, r.Login, r.Text("token"))
	return nil, err
}

func (g *own) reset(ctx context.Context, r *Request) (any, error) {
	pw, err := accounts.Plain(r.Text("password"))
	if err != nil {
		return nil, accounts.ErrPolicy.Because(err)
	}
	_, err = g.accounts.ResetPassword(ctx, r.Peer, r.Text("token"), pw)
	return nil, err
}
