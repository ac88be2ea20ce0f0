package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

func lookup(raw bson.Raw, path string) bson.RawValue {
	v, err := raw.LookupErr(strings.Split(path, ".")...)
	if err != nil {
		return bson.RawValue{}
	}
	return v
}

// testConditions: each condition of a Change, once met and once not.
func testConditions(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h1"), pat("p", "h2")), func(u *user.User) {
		u.Services.Password = &user.Password{Bcrypt: "b", Reset: &user.ResetToken{Token: "sha256:r"}, Earlier: []user.ResetToken{{Token: "sha256:e"}}}
		u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s"}
		u.Services.Email = &user.Proofs{VerificationTokens: []user.VerificationToken{{Token: "sha256:v", Address: "a"}}}
	})
	bare := &user.User{ID: "bare", CreatedAt: epoch}
	ok(t, s.CreateUser(ctx, bare))
	addr := func(verified bool) *[]user.Email {
		return &[]user.Email{{Address: "ann@example.org", Verified: verified}}
	}
	for _, c := range []struct {
		id   string
		cond user.Change
		met  bool
	}{
		{"ann", user.Change{IfBcrypt: ptr("b")}, true}, {"ann", user.Change{IfBcrypt: ptr("")}, false}, {"bare", user.Change{IfBcrypt: ptr("")}, true},
		{"bare", user.Change{IfBcrypt: ptr("b")}, false},
		{"ann", user.Change{IfToken: "h1"}, true}, {"ann", user.Change{IfToken: "h2"}, true}, {"ann", user.Change{IfToken: "h3"}, false},
		{"bare", user.Change{IfToken: "h1"}, false},
		{"ann", user.Change{IfNoTokenName: "q"}, true}, {"ann", user.Change{IfNoTokenName: "p"}, false}, {"bare", user.Change{IfNoTokenName: "p"}, true},
		{"ann", user.Change{IfUsername: ptr("ann")}, true}, {"ann", user.Change{IfUsername: ptr("Ann")}, false}, {"bare", user.Change{IfUsername: ptr("")}, true},
		{"ann", user.Change{IfEmails: addr(true)}, true}, {"ann", user.Change{IfEmails: addr(false)}, false}, {"ann", user.Change{IfEmails: &[]user.Email{}}, false},
		{"ann", user.Change{IfEmails: &[]user.Email{{Address: "ann@example.org", Verified: true}, {Address: "b"}}}, false},
		{"bare", user.Change{IfEmails: &[]user.Email{}}, true}, {"bare", user.Change{IfEmails: addr(true)}, false},
		{"ann", user.Change{IfResetToken: "sha256:r"}, true}, {"ann", user.Change{IfResetToken: "r"}, false}, {"bare", user.Change{IfResetToken: "sha256:r"}, false},
		{"ann", user.Change{IfVerification: "sha256:v"}, true}, {"ann", user.Change{IfVerification: "v"}, false}, {"bare", user.Change{IfVerification: "v"}, false},
		{"ann", user.Change{IfResetToken: "sha256:e"}, true}, {"ann", user.Change{IfReset: ptr("sha256:r")}, true},
		{"ann", user.Change{IfReset: ptr("sha256:e")}, false}, {"ann", user.Change{IfReset: ptr("")}, false}, {"bare", user.Change{IfReset: ptr("")}, true},
		{"ann", user.Change{IfVerifications: &[]user.VerificationToken{{Token: "sha256:v"}}}, true},
		{"ann", user.Change{IfVerifications: &[]user.VerificationToken{}}, false},
		{"ann", user.Change{IfVerifications: &[]user.VerificationToken{{Token: "sha256:v"}, {Token: "sha256:w"}}}, false},
		{"bare", user.Change{IfVerifications: &[]user.VerificationToken{}}, true},
		{"ann", user.Change{IfFactors: ptr("true false ")}, true}, {"ann", user.Change{IfFactors: ptr("true true ")}, false},
		{"ann", user.Change{IfFactors: ptr("false false ")}, false}, {"bare", user.Change{IfFactors: ptr("true false ")}, false},
		{"bare", user.Change{IfFactors: ptr("false false ")}, true},
		{"ann", user.Change{IfActive: ptr(true)}, true}, {"ann", user.Change{IfActive: ptr(false)}, false},
		{"ann", user.Change{IfToken: "h1", IfBcrypt: ptr("b"), IfActive: ptr(true), IfUsername: ptr("ann")}, true},
		{"ann", user.Change{IfToken: "h1", IfBcrypt: ptr("b"), IfActive: ptr(true), IfUsername: ptr("bob")}, false},
	} {
		// Once as one command, once with what needs a look first.
		for _, clear := range []bool{false, true} {
			before := get(t, s, c.id)
			c.cond.StatusText, c.cond.At, c.cond.ClearTrust = ptr(fmt.Sprint(before.UpdatedAt.UnixNano())), before.UpdatedAt.Add(time.Second), clear
			got, err := s.UpdateUser(ctx, c.id, c.cond)
			if !c.met {
				fails(t, err, dberr.Conflict)
				same(t, "after a conflict", get(t, s, c.id), before)
				continue
			}
			ok(t, err)
			if !c.cond.Apply(before) {
				t.Fatalf("the test is wrong about %+v", c.cond)
			}
			same(t, "result", got, before)
			same(t, "stored", get(t, s, c.id), before)
		}
	}
	for _, c := range []user.Change{{Name: ptr("x")}, {Name: ptr("x"), IfToken: "h1"}, {ClearTrust: true}} {
		_, err := s.UpdateUser(ctx, "nobody", c)
		fails(t, err, dberr.NotFound)
	}
}

// testRandomChanges compares UpdateUser with Change.Apply.
func testRandomChanges(t *testing.T, db Database) {
	s, n := open(t, db), 0
	create(t, s, "root", asAdmin) // so that the others may lose that role
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint("u", n)
		u := &user.User{ID: id, CreatedAt: epoch, Username: id, Emails: genEmails(id).Draw(rt, "emails")}
		u.Services.Resume = &user.Resume{LoginTokens: rapid.SliceOfN(genToken(), 0, 4).Draw(rt, "tokens")}
		if rapid.Bool().Draw(rt, "password") {
			u.Services.Password = &user.Password{Bcrypt: genBcrypt().Draw(rt, "bcrypt"), Reset: rapid.Ptr(genReset(), true).Draw(rt, "reset")}
		}
		if rapid.Bool().Draw(rt, "totp") {
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s"}
		}
		ok(t, s.CreateUser(t.Context(), u))
		defer func() { ok(t, s.DeleteUser(t.Context(), id, true)) }()
		model := get(t, s, id)
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			c := genChange(id).Draw(rt, "change")
			holds := c.Apply(model)
			got, err := s.UpdateUser(t.Context(), id, c)
			if !holds {
				if !errors.Is(err, dberr.Conflict) {
					rt.Fatalf("got %v, want a conflict", err)
				}
			} else if err != nil {
				rt.Fatal(err)
			} else {
				sameIn(rt, t, "result", got, model)
			}
			stored, err := s.UserByID(t.Context(), id)
			if err != nil {
				rt.Fatal(err)
			}
			sameIn(rt, t, "stored", stored, model)
			checkLookups(rt, t, s, stored)
			model = stored
		}
	})
}

// checkLookups: whatever changed, the account is found by what it has now.
func checkLookups(rt *rapid.T, t *testing.T, s Core, u *user.User) {
	find := func(what string, got *user.User, err error) {
		if err != nil || got.ID != u.ID {
			rt.Fatalf("not found by %s: %v", what, err)
		}
	}
	if u.Username != "" {
		got, err := s.UserByUsername(t.Context(), user.Key(u.Username))
		find("name", got, err)
	}
	for _, e := range u.Emails {
		got, err := s.UserByEmail(t.Context(), user.Key(e.Address))
		find("address", got, err)
	}
	if u.Services.Resume != nil {
		for _, tok := range u.Services.Resume.LoginTokens {
			got, err := s.UserByToken(t.Context(), tok.HashedToken, tok.Token)
			find("token", got, err)
		}
	}
	if p := u.Services.Password; p != nil {
		for _, r := range p.Resets() {
			got, err := s.UserByResetToken(t.Context(), r.Token, "")
			find("reset link", got, err)
		}
	}
	for _, hash := range tokenHashes {
		if _, err := s.UserByToken(t.Context(), hash, ""); err == nil && u.LoginToken(hash) == nil {
			rt.Fatalf("found by token %s, which it does not have", hash)
		}
	}
}

func sameIn(rt *rapid.T, t *testing.T, what string, got, want *user.User) {
	if diff := cmp.Diff(canon(t, want), canon(t, got)); diff != "" {
		rt.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

var tokenHashes = []string{"h1", "h2", "h3"}

func genBcrypt() *rapid.Generator[string] { return rapid.SampledFrom([]string{"b1", "b2", ""}) }

func genReset() *rapid.Generator[user.ResetToken] {
	return rapid.Custom(func(t *rapid.T) user.ResetToken {
		return user.ResetToken{Token: rapid.SampledFrom([]string{"sha256:r1", "sha256:r2"}).Draw(t, "token"), Email: "e", When: epoch, Reason: "reset"}
	})
}

func genEmails(id string) *rapid.Generator[[]user.Email] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) user.Email {
		return user.Email{Address: id + rapid.SampledFrom([]string{"@a.org", "@A.org", "@b.org"}).Draw(t, "address"), Verified: rapid.Bool().Draw(t, "verified")}
	}), 0, 3)
}

func genVerification() *rapid.Generator[user.VerificationToken] {
	return rapid.Custom(func(t *rapid.T) user.VerificationToken {
		return user.VerificationToken{Token: rapid.SampledFrom([]string{"sha256:v1", "sha256:v2"}).Draw(t, "v"),
			Address: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "va"), When: epoch}
	})
}

func genToken() *rapid.Generator[user.LoginToken] {
	return rapid.Custom(func(t *rapid.T) user.LoginToken {
		var tok user.LoginToken
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			tok = pat(rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "name"), rapid.SampledFrom(tokenHashes).Draw(t, "hash"))
		case 1:
			tok = user.LoginToken{Token: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "clear"), When: epoch}
		default:
			tok = session(rapid.SampledFrom(tokenHashes).Draw(t, "hash"))
		}
		if rapid.Bool().Draw(t, "trusted") {
			tok.TrustHash, tok.TrustUntil = "fp", epoch
		}
		return tok
	})
}

// maybe draws a value for one in four of the optional members.
func maybe[T any](t *rapid.T, name string, g *rapid.Generator[T]) *T {
	if rapid.IntRange(0, 3).Draw(t, name+"?") > 0 {
		return nil
	}
	return ptr(g.Draw(t, name))
}

func maybeText(t *rapid.T, name string, values ...string) string {
	if p := maybe(t, name, rapid.SampledFrom(values)); p != nil {
		return *p
	}
	return ""
}

func genChange(id string) *rapid.Generator[user.Change] {
	return rapid.Custom(func(t *rapid.T) user.Change {
		text := rapid.SampledFrom([]string{"", "x", "ÿ\x00z"})
		c := user.Change{At: epoch.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "at")) * time.Microsecond)}
		if rapid.IntRange(0, 2).Draw(t, "conditional") == 0 {
			c.IfBcrypt = maybe(t, "ifBcrypt", genBcrypt())
			c.IfToken = maybeText(t, "ifToken", tokenHashes...)
			c.IfNoTokenName = maybeText(t, "ifNoTokenName", "p1", "p2")
			c.IfUsername = maybe(t, "ifUsername", rapid.SampledFrom([]string{id, id + "x"}))
			c.IfEmails = maybe(t, "ifEmails", genEmails(id))
			c.IfResetToken = maybeText(t, "ifReset", "sha256:r1", "sha256:r2")
			c.IfVerification = maybeText(t, "ifVerification", "sha256:v1", "sha256:v2")
			c.IfReset = maybe(t, "ifNewestReset", rapid.SampledFrom([]string{"sha256:r1", "sha256:r2", ""}))
			c.IfVerifications = maybe(t, "ifVerifications", rapid.SliceOfN(genVerification(), 0, 2))
			c.IfFactors = maybe(t, "ifFactors", rapid.SampledFrom([]string{"true false ", "false false ", "true true ", "false true "}))
			c.IfActive = maybe(t, "ifActive", rapid.Bool())
			c.IfRoles = maybe(t, "ifRoles", rapid.SliceOfN(rapid.SampledFrom([]string{"user", "admin"}), 0, 2))
		}
		c.Username = maybe(t, "username", rapid.SampledFrom([]string{id, id + "x", strings.ToUpper(id), ""}))
		c.Name, c.Status, c.StatusDefault = maybe(t, "name", text), maybe(t, "status", text), maybe(t, "statusDefault", text)
		c.StatusText, c.Language, c.Type = maybe(t, "statusText", text), maybe(t, "language", text), maybe(t, "type", text)
		c.AvatarETag, c.AvatarOrigin = maybe(t, "avatarETag", text), maybe(t, "avatarOrigin", text)
		c.Emails = maybe(t, "emails", genEmails(id))
		c.Roles = maybe(t, "roles", rapid.SliceOfN(rapid.SampledFrom([]string{"user", "admin"}), 0, 2))
		c.Active = maybe(t, "active", rapid.Bool())
		c.Profile = maybe(t, "profile", genMap())
		c.CustomFields = maybe(t, "customFields", genMap())
		c.Bcrypt = maybe(t, "bcrypt", genBcrypt())
		c.ResetAt = maybe(t, "resetAt", rapid.SampledFrom([]time.Time{{}, epoch.Truncate(time.Millisecond), epoch.Add(time.Hour).Truncate(time.Millisecond)}))
		c.Reset, c.Enroll = maybe(t, "reset", genReset()), maybe(t, "enroll", genReset())
		c.Earlier = maybe(t, "earlier", rapid.SliceOfN(genReset(), 0, 2))
		c.AddVerification = maybe(t, "addVerification", genVerification())
		c.Verifications = maybe(t, "verifications", rapid.SliceOfN(genVerification(), 0, 2))
		c.Pending = maybe(t, "pending", rapid.Custom(func(t *rapid.T) user.PendingEmail {
			return user.PendingEmail{Address: rapid.SampledFrom([]string{"", "p@a.org"}).Draw(t, "waiting"), When: epoch}
		}))
		c.ClearVerification = maybeText(t, "clearVerification", "a", "b")
		switch rapid.IntRange(0, 8).Draw(t, "factor") {
		case 6:
			c.Factor = user.AddPasskey(key("k", int64(rapid.IntRange(0, 2).Draw(t, "counter"))), "handle_of_"+id, epoch)
		case 7:
			c.Factor = user.RemovePasskey("k", epoch)
		case 8:
			c.Factor = user.RenamePasskey("k", "desk")
		case 0, 1:
			c.Factor = user.SetEmail2FA(user.Email2FA{Enabled: rapid.Bool().Draw(t, "on"), ChangedAt: epoch})
		case 2:
			c.Factor = user.DropTOTP
		}
		c.ClearTrust = rapid.IntRange(0, 4).Draw(t, "clearTrust") == 0
		c.AddToken = maybe(t, "addToken", genToken())
		if rapid.Bool().Draw(t, "remove") {
			c.RemoveToken = maybeText(t, "removeToken", tokenHashes...)
			c.RemoveSessions = rapid.IntRange(0, 3).Draw(t, "removeSessions") == 0
			c.RemoveTokens = rapid.IntRange(0, 5).Draw(t, "removeTokens") == 0
			c.KeepToken = maybeText(t, "keepToken", tokenHashes...)
		}
		c.UpgradeToken = maybe(t, "upgrade", rapid.Custom(func(t *rapid.T) user.TokenUpgrade {
			return user.TokenUpgrade{Clear: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "clear"), Hash: rapid.SampledFrom(tokenHashes).Draw(t, "hash")}
		}))
		return c
	})
}

func genMap() *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]any{"s", int64(7), true, 1.5, map[string]any{"x": []any{int64(1), "y"}},
		[]any{}}), 0, 3)
}
