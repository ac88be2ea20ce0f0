// Package rule is the meaning of the stores' check-and-act operations on one
// document, as plain functions: they look at a value, change it or refuse with
// an error of package dberr. SQLite runs them inside its write transaction; the
// MongoDB store runs those on guards in a compare-and-set loop and uses those
// on users to tell a condition that does not hold from a lost race.
//
// It performs no I/O, reads no clock and knows no database.
package rule

import (
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// totp is the factor that is in force with this stored secret, or nil.
func totp(u *user.User, secret string) *user.TOTP {
	if t := u.Services.TOTP; t != nil && t.Enabled && t.Secret == secret && secret != "" {
		return t
	}
	return nil
}

// pending is the authenticator whose secret waits for its first code, or nil.
func pending(u *user.User, sealed string) *user.TOTP {
	if t := u.Services.TOTP; t != nil && !t.Enabled && t.TempSecret == sealed && sealed != "" {
		return t
	}
	return nil
}

// SetPendingTOTP stores a secret that waits for its first code and binds it to
// what was proved; the factor must be off, and nothing have changed since.
func SetPendingTOTP(u *user.User, sealed, token, state string, at time.Time) error {
	if u.TOTPEnabled() || state == "" || u.ProofState(token) != state {
		return dberr.Conflict
	}
	if u.Services.TOTP == nil {
		u.Services.TOTP = &user.TOTP{}
	}
	t := u.Services.TOTP
	t.TempSecret, t.TempAt, t.TempTries, t.TempBound = sealed, at, 0, state
	return nil
}

// CountPendingTOTP counts one answer to the pending secret.
func CountPendingTOTP(u *user.User, sealed string, notBefore time.Time, max int) error {
	t := pending(u, sealed)
	if t == nil || !t.TempAt.After(notBefore) || t.TempTries >= max {
		return dberr.Conflict
	}
	t.TempTries++
	return nil
}

// DropPendingTOTP forgets the pending secret if it is still that one. The
// factor that is in force, if any, stays.
func DropPendingTOTP(u *user.User, sealed string) {
	if t := u.Services.TOTP; t != nil && sealed != "" && t.TempSecret == sealed {
		t.TempSecret, t.TempAt, t.TempTries, t.TempBound = "", time.Time{}, 0, ""
	}
}

// EnableTOTP makes t the factor in force in place of the pending secret, ends
// every session but keep, under which alone the pending secret is good, and
// forgets trust.
func EnableTOTP(u *user.User, sealed string, t user.TOTP, keep string, at time.Time) error {
	waits := pending(u, sealed)
	if waits == nil || waits.TempBound == "" || waits.TempBound != u.ProofState(keep) {
		return dberr.Conflict
	}
	t.Enabled = true
	u.Services.TOTP = &t
	return closeSessions(u, keep, at)
}

// DisableTOTP removes the factor, ends every session but keep and forgets trust.
func DisableTOTP(u *user.User, secret, keep string, at time.Time) error {
	if totp(u, secret) == nil {
		return dberr.Conflict
	}
	u.Services.TOTP = nil
	return closeSessions(u, keep, at)
}

// closeSessions is what every change of factors does to the account's tokens.
func closeSessions(u *user.User, keep string, at time.Time) error {
	c := user.Change{RemoveSessions: true, KeepToken: keep, ClearTrust: true, At: at}
	if !c.Apply(u) {
		return dberr.Conflict
	}
	return nil
}

// UseTOTPStep spends a time step; only newer steps than the last one count.
func UseTOTPStep(u *user.User, secret string, step int64) error {
	t := totp(u, secret)
	if t == nil || t.LastStep >= step {
		return dberr.Conflict
	}
	t.LastStep = step
	forgetReset(t)
	return nil
}

// forgetReset is what every accepted answer with the app or a backup code does:
// whoever can still give one did not lose them.
func forgetReset(t *user.TOTP) { t.ResetDue, t.ResetBy = time.Time{}, "" }

// ScheduleTOTPReset notes a reset that takes effect later, once.
func ScheduleTOTPReset(u *user.User, secret, by string, due time.Time) error {
	t := totp(u, secret)
	if t == nil || due.IsZero() || !t.ResetDue.IsZero() {
		return dberr.Conflict
	}
	t.ResetDue, t.ResetBy = due, by
	return nil
}

// CancelTOTPReset forgets a pending reset that is not due yet.
func CancelTOTPReset(u *user.User, now time.Time) error {
	if due := u.TOTPResetDue(); due.IsZero() || !due.After(now) {
		return dberr.Conflict
	}
	forgetReset(u.Services.TOTP)
	return nil
}

// ApplyTOTPReset removes a factor whose reset is due, and every token.
func ApplyTOTPReset(u *user.User, now time.Time) error {
	if due := u.TOTPResetDue(); due.IsZero() || due.After(now) {
		return dberr.Conflict
	}
	c := user.Change{ClearTOTP: true, RemoveTokens: true, ClearTrust: true, At: now}
	if !c.Apply(u) {
		return dberr.Conflict
	}
	return nil
}

// ResealTOTP replaces the stored text of the secret.
func ResealTOTP(u *user.User, old, sealed string) error {
	t := totp(u, old)
	if t == nil {
		return dberr.Conflict
	}
	t.Secret = sealed
	return nil
}

// ResealPendingTOTP replaces the sealed text of a secret that waits for its first code.
func ResealPendingTOTP(u *user.User, old, sealed string) error {
	t := u.Services.TOTP
	if t == nil || t.Enabled || old == "" || t.TempSecret != old {
		return dberr.Conflict
	}
	t.TempSecret = sealed
	return nil
}

// UseBackupCode removes one stored backup code.
func UseBackupCode(u *user.User, stored string) error {
	t := u.Services.TOTP
	if t == nil || !t.Enabled || !slices.Contains(t.HashedBackup, stored) {
		return dberr.Conflict
	}
	t.HashedBackup = slices.DeleteFunc(t.HashedBackup, func(s string) bool { return s == stored })
	forgetReset(t)
	return nil
}

// ReplaceBackupCodes replaces the whole set of backup codes.
func ReplaceBackupCodes(u *user.User, secret, salt string, stored []string) error {
	t := totp(u, secret)
	if t == nil {
		return dberr.Conflict
	}
	t.HashedBackup, t.BackupSalt = slices.Clone(stored), salt
	return nil
}

// SetTrust remembers trust on a login token.
func SetTrust(u *user.User, token, fingerprint string, until time.Time) error {
	t := u.LoginToken(token)
	if t == nil {
		return dberr.Conflict
	}
	t.TrustHash, t.TrustUntil = fingerprint, until
	return nil
}

// UseToken notes that a login token was used.
func UseToken(u *user.User, token string, at time.Time) error {
	t := u.LoginToken(token)
	if t == nil {
		return dberr.Conflict
	}
	t.LastUsedAt = at
	return nil
}

// ClearTrust forgets remembered trust on every token.
func ClearTrust(u *user.User) {
	if u.Services.Resume == nil {
		return
	}
	for i := range u.Services.Resume.LoginTokens {
		t := &u.Services.Resume.LoginTokens[i]
		t.TrustHash, t.TrustUntil = "", time.Time{}
	}
}

// Sweep removes sessions, reset and enrol tokens started before these times and
// tells whether a session died and whether anything changed. Tokens without a
// start never age.
func Sweep(u *user.User, sessions, resets, enrols time.Time) (died, changed bool) {
	old := func(when, limit time.Time) bool { return !when.IsZero() && when.Before(document.Milli(limit)) }
	if r := u.Services.Resume; r != nil {
		n := len(r.LoginTokens)
		r.LoginTokens = slices.DeleteFunc(r.LoginTokens, func(t user.LoginToken) bool {
			return !t.IsPAT() && old(t.When, sessions)
		})
		died = len(r.LoginTokens) != n
	}
	changed = died
	if p := u.Services.Password; p != nil {
		if p.Reset != nil && old(p.Reset.When, resets) {
			p.Reset, changed = nil, true
		}
		n := len(p.Earlier)
		p.Earlier = slices.DeleteFunc(p.Earlier, func(r user.ResetToken) bool { return old(r.When, resets) })
		changed = changed || len(p.Earlier) != n
		if p.Enroll != nil && old(p.Enroll.When, enrols) {
			p.Enroll, changed = nil, true
		}
	}
	return died, changed
}

// SealedTOTP is the stored text of the secret in force, or of one that waits for
// its first code; "" where there is none.
func SealedTOTP(u *user.User, pending bool) string {
	t := u.Services.TOTP
	switch {
	case t == nil || t.Enabled == pending:
		return ""
	case pending:
		return t.TempSecret
	}
	return t.Secret
}
