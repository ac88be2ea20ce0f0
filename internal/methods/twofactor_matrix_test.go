package methods_test

import (
	"cmp"
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
	// wrong is the refusal of a wrong code, if not totp-invalid.
	wrong string
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
	"code beside the password": {method: "login", takesCode: true, wrong: "invalid-2fa-code", params: func(name, _, code string) string {
		if code == "" {
			return `[{"user":{"username":"` + name + `"},"password":"password"}]`
		}
		return fmt.Sprintf(`[{"user":{"username":%q},"password":"password","code":%q}]`, name, code)
	}},
	"trailing parameter": {method: "login", takesCode: true, params: func(name, _, code string) string {
		login := `{"user":{"username":"` + name + `"},"password":"password"}`
		if code == "" {
			return `[` + login + `]`
		}
		return fmt.Sprintf(`[%s,{"twoFactorCode":%q,"twoFactorMethod":""}]`, login, code)
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
		return fmt.Sprintf(`[{"code":%q,"ddpMethod":"login","method":"totp","params":[{"user":{"username":%q},"password":"password"}]}]`, code, name)
	}},
	"wrong password": {method: "login", closed: true, params: func(name, _, code string) string {
		return wrapped(`{"user":{"username":"`+name+`"},"password":"passwort"}`, code)
	}},
}

// notDoors are the methods open to everybody that never give a token for an
// account that exists already and has a factor; each has tests of its own.
var notDoors = map[string]string{
	"generateWebAuthnAuthenticationOptions": "a challenge for anybody",
	"generateWebAuthnSignUpOptions":         "likewise", "createUserWithWebAuthn": "a new account",
	"logout": "", "getServerTime": "", "sendEmailCode": "", "forgotPassword": "", "sendConfirmationEmail": "",
	"registerUser": "a new account", "createUser": "a new account",
	"resetPassword": "no login for an account with a factor", "verifyEmail": "no login for an account with a factor",
	"public-settings/get": "", "private-settings/get": "nothing without a permission",
	"configureLoginService": "always refused", "validateInviteToken": "a flag",
	"/users/insert": "always refused", "/users/update": "always refused", "/users/remove": "always refused",
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
		for _, spec := range w.Router.Specs() {
			_, known := notDoors[spec.Name]
			if spec.Factor == twofactor.Login && !used[spec.Name] {
				t.Errorf("%s hands out tokens and is not in the matrix", spec.Name)
			}
			if spec.Anonymous && !used[spec.Name] && !known && !spec.Quick {
				t.Errorf("%s is open to everybody: is it a way in?", spec.Name)
			}
		}
		w.Unlimited()
		// Every factor that people are asked for by name is a state, and all at once.
		states := map[string][]string{"none": nil, "all": w.Factors.Names(), "all typed": {"totp", "email"}}
		for _, name := range w.Factors.Names() {
			states[name] = []string{name}
		}
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
	if err := play.account(w.Vars, name, traits...); err != nil {
		t.Fatal(err)
	}
	c := w.Connect()
	defer c.Close()
	code := ""
	switch {
	case answer == "wrong":
		code = play.wrong(factorSecret)
	case answer == "right" && len(traits) > 0:
		factor := traits[0]
		if len(traits) > 1 {
			factor = "totp" // which every client can ask for
		}
		code = play.right(t, factor, name, func() *failure {
			_, fail := c.CallRaw(d.method, d.params(name, w.Vars[name], ""))
			return fail
		})
	}
	result, fail := c.CallRaw(d.method, d.params(name, w.Vars[name], code))
	want := "token"
	switch {
	case d.closed:
		want = "any refusal"
	case len(traits) == 0 || answer == "right":
	case answer == "no":
		want = "totp-required"
	default:
		want = cmp.Or(d.wrong, "totp-invalid")
	}
	token := strings.Contains(string(result), `"token"`)
	if token != (want == "token") || want != "token" && want != "any refusal" && fail.Code() != want {
		t.Errorf("%s: token %v, refusal %q; want %s", cell, token, fail.Code(), want)
	}
	if !token { // and the connection is nobody's
		if _, fail := c.Call("2fa:checkCodesRemaining"); fail.Code() != "error-not-authorized" {
			t.Errorf("%s: the connection is logged in: %q", cell, fail.Code())
		}
	}
}

// right is a right answer of that factor to what is asked for. Whoever adds a factor says
// here how people answer it.
func (s factorPlay) right(t *testing.T, factor, name string, ask func() *failure) string {
	t.Helper()
	switch factor {
	case "totp":
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return code
	case "email":
		if _, err := s.Factors.SendCode(t.Context(), loggedOut, name); err != nil {
			t.Fatal(err)
		}
		return s.Mails.Last()
	case "webauthn":
		if fail := ask(); fail.Code() == "totp-required" {
			return s.AnswerOf(fail.Details)
		}
		return "{}" // of a form that is closed
	}
	t.Fatalf("nobody says how people answer %s", factor)
	return ""
}

// S056, S057: every protected call of the table × {session, remembered session,
// personal access token, the same with the bypass}: ordinary ones let trust and
// bypass pass, the others nobody.
func TestS056ProtectedMatrix(t *testing.T) {
	var factors []string
	bubble(t, func(t *testing.T, w *world) { factors = w.Factors.Names() })
	if len(factors) < 3 {
		t.Fatalf("the server has the factors %q", factors)
	}
	for _, factor := range factors {
		bubble(t, func(t *testing.T, w *world) { w.protectedMatrix(t, factor) })
	}
}

// protectedMatrix is the matrix for an account with that factor.
func (w *world) protectedMatrix(t *testing.T, factor string) {
	w.Unlimited()
	w.Set(settings.TwoFactorMailsPerHour, 100)
	w.Set(settings.TwoFactorMailsAsked, 100)
	w.Set(settings.TwoFactorMailsPerAddress, 10_000)
	play := factorPlay{w}
	if err := play.account(w.Vars, "root", factor, "admin"); err != nil {
		t.Fatal(err)
	}
	in := func(kind string) *client {
		c := w.Connect(func(p *rpc.Peer) { p.Address = "192.0.2.200" })
		if _, fail := c.Call("login", map[string]any{"resume": w.Vars["root"+kind]}); fail != nil {
			t.Fatal(fail.Code())
		}
		return c
	}
	remembered := in("1")
	code := play.right(t, factor, "root", func() *failure {
		_, fail := remembered.Call("saveSetting", "Site_Name", "x")
		return fail
	})
	if _, fail := remembered.Call("saveSetting", "Site_Name", "x", map[string]any{"twoFactorCode": code, "twoFactorMethod": factor}); fail != nil {
		t.Fatal(factor, fail.Code())
	}
	callers := map[string]*client{"session": in("2"), "remembered": remembered, "token": in("pat"), "bypass token": in("bypass")}
	protected := 0
	for _, spec := range w.Router.Specs() {
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
			_, fail := c.CallRaw(spec.Name, params)
			if asked := fail.Code() == "totp-required"; asked == free {
				t.Errorf("%s: %s (%v) by a %s: %q", factor, spec.Name, spec.Factor, name, fail.Code())
			}
			time.Sleep(time.Second) // for the budget of mails, once an hour
		}
	}
	if protected < 6 {
		t.Errorf("only %d protected methods", protected)
	}
}

// harmlessParams are parameters that do not raise what the line asks for; those
// that do not fit are taken for the worst.
var harmlessParams = map[string]string{"saveSetting": `["Site_Name","x"]`, "saveSettings": `[[]]`, "settings:reset": `[[]]`,
	"users:update": `["x",{"name":"x"}]`}

// S057: a bypass token may save settings, but none that says how people prove
// who they are; with a code it may.
func TestS057BypassDoesNotSwitchChecksOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		if err := (factorPlay{w}).account(w.Vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		c := w.Connect()
		if _, fail := c.Call("login", map[string]any{"resume": w.Vars["rootbypass"]}); fail != nil {
			t.Fatal(fail.Code())
		}
		if _, fail := c.Call("saveSetting", "Site_Name", "by a bot"); fail != nil {
			t.Errorf("an ordinary setting: %q", fail.Code())
		}
		for id, value := range map[string]any{
			settings.TwoFactorEnabled: false, settings.TwoFactorByTOTP: false, settings.TwoFactorEmailOAuth: true,
			settings.TwoFactorProtectedCalls: "", settings.BlockLogins: false, settings.PersonalAccessTokens: true,
		} {
			if _, fail := c.Call("saveSetting", id, value); fail.Code() != "totp-required" {
				t.Errorf("%s: %q", id, fail.Code())
			}
			list := []any{map[string]any{"_id": "Site_Name", "value": "x"}, map[string]any{"_id": id, "value": value}}
			if _, fail := c.Call("saveSettings", list); fail.Code() != "totp-required" {
				t.Errorf("%s among others: %q", id, fail.Code())
			}
		}
		if !w.Settings.Bool(settings.TwoFactorEnabled) || w.Settings.String(settings.SiteName) != "by a bot" {
			t.Error("something was saved")
		}
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		answer := map[string]any{"twoFactorCode": code, "twoFactorMethod": "totp"}
		if _, fail := c.Call("saveSetting", settings.TwoFactorByEmail, false, answer); fail != nil {
			t.Errorf("with a code: %q", fail.Code())
		}
	})
}

// S055: a change of address ends the codes that wait in the old mailbox.
func TestS055AddressChangeEndsCodes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ada", "email2fa")
		c := w.Connect().Login("ada")
		other := w.Connect()
		if _, fail := other.Call("sendEmailCode", "ada"); fail != nil {
			t.Fatal(fail.Code())
		}
		id := w.Vars["ada"]
		if g, err := w.Store.Guard(t.Context(), id); err != nil || len(g.Codes) == 0 {
			t.Fatalf("%d codes, %v", len(g.Codes), err)
		}
		u, err := w.Accounts.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		address := "new@example.org"
		if _, err := w.Accounts.SaveProfile(t.Context(), c.Peer, rpc.Login{UserID: id}, u, accounts.Profile{Email: &address}); err != nil {
			t.Fatal(err)
		}
		if g, err := w.Store.Guard(t.Context(), id); err != nil || len(g.Codes) != 0 {
			t.Errorf("%d codes live on, %v", len(g.Codes), err)
		}
	})
}

// S048: trust for ordinary calls does not reach a change of address or password,
// neither directly nor through the launcher.
func TestS048InheritedApproval(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		play := factorPlay{w}
		if err := play.account(w.Vars, "root", "totp", "admin"); err != nil {
			t.Fatal(err)
		}
		c := w.Connect()
		if _, fail := c.Call("login", map[string]any{"resume": w.Vars["root1"]}); fail != nil {
			t.Fatal(fail.Code())
		}
		code, err := totp.GenerateCode(factorSecret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, fail := c.Call("saveSetting", "Site_Name", "x", map[string]any{"twoFactorCode": code, "twoFactorMethod": "totp"}); fail != nil {
			t.Fatal(fail.Code())
		}
		if _, fail := c.Call("saveSetting", "Site_Name", "y"); fail != nil {
			t.Fatalf("not remembered: %s", fail.Code())
		}
		for _, change := range []map[string]any{{"email": "other@example.org"}, {"newPassword": "quite another password"}} {
			if _, fail := c.Call("saveUserProfile", change, map[string]any{}); fail.Code() != "totp-required" {
				t.Errorf("%v: %q", change, fail.Code())
			}
			_, fail := c.Call("callWithTwoFactorRequired", map[string]any{
				"code": code, "ddpMethod": "saveUserProfile", "method": "totp", "params": []any{change, map[string]any{}},
			})
			if fail.Code() != "totp-invalid" {
				t.Errorf("%v with the spent code: %q", change, fail.Code())
			}
		}
	})
}

// Own state pushed: what a change of factors shows on stream-notify-user.
func TestFactorChangesArePushed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if err := (factorPlay{w}).account(w.Vars, "alice"); err != nil {
			t.Fatal(err)
		}
		c := w.Connect()
		if _, fail := c.Call("login", map[string]any{"resume": w.Vars["alice1"]}); fail != nil {
			t.Fatal(fail.Code())
		}
		if fail := c.Sub("s", "stream-notify-user", w.Vars["alice"]+"/userData", false); fail != nil {
			t.Fatal(fail.Code())
		}
		if _, fail := c.Call("2fa:enable-email"); fail != nil {
			t.Fatal(fail.Code())
		}
		document, stream := false, false
		for f := c.Event(); f.Msg != ""; f = c.Event() {
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
		w.Unlimited()
		play := factorPlay{w}
		if err := play.account(w.Vars, "alice", "totp"); err != nil {
			t.Fatal(err)
		}
		selectors := []string{
			`{"username":"alice"}`, `{"username":"ALICE"}`, `{"username":" alice"}`, `{"email":"alice@example.org"}`, `{"email":"Alice@Example.ORG"}`, `{"id":"` +
				w.Vars["alice"] + `"}`,
		}
		got := map[string]int{}
		for i := range 24 {
			login := `{"user":` + selectors[i%len(selectors)] + `,"password":"password"}`
			c := w.Connect()
			_, fail := c.CallRaw("login", wrapped(login, play.wrong(factorSecret)))
			got[fail.Code()]++
			c.Close()
		}
		if got["totp-invalid"] != 10 {
			t.Errorf("outcomes %v, want 10 compared", got)
		}
	})
}
