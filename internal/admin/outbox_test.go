package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"ddpserver/internal/methods"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// reader is an administrator who wants to see the mails.
type reader struct {
	*testkit.API
	kind   readerKind
	u      *user.User
	token  rpc.Login
	clear  string // the login token
	bypass string // a personal access token that skips checks
}

type readerKind struct{ mail, app, password bool }

// takes are the proofs that open the outbox to such an account.
func (k readerKind) takes() []string {
	switch {
	case k.app:
		return []string{"totp", "backup"}
	case k.password:
		return []string{"password"}
	}
	return nil
}

const appSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func newReader(a *testkit.API, kind readerKind) *reader {
	a.T.Helper()
	options := []string{"role=admin", "verified"}
	if kind.mail {
		options = append(options, "email2fa")
	}
	r := &reader{API: a, kind: kind}
	r.u = a.User("root", options...)
	ctx, peer := a.T.Context(), &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1"}
	change := user.Change{At: time.Now()}
	if kind.app {
		plain := sha256.Sum256([]byte("abcdWXYZ"))
		change.Factor = func(s *user.Services) {
			s.TOTP = &user.TOTP{Enabled: true, Secret: a.Key.Seal(secret.PurposeTOTP, r.u.ID, appSecret), HashedBackup: []string{hex.EncodeToString(plain[:])}}
		}
	}
	if none := ""; !kind.password {
		change.Bcrypt = &none
	}
	must := func(err error) {
		a.T.Helper()
		if err != nil {
			a.T.Fatal(err)
		}
	}
	_, err := a.Store.UpdateUser(ctx, r.u.ID, change)
	must(err)
	r.u, err = a.Accounts.User(ctx, r.u.ID)
	must(err)
	issued, err := a.Accounts.IssueToken(ctx, peer, r.u, "password")
	must(err)
	r.token, r.clear = issued.Login(), issued.Token
	r.bypass, err = a.Accounts.GenerateToken(ctx, peer, r.u, "bot", true)
	must(err)
	return r
}

// given makes a proof of that kind; ok is false when the account can have none.
func (r *reader) given(kind string) (factor, code string, ok bool) {
	switch kind {
	case "wrong":
		return "", "nonsense", true
	case "totp":
		code, err := totp.GenerateCode(appSecret, time.Now())
		if err != nil {
			r.T.Fatal(err)
		}
		return "totp", code, true
	case "backup":
		return "totp", "abcdWXYZ", true
	case "password", "password, not named":
		return strings.TrimSuffix(kind, ", not named"), testkit.DigestOf("root"), true
	case "email", "email, not named":
		before := r.Mails.Count()
		if _, fail := r.Connect().Call("sendEmailCode", "root"); fail != nil {
			r.T.Fatal(fail)
		}
		return strings.TrimSuffix(kind, ", not named"), r.Mails.Last(), r.Mails.Count() > before
	}
	return "", "", true
}

// doors are all ways to call with a proof. Each answers what came back as it came.
func (r *reader) doors(token string) map[string]func(factor, code string) string {
	login := func(change ...func(*rpc.Peer)) *testkit.Client {
		c := r.Connect(change...)
		if _, fail := c.Call("login", map[string]any{"resume": token}); fail != nil {
			r.T.Fatal(fail)
		}
		return c
	}
	said := func(c *testkit.Client, method string, params ...any) string {
		defer c.Close()
		raw, fail := c.Call(method, params...)
		text, _ := json.Marshal(fail)
		return string(raw) + string(text)
	}
	launched := func(factor, code string) map[string]any {
		m := map[string]any{"code": code, "ddpMethod": "outbox:list", "params": []any{}}
		if factor != "" {
			m["method"] = factor
		}
		return m
	}
	trailing := func(factor, code string) []any {
		m := map[string]any{"twoFactorCode": code}
		if factor != "" {
			m["twoFactorMethod"] = factor
		}
		return []any{map[string]any{}, m}
	}
	c := &testkit.Caller{API: r.API, ID: r.u.ID, Token: token, Header: map[string]string{}}
	headers := func(factor, code string) *testkit.Caller {
		return c.With("x-2fa-method", factor).With("x-2fa-code", code)
	}
	enveloped := func(c *testkit.Caller, method string, params ...any) string {
		frame, _ := json.Marshal(map[string]any{"msg": "method", "id": "1", "method": method, "params": append([]any{}, params...)})
		return strings.ReplaceAll(c.Do("POST", "method.call/"+method, map[string]any{"message": string(frame)}).Raw, `\"`, `"`)
	}
	return map[string]func(factor, code string) string{
		"DDP, trailing": func(f, code string) string { return said(login(), "outbox:list", trailing(f, code)...) },
		"DDP, launcher": func(f, code string) string { return said(login(), "callWithTwoFactorRequired", launched(f, code)) },
		"DDP, handshake": func(f, code string) string {
			return said(login(func(p *rpc.Peer) { p.Proof = rpc.TextProof(f, code) }), "outbox:list")
		},
		"DDP, a frame of its own": func(f, code string) string {
			c := login()
			defer c.Close()
			frame := launched(f, code)
			frame["msg"], frame["id"] = "callWithTwoFactorRequired", "own"
			text, _ := json.Marshal(frame)
			c.Send("%s", text)
			raw, fail := c.Result("own")
			refused, _ := json.Marshal(fail)
			return string(raw) + string(refused)
		},
		"REST, route":     func(f, code string) string { return headers(f, code).Do("GET", "outbox.list", nil).Raw },
		"REST, trailing":  func(f, code string) string { return enveloped(c, "outbox:list", trailing(f, code)...) },
		"REST, enveloped": func(f, code string) string { return enveloped(headers(f, code), "outbox:list") },
		"REST, launcher":  func(f, code string) string { return enveloped(c, "callWithTwoFactorRequired", launched(f, code)) },
	}
}

// The outbox is the mailbox: every door × what the administrator has × every kind of
// proof × what the list of protected calls says. A code by e-mail opens it nowhere, nor
// does trust that one earned, a token that skips checks, or the password beside an app;
// it is not spent; and what opened it is remembered for no call that would not have taken it.
func TestACodeFromTheOutboxDoesNotOpenTheOutbox(t *testing.T) {
	cells, passed := 0, 0
	for _, listed := range []string{"", "outbox:list, callWithTwoFactorRequired, method.call/*"} {
		for n := range 8 {
			kind := readerKind{mail: n&1 > 0, app: n&2 > 0, password: n&4 > 0}
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewAPI(t, testkit.Options{Overrides: map[string]string{settings.TwoFactorProtectedCalls: listed,
					settings.TwoFactorMailsAsked: "100", settings.TwoFactorMailsPerAddress: "10000"}})
				a.Unlimited()
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = a.Outbox.Run(ctx) })
				err := send(a.Outbox, "bob@example.com")
				stop()
				running.Wait()
				if err != nil {
					t.Fatal(err)
				}
				r := newReader(a, kind)
				for door := range r.doors("") {
					for _, given := range []string{"", "wrong", "email", "email, not named", "totp", "backup", "password", "password, not named", "bypass", "trust"} {
						cells++
						if r.try(fmt.Sprintf("listed %q, %+v, %s, %q given", listed, kind, door, given), door, given) {
							passed++
						}
					}
				}
			})
		}
	}
	if cells != 2*8*8*10 || passed < cells/8 {
		t.Errorf("%d cells, %d passed", cells, passed)
	}
}

// try makes one call and tells whether it was answered.
func (r *reader) try(name, door, given string) (answered bool) {
	r.T.Helper()
	defer time.Sleep(2 * time.Hour) // the budgets, and the steps of the app
	ctx, token, taken := r.T.Context(), r.clear, r.kind.takes()
	factor, code, ok := r.given(given)
	if !ok {
		return false // nobody can have such a proof
	}
	switch given {
	case "bypass":
		token = r.bypass
	case "trust":
		r.trust()
	case "backup":
		r.backup()
	}
	text := r.doors(token)[door](factor, code)
	answered = strings.Contains(text, "bob@example.com")
	if want := slices.Contains(taken, strings.TrimSuffix(given, ", not named")); answered != want {
		r.T.Errorf("%s: %s", name, text)
	}
	if !answered && strings.Contains(text, "123-456") {
		r.T.Errorf("%s tells a code: %s", name, text)
	}
	if refusals := []string{"totp-required", "totp-invalid", "error-no-factor-for-call"}; !answered &&
		!slices.ContainsFunc(refusals, func(s string) bool { return strings.Contains(text, s) }) {
		r.T.Errorf("%s: %s", name, text)
	}
	if !answered && (strings.Contains(text, `"email"`) || len(taken) == 0 && !strings.Contains(text, "error-no-factor-for-call")) {
		r.T.Errorf("%s offers what does not count: %s", name, text)
	}
	if g, err := r.Store.Guard(ctx, r.u.ID); strings.HasPrefix(given, "email") && (err != nil || len(g.Codes) == 0) {
		r.T.Errorf("%s: the code was spent: %v", name, err)
	}
	u, err := r.Accounts.User(ctx, r.u.ID)
	// The app would have opened an ordinary call, too; the password beside codes by mail would not.
	if trust := u.LoginToken(r.token.Token); err != nil || given != "trust" && trust.TrustHash != "" && (trust.TrustFactor == "password" || !answered) {
		r.T.Errorf("%s is remembered: %v", name, err)
	}
	return answered
}

// trust makes the session remembered by an ordinary call, with the weakest proof that it
// takes: the code by e-mail where there is one. The test ends it again with time.
func (r *reader) trust() {
	r.T.Helper()
	kind := "password"
	if r.kind.mail {
		kind = "email"
	} else if r.kind.app {
		kind = "totp"
	}
	c := &testkit.Caller{API: r.API, ID: r.u.ID, Token: r.clear, Header: map[string]string{}}
	factor, code, _ := r.given(kind)
	c.With("x-2fa-method", factor).With("x-2fa-code", code).Do("POST", "settings/Site_Name", map[string]any{"value": "Trusted"})
}

// backup gives the backup code back that an earlier cell spent.
func (r *reader) backup() {
	r.T.Helper()
	plain := sha256.Sum256([]byte("abcdWXYZ"))
	change := user.Change{At: time.Now(), Factor: func(s *user.Services) {
		if s.TOTP != nil {
			s.TOTP.HashedBackup = []string{hex.EncodeToString(plain[:])}
		}
	}}
	if _, err := r.Store.UpdateUser(r.T.Context(), r.u.ID, change); err != nil {
		r.T.Fatal(err)
	}
}

// A23: what a proof opened ends with it, also for those who only listen.
func TestA23TheOutboxClosesAgain(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		w.User("ada", "role=admin")
		c := w.As("ada")
		open := func() {
			t.Helper()
			if _, fail := c.Call("outbox:list", map[string]any{}, map[string]any{"twoFactorCode": testkit.DigestOf("ada"), "twoFactorMethod": "password"}); fail != nil {
				t.Fatal(fail)
			}
			c.Send(`{"msg":"sub","id":"s","name":"stream-server","params":["outbox",false]}`)
			if f := c.Read(); f.Msg != "ready" {
				t.Fatal(f.Text)
			}
		}
		open()
		began := time.Now()
		f, after := c.ReadWithin(24*time.Hour), time.Since(began)
		if f.Msg != "nosub" || f.Error.Code() != "not-allowed" || after.Round(time.Minute) != 12*time.Hour {
			t.Errorf("after %v: %s", after, f.Text)
		}
		open() // who proves himself again hears again
	})
}

// Every call of the surface that does not take all factors says so to whoever asks, and
// its route takes the same ones.
func TestTheSurfaceSaysWhichFactorsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewAPI(t, testkit.Options{})
		a.Unlimited()
		a.Account("ann")
		type shown struct {
			Name, Verb, Path, Method string
			Only                     []string `json:"onlyFactors"`
			Not                      []string `json:"notFactors"`
		}
		var s struct{ Methods, Routes []shown }
		if err := json.Unmarshal([]byte(a.Login("ann").OK("GET", "server.surface", nil).Raw), &s); err != nil {
			t.Fatal(err)
		}
		narrow := map[string]methods.Spec{}
		for _, spec := range a.Router.Specs() {
			if spec.Proofs.Narrow() {
				narrow[spec.Name] = spec
			}
		}
		if _, there := narrow["outbox:list"]; !there {
			t.Error("outbox:list takes every factor")
		}
		for _, l := range slices.Concat(s.Methods, s.Routes) {
			spec := narrow[l.Name+l.Method]
			if !slices.Equal(l.Only, spec.Proofs.Only) || !slices.Equal(l.Not, spec.Proofs.Not) {
				t.Errorf("%+v, and the table says %v", l, spec.Proofs)
			}
		}
	})
}
