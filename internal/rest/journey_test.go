package rest_test

import (
	"net/url"
	"strings"
	"testing"
)

func need(t *testing.T, what string, a answer, status int, errorType string) {
	t.Helper()
	if a.status != status || errorType != "" && a.errorType() != errorType {
		t.Fatalf("%s: got %d %s, want %d %s", what, a.status, a.raw, status, errorType)
	}
}

// An application built only on REST can register, verify its e-mail, log in,
// enrol both factors, use and lose a device, and make a token for a bot.
func TestJourneyOfAnApplication(t *testing.T) {
	w := newWorld(t, nil)
	app := w.client()
	need(t, "register", app.do("POST", "users.register", map[string]any{"username": "ada", "name": "Ada", "email": "ada@example.org", "pass": password}), 200, "")
	link, err := url.Parse(w.links["verify"])
	if err != nil || link.Fragment == "" {
		t.Fatalf("no verification link was mailed: %v", w.links)
	}
	token := link.Fragment[strings.LastIndex(link.Fragment, "/")+1:]
	need(t, "verify", app.do("POST", "users.verifyEmail", map[string]any{"token": token}), 200, "")
	need(t, "verify again", app.do("POST", "users.verifyEmail", map[string]any{"token": token}), 400, "403")

	// Registered accounts have codes by mail on, so the first login is challenged.
	body := map[string]any{"user": "ada", "password": password}
	a := app.do("POST", "login", body)
	if a.status != 401 || a.text("error") != "totp-required" || a.details()["method"] != "email" {
		t.Fatalf("first login: %d %s", a.status, a.raw)
	}
	a = app.with("x-2fa-code", w.lastCode()).do("POST", "login", body)
	need(t, "login with the code in the header", a, 200, "")
	app.take(a)
	if me := app.do("GET", "me", nil); me.text("username") != "ada" || me.text("email") != "ada@example.org" {
		t.Errorf("me: %s", me.raw)
	}

	// A device: the strongest factor that is on already is asked first.
	need(t, "enrol without a code", app.do("POST", "users.enableTotp", nil), 400, "totp-required")
	a = app.with("x-2fa-code", w.lastCode()).with("x-2fa-method", "email").do("POST", "users.enableTotp", map[string]any{"qr": "svg"})
	need(t, "enrol", a, 200, "")
	secret := a.text("secret")
	if !strings.Contains(a.text("url"), secret) || !strings.Contains(a.text("qr"), "svg") {
		t.Errorf("enrolment lacks url or picture: %s", a.raw)
	}
	need(t, "wrong first code", app.do("POST", "users.validateTotp", map[string]any{"code": w.wrongCode(secret)}), 400, "invalid-totp")
	a = app.do("POST", "users.validateTotp", map[string]any{"code": w.totpCode(secret)})
	need(t, "first code", a, 200, "")
	backup := a.body["codes"].([]any)
	if len(backup) != 12 {
		t.Fatalf("%d backup codes", len(backup))
	}
	if a := app.do("GET", "users.totpCodesRemaining", nil); a.body["remaining"] != 12.0 {
		t.Errorf("remaining: %s", a.raw)
	}

	// A token for a bot: the app's code, then the token works by itself.
	pat := map[string]any{"tokenName": "bot", "bypassTwoFactor": true}
	need(t, "token without a code", app.do("POST", "users.generatePersonalAccessToken", pat), 400, "totp-required")
	a = app.with("x-2fa-code", w.totpCode(secret)).do("POST", "users.generatePersonalAccessToken", pat)
	need(t, "token", a, 200, "")
	bot := &client{w: w, id: app.id, token: a.text("token"), header: map[string]string{}}
	need(t, "the bot's own account", bot.do("GET", "me", nil), 200, "")
	need(t, "the bot switching 2FA off", bot.do("POST", "users.2fa.disableEmail", nil), 400, "totp-required")
	// One that ends, and works from one network only, which is not the bot's.
	narrow := map[string]any{"tokenName": "narrow", "expiresInDays": 30, "allowedAddresses": []string{"198.51.100.0/24"}}
	a = app.with("x-2fa-code", backup[5].(string)).do("POST", "users.generatePersonalAccessToken", narrow)
	need(t, "narrow token", a, 200, "")
	elsewhere := w.client()
	elsewhere.id, elsewhere.token = app.id, a.text("token")
	need(t, "narrow token from elsewhere", elsewhere.do("GET", "me", nil), 401, "")
	if a := app.do("GET", "users.getPersonalAccessTokens", nil); !strings.Contains(a.raw, `"allowedAddresses":["198.51.100.0/24"]`) ||
		!strings.Contains(a.raw, `"expiresAt":"`) {
		t.Errorf("tokens: %s", a.raw)
	}
	for i, wrong := range []map[string]any{{"tokenName": "w", "expiresInDays": 0}, {"tokenName": "w", "allowedAddresses": []string{"everywhere"}}} {
		need(t, "wrong limits", app.with("x-2fa-code", backup[6+i].(string)).do("POST", "users.generatePersonalAccessToken", wrong), 400, "error-invalid-params")
	}
	if a := app.do("GET", "users.getPersonalAccessTokens", nil); strings.Contains(a.raw, bot.token) || !strings.Contains(a.raw, bot.token[len(bot.token)-6:]) {
		t.Errorf("token list: %s", a.raw)
	}

	// The device is lost: a backup code gets in once, and switches it off.
	lost := w.client()
	body["code"] = backup[0]
	a = lost.do("POST", "login", body)
	need(t, "login with a backup code", a, 200, "")
	lost.take(a)
	if a := w.client().do("POST", "login", body); a.status != 401 || a.text("error") != "totp-invalid" {
		t.Errorf("the same backup code again: %d %s", a.status, a.raw)
	}
	if a := lost.do("POST", "users.disableTotp", map[string]any{"code": "wrong-co"}); a.body["disabled"] != false {
		t.Errorf("disabled with a wrong code: %s", a.raw)
	}
	if a := lost.do("POST", "users.disableTotp", map[string]any{"code": backup[1]}); a.body["disabled"] != true {
		t.Errorf("not disabled with a backup code: %s", a.raw)
	}
	need(t, "the other session is closed", app.do("GET", "me", nil), 401, "")

	need(t, "logout", lost.do("POST", "logout", nil), 200, "")
	need(t, "after logout", lost.do("GET", "me", nil), 401, "")
	need(t, "the bot stays", bot.do("GET", "me", nil), 200, "")
}

// An administrator administers the settings and the accounts.
func TestJourneyOfAnAdministrator(t *testing.T) {
	w := newWorld(t, nil)
	w.account("root1", "admin")
	w.account("ada")
	root, ada := w.login("root1"), w.login("ada")

	need(t, "a user saves a setting", ada.do("POST", "settings/Site_Name", map[string]any{"value": "x"}), 403, "")
	need(t, "unproven", root.do("POST", "settings/Site_Name", map[string]any{"value": "Lab"}), 400, "totp-required")
	need(t, "proven", root.proven().do("POST", "settings/Site_Name", map[string]any{"value": "Lab"}), 200, "")
	need(t, "remembered", root.do("POST", "settings/Site_Name", map[string]any{"value": "Lab 2"}), 200, "")
	if a := root.do("GET", "settings/Site_Name", nil); a.text("value") != "Lab 2" {
		t.Errorf("setting: %s", a.raw)
	}
	need(t, "bulk asks every time", root.do("POST", "settings", map[string]any{"settings": []any{map[string]any{"_id": "Site_Name", "value": "Lab 3"}}}), 400,
		"totp-required")
	two := map[string]any{"settings": []any{map[string]any{"_id": "Site_Name", "value": "Lab 4"}, map[string]any{"_id": "No_Such_Setting", "value": 1}}}
	if a := root.proven().do("POST", "settings", two); a.status != 400 {
		t.Errorf("a batch with an unknown setting: %d %s", a.status, a.raw)
	}
	if a := root.do("GET", "settings/Site_Name", nil); a.text("value") != "Lab 2" {
		t.Errorf("half of a batch was saved: %s", a.raw)
	}
	need(t, "a wrong type", root.proven().do("POST", "settings/Accounts_TwoFactorAuthentication_Enabled", map[string]any{"value": "yes"}), 400, "")
	for _, bad := range []string{"services.totp.secret", "$set", "a.b", "Nope"} {
		if a := root.proven().do("POST", "settings/"+url.PathEscape(bad), map[string]any{"value": "x"}); a.status != 400 {
			t.Errorf("setting %q: %d %s", bad, a.status, a.raw)
		}
	}

	a := root.proven().do("POST", "users.create", map[string]any{"name": "Bob", "username": "bob", "email": "bob@example.org", "password": password,
		"verified": true})
	need(t, "create", a, 200, "")
	bob := a.body["user"].(map[string]any)["_id"].(string)
	need(t, "rename", root.do("POST", "users.update", map[string]any{"userId": bob, "data": map[string]any{"name": "Robert"}}), 200, "")
	need(t, "a new password asks afresh", root.do("POST", "users.update", map[string]any{"userId": bob, "data": map[string]any{"password": "another one"}}),
		400, "totp-required")
	need(t, "activation asks afresh", root.do("POST", "users.setActiveStatus", map[string]any{"userId": ada.id, "activeStatus": false}), 400, "totp-required")
	need(t, "deactivate", root.proven().do("POST", "users.setActiveStatus", map[string]any{"userId": ada.id, "activeStatus": false}), 200, "")
	need(t, "a deactivated session", ada.do("GET", "me", nil), 401, "")
	need(t, "reset needs a fresh factor", root.do("POST", "users.resetTOTP", map[string]any{"userId": bob}), 400, "totp-required")
	need(t, "reset", root.proven().do("POST", "users.resetTOTP", map[string]any{"userId": bob}), 200, "")
	need(t, "deletion asks afresh", root.do("POST", "users.delete", map[string]any{"userId": bob}), 400, "totp-required")
	need(t, "delete", root.proven().do("POST", "users.delete", map[string]any{"userId": bob}), 200, "")
	need(t, "gone", root.do("GET", "users.info?userId="+bob, nil), 400, "error-invalid-user")
	if a := root.do("GET", "users.list?count=1&sort=%7B%22services.password%22%3A1%7D&query=%7B%22%24where%22%3A%221%22%7D", nil); a.status != 200 ||
		a.body["total"] != 2.0 || a.body["count"] != 1.0 {
		t.Errorf("list: %d %s", a.status, a.raw)
	}
}
