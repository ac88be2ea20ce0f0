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
// command is a round trip to the primary.
func TestRoundTrips(t *testing.T) {
	s, server, _ := start(t, mongo.Options{})
	createAnn(t, s)
	now := time.Now()
	budgets := []accounts.Budget{{Key: accounts.TriesKey("ann"), Most: 100, Window: time.Hour, InRow: 100}, {Key: "address/x", Most: 100, Window: time.Hour, Keep: time.Hour}}
	count := func(ctx context.Context) error {
		_, err := s.CountAttempt(ctx, "ann", "totp", now, limits)
		return err
	}
	for range 2 { // the second time every document is there
		if err := count(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.CountTries(t.Context(), "1", now, budgets); err != nil {
			t.Fatal(err)
		}
	}
	var commands atomic.Int64
	server.Watch(func(string, []byte) { commands.Add(1) })
	for _, c := range []struct {
		what string
		most int64
		do   func(ctx context.Context) error
	}{
		{"a new login token", 2, func(ctx context.Context) error {
			_, err := s.UpdateUser(ctx, "ann", user.Change{AddToken: &user.LoginToken{HashedToken: "h2", When: now}, At: now})
			return err
		}},
		{"a logout", 2, func(ctx context.Context) error {
			_, err := s.UpdateUser(ctx, "ann", user.Change{RemoveToken: "h2", At: now})
			return err
		}},
		{"the use of a token", 2, func(ctx context.Context) error { return s.UseToken(ctx, "ann", "h", now) }},
		{"a right code", 2, func(ctx context.Context) error { return s.UseTOTPStep(ctx, "ann", "s", 7) }},
		{"a backup code", 2, func(ctx context.Context) error { return s.UseBackupCode(ctx, "ann", "b") }},
		{"trust", 2, func(ctx context.Context) error { return s.SetTrust(ctx, "ann", "h", "f", now) }},
		{"a counted answer", 2, count},
		{"the end of a row of answers", 2, func(ctx context.Context) error { return s.Succeeded(ctx, "ann", "x") }},
		{"a code by mail", 2, func(ctx context.Context) error {
			_, err := s.AddMailCode(ctx, "ann", twofactor.MailCode{Digest: "d", Expire: now.Add(time.Hour)}, now, twofactor.MailRules{MaxAlive: 5, MaxMails: 50, Window: time.Hour})
			return err
		}},
		{"a counted password", 4, func(ctx context.Context) error { return s.CountTries(ctx, "2", now, budgets) }},
		{"a right password", 4, func(ctx context.Context) error { return s.EndTries(ctx, "2", budgets, true) }},
		{"a known address", 2, func(ctx context.Context) error {
			return s.AddSource(ctx, budgets[0].Key, "d", now, now.Add(-time.Hour), 10)
		}},
	} {
		commands.Store(0)
		if err := c.do(t.Context()); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		n := commands.Load()
		t.Logf("%s: %d commands", c.what, n)
		if n > c.most {
			t.Errorf("%s takes %d commands, want at most %d", c.what, n, c.most)
		}
	}
}
