package twofactor

import (
	"context"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// Calls implements Factor.
func (b backupCodes) Calls() []Call {
	return []Call{
		{Method: "2fa:regenerateCodes", Do: b.regenerate, Effects: Factors, Instead: codeInstead,
			Doc:    "Replaces the backup codes, with a code of the app or a backup code; no result for a wrong one.",
			Params: "code", Result: "{codes} | none", Errors: "invalid-totp; error-invalid-user",
			Route: "POST users.regenerateTotpCodes", Summary: "Replace the backup codes",
			Body: codeBody{}, Spread: true, Answer: shownCodes{}, Shape: orInvalid},
		{Method: "2fa:checkCodesRemaining", Do: b.remaining, Effects: Reads,
			Doc: "Counts the backup codes that are left.", Result: "{remaining}", Errors: "invalid-totp; error-invalid-user",
			Route: "GET users.totpCodesRemaining", Summary: "How many backup codes are left", Answer: remaining{}},
	}
}

// shownCodes is the result of the calls that make backup codes.
type shownCodes struct {
	Codes []string `json:"codes" about:"shown once"`
}

// remaining is the result of 2fa:checkCodesRemaining.
type remaining struct {
	Remaining int `json:"remaining"`
}

func (b backupCodes) regenerate(ctx context.Context, c *rpc.Call) (any, error) {
	r, err := neededCode(c)
	if err != nil {
		return nil, err
	}
	codes, err := b.Regenerate(ctx, r)
	if err != nil || codes == nil {
		return nil, err
	}
	return shownCodes{codes}, nil
}

// orInvalid turns the method's silence about a wrong code into a refusal: an HTTP
// answer without the promised member would tell a client nothing.
func orInvalid(result any) (any, error) {
	if result == nil {
		return nil, fault.New(ErrInvalidTOTP.Code, "Invalid two-factor code")
	}
	return result, nil
}

func (b backupCodes) remaining(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	n, err := b.Remaining(ctx, RequestOf(c))
	if err != nil {
		return nil, err
	}
	return remaining{n}, nil
}

// CodesReplaced: a new set of backup codes is in force.
var CodesReplaced = Change{Name: "backup-codes-replaced", Factor: TOTP, Act: "backup_codes_replaced",
	Subject: "Your backup codes were replaced",
	Text:    "New backup codes were made for your account; the old ones are void."}
