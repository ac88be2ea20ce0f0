package twofactor_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// world is a service over a real store, with everything it writes to kept for
// inspection.
type world struct {
	*testkit.Ground
	svc     *twofactor.Service
	sources twofactor.Sources
}

// bubble runs f in fake time with a world of its own.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func newWorld(t testing.TB) *world { return newWorldOn(t, storetest.OpenSQLite(t)) }

func newWorldOn(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{Ground: testkit.NewGround(t, testkit.Options{Store: s})}
	w.svc = w.service(s)
	t.Cleanup(w.svc.Close)
	return w
}

// service makes another service on the same store, as another node would have,
// with limits of its own.
func (w *world) service(s twofactor.Store) *twofactor.Service {
	w.T.Helper()
	return w.NewFactors(func(o *twofactor.Options) {
		o.Store, o.Passwords, o.Sources, o.MailLimit = s, verifier{}, w.sources, ratelimit.New(ratelimit.Options{})
	})
}

// verifier compares with bcrypt, without the server's gate.
type verifier struct{}

func (verifier) VerifyPassword(_ context.Context, u *user.User, digest string) (bool, error) {
	err := bcrypt.CompareHashAndPassword([]byte(u.PasswordHash()), []byte(digest))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// changes are those that owners were told of.
func changes(w *world) (out []twofactor.Change) {
	for _, n := range w.Mails.Notices() {
		out = append(out, n.Change)
	}
	return out
}

// dead are the hashes of the tokens that were told to be ended.
func dead(w *world) (out []string) {
	for _, e := range w.News.All() {
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
	w.T.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(digest), bcrypt.MinCost)
	if err != nil {
		w.T.Fatal(err)
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
	if err := w.Store.CreateUser(ctx, u); err != nil {
		w.T.Fatal(err)
	}
	return &account{w: w, id: u.ID, password: digest}
}

func withEmail(u *user.User)       { u.Services.Email2FA = &user.Email2FA{Enabled: true} }
func withoutPassword(u *user.User) { u.Services.Password = nil }
func unverified(u *user.User)      { u.Emails[0].Verified = false }

// user reads the account as the router would for a new call.
func (a *account) user() *user.User {
	a.w.T.Helper()
	u, err := a.w.Store.UserByID(ctx, a.id)
	if err != nil {
		a.w.T.Fatal(err)
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
	a.w.T.Helper()
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
	a.w.T.Helper()
	c, err := totp.GenerateCode(a.secret, time.Now().Add(time.Duration(shift)*30*time.Second))
	if err != nil {
		a.w.T.Fatal(err)
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
		for i := range a.w.Mails.Count() {
			right = right || a.w.Mails.Code(i) == c
		}
		if !right {
			return c
		}
	}
}

// enrol switches the authenticator on and lets its first step pass.
func (a *account) enrol() *account {
	a.w.T.Helper()
	r := a.ask(policy(twofactor.Fresh))
	switch {
	case a.user().Email2FAEnabled():
		if got := id(a.w.svc.Check(ctx, r)); got != "totp-required" {
			a.w.T.Fatalf("the mail factor answered %q", got)
		}
		r.Proof = rpc.TextProof(r.Proof.Factor, a.w.Mails.Code(-1))
	case a.user().PasswordHash() != "":
		r.Proof = rpc.TextProof(r.Proof.Factor, a.password)
	}
	e, err := a.w.svc.Enrol(ctx, r)
	if err != nil {
		a.w.T.Fatal(err)
	}
	a.secret = e.Secret
	if a.backup, err = a.w.svc.Confirm(ctx, a.ask(code(a.now(0)))); err != nil {
		a.w.T.Fatal(err)
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
