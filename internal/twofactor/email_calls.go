package twofactor

import (
	"context"

	"ddpserver/internal/rpc"
)

// Calls implements Factor.
func (f emailFactor) Calls() []Call {
	const refused = "totp-required; totp-invalid; totp-max-attempts"
	return []Call{
		{Method: "2fa:enable-email", Do: f.switchOn, Effects: Factors, Inside: Fresh, Enrols: ByEmail, Sentence: "to switch codes by e-mail on",
			Doc:    "Switches codes by mail on. Asks for the authenticator app if that is on.",
			Result: "true", Errors: "error-invalid-user; " + refused,
			Route: "POST users.2fa.enableEmail", Summary: "Switch codes by e-mail on"},
		{Method: "2fa:disable-email", Do: f.switchOff, Effects: Factors, Asks: Fresh, Sentence: "to switch codes by e-mail off",
			Doc: "Switches codes by mail off.", Result: "true", Errors: refused,
			Route: "POST users.2fa.disableEmail", Summary: "Switch codes by e-mail off"},
		{Method: "sendEmailCode", Do: f.send, Effects: Factors, Anonymous: true, Passage: true,
			Instead: "nothing: what is made goes to the account's mailbox and nowhere else",
			Doc:     "Mails one more code to an account that has the factor.",
			Params:  "emailOrUsername", Result: "[address]",
			Errors: "error-parameter-required; error-invalid-user; totp-max-attempts; too-many-requests",
			Route:  "POST users.2fa.sendEmailCode", Summary: "Mail a new code",
			Body: whom{}, Exact: true, Spread: true, DoRoute: f.sendUnseenTo},
		{Method: "users:resetEmail2FA", Do: f.resetOf,
			Doc: "Switches codes by mail off for an account, one's own or, with edit-other-user-totp, another's; its owner is told, and its sessions end. " +
				"An app stays.",
			Params: "userId", Result: "none",
			Errors:  "error-not-allowed; error-two-factor-changed; error-email-send-failed; error-two-factor-not-enabled; error-invalid-user; 400 Match failed",
			Route:   "POST users.resetEmail2FA",
			Effects: Factors | Tokens | Others, Asks: Fresh, Late: true, Sentence: "to reset codes by e-mail",
			Summary: "Switch codes by e-mail off for an account, one's own or another's", Account: true},
	}
}

// whom names an account.
type whom struct {
	Name string `json:"emailOrUsername" minLength:"1" about:"ignored for a caller who is logged in"`
}

func (f emailFactor) switchOn(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return done(f.EnableEmail(ctx, RequestOf(c)))
}

func (f emailFactor) switchOff(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return done(f.DisableEmail(ctx, RequestOf(c)))
}

// done is the result of calls that answer true.
func done(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return true, nil
}

func (f emailFactor) send(ctx context.Context, c *rpc.Call) (any, error) {
	var who *string
	if err := c.Bind(&who); err != nil {
		return nil, err
	}
	if who == nil {
		return nil, ErrParameterRequired
	}
	return f.SendCode(ctx, RequestOf(c), *who)
}

// sendUnseenTo answers strangers alike whether the account exists, also when a
// budget is used up: only the method, which is documented to tell, does.
func (f emailFactor) sendUnseenTo(ctx context.Context, c *rpc.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	if u := c.User; u != nil {
		name = u.Username
		if name == "" && len(u.Emails) > 0 {
			name = u.Emails[0].Address
		}
	}
	r := RequestOf(c)
	r.Unseen = c.User == nil
	_, err := f.SendCode(ctx, r, name)
	return nil, err
}

// What happens to codes by mail.
var (
	EmailEnabled = Change{Name: "email-enabled", Factor: Email, Act: "factor_enabled",
		Subject: "Two-factor authentication by e-mail was switched on",
		Text:    "Codes sent to your verified addresses are now a second factor of your account. Your other sessions were closed."}
	EmailDisabled = Change{Name: "email-disabled", Factor: Email, Act: "factor_disabled",
		Subject: "Two-factor authentication by e-mail was switched off",
		Text:    "Codes sent by e-mail are no longer a second factor of your account. Your other sessions were closed."}
)
