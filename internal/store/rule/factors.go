package rule

import (
	"context"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// totp is the authenticator that is in force with this stored secret, or nil.
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

// inForce runs a rule on the authenticator that is in force with this stored secret.
func (o Operations) inForce(ctx context.Context, userID, secret string, do func(*user.TOTP) error) error {
	return o.user(ctx, userID, func(u *user.User) error {
		t := totp(u, secret)
		if t == nil {
			return dberr.Conflict
		}
		return do(t)
	})
}

// SetPendingTOTP implements twofactor.Store.
func (o Operations) SetPendingTOTP(ctx context.Context, userID, sealed, token, state string, at time.Time) error {
	return o.user(ctx, userID, func(u *user.User) error {
		if u.TOTPEnabled() || state == "" || u.ProofState(token) != state {
			return dberr.Conflict
		}
		if u.Services.TOTP == nil {
			u.Services.TOTP = &user.TOTP{}
		}
		t := u.Services.TOTP
		t.TempSecret, t.TempAt, t.TempTries, t.TempBound = sealed, at, 0, state
		return nil
	})
}

// CountPendingTOTP implements twofactor.Store.
func (o Operations) CountPendingTOTP(ctx context.Context, userID, sealed string, notBefore time.Time, max int) error {
	return o.user(ctx, userID, func(u *user.User) error {
		t := pending(u, sealed)
		if t == nil || !t.TempAt.After(notBefore) || t.TempTries >= max {
			return dberr.Conflict
		}
		t.TempTries++
		return nil
	})
}

// DropPendingTOTP implements twofactor.Store. The factor that is in force, if any, stays.
func (o Operations) DropPendingTOTP(ctx context.Context, userID, sealed string) error {
	return o.user(ctx, userID, func(u *user.User) error {
		if t := u.Services.TOTP; t != nil && sealed != "" && t.TempSecret == sealed {
			t.TempSecret, t.TempAt, t.TempTries, t.TempBound = "", time.Time{}, 0, ""
		}
		return nil
	})
}

// EnableTOTP implements twofactor.Store.
func (o Operations) EnableTOTP(ctx context.Context, userID, sealed string, t user.TOTP, keep string, at time.Time) (*user.User, error) {
	t.Enabled = true
	return o.engine.ChangeUser(ctx, userID, func(u *user.User) error {
		waits := pending(u, sealed)
		if waits == nil || waits.TempBound == "" || waits.TempBound != u.ProofState(keep) {
			return dberr.Conflict
		}
		enabled := t
		u.Services.TOTP = &enabled
		return closeSessions(u, keep, at)
	})
}

// DisableTOTP implements twofactor.Store.
func (o Operations) DisableTOTP(ctx context.Context, userID, secret, keep string, at time.Time) (*user.User, error) {
	return o.engine.ChangeUser(ctx, userID, func(u *user.User) error {
		if totp(u, secret) == nil {
			return dberr.Conflict
		}
		u.Services.TOTP = nil
		return closeSessions(u, keep, at)
	})
}

// closeSessions is what every change of factors does to the account's tokens.
func closeSessions(u *user.User, keep string, at time.Time) error {
	return apply(u, user.Change{RemoveSessions: true, KeepToken: keep, ClearTrust: true, At: at})
}

// UseTOTPStep implements twofactor.Store.
func (o Operations) UseTOTPStep(ctx context.Context, userID, secret string, step int64) error {
	return o.inForce(ctx, userID, secret, func(t *user.TOTP) error {
		if t.LastStep >= step {
			return dberr.Conflict
		}
		t.LastStep = step
		t.PendingReset = user.PendingReset{} // whoever can still give an answer did not lose the factor
		return nil
	})
}

// ScheduleReset implements twofactor.Store.
func (o Operations) ScheduleReset(ctx context.Context, userID, factor, mark, by string, due time.Time) error {
	return o.user(ctx, userID, func(u *user.User) error {
		r := u.Reset(factor)
		if r == nil || u.ResetMark(factor) != mark || due.IsZero() || !r.ResetDue.IsZero() {
			return dberr.Conflict
		}
		r.ResetDue, r.ResetBy = document.Milli(due), by
		return nil
	})
}

// CancelReset implements twofactor.Store.
func (o Operations) CancelReset(ctx context.Context, userID, factor string, now time.Time) error {
	return o.user(ctx, userID, func(u *user.User) error {
		if due := u.ResetDue(factor); due.IsZero() || !due.After(now) {
			return dberr.Conflict
		}
		*u.Reset(factor) = user.PendingReset{}
		return nil
	})
}

// ApplyReset implements twofactor.Store.
func (o Operations) ApplyReset(ctx context.Context, userID, factor string, now time.Time) (*user.User, error) {
	return o.engine.ChangeUser(ctx, userID, func(u *user.User) error {
		if due := u.ResetDue(factor); due.IsZero() || due.After(now) {
			return dberr.Conflict
		}
		return apply(u, user.Change{Factor: user.DropFactor(factor, now), RemoveTokens: true, ClearTrust: true, At: now})
	})
}

// ResealTOTP implements twofactor.Store.
func (o Operations) ResealTOTP(ctx context.Context, userID, old, sealed string) error {
	return o.inForce(ctx, userID, old, func(t *user.TOTP) error {
		t.Secret = sealed
		return nil
	})
}

// UseBackupCode implements twofactor.Store.
func (o Operations) UseBackupCode(ctx context.Context, userID, stored string) error {
	return o.user(ctx, userID, func(u *user.User) error {
		t := u.Services.TOTP
		if t == nil || !t.Enabled || !slices.Contains(t.HashedBackup, stored) {
			return dberr.Conflict
		}
		t.HashedBackup = slices.DeleteFunc(t.HashedBackup, func(s string) bool { return s == stored })
		t.PendingReset = user.PendingReset{}
		return nil
	})
}

// ReplaceBackupCodes implements twofactor.Store.
func (o Operations) ReplaceBackupCodes(ctx context.Context, userID, secret, salt string, stored []string) error {
	return o.inForce(ctx, userID, secret, func(t *user.TOTP) error {
		t.HashedBackup, t.BackupSalt = slices.Clone(stored), salt
		return nil
	})
}

// UsePasskey implements twofactor.Store.
func (o Operations) UsePasskey(ctx context.Context, userID string, use user.PasskeyUse) error {
	use.At, use.Until = document.Milli(use.At), document.Milli(use.Until)
	return o.user(ctx, userID, func(u *user.User) error {
		if use.Password != "" && use.Password != u.PasswordHash() {
			return dberr.Conflict
		}
		switch u.Services.WebAuthn.Use(use) {
		case user.PasskeyUsed:
			return nil
		case user.PasskeyCloned:
			return dberr.Duplicate
		default:
			return dberr.Conflict
		}
	})
}

// SetTrust implements twofactor.Store.
func (o Operations) SetTrust(ctx context.Context, userID, token, fingerprint, factor string, until time.Time) error {
	return o.token(ctx, userID, token, func(t *user.LoginToken) { t.TrustHash, t.TrustFactor, t.TrustUntil = fingerprint, factor, until })
}

// ClearTrust implements twofactor.Store.
func (o Operations) ClearTrust(ctx context.Context, userID string) error {
	return o.user(ctx, userID, func(u *user.User) error {
		if u.Services.Resume == nil {
			return nil
		}
		for i := range u.Services.Resume.LoginTokens {
			t := &u.Services.Resume.LoginTokens[i]
			t.TrustHash, t.TrustFactor, t.TrustUntil = "", "", time.Time{}
		}
		return nil
	})
}
