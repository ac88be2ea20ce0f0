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
	email := object(must("email", text()))
	fields := object(may("name", text()), may("username", text()), may("email", text()), may("nickname", text()), may("statusText", text()),
		may("statusType", text()),
		may("newPassword", text()), may("currentPassword", text().About("hex SHA-256 of the password; the proof of an account without another factor")),
		may("customFields", object()))
	return []Route{
		{Verb: "GET", Path: "me", Effects: methods.Reads, Tag: tag, Summary: "One's own account", Enrolment: true, Result: withSuccess(meSchema), Do: g.me},
		{Verb: "POST", Path: "users.register", Tag: tag, Summary: "Make an account", Twin: "registerUser", Auth: NoLogin,
			Limit: ratelimit.Rule{Count: 10, Window: time.Minute}, Form: true,
			Body: object(must("username", nonEmpty()), may("name", text()), must("email", text()), must("pass", text()), may("reason", text()),
				may("secretURL", text())),
			Result: success(must("user", userSchema)), Do: g.register,
			Errors: []string{"error-user-registration-disabled", "error-user-registration-secret", "error-field-unavailable", "username-invalid",
				"error-invalid-email", "error-password-policy-not-met"}},
		{Verb: "POST", Path: "users.updateOwnBasicInfo", Tag: tag, Summary: "Change one's own profile, e-mail or password", Twin: "saveUserProfile", Enrolment: true,
			Body:   object(must("data", fields), may("customFields", object())),
			Result: success(must("user", meSchema)), Do: g.update, Errors: []string{"error-not-allowed", "error-field-unavailable", "totp-required", "totp-invalid"}},
		{Verb: "POST", Path: "users.logoutOtherClients", Tag: tag, Summary: "End every other session", Method: "logoutOtherClients",
			Result: success(must("token", text()), must("tokenExpires", dateTime())), Shape: asDoc},
		{Verb: "POST", Path: "users.removeOtherTokens", Tag: tag, Summary: "End every other session", Method: "removeOtherTokens"},
		{Verb: "POST", Path: "users.forgotPassword", Tag: tag, Summary: "Mail a link that sets a new password", Twin: "forgotPassword", Auth: NoLogin, Body: email,
			Do: func(ctx context.Context, r *Request) (any, error) {
				return nil, g.accounts.ForgotPassword(ctx, r.Peer, r.Text("email"))
			}},
		{Verb: "POST", Path: "users.sendConfirmationEmail", Tag: tag, Summary: "Mail a verification link", Twin: "sendConfirmationEmail", Auth: LoginOptional,
			Enrolment: true, Body: email,
			Do: func(ctx context.Context, r *Request) (any, error) {
				return nil, g.accounts.SendConfirmation(ctx, r.Peer, r.User, r.Text("email"))
			}},
		{Verb: "POST", Path: "users.verifyEmail", Tag: tag, Summary: "Prove an address with the token of a mailed link", Twin: "verifyEmail", Auth: LoginOptional,
			Enrolment: true, Body: object(must("token", text())),
			Do: g.verify, Errors: []string{"403"}},
		{Verb: "POST", Path: "users.resetPassword", Tag: tag, Summary: "Set a new password with the token of a mailed link", Twin: "resetPassword", Auth: NoLogin,
			Body: object(must("token", text()), must("password", text())),
			Do:   g.reset, Errors: []string{"403", "error-password-policy-not-met"}},
		{Verb: "POST", Path: "users.deleteOwnAccount", Tag: tag, Summary: "Delete one's own account", Method: "deleteUserOwnAccount",
			Body:   object(must("password", text().About("hex SHA-256 of the password")), may("confirmRelinquish", boolean())),
			Params: func(r *Request) []any { return []any{r.Text("password")} },
			Errors: []string{"error-invalid-password", "error-invalid-username", "error-not-allowed"}},
	}
}

// withSuccess adds the success member to a schema of an object.
func withSuccess(s Schema) Schema {
	properties := map[string]any{"success": map[string]any{"const": true}}
	for k, v := range s["properties"].(map[string]any) {
		properties[k] = v
	}
	required, _ := s["required"].([]any)
	return Schema{"type": "object", "properties": properties, "required": append([]any{"success"}, required...)}
}

func (g *own) me(_ context.Context, r *Request) (any, error) { return g.ownAccount(r.User), nil }

func (g *own) register(ctx context.Context, r *Request) (any, error) {
	pw, err := accounts.Plain(r.Text("pass"))
	if err != nil {
		return nil, accounts.ErrPolicy.Because(err)
	}
	u, err := g.accounts.Register(ctx, r.Peer, accounts.Registration{
		Username: r.Text("username"), Email: r.Text("email"), Name: r.Text("name"), Reason: r.Text("reason"), Password: pw,
		Secret: r.Text("secretURL"),
	})
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
	if _, err := g.via(ctx, r, "saveUserProfile", params...); err != nil {
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
