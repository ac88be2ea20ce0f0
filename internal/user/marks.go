package user

import (
	"reflect"
	"slices"
	"time"
)

// Marked tells whether a change of an account is one that every node must learn of even
// if no news of it arrives: after it, somebody who is logged in as the account may do
// less, or must prove something else. Everything is, but what is named here.
func Marked(before, after *User) bool {
	return !reflect.DeepEqual(before.guarded(before), after.guarded(before))
}

// guarded is a copy of the account without what no session depends on: what others are
// shown of it, what the store derives, what waits, what a proof counts up, and login
// tokens and trust that before did not have.
func (u *User) guarded(before *User) *User {
	g := &User{ID: u.ID, Emails: emptied(u.Emails), Roles: emptied(u.Roles), RequirePasswordChange: u.RequirePasswordChange}
	active := u.IsActive()
	g.Active = &active
	s := u.Services.clone()
	g.Services = Services{Password: &Password{Bcrypt: u.PasswordHash()}, FactorFields: s.FactorFields, Other: s.Other}
	g.Services.Resume = &Resume{LoginTokens: u.guardedTokens(before)}
	if len(s.Other) == 0 {
		g.Services.Other = nil
	}
	if t := g.Services.TOTP; t != nil {
		g.Services.TOTP = nil
		if t.Enabled {
			g.Services.TOTP = &TOTP{Enabled: true, Secret: t.Secret}
		}
	}
	if w := g.Services.WebAuthn; w != nil {
		w.Spent, w.SpentBefore, w.PendingReset = nil, time.Time{}, PendingReset{}
		w.Keys = emptied(w.Keys)
		for i := range w.Keys {
			k := &w.Keys[i]
			k.Counter, k.BackedUp, k.Name, k.LastUsedAt = 0, false, "", time.Time{}
			k.Transports = emptied(k.Transports)
		}
	}
	return g
}

// guardedTokens are the login tokens that before had too, without where and when they
// were used, and with what before knew of trust only.
func (u *User) guardedTokens(before *User) []LoginToken {
	if u.Services.Resume == nil || before.Services.Resume == nil {
		return nil
	}
	tokens, had := []LoginToken(nil), slices.Clone(before.Services.Resume.LoginTokens)
	for _, t := range u.Services.Resume.LoginTokens {
		i := slices.IndexFunc(had, func(b LoginToken) bool { return b.HashedToken == t.HashedToken && b.Token == t.Token })
		if i < 0 {
			continue
		}
		if had[i].TrustHash == "" {
			t.TrustHash, t.TrustFactor, t.TrustUntil = "", "", time.Time{}
		}
		had = slices.Delete(had, i, i+1)
		t.LastUsedAt, t.UsedFrom, t.MadeFrom = time.Time{}, nil, nil
		t.AllowedAddresses = emptied(t.AllowedAddresses)
		tokens = append(tokens, t)
	}
	return tokens
}

// emptied makes an empty list the same as none.
func emptied[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}
