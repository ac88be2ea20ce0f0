package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func testUsers(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	in := &user.User{
		ID: "u1", CreatedAt: epoch, UpdatedAt: epoch, Username: "Änn", Name: "Ann", Type: "bot", Active: ptr(true),
		Emails: []user.Email{{Address: "Ann@Example.org", Verified: true}, {Address: "ann@example.ORG"}, {Address: "b@example.org"}},
		Roles:  []string{"user", "admin"}, Status: "online", StatusDefault: "away", StatusText: "hm", Language: "de", Reason: "why",
		Profile:      map[string]any{"a": int64(1), "b": map[string]any{"c": []any{"x", true, 1.5}}, "d": epoch},
		CustomFields: map[string]any{"k": "v"},
		Services: user.Services{
			Password: &user.Password{Bcrypt: "$2b$", Reset: &user.ResetToken{Token: "sha256:r", Email: "b@example.org", When: epoch, Reason: "reset"}},
			Resume:   &user.Resume{LoginTokens: []user.LoginToken{session("h1"), pat("p", "h2")}},
			Email:    &user.Proofs{VerificationTokens: []user.VerificationToken{{Token: "sha256:v", Address: "b@example.org", When: epoch}}},
			FactorFields: user.FactorFields{
				Email2FA: &user.Email2FA{Enabled: true, ChangedAt: epoch},
				TOTP:     &user.TOTP{Enabled: true, Secret: "v1.s", LastStep: 58_000_000, HashedBackup: []string{"x", "y"}, BackupSalt: "salt"},
			},
			Other: map[string]any{"github": map[string]any{"id": "77"}},
		},
	}
	want := *in
	ok(t, s.CreateUser(ctx, in))
	want.FillKeys()
	if in.UsernameKey != "änn" || len(in.EmailKeys) != 2 {
		t.Fatalf("keys not filled in: %q %q", in.UsernameKey, in.EmailKeys)
	}
	find := must[*user.User](t)
	for name, got := range map[string]*user.User{
		"id":       find(s.UserByID(ctx, "u1")),
		"username": find(s.UserByUsername(ctx, user.Key("ÄNN"))),
		"email":    find(s.UserByEmail(ctx, user.Key("ANN@example.org"))),
		"email 3":  find(s.UserByEmail(ctx, "b@example.org")),
		"token":    find(s.UserByToken(ctx, "h1", "")),
		"pat":      find(s.UserByToken(ctx, "h2", "zz")),
		"reset":    find(s.UserByResetToken(ctx, "sha256:r", "r")),
		"verify":   find(s.UserByVerificationToken(ctx, "sha256:v", "v")),
	} {
		same(t, "found by "+name, got, &want)
	}
	got := get(t, s, "u1")
	if at := got.CreatedAt; !at.Equal(epoch.Truncate(time.Millisecond)) || at.Location() != time.UTC {
		t.Errorf("createdAt %v, want UTC with whole milliseconds", at)
	}
	if b, isMap := got.Profile["b"].(map[string]any); !isMap || len(b["c"].([]any)) != 3 {
		t.Errorf("profile holds %#v, want plain Go values", got.Profile)
	}
	got.Emails[0].Address, got.Services.Password.Bcrypt = "mine", "mine"
	same(t, "after changing the copy", get(t, s, "u1"), &want)

	for _, f := range []func() (*user.User, error){
		func() (*user.User, error) { return s.UserByID(ctx, "nobody") },
		func() (*user.User, error) { return s.UserByID(ctx, "") },
		func() (*user.User, error) { return s.UserByUsername(ctx, "nobody") },
		func() (*user.User, error) { return s.UserByUsername(ctx, "") },
		func() (*user.User, error) { return s.UserByEmail(ctx, "nobody") },
		func() (*user.User, error) { return s.UserByEmail(ctx, "") },
		func() (*user.User, error) { return s.UserByToken(ctx, "h3", "") },
		func() (*user.User, error) { return s.UserByToken(ctx, "", "") },
		func() (*user.User, error) { return s.UserByToken(ctx, "", "h1") },
		func() (*user.User, error) { return s.UserByResetToken(ctx, "", "") },
		func() (*user.User, error) { return s.UserByVerificationToken(ctx, "sha256:r", "") },
	} {
		u, err := f()
		fails(t, err, dberr.NotFound)
		if u != nil {
			t.Error("a user beside NotFound")
		}
	}

	must[string](t)(s.CountAttempt(ctx, "u1", "totp", epoch, twofactor.Limits{MaxRecent: 1, Window: time.Hour, MaxInRow: 9}))
	create(t, s, "root", asAdmin) // so that an administrator may go
	ok(t, s.DeleteUser(ctx, "u1", true))
	fails(t, s.DeleteUser(ctx, "u1", true), dberr.NotFound)
	_, err := s.UserByToken(ctx, "h1", "")
	fails(t, err, dberr.NotFound)
	if g := must[twofactor.Guard](t)(s.Guard(ctx, "u1")); g.Received != 0 {
		t.Error("the guard outlived its account")
	}
	ok(t, s.CreateUser(ctx, &want))
}

func testDuplicates(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h1")))
	fresh := func() *user.User {
		return &user.User{ID: "bob", Username: "bob", CreatedAt: epoch, Emails: []user.Email{{Address: "x@example.org"}, {Address: "bob@example.org"}}}
	}
	for _, c := range []struct {
		what   string
		want   error
		change func(*user.User)
	}{
		{"id", dberr.Duplicate, func(u *user.User) { u.ID = "ann" }},
		{"name in other case", dberr.DuplicateUsername, func(u *user.User) { u.Username = "ANN" }},
		{"wide name", dberr.DuplicateUsername, func(u *user.User) { u.Username = "ａｎｎ" }},
		{"address in other case", dberr.DuplicateEmail, func(u *user.User) { u.Emails[1].Address = "Ann@Example.ORG" }},
		{"token", dberr.Duplicate, withTokens(session("h0"), session("h1"))},
	} {
		u := fresh()
		c.change(u)
		fails(t, s.CreateUser(ctx, u), c.want)
		for _, find := range []func() (*user.User, error){
			func() (*user.User, error) { return s.UserByID(ctx, "bob") },
			func() (*user.User, error) { return s.UserByUsername(ctx, "bob") },
			func() (*user.User, error) { return s.UserByEmail(ctx, "x@example.org") },
			func() (*user.User, error) { return s.UserByToken(ctx, "h0", "") },
		} {
			if _, err := find(); err == nil {
				t.Errorf("duplicate %s left something behind", c.what)
			}
		}
	}
	// Accounts without a name or an address do not collide, and an address may
	// be there twice in one account.
	for i := range 3 {
		ok(t, s.CreateUser(ctx, &user.User{ID: fmt.Sprint("bare", i), CreatedAt: epoch}))
	}
	bob := fresh()
	bob.Emails = append(bob.Emails, user.Email{Address: "BOB@example.org"})
	ok(t, s.CreateUser(ctx, bob))
	before := get(t, s, "bob")
	for _, c := range []struct {
		want   error
		change user.Change
	}{
		{dberr.DuplicateUsername, user.Change{Username: ptr("Ann"), Name: ptr("new"), At: epoch}},
		{dberr.DuplicateEmail, user.Change{Emails: &[]user.Email{{Address: "new@example.org"}, {Address: "ANN@example.org"}}, Name: ptr("new"), At: epoch}},
		{dberr.Duplicate, user.Change{AddToken: ptr(session("h1")), Name: ptr("new"), At: epoch}},
	} {
		_, err := s.UpdateUser(ctx, "bob", c.change)
		fails(t, err, c.want)
		same(t, "after a refused change", get(t, s, "bob"), before)
	}
	_, err := s.UserByEmail(ctx, "new@example.org")
	fails(t, err, dberr.NotFound)
	// What is given up is free at once.
	must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{Username: ptr("anna"), Emails: &[]user.Email{}, RemoveTokens: true, At: epoch}))
	must[*user.User](t)(s.UpdateUser(ctx, "bob", user.Change{Username: ptr("Ann"), Emails: &[]user.Email{{Address: "ANN@example.org"}},
		AddToken: ptr(session("h1")), At: epoch}))
	if u := must[*user.User](t)(s.UserByToken(ctx, "h1", "")); u.ID != "bob" {
		t.Error("token still belongs to", u.ID)
	}
	if u := must[*user.User](t)(s.UserByUsername(ctx, "ann")); u.ID != "bob" {
		t.Error("name still belongs to", u.ID)
	}
	must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{Username: ptr(""), At: epoch}))
}

func testLists(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	list := func(offset, count int) (ids []string, total int) {
		t.Helper()
		page, total, err := s.ListUsers(ctx, offset, count)
		ok(t, err)
		for _, u := range page {
			ids = append(ids, u.ID)
		}
		return ids, total
	}
	if ids, total := list(0, 10); len(ids) != 0 || total != 0 {
		t.Errorf("an empty store lists %v of %d", ids, total)
	}
	for _, name := range []string{"delta", "Alpha", "charlie", "Bravo"} {
		create(t, s, name)
	}
	for _, id := range []string{"n2", "n1"} {
		ok(t, s.CreateUser(ctx, &user.User{ID: id, CreatedAt: epoch}))
	}
	for _, c := range []struct {
		offset, count int
		want          string
	}{
		{0, 10, "[n1 n2 Alpha Bravo charlie delta]"}, {1, 2, "[n2 Alpha]"}, {5, 10, "[delta]"}, {6, 10, "[]"}, {0, 0, "[]"}, {-1, 1, "[n1]"}, {0, -1, "[]"},
	} {
		if ids, total := list(c.offset, c.count); fmt.Sprint(ids) != c.want || total != 6 {
			t.Errorf("list(%d, %d) = %v of %d, want %s of 6", c.offset, c.count, ids, total, c.want)
		}
	}

	admins := func(want ...string) {
		t.Helper()
		if got := administrators(t, s); !slices.Equal(got, want) {
			t.Errorf("administrators %v, want %v", got, want)
		}
	}
	admins()
	create(t, s, "root", func(u *user.User) { u.Roles = []string{"user", "admin"} })
	create(t, s, "off", func(u *user.User) { u.Roles, u.Active = []string{"admin"}, ptr(false) })
	admins("root")
	must[*user.User](t)(s.UpdateUser(ctx, "off", user.Change{Active: ptr(true), At: epoch}))
	admins("off", "root")
	must[*user.User](t)(s.UpdateUser(ctx, "root", user.Change{Roles: &[]string{"user"}, At: epoch}))
	admins("off")
}

func testTokens(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h1")))
	create(t, s, "old", withTokens(user.LoginToken{Token: "clear1", When: epoch}), func(u *user.User) {
		u.Services.Password = &user.Password{Enroll: &user.ResetToken{Token: "clear-enroll", When: epoch}}
		u.Services.Email = &user.Proofs{VerificationTokens: []user.VerificationToken{{Token: "clear-v", Address: "a"}, {Token: "sha256:v2", Address: "b"}}}
	})
	create(t, s, "new", func(u *user.User) {
		u.Services.Password = &user.Password{Reset: &user.ResetToken{Token: "sha256:r", When: epoch}}
	})
	find := func(u *user.User, err error) string {
		if err != nil {
			fails(t, err, dberr.NotFound)
			return ""
		}
		return u.ID
	}
	for _, c := range []struct{ what, got, want string }{
		{"hash", find(s.UserByToken(ctx, "h1", "")), "ann"},
		{"clear", find(s.UserByToken(ctx, "h-of-clear1", "clear1")), "old"},
		{"a hash as clear text", find(s.UserByToken(ctx, "x", "h1")), ""},
		{"clear text as hash", find(s.UserByToken(ctx, "clear1", "")), ""},
		{"enrol, clear", find(s.UserByResetToken(ctx, "sha256:x", "clear-enroll")), "old"},
		{"reset", find(s.UserByResetToken(ctx, "sha256:r", "r")), "new"},
		{"a stored reset hash as clear text", find(s.UserByResetToken(ctx, "sha256:x", "sha256:r")), ""},
		{"verification, clear", find(s.UserByVerificationToken(ctx, "sha256:x", "clear-v")), "old"},
		{"verification", find(s.UserByVerificationToken(ctx, "sha256:v2", "v2")), "old"},
		{"a stored verification hash as clear text", find(s.UserByVerificationToken(ctx, "sha256:x", "sha256:v2")), ""},
		{"verification as reset", find(s.UserByResetToken(ctx, "sha256:v2", "clear-v")), ""},
	} {
		if c.got != c.want {
			t.Errorf("by %s: found %q, want %q", c.what, c.got, c.want)
		}
	}
	u := must[*user.User](t)(s.UpdateUser(ctx, "old", user.Change{UpgradeToken: &user.TokenUpgrade{Clear: "clear1", Hash: "h-of-clear1"}, At: epoch}))
	if tok := u.LoginToken("h-of-clear1"); tok == nil || tok.Token != "" || !tok.When.Equal(epoch.Truncate(time.Millisecond)) {
		t.Errorf("upgraded token is %+v", tok)
	}
	if find(s.UserByToken(ctx, "h-of-clear1", "")) != "old" || find(s.UserByToken(ctx, "", "clear1")) != "" {
		t.Error("the upgraded token is not found by its hash only")
	}
}

func testSweep(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	tok := func(hash string, d time.Duration) user.LoginToken {
		return user.LoginToken{HashedToken: hash, When: at(d)}
	}
	create(t, s, "both", withTokens(tok("a1", -time.Hour), tok("a2", time.Hour), pat("p", "a3")))
	create(t, s, "young", withTokens(tok("b1", 0)))
	create(t, s, "reset", func(u *user.User) {
		u.Services.Password = &user.Password{Bcrypt: "b", Reset: &user.ResetToken{Token: "sha256:1", When: at(-time.Hour)},
			Earlier: []user.ResetToken{{Token: "sha256:0", When: at(-3 * time.Hour)}, {Token: "sha256:3", When: at(-time.Hour)}},
			Enroll:  &user.ResetToken{Token: "sha256:2", When: at(-time.Hour)}}
	})
	create(t, s, "startless", withTokens(user.LoginToken{HashedToken: "c1"}))
	db.Plant(t, bson.D{{Key: "_id", Value: "numbers"}, {Key: "createdAt", Value: epoch},
		{Key: "services", Value: bson.D{{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{
			bson.D{{Key: "hashedToken", Value: "d1"}, {Key: "when", Value: float64(at(-time.Hour).UnixMilli())}, {Key: "note", Value: "odd"}},
			bson.D{{Key: "hashedToken", Value: "d2"}, {Key: "when", Value: float64(at(time.Hour).UnixMilli())}, {Key: "note", Value: "odd"}},
		}}}}}}})
	owners := must[[]string](t)(s.SweepTokens(ctx, epoch, at(-2*time.Hour), epoch))
	seen := make(map[string]bool)
	for _, id := range owners {
		seen[id] = true
	}
	if len(owners) != len(seen) || fmt.Sprint(sortedKeys(seen)) != "[both numbers]" && fmt.Sprint(sortedKeys(seen)) != "[both]" {
		t.Errorf("died for %v, want both and numbers", owners)
	}
	hashes := func(id string) (out string) {
		for _, t := range get(t, s, id).Services.Resume.LoginTokens {
			out += t.HashedToken + " "
		}
		return out
	}
	if got := hashes("both") + hashes("young") + hashes("startless"); got != "a2 a3 b1 c1 " {
		t.Errorf("left %q", got)
	}
	if p := get(t, s, "reset").Services.Password; p.Reset == nil || p.Enroll != nil || p.Bcrypt != "b" || len(p.Earlier) != 1 || p.Earlier[0].Token != "sha256:3" {
		t.Errorf("password is %+v, want the enrol token and the oldest reset token gone only", p)
	}
	_, err := s.UserByToken(ctx, "a1", "")
	fails(t, err, dberr.NotFound)
	if owners := must[[]string](t)(s.SweepTokens(ctx, epoch, epoch, epoch)); len(owners) != 0 {
		t.Errorf("second sweep: %v", owners)
	}
	if p := get(t, s, "reset").Services.Password; p.Reset != nil || len(p.Earlier) != 0 {
		t.Error("the reset token is still there")
	}
	_, err = s.UserByResetToken(ctx, "sha256:1", "")
	fails(t, err, dberr.NotFound)
}

// testUnknownFields: documents of other programs keep what we do not know.
func testUnknownFields(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	db.Plant(t, bson.D{
		{Key: "_id", Value: "ann"}, {Key: "createdAt", Value: epoch}, {Key: "username", Value: "ann"}, {Key: "ddpUsernameKey", Value: "ann"},
		{Key: "utcOffset", Value: 2.5}, {Key: "settings", Value: bson.D{{Key: "preferences", Value: bson.D{{Key: "a", Value: bson.A{int32(1), "x"}}}}}},
		{Key: "oid", Value: bson.ObjectID{1, 2, 3}}, {Key: "profile", Value: bson.D{{Key: "n", Value: int32(5)}, {Key: "when", Value: epoch}}},
		{Key: "services", Value: bson.D{
			{Key: "github", Value: bson.D{{Key: "id", Value: int32(9)}}},
			{Key: "password", Value: bson.D{{Key: "bcrypt", Value: "old"}, {Key: "argon2", Value: "old"}, {Key: "extra", Value: "keep"}}},
			{Key: "resume", Value: bson.D{{Key: "odd", Value: true}, {Key: "loginTokens", Value: bson.A{
				bson.D{{Key: "when", Value: epoch}, {Key: "hashedToken", Value: "h1"}, {Key: "device", Value: "phone"}, {Key: "twoFactorAuthorizedHash", Value: "f"},
					{Key: "twoFactorAuthorizedUntil", Value: epoch}},
				bson.D{{Key: "when", Value: epoch}, {Key: "hashedToken", Value: "h2"}, {Key: "device", Value: "desk"}},
			}}}},
			{Key: "totp", Value: bson.D{{Key: "enabled", Value: true}, {Key: "secret", Value: "S"}, {Key: "extra", Value: "keep"}}},
		}},
	})
	up := func(c user.Change) {
		t.Helper()
		c.At = epoch
		must[*user.User](t)(s.UpdateUser(ctx, "ann", c))
	}
	up(user.Change{Name: ptr("Ann"), Bcrypt: ptr("new")})
	up(user.Change{AddToken: ptr(session("h3"))})
	up(user.Change{RemoveToken: "h2"})
	up(user.Change{ClearTrust: true})
	ok(t, s.SetTrust(ctx, "ann", "h3", "fp", "totp", epoch))
	ok(t, s.UseToken(ctx, "ann", "h1", user.Use{At: epoch, From: &user.Origin{Client: "Firefox"}}))
	ok(t, s.UseTOTPStep(ctx, "ann", "S", 5))
	ok(t, switchMail(t, s, "ann", true))
	raw := db.Raw(t, "ann")
	for path, want := range map[string]any{
		"utcOffset": 2.5, "settings.preferences.a.1": "x", "services.github.id": int32(9),
		"services.password.extra": "keep", "services.password.argon2": nil, "services.password.bcrypt": "new",
		"services.resume.odd": true, "services.resume.loginTokens.0.device": "phone", "services.resume.loginTokens.1.hashedToken": "h3",
		"services.resume.loginTokens.0.usedFrom.client": "Firefox",
		"services.totp.extra":                           "keep", "profile.n": int32(5), "name": "Ann",
	} {
		var got any
		if v := lookup(raw, path); !v.IsZero() {
			ok(t, v.Unmarshal(&got))
		}
		if got != want {
			t.Errorf("%s is %#v, want %#v", path, got, want)
		}
	}
	if v := lookup(raw, "services.resume.loginTokens.0.twoFactorAuthorizedHash"); !v.IsZero() {
		t.Error("trust was not cleared")
	}
	if _, isID := lookup(raw, "oid").ObjectIDOK(); !isID {
		t.Error("an object id became something else")
	}
}

func userOperations(d drawn) []operation {
	return []operation{
		{"UpdateUser", func(ctx context.Context, o rule.Operations) error { return fault(o.UpdateUser(ctx, d.id, d.change)) }},
		{"UseToken", func(ctx context.Context, o rule.Operations) error {
			return o.UseToken(ctx, d.id, d.token, user.Use{At: d.at, From: &user.Origin{Client: "Firefox"}})
		}},
	}
}
