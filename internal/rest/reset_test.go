package rest_test

import (
	"strings"
	"testing"
	"time"

	"ddpserver/internal/user"
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

// A4: a reset of passkeys that waits says when it is due, and shows at the account.
func TestA4ResetOfPasskeysThatWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	w.Account("ada")
	root, ada := w.Login("root1"), w.Login("ada")
	need(t, "delay", root.Proven().Do("POST", "settings/Accounts_TwoFactorAuthentication_Reset_Delay", map[string]any{"value": 24}), 200, "")
	keys := w.Passkeys("ada", true)
	if _, err := w.Store.UpdateUser(t.Context(), ada.ID, user.Change{Factor: func(s *user.Services) { s.WebAuthn = keys }, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	reset := root.Proven().Do("POST", "users.resetWebAuthn", map[string]any{"userId": ada.ID})
	need(t, "reset", reset, 200, "")
	due, err := time.Parse(time.RFC3339, reset.Text("due"))
	if err != nil || time.Until(due) < 23*time.Hour || time.Until(due) > 25*time.Hour {
		t.Errorf("due at %q: %v", reset.Text("due"), err)
	}
	shown := root.Do("GET", "users.list?search=ada", nil)
	need(t, "list", shown, 200, "")
	own := ada.Do("GET", "me", nil)
	need(t, "me", own, 200, "")
	for name, text := range map[string]string{"webauthnResetDue": string(shown.Raw), "resetDue": string(own.Raw)} {
		if !strings.Contains(text, `"`+name+`":"`+reset.Text("due")) {
			t.Errorf("%s is not shown: %s", name, text)
		}
	}
	if u, err := w.Store.UserByID(t.Context(), ada.ID); err != nil || len(u.Passkeys()) != 1 {
		t.Errorf("removed at once: %v", err)
	}
}
