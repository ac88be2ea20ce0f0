package methods_test

import (
	"slices"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// Every call that can be put under a second factor, with a code that was mailed for
// it, through each way to give a code: the call passes; every call next to it in the
// surface refuses the same code and mails one of its own (A21).
func TestA21EveryCallHasItsOwnCode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.Set(settings.TwoFactorProtectedCalls, "*")
		w.Set(settings.TwoFactorRememberFor, 0)
		w.Set(settings.TwoFactorMailsPerAddress, 10_000)
		w.User("alice", "email2fa")
		c := w.As("alice")
		// later is a new hour, for the budgets, and so a new connection.
		later := func() {
			token := c.Token
			c.Close()
			time.Sleep(2 * time.Hour)
			c = w.Connect()
			if _, fail := c.Call("login", map[string]any{"resume": token}); fail != nil {
				t.Fatal(fail)
			}
			c.Token = token
		}
		var asked []string
		for _, s := range w.Router.Specs() {
			if s.Anonymous || s.Permission != "" || s.Name == "callWithTwoFactorRequired" {
				continue
			}
			if _, fail := c.Call(s.Name); fail.Code() == "totp-required" {
				asked = append(asked, s.Name)
			}
			later()
		}
		if least := map[bool]int{true: 30, false: 15}[testkit.WithRooms]; len(asked) < least {
			t.Fatalf("only %d calls ask: %q", len(asked), asked)
		}
		launch := func(name, code string) string {
			_, fail := c.Call("callWithTwoFactorRequired", map[string]any{"code": code, "ddpMethod": name, "params": []any{nil, nil, "x", "y", 5, 6}})
			return fail.Code()
		}
		trailing := func(name, code string) string {
			_, fail := c.Call(name, nil, nil, "x", "y", 5, 6, map[string]any{"twoFactorCode": code, "twoFactorMethod": "email"})
			return fail.Code()
		}
		action := func(name string) string { s, _ := w.Router.Spec(name); return s.Action }
		for i, name := range asked {
			give := []func(string, string) string{launch, trailing}[i%2]
			next := i + 1
			for action(asked[next%len(asked)]) == action(name) { // a code is for the action, whichever call does it
				next++
			}
			other := asked[next%len(asked)]
			if _, fail := c.Call(name); fail.Code() != "totp-required" {
				t.Errorf("%s: %s", name, fail.Code())
				continue
			}
			code, n := w.Mails.Last(), w.Mails.Count()
			if got := give(other, code); got != "totp-invalid" || w.Mails.Count() != n+1 {
				t.Errorf("the code of %s for %s: %q, %d mails", name, other, got, w.Mails.Count()-n)
			}
			// The parameters are nonsense: whatever the handler says, the factor passed.
			if got := give(name, code); slices.Contains([]string{"totp-required", "totp-invalid", "totp-max-attempts", "too-many-requests"}, got) {
				t.Errorf("the code of %s for itself: %q", name, got)
			}
			later()
		}
	})
}
