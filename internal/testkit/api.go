package testkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/pquerna/otp/totp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Password is that of the accounts that API.Account makes.
const Password = "correct horse"

// API is the REST door of a world, over HTTP on connections in memory. Every
// answer is checked against the published document.
type API struct {
	*World
	// REST is the door.
	REST *rest.Server
	// HTTP reaches it at any address.
	HTTP *http.Client
	// Doc is the published document.
	Doc *openapi3.T

	published *published

	mu    sync.Mutex
	steps map[string]int // codes made of each authenticator secret
}

// NewAPI makes a world and its REST door. REST is not limited, and two steps of an
// authenticator before and after the present one are taken, unless the options
// override it.
func NewAPI(t testing.TB, o Options) *API {
	t.Helper()
	forced := map[string]string{settings.LimitRESTEnabled: "false", settings.TwoFactorMaxDelta: "2"}
	maps.Copy(forced, o.Overrides)
	o.Overrides = forced
	a := &API{World: NewWorld(t, o), steps: map[string]int{}}
	var err error
	a.REST, err = a.NewREST(nil)
	a.ok(err)
	a.published, err = publishedOf(a.REST.Document())
	a.ok(err)
	a.Doc = a.published.doc
	a.HTTP = serve(t, a.REST)
	return a
}

// NewREST makes a REST door of the world's services; change may alter its options.
func (w *World) NewREST(change func(*rest.Options)) (*rest.Server, error) {
	o := rest.Options{
		Router: w.Router, Accounts: w.Accounts, Factors: w.Factors, Settings: w.Settings, Audit: w.audit, Info: w.info(), Logger: w.log,
		Peer: func(r *http.Request) *rpc.Peer {
			addr := r.Header.Get("Test-Address")
			if addr == "" {
				addr = "127.0.0.1"
			}
			return &rpc.Peer{Conn: "test", Door: rpc.REST, Address: addr, UserAgent: r.UserAgent(), AgentDigest: rpc.DigestAgent(r.Header["User-Agent"]),
				Proof: rpc.HeaderProof(r.Header)}
		},
		Origin: func(_ *http.Request, o string) bool { return o == RootURL },
	}
	if change != nil {
		change(&o)
	}
	s, err := rest.New(o, w.routes...)
	if err == nil {
		w.served = s.Routes()
	}
	return s, err
}

// serve serves a handler on connections in memory, which work in fake time, until
// the test ends.
func serve(t testing.TB, h http.Handler) *http.Client {
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	transport := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		serving.Wait()
	})
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// listener accepts the connections that dial makes.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// Account makes an account with a verified address and the password.
func (a *API) Account(name string, roles ...string) *user.User {
	a.T.Helper()
	u, err := a.Accounts.CreateByOperator(a.T.Context(), accounts.OperatorAccount{Username: name, Email: name + "@example.org",
		Name: strings.ToUpper(name[:1]) + name[1:], Password: secret.String(Password), Verified: true, Roles: append([]string{"user"}, roles...)})
	a.ok(err)
	return u
}

// Caller is one application: who it is logged in as, and the headers it sends.
type Caller struct {
	// API is the server.
	API *API
	// ID and Token are those of the login.
	ID, Token string
	// Header is sent with every request, beside what Do adds.
	Header map[string]string
}

// Caller is an application that is not logged in.
func (a *API) Caller() *Caller { return &Caller{API: a, Header: map[string]string{}} }

// Login logs an account without a second factor in.
func (a *API) Login(name string) *Caller {
	a.T.Helper()
	c := a.Caller()
	answer := c.Do("POST", "login", map[string]any{"user": name, "password": Password})
	if answer.Status != 200 {
		a.T.Fatalf("login of %s: %d %s", name, answer.Status, answer.Raw)
	}
	c.Take(answer)
	return c
}

// Take takes the token of a login's answer.
func (c *Caller) Take(a Answer) {
	data := a.Body["data"].(map[string]any)
	c.ID, c.Token = data["userId"].(string), data["authToken"].(string)
}

// With is a copy that sends one more header.
func (c *Caller) With(k, v string) *Caller {
	n := &Caller{API: c.API, ID: c.ID, Token: c.Token, Header: map[string]string{}}
	maps.Copy(n.Header, c.Header)
	n.Header[k] = v
	return n
}

// Proof is the answer to a password challenge.
func Proof() string { return digest(Password) }

// Proven sends the password as the second factor.
func (c *Caller) Proven() *Caller {
	return c.With("x-2fa-method", "password").With("x-2fa-code", Proof())
}

// Answer is what came back of a request.
type Answer struct {
	Status int
	Header http.Header
	Body   map[string]any
	// Raw is the body as it came.
	Raw string
}

// ErrorType is the code of a refusal.
func (a Answer) ErrorType() string { return a.Text("errorType") }

// Text is a text of the body, "" when there is none.
func (a Answer) Text(key string) string { s, _ := a.Body[key].(string); return s }

// Doc is an object of the body, nil when there is none.
func (a Answer) Doc(key string) map[string]any { d, _ := a.Body[key].(map[string]any); return d }

// Details are those of a refusal.
func (a Answer) Details() map[string]any { return a.Doc("details") }

// Column is one field of every element of a list of the body, joined by blanks.
func (a Answer) Column(list, key string) string {
	var out []string
	all, _ := a.Body[list].([]any)
	for _, e := range all {
		out = append(out, fmt.Sprint(e.(map[string]any)[key]))
	}
	return strings.Join(out, " ")
}

// OK makes a request that must succeed.
func (c *Caller) OK(verb, path string, body any) Answer {
	c.API.T.Helper()
	a := c.Do(verb, path, body)
	if a.Status != 200 || a.Body["success"] != true {
		c.API.T.Fatalf("%s %s: %d %s", verb, path, a.Status, a.Raw)
	}
	return a
}

// Refused makes a request that must be refused with that code.
func (c *Caller) Refused(errorType, verb, path string, body any) {
	c.API.T.Helper()
	if a := c.Do(verb, path, body); a.Status == 200 || a.ErrorType() != errorType {
		c.API.T.Errorf("%s %s: %d %s, want %s", verb, path, a.Status, a.Raw, errorType)
	}
}

// Parts is a body in parts, and its media type.
type Parts struct{ Type, Body string }

// PartsOf makes a body of one file, in the field of that name, between fields "name=value".
// Those that begin with a + stand behind the file.
func PartsOf(field, file, content string, fields ...string) Parts {
	const boundary = "----between"
	var before, after strings.Builder
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		to := &before
		if strings.HasPrefix(name, "+") {
			to, name = &after, name[1:]
		}
		fmt.Fprintf(to, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, value)
	}
	head := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=%q; filename=\"%s\"\r\nContent-Type: text/html\r\n\r\n", boundary, field,
		strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(file))
	return Parts{"multipart/form-data; boundary=" + boundary, before.String() + head + content + "\r\n" + after.String() + "--" + boundary + "--\r\n"}
}

// Do makes one request, below /api/v1 unless the path begins with a slash; body may be nil, a string (sent as it is) or a value.
func (c *Caller) Do(verb, path string, body any) Answer {
	t := c.API.T
	t.Helper()
	var r io.Reader
	media := "application/json"
	switch b := body.(type) {
	case nil:
	case Parts:
		r, media = strings.NewReader(b.Body), b.Type
	case string:
		r = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		c.API.ok(err)
		r = bytes.NewReader(j)
	}
	address := RootURL + "/api/v1/" + path
	if strings.HasPrefix(path, "/") { // outside
		address = RootURL + path
	}
	req, err := http.NewRequest(verb, address, r)
	c.API.ok(err)
	req.Header.Set("Content-Type", media)
	req.Header.Set("User-Agent", "rest-test")
	if c.Token != "" {
		req.Header.Set("X-User-Id", c.ID)
		req.Header.Set("X-Auth-Token", c.Token)
	}
	for k, v := range c.Header {
		req.Header.Set(k, v)
	}
	resp, err := c.API.HTTP.Do(req)
	c.API.ok(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	c.API.ok(err)
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Raw: string(raw)}
	if strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") { // a file (rest.File)
		return a
	}
	if a.Header.Get("Location") != "" { // elsewhere (rest.Redirect)
		return a
	}
	if err := json.Unmarshal(raw, &a.Body); err != nil && verb != "HEAD" {
		t.Errorf("%s %s: the answer is not JSON: %q", verb, path, raw)
	}
	if !strings.HasPrefix(path, "/") {
		c.API.conforms(verb, strings.SplitN(path, "?", 2)[0], a)
	}
	return a
}

// conforms checks an answer against the published document.
func (a *API) conforms(verb, path string, got Answer) {
	a.T.Helper()
	if got.Status == 404 || got.Status == 405 || verb == "HEAD" || verb == "OPTIONS" {
		return
	}
	found := "/" + path
	item := a.Doc.Paths.Find(found)
	if item == nil {
		for p, candidate := range a.Doc.Paths.Map() {
			if i := strings.Index(p, "{"); i > 0 && strings.HasPrefix("/"+path, p[:i]) && candidate.GetOperation(verb) != nil {
				found, item = p, candidate
			}
		}
	}
	if item == nil || item.GetOperation(verb) == nil {
		a.T.Errorf("%s %s answers %d but is not published", verb, path, got.Status)
		return
	}
	resp := item.GetOperation(verb).Responses.Status(got.Status)
	if resp == nil {
		a.T.Errorf("%s %s: status %d is not published: %s", verb, path, got.Status, got.Raw)
		return
	}
	schema, err := a.published.schema("paths", found, strings.ToLower(verb), "responses", strconv.Itoa(got.Status), "content", "application/json", "schema")
	a.ok(err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(got.Raw))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		a.T.Errorf("%s %s: answer %d breaks the published schema: %v\n%s", verb, path, got.Status, err, got.Raw)
	}
	if code := got.ErrorType(); code != "" && got.Status == http.StatusBadRequest {
		a.publishes(verb, found, code)
	}
}

// anyRoute are refusals that every route may answer, beside its own.
var anyRoute = []string{"invalid-params", "error-invalid-params", "error-invalid-json", "totp-required", "totp-invalid", "totp-max-attempts",
	"error-two-factor-setup-required", "error-no-password-or-factor", "error-no-factor-for-call"}

// publishes checks that a refusal is among those of its route, whose path is written
// as in the document.
func (a *API) publishes(verb, path, code string) {
	a.T.Helper()
	for _, rt := range a.REST.Routes() {
		if rt.Verb != verb || "/"+namedSegment.ReplaceAllString(rt.Path, "{$1}") != path || strings.HasPrefix(rt.Path, "method.call") {
			continue
		}
		if !slices.ContainsFunc(slices.Concat(rt.Errors, anyRoute), func(known string) bool { return known == code || strings.HasPrefix(known, code+" ") }) {
			a.T.Errorf("%s %s answers %s, which it does not publish: %q", verb, path, code, rt.Errors)
		}
	}
}

var namedSegment = regexp.MustCompile(`:([a-zA-Z_]+)`)

// published is what was read of a document. Worlds are many, documents few: each is
// read once, and each of its schemas compiled once.
type published struct {
	doc      *openapi3.T
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

var documents sync.Map // by digest of the text

func publishedOf(text []byte) (*published, error) {
	key := sha256.Sum256(text)
	if p, ok := documents.Load(key); ok {
		return p.(*published), nil
	}
	p := &published{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	var err error
	if p.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if err := p.compiler.AddResource("mem:///openapi.json", v); err != nil {
		return nil, err
	}
	documents.Store(key, p)
	return p, nil
}

// schema is the schema at a place in the document.
func (p *published) schema(place ...string) (*jsonschema.Schema, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pointer := ""
	for _, step := range place {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(step)
	}
	s := p.schemas[pointer]
	if s != nil {
		return s, nil
	}
	s, err := p.compiler.Compile("mem:///openapi.json#" + pointer)
	if err == nil {
		p.schemas[pointer] = s
	}
	return s, err
}

// TOTPCode is a code of the secret that no earlier call returned: the server
// takes no step twice. The first is one step old and the third one ahead, so that
// a step that begins meanwhile leaves each in the window of two.
func (a *API) TOTPCode(secretText string) string {
	a.T.Helper()
	a.mu.Lock()
	a.steps[secretText]++
	step := a.steps[secretText] - 2
	a.mu.Unlock()
	c, err := totp.GenerateCode(secretText, time.Now().Add(time.Duration(step)*30*time.Second))
	a.ok(err)
	return c
}

// WrongCode is a code that is right for no step near the present one, and was not mailed.
func (a *API) WrongCode(secretText string) string {
	for n := 0; ; n++ {
		c, right := fmt.Sprintf("%06d", n), false
		for shift := -5; shift <= 5; shift++ {
			got, _ := totp.GenerateCode(secretText, time.Now().Add(time.Duration(shift)*30*time.Second))
			right = right || got == c
		}
		for _, m := range a.Mails.Codes() {
			right = right || m.Code.Reveal() == c
		}
		if !right {
			return c
		}
	}
}

// LastCode is the code that was mailed last.
func (a *API) LastCode() string {
	a.T.Helper()
	c := a.Mails.Last()
	if c == "" {
		a.T.Fatal("no code was mailed")
	}
	return c
}
