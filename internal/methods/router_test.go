package methods_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
)

// probes are methods that show what the router let through.
type probes struct{ router func() *methods.Router }

func (g *probes) Specs() []methods.Spec {
	all := func(_ context.Context, c *rpc.Call) (any, error) {
		var args ejson.Rest
		if err := c.Bind(&args); err != nil {
			return nil, err
		}
		list := make([]any, len(args))
		for i := range args {
			list[i] = args[i]
		}
		return list, nil
	}
	return []methods.Spec{
		{Name: "test:echo", Do: all, Effects: methods.Reads},
		{Name: "test:open", Do: all, Effects: methods.Reads, Anonymous: true, Limit: ratelimit.Wide},
		{Name: "test:ordinary", Do: all, Effects: methods.Reads, Factor: twofactor.Ordinary},
		{Name: "test:fresh", Do: all, Effects: methods.Accounts, Factor: twofactor.Fresh},
		{Name: "test:required", Do: all, Effects: methods.Accounts, Factor: twofactor.Fresh},
		{Name: "test:admin", Do: all, Effects: methods.Others, Permission: permission.EditPrivilegedSetting, Factor: twofactor.Ordinary},
		{Name: "test:meteor", Do: all, Effects: methods.Reads, LoginError: fault.Num(401, "Must be logged in")},
		{Name: "test:boom", Effects: methods.Reads, Anonymous: true, Limit: ratelimit.Wide,
			Do: func(context.Context, *rpc.Call) (any, error) { panic("secret text of a panic") }},
		{Name: "test:fail", Effects: methods.Reads, Anonymous: true, Do: func(context.Context, *rpc.Call) (any, error) {
			return nil,
				errors.New("secret text of an error")
		}},
		{Name: "test:late", Effects: methods.Reads, Factor: twofactor.Ordinary, Do: func(ctx context.Context, c *rpc.Call) (any, error) {
			if err := g.router().Challenge(ctx, c, twofactor.Fresh); err != nil {
				return nil, err
			}
			return "in", nil
		}},
	}
}

// probed runs f with the probes served.
func probed(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	g := &probes{}
	bubble(t, func(t *testing.T, w *world) {
		g.router = func() *methods.Router { return w.Router }
		f(t, w)
	}, g)
}

func TestUnknownMethod(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		c := w.Connect()
		for range 8 { // all names are limited as one, four times as widely as a method
			for _, name := range []string{"nope", "__proto__", "constructor", "toString", "hasOwnProperty"} {
				_, fail := c.Call(name)
				if fail.Code() != "404" || fail.Message != "Method '"+name+"' not found [404]" {
					t.Fatalf("%q: %+v", name, fail)
				}
			}
		}
		for range 110 {
			if _, fail := c.Call("nope"); fail.Code() != "too-many-requests" {
				t.Fatalf("%+v", fail)
			}
		}
		if n, limited := w.Metrics.Of("unknown", "refused"), w.Metrics.Of("unknown", "limited"); n != 40 || limited != 110 {
			t.Errorf("%d and %d calls counted as unknown, want 40 and 110", n, limited)
		}
		if n := w.Logs.FilterMessage("call").Len(); n != 10 {
			t.Errorf("%d records, want the first five of each outcome", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		told := 0
		for _, e := range w.Logs.FilterMessage("calls_repeated").All() {
			told += int(e.ContextMap()["count"].(int64))
		}
		if told != 140 {
			t.Errorf("the summary tells of %d calls, want 140", told)
		}
		if _, fail := w.Connect().Call(strings.Repeat("x", 10_000)); fail.Code() != "404" {
			t.Errorf("%+v", fail)
		}
		for _, e := range w.Logs.FilterMessage("call").All() {
			if m := e.ContextMap()["method"].(string); len(m) > 70 {
				t.Errorf("a stranger wrote %d bytes into the log", len(m))
			}
		}
	})
}

func TestLoginNeeded(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		c := w.Connect()
		_, fail := c.Call("test:echo")
		if fail.Code() != "error-not-authorized" || fail.Message != "Not authorized [error-not-authorized]" || !fail.Safe || fail.ErrorType != "Meteor.Error" {
			t.Errorf("%+v", fail)
		}
		if _, fail = c.Call("test:meteor"); fail.Code() != "401" {
			t.Errorf("%+v", fail)
		}
		if res, fail := c.Call("test:open", 1); fail != nil || string(res) != "[1]" {
			t.Errorf("%s, %+v", res, fail)
		}
	})
}

// S096: a handler that panics a thousand times costs its callers a 500 each and
// nobody anything else; text and stack stand in the log only.
func TestPanic(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		c := w.Connect()
		for range 1000 {
			_, fail := c.Call("test:boom")
			if fail.Code() != "500" || fail.Reason != "Internal server error" || len(fail.Details) > 0 {
				t.Fatalf("%+v", fail)
			}
		}
		if _, fail := c.Call("test:open"); fail != nil {
			t.Errorf("the session is dead: %+v", fail)
		}
		if w.Metrics.Panics() != 1000 || w.Metrics.Of("test:boom", "error") != 1000 {
			t.Errorf("%d panics counted", w.Metrics.Panics())
		}
		logged := w.Logs.FilterMessage("call").FilterField(zap.String("method", "test:boom")).All()
		if len(logged) != 5 { // the others are counted, and told as a number
			t.Fatalf("%d records for 1000 calls", len(logged))
		}
		m := logged[0].ContextMap()
		if !strings.Contains(fmt.Sprint(m["cause"]), "secret text of a panic") || !strings.Contains(fmt.Sprint(m["stack"]), "router_test.go") {
			t.Errorf("the record lacks the panic: %v", m["cause"])
		}
	})
}

// One record for each call, with method, user, result and fault, and nothing of
// what was said.
func TestOneRecord(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		u := w.User("ada", "role=user", "role=admin")
		c := w.As("ada")
		for _, e := range w.Logs.FilterMessage("call").All() {
			if m := e.ContextMap(); m["method"] != "login" || m["user_id"] != u.ID {
				t.Errorf("the record of the login: %v", m)
			}
		}
		w.Logs.TakeAll()
		for _, want := range []struct {
			method, result, fault string
			params                []any
		}{
			{"test:echo", "ok", "", []any{"private words"}},
			{"test:fail", "error", "500", nil},
			{"nope", "refused", "404", nil},
			{"test:fresh", "refused", "totp-required", nil},
		} {
			_, _ = c.Call(want.method, want.params...)
			entries := w.Logs.FilterMessage("call").All()
			w.Logs.TakeAll()
			if len(entries) != 1 {
				t.Fatalf("%s: %d records", want.method, len(entries))
			}
			m := entries[0].ContextMap()
			if m["method"] != want.method || m["result"] != want.result || m["user_id"] != u.ID || m["door"] != "ddp" {
				t.Errorf("%s: %v", want.method, m)
			}
			if got, _ := m["fault"].(string); got != want.fault {
				t.Errorf("%s: fault %q", want.method, got)
			}
			if strings.Contains(fmt.Sprint(m), "private words") {
				t.Errorf("parameters are logged: %v", m)
			}
		}
	})
}

// S049: what the router takes for an answer, and what stays a parameter.
func TestTrailingParameter(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c := w.As("ada")
		for params, want := range map[string]string{
			`[]`:                `[]`,
			`[null]`:            `[null]`,
			`[1,false]`:         `[1,false]`,
			`[1,0]`:             `[1,0]`,
			`[1,""]`:            `[1,""]`,
			`[1,{}]`:            `[1,{}]`,
			`[false]`:           `[false]`,
			`["twoFactorCode"]`: `["twoFactorCode"]`,
			`[1,{"twoFactorCode":"1","twoFactorMethod":"email"}]`:                                       `[1]`,
			`[{"twoFactorCode":"1","twoFactorMethod":"email"}]`:                                         `[]`,
			` [ 1 , { "twoFactorMethod" : "email" , "twoFactorCode" : "1" } ] `:                         `[1]`,
			`[1,{"twoFactorCode":"1","twoFactorMethod":"email","more":1}]`:                              `[1]`,
			`[1,{"twoFactorCode":"1"}]`:                                                                 `[1]`,
			`[1,{"twoFactorCode":"1","more":1}]`:                                                        `[1,{"twoFactorCode":"1","more":1}]`,
			`[1,{"twoFactorMethod":"email"}]`:                                                           `[1,{"twoFactorMethod":"email"}]`,
			`[{"twoFactorCode":"1","twoFactorMethod":"email"},1]`:                                       `[{"twoFactorCode":"1","twoFactorMethod":"email"},1]`,
			`[{"twoFactorCode":"1","twoFactorMethod":"a"},{"twoFactorCode":"2","twoFactorMethod":"b"}]`: `[{"twoFactorCode":"1","twoFactorMethod":"a"}]`,
			`["a]\"}",{"\u0074woFactorCode":"1","twoFactorMethod":"x"}]`:                                `["a]\"}"]`,
			`[[{"twoFactorCode":"1","twoFactorMethod":"x"}]]`:                                           `[[{"twoFactorCode":"1","twoFactorMethod":"x"}]]`,
			`[1,{"twoFactorCode":5,"twoFactorMethod":"email"}]`:                                         `[1]`,
			`[1,{"twoFactorCode":null,"twoFactorMethod":null}]`:                                         `[1]`,
		} {
			got, fail := c.CallRaw("test:echo", params)
			if fail != nil || string(got) != want {
				t.Errorf("%s arrives as %s (%s), want %s", params, got, fail.Code(), want)
			}
		}
	})
}

// A code that is no text counts as a wrong answer, and never as anything else.
func TestCodesOfOtherTypes(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.Set(settings.TwoFactorWrongPerHour, 100)
		w.Set(settings.TwoFactorEmailAttempts, 10)
		w.User("ada", "email2fa")
		c := w.As("ada")
		if _, fail := c.Call("test:fresh"); fail.Code() != "totp-required" {
			t.Fatalf("%+v", fail)
		}
		code := w.Mails.Last()
		for _, bad := range []string{code, `null`, `true`, `{}`, `[]`, `["` + code + `"]`, `{"$date":5}`, `{"$ne":null}`} {
			if strings.HasPrefix(bad, "0") {
				continue // a number with a leading zero is no JSON
			}
			_, fail := c.CallRaw("test:fresh", `[{"twoFactorCode":`+bad+`,"twoFactorMethod":"email"}]`)
			if fail.Code() != "totp-invalid" {
				t.Errorf("code %s: %s", bad, fail.Code())
			}
		}
		if _, fail := c.CallRaw("test:fresh", `[{"twoFactorCode":"`+code+`","twoFactorMethod":["email"]}]`); fail.Code() != "totp-invalid" {
			t.Errorf("method as a list: %s", fail.Code())
		}
	})
}

// S049: what is said in the call beats the headers of the handshake; headers
// count only together.
func TestHandshakeHeaders(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		digest := testkit.DigestOf("ada")
		with := func(code, method string) *client {
			return w.Connect(func(p *rpc.Peer) {
				p.Proof = rpc.HeaderProof(http.Header{"X-2fa-Code": {code}, "X-2fa-Method": {method}})
			}).Login("ada")
		}
		if _, fail := with(digest, "password").Call("test:fresh"); fail != nil {
			t.Errorf("both headers: %s", fail.Code())
		}
		if _, fail := with(digest, "").Call("test:fresh"); fail.Code() != "totp-required" {
			t.Errorf("code alone: %s", fail.Code())
		}
		if _, fail := with("wrong", "password").Call("test:fresh", answer(digest, "password")); fail != nil {
			t.Errorf("explicit beats header: %s", fail.Code())
		}
		if _, fail := with(digest, "password").Call("test:fresh", answer("wrong", "password")); fail.Code() != "totp-invalid" {
			t.Errorf("a wrong answer is not rescued by the headers: %s", fail.Code())
		}
		if _, fail := with("stale", "email").Call("test:echo"); fail != nil {
			t.Errorf("a stale header on a call that needs no code: %s", fail.Code())
		}
	})
}

// The permission comes after the factor over DDP, as in Rocket.Chat, and a code
// is not asked of those who are logged out.
func TestOrder(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c := w.As("ada")
		if _, fail := c.Call("test:admin"); fail.Code() != "totp-required" {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := c.Call("test:admin", answer(testkit.DigestOf("ada"), "password")); fail.Code() != "error-not-allowed" {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := w.Connect().Call("test:admin"); fail.Code() != "error-not-authorized" {
			t.Errorf("%s", fail.Code())
		}
		w.Set(settings.LimitConnectionMethodEnabled, true)
		for range 10 {
			_, _ = c.Call("test:required")
		}
		if _, fail := c.Call("test:required"); fail.Code() != "too-many-requests" {
			t.Errorf("the limit comes first: %s", fail.Code())
		}
	})
}

// S048: trust that is remembered for an ordinary call does not stand for the
// fresh factor that the call asks for later; one right code serves both.
func TestInheritedApproval(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada", "email2fa")
		c := w.As("ada")
		_, _ = c.Call("test:ordinary")
		if _, fail := c.Call("test:ordinary", answer(w.Mails.Last(), "email")); fail != nil {
			t.Fatalf("%s", fail.Code())
		}
		if _, fail := c.Call("test:ordinary"); fail != nil {
			t.Fatalf("not remembered: %s", fail.Code())
		}
		if _, fail := c.Call("test:late"); fail.Code() != "totp-required" {
			t.Errorf("remembered trust passed a required factor: %s", fail.Code())
		}
		if res, fail := c.Call("test:late", answer(w.Mails.Last(), "email")); fail != nil || string(res) != `"in"` {
			t.Errorf("one code for two checks: %s", fail.Code())
		}
	})
}

func TestProtectedCalls(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c, stranger := w.As("ada"), w.Connect()
		w.Set(settings.TwoFactorProtectedCalls, "test:ec*,\n permissions/get , no:such")
		for _, method := range []string{"test:echo", "permissions/get"} {
			if _, fail := c.Call(method); fail.Code() != "totp-required" {
				t.Errorf("%s: %s", method, fail.Code())
			}
		}
		if w.Logs.FilterMessage("protected_calls_without_method").FilterField(zap.String("names", "no:such")).Len() != 1 {
			t.Error("an unknown name is not logged")
		}
		if _, fail := c.Call("test:echo", answer(testkit.DigestOf("ada"), "password")); fail != nil {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := c.Call("permissions/get"); fail != nil {
			t.Errorf("ordinary checks are remembered: %s", fail.Code())
		}
		// Everything protected: the ways in and out stay open.
		w.Set(settings.TwoFactorProtectedCalls, "*")
		d := w.As("ada")
		if _, fail := d.Call("test:open"); fail.Code() != "totp-required" {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := stranger.Call("test:open"); fail != nil {
			t.Errorf("a stranger has no factor: %s", fail.Code())
		}
		if _, fail := d.Call("logout"); fail != nil {
			t.Errorf("logout: %s", fail.Code())
		}
		w.Set(settings.TwoFactorProtectedCalls, "")
		if _, fail := w.As("ada").Call("test:open"); fail != nil {
			t.Errorf("a change of the list takes effect at once: %s", fail.Code())
		}
	})
}

// Users of a role that must have a factor can enrol one, see themselves and
// leave, and nothing else, over calls and subscriptions alike.
func TestMandatoryRoles(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada", "verified", "role=user", "role=admin")
		w.User("bob")
		w.Set(settings.TwoFactorMandatoryRoles, "admin")
		c := w.As("ada")
		if f := c.Event(); f.Collection != "users" || f.ID != ada.ID {
			t.Errorf("the own account is not published: %s", f.Text)
		}
		for _, method := range []string{"test:echo", "test:open", "saveSettings", "getServerInfo", "private-settings/get"} {
			if _, fail := c.Call(method); fail.Code() != "error-two-factor-setup-required" {
				t.Errorf("%s: %s", method, fail.Code())
			}
		}
		again := launch("test:echo", testkit.DigestOf("ada"), "password")
		if _, fail := c.Call("callWithTwoFactorRequired", again); fail.Code() != "error-two-factor-setup-required" {
			t.Errorf("launcher: %s", fail.Code())
		}
		if fail := c.Sub("1", "stream-notify-logged", "user-status", false); fail.Code() != "error-two-factor-setup-required" {
			t.Errorf("stream: %s", fail.Code())
		}
		if fail := c.Sub("2", "stream-notify-user", ada.ID+"/userData", false); fail != nil {
			t.Errorf("own state: %s", fail.Code())
		}
		if _, fail := c.Call("getServerTime"); fail != nil {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := w.As("bob").Call("test:echo"); fail != nil {
			t.Errorf("another role: %s", fail.Code())
		}
		if _, fail := c.Call("2fa:enable-email"); fail.Code() == "totp-required" {
			_, fail = c.Call("2fa:enable-email", answer(testkit.DigestOf("ada"), "password"))
			if fail != nil {
				t.Fatalf("enrolment: %s", fail.Code())
			}
		} else if fail != nil {
			t.Fatalf("enrolment: %s", fail.Code())
		}
		if _, fail := c.Call("test:echo"); fail != nil {
			t.Errorf("enrolled: %s", fail.Code())
		}
		w.Set(settings.TwoFactorMandatoryRoles, "admin:totp, user")
		if _, fail := c.Call("test:echo"); fail.Code() != "error-two-factor-setup-required" {
			t.Errorf("the role demands an app: %s", fail.Code())
		}
		w.Set(settings.TwoFactorMandatoryRoles, "admin")
		w.Set(settings.TwoFactorByEmail, false)
		if _, fail := c.Call("test:echo"); fail.Code() != "error-two-factor-setup-required" {
			t.Errorf("the factor was switched off: %s", fail.Code())
		}
		if _, err := w.Settings.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorEnabled, Value: false}}); !errors.Is(err, settings.ErrValue) {
			t.Errorf("switching everything off under a rule that needs it: %v", err)
		}
		if _, fail := c.Call("logout"); fail != nil {
			t.Errorf("%s", fail.Code())
		}
	})
}

// A login token that dies is worth nothing from the next call on, also where
// the connection is still open.
func TestDeadToken(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.User("ada")
		u, err := w.Accounts.Find(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		peer := &rpc.Peer{Conn: "c", Door: rpc.DDP}
		call := func(l rpc.Login, method string) error {
			_, err := w.Router.Method(t.Context(), &rpc.Call{Method: method, Peer: peer, Login: l})
			return err
		}
		issued, err := w.Accounts.IssueToken(t.Context(), peer, u, "password")
		if err != nil {
			t.Fatal(err)
		}
		l := issued.Login()
		if err := call(l, "test:echo"); err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string]rpc.Login{
			"no token": {UserID: u.ID}, "other token": {UserID: u.ID, Token: "x"}, "other user": {UserID: "x", Token: l.Token},
		} {
			if err := call(bad, "test:echo"); !errors.Is(err, fault.NotAuthorized) {
				t.Errorf("%s: %v", name, err)
			}
			if err := call(bad, "test:open"); err != nil {
				t.Errorf("%s, open method: %v", name, err)
			}
		}
		time.Sleep(91 * 24 * time.Hour) // bubble time
		if err := call(l, "test:echo"); !errors.Is(err, fault.NotAuthorized) {
			t.Errorf("an expired token: %v", err)
		}
	})
}

// A store that does not answer refuses; it never lets pass.
func TestStoreDown(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.User("ada")
		c := w.As("ada")
		if err := w.Store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"test:echo", "test:ordinary", "test:admin"} {
			if _, fail := c.Call(method); fail.Code() != "500" {
				t.Errorf("%s: %s", method, fail.Code())
			}
		}
		if res, fail := c.Call("getServerTime"); fail != nil || !strings.HasPrefix(string(res), `{"$date":`) {
			t.Errorf("the cheapest call needs no store: %s %s", res, fail.Code())
		}
	})
}

func TestSpecsThatContradictThemselves(t *testing.T) {
	do := func(context.Context, *rpc.Call) (any, error) { return nil, nil }
	bubble(t, func(t *testing.T, w *world) {
		for name, s := range map[string]methods.Spec{
			"twice": {Name: "login", Do: do, Effects: methods.Reads}, "no name": {Do: do, Effects: methods.Reads}, "no handler": {Name: "x", Effects: methods.Reads},
			"unknown permission":   {Name: "x", Do: do, Effects: methods.Reads, Permission: "fly"},
			"permission for all":   {Name: "x", Do: do, Effects: methods.Reads, Anonymous: true, Permission: permission.CreateUser},
			"quick, with an login": {Name: "x", Do: do, Quick: true, Effects: methods.Reads},
			"no effects":           {Name: "x", Do: do},
			"reads and more":       {Name: "x", Do: do, Effects: methods.Reads | methods.Rooms},
			"rights on trust":      {Name: "x", Do: do, Effects: methods.Rights, Factor: twofactor.Ordinary},
			"office for nothing":   {Name: "x", Do: do, Effects: methods.Others},
			"factors for nothing":  {Name: "x", Do: do, Effects: methods.Reads, Proofs: rpc.Proofs{Not: []string{"email"}}},
			"an unknown factor":    {Name: "x", Do: do, Effects: methods.Reads, Factor: twofactor.Fresh, Proofs: rpc.Proofs{Only: []string{"riddle"}}},
			"an idle excuse":       {Name: "x", Do: do, Effects: methods.Accounts, Factor: twofactor.Fresh, Instead: "a mailed link"},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: accepted", name)
					}
				}()
				w.NewRouter(nil, group{s})
			}()
		}
	})
}

type group []methods.Spec

func (g group) Specs() []methods.Spec { return g }

// Route is the order of REST: login, permission, limit, parameters, factor.
func TestRoute(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.User("ada")
		w.User("root", "role=admin")
		peer := func() *rpc.Peer { return &rpc.Peer{Conn: "r", Door: rpc.REST, Address: "198.51.100.9"} }
		issue := func(name string) rpc.Login {
			u, err := w.Accounts.Find(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			i, err := w.Accounts.IssueToken(t.Context(), peer(), u, "password")
			if err != nil {
				t.Fatal(err)
			}
			return i.Login()
		}
		ada, root := issue("ada"), issue("root")
		spec := methods.Spec{
			Name: "test.route", Permission: permission.EditPrivilegedSetting, Factor: twofactor.Ordinary,
			Rest: ratelimit.Rule{Count: 2, Window: time.Minute},
			Do:   func(context.Context, *rpc.Call) (any, error) { return "done", nil },
		}
		run := func(l rpc.Login, p *rpc.Peer, bad bool) (ratelimit.Verdict, error) {
			_, v, err := w.Router.Route(t.Context(), &rpc.Call{Method: "test.route", Peer: p, Login: l}, &spec, nil, func(*rpc.Call) error {
				if bad {
					return fault.New("invalid-params", "bad")
				}
				return nil
			})
			return v, err
		}
		code := func(err error) string {
			f, _ := fault.From(err)
			if err == nil {
				return ""
			}
			return f.ID()
		}
		if _, err := run(rpc.Login{}, peer(), true); code(err) != "error-not-authorized" {
			t.Errorf("logged out: %v", err)
		}
		if _, err := run(ada, peer(), true); code(err) != "error-not-allowed" {
			t.Errorf("no permission: %v", err)
		}
		if _, err := run(root, peer(), true); code(err) != "invalid-params" {
			t.Errorf("bad parameters come before the factor: %v", err)
		}
		if _, err := run(root, peer(), false); code(err) != "totp-required" {
			t.Errorf("factor: %v", err)
		}
		alone := peer()
		alone.Proof = rpc.TextProof("", testkit.DigestOf("root"))
		if v, err := run(root, alone, false); err != nil || v.Limited {
			t.Errorf("the code header alone is enough, and administrators are not limited: %v %+v", err, v)
		}
		// The limit, for a permission everybody has.
		spec.Permission, spec.Factor = "", twofactor.None
		for i, want := range []string{"", "", "error-too-many-requests"} {
			v, err := run(ada, peer(), false)
			if code(err) != want || !v.Limited || v.Limit != 2 || v.Remaining != max(1-i, 0) {
				t.Errorf("request %d: %v %+v", i, err, v)
			}
		}
		// The administrator's list, by route, by verb, and by the method it stands for.
		spec.Action = "test:echo"
		for list, want := range map[string]string{
			"test.route": "totp-required", "POST test.route": "totp-required", "post /api/v1/test.*": "totp-required",
			"GET test.route": "", "test": "", "test:echo": "totp-required", "test:ordinary": "",
		} {
			w.Set(settings.TwoFactorProtectedCalls, list)
			spec.Rest.Count = -1
			if _, err := run(ada, peer(), false); code(err) != want {
				t.Errorf("list %q: %v", list, err)
			}
			if _, err := w.Router.Method(t.Context(), &rpc.Call{Method: "test:echo", Peer: peer(), Login: ada}); code(err) != want {
				t.Errorf("list %q, the method: %v", list, err)
			}
		}
	})
}

func answer(code, method string) map[string]any {
	return map[string]any{"twoFactorCode": code, "twoFactorMethod": method}
}

func launch(method, code, factor string, params ...any) map[string]any {
	return map[string]any{"code": code, "ddpMethod": method, "method": factor, "params": append([]any{}, params...)}
}
