package methods_test

import (
	"slices"
	"testing"
	"time"

	"ddpserver/internal/settings"
)

// Every call that can be put under a second factor, with a code that was mailed for
// it, through each way to give a code: the call passes; every call next to it in the
// surface refuses the same code and mails one of its own (A21).
func TestA21EveryCallHasItsOwnCode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.set(settings.TwoFactorProtectedCalls, "*")
		w.set(settings.TwoFactorRememberFor, 0)
		w.set(settings.TwoFactorMailsPerAddress, 10_000)
		w.user("alice", "email2fa")
		c := w.as("alice")
		// later is a new hour, for the budgets, and so a new connection.
		later := func() {
			token := c.token
			c.close()
			time.Sleep(2 * time.Hour)
			c = w.connect()
			if _, fail := c.call("login", map[string]any{"resume": token}); fail != nil {
				t.Fatal(fail)
			}
			c.token = token
		}
		var asked []string
		for _, s := range w.router.Specs() {
			if s.Anonymous || s.Permission != "" || s.Name == "callWithTwoFactorRequired" {
				continue
			}
			if _, fail := c.call(s.Name); fail.code() == "totp-required" {
				asked = append(asked, s.Name)
			}
			later()
		}
		if least := map[bool]int{true: 30, false: 15}[withRooms]; len(asked) < least {
			t.Fatalf("only %d calls ask: %q", len(asked), asked)
		}
		launch := func(name, code string) string {
			_, fail := c.call("callWithTwoFactorRequired", map[string]any{"code": code, "ddpMethod": name, "params": []any{nil, nil, "x", "y", 5, 6}})
			return fail.code()
		}
		trailing := func(name, code string) string {
			_, fail := c.call(name, nil, nil, "x", "y", 5, 6, map[string]any{"twoFactorCode": code, "twoFactorMethod": "email"})
			return fail.code()
		}
		action := func(name string) string { s, _ := w.router.Spec(name); return s.Action }
		for i, name := range asked {
			give := []func(string, string) string{launch, trailing}[i%2]
			next := i + 1
			for action(asked[next%len(asked)]) == action(name) { // a code is for the action, whichever call does it
				next++
			}
			other := asked[next%len(asked)]
			if _, fail := c.call(name); fail.code() != "totp-required" {
				t.Errorf("%s: %s", name, fail.code())
				continue
			}
			code, n := w.mails.last(), w.mails.count()
			if got := give(other, code); got != "totp-invalid" || w.mails.count() != n+1 {
				t.Errorf("the code of %s for %s: %q, %d mails", name, other, got, w.mails.count()-n)
			}
			// The parameters are nonsense: whatever the handler says, the factor passed.
			if got := give(name, code); slices.Contains([]string{"totp-required", "totp-invalid", "totp-max-attempts", "too-many-requests"}, got) {
				t.Errorf("the code of %s for itself: %q", name, got)
			}
			later()
		}
	})
}
