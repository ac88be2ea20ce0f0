package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// Over REST a passkey is added, named, asked for, answered in the headers and logged in
// with, and an answer is good for its request: its path, its query and its body.
func TestPasskeysOverREST(t *testing.T) {
	w := newWorld(t, map[string]string{
		settings.TwoFactorRememberFor: "0", settings.LimitRESTEnabled: "false", settings.LimitUserByMethodEnabled: "false",
	})
	ada := w.Account("ada", "admin")
	c := w.Login("ada")
	o := c.Proven().OK("POST", "users.webauthn.registrationOptions", map[string]any{"mode": "addCredential"})
	text, err := w.Device().Create(o.Body["publicKey"])
	if err != nil {
		t.Fatal(err)
	}
	created := map[string]any{"credential": testkit.Unmarshal[map[string]any](t, []byte(text)), "name": "Desk"}
	key := c.OK("POST", "users.webauthn.register", created).Doc("credential")
	if key["name"] != "Desk" || !strings.Contains(c.OK("GET", "users.webauthn.list", nil).Raw, `"Desk"`) {
		t.Errorf("%v", key)
	}
	challenge := func(c *client, path string, body any) string {
		t.Helper()
		a := c.With("x-2fa-method", "webauthn").Do("POST", path, body)
		details, _ := json.Marshal(a.Details())
		text := w.AnswerOf(details)
		if a.Status != 400 || a.ErrorType() != "totp-required" || text == "" {
			t.Fatalf("no challenge: %s", a.Raw)
		}
		return text
	}
	give := func(text, path string, body any) string {
		t.Helper()
		return c.With("x-2fa-method", "webauthn").With("x-2fa-code", text).Do("POST", path, body).ErrorType()
	}
	name := func(v string) map[string]any { return map[string]any{"value": v} }
	answer := challenge(c, "settings/Site_Name", name("one"))
	for what, got := range map[string]string{
		"another body": give(answer, "settings/Site_Name", name("two")), "another path": give(answer, "settings/Site_Url", name("one")),
		"another route": give(answer, "users.2fa.enableEmail", nil),
	} {
		if got != "totp-invalid" {
			t.Errorf("%s: %q", what, got)
		}
	}
	if got := give(answer, "settings/Site_Name", name("one")); got != "" || w.Settings.String(settings.SiteName) != "one" {
		t.Errorf("its own request: %q", got)
	}
	if got := give(answer, "settings/Site_Name", name("one")); got != "totp-invalid" {
		t.Errorf("again: %q", got)
	}
	stranger := w.Caller()
	o = stranger.OK("POST", "login.webauthn.options", map[string]any{"mode": "login"})
	alone, err := w.Device().Get(o.Body["publicKey"])
	if err != nil {
		t.Fatal(err)
	}
	object := testkit.Unmarshal[map[string]any](t, []byte(alone))
	in := stranger.OK("POST", "login", map[string]any{"webauthn": object})
	if data := in.Doc("data"); data["userId"] != ada.ID || data["authToken"] == "" {
		t.Errorf("%s", in.Raw)
	}
	if a := stranger.Do("POST", "login", map[string]any{"webauthn": object}); a.Status != 401 || !strings.Contains(a.Raw, "invalid-webauthn-assertion") {
		t.Errorf("again: %s", a.Raw)
	}
}
