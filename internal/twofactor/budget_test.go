package twofactor_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// ledger writes down, at the store, when answers were counted and compared.
type ledger struct {
	twofactor.Store
	counted  map[string][]time.Time // by source
	compared int
}

func (l *ledger) CountAttempt(ctx context.Context, userID, factor string, now time.Time, lim twofactor.Limits) (string, error) {
	id, err := l.Store.CountAttempt(ctx, userID, factor, now, lim)
	if err == nil {
		if l.counted == nil {
			l.counted = make(map[string][]time.Time)
		}
		l.counted[lim.Source] = append(l.counted[lim.Source], time.Now())
	}
	return id, err
}

func (l *ledger) UseTOTPStep(ctx context.Context, userID, secret string, step int64) error {
	l.compared++
	return l.Store.UseTOTPStep(ctx, userID, secret, step)
}

func (l *ledger) UseMailCode(ctx context.Context, userID, digest, purpose string, now time.Time) error {
	l.compared++
	return l.Store.UseMailCode(ctx, userID, digest, purpose, now)
}

// S027: whatever a guesser does, who has the password, a session and patience
// but no factor, at most ten answers are counted in any hour in sessions, ten more
// at the login, and nothing is compared that was not counted.
func TestS027Property(t *testing.T) {
	names := slices.Sorted(maps.Keys(guesses(nil, nil)))
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"mail", "app", "both"}).Draw(rt, "account")
		moves := rapid.SliceOfN(rapid.SampledFrom(names), 20, 60).Draw(rt, "moves")
		var trouble string
		bubble(t, func(t *testing.T, w *world) { trouble = w.guessing(kind, moves) })
		if trouble != "" {
			rt.Fatal(trouble)
		}
	})
}

// guessing plays the moves and says what went wrong.
func (w *world) guessing(kind string, moves []string) string {
	w.Set(settings.TwoFactorRememberFor, 0)
	a := w.account("alice")
	if kind != "app" {
		if err := w.setEmail(ctx, a.ask(), true); err != nil {
			return err.Error()
		}
	}
	if kind != "mail" {
		a.enrol()
	}
	l := &ledger{Store: w.Store}
	can := guesses(w.service(l), a)
	for _, name := range moves {
		can[name]()
	}
	total := 0
	for source, counted := range l.counted {
		total += len(counted)
		for i, from := range counted {
			if i+10 < len(counted) && counted[i+10].Sub(from) < time.Hour {
				return fmt.Sprintf("11 answers from %q within %v", source, counted[i+10].Sub(from))
			}
		}
	}
	if l.compared > total || len(l.counted) > 2 {
		return fmt.Sprintf("%d comparisons of %d counted answers from %d sources", l.compared, total, len(l.counted))
	}
	return ""
}

// guesses are the moves of somebody without a factor.
func guesses(svc *twofactor.Service, a *account) map[string]func() {
	guess := func(change ...func(*twofactor.Request)) {
		_ = svc.Check(ctx, a.ask(append(change, code(a.wrong()))...))
	}
	return map[string]func(){
		"guess":           func() { guess() },
		"guess by mail":   func() { guess(method("email")) },
		"guess by app":    func() { guess(method("totp")) },
		"guess at login":  func() { guess(policy(twofactor.Login), token("")) },
		"password":        func() { _ = svc.Check(ctx, a.ask(code(digest), method("password"))) },
		"prompt":          func() { _ = svc.Check(ctx, a.ask()) },
		"prompt by mail":  func() { _ = svc.Check(ctx, a.ask(method("email"))) },
		"new code":        func() { _, _ = svc.SendCode(ctx, a.ask(), a.name()) },
		"disable":         func() { _, _ = svc.Disable(ctx, a.ask(code(a.wrong()))) },
		"regenerate":      func() { _, _ = svc.Regenerate(ctx, a.ask(code("ABCDEFGH"))) },
		"enrol":           func() { _, _ = svc.Enrol(ctx, a.ask(code(a.wrong()))) },
		"first code":      func() { _, _ = svc.Confirm(ctx, a.ask(code(a.wrong()))) },
		"switch mail":     func() { _ = setEmail(ctx, svc, a.ask(code(a.wrong())), true) },
		"switch mail off": func() { _ = setEmail(ctx, svc, a.ask(code(a.wrong())), false) },
		"wait":            func() { time.Sleep(time.Minute) },
		"wait long":       func() { time.Sleep(12 * time.Minute) },
	}
}
