package methods_test

import (
	"testing"

	"ddpserver/internal/settings"
)

func TestLauncherConversations(t *testing.T) { play(t, "launcher.txtar", nil) }

// The order of docs/decisions.md 2.1: login, shape, target, code. No step tells anything
// of a later one.
func TestLauncherOrder(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.user("ada")
		digest := digestOf("ada")
		const name = "callWithTwoFactorRequired"
		if _, fail := w.connect().call(name, 5); fail.code() != "error-not-authorized" {
			t.Errorf("logged out: %s", fail.code())
		}
		c := w.as("ada")
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
			if _, fail := c.callRaw(name, params); fail.code() != "400" || fail.Reason != "Match failed" {
				t.Errorf("%s: %s %s", params, fail.code(), fail.Reason)
			}
		}
		for target, want := range map[string]string{
			"nope":  "Method 'nope' not found [404]",
			"":      "Method '' not found [404]",
			name:    "Method 'callWithTwoFactorRequired' cannot call itself [400]",
			"login": "Method 'login' cannot be called with callWithTwoFactorRequired [400]",
		} {
			if _, fail := c.call(name, launch(target, "wrong", "password")); fail == nil || fail.Message != want {
				t.Errorf("target %q: %+v", target, fail)
			}
		}
		// Nothing of the above was counted as an answer.
		if g, err := w.store.Guard(t.Context(), w.vars["ada"]); err != nil || g.Received != 0 {
			t.Errorf("%d answers were counted, %v", g.Received, err)
		}
		for _, code := range []string{"wrong", ""} {
			if _, fail := c.call(name, launch("test:echo", code, "password")); fail.code() != "totp-invalid" {
				t.Errorf("code %q for a method that asks for none: %s", code, fail.code())
			}
		}
		if res, fail := c.call(name, launch("test:echo", digest, "password", 1, "two")); fail != nil || string(res) != `[1,"two"]` {
			t.Errorf("%s %s", res, fail.code())
		}
	})
}

// Parameters as the documentation shows them: a list, or one object that counts
// as the only parameter; the factor's name may be left out.
func TestLauncherParams(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.user("ada")
		c, digest := w.as("ada"), digestOf("ada")
		for params, want := range map[string]string{
			`[]`:            `[]`,
			`[{"_id":"x"}]`: `[{"_id":"x"}]`,
			` {"_id":"x"} `: `[{"_id":"x"}]`,
			`{"$date":5}`:   `[{"$date":5}]`,
			`{}`:            `[{}]`,
			`[false,0,""]`:  `[false,0,""]`,
			`[{"twoFactorCode":"1","twoFactorMethod":"email"}]`: `[{"twoFactorCode":"1","twoFactorMethod":"email"}]`,
		} {
			res, fail := c.callRaw("callWithTwoFactorRequired", `[{"code":"`+digest+`","ddpMethod":"test:echo","params":`+params+`,"unknown":1}]`)
			if fail != nil || string(res) != want {
				t.Errorf("%s arrives as %s (%s)", params, res, fail.code())
			}
		}
	})
}

// S047: a launcher grants nothing that its target does not: login, permission,
// limit and factor are the target's own, and it is counted under its own name.
func TestLauncherGrantsNothing(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.user("ada")
		c, digest := w.as("ada"), digestOf("ada")
		if _, fail := c.call("callWithTwoFactorRequired", launch("test:admin", digest, "password")); fail.code() != "error-not-allowed" {
			t.Errorf("permission: %s", fail.code())
		}
		if _, fail := c.call("callWithTwoFactorRequired", launch("saveSettings", digest, "password", []any{})); fail.code() != "error-action-not-allowed" {
			t.Errorf("permission: %s", fail.code())
		}
		if res, fail := c.call("callWithTwoFactorRequired", launch("test:required", digest, "password")); fail != nil {
			t.Errorf("factor: %s %s", res, fail.code())
		}
		for i := range 10 {
			if _, fail := c.call("test:echo"); fail != nil {
				t.Fatalf("call %d: %s", i+1, fail.code())
			}
		}
		if _, fail := c.call("callWithTwoFactorRequired", launch("test:echo", digest, "password")); fail.code() != "too-many-requests" {
			t.Errorf("limit: %s", fail.code())
		}
		if n := w.metrics.of("test:required ok"); n != 1 {
			t.Errorf("the target was counted %d times under its own name", n)
		}
		found := false
		for _, e := range w.logs.FilterMessage("call").All() {
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
		w.unlimited()
		w.user("ada", "email2fa")
		c := w.as("ada")
		if _, fail := c.call("test:late"); fail.code() != "totp-required" {
			t.Fatalf("%s", fail.code())
		}
		code := w.mails.last()
		if res, fail := c.call("callWithTwoFactorRequired", launch("test:late", code, "email")); fail != nil || string(res) != `"in"` {
			t.Fatalf("%s", fail.code())
		}
		if _, fail := c.call("callWithTwoFactorRequired", launch("test:echo", code, "email")); fail.code() != "totp-invalid" {
			t.Errorf("a spent code: %s", fail.code())
		}
	})
}

// Where there is nothing to compare a code with, none is accepted; with second
// factors off, none is needed.
func TestLauncherWithoutFactor(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.unlimited()
		w.user("ada")
		c := w.as("ada")
		w.set(settings.TwoFactorPasswordFallback, false)
		if _, fail := c.call("callWithTwoFactorRequired", launch("test:echo", "123456", "email")); fail.code() != "totp-invalid" {
			t.Errorf("%s", fail.code())
		}
		w.set(settings.TwoFactorEnabled, false)
		if _, fail := c.call("callWithTwoFactorRequired", launch("test:echo", "123456", "email")); fail != nil {
			t.Errorf("%s", fail.code())
		}
	})
}
