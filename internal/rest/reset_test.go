package rest_test

import (
	"testing"
	"time"
)

// A4: over REST a reset that waits says when it is due, and the owner stops it
// with a backup code.
func TestA4ResetThatWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	w.Account("ada")
	root, ada := w.Login("root1"), w.Login("ada")
	need(t, "delay", root.Proven().Do("POST", "settings/Accounts_TwoFactorAuthentication_Reset_Delay", map[string]any{"value": 24}), 200, "")
	a := ada.Proven().Do("POST", "users.enableTotp", nil)
	need(t, "enrol", a, 200, "")
	a = ada.Do("POST", "users.validateTotp", map[string]any{"code": w.TOTPCode(a.Text("secret"))})
	need(t, "first code", a, 200, "")
	backup := a.Body["codes"].([]any)[0].(string)

	who := map[string]any{"userId": ada.ID}
	first := root.Proven().Do("POST", "users.resetTOTP", who)
	need(t, "reset", first, 200, "")
	due, err := time.Parse(time.RFC3339, first.Text("due"))
	if err != nil || time.Until(due) < 23*time.Hour || time.Until(due) > 25*time.Hour {
		t.Errorf("due at %q: %v", first.Text("due"), err)
	}
	if again := root.Proven().Do("POST", "users.resetTOTP", who); again.Text("due") != first.Text("due") {
		t.Errorf("asked again: %s", again.Raw)
	}
	need(t, "stopping needs a factor", ada.Do("POST", "users.2fa.cancelReset", nil), 400, "totp-required")
	need(t, "stop", ada.With("x-2fa-code", backup).Do("POST", "users.2fa.cancelReset", nil), 200, "")
	if u, err := w.Store.UserByID(t.Context(), ada.ID); err != nil || !u.TOTPEnabled() || !u.ResetDue("totp").IsZero() {
		t.Errorf("not stopped: %v", err)
	}
}
