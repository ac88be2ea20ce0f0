//go:build !norooms

package rest_test

import (
	"strings"
	"testing"

	"ddpserver/internal/settings"
)

// A route and the method that it stands for are one call to a mailed code, in both
// directions and through method.call; a code is no good for another route (A21).
func TestA21AMethodAndItsRouteShareACode(t *testing.T) {
	w := newWorld(t, map[string]string{settings.TwoFactorRememberFor: "0", settings.TwoFactorMailsPerHour: "100",
		settings.TwoFactorProtectedCalls: "setUserStatus,pinMessage,saveUserProfile", "API_Enable_Rate_Limiter": "false"})
	w.Account("ann")
	ann := w.Login("ann")
	need(t, "codes by mail", ann.Proven().Do("POST", "users.2fa.enableEmail", nil), 200, "")
	status := map[string]any{"message": "here"}
	// Over method.call the code is the trailing parameter, as over DDP.
	call := func(name, params, code string) answer {
		if code != "" {
			params += `,{"twoFactorCode":"` + code + `","twoFactorMethod":"email"}`
		}
		return ann.Do("POST", "method.call/"+name, map[string]any{"message": `{"msg":"method","id":"1","method":"` + name + `","params":[` + params + `]}`})
	}
	asks := func(what string, a answer) {
		t.Helper()
		if !strings.Contains(a.Raw, "totp-required") {
			t.Fatalf("%s: %d %v", what, a.Status, a.Body)
		}
	}
	refused := func(what string, a answer) {
		t.Helper()
		if !strings.Contains(a.Raw, "totp-invalid") {
			t.Errorf("%s: %d %v", what, a.Status, a.Body)
		}
	}
	passes := func(what string, a answer) {
		t.Helper()
		if a.Status != 200 || strings.Contains(a.Raw, "totp-") {
			t.Errorf("%s: %d %v", what, a.Status, a.Body)
		}
	}
	asks("the route", ann.Do("POST", "users.setStatus", status))
	code := w.LastCode()
	refused("another route", ann.With("x-2fa-code", code).Do("POST", "users.updateOwnBasicInfo", map[string]any{"data": map[string]any{"name": "Ann"}}))
	passes("the method", call("setUserStatus", `"online","there"`, code))
	asks("the method", call("setUserStatus", `"online","there"`, ""))
	code = w.LastCode()
	refused("another method", call("pinMessage", `{"_id":"x"}`, code))
	passes("the route", ann.With("x-2fa-code", code).Do("POST", "users.setStatus", status))
}
