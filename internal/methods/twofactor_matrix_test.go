package methods_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// door is one way to ask for a login. params builds the call's parameters; an
// empty answer is a call without a code.
type door struct {
	method string
	params func(name, id, code string) string
	// takesCode tells whether the form can carry a code.
	takesCode bool
	// closed forms never log anybody in.
	closed bool
}

const asDigest = `{"digest":"` + factorDigest + `","algorithm":"sha-256"}`

func wrapped(login, code string) string {
	if code == "" {
		return `[` + login + `]`
	}
	return fmt.Sprintf(`[{"totp":{"login":%s,"code":%q}}]`, login, code)
}

// doors are all forms of every method that may log somebody in.
var doors = map[string]door{
	"user name": {method: "login", takesCode: true, params: func(name, _, code string) string {
		return wrapped(`{"user":{"username":"`+name+`"},"password":"password"}`, code)
	}},
	"address": {method: "login", takesCode: true, params: func(name, _, code string) string {
		return wrapped(`{"user":{"email":"`+strings.ToUpper(name)+`@example.org"},"password":"password"}`, code)
	}},
	"id": {method: "login", takesCode: true, params: func(_, id, code string) string {
		return wrapped(`{"user":{"id":"`+id+`"},"password":"password"}`, code)
	}},
	"digest": {method: "login", takesCode: true, params: func(name, _, code string) string {
		return wrapped(`{"user":{"username":"`+name+`"},"password":`+asDigest+`}`, code)
	}},
	"code beside the password": {method: "login", takesCode: true, params: func(name, _, code string) string {
		if code == "" {
			return `[{"user":{"username":"` + name + `"},"password":"password"}]`
		}
		return `[{"user":{"username":"` + name + `"},"password":"password","code":"` + code + `"}]`
	}},
	"trailing parameter": {method: "login", takesCode: true, params: func(name, _, code string) string {
		login := `{"user":{"username":"` + name + `"},"password":"password"}`
		if code == "" {
			return `[` + login + `]`
		}
		return `[` + login + `,{"twoFactorCode":"` + code + `","twoFactorMethod":""}]`
	}},
	"empty wrapper": {method: "login", params: func(name, _, _ string) string {
		return `[{"totp":{"login":{"user":{"username":"` + name + `"},"password":"password"}}}]`
	}},
	"claimed type": {method: "login", closed: true, params: func(name, _, _ string) string {
		return `[{"user":{"username":"` + name + `"},"password":"password","type":"resume","cas":true,"resume":""}]`
	}},
	"wrapper in a wrapper": {method: "login", closed: true, params: func(name, _, code string) string {
		return fmt.Sprintf(`[{"totp":{"login":{"totp":{"login":{"user":{"username":%q},"password":"password"},"code":%q}},"code":%q}}]`, name, code, code)
	}},
	"launcher": {method: "callWithTwoFactorRequired", closed: true, params: func(name, _, code string) string {
		return fmt.Sprintf(`[{"code":"%s ","ddpMethod":"login","method":"totp","params":[{"user":{"username":%q},"password":"password"}]}]`, code, name)
	}},
	"wrong password": {method: "login", closed: true, params: func(name, _, code string) string {
		return wrapped(`{"user":{"username":"`+name+`"},"password":"passwort"}`, code)
	}},
}

// notDoors are the methods open to everybody that never give a token for an
// account that exists already and has a factor; each has tests of its own.
var notDoors = map[string]string{
	"logout": "", "getServerTime": "", "sendEmailCode": "", "forgotPassword": "", "sendConfirmationEmail": "",
	"registerUser": "a new account", "createUser": "a new account",
	"resetPassword": "no login for an account with a factor", "verifyEmail": "no login for an account with a factor",
	"public-settings/get": "", "private-settings/get": "nothing without a permission",
	"configureLoginService": "always refused",
	"/users/insert":         "always refused", "/users/update": "always refused", "/users/remove": "always refused",
	"/users/insertAsync": "always refused", "/users/updateAsync": "always refused", "/users/removeAsync": "always refused",
}

// S041: for every door × state of the factors × answer, a token appears only
// with the right code. A method that logs in, or is open to everybody, and is
// not in these tables fails the test.
func TestS041LoginMatrix(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		used := map[string]bool{}
		for _, d := range doors {
			used[d.method] = true
		}
		for _, spec := range w.router.Specs() {
			_, known := notDoors[spec.Name]
			if spec.Factor == twofactor.Login && !used[spec.Name] {
				t.Errorf("%s hands out tokens and is not in the matrix", spec.Name)
			}
			if spec.Anonymous && !used[spec.Name] && !known && !spec.Quick {
				t.Errorf("%s is open to everybody: is it a way in?", spec.Name)
			}
		}
		w.unlimited()
		states := map[string][]string{"none": nil, "totp": {"totp"}, "email": {"email"}, "both": {"totp", "email"}}
		n := 0
		for name, d := range doors {
			for state, traits := range states {
				for _, answer := range []string{"no", "wrong", "right"} {
					if answer != "no" && !d.takesCode && !d.closed {
						continue
					}
					n++
					w.cell(t, fmt.Sprintf("user%d", n), name+", "+state+", "+answer, d, traits, answer)
				}
			}
		}
		if n < 90 {
			t.Errorf("only %d cells", n)
		}
	})
}

// cell is one cell of the matrix, with an account and a connection of its own.
func (w *world) cell(t *testing.T, name, cell string, d door, traits []string, answer string) {
	t.Helper()
	play := factorPlay{w}
	if err := play.account(w.vars, name, traits...); err != nil {
		t.Fatal(err)
	}
	c := w.connect()
	defer c.close()
	code := ""
	switch {
	case answer == "wrong":
		code = play.wrong(factorSecret)
	case answer == "right" && len(traits) == 1 && traits[0] == "email":
		if _, fail := c.call("sendEmailCode", name); fail != nil {
			t.Fatalf("%s: %s", cell, fail.code())
		}
		code = w.mails.last()
	case answer == "right":
		var err error
		if code, err = totp.GenerateCode(factorSecret, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	result, fail := c.callRaw(d.method, d.params(name, w.vars[name], code))
	want := "token"
	switch {
	case d.closed:
		want = "any refusal"
	case len(traits) == 0 || answer == "right":
	case answer == "no":
		want = "totp-required"
	default:
		want = "totp-invalid"
	}
	token := strings.Contains(string(result), `"token"`)
	if token != (want == "token") || want != "token" && want != "any refusal" && fail.code() != want {
		t.Errorf("%s: token %v, refusal %q; want %s", cell, token, fail.code(), want)
	}
	if !token { // and the connection is nobody's
		if _, fail := c.call("2fa:checkCodesRemaining"); fail.code() != "error-not-authorized" {
			t.Errorf("%s: the connection is logged in: %q", cell, fail.code())
		}
	}
}

// S056, S057: every protected call of the table × {session, remembered session,
// personal access token, the same with the bypass}: ordinary ones let trust and
// bypass pass, the others nobody.
func TestS056ProtectedMatrix(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		if err := (factorPlay{w}).account(w.vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		in := func(kind string) *client {
			c := w.connect(func(p *rpc.Peer) { p.Address = "192.0.2.200" })
			if _, fail := c.call("login", map[string]any{"resume": w.vars["root"+kind]}); fail != nil {
				t.Fatal(fail.code())
			}
			return c
		}
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		remembered := in("1")
		if _, fail := remembered.call("saveSetting", "Site_Name", "x", map[string]any{"twoFactorCode": code, "twoFactorMethod": "totp"}); fail != nil {
			t.Fatal(fail.code())
		}
		callers := map[string]*client{"session": in("2"), "remembered": remembered, "token": in("pat"), "bypass token": in("bypass")}
		protected := 0
		for _, spec := range w.router.Specs() {
			if spec.Factor == twofactor.None || spec.Factor == twofactor.Login {
				continue
			}
			protected++
			for name, c := range callers {
				free := spec.Factor == twofactor.Ordinary && (name == "remembered" || name == "bypass token")
				params := harmlessParams[spec.Name]
				if params == "" {
					params = `[]`
				}
				_, fail := c.callRaw(spec.Name, params)
				if asked := fail.code() == "totp-required"; asked == free {
					t.Errorf("%s (%v) by a %s: %q", spec.Name, spec.Factor, name, fail.code())
				}
			}
		}
		if protected < 6 {
			t.Errorf("only %d protected methods", protected)
		}
	})
}

// harmlessParams are parameters that do not raise what the line asks for; those
// that do not fit are taken for the worst.
var harmlessParams = map[string]string{"saveSetting": `["Site_Name","x"]`, "saveSettings": `[[]]`}

// S057: a bypass token may save settings, but none that says how people prove
// who they are; with a code it may.
func TestS057BypassDoesNotSwitchChecksOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		if err := (factorPlay{w}).account(w.vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		c := w.connect()
		if _, fail := c.call("login", map[string]any{"resume": w.vars["rootbypass"]}); fail != nil {
			t.Fatal(fail.code())
		}
		if _, fail := c.call("saveSetting", "Site_Name", "by a bot"); fail != nil {
			t.Errorf("an ordinary setting: %q", fail.code())
		}
		for id, value := range map[string]any{
			settings.TwoFactorEnabled: false, settings.TwoFactorByTOTP: false, settings.TwoFactorEmailOAuth: true,
			settings.TwoFactorProtectedCalls: "", settings.BlockLogins: false, settings.PersonalAccessTokens: true,
		} {
			if _, fail := c.call("saveSetting", id, value); fail.code() != "totp-required" {
				t.Errorf("%s: %q", id, fail.code())
			}
			list := []any{map[string]any{"_id": "Site_Name", "value": "x"}, map[string]any{"_id": id, "value": value}}
			if _, fail := c.call("saveSettings", list); fail.code() != "totp-required" {
				t.Errorf("%s among others: %q", id, fail.code())
			}
		}
		if !w.settings.Bool(settings.TwoFactorEnabled) || w.settings.String(settings.SiteName) != "by a bot" {
			t.Error("something was saved")
		}
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		answer := map[string]any{"twoFactorCode": code, "twoFactorMethod": "totp"}
		if _, fail := c.call("saveSetting", settings.TwoFactorByEmail, false, answer); fail != nil {
			t.Errorf("with a code: %q", fail.code())
		}
	})
}

// S055: a change of address ends the codes that wait in the old mailbox.
func TestS055AddressChangeEndsCodes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.user("ada", "email2fa")
		c := w.connect().login("ada")
		other := w.connect()
		if _, fail := other.call("sendEmailCode", "ada"); fail != nil {
			t.Fatal(fail.code())
		}
		id := w.vars["ada"]
		if g, err := w.store.Guard(t.Context(), id); err != nil || len(g.Codes) == 0 {
			t.Fatalf("%d codes, %v", len(g.Codes), err)
		}
		u, err := w.accounts.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		address := "new@example.org"
		if _, err := w.accounts.SaveProfile(t.Context(), c.peer, rpc.Login{UserID: id}, u, accounts.Profile{Email: &address}); err != nil {
			t.Fatal(err)
		}
		if g, err := w.store.Guard(t.Context(), id); err != nil || len(g.Codes) != 0 {
			t.Errorf("%d codes live on, %v", len(g.Codes), err)
		}
	})
}

// S048: trust for ordinary calls does not reach a change of address or password,
// neither directly nor through the launcher.
func TestS048InheritedApproval(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		play := factorPlay{w}
		if err := play.account(w.vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		c := w.connect()
		if _, fail := c.call("login", map[string]any{"resume": w.vars["root1"]}); fail != nil {
			t.Fatal(fail.code())
		}
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, fail := c.call("saveSetting", "Site_Name", "x", map[string]any{"twoFactorCode": code, "twoFactorMethod": "totp"}); fail != nil {
			t.Fatal(fail.code())
		}
		if _, fail := c.call("saveSetting", "Site_Name", "y"); fail != nil {
			t.Fatalf("not remembered: %s", fail.code())
		}
		for _, change := range []map[string]any{{"email": "other@example.org"}, {"newPassword": "quite another password"}} {
			if _, fail := c.call("saveUserProfile", change, map[string]any{}); fail.code() != "totp-required" {
				t.Errorf("%v: %q", change, fail.code())
			}
			_, fail := c.call("callWithTwoFactorRequired", map[string]any{
				"code": code, "ddpMethod": "saveUserProfile", "method": "totp", "params": []any{change, map[string]any{}},
			})
			if fail.code() != "totp-invalid" {
				t.Errorf("%v with the spent code: %q", change, fail.code())
			}
		}
	})
}

// Own state pushed: what a change of factors shows on stream-notify-user.
func TestFactorChangesArePushed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if err := (factorPlay{w}).account(w.vars, "alice"); err != nil {
			t.Fatal(err)
		}
		c := w.connect()
		if _, fail := c.call("login", map[string]any{"resume": w.vars["alice1"]}); fail != nil {
			t.Fatal(fail.code())
		}
		if fail := c.sub("s", "stream-notify-user", w.vars["alice"]+"/userData", false); fail != nil {
			t.Fatal(fail.code())
		}
		if _, fail := c.call("2fa:enable-email"); fail != nil {
			t.Fatal(fail.code())
		}
		document, stream := false, false
		for f := c.event(); f.Msg != ""; f = c.event() {
			document = document || f.Collection == "users" && strings.Contains(string(f.Fields), `"email2fa":{"enabled":true}`)
			stream = stream || f.Collection == "stream-notify-user" && strings.Contains(string(f.Fields), "email2fa")
		}
		if !document || !stream {
			t.Errorf("document pushed: %v, stream event: %v", document, stream)
		}
	})
}

// S029: the budget belongs to the account, whatever it is called and whichever
// door is used.
func TestS029OneBudgetForAllSpellings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.unlimited()
		play := factorPlay{w}
		if err := play.account(w.vars, "alice", "totp"); err != nil {
			t.Fatal(err)
		}
		selectors := []string{
			`{"username":"alice"}`, `{"username":"ALICE"}`, `{"username":" alice"}`, `{"email":"alice@example.org"}`, `{"email":"Alice@Example.ORG"}`, `{"id":"` +
				w.vars["alice"] + `"}`,
		}
		got := map[string]int{}
		for i := range 24 {
			login := `{"user":` + selectors[i%len(selectors)] + `,"password":"password"}`
			c := w.connect()
			_, fail := c.callRaw("login", wrapped(login, play.wrong(factorSecret)))
			got[fail.code()]++
			c.close()
		}
		if got["totp-invalid"] != 10 {
			t.Errorf("outcomes %v, want 10 compared", got)
		}
	})
}
