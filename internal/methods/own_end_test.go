package methods_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// endsOwn says for each method that changes tokens, factors, rights or accounts how a
// client calls it so that it may end the client's own session, and whether it does.
var endsOwn = map[string]struct {
	// params may prepare the account; the session is logged in.
	params func(w *world, c *client) []any
	// ends is whether the session is over afterwards; it is logged in otherwise.
	ends bool
	// pat logs the session in with the personal access token "bot".
	pat bool
	// out is a session that stays, but is logged out.
	out bool
}{
	"login": {params: func(w *world, _ *client) []any {
		return []any{map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")}}
	}},
	"logout":             {params: none, out: true},
	"getNewToken":        {params: none},
	"removeOtherTokens":  {params: none},
	"logoutOtherClients": {params: none},
	"sessions:end":       {params: current, ends: true},
	"sessions:endAny":    {params: current, ends: true},
	"sessions:endOthers": {params: none},
	"users:logout":       {params: none, ends: true},
	"changePassword":     {params: func(*world, *client) []any { return []any{testkit.PasswordOf("ada"), "another password"} }},
	"resetPassword": {params: func(w *world, c *client) []any {
		must(w, c, "forgotPassword", map[string]any{"email": "ada@example.com"})
		return []any{newest(&w.Mails, accounts.TemplateReset, "ada@example.com"), "another password"}
	}},
	"verifyEmail": {params: func(w *world, c *client) []any {
		must(w, c, "sendConfirmationEmail", "ada@example.com")
		return []any{newest(&w.Mails, accounts.TemplateVerify, "ada@example.com")}
	}},
	"saveUserProfile": {params: func(*world, *client) []any {
		return []any{map[string]any{"newPassword": "another password", "typedPassword": testkit.PasswordOf("ada")}, map[string]any{}}
	}},
	"deleteUserOwnAccount": {params: func(w *world, _ *client) []any {
		w.Set(settings.AllowDeleteOwnAccount, true)
		return []any{testkit.DigestOf("ada")}
	}, ends: true},
	"setUserActiveStatus": {params: func(w *world, _ *client) []any { return []any{w.Vars["ada"], false} }, ends: true},
	"deleteUser":          {params: func(w *world, _ *client) []any { return []any{w.Vars["ada"]} }, ends: true},
	"users:update": {params: func(w *world, _ *client) []any {
		return []any{w.Vars["ada"], map[string]any{"active": false}}
	}, ends: true},
	"users:resetTOTP": {params: func(w *world, c *client) []any {
		must(w, c, "2fa:enable")
		return []any{w.Vars["ada"]}
	}, ends: true},
	"users:resetEmail2FA": {params: func(w *world, c *client) []any {
		must(w, c, "sendConfirmationEmail", "ada@example.com")
		must(w, c, "verifyEmail", newest(&w.Mails, accounts.TemplateVerify, "ada@example.com"))
		w.Set(settings.TwoFactorByEmail, true)
		must(w, c, "2fa:enable-email")
		return []any{w.Vars["ada"]}
	}, ends: true},
	"personalAccessTokens:regenerateToken": {params: bot, ends: true, pat: true},
	"personalAccessTokens:removeToken":     {params: bot, ends: true, pat: true},
}

// harmless are the methods with such effects that no session of the caller can end by,
// and why.
var harmless = map[string]string{
	"sessions:forgetTrust": "ends what a session remembers, not the session",
	"users:resetWebAuthn":  "refuses one's own account", "createUserWithWebAuthn": "logs in as somebody new",
	"createUser": "logs in as somebody new", "registerUser": "makes another account",
	"forgotPassword": "mails a link", "sendConfirmationEmail": "mails a link",
	"personalAccessTokens:generateToken": "one more token", "sendEmailCode": "mails a code",
	"users:create": "makes another account", "users:sendPasswordLink": "mails a link",
	"saveSetting": "no token hangs on a setting", "saveSettings": "likewise", "settings:reset": "likewise",
	"2fa:enable": "proves nothing yet", "2fa:enable-email": "keeps the tokens",
	"2fa:disable-email": "keeps the tokens", "2fa:disable": "keeps the tokens",
	"generateWebAuthnRegistrationOptions": "proves nothing yet", "registerWebAuthnCredential": "ends the other tokens, not the caller's",
	"removeWebAuthnCredential":    "ends the other tokens, not the caller's",
	"2fa:validateTempToken":       "ends the other tokens, not the caller's",
	"generate2faActivationQrCode": "proves nothing yet", "enableUser2fa": "ends the other tokens, not the caller's", "disableUser2fa": "keeps the tokens",
	"2fa:regenerateCodes": "keeps the tokens", "2fa:cancel-reset": "keeps the tokens",
	"addIncomingIntegration": "the token of a webhook is no session", "updateIncomingIntegration": "likewise", "regenerateToken": "likewise",
	"deleteIncomingIntegration": "likewise",
}

func none(*world, *client) []any { return []any{} }

// current names the session that asks.
func current(w *world, c *client) []any {
	list := testkit.Unmarshal[struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}](w.T, must(w, c, "sessions:list"))
	for _, s := range list.Sessions {
		if s.Current {
			return []any{map[string]any{"sessionId": s.ID}}
		}
	}
	w.T.Fatal("no session asks")
	return nil
}

func bot(*world, *client) []any { return []any{map[string]any{"tokenName": "bot"}} }

// must calls a method and, where it asks for the password or a mailed code, gives it.
func must(w *world, c *client, method string, params ...any) []byte {
	w.T.Helper()
	raw, fail := c.Call(method, params...)
	if fail.Code() == "totp-required" {
		proof := answer(testkit.DigestOf("ada"), "password")
		if strings.Contains(string(fail.Details), `"method":"email"`) {
			synctest.Wait()
			proof = answer(w.Mails.Last(), "email")
		}
		raw, fail = c.Call(method, append(params, proof)...)
	}
	if fail != nil {
		w.T.Fatalf("%s: %s %s", method, fail.Code(), fail.Reason)
	}
	return raw
}

// A call that ends its own session has its answer before, in every case there is; and
// one that does not leaves it as it was.
func TestCallsThatEndTheirSessionAreAnswered(t *testing.T) {
	const touches = methods.Ends | methods.Tokens | methods.Factors | methods.Rights | methods.Accounts | methods.Guards
	var names []string
	bubble(t, func(t *testing.T, w *world) {
		for _, s := range w.Router.Specs() {
			if s.Effects&touches == 0 {
				continue
			}
			_, listed := endsOwn[s.Name]
			if _, safe := harmless[s.Name]; listed == safe {
				t.Errorf("%s changes %v: say in one of the two tables whether it can end its own session", s.Name, s.Effects)
			}
			if listed {
				names = append(names, s.Name)
			}
		}
	})
	if len(names) != len(endsOwn) {
		t.Errorf("of %d methods in the table %d exist", len(endsOwn), len(names))
	}
	for _, name := range names {
		scene := endsOwn[name]
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.Unlimited()
				w.Set(settings.TwoFactorByEmail, false)
				w.User("ada", "role=admin")
				w.User("root", "role=admin")
				c := w.As("ada")
				if scene.pat {
					token := testkit.Unmarshal[string](t, must(w, c, "personalAccessTokens:generateToken", map[string]any{"tokenName": "bot"}))
					c = w.Connect()
					must(w, c, "login", map[string]any{"resume": token})
				}
				if fail := c.Sub("s", "stream-notify-user", w.Vars["ada"]+"/userData", false); fail != nil {
					t.Fatal(fail.Code())
				}
				must(w, c, name, scene.params(w, c)...) // fails without a result
				if ended := c.Closed(time.Second); ended != scene.ends {
					t.Fatalf("the session ended: %v", ended)
				}
				if scene.ends {
					return
				}
				synctest.Wait()
				_, fail := c.Call("removeOtherTokens")
				if in := fail == nil; in == scene.out {
					t.Errorf("the session is logged in: %v", in)
				}
			})
		})
	}
}
