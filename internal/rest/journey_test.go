package rest_test

import (
	"net/url"
	"strings"
	"testing"

	"ddpserver/internal/testkit"
)

func need(t *testing.T, what string, a answer, status int, errorType string) {
	t.Helper()
	if a.Status != status || errorType != "" && a.ErrorType() != errorType {
		t.Fatalf("%s: got %d %s, want %d %s", what, a.Status, a.Raw, status, errorType)
	}
}

// An application built only on REST can register, verify its e-mail, log in,
// enrol both factors, use and lose a device, and make a token for a bot.
func TestJourneyOfAnApplication(t *testing.T) {
	w := newWorld(t, nil)
	app := w.Caller()
	ada := map[string]any{"username": "ada", "name": "Ada", "email": "ada@example.org", "pass": testkit.Password}
	need(t, "register", app.Do("POST", "users.register", ada), 200, "")
	link, err := url.Parse(w.Mails.Link("verify"))
	if err != nil || link.Fragment == "" {
		t.Fatalf("no verification link was mailed: %v", err)
	}
	token := link.Fragment[strings.LastIndex(link.Fragment, "/")+1:]
	need(t, "verify", app.Do("POST", "users.verifyEmail", map[string]any{"token": token}), 200, "")
	need(t, "verify again", app.Do("POST", "users.verifyEmail", map[string]any{"token": token}), 400, "403")

	// Registered accounts have codes by mail on, so the first login is challenged.
	body := map[string]any{"user": "ada", "password": testkit.Password}
	a := app.Do("POST", "login", body)
	if a.Status != 401 || a.Text("error") != "totp-required" || a.Details()["method"] != "email" {
		t.Fatalf("first login: %d %s", a.Status, a.Raw)
	}
	a = app.With("x-2fa-code", w.LastCode()).Do("POST", "login", body)
	need(t, "login with the code in the header", a, 200, "")
	app.Take(a)
	if me := app.Do("GET", "me", nil); me.Text("username") != "ada" || me.Text("email") != "ada@example.org" {
		t.Errorf("me: %s", me.Raw)
	}

	// A device: the strongest factor that is on already is asked first.
	need(t, "enrol without a code", app.Do("POST", "users.enableTotp", nil), 400, "totp-required")
	a = app.With("x-2fa-code", w.LastCode()).With("x-2fa-method", "email").Do("POST", "users.enableTotp", map[string]any{"qr": "svg"})
	need(t, "enrol", a, 200, "")
	secret := a.Text("secret")
	if !strings.Contains(a.Text("url"), secret) || !strings.Contains(a.Text("qr"), "svg") {
		t.Errorf("enrolment lacks url or picture: %s", a.Raw)
	}
	need(t, "wrong first code", app.Do("POST", "users.validateTotp", map[string]any{"code": w.WrongCode(secret)}), 400, "invalid-totp")
	a = app.Do("POST", "users.validateTotp", map[string]any{"code": w.TOTPCode(secret)})
	need(t, "first code", a, 200, "")
	backup := a.Body["codes"].([]any)
	if len(backup) != 12 {
		t.Fatalf("%d backup codes", len(backup))
	}
	if a := app.Do("GET", "users.totpCodesRemaining", nil); a.Body["remaining"] != 12.0 {
		t.Errorf("remaining: %s", a.Raw)
	}

	// A token for a bot: the app's code, then the token works by itself.
	pat := map[string]any{"tokenName": "bot", "bypassTwoFactor": true}
	need(t, "token without a code", app.Do("POST", "users.generatePersonalAccessToken", pat), 400, "totp-required")
	a = app.With("x-2fa-code", w.TOTPCode(secret)).Do("POST", "users.generatePersonalAccessToken", pat)
	need(t, "token", a, 200, "")
	bot := &client{API: w, ID: app.ID, Token: a.Text("token")}
	need(t, "the bot's own account", bot.Do("GET", "me", nil), 200, "")
	need(t, "the bot switching 2FA off", bot.Do("POST", "users.2fa.disableEmail", nil), 400, "totp-required")
	// One that ends, and works from one network only, which is not the bot's.
	narrow := map[string]any{"tokenName": "narrow", "expiresInDays": 30, "allowedAddresses": []string{"198.51.100.0/24"}}
	a = app.With("x-2fa-code", backup[5].(string)).Do("POST", "users.generatePersonalAccessToken", narrow)
	need(t, "narrow token", a, 200, "")
	elsewhere := w.Caller()
	elsewhere.ID, elsewhere.Token = app.ID, a.Text("token")
	need(t, "narrow token from elsewhere", elsewhere.Do("GET", "me", nil), 401, "")
	if a := app.Do("GET", "users.getPersonalAccessTokens", nil); !strings.Contains(a.Raw, `"allowedAddresses":["198.51.100.0/24"]`) ||
		!strings.Contains(a.Raw, `"expiresAt":"`) {
		t.Errorf("tokens: %s", a.Raw)
	}
	for i, wrong := range []map[string]any{{"tokenName": "w", "expiresInDays": 0}, {"tokenName": "w", "allowedAddresses": []string{"everywhere"}}} {
		need(t, "wrong limits", app.With("x-2fa-code", backup[6+i].(string)).Do("POST", "users.generatePersonalAccessToken", wrong), 400, "error-invalid-params")
	}
	if a := app.Do("GET", "users.getPersonalAccessTokens", nil); strings.Contains(a.Raw, bot.Token) || !strings.Contains(a.Raw, bot.Token[len(bot.Token)-6:]) {
		t.Errorf("token list: %s", a.Raw)
	}

	// The device is lost: a backup code gets in once, and switches it off.
	lost := w.Caller()
	body["code"] = backup[0]
	a = lost.Do("POST", "login", body)
	need(t, "login with a backup code", a, 200, "")
	lost.Take(a)
	if a := w.Caller().Do("POST", "login", body); a.Status != 401 || a.Text("error") != "totp-invalid" {
		t.Errorf("the same backup code again: %d %s", a.Status, a.Raw)
	}
	if a := lost.Do("POST", "users.disableTotp", map[string]any{"code": "wrong-co"}); a.Body["disabled"] != false {
		t.Errorf("disabled with a wrong code: %s", a.Raw)
	}
	if a := lost.Do("POST", "users.disableTotp", map[string]any{"code": backup[1]}); a.Body["disabled"] != true {
		t.Errorf("not disabled with a backup code: %s", a.Raw)
	}
	need(t, "the other session is closed", app.Do("GET", "me", nil), 401, "")

	need(t, "logout", lost.Do("POST", "logout", nil), 200, "")
	need(t, "after logout", lost.Do("GET", "me", nil), 401, "")
	need(t, "the bot stays", bot.Do("GET", "me", nil), 200, "")
}

// An administrator administers the settings and the accounts.
func TestJourneyOfAnAdministrator(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	w.Account("ada")
	root, ada := w.Login("root1"), w.Login("ada")

	need(t, "a user saves a setting", ada.Do("POST", "settings/Site_Name", map[string]any{"value": "x"}), 403, "")
	need(t, "unproven", root.Do("POST", "settings/Site_Name", map[string]any{"value": "Lab"}), 400, "totp-required")
	need(t, "proven", root.Proven().Do("POST", "settings/Site_Name", map[string]any{"value": "Lab"}), 200, "")
	need(t, "remembered", root.Do("POST", "settings/Site_Name", map[string]any{"value": "Lab 2"}), 200, "")
	if a := root.Do("GET", "settings/Site_Name", nil); a.Text("value") != "Lab 2" {
		t.Errorf("setting: %s", a.Raw)
	}
	need(t, "bulk asks every time", root.Do("POST", "settings", map[string]any{"settings": []any{map[string]any{"_id": "Site_Name", "value": "Lab 3"}}}), 400,
		"totp-required")
	two := map[string]any{"settings": []any{map[string]any{"_id": "Site_Name", "value": "Lab 4"}, map[string]any{"_id": "No_Such_Setting", "value": 1}}}
	if a := root.Proven().Do("POST", "settings", two); a.Status != 400 {
		t.Errorf("a batch with an unknown setting: %d %s", a.Status, a.Raw)
	}
	if a := root.Do("GET", "settings/Site_Name", nil); a.Text("value") != "Lab 2" {
		t.Errorf("half of a batch was saved: %s", a.Raw)
	}
	need(t, "a wrong type", root.Proven().Do("POST", "settings/Accounts_TwoFactorAuthentication_Enabled", map[string]any{"value": "yes"}), 400, "")
	for _, bad := range []string{"services.totp.secret", "$set", "a.b", "Nope"} {
		if a := root.Proven().Do("POST", "settings/"+url.PathEscape(bad), map[string]any{"value": "x"}); a.Status != 400 {
			t.Errorf("setting %q: %d %s", bad, a.Status, a.Raw)
		}
	}

	a := root.Proven().Do("POST", "users.create", map[string]any{"name": "Bob", "username": "bob", "email": "bob@example.org", "password": testkit.Password,
		"verified": true})
	need(t, "create", a, 200, "")
	bob := a.Body["user"].(map[string]any)["_id"].(string)
	need(t, "rename", root.Do("POST", "users.update", map[string]any{"userId": bob, "data": map[string]any{"name": "Robert"}}), 200, "")
	need(t, "a new password asks afresh", root.Do("POST", "users.update", map[string]any{"userId": bob, "data": map[string]any{"password": "another one"}}),
		400, "totp-required")
	need(t, "activation asks afresh", root.Do("POST", "users.setActiveStatus", map[string]any{"userId": ada.ID, "activeStatus": false}), 400, "totp-required")
	need(t, "deactivate", root.Proven().Do("POST", "users.setActiveStatus", map[string]any{"userId": ada.ID, "activeStatus": false}), 200, "")
	need(t, "a deactivated session", ada.Do("GET", "me", nil), 401, "")
	need(t, "reset needs a fresh factor", root.Do("POST", "users.resetTOTP", map[string]any{"userId": bob}), 400, "totp-required")
	need(t, "reset", root.Proven().Do("POST", "users.resetTOTP", map[string]any{"userId": bob}), 200, "")
	need(t, "deletion asks afresh", root.Do("POST", "users.delete", map[string]any{"userId": bob}), 400, "totp-required")
	need(t, "delete", root.Proven().Do("POST", "users.delete", map[string]any{"userId": bob}), 200, "")
	need(t, "gone", root.Do("GET", "users.info?userId="+bob, nil), 400, "error-invalid-user")
	if a := root.Do("GET", "users.list?count=1&sort=%7B%22services.password%22%3A1%7D&query=%7B%22%24where%22%3A%221%22%7D", nil); a.Status != 200 ||
		a.Body["total"] != 2.0 || a.Body["count"] != 1.0 {
		t.Errorf("list: %d %s", a.Status, a.Raw)
	}
}
