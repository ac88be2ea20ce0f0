package methods_test

import (
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// The answer to one challenge of a sign-up makes one account, whatever becomes of its name
// meanwhile, however many devices answer it and however many answers come at once; and an
// answer by which a key was added adds none a second time.
func TestJoiningAnswersAreGoodOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.Set(settings.WebAuthnSignUp, true)
		options := func(who map[string]any) []byte {
			t.Helper()
			raw, fail := w.Connect().Call("generateWebAuthnSignUpOptions", map[string]any{"userData": who})
			if fail != nil {
				t.Fatal(fail.Code())
			}
			return []byte(raw)
		}
		create := func(options []byte) string {
			t.Helper()
			text, err := w.Device().Create(options)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		joinOn := func(c *client, text string) (id, code string) {
			defer c.Close()
			raw, fail := c.Call("createUserWithWebAuthn", map[string]any{"credential": testkit.Unmarshal[map[string]any](t, []byte(text))})
			if fail != nil {
				return "", fail.Code()
			}
			return testkit.Unmarshal[struct{ ID string }](t, []byte(raw)).ID, ""
		}
		join := func(text string) (id, code string) { return joinOn(w.Connect(), text) }
		for name, who := range map[string]map[string]any{
			"a name": {"username": "newcomer"}, "an address": {"email": "new@example.org"}, "both": {"username": "other", "email": "other@example.org"},
		} {
			asked := options(who)
			one, two := create(asked), create(asked)
			id, code := join(one)
			if id == "" {
				t.Fatalf("%s: %s", name, code)
			}
			if again, code := join(one); again != "" || code != "invalid-webauthn-registration" {
				t.Errorf("%s, again: %s", name, code)
			}
			username, emails := "renamed-"+id, []user.Email{}
			if _, err := w.Store.UpdateUser(t.Context(), id, user.Change{Username: &username, Emails: &emails, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			for device, text := range map[string]string{"the same device": one, "another device": two} {
				if again, code := join(text); again != "" || code != "invalid-webauthn-registration" {
					t.Errorf("%s, after the first account was renamed, %s: %q made %q", name, device, code, again)
				}
			}
		}
		asked := options(map[string]any{"username": "crowd"})
		made := make(chan string, 8)
		for range cap(made) {
			text, c := create(asked), w.Connect()
			go func() { id, _ := joinOn(c, text); made <- id }()
		}
		won := 0
		for range cap(made) {
			if <-made != "" {
				won++
			}
		}
		if won != 1 {
			t.Errorf("%d accounts were made of one challenge", won)
		}
	})
}
