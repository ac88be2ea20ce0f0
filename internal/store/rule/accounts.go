package rule

import (
	"context"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// UpdateUser implements accounts.Store and twofactor.Store.
func (o Operations) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	return o.engine.ChangeUser(ctx, id, func(u *user.User) error { return apply(u, c) })
}

func apply(u *user.User, c user.Change) error {
	if !c.Apply(u) {
		return dberr.Conflict
	}
	return nil
}

// token changes a login token of an account; Conflict when it does not have it.
func (o Operations) token(ctx context.Context, userID, token string, do func(*user.LoginToken)) error {
	return o.user(ctx, userID, func(u *user.User) error {
		t := u.LoginToken(token)
		if t == nil {
			return dberr.Conflict
		}
		do(t)
		return nil
	})
}

// UseToken implements accounts.Store.
func (o Operations) UseToken(ctx context.Context, userID, token string, use user.Use) error {
	return o.token(ctx, userID, token, func(t *user.LoginToken) {
		t.LastUsedAt = use.At
		if use.From != nil {
			from := *use.From
			t.UsedFrom = &from
		}
	})
}

// Sweep removes sessions, reset and enrol tokens started before these times and
// tells whether a session died. Tokens without a start never age.
func Sweep(u *user.User, sessions, resets, enrols time.Time) (died bool) {
	old := func(when, limit time.Time) bool { return !when.IsZero() && when.Before(document.Milli(limit)) }
	if r := u.Services.Resume; r != nil {
		n := len(r.LoginTokens)
		r.LoginTokens = slices.DeleteFunc(r.LoginTokens, func(t user.LoginToken) bool {
			return !t.IsPAT() && old(t.When, sessions)
		})
		died = len(r.LoginTokens) != n
	}
	if p := u.Services.Password; p != nil {
		if p.Reset != nil && old(p.Reset.When, resets) {
			p.Reset = nil
		}
		p.Earlier = slices.DeleteFunc(p.Earlier, func(r user.ResetToken) bool { return old(r.When, resets) })
		if p.Enroll != nil && old(p.Enroll.When, enrols) {
			p.Enroll = nil
		}
	}
	return died
}
