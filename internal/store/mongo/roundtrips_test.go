package mongo_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// TestRoundTrips bounds what the operations of a login and of an answer cost: each
// command is a round trip to the primary. When an operation expressed its rule in
// one command, the login below took 17.
func TestRoundTrips(t *testing.T) {
	now := time.Now()
	s, server, _ := start(t, mongo.Options{Now: func() time.Time { return now }})
	createAnn(t, s)
	budgets := []accounts.Budget{{Key: accounts.TriesKey("ann"), Most: 100, Window: time.Hour, InRow: 100},
		{Key: "address/x", Most: 100, Window: time.Hour, Keep: time.Hour}}
	token := func(ctx context.Context) error {
		_, err := s.UpdateUser(ctx, "ann", user.Change{AddToken: &user.LoginToken{HashedToken: "h2", When: now}, At: now})
		return err
	}
	logout := func(ctx context.Context) error {
		_, err := s.UpdateUser(ctx, "ann", user.Change{RemoveToken: "h2", At: now})
		return err
	}
	use := func(ctx context.Context) error { return s.UseToken(ctx, "ann", "h", user.Use{At: now}) }
	step := func(ctx context.Context) error { return s.UseTOTPStep(ctx, "ann", "s", now.Unix()) }
	backup := func(ctx context.Context) error { return s.UseBackupCode(ctx, "ann", "b") }
	trust := func(ctx context.Context) error { return s.SetTrust(ctx, "ann", "h", "f", "totp", now) }
	count := func(ctx context.Context) error {
		_, err := s.CountAttempt(ctx, "ann", "totp", now, limits)
		return err
	}
	right := func(ctx context.Context) error { return s.Succeeded(ctx, "ann", "x", twofactor.Spent{}, time.Time{}) }
	mail := func(ctx context.Context) error {
		_, err := s.AddMailCode(ctx, "ann", twofactor.MailCode{Digest: "d", Expire: now.Add(time.Hour)}, now,
			twofactor.MailRules{MaxAlive: 5, MaxMails: 50, Window: time.Hour})
		return err
	}
	tries := func(ctx context.Context) error { return s.CountTries(ctx, "2", now, budgets) }
	end := func(ctx context.Context) error { return s.EndTries(ctx, "2", budgets, true) }
	known := func(ctx context.Context) error {
		return s.AddSource(ctx, budgets[0].Key, "d", now, now.Add(-time.Hour), 10)
	}
	type steps = []func(context.Context) error
	for _, do := range (steps{count, tries}) { // from here on every document is there
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var commands atomic.Int64
	server.Watch(func(string, []byte) { commands.Add(1) })
	for _, c := range []struct {
		what string
		most int64
		do   steps
	}{
		{"a new login token", 2, steps{token}}, {"a logout", 2, steps{logout}}, {"the use of a token", 2, steps{use}},
		{"a right code", 2, steps{step}}, {"a backup code", 2, steps{backup}}, {"trust", 2, steps{trust}},
		{"a counted answer", 2, steps{count}}, {"the end of a row of answers", 2, steps{right}}, {"a code by mail", 2, steps{mail}},
		{"a counted password", 4, steps{tries}}, {"a right password", 4, steps{end}}, {"a known address", 2, steps{known}},
		{"a login with a password and a code", 14, steps{tries, end, count, step, right, trust, token, known}},
	} {
		now = now.Add(time.Minute) // nothing is remembered of the one before
		commands.Store(0)
		for _, do := range c.do {
			if err := do(t.Context()); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
		}
		n := commands.Load()
		t.Logf("%s: %d commands", c.what, n)
		if n > c.most {
			t.Errorf("%s takes %d commands, want at most %d", c.what, n, c.most)
		}
	}
}
