package storetest

import (
	"context"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
)

// mailCode is a code as the tests below make it, m minutes after the epoch.
func mailCode(digest, purpose string, stranger bool, m int) twofactor.MailCode {
	return twofactor.MailCode{Digest: digest, Purpose: purpose, Stranger: stranger, CreatedAt: minute(m), Expire: minute(m + 10)}
}

// testMailCodePurposes: a code answers the challenge it was mailed for and no
// other, a challenge gets a code although others are alive, and five stay five.
func testMailCodePurposes(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	r := twofactor.MailRules{MaxAlive: 3, OnlyIfNone: true, MaxMails: 100, Window: time.Hour}
	add := func(digest, purpose string, want string, wantErr error) {
		t.Helper()
		live, err := s.AddMailCode(ctx, "ann", mailCode(digest, purpose, false, 0), minute(0), r)
		fails(t, err, wantErr)
		got := ""
		for _, c := range live {
			got += c.Digest
		}
		if got != want {
			t.Errorf("live %q, want %q", got, want)
		}
	}
	add("a", "login", "a", nil)
	add("x", "login", "a", dberr.Conflict)
	add("b", "pin", "ab", nil)
	add("c", "save", "abc", nil)
	add("d", "kick", "bcd", nil) // the oldest gives way to a challenge
	r.OnlyIfNone = false
	add("x", "", "bcd", dberr.Conflict) // but not to a request
	r.OnlyIfNone = true
	fails(t, s.UseMailCode(ctx, "ann", "a", "login", minute(1)), dberr.Conflict)
	for _, purpose := range []string{"", "login", "save", "pin "} {
		fails(t, s.UseMailCode(ctx, "ann", "b", purpose, minute(1)), dberr.Conflict)
	}
	if g := guard(t, s, "ann"); len(g.Codes) != 3 || g.Codes[0].Purpose != "pin" {
		t.Errorf("a refusal changed the set: %+v", g)
	}
	ok(t, s.UseMailCode(ctx, "ann", "b", "pin", minute(1)))
	if g := guard(t, s, "ann"); len(g.Codes) != 0 {
		t.Errorf("a success left %+v", g.Codes)
	}
	// A code for everything answers every challenge, and stands for one.
	r.OnlyIfNone = false
	add("e", "", "e", nil)
	r.OnlyIfNone = true
	add("x", "login", "e", dberr.Conflict)
	ok(t, s.UseMailCode(ctx, "ann", "e", "whatever", minute(1)))
	ok(t, s.Close())
	s = open(t, db)
	// One code, two challenges at once: one of them wins.
	r.OnlyIfNone = true
	if won := race(t, func(int) error {
		_, err := s.AddMailCode(ctx, "ann", mailCode("f", "login", false, 2), minute(2), r)
		return err
	}, dberr.Conflict); won != 1 {
		t.Errorf("%d codes for one purpose", won)
	}
	fails(t, s.UseMailCode(ctx, "ann", "f", "pin", minute(3)), dberr.Conflict)
	oneWinner(t, "use a code for its purpose", func(int) error { return s.UseMailCode(ctx, "ann", "f", "login", minute(3)) })
}

// testMailBudgets: mails that strangers ask for and those of the owner are counted
// apart, durably, and a mail that was not accepted can be taken back.
func testMailBudgets(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	own := twofactor.MailRules{MaxAlive: 100, MaxMails: 3, Window: time.Hour}
	asked := twofactor.MailRules{MaxAlive: 100, MaxMails: 2, Window: time.Hour}
	add := func(digest string, stranger bool, m int) error {
		r := own
		if stranger {
			r = asked
		}
		_, err := s.AddMailCode(ctx, "ann", mailCode(digest, "", stranger, m), minute(m), r)
		return err
	}
	ok(t, add("s1", true, 0))
	ok(t, add("s2", true, 1))
	fails(t, add("s3", true, 2), dberr.Exhausted)
	for i, digest := range []string{"o1", "o2", "o3"} {
		ok(t, add(digest, false, 3+i))
	}
	fails(t, add("o4", false, 6), dberr.Exhausted)
	ok(t, s.Close())
	s = open(t, db)
	fails(t, add("s3", true, 7), dberr.Exhausted)
	fails(t, add("o4", false, 7), dberr.Exhausted)
	if g := guard(t, s, "ann"); len(g.Mails) != 3 || len(g.Asked) != 2 || len(g.Codes) != 5 {
		t.Errorf("guard is %+v", g)
	}
	// A mail that was refused for certain was none; one of unknown fate was one.
	ok(t, s.UndoMailCode(ctx, "ann", "o2", true))
	ok(t, s.UndoMailCode(ctx, "ann", "o2", true))
	ok(t, s.UndoMailCode(ctx, "ann", "s2", false))
	ok(t, s.UndoMailCode(ctx, "nobody", "s2", true))
	fails(t, s.UseMailCode(ctx, "ann", "o2", "", minute(7)), dberr.Conflict)
	if g := guard(t, s, "ann"); len(g.Mails) != 2 || !g.Mails[1].Equal(minute(5).Truncate(time.Millisecond)) || len(g.Asked) != 2 || len(g.Codes) != 3 {
		t.Errorf("guard is %+v", g)
	}
	ok(t, add("o4", false, 7))
	fails(t, add("o5", false, 8), dberr.Exhausted)
	fails(t, add("s3", true, 8), dberr.Exhausted)
	ok(t, add("s3", true, 60))
	// The last code of a set takes its wrong answers with it.
	one := twofactor.MailRules{MaxAlive: 5, MaxMails: 5, Window: time.Hour}
	_, err := s.AddMailCode(ctx, "bob", mailCode("b1", "login", false, 0), minute(0), one)
	ok(t, err)
	must[string](t)(s.CountAttempt(ctx, "bob", "email", minute(0), twofactor.Limits{MaxRecent: 9, Window: time.Hour, MaxInRow: 9, CodeTries: 5}))
	ok(t, s.UndoMailCode(ctx, "bob", "b1", true))
	if g := guard(t, s, "bob"); len(g.Codes) != 0 || g.CodeTries != 0 || len(g.Mails) != 0 || g.InRow["email"] != 1 {
		t.Errorf("guard is %+v", g)
	}
	if won := race(t, func(i int) error {
		_, err := s.AddMailCode(ctx, "cid", mailCode("c", "", i%2 == 0, 0), minute(0), twofactor.MailRules{MaxAlive: 1000, MaxMails: 4, Window: time.Hour})
		return err
	}, dberr.Exhausted); won != 8 {
		t.Errorf("%d mails within two budgets of 4", won)
	}
}

func mailCodeOperations(d drawn) []operation {
	rules := twofactor.MailRules{MaxAlive: 2, MaxMails: 3, Window: time.Hour, OnlyIfNone: d.step%2 == 0}
	return []operation{
		{"AddMailCode", func(ctx context.Context, o rule.Operations) error {
			_, err := o.AddMailCode(ctx, d.id, twofactor.MailCode{Digest: d.code, CreatedAt: d.at, Expire: d.at.Add(time.Hour)}, d.at, rules)
			return err
		}},
		{"UseMailCode", func(ctx context.Context, o rule.Operations) error { return o.UseMailCode(ctx, d.id, d.code, "", d.at) }},
		{"UndoMailCode", func(ctx context.Context, o rule.Operations) error { return o.UndoMailCode(ctx, d.id, d.code, true) }},
		{"KillMailCodes", func(ctx context.Context, o rule.Operations) error { return o.KillMailCodes(ctx, d.id, 1) }},
	}
}
