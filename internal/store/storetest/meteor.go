package storetest

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// testMeteorFactor: the authenticator app of a Meteor app is a factor of ours from
// the first look, the first change of the account writes it as one, and once it is
// off it stays off.
func testMeteorFactor(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	plant := func(id string, services bson.D) {
		t.Helper()
		db.Plant(t, bson.D{{Key: "_id", Value: id}, {Key: "createdAt", Value: epoch}, {Key: "username", Value: id},
			{Key: "ddpUsernameKey", Value: id}, {Key: "services", Value: services}})
	}
	meteor := func(fields ...bson.E) bson.D { return bson.D{{Key: user.MeteorFactor, Value: bson.D(fields)}} }
	secret, otp := bson.E{Key: "secret", Value: "JBSWY3DPEHPK3PXP"}, bson.E{Key: "type", Value: "otp"}
	plant("ann", meteor(secret, otp))
	plant("named", meteor(secret, otp))
	plant("waiting", meteor(secret))
	plant("odd", meteor(otp, bson.E{Key: "secret", Value: bson.Binary{Data: []byte{1}}}))
	plant("both", append(meteor(secret, otp), bson.E{Key: "totp", Value: bson.D{{Key: "enabled", Value: true}, {Key: "secret", Value: "OURS"}}}))
	for id, want := range map[string]string{"ann": "JBSWY3DPEHPK3PXP", "named": "JBSWY3DPEHPK3PXP", "waiting": "", "odd": "unreadable", "both": "OURS"} {
		u := get(t, s, id)
		if u.TOTPEnabled() != (want != "") || want != "" && u.Services.TOTP.Secret != want {
			t.Errorf("%s: %+v", id, u.Services.TOTP)
		}
		if u.Foreign() {
			t.Errorf("%s is taken for an account of a foreign service", id)
		}
	}
	if !lookup(db.Raw(t, "ann"), "services.totp").IsZero() {
		t.Error("a look changed the document")
	}
	ok(t, s.UseTOTPStep(ctx, "ann", "JBSWY3DPEHPK3PXP", 5))
	fails(t, s.UseTOTPStep(ctx, "ann", "JBSWY3DPEHPK3PXP", 5), dberr.Conflict)
	must[*user.User](t)(s.UpdateUser(ctx, "named", user.Change{Name: ptr("Ann"), At: epoch}))
	for _, id := range []string{"ann", "named"} {
		raw := db.Raw(t, id)
		got, _ := lookup(raw, "services.totp.secret").StringValueOK()
		if got != "JBSWY3DPEHPK3PXP" || !lookup(raw, "services."+user.MeteorFactor).IsZero() {
			t.Errorf("%s after a change: %v", id, raw)
		}
	}
	if got := get(t, s, "ann").Services.TOTP.LastStep; got != 5 {
		t.Errorf("the step that was used is %d", got)
	}
	must[*user.User](t)(s.UpdateUser(ctx, "named", user.Change{Factor: user.DropTOTP, At: epoch}))
	must[*user.User](t)(s.UpdateUser(ctx, "both", user.Change{Factor: user.DropTOTP, At: epoch}))
	for _, id := range []string{"named", "both"} {
		if get(t, s, id).TOTPEnabled() {
			t.Errorf("%s: a factor that was switched off came back", id)
		}
	}
	must[*user.User](t)(s.UpdateUser(ctx, "waiting", user.Change{Name: ptr("W"), At: epoch}))
	if lookup(db.Raw(t, "waiting"), "services."+user.MeteorFactor+".secret").IsZero() || get(t, s, "waiting").TOTPEnabled() {
		t.Error("a factor that waits for its first code was touched")
	}
}
