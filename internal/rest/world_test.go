package rest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

const password = "correct horse"

// world is the REST door on real services and a real store. It keeps what
// leaves the server and checks every answer against the published document.
type world struct {
	t        testing.TB
	url      string
	store    database
	settings *settings.Service
	accounts *accounts.Service
	router   *methods.Router
	rest     *rest.Server
	limiter  *ratelimit.Limiter
	doc      *openapi3.T

	mu     sync.Mutex
	codes  []string
	links  map[string]string // template → last link
	events []audit.Event
	// steps counts the authenticator codes made of each secret.
	steps map[string]int

	roomParts
}

func (w *world) SendCode(_ context.Context, m twofactor.CodeMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes = append(w.codes, m.Code.Reveal())
	return nil
}
func (w *world) SendNotice(context.Context, twofactor.Notice) error { return nil }
func (w *world) Send(_ context.Context, m accounts.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links[m.Template] = m.Data["url"]
	return nil
}
func (w *world) Record(e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}
func (w *world) Publish(feed.Event) {}

func (w *world) lastCode() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.codes) == 0 {
		w.t.Fatal("no code was mailed")
	}
	return w.codes[len(w.codes)-1]
}

func (w *world) mailed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.codes)
}

// newWorld makes a world; wrap may put something around its store.
func newWorld(t testing.TB, overrides map[string]string, wrap ...func(database) database) *world {
	t.Helper()
	w := &world{t: t, store: openDatabase(t), links: map[string]string{}, steps: map[string]int{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range wrap {
		w.store = f(w.store)
	}
	key, err := secret.NewKey(secret.Generate())
	must(err)
	w.limiter = ratelimit.New(ratelimit.Options{})
	if overrides == nil {
		overrides = map[string]string{}
	}
	if _, ok := overrides[settings.LimitRESTEnabled]; !ok {
		overrides[settings.LimitRESTEnabled] = "false"
	}
	overrides[settings.TwoFactorMaxDelta] = "2"
	w.settings, err = settings.Open(t.Context(), settings.Options{Store: w.store, Publisher: w, Overrides: overrides})
	must(err)
	passwords, err := accounts.NewPasswords(accounts.PasswordOptions{Store: w.store, BcryptCost: bcrypt.MinCost})
	must(err)
	factors, err := twofactor.New(twofactor.Options{Store: w.store, Settings: w.settings, Key: key, Mailer: w, Passwords: passwords, Sources: passwords,
		MailLimit: w.limiter, Feed: w, Audit: w})
	must(err)
	t.Cleanup(factors.Close)
	follower, err := w.openRooms()
	must(err)
	w.accounts, err = accounts.New(accounts.Options{
		Store: w.store, Settings: w.settings, Mailer: w, Feed: w, Audit: w, Passwords: passwords,
		Follower: follower, RootURL: "http://localhost:3000",
	})
	must(err)
	slices, routes := w.roomCalls()
	w.router = methods.New(methods.Deps{Accounts: w.accounts, TwoFactor: factors, Slices: slices, Settings: w.settings, Limiter: w.limiter, Audit: w,
		Routes: rest.Names(rest.Options{Factors: factors}, routes...)})
	w.rest, err = rest.New(rest.Options{
		Router: w.router, Accounts: w.accounts, Factors: factors, Settings: w.settings, Audit: w, RootURL: "http://localhost:3000", Version: "test",
		Peer: func(r *http.Request) *rpc.Peer {
			addr := r.Header.Get("Test-Address")
			if addr == "" {
				addr = "127.0.0.1"
			}
			return &rpc.Peer{Conn: "test", Door: rpc.REST, Address: addr, UserAgent: r.UserAgent(), AgentDigest: rpc.DigestAgent(r.Header["User-Agent"]),
				Proof: rpc.HeaderProof(r.Header)}
		},
		Origin: func(_ *http.Request, o string) bool { return o == "http://localhost:3000" },
	}, routes...)
	must(err)
	srv := httptest.NewServer(w.rest)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.doc, err = openapi3.NewLoader().LoadFromData(w.rest.Document())
	must(err)
	return w
}

// account makes an account with a verified address and the password.
func (w *world) account(name string, roles ...string) *user.User {
	w.t.Helper()
	u, err := w.accounts.CreateByOperator(w.t.Context(), accounts.OperatorAccount{Username: name, Email: name + "@example.org",
		Name: strings.ToUpper(name[:1]) + name[1:], Password: secret.String(password), Verified: true, Roles: append([]string{"user"}, roles...)})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// client is one application: who it is logged in as, and the headers it sends.
type client struct {
	w         *world
	id, token string
	header    map[string]string
}

func (w *world) client() *client { return &client{w: w, header: map[string]string{}} }

// login logs an account without a second factor in.
func (w *world) login(name string) *client {
	w.t.Helper()
	c := w.client()
	if a := c.do("POST", "login", map[string]any{"user": name, "password": password}); a.status != 200 {
		w.t.Fatalf("login of %s: %d %s", name, a.status, a.raw)
	} else {
		c.take(a)
	}
	return c
}

func (c *client) take(a answer) {
	data := a.body["data"].(map[string]any)
	c.id, c.token = data["userId"].(string), data["authToken"].(string)
}

// with is a copy that sends one more header.
func (c *client) with(k, v string) *client {
	n := &client{w: c.w, id: c.id, token: c.token, header: map[string]string{k: v}}
	for k, v := range c.header {
		n.header[k] = v
	}
	return n
}

// proof is the answer to a password challenge.
func proof() string { sum := sha256.Sum256([]byte(password)); return hex.EncodeToString(sum[:]) }

// proven sends the password as the second factor.
func (c *client) proven() *client {
	return c.with("x-2fa-method", "password").with("x-2fa-code", proof())
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) errorType() string { s, _ := a.body["errorType"].(string); return s }
func (a answer) text(key string) string {
	s, _ := a.body[key].(string)
	return s
}
func (a answer) details() map[string]any { d, _ := a.body["details"].(map[string]any); return d }

// do makes one request; body may be nil, a string (sent as it is) or a value.
func (c *client) do(verb, path string, body any) answer {
	c.w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			c.w.t.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequest(verb, c.w.url+"/api/v1/"+path, r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "rest-test")
	if c.token != "" {
		req.Header.Set("X-User-Id", c.id)
		req.Header.Set("X-Auth-Token", c.token)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &a.body); err != nil && verb != "HEAD" {
		c.w.t.Errorf("%s %s: the answer is not JSON: %q", verb, path, raw)
	}
	c.w.conforms(verb, strings.SplitN(path, "?", 2)[0], a)
	return a
}

// conforms checks an answer against the published document.
func (w *world) conforms(verb, path string, a answer) {
	w.t.Helper()
	if a.status == 404 || a.status == 405 || verb == "HEAD" || verb == "OPTIONS" {
		return
	}
	item := w.doc.Paths.Find("/" + path)
	if item == nil {
		for p, candidate := range w.doc.Paths.Map() {
			if i := strings.Index(p, "{"); i > 0 && strings.HasPrefix("/"+path, p[:i]) && candidate.GetOperation(verb) != nil {
				item = candidate
			}
		}
	}
	if item == nil || item.GetOperation(verb) == nil {
		w.t.Errorf("%s %s answers %d but is not published", verb, path, a.status)
		return
	}
	resp := item.GetOperation(verb).Responses.Status(a.status)
	if resp == nil {
		w.t.Errorf("%s %s: status %d is not published: %s", verb, path, a.status, a.raw)
		return
	}
	schema := resp.Value.Content.Get("application/json").Schema
	var v any
	_ = json.Unmarshal([]byte(a.raw), &v)
	if err := schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
		w.t.Errorf("%s %s: answer %d breaks the published schema: %v\n%s", verb, path, a.status, err, a.raw)
	}
}

// totpCode is a code of the secret that no earlier call returned: the server
// takes no step twice. The first is one step old and the third one ahead, so that
// a step that begins meanwhile leaves each in the window of two.
func (w *world) totpCode(secretText string) string {
	w.t.Helper()
	w.steps[secretText]++
	c, err := totp.GenerateCode(secretText, time.Now().Add(time.Duration(w.steps[secretText]-2)*30*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) wrongCode(secretText string) string {
	for n := 0; ; n++ {
		c, right := fmt.Sprintf("%06d", n), false
		for shift := -5; shift <= 5; shift++ {
			got, _ := totp.GenerateCode(secretText, time.Now().Add(time.Duration(shift)*30*time.Second))
			right = right || got == c
		}
		w.mu.Lock()
		for _, m := range w.codes {
			right = right || m == c
		}
		w.mu.Unlock()
		if !right {
			return c
		}
	}
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
