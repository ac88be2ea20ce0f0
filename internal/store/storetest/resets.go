package storetest

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
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

// losable is an account's factor that resets are about, and the answers that end one.
type losable struct {
	factor  string
	with    func(*user.User)
	answers map[string]func(ctx context.Context, s Core, id string, i int) error
}

var losables = []losable{
	{"totp", withApp, map[string]func(ctx context.Context, s Core, id string, i int) error{
		"a step": func(ctx context.Context, s Core, id string, i int) error {
			return s.UseTOTPStep(ctx, id, "s", int64(i))
		},
		"a backup code": func(ctx context.Context, s Core, id string, _ int) error { return s.UseBackupCode(ctx, id, "b") },
	}},
	{"webauthn", func(u *user.User) { user.AddPasskey(key("k", 0), hex.EncodeToString([]byte(u.ID)), epoch)(&u.Services) },
		map[string]func(ctx context.Context, s Core, id string, i int) error{
			"a passkey": func(ctx context.Context, s Core, id string, i int) error {
				return s.UsePasskey(ctx, id, used("k", int64(i), fmt.Sprint("c", i), epoch))
			},
		}},
}

// dueNow lists the accounts with a reset that is due.
func dueNow(t *testing.T, s Core, now time.Time) string {
	t.Helper()
	return fmt.Sprint(must[[]string](t)(s.DueResets(t.Context(), now, 10)))
}

// testResets: a reset that waits is noted once, ends by every proof of the owner
// in the same write, and takes effect from its time on, not before.
func testResets(t *testing.T, db Database) {
	if !slices.EqualFunc(losables, user.Resets, func(l losable, factor string) bool { return l.factor == factor }) {
		t.Fatalf("of %v some are not tried", user.Resets)
	}
	for _, l := range losables {
		t.Run(l.factor, func(t *testing.T) { testReset(t, open(t, db), db, l) })
	}
	t.Run("both", func(t *testing.T) { testTwoResets(t, open(t, db)) })
}

func testReset(t *testing.T, s Core, db Database, l losable) {
	ctx := t.Context()
	ann, off := "ann-"+l.factor, "off-"+l.factor
	now := epoch.Truncate(time.Millisecond)
	due := now.Add(time.Hour)
	// What another program switched off and left there does not fill the list.
	db.Plant(t, bson.D{{Key: "_id", Value: "left-" + l.factor}, {Key: "createdAt", Value: epoch}, {Key: "services", Value: bson.D{
		{Key: "totp", Value: bson.D{{Key: "enabled", Value: false}, {Key: "resetDue", Value: now}}},
		{Key: "webauthn", Value: bson.D{{Key: "secondFactorEnabled", Value: true}, {Key: "resetDue", Value: now}}}}}})
	if got := dueNow(t, s, due); got != "[]" {
		t.Errorf("due: %s, of factors that are off", got)
	}
	create(t, s, ann, l.with, withTokens(trusted("h1-"+l.factor), pat("p", "p1-"+l.factor)))
	create(t, s, off, withTokens(session("h2-"+l.factor)))
	mark := func() string { return get(t, s, ann).ResetMark(l.factor) }
	schedule := func(id, mark, by string, at time.Time) error { return s.ScheduleReset(ctx, id, l.factor, mark, by, at) }
	pending := func() string {
		r := get(t, s, ann).Reset(l.factor)
		return fmt.Sprintf("%v %s", !r.ResetDue.IsZero() && r.ResetDue.Equal(due), r.ResetBy)
	}
	fails(t, schedule(off, mark(), "root", due), dberr.Conflict)
	fails(t, schedule(off, "", "root", due), dberr.Conflict)
	fails(t, schedule(ann, "other", "root", due), dberr.Conflict)
	fails(t, schedule(ann, "", "root", due), dberr.Conflict)
	fails(t, s.ScheduleReset(ctx, ann, "email2fa", "", "root", due), dberr.Conflict)
	fails(t, s.CancelReset(ctx, ann, l.factor, now), dberr.Conflict)
	fails(t, fault(s.ApplyReset(ctx, ann, l.factor, due)), dberr.Conflict)
	stops := map[string]func(ctx context.Context, s Core, id string, i int) error{
		"a call": func(ctx context.Context, s Core, id string, _ int) error {
			return s.CancelReset(ctx, id, l.factor, due.Add(-time.Millisecond))
		},
	}
	maps.Copy(stops, l.answers)
	step := 0
	for what, stop := range stops {
		step++
		ok(t, schedule(ann, mark(), "root", due))
		fails(t, schedule(ann, mark(), "eve", now), dberr.Conflict)
		if got := pending(); got != "true root" {
			t.Errorf("%s: pending is %s", what, got)
		}
		fails(t, fault(s.ApplyReset(ctx, ann, l.factor, due.Add(-time.Millisecond))), dberr.Conflict)
		fails(t, s.UseTOTPStep(ctx, ann, "x", 99), dberr.Conflict)
		fails(t, s.UseBackupCode(ctx, ann, "x"), dberr.Conflict)
		fails(t, s.UsePasskey(ctx, ann, used("x", 99, "x", epoch)), dberr.Conflict)
		if got := pending(); got != "true root" || dueNow(t, s, due) != "["+ann+"]" || dueNow(t, s, due.Add(-time.Millisecond)) != "[]" {
			t.Errorf("%s: after refusals pending is %s", what, got)
		}
		ok(t, stop(ctx, s, ann, step))
		if got := pending(); got != "false " || dueNow(t, s, due) != "[]" {
			t.Errorf("%s does not stop a reset: %s", what, got)
		}
		fails(t, fault(s.ApplyReset(ctx, ann, l.factor, due)), dberr.Conflict)
	}
	ok(t, schedule(ann, mark(), "root", due))
	if l.factor == "totp" {
		ok(t, s.ResealTOTP(ctx, ann, "s", "s2")) // another key is no other factor
	}
	fails(t, s.CancelReset(ctx, ann, l.factor, due), dberr.Conflict)
	u := must[*user.User](t)(s.ApplyReset(ctx, ann, l.factor, due))
	same(t, "returned", u, get(t, s, ann))
	if w := u.Services.WebAuthn; w != nil && !w.ResetDue.IsZero() {
		t.Errorf("a reset waits for what is gone: %+v", w)
	}
	if u.Reset(l.factor) != nil || len(hashes(u)) != 0 || dueNow(t, s, due) != "[]" {
		t.Errorf("after the reset: %+v, tokens %v", u.Services, hashes(u))
	}
	fails(t, fault(s.ApplyReset(ctx, ann, l.factor, due)), dberr.Conflict)
	// What waited went with the factor: one that is added now has nothing waiting.
	must[*user.User](t)(s.UpdateUser(ctx, ann, user.Change{Factor: func(s *user.Services) {
		again := &user.User{ID: ann, Services: *s}
		l.with(again)
		*s = again.Services
	}, At: epoch}))
	if got := dueNow(t, s, due); got != "[]" || pending() != "false " {
		t.Errorf("due after another enrolment: %s, %s", got, pending())
	}
}

// testTwoResets: of two resets each takes effect at its own time.
func testTwoResets(t *testing.T, s Core) {
	ctx, now := t.Context(), epoch.Truncate(time.Millisecond)
	for i, order := range [][2]string{{"totp", "webauthn"}, {"webauthn", "totp"}} {
		id := fmt.Sprint("u", i)
		create(t, s, id, losables[0].with, losables[1].with)
		for j, f := range order {
			ok(t, s.ScheduleReset(ctx, id, f, get(t, s, id).ResetMark(f), "root", now.Add(time.Duration(j)*time.Hour)))
		}
		want := fmt.Sprintf("[%s]", id)
		if got := dueNow(t, s, now); got != want {
			t.Errorf("%v: due first: %s", order, got)
		}
		fails(t, fault(s.ApplyReset(ctx, id, order[1], now)), dberr.Conflict)
		must[*user.User](t)(s.ApplyReset(ctx, id, order[0], now))
		if u := get(t, s, id); u.Reset(order[0]) != nil || u.ResetDue(order[1]).IsZero() || dueNow(t, s, now) != "[]" {
			t.Errorf("%v: after the first %+v, due %s", order, u.Services, dueNow(t, s, now))
		}
		if got := dueNow(t, s, now.Add(time.Hour)); got != want {
			t.Errorf("%v: due second: %s", order, got)
		}
		must[*user.User](t)(s.ApplyReset(ctx, id, order[1], now.Add(time.Hour)))
	}
}

// testRacesOnResets: of the owner's answer and the time that has come exactly one
// wins, and of many requests one is noted.
func testRacesOnResets(t *testing.T, db Database) {
	s, now := open(t, db), epoch.Truncate(time.Millisecond)
	for _, l := range losables {
		for what, answer := range l.answers {
			for round := range 8 {
				id, ctx := fmt.Sprint(what, round), t.Context()
				create(t, s, id, l.with, withTokens(session("h"+id)))
				mark := get(t, s, id).ResetMark(l.factor)
				oneWinner(t, "request", func(i int) error { return s.ScheduleReset(ctx, id, l.factor, mark, fmt.Sprint("root", i), now) })
				oneWinner(t, what, func(i int) error {
					if i%2 == round%2 {
						return answer(ctx, s, id, 7)
					}
					return fault(s.ApplyReset(ctx, id, l.factor, now))
				})
				switch u := get(t, s, id); {
				case u.Reset(l.factor) != nil && (!u.ResetDue(l.factor).IsZero() || len(hashes(u)) != 1):
					t.Errorf("%s: the answer won and left %+v", id, u.Services)
				case u.Reset(l.factor) == nil && len(hashes(u)) != 0:
					t.Errorf("%s: the reset won and left tokens", id)
				}
			}
		}
	}
}

func resetOperations(d drawn) []operation {
	return []operation{
		{"ScheduleReset", func(ctx context.Context, o rule.Operations) error {
			return o.ScheduleReset(ctx, d.id, d.factor, d.mark, d.token, d.at)
		}},
		{"CancelReset", func(ctx context.Context, o rule.Operations) error { return o.CancelReset(ctx, d.id, d.factor, d.at) }},
		{"ApplyReset", func(ctx context.Context, o rule.Operations) error {
			return fault(o.ApplyReset(ctx, d.id, d.factor, d.at.Add(time.Hour)))
		}},
	}
}
