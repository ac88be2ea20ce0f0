package twofactor_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/audit"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// world is a service over a real store, with everything it writes to kept for
// inspection.
type world struct {
	t        testing.TB
	svc      *twofactor.Service
	store    store.Store
	settings *settings.Service
	key      *secret.Key
	sources  twofactor.Sources
	mails    mailbox
	trail    trail
	news     news
}

// bubble runs f in fake time with a world of its own.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func newWorld(t testing.TB) *world { return newWorldOn(t, storetest.OpenSQLite(t)) }

func newWorldOn(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{t: t, store: s}
	var err error
	if w.key, err = secret.NewKey(secret.Generate()); err != nil {
		t.Fatal(err)
	}
	if w.settings, err = settings.Open(ctx, settings.Options{Store: s}); err != nil {
		t.Fatal(err)
	}
	w.svc = w.service(s)
	t.Cleanup(w.svc.Close)
	return w
}

// service makes another service on the same store, as another node would have.
func (w *world) service(s twofactor.Store) *twofactor.Service {
	w.t.Helper()
	svc, err := twofactor.New(twofactor.Options{
		Store: s, Settings: w.settings, Key: w.key, Mailer: &w.mails, Passwords: verifier{}, Sources: w.sources,
		MailLimit: ratelimit.New(ratelimit.Options{}), Feed: &w.news, Audit: &w.trail, Issuer: "Test",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return svc
}

func (w *world) set(id string, v any) {
	w.t.Helper()
	if _, err := w.settings.Save(ctx, []settings.Change{{ID: id, Value: v}}); err != nil {
		w.t.Fatalf("saving %s: %v", id, err)
	}
}

// verifier compares with bcrypt, without the server's gate.
type verifier struct{}

func (verifier) VerifyPassword(_ context.Context, u *user.User, digest string) (bool, error) {
	err := bcrypt.CompareHashAndPassword([]byte(u.Bcrypt()), []byte(digest))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// mailbox is where mails arrive.
type mailbox struct {
	mu      sync.Mutex
	codes   []twofactor.CodeMail
	notices []twofactor.Notice
	fail    error
}

func (m *mailbox) SendCode(_ context.Context, c twofactor.CodeMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.codes = append(m.codes, c)
	}
	return m.fail
}

func (m *mailbox) SendNotice(_ context.Context, n twofactor.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.notices = append(m.notices, n)
	}
	return m.fail
}

func (m *mailbox) sent() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.codes)
}

// code is the n-th mailed code, counted from the end with negative numbers.
func (m *mailbox) code(n int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 0 {
		n += len(m.codes)
	}
	return m.codes[n].Code.Reveal()
}

func (m *mailbox) changes() []twofactor.Change {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []twofactor.Change
	for _, n := range m.notices {
		out = append(out, n.Change)
	}
	return out
}

// trail keeps audit events.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
}

func (a *trail) Record(e audit.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
}

func (a *trail) count(act, outcome string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, e := range a.events {
		if e.Act == act && e.Outcome == outcome {
			n++
		}
	}
	return n
}

// news keeps events of the feed.
type news struct {
	mu     sync.Mutex
	events []feed.Event
}

func (n *news) Publish(e feed.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

func (n *news) dead() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, e := range n.events {
		if news, err := user.Changed.Payload(e); err == nil && news.Ended != nil && !news.Ended.Kept {
			out = append(out, news.Ended.Hashes...)
		}
	}
	return out
}

// account is a user of a test with what only the owner knows.
type account struct {
	w        *world
	id       string
	password string // hex digest
	secret   string // base32 of the authenticator
	backup   []string
}

const agent = "test-agent/1"

var home = &rpc.Peer{Conn: "c1", Door: rpc.DDP, Address: "192.0.2.1", UserAgent: agent, AgentDigest: rpc.DigestAgent([]string{agent})}

// digest is the hex SHA-256 of "password".
const digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"

// account makes a user with a password, a verified address and the sessions
// "<name>-1", "<name>-2" and the personal access token "<name>-pat".
func (w *world) account(name string, change ...func(*user.User)) *account {
	w.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(digest), bcrypt.MinCost)
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	u := &user.User{
		ID: random.ID(), CreatedAt: now, Username: name, Emails: []user.Email{{Address: name + "@example.org", Verified: true}},
		Services: user.Services{
			Password: &user.Password{Bcrypt: string(hash)},
			Resume: &user.Resume{LoginTokens: []user.LoginToken{
				{HashedToken: name + "-1", When: now}, {HashedToken: name + "-2", When: now},
				{HashedToken: name + "-pat", Type: user.PersonalAccessToken, Name: "ci", CreatedAt: now},
				{HashedToken: name + "-bypass", Type: user.PersonalAccessToken, Name: "bot", BypassTwoFactor: true, CreatedAt: now},
			}},
		},
	}
	for _, c := range change {
		c(u)
	}
	u.FillKeys()
	if err := w.store.CreateUser(ctx, u); err != nil {
		w.t.Fatal(err)
	}
	return &account{w: w, id: u.ID, password: digest}
}

func withEmail(u *user.User)       { u.Services.Email2FA = &user.Email2FA{Enabled: true} }
func withoutPassword(u *user.User) { u.Services.Password = nil }
func unverified(u *user.User)      { u.Emails[0].Verified = false }

// user reads the account as the router would for a new call.
func (a *account) user() *user.User {
	a.w.t.Helper()
	u, err := a.w.store.UserByID(ctx, a.id)
	if err != nil {
		a.w.t.Fatal(err)
	}
	return u
}

func (a *account) name() string { return a.user().Username }

// ask is a call of session 1 from home; change adapts it.
func (a *account) ask(change ...func(*twofactor.Request)) twofactor.Request {
	u := a.user()
	r := twofactor.Request{User: u, Token: u.Username + "-1", Peer: home, Policy: twofactor.Ordinary, Action: "probe"}
	for _, c := range change {
		c(&r)
	}
	return r
}

func code(c string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Proof = rpc.TextProof(r.Proof.Factor, c) }
}

func method(m string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Proof.Factor = m }
}

func policy(p twofactor.Policy) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Policy = p }
}

func token(t string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Token = t }
}

func from(p *rpc.Peer) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Peer = p }
}

// check runs one check and returns the code of the refusal, or "".
func (a *account) check(change ...func(*twofactor.Request)) string {
	a.w.t.Helper()
	return id(a.w.svc.Check(ctx, a.ask(change...)))
}

func id(err error) string {
	if err == nil {
		return ""
	}
	f, ok := fault.From(err)
	if !ok {
		return "internal: " + err.Error()
	}
	return f.ID()
}

// details are those of a refusal, as JSON.
func details(t testing.TB, err error) string {
	t.Helper()
	f, ok := fault.From(err)
	if !ok {
		t.Fatalf("not a refusal: %v", err)
	}
	b, e := ejson.AppendJSON(nil, f.Details)
	if e != nil {
		t.Fatal(e)
	}
	return string(b)
}

// now is the authenticator's code, shifted by so many steps.
func (a *account) now(shift int) string {
	a.w.t.Helper()
	c, err := totp.GenerateCode(a.secret, time.Now().Add(time.Duration(shift)*30*time.Second))
	if err != nil {
		a.w.t.Fatal(err)
	}
	return c
}

// wrong is a six-digit code that is not right in any step near now.
func (a *account) wrong() string {
	for n := 0; ; n++ {
		c, right := fmt.Sprintf("%06d", n), false
		for shift := -3; shift <= 3 && a.secret != ""; shift++ {
			right = right || a.now(shift) == c
		}
		for i := range a.w.mails.sent() {
			right = right || a.w.mails.code(i) == c
		}
		if !right {
			return c
		}
	}
}

// enrol switches the authenticator on and lets its first step pass.
func (a *account) enrol() *account {
	a.w.t.Helper()
	r := a.ask(policy(twofactor.Fresh))
	switch {
	case a.user().Email2FAEnabled():
		if got := id(a.w.svc.Check(ctx, r)); got != "totp-required" {
			a.w.t.Fatalf("the mail factor answered %q", got)
		}
		r.Proof = rpc.TextProof(r.Proof.Factor, a.w.mails.code(-1))
	case a.user().Bcrypt() != "":
		r.Proof = rpc.TextProof(r.Proof.Factor, a.password)
	}
	e, err := a.w.svc.Enrol(ctx, r)
	if err != nil {
		a.w.t.Fatal(err)
	}
	a.secret = e.Secret
	if a.backup, err = a.w.svc.Confirm(ctx, a.ask(code(a.now(0)))); err != nil {
		a.w.t.Fatal(err)
	}
	time.Sleep(time.Minute)
	return a
}

var dates = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]+Z"`)

// shape is details with the dates taken out.
func shape(s string) string { return dates.ReplaceAllString(s, "DATE") }

// setEmail switches codes by mail on or off as the methods do, whose line asks for a
// fresh factor before they are switched off.
func (w *world) setEmail(ctx context.Context, r twofactor.Request, on bool) error {
	return setEmail(ctx, w.svc, r, on)
}

func setEmail(ctx context.Context, svc *twofactor.Service, r twofactor.Request, on bool) error {
	if on {
		return svc.EnableEmail(ctx, r)
	}
	r.Policy, r.Passed = twofactor.Fresh, &rpc.Passed{}
	if err := svc.Check(ctx, r); err != nil {
		return err
	}
	return svc.DisableEmail(ctx, r)
}
