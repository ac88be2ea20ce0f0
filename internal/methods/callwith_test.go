package methods_test

import (
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

func TestLauncherConversations(t *testing.T) { play(t, "launcher.txtar") }

// The order of docs/decisions.md 2.1: login, shape, target, code. No step tells anything
// of a later one.
func TestLauncherOrder(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		digest := testkit.DigestOf("ada")
		const name = "callWithTwoFactorRequired"
		if _, fail := w.Connect().Call(name, 5); fail.Code() != "error-not-authorized" {
			t.Errorf("logged out: %s", fail.Code())
		}
		c := w.As("ada")
		for _, params := range []string{
			`[]`, `[null]`, `[5]`, `["test:echo"]`, `[[]]`, `[{}]`,
			`[{"code":"1","ddpMethod":"nope"}]`,
			`[{"ddpMethod":"nope","params":[]}]`,
			`[{"code":"1","params":[]}]`,
			`[{"code":1,"ddpMethod":"nope","params":[]}]`,
			`[{"code":null,"ddpMethod":"nope","params":[]}]`,
			`[{"code":"1","ddpMethod":{"$ne":1},"params":[]}]`,
			`[{"code":"1","ddpMethod":"nope","method":5,"params":[]}]`,
			`[{"code":"1","ddpMethod":"nope","params":5}]`,
			`[{"code":"1","ddpMethod":"nope","params":"[]"}]`,
			`[{"code":"1","ddpMethod":"nope","params":null}]`,
			`[{"code":"1","ddpMethod":"nope","params":[]},1]`,
		} {
			if _, fail := c.CallRaw(name, params); fail.Code() != "400" || fail.Reason != "Match failed" {
				t.Errorf("%s: %s %s", params, fail.Code(), fail.Reason)
			}
		}
		for target, want := range map[string]string{
			"nope":  "Method 'nope' not found [404]",
			"":      "Method '' not found [404]",
			name:    "Method 'callWithTwoFactorRequired' cannot call itself [400]",
			"login": "Method 'login' cannot be called with callWithTwoFactorRequired [400]",
		} {
			if _, fail := c.Call(name, launch(target, "wrong", "password")); fail == nil || fail.Message != want {
				t.Errorf("target %q: %+v", target, fail)
			}
		}
		// Nothing of the above was counted as an answer.
		if g, err := w.Store.Guard(t.Context(), w.Vars["ada"]); err != nil || g.Received != 0 {
			t.Errorf("%d answers were counted, %v", g.Received, err)
		}
		for code, want := range map[string]string{"wrong": "totp-invalid", "": "totp-required"} {
			if _, fail := c.Call(name, launch("test:echo", code, "password")); fail.Code() != want {
				t.Errorf("code %q for a method that asks for none: %s", code, fail.Code())
			}
		}
		if res, fail := c.Call(name, launch("test:echo", digest, "password", 1, "two")); fail != nil || string(res) != `[1,"two"]` {
			t.Errorf("%s %s", res, fail.Code())
		}
	})
}

// Parameters as the documentation shows them: a list, or one object that counts
// as the only parameter; the factor's name may be left out.
func TestLauncherParams(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c, digest := w.As("ada"), testkit.DigestOf("ada")
		for params, want := range map[string]string{
			`[]`:            `[]`,
			`[{"_id":"x"}]`: `[{"_id":"x"}]`,
			` {"_id":"x"} `: `[{"_id":"x"}]`,
			`{"$date":5}`:   `[{"$date":5}]`,
			`{}`:            `[{}]`,
			`[false,0,""]`:  `[false,0,""]`,
			`[{"twoFactorCode":"1","twoFactorMethod":"email"}]`: `[{"twoFactorCode":"1","twoFactorMethod":"email"}]`,
		} {
			res, fail := c.CallRaw("callWithTwoFactorRequired", `[{"code":"`+digest+`","ddpMethod":"test:echo","params":`+params+`,"unknown":1}]`)
			if fail != nil || string(res) != want {
				t.Errorf("%s arrives as %s (%s)", params, res, fail.Code())
			}
		}
	})
}

// S047: a launcher grants nothing that its target does not: login, permission,
// limit and factor are the target's own, and it is counted under its own name.
func TestLauncherGrantsNothing(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.User("ada")
		c, digest := w.As("ada"), testkit.DigestOf("ada")
		if _, fail := c.Call("callWithTwoFactorRequired", launch("test:admin", digest, "password")); fail.Code() != "error-not-allowed" {
			t.Errorf("permission: %s", fail.Code())
		}
		if _, fail := c.Call("callWithTwoFactorRequired", launch("saveSettings", digest, "password", []any{})); fail.Code() != "error-action-not-allowed" {
			t.Errorf("permission: %s", fail.Code())
		}
		if res, fail := c.Call("callWithTwoFactorRequired", launch("test:required", digest, "password")); fail != nil {
			t.Errorf("factor: %s %s", res, fail.Code())
		}
		for i := range 10 {
			if _, fail := c.Call("test:echo"); fail != nil {
				t.Fatalf("call %d: %s", i+1, fail.Code())
			}
		}
		if _, fail := c.Call("callWithTwoFactorRequired", launch("test:echo", digest, "password")); fail.Code() != "too-many-requests" {
			t.Errorf("limit: %s", fail.Code())
		}
		if n := w.Metrics.Of("test:required", "ok"); n != 1 {
			t.Errorf("the target was counted %d times under its own name", n)
		}
		found := false
		for _, e := range w.Logs.FilterMessage("call").All() {
			m := e.ContextMap()
			found = found || m["method"] == "test:required" && m["via"] == "callWithTwoFactorRequired"
		}
		if !found {
			t.Error("the record does not name the target and the launcher")
		}
	})
}

// A mailed code is spent once, also when the target asks again.
func TestLauncherSpendsOnce(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada", "email2fa")
		c := w.As("ada")
		if _, fail := c.Call("test:late"); fail.Code() != "totp-required" {
			t.Fatalf("%s", fail.Code())
		}
		code := w.Mails.Last()
		if res, fail := c.Call("callWithTwoFactorRequired", launch("test:late", code, "email")); fail != nil || string(res) != `"in"` {
			t.Fatalf("%s", fail.Code())
		}
		if _, fail := c.Call("callWithTwoFactorRequired", launch("test:echo", code, "email")); fail.Code() != "totp-invalid" {
			t.Errorf("a spent code: %s", fail.Code())
		}
	})
}

// Where there is nothing to compare a code with, none is accepted; with second
// factors off, none is needed.
func TestLauncherWithoutFactor(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c := w.As("ada")
		w.Set(settings.TwoFactorPasswordFallback, false)
		if _, fail := c.Call("callWithTwoFactorRequired", launch("test:echo", "123456", "email")); fail.Code() != "totp-invalid" {
			t.Errorf("%s", fail.Code())
		}
		w.Set(settings.TwoFactorEnabled, false)
		if _, fail := c.Call("callWithTwoFactorRequired", launch("test:echo", "123456", "email")); fail != nil {
			t.Errorf("%s", fail.Code())
		}
	})
}
