package rest_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
)

// U9: with app and e-mail on, every door of login takes the answer to either, however
// the factor and its code are said; and a factor that is named without a code chooses
// whose challenge comes.
func TestLoginTakesEitherFactorAtEveryDoor(t *testing.T) {
	byBody := func(c *client, name string, member map[string]any) answer {
		body := map[string]any{"user": name, "password": testkit.Password}
		maps.Copy(body, member)
		return c.Do("POST", "login", body)
	}
	said := maps.Clone(doors)
	delete(said, "method.call without headers")
	ways := map[string]func(c *client, name, factor, code string) answer{
		"all in the body": func(c *client, name, factor, code string) answer {
			return byBody(c, name, map[string]any{"code": code, "twoFactorMethod": factor})
		},
		"as DDP has it": func(c *client, name, factor, code string) answer {
			return byBody(c, name, map[string]any{"twoFactorCode": code, "twoFactorMethod": factor})
		},
		"beside a login object": func(c *client, name, factor, code string) answer {
			return c.Do("POST", "login", map[string]any{"user": map[string]any{"username": name}, "password": testkit.Password, "twoFactorCode": code,
				"twoFactorMethod": factor})
		},
		"headers beside a login object": func(c *client, name, factor, code string) answer {
			c = c.With("x-2fa-method", factor).With("x-2fa-code", code)
			inner := map[string]any{"user": map[string]any{"username": name}, "password": testkit.Password}
			return c.Do("POST", "login", map[string]any{"totp": map[string]any{"login": inner}})
		},
		"a form": func(c *client, name, factor, code string) answer {
			f := url.Values{"user": {name}, "password": {testkit.Password}, "code": {code}, "twoFactorMethod": {factor}}
			return c.With("Content-Type", "application/x-www-form-urlencoded").Do("POST", "login", f.Encode())
		},
		"headers of method.callAnon": func(c *client, name, factor, code string) answer {
			return byMethod(c.With("x-2fa-method", factor).With("x-2fa-code", code), "method.callAnon/login", name, "")
		},
	}
	for door, enter := range said {
		ways[door+" and the header"] = func(c *client, name, factor, code string) answer {
			return enter(c.With("x-2fa-method", factor), name, code)
		}
	}
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		t.Run(way, func(t *testing.T) {
			w := newWorld(t, map[string]string{settings.TwoFactorWrongPerHour: "100", settings.TwoFactorMailsPerHour: "100",
				"DDP_Rate_Limit_Connection_By_Method_Enabled": "false"})
			w.Account("ada")
			c := w.Login("ada")
			app := c.Proven().OK("POST", "users.enableTotp", nil).Text("secret")
			c.OK("POST", "users.validateTotp", map[string]any{"code": w.TOTPCode(app)})
			c.With("x-2fa-code", w.TOTPCode(app)).OK("POST", "users.2fa.enableEmail", nil)

			asked := w.Caller().With("x-2fa-method", "email").Do("POST", "login", map[string]any{"user": "ada", "password": testkit.Password})
			if asked.Status != 401 || asked.Text("error") != "totp-required" || asked.Details()["method"] != "email" {
				t.Fatalf("the challenge of a named factor: %d %s", asked.Status, asked.Raw)
			}
			if a := ways[way](w.Caller(), "ada", "email", w.WrongCode(app)); a.Status != 401 || a.Text("error") != "totp-invalid" {
				t.Errorf("a wrong code of a mail: %d %s", a.Status, a.Raw)
			}
			for factor, code := range map[string]string{"email": w.LastCode(), "totp": w.TOTPCode(app)} {
				if a := ways[way](w.Caller(), "ada", factor, code); a.Status != 200 || a.Doc("data")["authToken"] == nil {
					t.Errorf("%s: %d %s", factor, a.Status, a.Raw)
				}
			}
		})
	}
}

// U9: an account with neither a password nor a factor is never challenged for what it
// does not have: every route that asks for a factor says the way out.
func TestNobodyIsAskedForWhatTheyDoNotHave(t *testing.T) {
	w := newWorld(t, map[string]string{settings.TwoFactorEmailOptIn: "false"})
	ctx := t.Context()
	root := w.Account("root1", "admin")
	u, err := w.Accounts.CreateUser(ctx, &rpc.Peer{}, root, accounts.NewUser{Username: "ghost", Email: "ghost@example.org", Name: "Ghost", Verified: true,
		Roles: []string{"user", "admin"}})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.Accounts.IssueToken(ctx, &rpc.Peer{}, u, "password")
	if err != nil {
		t.Fatal(err)
	}
	ghost := &client{API: w, ID: u.ID, Token: issued.Token, Header: map[string]string{}}
	told := 0
	for _, rt := range w.REST.Routes() {
		if max(rt.Factor, rt.Inside) == twofactor.None || rt.Auth != rest.LoginRequired || rt.Verb != http.MethodPost ||
			strings.HasPrefix(rt.Path, "users.2fa.enable") ||
			rt.Path == "users.logout" { // they give a factor, and take the session
			continue
		}
		b := body(rt)
		if rt.Path == "users.updateOwnBasicInfo" {
			b = map[string]any{"data": map[string]any{"newPassword": "another password"}}
		}
		for _, c := range []*client{ghost, ghost.Proven(), ghost.With("x-2fa-code", "123456")} {
			a := c.Do(rt.Verb, path(rt), b)
			switch a.ErrorType() {
			case "totp-required", "totp-invalid", "totp-max-attempts":
				t.Errorf("%s: %d %s", rt.Path, a.Status, a.Raw)
			case "error-no-password-or-factor":
				told++
				if !strings.Contains(a.Raw, "password reset mail") {
					t.Errorf("%s does not say the way out: %s", rt.Path, a.Raw)
				}
			}
			if rt.Factor == twofactor.Fresh && a.ErrorType() != "error-no-password-or-factor" {
				t.Errorf("%s is fresh: %d %s", rt.Path, a.Status, a.Raw)
			}
		}
	}
	if told < 20 {
		t.Errorf("told %d times", told)
	}
	launch := `{"msg":"method","id":"1","method":"callWithTwoFactorRequired","params":[{"code":"123456","ddpMethod":"getServerInfo","params":[]}]}`
	if a := ghost.Do("POST", "method.call/callWithTwoFactorRequired", map[string]any{"message": launch}); !strings.Contains(a.Raw, "error-no-password-or-factor") {
		t.Errorf("a code for a call that asks for none: %s", a.Raw)
	}
}
