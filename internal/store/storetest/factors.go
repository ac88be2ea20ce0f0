package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// trusted is a session that carries remembered trust.
func trusted(hash string) user.LoginToken {
	tok := session(hash)
	tok.TrustHash, tok.TrustUntil = "fp", epoch.Add(time.Hour)
	return tok
}

func trust(u *user.User) (out []string) {
	for _, t := range u.Services.Resume.LoginTokens {
		if t.TrustHash != "" || !t.TrustUntil.IsZero() {
			out = append(out, t.HashedToken)
		}
	}
	return out
}

// fault is the error of an operation that also returns a document.
func fault(_ *user.User, err error) error { return err }

// hashes are the account's tokens, in order.
func hashes(u *user.User) (out []string) {
	for _, t := range u.Services.Resume.LoginTokens {
		out = append(out, t.HashedToken)
	}
	return out
}

// pend stores a pending secret under the account's present state.
func pend(t *testing.T, s Core, id, sealed, token string) error {
	t.Helper()
	return s.SetPendingTOTP(t.Context(), id, sealed, token, get(t, s, id).ProofState(token), epoch)
}

// GiveTOTP switches an authenticator on beside all checks, for tests of what
// comes after, and ends the account's sessions as every change of factors does.
func GiveTOTP(t testing.TB, s Core, id, secret string, at time.Time) {
	t.Helper()
	const token = "of the enrolment"
	_, err := s.UpdateUser(t.Context(), id, user.Change{AddToken: &user.LoginToken{HashedToken: token, When: at}, At: at})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.UserByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPendingTOTP(t.Context(), id, secret, token, u.ProofState(token), at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.EnableTOTP(t.Context(), id, secret, user.TOTP{Secret: secret}, token, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateUser(t.Context(), id, user.Change{RemoveToken: token, At: at}); err != nil {
		t.Fatal(err)
	}
}

// testPendingIsBound: a pending secret is good for the token that began it and
// under the state that was proved, and for nothing else; the store decides it
// with the change (A5).
func testPendingIsBound(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	next := user.TOTP{Enabled: true, Secret: "v1.final"}
	email := func(a string, verified bool) *[]user.Email { return &[]user.Email{{Address: a, Verified: verified}} }
	for name, c := range map[string]struct {
		change user.Change
		keep   string
		voids  bool
	}{
		"nothing": {user.Change{}, "h2", false}, "a name": {user.Change{Name: ptr("x")}, "h2", false},
		"another token made":  {user.Change{AddToken: ptr(session("h9"))}, "h2", false},
		"another token ended": {user.Change{RemoveToken: "h1"}, "h2", false}, "trust": {user.Change{ClearTrust: true}, "h2", false},
		"another token finishes": {user.Change{}, "h1", true}, "no token finishes": {user.Change{}, "", true},
		"an unknown token finishes": {user.Change{}, "h7", true},
		"password":                  {user.Change{Bcrypt: ptr("new")}, "h2", true}, "no password": {user.Change{Bcrypt: ptr("")}, "h2", true},
		"mail factor on":         {user.Change{Factor: user.SetEmail2FA(user.Email2FA{Enabled: true, ChangedAt: epoch})}, "h2", true},
		"mail factor off and on": {user.Change{Factor: user.SetEmail2FA(user.Email2FA{ChangedAt: epoch})}, "h2", true},
		"address":                {user.Change{Emails: email("new-NAME@example.org", true)}, "h2", true},
		"address unproved":       {user.Change{Emails: email("NAME@example.org", false)}, "h2", true},
		"addresses gone":         {user.Change{Emails: &[]user.Email{}}, "h2", true}, "its token ended": {user.Change{RemoveToken: "h2"}, "h2", true},
		"all tokens ended": {user.Change{RemoveTokens: true}, "h2", true}, "authenticator reset": {user.Change{Factor: user.DropTOTP}, "h2", true},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		create(t, s, id, withTokens(session("h1-"+id), session("h2-"+id)), func(u *user.User) { u.Services.Password = &user.Password{Bcrypt: "old"} })
		own := func(hash string) string {
			if hash == "" {
				return ""
			}
			return hash + "-" + id
		}
		ok(t, pend(t, s, id, "v1.a", own("h2")))
		change := c.change
		change.At, change.RemoveToken = epoch, own(change.RemoveToken)
		if change.AddToken != nil {
			change.AddToken.HashedToken = own("h9")
		}
		if change.Emails != nil {
			for i := range *change.Emails {
				(*change.Emails)[i].Address = strings.ReplaceAll((*change.Emails)[i].Address, "NAME", id)
			}
		}
		must[*user.User](t)(s.UpdateUser(ctx, id, change))
		before := get(t, s, id)
		_, err := s.EnableTOTP(ctx, id, "v1.a", next, own(c.keep), epoch)
		if !c.voids {
			ok(t, err)
			continue
		}
		if !errors.Is(err, dberr.Conflict) {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
		same(t, name, get(t, s, id), before)
		// And a proof of before does not store a new one.
		stale := user.User{ID: id, Services: user.Services{Password: &user.Password{Bcrypt: "other"}, Resume: before.Services.Resume}}
		fails(t, s.SetPendingTOTP(ctx, id, "v1.b", own("h1"), stale.ProofState(own("h1")), epoch), dberr.Conflict)
	}
}

func testTOTP(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(trusted("h1"), trusted("h2"), pat("p", "p1"), trusted("h3")))
	totp := func() *user.TOTP { return get(t, s, "ann").Services.TOTP }
	next := user.TOTP{Enabled: true, Secret: "v1.final", LastStep: 10, HashedBackup: []string{"b1"}, BackupSalt: "salt"}

	fails(t, s.CountPendingTOTP(ctx, "ann", "v1.a", epoch.Add(-time.Hour), 5), dberr.Conflict)
	fails(t, fault(s.EnableTOTP(ctx, "ann", "v1.a", next, "", epoch)), dberr.Conflict)
	ok(t, s.DropPendingTOTP(ctx, "ann", "v1.a"))
	ok(t, pend(t, s, "ann", "v1.a", "h2"))
	if p := totp(); p.Enabled || p.TempSecret != "v1.a" || !p.TempAt.Equal(epoch.Truncate(time.Millisecond)) {
		t.Fatalf("pending factor is %+v", p)
	}
	for i := range 3 {
		ok(t, s.CountPendingTOTP(ctx, "ann", "v1.a", epoch.Add(-time.Hour), 3))
		if p := totp(); p.TempTries != i+1 {
			t.Fatalf("%d tries, want %d", p.TempTries, i+1)
		}
	}
	fails(t, s.CountPendingTOTP(ctx, "ann", "v1.a", epoch.Add(-time.Hour), 3), dberr.Conflict)
	fails(t, s.CountPendingTOTP(ctx, "ann", "v1.a", epoch, 5), dberr.Conflict)
	fails(t, s.CountPendingTOTP(ctx, "ann", "v1.b", epoch.Add(-time.Hour), 5), dberr.Conflict)
	fails(t, s.CountPendingTOTP(ctx, "ann", "", epoch.Add(-time.Hour), 5), dberr.Conflict)
	ok(t, pend(t, s, "ann", "v1.b", "h2"))
	if p := totp(); p.TempTries != 0 {
		t.Error("a new pending secret has tries already")
	}
	fails(t, s.CountPendingTOTP(ctx, "ann", "v1.b", epoch.Add(-time.Hour), 0), dberr.Conflict)
	ok(t, s.DropPendingTOTP(ctx, "ann", "v1.a"))
	if totp().TempSecret != "v1.b" {
		t.Error("dropped another pending secret")
	}
	ok(t, s.DropPendingTOTP(ctx, "ann", "v1.b"))
	fails(t, fault(s.EnableTOTP(ctx, "ann", "v1.b", next, "", epoch)), dberr.Conflict)
	fails(t, s.UseTOTPStep(ctx, "ann", "", 11), dberr.Conflict)
	create(t, s, "new", func(u *user.User) { u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s"} })
	for _, step := range []int64{-1, 0} { // no step was spent, and these are none
		fails(t, s.UseTOTPStep(ctx, "new", "s", step), dberr.Conflict)
	}
	ok(t, s.UseTOTPStep(ctx, "new", "s", 1))

	ok(t, pend(t, s, "ann", "v1.c", "h2"))
	u := must[*user.User](t)(s.EnableTOTP(ctx, "ann", "v1.c", next, "h2", epoch.Add(time.Minute)))
	same(t, "returned", u, get(t, s, "ann"))
	same(t, "factor", u.Services.TOTP, &next)
	if got := hashes(u); len(trust(u)) != 0 || fmt.Sprint(got) != "[h2 p1]" {
		t.Errorf("after a change of factors: tokens %v, trust %v", got, trust(u))
	}
	if !u.UpdatedAt.Equal(epoch.Add(time.Minute).Truncate(time.Millisecond)) {
		t.Error("updatedAt is", u.UpdatedAt)
	}
	fails(t, pend(t, s, "ann", "v1.d", "h2"), dberr.Conflict)
	fails(t, fault(s.EnableTOTP(ctx, "ann", "v1.c", next, "h1", epoch)), dberr.Conflict)

	for _, step := range []int64{10, 9, 0, -1} {
		fails(t, s.UseTOTPStep(ctx, "ann", "v1.final", step), dberr.Conflict)
	}
	fails(t, s.UseTOTPStep(ctx, "ann", "v1.other", 11), dberr.Conflict)
	ok(t, s.UseTOTPStep(ctx, "ann", "v1.final", 12))
	fails(t, s.UseTOTPStep(ctx, "ann", "v1.final", 11), dberr.Conflict)
	fails(t, s.UseTOTPStep(ctx, "ann", "v1.final", 12), dberr.Conflict)

	fails(t, s.ResealTOTP(ctx, "ann", "v1.other", "v2.x"), dberr.Conflict)
	ok(t, s.ResealTOTP(ctx, "ann", "v1.final", "v2.final"))
	fails(t, s.UseTOTPStep(ctx, "ann", "v1.final", 13), dberr.Conflict)
	fails(t, s.UseTOTPStep(ctx, "ann", "v2.final", 12), dberr.Conflict)
	fails(t, fault(s.DisableTOTP(ctx, "ann", "v1.final", "h2", epoch)), dberr.Conflict)
	must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{AddToken: ptr(trusted("h4")), At: epoch}))
	ok(t, s.SetTrust(ctx, "ann", "h2", "fp", "totp", epoch))
	same(t, "returned", must[*user.User](t)(s.DisableTOTP(ctx, "ann", "v2.final", "h4", epoch)), get(t, s, "ann"))
	if u := get(t, s, "ann"); u.Services.TOTP != nil || len(trust(u)) != 0 || fmt.Sprint(hashes(u)) != "[p1 h4]" {
		t.Errorf("after switching off: %+v, tokens %v, trust %v", u.Services.TOTP, hashes(u), trust(u))
	}
	fails(t, fault(s.DisableTOTP(ctx, "ann", "v2.final", "", epoch)), dberr.Conflict)

	// An account without a single token has proved nothing, and one without anything.
	create(t, s, "bare")
	fails(t, pend(t, s, "bare", "v1.a", ""), dberr.Conflict)
	fails(t, pend(t, s, "bare", "v1.a", "h2"), dberr.Conflict)
	fails(t, fault(s.EnableTOTP(ctx, "bare", "v1.a", next, "", epoch)), dberr.Conflict)
	for what, err := range map[string]error{
		"SetPendingTOTP": s.SetPendingTOTP(ctx, "nobody", "a", "h", "state", epoch), "CountPendingTOTP": s.CountPendingTOTP(ctx, "nobody", "a", epoch, 5),
		"DropPendingTOTP": s.DropPendingTOTP(ctx, "nobody", "a"), "EnableTOTP": fault(s.EnableTOTP(ctx, "nobody", "a", next, "", epoch)),
		"DisableTOTP": fault(s.DisableTOTP(ctx, "nobody", "a", "", epoch)), "UseTOTPStep": s.UseTOTPStep(ctx, "nobody", "a", 1),
		"ResealTOTP": s.ResealTOTP(ctx, "nobody", "a", "b"), "UseBackupCode": s.UseBackupCode(ctx, "nobody", "a"),
		"ScheduleReset": s.ScheduleReset(ctx, "nobody", "totp", "a", "root", epoch), "CancelReset": s.CancelReset(ctx, "nobody", "totp", epoch),
		"ApplyReset":         fault(s.ApplyReset(ctx, "nobody", "totp", epoch)),
		"ReplaceBackupCodes": s.ReplaceBackupCodes(ctx, "nobody", "a", "s", nil), "UpdateUser": switchMail(t, s, "nobody", true),
		"SetTrust": s.SetTrust(ctx, "nobody", "h", "f", "totp", epoch), "ClearTrust": s.ClearTrust(ctx, "nobody"),
	} {
		if err == nil {
			t.Error(what, "worked on nobody")
		} else {
			fails(t, err, dberr.NotFound)
		}
	}
}

func testBackupCodes(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", func(u *user.User) {
		u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{"a", "b", "c"}}
	})
	create(t, s, "off", func(u *user.User) { u.Services.TOTP = &user.TOTP{HashedBackup: []string{"a"}} })
	codes := func() string { return fmt.Sprint(get(t, s, "ann").Services.TOTP.HashedBackup) }
	fails(t, s.UseBackupCode(ctx, "off", "a"), dberr.Conflict)
	fails(t, s.UseBackupCode(ctx, "ann", "x"), dberr.Conflict)
	fails(t, s.UseBackupCode(ctx, "ann", ""), dberr.Conflict)
	ok(t, s.UseBackupCode(ctx, "ann", "b"))
	fails(t, s.UseBackupCode(ctx, "ann", "b"), dberr.Conflict)
	if codes() != "[a c]" {
		t.Error("left", codes())
	}
	ok(t, s.UseBackupCode(ctx, "ann", "a"))
	ok(t, s.UseBackupCode(ctx, "ann", "c"))
	fails(t, s.UseBackupCode(ctx, "ann", "c"), dberr.Conflict)
	fails(t, s.ReplaceBackupCodes(ctx, "ann", "other", "salt", []string{"z"}), dberr.Conflict)
	fails(t, s.ReplaceBackupCodes(ctx, "off", "", "salt", []string{"z"}), dberr.Conflict)
	ok(t, s.ReplaceBackupCodes(ctx, "ann", "s", "salt", []string{"d", "e"}))
	if got := get(t, s, "ann").Services.TOTP; codes() != "[d e]" || got.BackupSalt != "salt" || !got.Enabled || got.Secret != "s" {
		t.Errorf("after replacing: %+v", got)
	}
}

// switchMail is the change that switches the mail factor.
func switchMail(t *testing.T, s Core, id string, on bool) error {
	was, err := s.UserByID(t.Context(), id)
	if err != nil {
		was = &user.User{} // the change must find out for itself
	}
	if was.Services.Email2FA == nil {
		was.Services.Email2FA = &user.Email2FA{}
	}
	was.Services.Email2FA.Enabled = !on
	_, err = s.UpdateUser(t.Context(), id, user.Change{
		IfFactors: ptr(was.FactorState()), Factor: user.SetEmail2FA(user.Email2FA{Enabled: on, ChangedAt: epoch}), ClearTrust: true, At: epoch,
	})
	return err
}

func testEmail2FA(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(trusted("h1"), trusted("h2")))
	fails(t, switchMail(t, s, "ann", false), dberr.Conflict)
	ok(t, switchMail(t, s, "ann", true))
	fails(t, switchMail(t, s, "ann", true), dberr.Conflict)
	u := get(t, s, "ann")
	if e := u.Services.Email2FA; !e.Enabled || !e.ChangedAt.Equal(epoch.Truncate(time.Millisecond)) || len(trust(u)) != 0 {
		t.Errorf("switched on: %+v, trust %v", e, trust(u))
	}
	ok(t, s.SetTrust(ctx, "ann", "h1", "fp", "totp", epoch))
	ok(t, switchMail(t, s, "ann", false))
	if u := get(t, s, "ann"); u.Email2FAEnabled() || len(trust(u)) != 0 {
		t.Errorf("switched off: %+v, trust %v", u.Services.Email2FA, trust(u))
	}
	create(t, s, "bare")
	ok(t, switchMail(t, s, "bare", true))
}

func testTrust(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h1"), pat("p", "h2"), session("h3")))
	before := get(t, s, "ann")
	fails(t, s.SetTrust(ctx, "ann", "h4", "fp", "totp", epoch), dberr.Conflict)
	fails(t, s.SetTrust(ctx, "ann", "", "fp", "totp", epoch), dberr.Conflict)
	ok(t, s.SetTrust(ctx, "ann", "h2", "fp", "totp", epoch))
	ok(t, s.SetTrust(ctx, "ann", "h3", "fp3", "totp", epoch.Add(time.Hour)))
	u := get(t, s, "ann")
	if fmt.Sprint(trust(u)) != "[h2 h3]" || u.LoginToken("h3").TrustHash != "fp3" ||
		!u.LoginToken("h3").TrustUntil.Equal(epoch.Add(time.Hour).Truncate(time.Millisecond)) {
		t.Errorf("trust is %+v", u.Services.Resume.LoginTokens)
	}
	ok(t, s.ClearTrust(ctx, "ann"))
	same(t, "after clearing", get(t, s, "ann"), before)
	create(t, s, "bare")
	ok(t, s.ClearTrust(ctx, "bare"))
}

func factorOperations(d drawn) []operation {
	return []operation{
		{"SetPendingTOTP", func(ctx context.Context, o rule.Operations) error {
			return o.SetPendingTOTP(ctx, d.id, "pending", "h1", d.state, d.at)
		}},
		{"CountPendingTOTP", func(ctx context.Context, o rule.Operations) error {
			return o.CountPendingTOTP(ctx, d.id, "pending", epoch.Add(-time.Hour), 2)
		}},
		{"DropPendingTOTP", func(ctx context.Context, o rule.Operations) error { return o.DropPendingTOTP(ctx, d.id, "pending") }},
		{"EnableTOTP", func(ctx context.Context, o rule.Operations) error {
			return fault(o.EnableTOTP(ctx, d.id, "pending", user.TOTP{Secret: "s", LastStep: d.step}, "h1", d.at))
		}},
		{"DisableTOTP", func(ctx context.Context, o rule.Operations) error {
			return fault(o.DisableTOTP(ctx, d.id, "s", d.token, d.at))
		}},
		{"UseTOTPStep", func(ctx context.Context, o rule.Operations) error { return o.UseTOTPStep(ctx, d.id, "s", d.step) }},
		{"ResealTOTP", func(ctx context.Context, o rule.Operations) error { return o.ResealTOTP(ctx, d.id, "s", "t") }},
		{"UseBackupCode", func(ctx context.Context, o rule.Operations) error { return o.UseBackupCode(ctx, d.id, d.code) }},
		{"ReplaceBackupCodes", func(ctx context.Context, o rule.Operations) error {
			return o.ReplaceBackupCodes(ctx, d.id, "s", "salt", []string{d.code})
		}},
		{"UsePasskey", func(ctx context.Context, o rule.Operations) error {
			return o.UsePasskey(ctx, d.id, used("k", int64(d.step), d.code, d.at))
		}},
		{"SetTrust", func(ctx context.Context, o rule.Operations) error {
			return o.SetTrust(ctx, d.id, d.token, "fp", "totp", d.at)
		}},
		{"ClearTrust", func(ctx context.Context, o rule.Operations) error { return o.ClearTrust(ctx, d.id) }},
	}
}
