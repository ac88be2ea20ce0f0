package user

import (
	"strconv"
	"time"
)

// PendingReset is a removal of a factor that an administrator asked for and that waits.
// It stands inside the factor so that it goes with it.
type PendingReset struct {
	// ResetDue is when it takes effect, and ResetBy the administrator's id; zero when none
	// is pending.
	ResetDue time.Time `bson:"resetDue,omitempty"`
	ResetBy  string    `bson:"resetBy,omitempty"`
}

// Resets are the factors, by their field in Services, whose removal can wait.
var Resets = []string{"totp", "webauthn"}

// Reset is what waits for a factor, to be read and changed in place; nil where the account
// has nothing of it that could be removed.
func (u *User) Reset(factor string) *PendingReset {
	switch {
	case factor == "totp" && u.TOTPEnabled():
		return &u.Services.TOTP.PendingReset
	case factor == "webauthn" && len(u.Passkeys()) > 0:
		return &u.Services.WebAuthn.PendingReset
	}
	return nil
}

// ResetDue is when a pending reset of a factor takes effect; zero when none is pending.
// It is asked at every login and check: whether there are passkeys costs more than it.
func (u *User) ResetDue(factor string) time.Time {
	if w := u.Services.WebAuthn; factor == "webauthn" && (w == nil || w.ResetDue.IsZero()) {
		return time.Time{}
	}
	if r := u.Reset(factor); r != nil {
		return r.ResetDue
	}
	return time.Time{}
}

// NextReset is when the first of the account's pending resets takes effect; zero for none.
func (u *User) NextReset() (first time.Time) {
	for _, f := range Resets {
		if due := u.ResetDue(f); !due.IsZero() && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}

// ResetMark tells what a reset of a factor is asked for: another authenticator, or other
// passkeys, have another mark. It is "" where nothing could be removed.
func (u *User) ResetMark(factor string) string {
	switch {
	case u.Reset(factor) == nil:
		return ""
	case factor == "totp":
		return u.Services.TOTP.Secret
	}
	return u.PasskeyHandle() + " " + strconv.FormatInt(u.Services.WebAuthn.ChangedAt.UnixMilli(), 10)
}

// DropFactor is a Change.Factor that takes a factor of Resets away, with everything that
// waits for it.
func DropFactor(factor string, at time.Time) func(*Services) {
	if factor == "webauthn" {
		return DropPasskeys(at)
	}
	return DropTOTP
}
