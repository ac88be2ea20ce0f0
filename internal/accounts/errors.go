package accounts

import "ddpserver/internal/fault"

// ambiguous is Meteor's answer that does not tell what was wrong.
const ambiguous = "Something went wrong. Please check your credentials."

// Every refusal of this package. Codes and texts are Meteor's and Rocket.Chat's.
var (
	// ErrCredentials answers every wrong login alike: unknown user, wrong
	// password, no password, deactivated account.
	ErrCredentials = fault.Num(403, ambiguous)
	// ErrLoggedOut answers an unknown resume token.
	ErrLoggedOut = fault.Num(403, "You've been logged out by the server. Please log in again.")
	// ErrSessionExpired answers an expired resume token.
	ErrSessionExpired = fault.Num(403, "Your session has expired. Please log in again.")
	// ErrNotLoggedIn answers Meteor's token methods without a login; it has no reason.
	ErrNotLoggedIn = fault.New("You are not logged in.", "")
	// ErrInvalidToken answers a token that cannot be exchanged.
	ErrInvalidToken = fault.New("Invalid login token", "")
	// ErrNotActivated answers a right password of an account that waits or was
	// deactivated, when specific texts are switched on.
	ErrNotActivated = fault.New("error-user-is-not-activated", "User is not activated")
	// ErrBlockedAddress and ErrBlockedUser answer after too many wrong passwords.
	ErrBlockedAddress = fault.New("error-login-blocked-for-ip", "Login has been temporarily blocked For IP")
	ErrBlockedUser    = fault.New("error-login-blocked-for-user", "Login has been temporarily blocked For User")
	// ErrStoppedUser answers from addresses that the account was never used from,
	// after too many wrong passwords in a row, until it has another password.
	ErrStoppedUser = fault.New("error-login-blocked-for-user",
		"This password is stopped after too many wrong ones in a row: set a new one with the link of “forgot password”, or ask an administrator to")

	// ErrNeedNameOrEmail answers createUser without either.
	ErrNeedNameOrEmail = fault.Num(400, "Need to set a username or email")
	// ErrNeedEmail answers a registration without an address where accounts must
	// prove one before they can be used.
	ErrNeedEmail = fault.New("error-invalid-email", "An email address is required")
	// ErrUnverified answers whoever may not be logged in before an address is proved.
	ErrUnverified = fault.New("error-invalid-email", "You need to verify your email address first")
	// ErrPasswordChange answers whoever must choose a new password before anything else.
	ErrPasswordChange = fault.New("error-password-change-required", "You need a new password first. Ask for a link with \"forgot password\"")
	// ErrSignupsForbidden answers createUser when registration is closed.
	ErrSignupsForbidden = fault.Num(403, "Signups forbidden")
	// ErrRegistrationSecret answers a registration without the secret address that
	// the server asks for.
	ErrRegistrationSecret = fault.New("error-user-registration-secret", "User registration is only allowed via Secret URL")
	// ErrRegistrationDisabled answers registerUser when registration is closed.
	ErrRegistrationDisabled = fault.New("error-user-registration-disabled", "User registration is disabled")
	// ErrDomain answers an address of a domain that may not register.
	ErrDomain = fault.New("error-email-domain-not-accepted", "The email domain is not accepted")
	// ErrUsernameExists and ErrEmailExists name what is taken, when specific
	// texts are switched on or the asker is an administrator.
	ErrUsernameExists = fault.Num(403, "Username already exists.")
	ErrEmailExists    = fault.Num(403, "Email already exists.")
	// ErrMadeBefore: the account that must be made only once was made.
	ErrMadeBefore = fault.New("error-account-exists", "This account was made already")

	// ErrUsername, ErrEmail and ErrName answer values that break the rules.
	ErrUsername = fault.New("username-invalid", "The username is not valid: use up to 64 letters, digits, dots, hyphens and underscores")
	ErrReserved = fault.New("error-blocked-username", "This username is blocked and cannot be used")
	ErrEmail    = fault.New("error-invalid-email", "Invalid email")
	ErrName     = fault.New("error-invalid-name", "Invalid name: use up to 128 printable characters")
	// ErrUnavailable answers a name or address that somebody has, in one's own profile.
	ErrUnavailable = fault.New("error-field-unavailable", "This value is already in use")
	// ErrPolicy answers a password that is too weak.
	ErrPolicy = fault.New("error-password-policy-not-met", "The password does not meet the server's policy")
	// ErrCommonPassword answers one that attackers try first, where such are refused.
	ErrCommonPassword = fault.New("error-password-policy-not-met",
		"This password is among the most common ones, which attackers try first: choose another, for example four words that have nothing to do with each other")
	// ErrSamePassword answers a new password that is the old one.
	ErrSamePassword = fault.New("error-password-same-as-current", "Entered password same as current password")
	// ErrStatus answers an unknown presence.
	ErrStatus = fault.New("error-invalid-status", "Invalid status")
	// ErrTooLong answers a text over its limit.
	ErrTooLong = fault.New("error-invalid-params", "A value is too long or holds forbidden characters")

	// ErrMustLogin answers changePassword without a login.
	ErrMustLogin = fault.Num(401, "Must be logged in")
	// ErrTokenExpired answers an unknown, used or old reset link.
	ErrTokenExpired = fault.Num(403, "Token expired")
	// ErrTokenAddress answers a link for an address that the account no longer has.
	ErrTokenAddress = fault.Num(403, "Token has invalid email address")
	// ErrVerifyExpired and ErrVerifyAddress answer verification links likewise.
	ErrVerifyExpired = fault.Num(403, "Verify email link expired")
	ErrVerifyAddress = fault.Num(403, "Verify email link is for unknown address")
	// ErrResetDisabled answers forgotPassword when it is switched off.
	ErrResetDisabled = fault.New("error-password-reset-disabled", "Password reset is disabled")

	// ErrTokenExists, ErrNoToken, ErrTokenName, ErrTokenLimits and
	// ErrTooManyTokens are about
	// personal access tokens.
	ErrTokenExists = fault.New("error-token-already-exists", "A token with this name already exists")
	ErrNoToken     = fault.New("error-token-does-not-exists", "Token does not exist")
	ErrTokenName   = fault.New("error-invalid-token-name", "Invalid token name: use 1 to 100 printable characters")
	ErrTokenLimits = fault.New("error-invalid-params",
		"Invalid limits of a token: expiresInDays is 1 to 3650, allowedAddresses up to 20 addresses or networks such as 192.0.2.0/24")
	ErrTooManyTokens = fault.New("error-too-many-tokens", "This account has too many personal access tokens")

	// ErrInvalidUser answers a call about an account that does not exist.
	ErrInvalidUser = fault.New("error-invalid-user", "Invalid user")
	// ErrLastAdmin keeps the last administrator.
	ErrLastAdmin = fault.New("error-action-not-allowed", "Leaving the app without an active admin is not allowed")
	// ErrProveInSession answers a verification link that would be the first proof of
	// an account with an authenticator app, opened outside the account's sessions.
	ErrProveInSession = fault.New("error-login-required",
		"Log in before you open the link of this mail, or set a new password with “forgot password”: an authenticator app is on")
	// ErrNoAdmin answers a start without an active administrator whose name or address
	// for one belongs to an account that is none.
	ErrNoAdmin = fault.New("error-no-administrator", "The name or the address belongs to an account that is no active administrator")
	// ErrAdminOnly keeps the role "admin" and its holders to administrators.
	ErrAdminOnly = fault.New("error-action-not-allowed", "Only an administrator may change administrators")
	// ErrRole answers an unknown role.
	ErrRole = fault.New("error-invalid-role", "Invalid role")
	// ErrInvalidPassword and ErrInvalidUsername answer deleteUserOwnAccount.
	ErrInvalidPassword = fault.New("error-invalid-password", "Invalid password")
	ErrInvalidUsername = fault.New("error-invalid-username", "Invalid username")
	// ErrNotAllowed answers a change that settings forbid.
	ErrNotAllowed = fault.New("error-not-allowed", "Not allowed")
)
