package rule

import (
	"context"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/user"
)

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

// Reseal implements serverkey.Store.
func (o Operations) Reseal(ctx context.Context, k serverkey.Kind, id, old, sealed string) error {
	switch k {
	case serverkey.TOTPSecret:
		return o.ResealTOTP(ctx, id, old, sealed)
	case serverkey.TOTPPending:
		return o.user(ctx, id, func(u *user.User) error {
			t := pending(u, old)
			if t == nil {
				return dberr.Conflict
			}
			t.TempSecret = sealed
			return nil
		})
	}
	return o.engine.ChangeMail(ctx, id, func(it *mail.Item) error {
		if it.Sealed != old {
			return dberr.Conflict
		}
		it.Sealed = sealed
		return nil
	})
}

// RetryMail implements mail.Store.
func (o Operations) RetryMail(ctx context.Context, id, owner string, notBefore time.Time) error {
	return o.engine.ChangeMail(ctx, id, func(it *mail.Item) error {
		if it.Owner != owner || owner == "" {
			return dberr.Conflict
		}
		it.Owner, it.LeaseUntil, it.NotBefore = "", time.Time{}, notBefore
		return nil
	})
}
