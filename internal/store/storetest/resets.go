package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// withApp is a user whose authenticator app is on.
func withApp(u *user.User) {
	u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{"a", "b", "c"}, BackupSalt: "salt"}
}

// dueNow lists the accounts whose reset is due.
func dueNow(t *testing.T, s Core, now time.Time) string {
	t.Helper()
	return fmt.Sprint(must[[]string](t)(s.DueTOTPResets(t.Context(), now, 10)))
}

// testResets: a reset that waits is noted once, ends by every proof of the owner
// in the same write, and takes effect from its time on, not before.
func testResets(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	now := epoch.Truncate(time.Millisecond)
	due := now.Add(time.Hour)
	// What another program switched off and left there does not fill the list.
	db.Plant(t, bson.D{{Key: "_id", Value: "left"}, {Key: "createdAt", Value: epoch}, {Key: "services", Value: bson.D{
		{Key: "totp", Value: bson.D{{Key: "enabled", Value: false}, {Key: "resetDue", Value: now}}}}}})
	if got := dueNow(t, s, due); got != "[]" {
		t.Errorf("due: %s, of an app that is off", got)
	}
	create(t, s, "ann", withApp, withTokens(trusted("h1"), pat("p", "p1")))
	create(t, s, "off", withTokens(session("h2")))
	pending := func() string {
		o := get(t, s, "ann").Services.TOTP
		return fmt.Sprintf("%v %s", !o.ResetDue.IsZero() && o.ResetDue.Equal(due), o.ResetBy)
	}
	fails(t, s.ScheduleTOTPReset(ctx, "off", "s", "root", due), dberr.Conflict)
	fails(t, s.ScheduleTOTPReset(ctx, "off", "", "root", due), dberr.Conflict)
	fails(t, s.ScheduleTOTPReset(ctx, "ann", "other", "root", due), dberr.Conflict)
	fails(t, s.CancelTOTPReset(ctx, "ann", now), dberr.Conflict)
	fails(t, fault(s.ApplyTOTPReset(ctx, "ann", due)), dberr.Conflict)
	step := int64(0)
	for what, stop := range map[string]func() error{
		"a step":        func() error { step++; return s.UseTOTPStep(ctx, "ann", "s", step) },
		"a backup code": func() error { return s.UseBackupCode(ctx, "ann", "b") },
		"a call":        func() error { return s.CancelTOTPReset(ctx, "ann", due.Add(-time.Millisecond)) },
	} {
		ok(t, s.ScheduleTOTPReset(ctx, "ann", "s", "root", due))
		fails(t, s.ScheduleTOTPReset(ctx, "ann", "s", "eve", now), dberr.Conflict)
		if got := pending(); got != "true root" {
			t.Errorf("%s: pending is %s", what, got)
		}
		fails(t, fault(s.ApplyTOTPReset(ctx, "ann", due.Add(-time.Millisecond))), dberr.Conflict)
		fails(t, s.UseTOTPStep(ctx, "ann", "x", 99), dberr.Conflict)
		fails(t, s.UseBackupCode(ctx, "ann", "x"), dberr.Conflict)
		if got := pending(); got != "true root" || dueNow(t, s, due) != "[ann]" || dueNow(t, s, due.Add(-time.Millisecond)) != "[]" {
			t.Errorf("%s: after refusals pending is %s", what, got)
		}
		ok(t, stop())
		if got := pending(); got != "false " || dueNow(t, s, due) != "[]" || !get(t, s, "ann").TOTPEnabled() {
			t.Errorf("%s does not stop a reset: %s", what, got)
		}
		fails(t, fault(s.ApplyTOTPReset(ctx, "ann", due)), dberr.Conflict)
	}
	ok(t, s.ScheduleTOTPReset(ctx, "ann", "s", "root", due))
	ok(t, s.ResealTOTP(ctx, "ann", "s", "s2")) // another key is no other factor
	fails(t, s.CancelTOTPReset(ctx, "ann", due), dberr.Conflict)
	u := must[*user.User](t)(s.ApplyTOTPReset(ctx, "ann", due))
	same(t, "returned", u, get(t, s, "ann"))
	if u.Services.TOTP != nil || len(hashes(u)) != 0 || dueNow(t, s, due) != "[]" {
		t.Errorf("after the reset: %+v, tokens %v", u.Services.TOTP, hashes(u))
	}
	fails(t, fault(s.ApplyTOTPReset(ctx, "ann", due)), dberr.Conflict)
}

// testRacesOnResets: of the owner's answer and the time that has come exactly one
// wins, and of many requests one is noted.
func testRacesOnResets(t *testing.T, db Database) {
	s, now := open(t, db), epoch.Truncate(time.Millisecond)
	for what, answer := range map[string]func(context.Context, string, int) error{
		"step":        func(ctx context.Context, id string, i int) error { return s.UseTOTPStep(ctx, id, "s", 7) },
		"backup code": func(ctx context.Context, id string, i int) error { return s.UseBackupCode(ctx, id, "b") },
	} {
		for round := range 8 {
			id, ctx := fmt.Sprint(what, round), t.Context()
			create(t, s, id, withApp, withTokens(session("h"+id)))
			oneWinner(t, "request", func(i int) error { return s.ScheduleTOTPReset(ctx, id, "s", fmt.Sprint("root", i), now) })
			oneWinner(t, what, func(i int) error {
				if i%2 == round%2 {
					return answer(ctx, id, i)
				}
				return fault(s.ApplyTOTPReset(ctx, id, now))
			})
			switch u := get(t, s, id); {
			case u.TOTPEnabled() && (!u.TOTPResetDue().IsZero() || len(hashes(u)) != 1):
				t.Errorf("%s: the answer won and left %+v", id, u.Services.TOTP)
			case !u.TOTPEnabled() && len(hashes(u)) != 0:
				t.Errorf("%s: the reset won and left tokens", id)
			}
		}
	}
}

func resetOperations(d drawn) []operation {
	return []operation{
		{"ScheduleTOTPReset", func(ctx context.Context, o rule.Operations) error {
			return o.ScheduleTOTPReset(ctx, d.id, "s", d.token, d.at)
		}},
		{"CancelTOTPReset", func(ctx context.Context, o rule.Operations) error { return o.CancelTOTPReset(ctx, d.id, d.at) }},
		{"ApplyTOTPReset", func(ctx context.Context, o rule.Operations) error {
			return fault(o.ApplyTOTPReset(ctx, d.id, d.at.Add(time.Hour)))
		}},
	}
}
