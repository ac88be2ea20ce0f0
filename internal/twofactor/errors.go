package twofactor

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
)

// Refusals of a check. The reasons are Rocket.Chat's, spelling included.
var (
	// ErrRequired asks for a code; its details say which (see Details).
	ErrRequired = fault.New("totp-required", "TOTP Required")
	// ErrInvalid says that the code was not accepted; same details.
	ErrInvalid = fault.New("totp-invalid", "TOTP Invalid")
	// ErrMaxAttempts says that a budget is used up: nothing was compared or mailed.
	ErrMaxAttempts = fault.New("totp-max-attempts", "TOTP Maximun Failed Attempts Reached")
	// ErrNoProof refuses an account that has neither a password nor a factor that
	// is on: there is nothing it could be asked for. The reason tells the way out.
	ErrNoProof = fault.New("error-no-password-or-factor", "This needs your password or a second factor, and your account has neither. "+
		"Ask for a password reset mail and set a password, or ask an administrator to set one")
	// ErrNoneCounts refuses an account that has nothing of what is a proof for the call.
	// The reason, which names the factors, tells the way out (noneCounts).
	ErrNoneCounts = fault.New("error-no-factor-for-call", "Your account has no proof that this call takes")
	// ErrNoUser says that the account to be checked does not exist.
	ErrNoUser = fault.New("totp-user-not-found", "TOTP User not found")
)

// Refusals of the flows.
var (
	// ErrAlreadyEnabled refuses enrolment while an authenticator is on.
	ErrAlreadyEnabled = fault.New("error-2fa-already-enabled", "2FA already enabled")
	// ErrInvalidTOTP answers a wrong code of enrolment and backup calls (sic,
	// the words stand the other way round there).
	ErrInvalidTOTP = fault.New("invalid-totp", "Invalid TOTP")
	// ErrInvalidUser refuses an account that has no user name or does not exist.
	ErrInvalidUser = fault.New("error-invalid-user", "Invalid user")
	// ErrUnverified refuses codes by mail for an account without a verified address.
	ErrUnverified = fault.New("error-invalid-user", "You need to verify your emails before setting up 2FA")
	// ErrParameterRequired refuses a missing or blank emailOrUsername.
	ErrParameterRequired = fault.New("error-parameter-required", "emailOrUsername is required")
	// ErrTwoFactorOff refuses the reset of somebody else's factor while the
	// factor is switched off on the whole server.
	ErrTwoFactorOff = fault.New("error-two-factor-not-enabled", "Two factor authentication is not enabled")
	// ErrOvertaken refuses a reset when the authenticator changed meanwhile.
	ErrOvertaken = fault.New("error-two-factor-changed", "The authenticator app of the account changed at this moment. Look at the account and ask again")
	// ErrMailFailed says that a mail that had to go out first was not accepted;
	// nothing was changed.
	ErrMailFailed = fault.New("error-email-send-failed", "Error trying to send email")
)

// noneCounts is ErrNoneCounts with words that say what the call takes and what the
// account could set up for it.
func noneCounts(p rpc.Proofs, ways []string) error {
	e := *ErrNoneCounts
	e.Reason = "This call does not take " + listed(p.Not)
	if p.None {
		e.Reason = "This call takes no factor that is as strong as the administrator demands: ask for the demand to be taken back"
		return &e
	}
	if len(p.Only) > 0 {
		e.Reason = "This call takes nothing but " + listed(slices.DeleteFunc(slices.Clone(p.Only), func(f string) bool { return !p.Count(f) }))
	}
	e.Reason += ", and your account has nothing that it takes. "
	if len(ways) == 0 {
		e.Reason += "The server offers nothing that you could set up: ask an administrator, or the operator, who can take a demand of the list of " +
			"protected calls back with OVERWRITE_SETTING_" + settings.TwoFactorProtectedCalls
		return &e
	}
	e.Reason += "Set up " + strings.Join(ways, ", or ")
	return &e
}

// listed are factors in the words of people.
func listed(names []string) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = wordsFor(name)
	}
	return strings.Join(words, " or ")
}

// wordsFor says what proves by a factor.
func wordsFor(factor string) string {
	switch factor {
	case Email:
		return "codes by e-mail"
	case TOTP:
		return "an authenticator app"
	case Password:
		return "a password"
	case WebAuthn:
		return "a passkey"
	}
	return factor
}

// queueFull matches the refusal of a mail for which there is no room now.
var queueFull = fault.New("error-mail-queue-full", "")

// unmailed tells whether a code could not be mailed for now, with words that say
// why.
func unmailed(err error) bool { return errors.Is(err, tooMany) || errors.Is(err, queueFull) }

// tooManyMails refuses one more code; what is full is said by of.
func tooManyMails(of string, wait time.Duration) error {
	e := *ratelimit.TooMany(wait)
	e.Reason = "No more codes can be mailed " + of + " for now. Use a code that you have, or ask again in " + inWords(wait) + "."
	return &e
}

// inWords is a time to wait as people say it, never shorter than it is.
func inWords(d time.Duration) string {
	n, unit := int64(d+time.Minute-1)/int64(time.Minute), "minute"
	if d < time.Minute {
		n, unit = max(int64(d+time.Second-1)/int64(time.Second), 1), "second"
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

// tooMany matches the refusals that ratelimit.TooMany makes.
var tooMany = fault.New("too-many-requests", "")
