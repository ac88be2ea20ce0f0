package methods_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// riddle is a factor that the server does not know: the account's custom fields hold
// the answer, and the proof is an object. It is all that is written for it.
type riddle struct{ twofactor.Base }

func (riddle) Name() string                   { return "riddle" }
func (riddle) Strength() twofactor.Strength   { return twofactor.ByTOTP }
func (riddle) Offered(*user.User) bool        { return true }
func (riddle) SwitchedOn(u *user.User) bool   { return u.CustomFields["riddle"] != nil }
func (f riddle) Enabled(u *user.User) bool    { return f.SwitchedOn(u) }
func (riddle) answer(u *user.User) (s string) { s, _ = u.CustomFields["riddle"].(string); return s }

func (f riddle) Verify(_ context.Context, r twofactor.Request) (string, error) {
	var given struct {
		Answer string `ejson:"answer"`
	}
	if ejson.Unmarshal(r.Proof.Value, &given) != nil || given.Answer == "" || given.Answer != f.answer(r.User) {
		return "", nil
	}
	return f.Name(), nil
}

func (riddle) Prepare(_ context.Context, _ twofactor.Request, d *twofactor.Details, _ bool) error {
	d.After = append(d.After, ejson.Field{Key: "question", Value: "What walks on four legs?"})
	return nil
}

func (riddle) Calls() []twofactor.Call {
	return []twofactor.Call{{
		Method: "2fa:riddle", Effects: twofactor.Reads, Doc: "Tells the riddle.", Result: "text",
		Do: func(context.Context, *rpc.Call) (any, error) { return "What walks on four legs?", nil },
	}}
}

// A factor is one type and one line: it is offered in a challenge with details of its
// own, reads its own proof, is counted when it is wrong, is named in the audit stream,
// asks before the password may, and its calls are in the surface, with nothing else
// written anywhere.
func TestNewFactor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.Set(settings.TwoFactorRememberFor, 0)
		ann := w.User("ann", "verified")
		fields := map[string]any{"riddle": "a man"}
		if _, err := w.Store.UpdateUser(t.Context(), ann.ID, user.Change{CustomFields: &fields, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if spec, ok := w.Router.Spec("2fa:riddle"); !ok || spec.Doc == "" {
			t.Error("its call is not in the surface")
		}
		c := w.Connect()
		_, fail := c.Call("login", map[string]any{"user": map[string]any{"username": "ann"}, "password": testkit.PasswordOf("ann")})
		challenged := func(fail *failure, code string) {
			t.Helper()
			var d struct {
				Method           string   `json:"method"`
				AvailableMethods []string `json:"availableMethods"`
				Question         string   `json:"question"`
			}
			if fail.Code() != code || json.Unmarshal(fail.Details, &d) != nil {
				t.Fatalf("%+v, want %s", fail, code)
			}
			if d.Method != "riddle" || !slices.Contains(d.AvailableMethods, "riddle") || !strings.Contains(d.Question, "four legs") {
				t.Errorf("%s: %+v", code, d)
			}
		}
		challenged(fail, "totp-required")

		token, err := w.Accounts.IssueToken(t.Context(), &rpc.Peer{}, ann, "password")
		if err != nil {
			t.Fatal(err)
		}
		if _, fail := c.Call("login", map[string]any{"resume": token.Token}); fail != nil {
			t.Fatal(fail)
		}
		made := 0
		makeToken := func(proof any) *failure {
			params := []any{map[string]any{"tokenName": fmt.Sprint("t", made)}}
			if proof != nil {
				params = append(params, map[string]any{"twoFactorCode": proof, "twoFactorMethod": "riddle"})
			}
			_, fail := c.Call("personalAccessTokens:generateToken", params...)
			if fail == nil {
				made++
			}
			return fail
		}
		challenged(makeToken(nil), "totp-required")
		for _, wrong := range []any{map[string]any{"answer": "a dog"}, "a man", 7, []any{"a man"}, map[string]any{}} {
			challenged(makeToken(wrong), "totp-invalid")
		}
		if fail := makeToken(map[string]any{"answer": "a man"}); fail != nil {
			t.Errorf("the right answer: %+v", fail)
		}
		if g, err := w.Store.Guard(t.Context(), ann.ID); err != nil || g.Received != 6 || g.InRow["riddle"] != 0 {
			t.Errorf("%+v, %v: six answers came, and the right one ends the row", g, err)
		}
		if events := w.Trail.Of("factor_check"); len(events) == 0 || events[len(events)-1].Factor != "riddle" {
			t.Errorf("the audit stream has %+v", events)
		}
		last := ""
		for range 30 {
			if last = makeToken("guess").Code(); last == "totp-max-attempts" {
				break
			}
		}
		if last != "totp-max-attempts" {
			t.Errorf("guessing ended with %s", last)
		}
		if fail := makeToken(map[string]any{"answer": "a man"}); fail.Code() != "totp-max-attempts" {
			t.Errorf("the right answer beyond the budget: %+v", fail)
		}
	}, riddle{})
}
