package methods_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a whole server without sockets and mail: real services over the real
// embedded store, in fake time. Every group of methods tests itself in one.
type world struct {
	t        testing.TB
	store    database
	settings *settings.Service
	limiter  *ratelimit.Limiter
	hub      *realtime.Hub
	// publications is what clients may subscribe to.
	publications *realtime.Publications
	base         *realtime.Base // idle until a test runs it
	accounts     *accounts.Service
	factors      *twofactor.Service
	router       *methods.Router
	server       *ddp.Server
	mails        mailbox
	trail        trail
	logs         *observer.ObservedLogs
	metrics      counts
	vars         map[string]string
	conns        int
	roomParts
}

// handler joins methods and publications, as package app does.
type handler struct {
	*methods.Router
	*realtime.Publications
}

// bubble runs f in fake time with a world of its own. extra groups are served
// beside those of the server.
func bubble(t *testing.T, f func(t *testing.T, w *world), extra ...any) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, extra...)) })
}

// newWorld makes a server of its own. extra are groups of methods and factors that
// are served beside those of the server.
func newWorld(t testing.TB, extra ...any) *world {
	t.Helper()
	return newNode(t, "n1", openDatabase(t), secret.Generate(), nil, extra...)
}

// newNode makes one server of several on one database. Its nodes share the key,
// and hear of each other through events, which is nil for a server on its own.
func newNode(t testing.TB, node string, db database, rawKey []byte, events feed.Store, extra ...any) *world {
	t.Helper()
	var groups []methods.Group
	var factors []twofactor.Factor
	for _, e := range extra {
		switch e := e.(type) {
		case methods.Group:
			groups = append(groups, e)
		case twofactor.Factor:
			factors = append(factors, e)
		default:
			t.Fatalf("nobody serves a %T", e)
		}
	}
	w := &world{t: t, store: db, limiter: ratelimit.New(ratelimit.Options{}), vars: map[string]string{}}
	core, logs := observer.New(zapcore.DebugLevel)
	w.logs = logs
	log := zap.New(core)
	w.hub = realtime.New(realtime.Options{Node: node, Store: events, Logger: log})
	var err error
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.settings, err = settings.Open(t.Context(), settings.Options{Store: w.store, Publisher: w.hub, Poll: 5 * time.Second})
	check(err)
	key, err := secret.NewKey(rawKey)
	check(err)
	passwords, err := accounts.NewPasswords(accounts.PasswordOptions{Store: w.store, Key: key, BcryptCost: 4})
	check(err)
	w.factors, err = twofactor.New(twofactor.Options{
		Store: w.store, Settings: w.settings, Key: key, Mailer: &w.mails, Passwords: passwords, Sources: passwords, MailLimit: w.limiter,
		Feed: w.hub, Audit: &w.trail, Issuer: "Test", Node: node, Factors: factors,
	})
	check(err)
	follower, err := w.openRooms(node, events == nil, log)
	check(err)
	w.accounts, err = accounts.New(accounts.Options{
		Store: w.store, Settings: w.settings, Mailer: &w.mails, Feed: w.hub, Audit: &w.trail, Passwords: passwords, Factors: w.factors,
		Follower: follower, RootURL: "http://localhost:3000", Logger: log,
	})
	check(err)
	w.router = methods.New(methods.Deps{
		Accounts: w.accounts, TwoFactor: w.factors, Slices: w.roomMethods(), Settings: w.settings, Limiter: w.limiter, Audit: &w.trail,
		Routes: func(methods.Lookup) []methods.RouteName {
			return []methods.RouteName{{Verb: "POST", Path: "test.route", Actions: []string{"test:echo"}}}
		},
		Logger: log, Metrics: &w.metrics, Info: methods.Info{Version: "1.0.0", RootURL: "http://localhost:3000"},
	}, groups...)
	sessions := ddp.NewRegistry()
	w.base = realtime.NewBase(w.hub, realtime.BaseOptions{
		Users: w.accounts, Settings: w.settings, Version: "1.0.0", Gate: w.router, Sessions: sessions,
	})
	w.publications = realtime.NewPublications(w.hub, w.router, w.limiter, append([]realtime.Group{w.base}, w.roomStreams()...)...)
	w.server = ddp.New(ddp.Options{Handler: handler{w.router, w.publications}, Registry: sessions, Logger: log})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.accounts.Run(ctx) })
	if events != nil {
		running.Go(func() { _ = w.hub.Run(ctx) })
		running.Go(func() { _ = w.settings.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		end, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = w.server.Shutdown(end)
		running.Wait()
		w.factors.Close()
	})
	return w
}

// set saves settings as an administrator would have.
func (w *world) set(id string, v any) {
	w.t.Helper()
	if _, err := w.settings.Save(context.Background(), []settings.Change{{ID: id, Value: v}}); err != nil {
		w.t.Fatalf("saving %s: %v", id, err)
	}
}

// unlimited switches every rate limit off.
func (w *world) unlimited() {
	w.t.Helper()
	for _, id := range []string{
		settings.LimitIPEnabled, settings.LimitUserEnabled, settings.LimitConnectionEnabled,
		settings.LimitUserByMethodEnabled, settings.LimitConnectionMethodEnabled, settings.LimitRESTEnabled,
	} {
		w.set(id, false)
	}
}

// user makes an account; its password is passwordOf its name and its address
// name@example.com. Options: "verified", "email2fa", "role=R".
func (w *world) user(name string, options ...string) *user.User {
	w.t.Helper()
	a := accounts.OperatorAccount{Username: name, Email: name + "@example.com", Name: strings.ToUpper(name[:1]) + name[1:],
		Password: secret.String(passwordOf(name))}
	for _, o := range options {
		switch role, isRole := strings.CutPrefix(o, "role="); {
		case isRole:
			a.Roles = append(a.Roles, role)
		case o == "verified":
			a.Verified = true
		case o == "email2fa":
			a.Verified, a.Email2FA = true, true
		default:
			w.t.Fatalf("no option %s", o)
		}
	}
	u, err := w.accounts.CreateByOperator(context.Background(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	w.vars[name] = u.ID
	return u
}

func passwordOf(name string) string { return "password of " + name }

// client is one connection.
type client struct {
	w     *world
	peer  *rpc.Peer
	conn  *ddptest.Client
	next  int
	other []frame // frames that no call was waiting for
	done  chan struct{}
	token string // of the last login
}

// frame is a message from the server, taken apart.
type frame struct {
	Msg        string          `json:"msg"`
	ID         string          `json:"id"`
	Session    string          `json:"session"`
	Collection string          `json:"collection"`
	Fields     json.RawMessage `json:"fields"`
	Cleared    []string        `json:"cleared"`
	Subs       []string        `json:"subs"`
	Methods    []string        `json:"methods"`
	Result     json.RawMessage `json:"result"`
	Error      *failure        `json:"error"`
	text       string
}

// failure is the error object of the wire.
type failure struct {
	Error     any             `json:"error"`
	Reason    string          `json:"reason"`
	Details   json.RawMessage `json:"details"`
	Message   string          `json:"message"`
	ErrorType string          `json:"errorType"`
	Safe      bool            `json:"isClientSafe"`
}

// code is the error's code as text, "" for none.
func (f *failure) code() string {
	if f == nil {
		return ""
	}
	return fmt.Sprint(f.Error)
}

// connect opens a connection and shakes hands. change may alter the peer.
func (w *world) connect(change ...func(*rpc.Peer)) *client {
	w.t.Helper()
	w.conns++
	peer := &rpc.Peer{Address: fmt.Sprintf("192.0.2.%d", w.conns%250+1), AgentDigest: rpc.DigestAgent(nil)}
	for _, f := range change {
		f(peer)
	}
	server, conn := ddptest.Pipe()
	c := &client{w: w, peer: peer, conn: conn, done: make(chan struct{})}
	go func() {
		w.server.Serve(server, peer)
		close(c.done)
	}()
	c.send(`{"msg":"connect","version":"1","support":["1"]}`)
	if f := c.read(); f.Msg != "connected" {
		w.t.Fatalf("got %s", f.text)
	}
	w.t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.conn.Close()
	<-c.done
}

func (c *client) send(format string, args ...any) {
	c.conn.Send(fmt.Sprintf(format, args...))
}

// read waits for the next frame; a zero frame means that the server closed or
// nothing came.
func (c *client) read() frame { return c.readWithin(time.Minute) }

func (c *client) readWithin(d time.Duration) frame {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	text, ok, _ := c.conn.Next(ctx.Done())
	if !ok {
		return frame{}
	}
	f := frame{text: text}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		c.w.t.Fatalf("%s: %v", text, err)
	}
	if f.Msg == "ping" {
		c.send(`{"msg":"pong"}`)
		return c.readWithin(d)
	}
	return f
}

// closed tells whether the server has ended the connection within a while.
func (c *client) closed(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		text, ok, code := c.conn.Next(ctx.Done())
		if !ok {
			return code != 0
		}
		_ = text
	}
}

// call calls a method and waits for its result and updated frames; others are
// kept for events.
func (c *client) call(method string, params ...any) (json.RawMessage, *failure) {
	c.w.t.Helper()
	raw, err := ejson.Append(nil, append([]any{}, params...))
	if err != nil {
		c.w.t.Fatal(err)
	}
	return c.callRaw(method, string(raw))
}

func (c *client) callRaw(method, params string) (json.RawMessage, *failure) {
	c.w.t.Helper()
	c.next++
	id := fmt.Sprintf("m%d", c.next)
	name, _ := json.Marshal(method)
	c.send(`{"msg":"method","id":%q,"method":%s,"params":%s}`, id, name, params)
	return c.result(id)
}

func (c *client) result(id string) (json.RawMessage, *failure) {
	c.w.t.Helper()
	var got *frame
	updated := false
	for got == nil || !updated {
		f := c.read()
		switch {
		case f.Msg == "result" && f.ID == id:
			if got != nil {
				c.w.t.Fatalf("a second result: %s", f.text)
			}
			got = &f
		case f.Msg == "updated" && len(f.Methods) == 1 && f.Methods[0] == id:
			updated = true
		case f.Msg == "":
			c.w.t.Fatalf("call %s: no answer (result %v, updated %v)", id, got != nil, updated)
		default:
			c.other = append(c.other, f)
		}
	}
	return got.Result, got.Error
}

// sub subscribes; the error is that of the nosub, nil when ready.
func (c *client) sub(id, name string, params ...any) *failure {
	c.w.t.Helper()
	raw, err := ejson.Append(nil, append([]any{}, params...))
	if err != nil {
		c.w.t.Fatal(err)
	}
	quoted, _ := json.Marshal(name)
	c.send(`{"msg":"sub","id":%q,"name":%s,"params":%s}`, id, quoted, raw)
	for {
		f := c.read()
		switch {
		case f.Msg == "ready" && len(f.Subs) == 1 && f.Subs[0] == id:
			return nil
		case f.Msg == "nosub" && f.ID == id:
			if f.Error == nil {
				c.w.t.Fatalf("sub %s stopped without an error", name)
			}
			return f.Error
		case f.Msg == "":
			c.w.t.Fatalf("sub %s: no answer", name)
		}
		c.other = append(c.other, f)
	}
}

// event is the next frame that no call waited for; the zero frame when there is none.
func (c *client) event() frame {
	if len(c.other) > 0 {
		f := c.other[0]
		c.other = c.other[1:]
		return f
	}
	return c.readWithin(2 * time.Second)
}

// login logs in with the password of world.user, and with a code where asked for.
func (c *client) login(name string) *client {
	c.w.t.Helper()
	password := map[string]any{"user": map[string]any{"username": name}, "password": passwordOf(name)}
	raw, fail := c.call("login", password)
	if fail.code() == "totp-required" {
		raw, fail = c.call("login", map[string]any{"totp": map[string]any{"login": password, "code": c.w.mails.last()}})
	}
	if fail != nil {
		c.w.t.Fatalf("login as %s: %s %s", name, fail.code(), fail.Reason)
	}
	c.token = unmarshal[struct {
		Token string `json:"token"`
	}](c.w.t, raw).Token
	return c
}

// resume logs in with the login token of another connection.
func (c *client) resume(other *client) *client {
	c.w.t.Helper()
	if _, fail := c.call("login", map[string]any{"resume": other.token}); fail != nil {
		c.w.t.Fatalf("resume: %s %s", fail.code(), fail.Reason)
	}
	c.token = other.token
	return c
}

// as is a new connection logged in as that user.
func (w *world) as(name string) *client { w.t.Helper(); return w.connect().login(name) }

// play plays every conversation of testdata/conversations that fits the
// pattern, each in a world of its own.
func play(t *testing.T, pattern string, prepare func(w *world)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "conversations", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversation fits %s: %v", pattern, err)
	}
	for _, file := range files {
		for _, section := range ddptest.Load(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+section.Name, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					if prepare != nil {
						prepare(w)
					}
					p := &ddptest.Player{Server: w.server, Vars: w.vars, Do: w.acts()}
					p.Play(t, section)
				})
			})
		}
	}
}

// acts are the "do" lines of conversations: user NAME [options], set ID JSON,
// code (the last mailed code becomes <code>), digest NAME (the password's
// becomes <digest>), unlimited.
func (w *world) acts() map[string]func(string) error {
	return map[string]func(string) error{
		"user": func(args string) error {
			f := strings.Fields(args)
			w.user(f[0], f[1:]...)
			return nil
		},
		"set": func(args string) error {
			id, text, _ := strings.Cut(args, " ")
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				return err
			}
			w.set(id, v)
			return nil
		},
		"code": func(string) error {
			w.vars["code"] = w.mails.last()
			if w.vars["code"] == "" {
				return errors.New("no code was mailed")
			}
			return nil
		},
		"unlimited": func(string) error { w.unlimited(); return nil },
		"digest":    func(name string) error { w.vars["digest"] = digestOf(name); return nil },
	}
}

// mailbox is where mails arrive.
type mailbox struct {
	mu      sync.Mutex
	codes   []twofactor.CodeMail
	notices []twofactor.Notice
	mails   []accounts.Message
}

func (m *mailbox) SendCode(_ context.Context, c twofactor.CodeMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes = append(m.codes, c)
	return nil
}

func (m *mailbox) SendNotice(_ context.Context, n twofactor.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices = append(m.notices, n)
	return nil
}

func (m *mailbox) Send(_ context.Context, msg accounts.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, msg)
	return nil
}

// last is the code that was mailed last, "" when there is none.
func (m *mailbox) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.codes) == 0 {
		return ""
	}
	return m.codes[len(m.codes)-1].Code.Reveal()
}

func (m *mailbox) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.codes)
}

// trail keeps audit events.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
}

func (r *trail) Record(e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// acts lists the events of one kind.
func (r *trail) of(act string) []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []audit.Event
	for _, e := range r.events {
		if e.Act == act {
			out = append(out, e)
		}
	}
	return out
}

// counts keeps what the router counts.
type counts struct {
	mu     sync.Mutex
	calls  map[string]int // "method result"
	panics int
}

func (c *counts) Call(door, method, result string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[method+" "+result]++
}

func (c *counts) Panicked(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics++
}

func (c *counts) of(methodAndResult string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[methodAndResult]
}
