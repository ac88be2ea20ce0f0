package methods_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// answering gives the answer of the device to a challenge for a passkey.
func (w *world) answering(fail *failure) map[string]any {
	w.T.Helper()
	text := w.AnswerOf(fail.Details)
	if text == "" {
		w.T.Fatalf("no challenge: %s %s", fail.Code(), fail.Details)
	}
	return map[string]any{"twoFactorCode": text, "twoFactorMethod": "webauthn"}
}

// A call that the list puts under a passkey takes nothing else: no code, no trust that a
// code earned, no bypass, through no door. Trust that a passkey earned does.
func TestProtectedCallsDemandAPasskey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		play := factorPlay{w}
		for name, traits := range map[string][]string{"both": {"totp", "webauthn", "admin"}, "app": {"totp", "admin"}} {
			if err := play.account(w.Vars, name, traits...); err != nil {
				t.Fatal(err)
			}
		}
		in := func(token string) *client {
			c := w.Connect()
			if _, fail := c.Call("login", map[string]any{"resume": w.Vars[token]}); fail != nil {
				t.Fatal(fail.Code())
			}
			return c
		}
		typed := map[string]any{"twoFactorCode": play.right(t, "totp", "both", nil), "twoFactorMethod": "totp"}
		both, bot := in("both1"), in("bothbypass")
		if _, fail := both.Call("saveSetting", "Site_Name", "x", typed); fail != nil {
			t.Fatal(fail.Code())
		}
		w.Set(settings.TwoFactorProtectedCalls, "saveSetting = webauthn")
		save := func(c *client, more ...any) *failure {
			_, fail := c.Call("saveSetting", append([]any{"Site_Name", "y"}, more...)...)
			return fail
		}
		for name, c := range map[string]*client{"trust of a code": both, "a bypass": bot} {
			if fail := save(c); fail.Code() != "totp-required" || w.AnswerOf(fail.Details) == "" {
				t.Errorf("%s: %s", name, fail.Code())
			}
		}
		app := in("app1")
		code := map[string]any{"twoFactorCode": play.right(t, "totp", "app", nil), "twoFactorMethod": "totp"}
		if fail := save(app, code); fail.Code() != "error-no-factor-for-call" {
			t.Errorf("who has no passkey: %s", fail.Code())
		}
		if fail := save(both, map[string]any{"twoFactorCode": "000000", "twoFactorMethod": "totp"}); fail.Code() != "totp-required" {
			t.Errorf("a code where none counts: %s", fail.Code())
		}
		_, fail := both.Call("callWithTwoFactorRequired", map[string]any{
			"code": "000000", "ddpMethod": "saveSetting", "method": "totp", "params": []any{"Site_Name", "z"},
		})
		if fail.Code() != "totp-required" {
			t.Errorf("through the launcher: %s", fail.Code())
		}
		if fail := save(both, w.answering(save(both))); fail != nil {
			t.Errorf("the passkey: %s", fail.Code())
		}
		if fail := save(both); fail != nil {
			t.Errorf("trust that the passkey earned: %s", fail.Code())
		}
		if w.Settings.String(settings.SiteName) != "y" {
			t.Error("not saved")
		}
		// What shuts a call to everybody is not saved. Where it comes from elsewhere, the call
		// stays shut, and its words name the way out.
		for _, id := range []string{settings.TwoFactorByWebAuthn, settings.TwoFactorEnabled} {
			_, fail := both.Call("saveSetting", id, false)
			_, fail = both.Call("saveSetting", id, false, w.answering(fail))
			if fail.Code() != "error-invalid-setting-value" || !strings.Contains(string(fail.Details), "shut to everybody") {
				t.Errorf("%s switched off beside the demand: %s %s", id, fail.Code(), fail.Details)
			}
		}
		w.storeSettings(map[string]any{settings.TwoFactorByWebAuthn: false})
		typed = map[string]any{"twoFactorCode": play.right(t, "totp", "app", nil), "twoFactorMethod": "totp"}
		wayOut := "OVERWRITE_SETTING_" + settings.TwoFactorProtectedCalls
		if fail := save(app, typed); fail.Code() != "error-no-factor-for-call" || !strings.Contains(fail.Reason, wayOut) {
			t.Errorf("where nobody can have a passkey: %s %s", fail.Code(), fail.Reason)
		}
		w.storeSettings(map[string]any{settings.TwoFactorProtectedCalls: ""}) // as the environment would
		if fail := save(app, typed); fail != nil {
			t.Errorf("without the demand: %s", fail.Code())
		}
	})
}

// An account of a role that must have a passkey sets one up with what it has, and is asked
// for nothing else from then on, at login too.
func TestRolesDemandAPasskey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		play := factorPlay{w}
		if err := play.account(w.Vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		w.Set(settings.TwoFactorMandatoryRoles, "admin:webauthn")
		w.Set(settings.TwoFactorProtectedCalls, "* = webauthn") // not even this keeps the way to a passkey closed
		c := w.Connect()
		if _, fail := c.Call("login", map[string]any{"resume": w.Vars["root1"]}); fail != nil {
			t.Fatal(fail.Code())
		}
		if _, fail := c.Call("saveSetting", "Site_Name", "x"); fail.Code() != "error-two-factor-setup-required" {
			t.Errorf("without one: %s", fail.Code())
		}
		typed := map[string]any{"twoFactorCode": play.right(t, "totp", "root", nil), "twoFactorMethod": "totp"}
		raw, fail := c.Call("generateWebAuthnRegistrationOptions", map[string]any{"mode": "addCredential"}, typed)
		if fail != nil {
			t.Fatal(fail.Code())
		}
		text, err := w.Device().Create([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if _, fail := c.Call("registerWebAuthnCredential", map[string]any{"credential": testkit.Unmarshal[map[string]any](t, []byte(text))}); fail != nil {
			t.Fatal(fail.Code())
		}
		_, fail = c.Call("saveSetting", "Site_Name", "x")
		if _, fail := c.Call("saveSetting", "Site_Name", "x", w.answering(fail)); fail != nil {
			t.Errorf("with one: %s", fail.Code())
		}
		login := map[string]any{"user": map[string]any{"username": "root"}, "password": "password"}
		other := w.Connect()
		_, fail = other.Call("login", login)
		var d struct{ AvailableMethods []string }
		if err := json.Unmarshal(fail.Details, &d); err != nil || len(d.AvailableMethods) != 1 || d.AvailableMethods[0] != "webauthn" {
			t.Errorf("the login offers %s", fail.Details)
		}
		if _, fail := other.Call("login", login, w.answering(fail)); fail != nil {
			t.Errorf("the login: %s", fail.Code())
		}
	})
}

// A22: whatever demand of every call can be saved, whichever factors the server has
// switched on, an account that has none of what is demanded can set one up.
func TestA22ADemandThatIsSavedCanBeMet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		play := factorPlay{w}
		callers := map[string]*client{}
		for _, name := range []string{"nothing", "email", "totp"} {
			traits := []string{name}
			if name == "nothing" {
				traits = nil
			}
			if err := play.account(w.Vars, name, traits...); err != nil {
				t.Fatal(err)
			}
			callers[name] = w.Connect()
			if _, fail := callers[name].Call("login", map[string]any{"resume": w.Vars[name+"1"]}); fail != nil {
				t.Fatal(fail.Code())
			}
		}
		saved := 0
		for n := range 8 {
			app, keys, mail := n&1 > 0, n&2 > 0, n&4 > 0
			for _, factor := range []string{"totp", "webauthn"} {
				w.storeSettings(map[string]any{settings.TwoFactorByTOTP: app, settings.TwoFactorByWebAuthn: keys, settings.TwoFactorByEmail: mail,
					settings.TwoFactorProtectedCalls: ""})
				_, err := w.Settings.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorProtectedCalls, Value: "* = " + factor}})
				if err != nil {
					continue
				}
				saved++
				for name, c := range callers {
					_, key := c.Call("generateWebAuthnRegistrationOptions", map[string]any{"mode": "addCredential"})
					_, code := c.Call("2fa:enable")
					has := name == "totp" && app && factor == "totp"
					way := keys && key.Code() == "totp-required" || app && factor == "totp" && code.Code() == "totp-required"
					if !has && !way {
						t.Errorf("app %v, passkeys %v, mail %v, every call = %s: who has %s adds a passkey: %q, an app: %q",
							app, keys, mail, factor, name, key.Code(), code.Code())
					}
				}
			}
		}
		if saved != 10 {
			t.Errorf("%d demands were saved", saved)
		}
	})
}
