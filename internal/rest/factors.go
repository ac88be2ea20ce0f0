package rest

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/twofactor"
)

// factors serves the second factors of an account: the 2fa:* methods by their
// REST names (docs/wire/rocketchat.md 5.8).
type factors struct{ s *Server }

// Routes lists them. The code in a body is the proof of the four routes that
// take one, exactly as the method's parameter is.
func (g *factors) Routes() []Route {
	const tag = "two-factor"
	codes := success(must("codes", list(text()).about("shown once")))
	return []Route{
		{Verb: "POST", Path: "users.2fa.enableEmail", Tag: tag, Summary: "Switch codes by e-mail on", Method: "2fa:enable-email", Errors: []string{"error-invalid-user"}},
		{Verb: "POST", Path: "users.2fa.disableEmail", Tag: tag, Summary: "Switch codes by e-mail off", Method: "2fa:disable-email"},
		{Verb: "POST", Path: "users.2fa.cancelReset", Tag: tag, Summary: "Stop a pending reset of one's own authenticator app", Method: "2fa:cancel-reset"},
		{Verb: "POST", Path: "users.2fa.sendEmailCode", Tag: tag, Summary: "Mail a new code", Twin: "sendEmailCode", Auth: LoginOptional, Enrolment: true,
			Body: exact(must("emailOrUsername", nonEmpty().about("ignored for a caller who is logged in"))), Do: g.sendCode, Errors: []string{"too-many-requests"}},
		{Verb: "POST", Path: "users.enableTotp", Tag: tag, Summary: "Start to enrol an authenticator app", Method: "2fa:enable",
			Body:   object(may("qr", oneOf("svg", "png").about("also return a picture of the URL"))),
			Params: g.qr, Result: success(must("secret", text()), must("url", text()), may("qr", text())), Shape: asDoc, Errors: []string{"error-2fa-already-enabled"}},
		{Verb: "POST", Path: "users.validateTotp", Tag: tag, Summary: "Finish enrolling with a first code", Method: "2fa:validateTempToken",
			Body: object(must("code", text())), Params: code, Result: codes, Shape: asDoc, Errors: []string{"invalid-totp"}},
		{Verb: "POST", Path: "users.disableTotp", Tag: tag, Summary: "Remove the authenticator app", Method: "2fa:disable",
			Body: object(must("code", text())), Params: code, Result: success(must("disabled", boolean())),
			Shape: func(result any) (ejson.Doc, error) { return ejson.Doc{{Key: "disabled", Value: result == true}}, nil }},
		{Verb: "POST", Path: "users.regenerateTotpCodes", Tag: tag, Summary: "Replace the backup codes", Method: "2fa:regenerateCodes",
			Body: object(must("code", text())), Params: code, Result: codes, Shape: g.codes, Errors: []string{"invalid-totp"}},
		{Verb: "GET", Path: "users.totpCodesRemaining", Tag: tag, Summary: "How many backup codes are left", Method: "2fa:checkCodesRemaining",
			Result: success(must("remaining", integer())), Shape: asDoc, Errors: []string{"invalid-totp"}},
		{Verb: "POST", Path: "users.resetTOTP", Effects: methods.Factors | methods.Tokens | methods.Others, Tag: tag, Summary: "Remove the authenticator app of an account, one's own or another's", Factor: twofactor.Fresh,
			Body: object(may("userId", text()), may("username", text()), may("user", text())), Do: g.reset,
			Result: success(may("due", dateTime().about("when a reset that waits takes effect; absent when it is done"))), Errors: []string{"error-not-allowed", "error-two-factor-changed", "error-email-send-failed", "error-two-factor-not-enabled", "error-invalid-user"}},
	}
}

func code(r *Request) []any { return []any{r.Text("code")} }

func (g *factors) qr(r *Request) []any {
	if q := r.Text("qr"); q != "" {
		return []any{ejson.Doc{{Key: "qr", Value: q}}}
	}
	return nil
}

// codes turns the method's silence about a wrong code into a refusal: an HTTP
// answer without the promised member would tell a client nothing.
func (g *factors) codes(result any) (ejson.Doc, error) {
	if result == nil {
		return nil, fault.New("invalid-totp", "Invalid two-factor code")
	}
	return asDoc(result)
}

// sendCode answers strangers alike whether the account exists
// (docs/wire/rocketchat.md 5.8), also when a budget is used up: only the method, which is
// documented to tell, does.
func (g *factors) sendCode(ctx context.Context, r *Request) (any, error) {
	name := r.Text("emailOrUsername")
	if r.User != nil {
		name = r.User.Username
		if name == "" && len(r.User.Emails) > 0 {
			name = r.User.Emails[0].Address
		}
	}
	_, err := g.s.o.Factors.SendCode(ctx, twofactor.Request{User: r.User, Token: r.Login.Token, Peer: r.Peer, Action: r.Method, Purpose: r.Purpose, Unseen: r.User == nil}, name)
	return nil, err
}

// reset removes somebody's authenticator (docs/wire/rocketchat.md 5.8).
func (g *factors) reset(ctx context.Context, r *Request) (any, error) {
	id, err := g.s.target(ctx, r)
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = r.User.ID
	}
	if id != r.User.ID && !permission.Has(r.User, permission.EditOtherUserTOTP) {
		return nil, fault.NotAllowed
	}
	due, err := g.s.o.Factors.Reset(ctx, twofactor.Request{User: r.User, Token: r.Login.Token, Peer: r.Peer, Action: r.Method, Purpose: r.Purpose}, id)
	if err != nil || due.IsZero() {
		return nil, err
	}
	return ejson.Doc{{Key: "due", Value: due.UTC().Format("2006-01-02T15:04:05.000Z")}}, nil
}

// via runs a method's handler with parameters, for routes that add something of
// their own. The route's checks have been passed.
func (s *Server) via(ctx context.Context, r *Request, name string, params ...any) (any, error) {
	spec, ok := s.method(name)
	if !ok {
		return nil, methods.NotFound(name)
	}
	var err error
	if r.Params, err = ejson.Append(nil, params); err != nil {
		return nil, err
	}
	return spec.Do(ctx, r.Call)
}

// asDoc turns any result that is an object into an answer.
func asDoc(result any) (ejson.Doc, error) {
	if d, ok := result.(ejson.Doc); ok {
		return d, nil
	}
	raw, err := ejson.Append(nil, result)
	if err != nil {
		return nil, err
	}
	v, err := ejson.Decode(raw)
	if err != nil {
		return nil, err
	}
	d, ok := v.(ejson.Doc)
	if !ok {
		return nil, fault.Internal
	}
	return d, nil
}

// under puts a result under one name.
func under(name string) func(any) (ejson.Doc, error) {
	return func(result any) (ejson.Doc, error) { return ejson.Doc{{Key: name, Value: result}}, nil }
}
