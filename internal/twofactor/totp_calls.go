package twofactor

import (
	"context"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// codeInstead is what proves the caller of a call with a code in its parameters.
const codeInstead = "a code of the app, or a backup code, in the parameters"

// Calls implements Factor.
func (f totpFactor) Calls() []Call {
	const refused = "totp-required; totp-invalid; totp-max-attempts"
	return append([]Call{
		{Method: "2fa:enable", Do: f.enable, Effects: Factors, Inside: Fresh, Enrols: ByTOTP,
			Sentence: "to set up an authenticator app",
			Doc:      "Makes a secret for an authenticator app. Asks for the factor that is on, else for the password.",
			Params:   `{qr?: "svg" | "png"}?`, Result: "{secret, url, qr?}", Errors: "error-2fa-already-enabled; error-invalid-user; " + refused,
			Route: "POST users.enableTotp", Summary: "Start to enrol an authenticator app",
			Body: drawn{}, Answer: enrolled{}},
		{Method: "2fa:validateTempToken", Do: f.validate, Effects: Factors, Enrols: ByTOTP,
			Instead: "the first code of an app whose secret was handed out for a fresh factor",
			Doc:     "Switches the authenticator app on with its first code. The backup codes are shown only here.",
			Params:  "code", Result: "{codes}", Errors: "invalid-totp; error-invalid-user",
			Route: "POST users.validateTotp", Summary: "Finish enrolling with a first code",
			Body: codeBody{}, Spread: true, Answer: shownCodes{}},
		{Method: "2fa:disable", Do: f.disable, Effects: Factors, Instead: codeInstead, Sentence: "to remove the authenticator app",
			Doc:    "Switches the authenticator app off with a code of it or a backup code; false for a wrong one.",
			Params: "code", Result: "true | false",
			Route: "POST users.disableTotp", Summary: "Remove the authenticator app", Body: codeBody{}, Spread: true, Answer: disabled{},
			Shape: func(result any) (any, error) { return disabled{result == true}, nil }},
		{Method: "2fa:cancel-reset", Do: f.cancelReset, Effects: Factors, Asks: Fresh, Late: true, Sentence: "to keep the second factor",
			Doc:    "Stops the resets of one's own authenticator app and passkeys that an administrator asked for and that are not due yet.",
			Result: "true", Errors: refused,
			Route: "POST users.2fa.cancelReset", Summary: "Stop the pending resets of one's own factors"},
		{Method: "users:resetTOTP", Do: f.resetOf,
			Doc:    "Removes the authenticator app of an account, one's own or, with edit-other-user-totp, another's; its owner is told, and its sessions end.",
			Params: "userId", Result: "{due} when it takes effect later",
			Errors:  "error-not-allowed; error-two-factor-changed; error-email-send-failed; error-two-factor-not-enabled; error-invalid-user; 400 Match failed",
			Route:   "POST users.resetTOTP",
			Effects: Factors | Tokens | Others, Asks: Fresh, Late: true, Sentence: "to remove an authenticator app",
			Summary: "Remove the authenticator app of an account, one's own or another's", Account: true, Answer: scheduled{}},
	}, f.meteorCalls()...)
}

// codeBody is the body of the routes that take a code.
type codeBody struct {
	Code string `json:"code"`
}

// drawn says how 2fa:enable shows the URL beside its text.
type drawn struct {
	QR *string `json:"qr,omitempty" enum:"svg,png" about:"also return a picture of the URL"`
}

// enrolled is the result of 2fa:enable.
type enrolled struct {
	Secret string `json:"secret"`
	URL    string `json:"url"`
	QR     string `json:"qr,omitempty"`
}

// disabled is what the route of 2fa:disable answers.
type disabled struct {
	Disabled bool `json:"disabled"`
}

// scheduled is what users.resetTOTP and users.resetWebAuthn answer.
type scheduled struct {
	Due string `json:"due,omitempty" format:"date-time" about:"when a reset that waits takes effect; absent when it is done"`
}

func (f totpFactor) enable(ctx context.Context, c *rpc.Call) (any, error) {
	var options *drawn
	if err := c.Bind(&options); err != nil {
		return nil, err
	}
	draw := func(Enrolment) (string, error) { return "", nil }
	if options != nil && options.QR != nil {
		switch *options.QR {
		case "svg":
			draw = Enrolment.SVG
		case "png":
			draw = Enrolment.PNG
		default:
			return nil, fault.MatchFailed
		}
	}
	e, err := f.Enrol(ctx, RequestOf(c))
	if err != nil {
		return nil, err
	}
	picture, err := draw(e)
	if err != nil {
		return nil, err
	}
	return enrolled{Secret: e.Secret, URL: e.URL, QR: picture}, nil
}

func (f totpFactor) validate(ctx context.Context, c *rpc.Call) (any, error) {
	r, err := neededCode(c)
	if err != nil {
		return nil, err
	}
	codes, err := f.Confirm(ctx, r)
	if err != nil {
		return nil, err
	}
	return shownCodes{codes}, nil
}

func (f totpFactor) disable(ctx context.Context, c *rpc.Call) (any, error) {
	r, given, err := codeRequest(c)
	switch {
	case err != nil:
		return nil, err
	case !given:
		return false, nil
	}
	return f.Disable(ctx, r)
}

func (f totpFactor) cancelReset(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return done(f.CancelReset(ctx, RequestOf(c)))
}

// resetOf removes the authenticator of the account whose id is the parameter.
func (f totpFactor) resetOf(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := whoseFactor(c)
	if err != nil {
		return nil, err
	}
	return later(f.Reset(ctx, RequestOf(c), id))
}

// later says when a reset takes effect that waits, and nothing of one that is done.
func later(due time.Time, err error) (any, error) {
	if err != nil || due.IsZero() {
		return nil, err
	}
	return scheduled{Due: due.UTC().Format("2006-01-02T15:04:05.000Z")}, nil
}
