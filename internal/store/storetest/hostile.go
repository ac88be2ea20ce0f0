package storetest

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// testHostile: stored documents that make no sense are refused with an error;
// nothing panics, and other accounts are not affected.
func testHostile(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h1")))
	doc := func(id string, fields ...bson.E) bson.D {
		return append(bson.D{{Key: "_id", Value: id}, {Key: "createdAt", Value: epoch}}, fields...)
	}
	services := func(fields ...bson.E) bson.E { return bson.E{Key: "services", Value: bson.D(fields)} }
	wrong := []bson.D{
		doc("w0", bson.E{Key: "username", Value: 5.5}),
		doc("w1", bson.E{Key: "emails", Value: "x"}),
		doc("w2", bson.E{Key: "emails", Value: bson.A{"x", 1}}),
		doc("w3", bson.E{Key: "roles", Value: bson.D{{Key: "a", Value: 1}}}),
		doc("w4", bson.E{Key: "services", Value: int32(5)}),
		doc("w5", services(bson.E{Key: "resume", Value: "x"})),
		doc("w6", services(bson.E{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{"x", nil, bson.A{}}}}})),
		doc("w7", services(bson.E{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{bson.D{{Key: "hashedToken", Value: bson.D{}},
			{Key: "when", Value: "yesterday"}}}}}})),
		doc("w8", services(bson.E{Key: "totp", Value: bson.A{1, 2}})),
		doc("w9", services(bson.E{Key: "totp", Value: bson.D{{Key: "enabled", Value: true}, {Key: "secret", Value: 17}, {Key: "lastStep", Value: "x"}}})),
		doc("w10", services(bson.E{Key: "password", Value: bson.D{{Key: "bcrypt", Value: bson.A{}}}})),
		doc("w11", services(bson.E{Key: "email2fa", Value: "on"})),
		doc("w12", bson.E{Key: "active", Value: "yes"}),
		doc("w13", bson.E{Key: "profile", Value: "x"}),
		doc("w14", bson.E{Key: "roles", Value: bson.A{"admin"}}, bson.E{Key: "username", Value: 5.5}),
		{{Key: "_id", Value: "w15"}, {Key: "createdAt", Value: bson.D{}}},
	}
	for _, d := range wrong {
		db.Plant(t, d)
	}
	for i := range wrong {
		id := fmt.Sprint("w", i)
		for what, err := range everything(t, s, id) {
			if err == nil {
				t.Errorf("%s worked on %s: %v", what, id, wrong[i])
			}
		}
	}
	for what, err := range everything(t, s, "ann") {
		if err != nil && what != "UseTOTPStep" && what != "UseBackupCode" {
			t.Errorf("%s on a sound account: %v", what, err)
		}
	}
	if admins := must[[]*user.User](t)(s.Administrators(ctx)); len(admins) != 0 {
		t.Error(len(admins), "administrators")
	}
	if _, _, err := s.ListUsers(ctx, 0, 100); err == nil {
		t.Error("broken documents were listed")
	}
	// The sweep passes them by.
	create(t, s, "old", withTokens(user.LoginToken{HashedToken: "o", When: epoch.Add(-time.Hour)}))
	if owners := must[[]string](t)(s.SweepTokens(ctx, epoch, epoch, epoch)); len(owners) != 1 || owners[0] != "old" {
		t.Errorf("died for %v, want old", owners)
	}
	for i := range wrong {
		if err := s.DeleteUser(ctx, fmt.Sprint("w", i), true); err != nil {
			t.Errorf("a broken account cannot be deleted: %v", err)
		}
	}
	_, _, err := s.ListUsers(ctx, 0, 100)
	ok(t, err)

	// Odd but harmless shapes of old databases are read.
	db.Plant(t, doc("odd", bson.E{Key: "active", Value: nil}, bson.E{Key: "emails", Value: nil}, bson.E{Key: "roles", Value: bson.A{}},
		services(bson.E{Key: "password", Value: bson.D{{Key: "bcrypt", Value: "b"}, {Key: "reset", Value: nil}}},
			bson.E{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{}}}},
			bson.E{Key: "totp", Value: bson.D{{Key: "enabled", Value: true}, {Key: "secret", Value: "s"}, {Key: "lastStep", Value: 5.0}}})))
	u := get(t, s, "odd")
	if !u.IsActive() || u.PasswordHash() != "b" || u.Services.TOTP.LastStep != 5 {
		t.Errorf("read as %+v", u)
	}
	fails(t, s.UseTOTPStep(ctx, "odd", "s", 5), dberr.Conflict)
	ok(t, s.UseTOTPStep(ctx, "odd", "s", 6))
	for what, err := range everything(t, s, "odd") {
		if err != nil && what != "UseTOTPStep" && what != "UseBackupCode" {
			t.Errorf("%s on an odd account: %v", what, err)
		}
	}
}

// everything tries what touches a user document.
func everything(t *testing.T, s Core, id string) map[string]error {
	ctx := t.Context()
	out := make(map[string]error)
	_, out["UserByID"] = s.UserByID(ctx, id)
	_, out["UpdateUser"] = s.UpdateUser(ctx, id, user.Change{
		Name: ptr("n"), AddToken: ptr(session("t-" + id)), AddVerification: &user.VerificationToken{Token: "sha256:" + id, Address: "a"}, At: epoch})
	_, out["UpdateUser, rewriting"] = s.UpdateUser(ctx, id, user.Change{ClearTrust: true, ClearVerification: "a",
		AddVerification: &user.VerificationToken{Token: "sha256:2" + id, Address: "a"}, At: epoch})
	out["ClearTrust"] = s.ClearTrust(ctx, id)
	out["SetTrust"] = s.SetTrust(ctx, id, "t-"+id, "fp", "totp", epoch)
	out["UseTOTPStep"] = s.UseTOTPStep(ctx, id, "s", 1)
	out["UseBackupCode"] = s.UseBackupCode(ctx, id, "x")
	return out
}
