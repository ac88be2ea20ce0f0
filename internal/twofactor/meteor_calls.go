package twofactor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Meteor's package accounts-2fa has four calls for an authenticator app of its own
// (docs/wire/ddp.md D4). Here they are other names for the one app that an account has,
// and ask for the proofs that the calls beside them ask for: Meteor's ask for none.

// Refusals in the words of Meteor's accounts-2fa.
var (
	// ErrMeteorActivated refuses a secret while an authenticator is on.
	ErrMeteorActivated = fault.New("2fa-activated",
		"The 2FA is activated. You need to disable the 2FA first before trying to generate a new activation code.")
	// ErrMeteorNoSecret refuses a first code where no secret waits for one; 500 in Meteor,
	// which is for failures here.
	ErrMeteorNoSecret = fault.Num(400, "The user does not have a secret generated. Call generate2faActivationQrCode first.")
	// ErrMeteorNoCode asks for a code at a login, with the details of ErrRequired.
	ErrMeteorNoCode = fault.New("no-2fa-code", "2FA code must be informed")
	// ErrMeteorInvalid says that a code was not accepted, at a login with the details of
	// ErrInvalid.
	ErrMeteorInvalid = fault.New("invalid-2fa-code", "Invalid 2FA code")
	// ErrMeteorOwn refuses to tell of another account: who has a second factor is worth
	// knowing to whoever guesses passwords.
	ErrMeteorOwn = fault.New("error-not-allowed", "This tells of your own account only: call it without a parameter")
)

// maxAppName is how many characters the name of an application may have in an
// authenticator app, maxAppBytes how many bytes: the key URL has it twice, each byte as three
// characters, and a QR code takes 2331.
const (
	maxAppName  = 100
	maxAppBytes = 200
)

// meteorCalls are those four calls.
func (f totpFactor) meteorCalls() []Call {
	const refused = "totp-required; totp-invalid; totp-max-attempts"
	return []Call{
		{Method: "has2faEnabled", Do: f.meteorHas, Effects: Reads,
			Doc:    "Tells whether the caller's authenticator app is switched on (Meteor).",
			Params: "null?", Result: "true | false", Errors: "error-not-allowed"},
		{Method: "generate2faActivationQrCode", Action: "2fa:enable", Do: f.meteorEnrol, Effects: Factors, Inside: Fresh, Enrols: ByTOTP,
			Sentence: "to set up an authenticator app",
			Doc: "Makes a secret for an authenticator app, as `2fa:enable` (Meteor). The name of the application, up to 100 characters and 200 bytes, " +
				"is what the app shows. Asks for the factor that is on, else for the password.",
			Params: "appName?", Result: "{svg, secret, uri}", Errors: "2fa-activated; 400 Match failed; " + refused},
		{Method: "enableUser2fa", Action: "2fa:validateTempToken", Do: f.meteorConfirm, Effects: Factors, Enrols: ByTOTP,
			Instead: "the first code of an app whose secret was handed out for a fresh factor",
			Doc: "Switches the authenticator app on with its first code, as `2fa:validateTempToken` (Meteor, whose call returns nothing). " +
				"The backup codes are shown only here.",
			Params: "code", Result: "{codes}", Errors: "invalid-2fa-code; 2fa-activated; 400 The user does not have a secret generated…; 400 Match failed"},
		{Method: "disableUser2fa", Action: "2fa:disable", Do: f.meteorDisable, Effects: Factors, Asks: Fresh, Late: true, Sentence: "to remove the authenticator app",
			Doc:    "Switches the authenticator app off (Meteor, whose call asks for nothing); where none is on, forgets a secret that waits.",
			Params: "none", Result: "none", Errors: "error-two-factor-not-enabled; " + refused},
	}
}

func (f totpFactor) meteorHas(ctx context.Context, c *rpc.Call) (any, error) {
	var whose *any
	if err := c.Bind(&whose); err != nil {
		return nil, err
	}
	if whose != nil && *whose != nil {
		return nil, ErrMeteorOwn
	}
	u, err := f.reload(ctx, RequestOf(c))
	if err != nil {
		return nil, err
	}
	return u.TOTPEnabled(), nil
}

// meteorEnrolled is the result of generate2faActivationQrCode.
type meteorEnrolled struct {
	SVG    string `json:"svg"`
	Secret string `json:"secret"`
	URI    string `json:"uri"`
}

func (f totpFactor) meteorEnrol(ctx context.Context, c *rpc.Call) (any, error) {
	var app *string
	if err := c.Bind(&app); err != nil {
		return nil, err
	}
	issuer := ""
	if app != nil {
		issuer = *app
	}
	if utf8.RuneCountInString(issuer) > maxAppName || len(issuer) > maxAppBytes || strings.ContainsFunc(issuer, user.Hidden) {
		return nil, fault.MatchFailed
	}
	r := RequestOf(c)
	u, err := f.reload(ctx, r)
	if err != nil {
		return nil, err
	}
	e, err := f.enrol(ctx, r, u, f.issuerName(issuer))
	switch {
	case errors.Is(err, ErrAlreadyEnabled):
		return nil, ErrMeteorActivated
	case err != nil:
		return nil, err
	}
	picture, err := e.SVG()
	if err != nil {
		return nil, err
	}
	return meteorEnrolled{SVG: picture, Secret: e.Secret, URI: e.URL}, nil
}

func (f totpFactor) meteorConfirm(ctx context.Context, c *rpc.Call) (any, error) {
	r, err := neededCode(c)
	if err != nil {
		return nil, err
	}
	u, err := f.reload(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case u.TOTPEnabled():
		return nil, ErrMeteorActivated
	case u.Services.TOTP == nil || u.Services.TOTP.TempSecret == "":
		return nil, ErrMeteorNoSecret
	}
	codes, err := f.Confirm(ctx, r)
	switch {
	case errors.Is(err, ErrInvalidTOTP):
		return nil, ErrMeteorInvalid
	case err != nil:
		return nil, err
	}
	return shownCodes{codes}, nil
}

// meteorDisable runs after a fresh proof. While the server has no authenticator apps
// that proof was a weaker one, and the app's own code is the key to its switch
// (Disable).
func (f totpFactor) meteorDisable(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	r := RequestOf(c)
	u, err := f.reload(ctx, r)
	if err != nil {
		return nil, err
	}
	t := u.Services.TOTP
	switch {
	case t == nil || !t.Enabled && t.TempSecret == "":
		return nil, nil
	case !t.Enabled:
		if err := f.store.DropPendingTOTP(ctx, u.ID, t.TempSecret); err != nil && !errors.Is(err, dberr.Conflict) {
			return nil, fmt.Errorf("dropping a pending secret: %w", err)
		}
		return nil, nil
	case !f.config.Bool(settings.TwoFactorEnabled) || !f.Enabled(u):
		return nil, ErrTwoFactorOff
	}
	_, err = f.switchOff(ctx, r, u)
	return nil, err
}
