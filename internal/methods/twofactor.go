package methods

import (
	"context"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// twoFactorMethods serves the calls that switch second factors on and off, hand
// out backup codes, and mail a code (docs/wire/rocketchat.md 2.2 and 2.3). Those
// that must ask for a factor only sometimes do it in the service, which knows
// when: their policy here is None.
type twoFactorMethods struct{ factors *twofactor.Service }

func (g *twoFactorMethods) Specs() []Spec {
	return []Spec{
		{Name: "2fa:enable", Do: g.enable, Effects: Factors, Enrolment: true, Inside: twofactor.Fresh,
			Doc:    "Makes a secret for an authenticator app. Asks for the factor that is on, else for the password.",
			Params: `{qr?: "svg" | "png"}?`, Result: "{secret, url, qr?}",
			Errors: "error-2fa-already-enabled; error-invalid-user; totp-required; totp-invalid; totp-max-attempts"},
		{Name: "2fa:validateTempToken", Do: g.validate, Effects: Factors, Instead: "the first code of an app whose secret was handed out for a fresh factor", Enrolment: true,
			Doc:    "Switches the authenticator app on with its first code. The backup codes are shown only here.",
			Params: "code", Result: "{codes}", Errors: "invalid-totp; error-invalid-user"},
		{Name: "2fa:disable", Do: g.disable, Effects: Factors, Instead: "a code of the app, or a backup code, in the parameters", Enrolment: true,
			Doc:    "Switches the authenticator app off with a code of it or a backup code; false for a wrong one.",
			Params: "code", Result: "true | false", Errors: ""},
		{Name: "2fa:regenerateCodes", Do: g.regenerate, Effects: Factors, Instead: "a code of the app, or a backup code, in the parameters", Enrolment: true,
			Doc:    "Replaces the backup codes, with a code of the app or a backup code; no result for a wrong one.",
			Params: "code", Result: "{codes} | none", Errors: "invalid-totp; error-invalid-user"},
		{Name: "2fa:checkCodesRemaining", Do: g.remaining, Effects: Reads, Enrolment: true,
			Doc:    "Counts the backup codes that are left.",
			Params: "", Result: "{remaining}", Errors: "invalid-totp; error-invalid-user"},
		{Name: "2fa:enable-email", Do: g.enableEmail, Effects: Factors, Enrolment: true, Inside: twofactor.Fresh,
			Doc:    "Switches codes by mail on. Asks for the authenticator app if that is on.",
			Params: "", Result: "true", Errors: "error-invalid-user; totp-required; totp-invalid; totp-max-attempts"},
		{Name: "2fa:disable-email", Do: g.disableEmail, Effects: Factors, Enrolment: true, Factor: twofactor.Fresh,
			Doc:    "Switches codes by mail off.",
			Params: "", Result: "true", Errors: "totp-required; totp-invalid; totp-max-attempts"},
		{Name: "2fa:cancel-reset", Do: g.cancelReset, Effects: Factors, Factor: twofactor.Fresh,
			Doc:    "Stops a reset of one's own authenticator app that an administrator asked for and that is not due yet.",
			Params: "", Result: "true", Errors: "totp-required; totp-invalid; totp-max-attempts"},
		{Name: "sendEmailCode", Do: g.sendCode, Effects: Factors, Instead: mailed, Anonymous: true, Enrolment: true,
			Doc:    "Mails one more code to an account that has the factor.",
			Params: "emailOrUsername", Result: "[address]",
			Errors: "error-parameter-required; error-invalid-user; totp-max-attempts; too-many-requests"},
	}
}

// enrolment is the result of 2fa:enable.
type enrolment struct {
	Secret string `json:"secret"`
	URL    string `json:"url"`
	QR     string `json:"qr,omitempty"`
}

// backupCodes is the result of the calls that make them.
type backupCodes struct {
	Codes []string `json:"codes"`
}

func (g *twoFactorMethods) enable(ctx context.Context, c *rpc.Call) (any, error) {
	var options *struct {
		QR *string `ejson:"qr,optional"`
	}
	if err := c.Bind(&options); err != nil {
		return nil, err
	}
	draw := func(twofactor.Enrolment) (string, error) { return "", nil }
	if options != nil && options.QR != nil {
		switch *options.QR {
		case "svg":
			draw = twofactor.Enrolment.SVG
		case "png":
			draw = twofactor.Enrolment.PNG
		default:
			return nil, fault.MatchFailed
		}
	}
	e, err := g.factors.Enrol(ctx, twofactor.RequestOf(c))
	if err != nil {
		return nil, err
	}
	picture, err := draw(e)
	if err != nil {
		return nil, err
	}
	return enrolment{Secret: e.Secret, URL: e.URL, QR: picture}, nil
}

func (g *twoFactorMethods) validate(ctx context.Context, c *rpc.Call) (any, error) {
	r, given, err := codeRequest(c)
	switch {
	case err != nil:
		return nil, err
	case !given:
		return nil, fault.MatchFailed
	}
	codes, err := g.factors.Confirm(ctx, r)
	if err != nil {
		return nil, err
	}
	return backupCodes{codes}, nil
}

func (g *twoFactorMethods) disable(ctx context.Context, c *rpc.Call) (any, error) {
	r, given, err := codeRequest(c)
	switch {
	case err != nil:
		return nil, err
	case !given:
		return false, nil
	}
	return g.factors.Disable(ctx, r)
}

func (g *twoFactorMethods) regenerate(ctx context.Context, c *rpc.Call) (any, error) {
	r, given, err := codeRequest(c)
	switch {
	case err != nil:
		return nil, err
	case !given:
		return nil, fault.MatchFailed
	}
	codes, err := g.factors.Regenerate(ctx, r)
	if err != nil || codes == nil {
		return nil, err
	}
	return backupCodes{codes}, nil
}

func (g *twoFactorMethods) remaining(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	n, err := g.factors.Remaining(ctx, twofactor.RequestOf(c))
	if err != nil {
		return nil, err
	}
	return struct {
		Remaining int `json:"remaining"`
	}{n}, nil
}

func (g *twoFactorMethods) enableEmail(ctx context.Context, c *rpc.Call) (any, error) {
	return g.setEmail(ctx, c, true)
}

func (g *twoFactorMethods) disableEmail(ctx context.Context, c *rpc.Call) (any, error) {
	return g.setEmail(ctx, c, false)
}

func (g *twoFactorMethods) cancelReset(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	if err := g.factors.CancelReset(ctx, twofactor.RequestOf(c)); err != nil {
		return nil, err
	}
	return true, nil
}

func (g *twoFactorMethods) setEmail(ctx context.Context, c *rpc.Call, on bool) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	if err := g.factors.SetEmail(ctx, twofactor.RequestOf(c), on); err != nil {
		return nil, err
	}
	return true, nil
}

func (g *twoFactorMethods) sendCode(ctx context.Context, c *rpc.Call) (any, error) {
	var who *string
	if err := c.Bind(&who); err != nil {
		return nil, err
	}
	if who == nil {
		return nil, twofactor.ErrParameterRequired
	}
	return g.factors.SendCode(ctx, twofactor.RequestOf(c), *who)
}

// codeRequest is a request whose proof stands in the parameters (codeParameter).
func codeRequest(c *rpc.Call) (r twofactor.Request, given bool, err error) {
	r = twofactor.RequestOf(c)
	r.Passed = nil
	r.Proof, given, err = codeParameter(c)
	return r, given, err
}
