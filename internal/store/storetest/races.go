package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

var attemptLimits = twofactor.Limits{MaxRecent: 1000, Window: time.Hour, MaxInRow: 1000}

func testRacesOnUsers(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	oneWinner(t, "same name", func(i int) error {
		return s.CreateUser(ctx, &user.User{ID: fmt.Sprint("n", i), CreatedAt: epoch, Username: "Same"})
	}, dberr.DuplicateUsername)
	oneWinner(t, "same address", func(i int) error {
		return s.CreateUser(ctx, &user.User{ID: fmt.Sprint("e", i), CreatedAt: epoch, Emails: []user.Email{{Address: fmt.Sprint(i)}, {Address: "same@example.org"}}})
	}, dberr.DuplicateEmail)
	oneWinner(t, "same id", func(i int) error {
		return s.CreateUser(ctx, &user.User{ID: "id", CreatedAt: epoch, Username: fmt.Sprint("id", i)})
	}, dberr.Duplicate)
	oneWinner(t, "delete", func(int) error { return s.DeleteUser(ctx, "id", true) }, dberr.NotFound)

	for i := range crowd {
		create(t, s, fmt.Sprint("r", i))
	}
	change := func(id string, c user.Change) error {
		c.At = epoch
		_, err := s.UpdateUser(ctx, id, c)
		return err
	}
	oneWinner(t, "rename", func(i int) error { return change(fmt.Sprint("r", i), user.Change{Username: ptr("wanted")}) }, dberr.DuplicateUsername)
	oneWinner(t, "new address", func(i int) error {
		return change(fmt.Sprint("r", i), user.Change{Emails: &[]user.Email{{Address: "wanted@example.org"}}})
	}, dberr.DuplicateEmail)

	create(t, s, "ann", withTokens(session("h")), func(u *user.User) {
		u.Services.Password = &user.Password{Bcrypt: "old", Reset: &user.ResetToken{Token: "sha256:r", When: epoch}}
		u.Services.Email = &user.Proofs{VerificationTokens: []user.VerificationToken{{Token: "sha256:v", Address: "a"}}}
	})
	oneWinner(t, "reset token", func(i int) error {
		return change("ann", user.Change{IfResetToken: "sha256:r", Bcrypt: ptr(fmt.Sprint("b", i)), RemoveTokens: true, ClearTrust: true})
	})
	now := get(t, s, "ann").PasswordHash()
	oneWinner(t, "password hash", func(i int) error {
		return change("ann", user.Change{IfBcrypt: &now, Bcrypt: ptr(fmt.Sprint("c", i))})
	})
	oneWinner(t, "verification", func(int) error {
		return change("ann", user.Change{IfVerification: "sha256:v", ClearVerification: "a"})
	})
	oneWinner(t, "verification, replaced", func(i int) error {
		add := &user.VerificationToken{Token: fmt.Sprint("sha256:w", i), Address: "a"}
		if i == 0 {
			return change("ann", user.Change{AddVerification: add})
		}
		return change("ann", user.Change{IfVerification: "sha256:never", ClearVerification: "a", AddVerification: add})
	})
	oneWinner(t, "token of that name", func(i int) error {
		return change("ann", user.Change{IfNoTokenName: "p", AddToken: ptr(pat("p", fmt.Sprint("p", i)))})
	})
	oneWinner(t, "addresses", func(i int) error {
		return change("ann", user.Change{IfEmails: &[]user.Email{{Address: "ann@example.org", Verified: true}},
			Emails: &[]user.Email{{Address: fmt.Sprint("ann", i, "@example.org")}}})
	})
	oneWinner(t, "active", func(int) error { return change("ann", user.Change{IfActive: ptr(true), Active: ptr(false)}) })
	state := get(t, s, "ann").FactorState()
	oneWinner(t, "mail factor", func(int) error {
		return change("ann", user.Change{IfFactors: &state, Factor: user.SetEmail2FA(user.Email2FA{Enabled: true})})
	})

	// Nothing is lost: tokens added, trust cleared and tokens removed by a crowd.
	create(t, s, "bob", withTokens(session("keep")))
	if won := race(t, func(i int) error { return change("bob", user.Change{AddToken: ptr(session(fmt.Sprint("t", i)))}) }); won != crowd {
		t.Errorf("%d of %d tokens added", won, crowd)
	}
	if n := len(get(t, s, "bob").Services.Resume.LoginTokens); n != crowd+1 {
		t.Fatalf("%d tokens, want %d", n, crowd+1)
	}
	race(t, func(i int) error {
		if i%2 == 0 {
			return change("bob", user.Change{RemoveToken: fmt.Sprint("t", i)})
		}
		return change("bob", user.Change{ClearTrust: true, AddToken: ptr(session(fmt.Sprint("s", i)))})
	})
	u := get(t, s, "bob")
	if n := len(u.Services.Resume.LoginTokens); n != crowd+1 || u.LoginToken("t0") != nil || u.LoginToken("t1") == nil || u.LoginToken("s1") == nil {
		t.Errorf("%d tokens after adding and removing, want %d", n, crowd+1)
	}
}

func testRacesOnFactors(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h")))
	ok(t, pend(t, s, "ann", "pending", "h"))
	if won := race(t, func(int) error { return s.CountPendingTOTP(ctx, "ann", "pending", epoch.Add(-time.Hour), 5) }, dberr.Conflict); won != 5 {
		t.Errorf("%d answers counted, want 5", won)
	}
	oneWinner(t, "enable", func(i int) error {
		return fault(s.EnableTOTP(ctx, "ann", "pending", user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{"a", "b", "c"}}, "h", epoch))
	})
	oneWinner(t, "step", func(int) error { return s.UseTOTPStep(ctx, "ann", "s", 100) })
	if won := race(t, func(i int) error { return s.UseTOTPStep(ctx, "ann", "s", int64(101+i)) }, dberr.Conflict); won < 1 {
		t.Error("no step was accepted")
	}
	if got := get(t, s, "ann").Services.TOTP.LastStep; got != 100+crowd {
		t.Errorf("last step %d, want %d", got, 100+crowd)
	}
	oneWinner(t, "backup code", func(int) error { return s.UseBackupCode(ctx, "ann", "b") })
	// Two codes at once are both spent, neither comes back.
	if won := race(t, func(i int) error { return s.UseBackupCode(ctx, "ann", []string{"a", "c"}[i%2]) }, dberr.Conflict); won != 2 {
		t.Errorf("%d codes spent, want 2", won)
	}
	if left := get(t, s, "ann").Services.TOTP.HashedBackup; len(left) != 0 {
		t.Errorf("codes left: %v", left)
	}
	oneWinner(t, "reseal", func(i int) error { return s.ResealTOTP(ctx, "ann", "s", fmt.Sprint("s", i)) })
	secret := get(t, s, "ann").Services.TOTP.Secret
	oneWinner(t, "disable", func(int) error { return fault(s.DisableTOTP(ctx, "ann", secret, "h", epoch)) })
	oneWinner(t, "mail factor on", func(int) error { return switchMail(t, s, "ann", true) })
	oneWinner(t, "mail factor off", func(int) error { return switchMail(t, s, "ann", false) })
	if won := race(t, func(i int) error {
		switch i % 3 {
		case 0:
			return s.SetTrust(ctx, "ann", "h", "fp", "totp", epoch)
		case 1:
			return s.ClearTrust(ctx, "ann")
		}
		_, err := s.UpdateUser(ctx, "ann", user.Change{AddToken: ptr(session(fmt.Sprint("t", i))), At: epoch})
		return err
	}); won != crowd {
		t.Errorf("%d of %d", won, crowd)
	}
	ok(t, s.ClearTrust(ctx, "ann"))
	if u := get(t, s, "ann"); len(trust(u)) != 0 || len(u.Services.Resume.LoginTokens) != 1+crowd/3 {
		t.Errorf("tokens %+v", u.Services.Resume.LoginTokens)
	}
}

func testRacesOnGuards(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	attempt := func(id string, l twofactor.Limits) func(int) error {
		return func(int) error {
			_, err := s.CountAttempt(ctx, id, "email", epoch, l)
			return err
		}
	}
	recent := attemptLimits
	recent.MaxRecent = 10
	if won := race(t, attempt("recent", recent), dberr.Exhausted); won != 10 {
		t.Errorf("%d answers within the hour, want 10", won)
	}
	row := attemptLimits
	row.MaxInRow = 7
	if won := race(t, attempt("row", row), dberr.Exhausted); won != 7 {
		t.Errorf("%d answers in a row, want 7", won)
	}
	rules := twofactor.MailRules{MaxAlive: 5, MaxMails: 100, Window: time.Hour}
	code := func(i int) twofactor.MailCode {
		return twofactor.MailCode{Digest: fmt.Sprint("d", i), CreatedAt: epoch, Expire: epoch.Add(time.Hour)}
	}
	add := func(id string, r twofactor.MailRules) func(int) error {
		return func(i int) error {
			_, err := s.AddMailCode(ctx, id, code(i), epoch, r)
			return err
		}
	}
	if won := race(t, add("codes", rules), dberr.Conflict); won != 5 {
		t.Errorf("%d codes, want 5", won)
	}
	codes := attemptLimits
	codes.CodeTries = 4
	if won := race(t, attempt("codes", codes), dberr.Exhausted); won != 4 {
		t.Errorf("%d answers for one set, want 4", won)
	}
	for id, want := range map[string]int{"recent": 10, "row": 7, "codes": 4} {
		if g := guard(t, s, id); g.Received != crowd || len(g.Recent) != want || g.InRow["email"] != want {
			t.Errorf("%s: received %d, recent %d, in a row %d", id, g.Received, len(g.Recent), g.InRow["email"])
		}
	}
	live := guard(t, s, "codes").Codes[0].Digest
	oneWinner(t, "use a mail code", func(int) error { return s.UseMailCode(ctx, "codes", live, "", epoch) })
	only := rules
	only.OnlyIfNone = true
	oneWinner(t, "only if none", add("only", only))
	must[string](t)(s.CountAttempt(ctx, "only", "email", epoch, codes))
	oneWinner(t, "kill", func(int) error { return s.KillMailCodes(ctx, "only", 1) })
	budget := rules
	budget.MaxAlive, budget.MaxMails = 100, 6
	if won := race(t, add("budget", budget), dberr.Exhausted); won != 6 {
		t.Errorf("%d mails, want 6", won)
	}
	// Answers and successes at once: every success takes back its own count.
	race(t, func(int) error {
		id, err := s.CountAttempt(ctx, "mixed", "totp", epoch, attemptLimits)
		if err != nil {
			return err
		}
		return s.Succeeded(ctx, "mixed", id, twofactor.Spent{}, time.Time{})
	})
	if g := guard(t, s, "mixed"); g.Received != crowd || len(g.Recent) != 0 {
		t.Errorf("received %d, left %d", g.Received, len(g.Recent))
	}
}

func testRacesOnRest(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	if won := race(t, func(i int) error { return s.PutMail(ctx, item(fmt.Sprint("m", i), i, 0), 20) }, dberr.Exhausted); won != 20 {
		t.Errorf("%d mails put, want 20", won)
	}
	var mu sync.Mutex
	claimed := make(map[string]int)
	race(t, func(i int) error {
		it, err := s.ClaimMail(ctx, fmt.Sprint("n", i), minute(0), time.Hour)
		if err == nil {
			mu.Lock()
			claimed[it.ID]++
			mu.Unlock()
		}
		return err
	}, dberr.NotFound)
	if len(claimed) != 20 {
		t.Errorf("%d mails claimed, want 20", len(claimed))
	}
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	// Every batch of settings is seen whole.
	race(t, func(i int) error {
		if i%3 > 0 {
			return s.SaveSettings(ctx, []settings.Stored{stored("a", int64(i)), stored("b", int64(i)), stored("c", int64(i))})
		}
		return uniform(ctxSettings(t, s))
	})
	ok(t, uniform(ctxSettings(t, s)))

	// A reader that polls while a crowd appends is left out of nothing and
	// given nothing twice.
	_, cursor, err := s.EventsSince(ctx, "")
	ok(t, err)
	seen := make(map[string]int)
	poll := func() error {
		events, next, err := s.EventsSince(ctx, cursor)
		for _, e := range events {
			seen[e.ID]++
		}
		cursor = next
		return err
	}
	race(t, func(i int) error {
		if i == 0 {
			for range 10 {
				if err := poll(); err != nil {
					return err
				}
			}
			return nil
		}
		return s.AppendEvents(ctx, []feed.Event{{ID: fmt.Sprint("e", i), Node: "n", Kind: "kind", Key: "k", At: epoch}})
	})
	ok(t, poll())
	if len(seen) != crowd-1 {
		t.Errorf("%d events, want %d", len(seen), crowd-1)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was given %d times", id, n)
		}
	}
}

func ctxSettings(t testing.TB, s Core) ([]settings.Stored, error) { return s.Settings(t.Context()) }

// uniform fails when the settings that are always saved together differ.
func uniform(all []settings.Stored, err error) error {
	for _, v := range all {
		if v.Value != all[0].Value {
			return fmt.Errorf("half of a batch: %v", all)
		}
	}
	return err
}
