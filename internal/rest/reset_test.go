package rest_test

import (
	"testing"
	"time"
)

// A4: over REST a reset that waits says when it is due, and the owner stops it
// with a backup code.
func TestA4ResetThatWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.account("root1", "admin")
	w.account("ada")
	root, ada := w.login("root1"), w.login("ada")
	need(t, "delay", root.proven().do("POST", "settings/Accounts_TwoFactorAuthentication_Reset_Delay", map[string]any{"value": 24}), 200, "")
	a := ada.proven().do("POST", "users.enableTotp", nil)
	need(t, "enrol", a, 200, "")
	a = ada.do("POST", "users.validateTotp", map[string]any{"code": w.totpCode(a.text("secret"))})
	need(t, "first code", a, 200, "")
	backup := a.body["codes"].([]any)[0].(string)

	who := map[string]any{"userId": ada.id}
	first := root.proven().do("POST", "users.resetTOTP", who)
	need(t, "reset", first, 200, "")
	due, err := time.Parse(time.RFC3339, first.text("due"))
	if err != nil || time.Until(due) < 23*time.Hour || time.Until(due) > 25*time.Hour {
		t.Errorf("due at %q: %v", first.text("due"), err)
	}
	if again := root.proven().do("POST", "users.resetTOTP", who); again.text("due") != first.text("due") {
		t.Errorf("asked again: %s", again.raw)
	}
	need(t, "stopping needs a factor", ada.do("POST", "users.2fa.cancelReset", nil), 400, "totp-required")
	need(t, "stop", ada.with("x-2fa-code", backup).do("POST", "users.2fa.cancelReset", nil), 200, "")
	if u, err := w.store.UserByID(t.Context(), ada.id); err != nil || !u.TOTPEnabled() || !u.TOTPResetDue().IsZero() {
		t.Errorf("not stopped: %v", err)
	}
}
