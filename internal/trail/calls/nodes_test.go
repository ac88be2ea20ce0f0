package calls_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
)

// Whoever listens hears what every node wrote, and may list it anywhere.
func TestEveryNodeTellsWhatAnyWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, key := testkit.OpenStore(t), secret.Generate()
		n1 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n1", Events: db})
		n2 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n2", Events: db})
		n1.User("ada", "role=admin")
		n1.User("bob")
		listener := n2.As("ada")
		if fail := listener.Sub("s", trail.StreamName, trail.StreamEvent, false); fail != nil {
			t.Fatal(fail.Code())
		}
		if err := n2.FlushTrail(); err != nil { // the listener's own login
			t.Fatal(err)
		}
		listener.Events()
		n1.As("bob")
		if err := n1.FlushTrail(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if f := listener.Event(); !strings.Contains(f.Text, `"act":"login","outcome":"ok"`) || !strings.Contains(f.Text, `"username":"bob"`) ||
			!strings.Contains(f.Text, `"node":"n1"`) {
			t.Errorf("%s", f.Text)
		}
		if raw := string(listener.Must("audit:list", map[string]any{"user": "bob"})); strings.Count(raw, `"_id"`) != 2 {
			t.Errorf("%s", raw)
		}
	})
}

// The right is asked for again when it is taken: the stream ends.
func TestTheStreamEndsWithTheRight(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		w.Unlimited()
		ada, root := w.User("ada", "role=admin"), w.User("root", "role=admin")
		c := w.As("ada")
		if fail := c.Sub("s", trail.StreamName, trail.StreamEvent, false); fail != nil {
			t.Fatal(fail.Code())
		}
		c.Other = nil
		roles := []string{"user"}
		if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, root, ada.ID, accounts.UserChange{Roles: &roles}); err != nil {
			t.Fatal(err)
		}
		ended := false
		for f := c.Event(); f.Msg != "" && !ended; f = c.Event() {
			ended = strings.Contains(f.Text, `"msg":"nosub","id":"s"`)
		}
		if !ended {
			t.Error("the stream goes on")
		}
		if _, fail := c.Call("audit:list"); fail.Code() != "error-not-allowed" {
			t.Errorf("%v", fail)
		}
	})
}

// S084: nothing that opens something is in the copy: no password or digest of one, no
// login token, personal access token, code, secret of an app, backup code or link.
func TestS084TheCopyHoldsNoSecrets(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		w.Unlimited()
		w.User("ada", "role=admin", "email2fa")
		c := w.Connect()
		secrets := []string{testkit.PasswordOf("ada"), testkit.DigestOf("ada"), "ada@example.com", "a guessed password"}
		login := func(code string) map[string]any {
			plain := map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")}
			return map[string]any{"totp": map[string]any{"login": plain, "code": code}}
		}
		c.Call("login", map[string]any{"user": map[string]any{"username": "ada"}, "password": "a guessed password"})
		c.Call("login", map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")})
		mailed := w.Mails.Last()
		got := testkit.Unmarshal[struct{ Token string }](t, c.Must("login", login(mailed)))
		secrets = append(secrets, mailed, got.Token)
		prove := func(method string, params ...any) []byte {
			t.Helper()
			if _, fail := c.Call(method, params...); fail.Code() != "totp-required" {
				t.Fatalf("%s: %s", method, fail.Code())
			}
			code := w.Mails.Last()
			secrets = append(secrets, code)
			return c.Must(method, append(params, map[string]any{"twoFactorCode": code, "twoFactorMethod": "email"})...)
		}
		pat := testkit.Unmarshal[string](t, prove("personalAccessTokens:generateToken", map[string]any{"tokenName": "bot"}))
		app := testkit.Unmarshal[struct{ Secret string }](t, prove("2fa:enable"))
		code, err := totp.GenerateCode(app.Secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		backup := testkit.Unmarshal[struct{ Codes []string }](t, c.Must("2fa:validateTempToken", code))
		secrets = append(append(secrets, pat, app.Secret, code), backup.Codes...)
		c.Call("forgotPassword", map[string]any{"email": "ada@example.com"})
		time.Sleep(time.Second)
		link := w.Mails.Link("reset")
		secrets = append(secrets, link[strings.LastIndex(link, "/")+1:])
		stranger := w.Connect()
		stranger.Call("login", map[string]any{"resume": "a token that is none, and a secret all the same"})
		secrets = append(secrets, "a token that is none")

		if err := w.FlushTrail(); err != nil {
			t.Fatal(err)
		}
		e, err := w.Kept.Export(t.Context(), trail.Filter{}, trail.JSONLines)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := e.Write(t.Context(), &text); err != nil {
			t.Fatal(err)
		}
		page, err := w.Store.(trail.Store).PageTrail(t.Context(), trail.Query{Limit: 1000, Scan: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Events {
			text.WriteString(k.Text)
		}
		for _, act := range []string{"login", "factor_check", "code_sent", "token_created", "factor_enabled", "password_reset_requested"} {
			if !strings.Contains(text.String(), `"act":"`+act+`"`) {
				t.Errorf("no event %s", act)
			}
		}
		if len(secrets) < 20 {
			t.Errorf("only %d secrets", len(secrets))
		}
		for i, s := range secrets {
			if s == "" || strings.Contains(text.String(), s) || strings.Contains(text.String(), strings.ToLower(s)) {
				t.Errorf("the copy holds %q, number %d", s, i)
			}
		}
	})
}
