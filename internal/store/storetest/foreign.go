package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// testForeignWriters: another program changes the account between the look and the
// write of an operation. What it wrote is not lost, and an operation whose
// conditions it changed is refused. Where nobody can write in between, it comes after.
func testForeignWriters(t *testing.T, db Database) {
	s := open(t, db)
	token := bson.D{{Key: "hashedToken", Value: "foreign"}, {Key: "extra", Value: int32(1)}}
	for i, c := range []struct {
		what, path string
		value      any
		op         foreignOp
		refused    bool
	}{
		{"a key of its own", "utcOffset", bson.DateTime(5), useStep, false},
		{"a key of its own in the factor", "services.totp.foreign", int32(5), useStep, false},
		{"a service of its own", "services.facebook.id", "f", disable, false},
		{"the secret", "services.totp.secret", "other", disable, true},
		{"the step", "services.totp.lastStep", int64(9), useStep, true},
		{"the factor, when tokens are written", "services.totp.enabled", false, login, true},
		{"being active, when tokens are written", "active", false, login, true},
		{"the roles, when tokens are written", "roles", bson.A{"user", "admin"}, login, false},
		{"the tokens", "services.resume.loginTokens", bson.A{token}, login, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			id := fmt.Sprint("f", i)
			create(t, s, id, withTokens(session("h"+id)), func(u *user.User) {
				u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s", LastStep: 1}
			})
			written := make(chan struct{})
			err := c.op.run(t.Context(), rule.On(&between{Engine: s.(rule.Engine), then: func() {
				go func() {
					defer close(written)
					db.Set(t, id, c.path, c.value)
				}()
				if db.Shared() {
					<-written
				}
			}}), id)
			<-written
			raw := db.Raw(t, id)
			path, value := c.path, c.value
			if list, ok := value.(bson.A); ok && len(list) == 1 { // a token that a login adds to
				path, value = path+".0", list[0]
			}
			want, encoding := document.Encode(bson.D{{Key: "v", Value: value}})
			ok(t, encoding)
			if got := lookup(raw, path); !got.Equal(want.Lookup("v")) {
				t.Errorf("%s is %v, want what the other program wrote: %v", path, got, want)
			}
			if !db.Shared() {
				ok(t, err)
				return
			}
			u := must[*user.User](t)(document.DecodeUser(raw))
			if done := c.op.done(u, id); done == c.refused {
				t.Errorf("the operation was done: %v; %v", done, raw)
			}
			if c.refused {
				fails(t, err, dberr.Conflict)
			} else {
				ok(t, err)
			}
		})
	}
}

// foreignOp is an operation, and whether an account shows that it was done.
type foreignOp struct {
	run  func(ctx context.Context, o rule.Operations, id string) error
	done func(u *user.User, id string) bool
}

var (
	useStep = foreignOp{
		func(ctx context.Context, o rule.Operations, id string) error { return o.UseTOTPStep(ctx, id, "s", 5) },
		func(u *user.User, _ string) bool { return u.Services.TOTP.LastStep == 5 },
	}
	disable = foreignOp{
		func(ctx context.Context, o rule.Operations, id string) error {
			return fault(o.DisableTOTP(ctx, id, "s", "h"+id, epoch))
		},
		func(u *user.User, _ string) bool { return u.Services.TOTP == nil },
	}
	// login writes a token and depends on the factor and on being active.
	login = foreignOp{
		func(ctx context.Context, o rule.Operations, id string) error {
			return fault(o.UpdateUser(ctx, id, user.Change{IfFactors: ptr("true false "), IfActive: ptr(true), AddToken: ptr(session("new" + id)), At: epoch}))
		},
		func(u *user.User, id string) bool { return u.LoginToken("new"+id) != nil },
	}
)

// testForeignValues: values that this program has no type for, and the types and
// order of those it has, survive every kind of change.
func testForeignValues(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	odd := bson.D{
		{Key: "z", Value: int32(1)}, {Key: "a", Value: int64(1)}, {Key: "f", Value: 1.0}, {Key: "nan", Value: bson.Decimal128{}},
		{Key: "when", Value: bson.DateTime(1234567890123)},
		{Key: "id", Value: bson.ObjectID{1, 2, 3}}, {Key: "ts", Value: bson.Timestamp{T: 1, I: 2}}, {Key: "re", Value: bson.Regex{Pattern: "a.b", Options: "i"}},
		{Key: "none", Value: nil}, {Key: "bin", Value: bson.Binary{Subtype: 4, Data: []byte{1, 2}}},
		{Key: "a.b", Value: "dotted"}, {Key: "$set", Value: bson.D{{Key: "x", Value: 1}}}, {Key: "", Value: "empty"},
		{Key: "list", Value: bson.A{int32(1), 1.5, bson.D{}, nil}},
	}
	db.Plant(t, bson.D{
		{Key: "odd", Value: odd}, {Key: "_id", Value: "odd"}, {Key: "createdAt", Value: time.UnixMilli(1)}, {Key: "active", Value: true},
		{Key: "customFields", Value: odd},
		{Key: "services", Value: bson.D{{Key: "odd", Value: odd},
			{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{bson.D{{Key: "odd", Value: odd}, {Key: "hashedToken", Value: "h"}}}}}},
			{Key: "totp", Value: bson.D{{Key: "odd", Value: odd}, {Key: "secret", Value: "s"}, {Key: "enabled", Value: true}, {Key: "lastStep", Value: int32(3)},
				{Key: "hashedBackup", Value: bson.A{"c", "b", "a"}}}}}},
	})
	before := db.Raw(t, "odd")
	for what, do := range map[string]func() error{
		"step":  func() error { return s.UseTOTPStep(ctx, "odd", "s", 4) },
		"code":  func() error { return s.UseBackupCode(ctx, "odd", "b") },
		"trust": func() error { return s.SetTrust(ctx, "odd", "h", "fp", "totp", epoch) },
		"login": func() error {
			return fault(s.UpdateUser(ctx, "odd", user.Change{AddToken: ptr(session("h2")), Name: ptr("n"), At: epoch}))
		},
	} {
		ok(t, do())
		after := db.Raw(t, "odd")
		for _, path := range []string{"odd", "customFields", "services.odd", "services.totp.odd", "services.resume.loginTokens.0.odd", "createdAt"} {
			if want, got := lookup(before, path), lookup(after, path); !got.Equal(want) {
				t.Errorf("%s: %s is %v, want %v", what, path, got, want)
			}
		}
	}
	if left := get(t, s, "odd").Services.TOTP.HashedBackup; len(left) != 2 || left[0] != "c" || left[1] != "a" {
		t.Errorf("codes left: %v", left)
	}
}
