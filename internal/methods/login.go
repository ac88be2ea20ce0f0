package methods

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// logins serves login, logout and the exchange of login tokens
// (docs/wire/ddp.md D1 and D2).
type logins struct {
	accounts *accounts.Service
	gate     gate
	// guess bounds and audits wrong tokens (Router.Guess).
	guess func(p *rpc.Peer, token string, check func() error) error
}

// exchange is why a session may become another without a factor.
const exchange = "the session itself, which becomes another with the same end; a personal access token is refused"

func (g *logins) Specs() []Spec {
	return []Spec{
		{
			Name: "login", Do: g.login, Effects: Tokens, Anonymous: true, Enrolment: true, Passage: true,
			Factor: twofactor.Login, Limit: ratelimit.Account,
			Doc:    "Logs the connection in with a password, a password and a code, a passkey alone, or a token of before.",
			Params: "{user: {id | username | email}, password, code? | webauthn?} | {totp: {login, code}} | {webauthn: AuthenticationResponseJSON} | {resume}",
			Result: "{id, token, tokenExpires, type}",
			Errors: "400 Match failed; 400 Unrecognized options…; 403; totp-required; totp-invalid; totp-max-attempts; " +
				"error-login-blocked-for-user; error-login-blocked-for-ip; invalid-webauthn-assertion; webauthn-passwordless-disabled; " +
				"webauthn-not-supported; too-many-requests",
		},
		{
			Name: "logout", Do: g.logout, Effects: Ends, Anonymous: true, Enrolment: true, Passage: true,
			Doc: "Ends the connection's session everywhere.", Params: "none", Result: "none", Errors: "-",
		},
		{
			Name: "getNewToken", Do: g.newToken, Effects: Tokens, Instead: exchange, LoginError: accounts.ErrNotLoggedIn, Enrolment: true,
			Doc:    "Exchanges the connection's token for another one with the same end.",
			Params: "none", Result: "{id, token, tokenExpires}", Errors: "You are not logged in.; Invalid login token",
		},
		{
			Name: "removeOtherTokens", Do: g.removeOthers, Effects: Ends, LoginError: accounts.ErrNotLoggedIn, Enrolment: true,
			Doc:    "Ends the account's other sessions and closes their connections; personal access tokens stay.",
			Params: "none", Result: "none", Errors: "You are not logged in.",
		},
		{
			Name: "logoutOtherClients", Action: "removeOtherTokens", Also: []string{"getNewToken"}, Do: g.logoutOthers,
			Effects: Tokens | Ends, Instead: exchange, LoginError: accounts.ErrNotLoggedIn, Enrolment: true,
			Doc:    "Gives a new token and ends every other session at once.",
			Params: "none", Result: "{token, tokenExpires}", Errors: "You are not logged in.; Invalid login token",
		},
	}
}

// LoginResult is what every login answers.
type LoginResult struct {
	ID           string    `json:"id,omitempty"`
	Token        string    `json:"token"`
	TokenExpires time.Time `json:"tokenExpires"`
	// Type is "password", "webauthn" or "resume", decided by the server.
	Type string `json:"type,omitempty"`
}

func (g *logins) login(ctx context.Context, c *rpc.Call) (any, error) {
	var options ejson.Doc
	if err := c.Bind(&options); err != nil {
		return nil, err
	}
	o, err := readLogin(options, false)
	if err != nil {
		return nil, err
	}
	ctx = g.accounts.Remembering(ctx)
	if o.resume != "" {
		var got accounts.Issued
		if err := g.guess(c.Peer, o.resume, func() (err error) {
			_, got, err = g.accounts.Resume(ctx, c.Peer, o.resume)
			return err
		}); err != nil {
			return nil, err
		}
		return g.gate.enter(ctx, c, got, "resume")
	}
	if o.passkey != nil {
		return g.gate.enterByPasskey(ctx, c, o.passkey)
	}
	u, err := g.accounts.Authenticate(ctx, c.Peer, o.selector, o.password)
	if err != nil {
		return nil, err
	}
	proof := o.proof
	if !proof.Given() {
		proof = c.Proof // the trailing parameter of a generic client, or REST's
	} else if proof.Factor == "" {
		proof.Factor = c.Proof.Factor
	}
	result, err := g.gate.admit(ctx, c, u, proof)
	if err != nil && o.meteor && c.Peer.Door != rpc.REST {
		err = g.inMeteorsWords(err, o.proof.Given())
	}
	return result, err
}

// inMeteorsWords is the refusal of a login in Meteor's own form. With a code beside the
// password nobody but Meteor's clients asks; without one Rocket.Chat's begin so too, who
// wait for Rocket.Chat's word, so that Meteor's is for servers of Meteor's clients alone.
func (g *logins) inMeteorsWords(err error, coded bool) error {
	f, ok := fault.From(err)
	switch {
	case ok && coded && errors.Is(err, twofactor.ErrInvalid):
		return twofactor.ErrMeteorInvalid.With(f.Details)
	case ok && !coded && errors.Is(err, twofactor.ErrRequired) && g.gate.settings.Bool(settings.TwoFactorMeteorWords):
		return twofactor.ErrMeteorNoCode.With(f.Details)
	}
	return err
}

// gate is the end of every way in: the second factor, the token, the connection.
type gate struct {
	accounts *accounts.Service
	factors  *twofactor.Service
	settings *settings.Service
}

// admit asks for the second factor of an account whose first one was proved,
// then issues a token and logs the connection in.
func (g gate) admit(ctx context.Context, c *rpc.Call, u *user.User, proof rpc.Proof) (any, error) {
	proved := u.PasswordHash()
	u, err := g.factors.Present(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case u.PasswordHash() != proved: // it was read anew, and set anew meanwhile
		return nil, twofactor.ErrOvertaken
	}
	err = g.factors.Check(ctx, twofactor.Request{
		User: u, Peer: c.Peer, Policy: twofactor.Login, Action: c.Method, Purpose: "login", Proof: proof, Passed: &c.Passed,
	})
	if err != nil {
		return nil, err
	}
	return g.issue(ctx, c, u)
}

// enterByPasskey logs in with an answer that is both factors.
func (g gate) enterByPasskey(ctx context.Context, c *rpc.Call, answer ejson.Raw) (any, error) {
	r := twofactor.Request{Peer: c.Peer, Action: c.Method, Purpose: "login", Proof: rpc.Proof{Factor: twofactor.WebAuthn, Value: answer}}
	u, err := g.factors.Enter(ctx, r)
	if err != nil {
		return nil, err
	}
	return g.issueAs(ctx, c, u, twofactor.WebAuthn)
}

// issue gives a token without asking for anything more.
func (g gate) issue(ctx context.Context, c *rpc.Call, u *user.User) (any, error) {
	return g.issueAs(ctx, c, u, "password")
}

func (g gate) issueAs(ctx context.Context, c *rpc.Call, u *user.User, how string) (any, error) {
	ctx = g.accounts.Remembering(ctx)
	got, err := g.accounts.IssueToken(ctx, c.Peer, u, how)
	if err != nil {
		return nil, err
	}
	return g.enter(ctx, c, got, how)
}

// enter logs the connection in. A token that was revoked between its issue and the
// moment from which the connection is found by it would leave the connection open.
// So its account is asked for once more after that moment: it is the one that was read
// with the token, or written with it, unless news of it came meanwhile (Remembering);
// then it is read. A token that is revoked later closes the connection. The
// subscriptions that run again for the new user share that account.
func (g gate) enter(ctx context.Context, c *rpc.Call, got accounts.Issued, kind string) (any, error) {
	ctx = g.accounts.Remembering(ctx)
	if err := c.Session.SetLogin(ctx, got.Login()); err != nil {
		return nil, err
	}
	if _, err := g.accounts.Caller(ctx, got.Login()); err != nil {
		if errors.Is(err, fault.NotAuthorized) {
			err = accounts.ErrLoggedOut.Because(err)
		}
		if out := c.Session.SetLogin(ctx, rpc.Login{}); out != nil {
			err = errors.Join(err, out)
		}
		return nil, err
	}
	c.Login = got.Login() // so that the call's record names who logged in
	return LoginResult{ID: got.UserID, Token: got.Token, TokenExpires: got.Expires, Type: kind}, nil
}

// guarded tells whether a second factor stands in front of the account.
func (g gate) guarded(u *user.User) bool {
	return g.settings.Bool(settings.TwoFactorEnabled) && len(g.factors.Available(u)) > 0
}

// switchedOn tells whether the account has a second factor switched on, whether
// or not it can be asked for yet: codes by mail wait for a verified address.
func (g gate) switchedOn(u *user.User) bool {
	return g.settings.Bool(settings.TwoFactorEnabled) && g.factors.SwitchedOn(u)
}

// ambiguous words an answer that Meteor hides by default (docs/wire/ddp.md D).
func (g gate) ambiguous(code, reason string) *fault.Error {
	if g.settings.Bool(settings.AmbiguousErrors) {
		reason = accounts.ErrCredentials.Reason
	}
	return fault.New(code, reason)
}

func (g *logins) logout(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	// First this connection, so that it is not among those that are closed.
	if err := c.Session.SetLogin(ctx, rpc.Login{}); err != nil {
		return nil, err
	}
	return nil, g.accounts.Logout(ctx, c.Peer, c.Login)
}

func (g *logins) newToken(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	ctx = g.accounts.Remembering(ctx)
	got, err := g.accounts.RenewToken(ctx, c.Peer, c.Login)
	if err != nil {
		return nil, err
	}
	return g.gate.enter(ctx, c, got, "")
}

func (g *logins) removeOthers(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return nil, g.accounts.RemoveOtherTokens(ctx, c.Peer, c.Login)
}

func (g *logins) logoutOthers(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	ctx = g.accounts.Remembering(ctx)
	got, err := g.accounts.RenewToken(ctx, c.Peer, c.Login)
	if err != nil {
		return nil, err
	}
	if _, err := g.gate.enter(ctx, c, got, ""); err != nil {
		return nil, err
	}
	if err := g.accounts.RemoveOtherTokens(ctx, c.Peer, got.Login()); err != nil {
		return nil, err
	}
	return LoginResult{Token: got.Token, TokenExpires: got.Expires}, nil
}
