package methods

import (
	"context"
	"errors"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// registration serves the making of accounts and the links that mails carry
// (docs/wire/ddp.md D3).
type registration struct {
	accounts *accounts.Service
	gate     gate
}

// What stands in for a second factor where none can be asked for.
const (
	nobody = "nothing: a stranger makes an account of their own, where the settings let strangers"
	mailed = "nothing: what is made goes to the account's mailbox and nowhere else"
	link   = "the token of a mailed link"
)

func (g *registration) Specs() []Spec {
	return []Spec{
		{
			Name: "createUser", Action: "registerUser", Do: g.create, Effects: Accounts | Tokens, Instead: nobody, Anonymous: true, Enrolment: true,
			Limit:  ratelimit.Account,
			Doc:    "Makes an account and logs it in (Meteor).",
			Params: "{username?, email?, password?, profile?, …}", Result: "{id, token, tokenExpires, type}",
			Errors: "400 Match failed; 400 Need to set a username or email; 403; 403 Signups forbidden; error-user-registration-secret; " +
				"username-invalid; error-blocked-username; error-invalid-email; error-email-domain-not-accepted; " +
				"error-password-policy-not-met; error-user-is-not-activated; too-many-requests",
		},
		{
			Name: "createUserWithWebAuthn", Action: "registerUser", Do: g.createWithPasskey, Effects: Accounts | Tokens, Instead: nobody, Anonymous: true,
			Enrolment: true, Limit: ratelimit.Account,
			Doc:    "Makes an account whose owner proves themselves by a passkey, and logs it in (Meteor).",
			Params: "{credential: RegistrationResponseJSON, credentialName?}", Result: "{id, token, tokenExpires, type}",
			Errors: "400 Match failed; 403; 403 Signups forbidden; error-user-registration-secret; invalid-webauthn-registration; " +
				"webauthn-key-not-supported; webauthn-key-kind-not-allowed; webauthn-not-supported; webauthn-sign-up-disabled; " +
				"username-invalid; error-blocked-username; error-invalid-email; " +
				"error-email-domain-not-accepted; error-invalid-name; error-user-is-not-activated; too-many-requests",
		},
		{
			Name: "registerUser", Do: g.register, Effects: Accounts, Instead: nobody, Anonymous: true, Enrolment: true, Limit: ratelimit.Account,
			Doc:    "Makes an account and mails a verification link (Rocket.Chat). Logs nobody in.",
			Params: "{email, pass, name?, username?, reason?, secretURL?, …}", Result: "the new id",
			Errors: "400 Match failed; 403; error-user-registration-disabled; error-user-registration-secret; username-invalid; " +
				"error-blocked-username; error-invalid-email; error-email-domain-not-accepted; error-invalid-name; error-password-policy-not-met; too-many-requests",
		},
		{
			Name: "forgotPassword", Do: g.forgot, Effects: Tokens, Instead: mailed, Anonymous: true, Enrolment: true, Limit: ratelimit.Account,
			Doc:    "Mails a link for a new password. The answer is the same whether or not anybody has the address.",
			Params: "{email, …}", Result: "none", Errors: "400 Match failed; error-password-reset-disabled; too-many-requests",
		},
		{
			Name: "resetPassword", Do: g.reset, Effects: Accounts | Tokens, Instead: link, Anonymous: true, Enrolment: true, Limit: ratelimit.Account,
			Doc:    "Sets a new password with the token of a link, ends every login token, and logs in unless a second factor is on.",
			Params: "token, password", Result: "{id, token, tokenExpires, type}",
			Errors: "400 Match failed; 403 Token expired; 403 Token has invalid email address; error-password-policy-not-met; 2fa-enabled",
		},
		{
			Name: "verifyEmail", Do: g.verify, Effects: Accounts | Tokens, Instead: link, Anonymous: true, Enrolment: true, Limit: ratelimit.Account,
			Doc: "Marks an address as verified with the token of a link, ends the sessions and tokens of before when it is the account's first proof, and logs " +
				"in unless a second factor is switched on (also one that waits for the proof) or the address replaced a proved one.",
			Params: "token", Result: "{id, token, tokenExpires, type}",
			Errors: "400 Match failed; 403 Verify email link expired; 403 Verify email link is for unknown address; 2fa-enabled; error-login-required",
		},
		{
			Name: "sendConfirmationEmail", Do: g.confirm, Effects: Tokens, Instead: mailed, Anonymous: true, Enrolment: true, Limit: ratelimit.Account,
			Doc: "Mails one more verification link; those of before stay good. The answer is the same for every address. A new address that waits beside a " +
				"proved one gets its link only in the account's own session.",
			Params: "email", Result: "true", Errors: "400 Match failed; too-many-requests",
		},
	}
}

func (g *registration) create(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Username *string    `ejson:"username"`
		Email    *string    `ejson:"email"`
		Password *ejson.Raw `ejson:"password"`
		Profile  *ejson.Doc `ejson:"profile"`
		_        struct{}   `ejson:",ignore"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	r := accounts.Registration{Username: value(o.Username), Email: value(o.Email)}
	if o.Profile != nil {
		r.Profile, _ = ejson.Plain(*o.Profile).(map[string]any)
	}
	if o.Password != nil {
		var err error
		if r.Password, err = bindPassword(*o.Password); err != nil {
			return nil, err
		}
	}
	u, err := g.accounts.Register(ctx, c.Peer, r)
	if err != nil {
		return nil, err
	}
	if !u.IsActive() {
		return nil, accounts.ErrNotActivated
	}
	return g.gate.admit(ctx, c, u, rpc.Proof{})
}

func (g *registration) createWithPasskey(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Credential ejson.Raw `ejson:"credential"`
		Name       *string   `ejson:"credentialName"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	j, err := g.gate.factors.Join(o.Credential, value(o.Name))
	if err != nil {
		return nil, err
	}
	u, err := g.accounts.Register(ctx, c.Peer, accounts.Registration{ID: j.ID, Username: j.Username, Email: j.Email, Passkeys: j.Passkeys})
	if errors.Is(err, accounts.ErrMadeBefore) {
		return nil, twofactor.ErrPasskeyNew.Because(err)
	}
	if err != nil {
		return nil, err
	}
	if !u.IsActive() {
		return nil, accounts.ErrNotActivated
	}
	return g.gate.issueAs(ctx, c, u, twofactor.WebAuthn)
}

func (g *registration) register(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Email    string    `ejson:"email"`
		Pass     ejson.Raw `ejson:"pass"`
		Name     *string   `ejson:"name"`
		Username *string   `ejson:"username"`
		Reason   *string   `ejson:"reason"`
		Secret   *string   `ejson:"secretURL"`
		_        struct{}  `ejson:",ignore"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	pw, err := bindPassword(o.Pass)
	if err != nil {
		return nil, err
	}
	if o.Email == "" {
		return nil, accounts.ErrEmail
	}
	u, err := g.accounts.Register(ctx, c.Peer, accounts.Registration{
		Username: value(o.Username), Email: o.Email, Name: value(o.Name), Password: pw, Reason: value(o.Reason), Secret: value(o.Secret),
		NeedUsername: true,
	})
	switch {
	case errors.Is(err, accounts.ErrSignupsForbidden):
		return nil, accounts.ErrRegistrationDisabled
	case err != nil:
		return nil, err
	}
	return u.ID, nil
}

func (g *registration) forgot(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Email string   `ejson:"email"`
		_     struct{} `ejson:",ignore"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	return nil, g.accounts.ForgotPassword(ctx, c.Peer, o.Email)
}

func (g *registration) confirm(ctx context.Context, c *rpc.Call) (any, error) {
	var email string
	if err := c.Bind(&email); err != nil {
		return nil, err
	}
	if err := g.accounts.SendConfirmation(ctx, c.Peer, c.User, email); err != nil {
		return nil, err
	}
	return true, nil
}

func (g *registration) reset(ctx context.Context, c *rpc.Call) (any, error) {
	var token string
	var raw ejson.Raw
	if err := c.Bind(&token, &raw); err != nil {
		return nil, err
	}
	pw, err := bindPassword(raw)
	if err != nil {
		return nil, err
	}
	got, err := g.accounts.ResetPassword(ctx, c.Peer, token, pw)
	if err != nil {
		return nil, err
	}
	// A factor that the proof itself brought into force does not count: a code by
	// mail would prove the same thing again.
	if g.gate.guarded(got.Before) {
		return nil, g.gate.ambiguous("2fa-enabled", "Changed password, but user not logged in because 2FA is enabled")
	}
	return g.gate.issue(ctx, c, got.After)
}

func (g *registration) verify(ctx context.Context, c *rpc.Call) (any, error) {
	var token string
	if err := c.Bind(&token); err != nil {
		return nil, err
	}
	got, err := g.accounts.VerifyEmail(ctx, c.Peer, c.Login, token)
	switch {
	case err != nil:
		return nil, err
	case g.gate.switchedOn(got.Before), g.gate.switchedOn(got.After):
		return nil, g.gate.ambiguous("2fa-enabled", "Email verified, but user not logged in because 2FA is enabled")
	case got.Replaced && c.Login.UserID != got.After.ID:
		// A mistyped new address must not hand the account to whoever reads there.
		return nil, g.gate.ambiguous("error-login-required", "Email verified: log in with your password")
	}
	return g.gate.issue(ctx, c, got.After)
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
