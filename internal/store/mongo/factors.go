package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// Paths of the authenticator app factor.
const (
	pathTOTP       = "services.totp"
	pathEnabled    = pathTOTP + ".enabled"
	pathSecret     = pathTOTP + ".secret"
	pathTempSecret = pathTOTP + ".tempSecret"
	pathTempAt     = pathTOTP + ".tempAt"
	pathTempTries  = pathTOTP + ".tempTries"
	pathTempBound  = pathTOTP + ".tempBound"
	pathLastStep   = pathTOTP + ".lastStep"
	pathBackup     = pathTOTP + ".hashedBackup"
	pathSalt       = pathTOTP + ".backupSalt"
	pathResetDue   = pathTOTP + ".resetDue"
	pathResetBy    = pathTOTP + ".resetBy"
)

// provedBy are the fields that user.ProofState is made of, beside the login tokens
// and the authenticator.
var provedBy = []string{"services.password.bcrypt", "services.email2fa", "emails"}

// factor runs a plan on a user; try is the same operation of package rule.
func (s *Store) factor(ctx context.Context, id string, p plan, try func(*user.User) error) error {
	_, err := s.changed(ctx, id, p, try)
	return err
}

// changed is factor for those who need the new document.
func (s *Store) changed(ctx context.Context, id string, p plan, try func(*user.User) error) (*user.User, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	return s.run(ctx, id, p, try)
}

// inForce is the condition that this stored secret is the factor's.
func inForce(secret string) plan {
	var p plan
	p.cond(pathEnabled, true)
	p.cond(pathSecret, secret)
	return p
}

// waiting is the condition that this secret waits for its first code.
func waiting(sealed string) plan {
	var p plan
	p.cond(pathEnabled, bson.D{{Key: "$ne", Value: true}})
	p.cond(pathTempSecret, sealed)
	return p
}

// SetPendingTOTP implements twofactor.Store.
func (s *Store) SetPendingTOTP(ctx context.Context, userID, sealed, token, state string, at time.Time) error {
	var p plan
	p.cond(pathEnabled, bson.D{{Key: "$ne", Value: true}})
	p.put(pathEnabled, false, false)
	p.put(pathTempSecret, sealed, sealed == "")
	p.put(pathTempAt, at, at.IsZero())
	p.put(pathTempTries, nil, true)
	p.put(pathTempBound, state, state == "")
	p.pin = append([]string{pathTokens}, provedBy...)
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.SetPendingTOTP(u, sealed, token, state, at) })
}

// CountPendingTOTP implements twofactor.Store.
func (s *Store) CountPendingTOTP(ctx context.Context, userID, sealed string, notBefore time.Time, max int) error {
	p := waiting(sealed)
	p.cond(pathTempAt, bson.D{{Key: "$gt", Value: notBefore}})
	p.cond(pathTempTries, bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: max}}}})
	if max <= 0 {
		p.cond(pathTempTries, bson.D{{Key: "$lt", Value: max}}) // a missing count is 0, which is not below max
	}
	p.inc = bson.D{{Key: pathTempTries, Value: 1}}
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.CountPendingTOTP(u, sealed, notBefore, max) })
}

// DropPendingTOTP implements twofactor.Store.
func (s *Store) DropPendingTOTP(ctx context.Context, userID, sealed string) error {
	var p plan
	p.cond(pathTempSecret, sealed)
	for _, path := range []string{pathTempSecret, pathTempAt, pathTempTries, pathTempBound} {
		p.put(path, nil, true)
	}
	gone := errors.New("it is not there")
	err := s.factor(ctx, userID, p, func(u *user.User) error {
		if sealed == "" || u.Services.TOTP == nil || u.Services.TOTP.TempSecret != sealed {
			return gone
		}
		return nil
	})
	if errors.Is(err, gone) {
		return nil
	}
	return err
}

// EnableTOTP implements twofactor.Store.
func (s *Store) EnableTOTP(ctx context.Context, userID, pending string, t user.TOTP, keep string, at time.Time) (*user.User, error) {
	p := waiting(pending)
	t.Enabled = true
	p.put(pathTOTP, t, false)
	p.put("_updatedAt", at, at.IsZero())
	p.rewrite, p.pin = []string{pathTokens}, provedBy
	return s.changed(ctx, userID, p, func(u *user.User) error { return rule.EnableTOTP(u, pending, t, keep, at) })
}

// DisableTOTP implements twofactor.Store.
func (s *Store) DisableTOTP(ctx context.Context, userID, secret, keep string, at time.Time) (*user.User, error) {
	p := inForce(secret)
	p.put(pathTOTP, nil, true)
	p.put("_updatedAt", at, at.IsZero())
	p.rewrite = []string{pathTokens}
	return s.changed(ctx, userID, p, func(u *user.User) error { return rule.DisableTOTP(u, secret, keep, at) })
}

// UseTOTPStep implements twofactor.Store.
func (s *Store) UseTOTPStep(ctx context.Context, userID, secret string, step int64) error {
	p := inForce(secret)
	p.cond(pathLastStep, bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: step}}}})
	p.put(pathLastStep, step, false)
	p.forgetReset()
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.UseTOTPStep(u, secret, step) })
}

// ResealTOTP implements twofactor.Store.
func (s *Store) ResealTOTP(ctx context.Context, userID, old, sealed string) error {
	p := inForce(old)
	p.put(pathSecret, sealed, sealed == "")
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.ResealTOTP(u, old, sealed) })
}

// UseBackupCode implements twofactor.Store.
func (s *Store) UseBackupCode(ctx context.Context, userID, stored string) error {
	var p plan
	p.cond(pathEnabled, true)
	p.cond(pathBackup, stored)
	p.pull = bson.D{{Key: pathBackup, Value: stored}}
	p.forgetReset()
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.UseBackupCode(u, stored) })
}

// ReplaceBackupCodes implements twofactor.Store.
func (s *Store) ReplaceBackupCodes(ctx context.Context, userID, secret, salt string, stored []string) error {
	p := inForce(secret)
	p.put(pathBackup, stored, len(stored) == 0)
	p.put(pathSalt, salt, salt == "")
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.ReplaceBackupCodes(u, secret, salt, stored) })
}

// SetTrust implements twofactor.Store.
func (s *Store) SetTrust(ctx context.Context, userID, token, fingerprint string, until time.Time) error {
	var p plan
	p.cond(pathHash, token)
	p.put(pathTokens+".$[t].twoFactorAuthorizedHash", fingerprint, false)
	p.put(pathTokens+".$[t].twoFactorAuthorizedUntil", until, false)
	p.arrayFilters = []any{bson.D{{Key: "t.hashedToken", Value: token}}}
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.SetTrust(u, token, fingerprint, until) })
}

// ClearTrust implements twofactor.Store.
func (s *Store) ClearTrust(ctx context.Context, userID string) error {
	return s.factor(ctx, userID, plan{rewrite: []string{pathTokens}}, func(u *user.User) error {
		rule.ClearTrust(u)
		return nil
	})
}
