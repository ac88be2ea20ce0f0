package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
)

func guard(t testing.TB, s Core, id string) twofactor.Guard {
	t.Helper()
	return must[twofactor.Guard](t)(s.Guard(t.Context(), id))
}

func testAttempts(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	l := twofactor.Limits{MaxRecent: 3, Window: time.Hour, MaxInRow: 5}
	same(t, "no guard", guard(t, s, "ann"), twofactor.Guard{UserID: "ann"})
	var ids []string
	for i := range 3 {
		ids = append(ids, must[string](t)(s.CountAttempt(ctx, "ann", "totp", epoch.Add(time.Duration(i)*time.Minute), l)))
	}
	if ids[0] == "" || ids[0] == ids[1] {
		t.Errorf("ids %q", ids)
	}
	before := guard(t, s, "ann")
	if before.Received != 3 || before.InRow["totp"] != 3 || len(before.Recent) != 3 || before.Recent[2].ID != ids[2] ||
		!before.Recent[0].At.Equal(epoch.Truncate(time.Millisecond)) {
		t.Fatalf("guard is %+v", before)
	}
	_, err := s.CountAttempt(ctx, "ann", "email", epoch.Add(3*time.Minute), l)
	fails(t, err, dberr.Exhausted)
	before.Received++
	same(t, "only Received grows", guard(t, s, "ann"), before)

	// The window moves on; rows do not.
	must[string](t)(s.CountAttempt(ctx, "ann", "totp", epoch.Add(time.Hour), l))
	_, err = s.CountAttempt(ctx, "ann", "totp", epoch.Add(time.Hour+59*time.Second), l)
	fails(t, err, dberr.Exhausted)
	must[string](t)(s.CountAttempt(ctx, "ann", "totp", epoch.Add(5*time.Hour), l))
	_, err = s.CountAttempt(ctx, "ann", "totp", epoch.Add(9*time.Hour), l)
	fails(t, err, dberr.Exhausted)
	right := must[string](t)(s.CountAttempt(ctx, "ann", "email", epoch.Add(9*time.Hour), l))
	ok(t, s.Succeeded(ctx, "ann", right, twofactor.Spent{}, time.Time{}))
	g := guard(t, s, "ann")
	if len(g.InRow) != 0 || len(g.Recent) != 0 && g.Recent[len(g.Recent)-1].ID == right || g.Received != 9 {
		t.Errorf("after a success: %+v", g)
	}
	must[string](t)(s.CountAttempt(ctx, "ann", "totp", epoch.Add(9*time.Hour), l))
	ok(t, s.Succeeded(ctx, "ann", "no such count", twofactor.Spent{}, time.Time{}))
	if g := guard(t, s, "ann"); g.InRow["totp"] != 0 || len(g.Recent) == 0 {
		t.Errorf("after a success without a count: %+v", g)
	}
	// What was spent is remembered, the newest few and those that are young.
	for i := range twofactor.MaxSpent + 2 {
		at := epoch.Add(time.Duration(i) * time.Minute)
		ok(t, s.Succeeded(ctx, "ann", "none", twofactor.Spent{Digest: fmt.Sprint("d", i), Factor: "totp", At: at}, at.Add(-time.Hour)))
	}
	oldest := twofactor.Spent{Digest: "d2", Factor: "totp", At: epoch.Add(2 * time.Minute).Truncate(time.Millisecond)}
	if g := guard(t, s, "ann"); len(g.Spent) != twofactor.MaxSpent || g.Spent[0] != oldest {
		t.Errorf("spent: %+v", g.Spent)
	}
	ok(t, s.Succeeded(ctx, "ann", "none", twofactor.Spent{}, time.Time{}))
	ok(t, s.Succeeded(ctx, "ann", "none", twofactor.Spent{Digest: "e", Factor: "email", At: epoch.Add(time.Hour)}, epoch.Add(9*time.Minute-time.Second)))
	if g := guard(t, s, "ann"); len(g.Spent) != 2 || g.Spent[0].Digest != "d9" || g.Spent[1].Digest != "e" {
		t.Errorf("spent, later: %+v", g.Spent)
	}
	// Every source has a budget of its own, every kind of source a row.
	for i, source := range []string{"", "session", "digest of home", "digest of work"} {
		from := twofactor.Limits{MaxRecent: 2, Window: time.Hour, MaxInRow: 3, Source: source}
		for range 2 {
			if i == 3 { // home and work share a row, which is full after one more
				break
			}
			must[string](t)(s.CountAttempt(ctx, "cid", "totp", epoch, from))
		}
		if i == 3 {
			must[string](t)(s.CountAttempt(ctx, "cid", "totp", epoch, from))
		}
		_, err = s.CountAttempt(ctx, "cid", "totp", epoch, from)
		fails(t, err, dberr.Exhausted)
	}
	if g := guard(t, s, "cid"); len(g.Recent) != 7 || g.InRow["totp"] != 2 || g.InRow["totp in sessions"] != 2 || g.InRow["totp from known addresses"] != 3 ||
		g.Recent[2].Source != "session" {
		t.Errorf("budgets of sources: %+v", g)
	}
	// What is counted apart has a budget of its own, and no row; of many sources the newest
	// counts are kept.
	apart := twofactor.Limits{MaxRecent: 2, Window: time.Hour, MaxInRow: 1, Apart: true}
	for i := range 3 {
		_, err = s.CountAttempt(ctx, "cid", "webauthn", epoch, apart)
		if want := map[bool]error{true: dberr.Exhausted}[i == 2]; !errors.Is(err, want) {
			t.Errorf("apart, %d: %v", i, err)
		}
	}
	for i := range twofactor.MaxApart {
		apart.Source = fmt.Sprint("network ", i)
		must[string](t)(s.CountAttempt(ctx, "cid", "webauthn", epoch, apart))
	}
	if g := guard(t, s, "cid"); len(g.Recent) != 7+twofactor.MaxApart || g.InRow["webauthn"] != 0 || g.Within("", true, epoch.Add(-1)) != 0 ||
		g.Within("", false, epoch.Add(-time.Hour)) != 2 || g.Within(apart.Source, true, epoch.Add(-time.Hour)) != 1 {
		t.Errorf("apart: %+v", g)
	}
	// A clock that jumps back forgets nothing.
	for range 2 {
		must[string](t)(s.CountAttempt(ctx, "bob", "totp", epoch.Add(time.Hour), twofactor.Limits{MaxRecent: 2, Window: time.Minute, MaxInRow: 100}))
	}
	_, err = s.CountAttempt(ctx, "bob", "totp", epoch.Add(-time.Hour), twofactor.Limits{MaxRecent: 2, Window: time.Minute, MaxInRow: 100})
	fails(t, err, dberr.Exhausted)
	ok(t, s.ResetGuard(ctx, "bob"))
	same(t, "after a reset", guard(t, s, "bob"), twofactor.Guard{UserID: "bob"})
	ok(t, s.ResetGuard(ctx, "bob"))
	must[string](t)(s.CountAttempt(ctx, "bob", "totp", epoch, twofactor.Limits{MaxRecent: 1, Window: time.Minute, MaxInRow: 1}))

	// The store must not forget a row of wrong answers, however old.
	ok(t, s.Close())
	s = open(t, db)
	if g := guard(t, s, "bob"); g.InRow["totp"] != 1 || g.Received != 1 {
		t.Errorf("after reopening: %+v", g)
	}
	must[[]string](t)(s.SweepTokens(ctx, epoch, epoch, epoch))
	if g := guard(t, s, "bob"); g.InRow["totp"] != 1 {
		t.Errorf("after sweeping: %+v", g)
	}
}

func testMailCodes(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	r := twofactor.MailRules{MaxAlive: 3, MaxMails: 5, Window: time.Hour}
	at := func(m int) time.Time { return epoch.Add(time.Duration(m) * time.Minute) }
	code := func(digest string, m int) twofactor.MailCode {
		return twofactor.MailCode{Digest: digest, CreatedAt: at(m), Expire: at(m + 10)}
	}
	add := func(digest string, m int, r twofactor.MailRules) (string, error) {
		live, err := s.AddMailCode(ctx, "ann", code(digest, m), at(m), r)
		out := ""
		for _, c := range live {
			out += c.Digest
			if c.Expire.Location() != time.UTC || c.Expire.Nanosecond()%1e6 != 0 {
				t.Errorf("live code expires %v, want what is stored", c.Expire)
			}
		}
		return out, err
	}
	want := func(what string, live string, err error, wantLive string, wantErr error) {
		t.Helper()
		fails(t, err, wantErr)
		if live != wantLive {
			t.Errorf("%s: live %q, want %q", what, live, wantLive)
		}
	}
	live, err := add("a", 0, r)
	want("first", live, err, "a", nil)
	one := r
	one.OnlyIfNone = true
	live, err = add("x", 1, one)
	want("only if none", live, err, "a", dberr.Conflict)
	live, err = add("b", 1, r)
	want("second", live, err, "ab", nil)
	live, err = add("c", 2, r)
	want("third", live, err, "abc", nil)
	live, err = add("d", 3, r)
	want("one too many", live, err, "abc", dberr.Conflict)
	if g := guard(t, s, "ann"); len(g.Mails) != 3 || len(g.Codes) != 3 {
		t.Errorf("guard is %+v", g)
	}
	// The first expires, the others live on; so do the tries.
	l := twofactor.Limits{MaxRecent: 100, Window: time.Hour, MaxInRow: 100, CodeTries: 3}
	must[string](t)(s.CountAttempt(ctx, "ann", "email", at(5), l))
	live, err = add("e", 10, r)
	want("after one expired", live, err, "bce", nil)
	must[string](t)(s.CountAttempt(ctx, "ann", "email", at(10), l))
	fails(t, s.KillMailCodes(ctx, "ann", 3), dberr.Conflict)
	must[string](t)(s.CountAttempt(ctx, "ann", "email", at(10), l))
	_, err = s.CountAttempt(ctx, "ann", "email", at(10), l)
	fails(t, err, dberr.Exhausted)
	if g := guard(t, s, "ann"); g.CodeTries != 3 || g.Received != 4 || g.InRow["email"] != 3 {
		t.Errorf("guard is %+v", g)
	}
	fails(t, s.UseMailCode(ctx, "ann", "zz", "", at(10)), dberr.Conflict)
	fails(t, s.UseMailCode(ctx, "ann", "a", "", at(10)), dberr.Conflict)
	fails(t, s.UseMailCode(ctx, "ann", "e", "", at(20)), dberr.Conflict)
	ok(t, s.UseMailCode(ctx, "ann", "c", "", at(10)))
	fails(t, s.UseMailCode(ctx, "ann", "e", "", at(10)), dberr.Conflict)
	_, err = s.CountAttempt(ctx, "ann", "email", at(10), l)
	fails(t, err, dberr.Conflict)
	if g := guard(t, s, "ann"); g.CodeTries != 0 || len(g.Codes) != 0 || g.Received != 5 || g.InRow["email"] != 3 {
		t.Errorf("a spent set, an answer without a living code: %+v", g)
	}
	live, err = add("f", 11, r)
	want("a new set", live, err, "f", nil)
	must[string](t)(s.CountAttempt(ctx, "ann", "email", at(11), l))
	live, err = add("g", 12, r)
	want("mail budget", live, err, "f", dberr.Exhausted)
	live, err = add("h", 70, r)
	want("the next hour, a dead set replaced", live, err, "h", nil)
	if g := guard(t, s, "ann"); g.CodeTries != 0 {
		t.Errorf("a new set starts with %d tries", g.CodeTries)
	}
	must[string](t)(s.CountAttempt(ctx, "ann", "email", at(71), l))
	ok(t, s.KillMailCodes(ctx, "ann", 1))
	fails(t, s.UseMailCode(ctx, "ann", "h", "", at(71)), dberr.Conflict)
	fails(t, s.KillMailCodes(ctx, "ann", 0), dberr.Conflict)
	fails(t, s.UseMailCode(ctx, "nobody", "h", "", at(71)), dberr.Conflict)
	fails(t, s.KillMailCodes(ctx, "nobody", 0), dberr.Conflict)

	ok(t, s.Close())
	s = open(t, db)
	if g := guard(t, s, "ann"); fmt.Sprint(len(g.Codes), g.CodeTries, len(g.Mails) > 0) != "0 0 true" {
		t.Errorf("after reopening: %+v", g)
	}
}

func guardOperations(d drawn) []operation {
	limits := twofactor.Limits{MaxRecent: 2, Window: time.Hour, MaxInRow: 2, CodeTries: int(d.step % 2), Apart: d.step%3 == 0}
	return []operation{
		{"CountAttempt", func(ctx context.Context, o rule.Operations) error {
			_, err := o.CountAttempt(ctx, d.id, "email", d.at, limits)
			return err
		}},
		{"Succeeded", func(ctx context.Context, o rule.Operations) error {
			return o.Succeeded(ctx, d.id, "none", twofactor.Spent{Digest: d.code, Factor: "totp", At: epoch}, epoch.Add(-time.Hour))
		}},
	}
}
