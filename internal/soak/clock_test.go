package soak

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// TestSoakClock (docs/security-tests.md S114): the clock jumps forward and back, as after a bad time
// server, on real services and stores. What was dead once stays dead, a spent code
// stays spent, and no jump gives guesses or mails for nothing.
func TestSoakClock(t *testing.T) {
	stores := map[string]func(*testing.T) store.Store{
		"sqlite": func(t *testing.T) store.Store {
			st, err := sqlite.Open(t.TempDir(), sqlite.Options{Server: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		},
		"mongo": func(t *testing.T) store.Store {
			st, err := mongo.Open(t.Context(), mongotest.Start(t), mongo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *jumper){
				"mailed code": mailedCodeEnds, "one of two mailed codes": oneOfTwoEnds, "step of the app": stepsOnlyGrow, "remembered trust": trustEnds,
				"budget of answers": answersStayCounted, "budget of mails": mailsStayCounted, "session": sessionEnds, "links": linksEnd, "pending app": pendingEnds,
			} {
				t.Run(name, func(t *testing.T) { test(t, newJumper(t, open(t))) })
			}
		})
	}
}

// jumper is one account in a world whose clock jumps.
type jumper struct {
	*world
	t *testing.T
	a *account
}

func newJumper(t *testing.T, st store.Store) *jumper {
	t.Helper()
	a, err := addUser(t.Context(), st, "ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &jumper{world: newWorld(t, st), t: t, a: a}
}

func (j *jumper) jump(d time.Duration) { j.ahead.Add(int64(d)) }

func (j *jumper) user() *user.User {
	j.t.Helper()
	u, err := j.store.UserByID(j.t.Context(), j.a.id)
	if err != nil {
		j.t.Fatal(err)
	}
	return u
}

// fresh replaces the account by one with a factor.
func (j *jumper) fresh(name string, change func(*user.User)) {
	j.t.Helper()
	a, err := addUser(j.t.Context(), j.store, name, change)
	if err != nil {
		j.t.Fatal(err)
	}
	j.a = a
}

// ask makes one check and returns the code of its refusal.
func (j *jumper) ask(method, c string) string {
	j.t.Helper()
	return refusalOf(j.nodes[0].Check(j.t.Context(), twofactor.Request{User: j.user(), Token: hashed(j.a.token),
		Peer:   &rpc.Peer{Address: "192.0.2.7", AgentDigest: rpc.DigestAgent([]string{"test"})},
		Policy: twofactor.Ordinary, Proof: proofOf(method, c)}))
}

// proofOf is an answer by that factor, or only its name without a code.
func proofOf(factor, code string) rpc.Proof {
	if code == "" {
		return rpc.Proof{Factor: factor}
	}
	return rpc.TextProof(factor, code)
}

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func refusalOf(err error) string {
	if err == nil {
		return ""
	}
	f, _ := fault.From(err)
	return f.ID()
}

// send mails a code and returns it.
func (j *jumper) send() string { return j.play(j.t, j.user(), do{op: "send"}, 0) }

func (j *jumper) want(what, got, want string) {
	j.t.Helper()
	if got != want {
		j.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func mailedCodeEnds(t *testing.T, j *jumper) {
	j.fresh("eve", withEmail)
	c := j.send()
	j.jump(11 * time.Minute)
	j.want("a code after its end", j.ask("email", c), "totp-invalid")
	j.jump(-11 * time.Minute)
	j.want("the same code with the clock back", j.ask("email", c), "totp-invalid")
}

func oneOfTwoEnds(t *testing.T, j *jumper) {
	j.fresh("eve", withEmail)
	first := j.send()
	j.jump(6 * time.Minute)
	second := j.send()
	j.jump(5 * time.Minute)
	j.want("the older code after its end", j.ask("email", first), "totp-invalid")
	j.jump(-10 * time.Minute)
	j.want("the older code with the clock back", j.ask("email", first), "totp-invalid")
	j.want("the younger code", j.ask("email", second), "")
	j.jump(-time.Hour)
	j.want("the spent code an hour earlier", j.ask("email", second), "totp-invalid")
}

func stepsOnlyGrow(t *testing.T, j *jumper) {
	j.fresh("eve", withTOTP)
	j.set(settings.TwoFactorRememberFor, 0)
	at := func(d time.Duration) string {
		c, err := totp.GenerateCode(j.a.secret, j.now().Add(d))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	now, before := at(0), at(-30*time.Second)
	j.want("a code", j.ask("totp", now), "")
	j.want("the same again", j.ask("totp", now), "totp-invalid")
	j.jump(-45 * time.Second)
	j.want("the same with the clock back", j.ask("totp", now), "totp-invalid")
	j.want("an older step with the clock back", j.ask("totp", before), "totp-invalid")
	j.jump(24 * time.Hour)
	j.want("a day later", j.ask("totp", at(0)), "")
	j.jump(-24 * time.Hour)
	j.want("back again", j.ask("totp", at(60*time.Second)), "totp-invalid")
}

func trustEnds(t *testing.T, j *jumper) {
	j.fresh("eve", withEmail)
	j.set(settings.TwoFactorRememberFor, 300)
	j.want("a code", j.ask("email", j.send()), "")
	j.want("remembered", j.ask("", ""), "")
	j.jump(6 * time.Minute)
	j.want("after its end", j.ask("", ""), "totp-required")
	j.jump(-6 * time.Minute)
	j.want("with the clock back", j.ask("", ""), "totp-required")
	j.jump(-time.Hour)
	j.want("an hour before it was given", j.ask("", ""), "totp-required")
}

func answersStayCounted(t *testing.T, j *jumper) {
	j.fresh("eve", withTOTP)
	j.set(settings.TwoFactorWrongPerHour, 5)
	for range 5 {
		j.ask("totp", "00000x")
	}
	j.want("over the budget", j.ask("totp", "00000x"), "totp-max-attempts")
	j.jump(-2 * time.Hour)
	j.want("two hours earlier", j.ask("totp", "00000x"), "totp-max-attempts")
	j.jump(2*time.Hour + 30*time.Minute)
	j.want("half an hour later", j.ask("totp", "00000x"), "totp-max-attempts")
	j.jump(31 * time.Minute)
	j.want("an hour later", j.ask("totp", "00000x"), "totp-invalid")
}

func mailsStayCounted(t *testing.T, j *jumper) {
	j.fresh("eve", withEmail)
	j.set(settings.TwoFactorMailsPerHour, 2)
	j.send()
	j.send()
	j.want("over the budget", j.send(), "")
	j.jump(-3 * time.Hour)
	j.want("three hours earlier", j.send(), "")
	j.jump(3*time.Hour + 30*time.Minute)
	j.want("half an hour later", j.send(), "")
	j.jump(31 * time.Minute)
	if j.send() == "" {
		t.Error("an hour later there is no mail")
	}
}

// accounts makes the service of accounts in the same world.
func (j *jumper) accounts() *accounts.Service {
	j.t.Helper()
	g := j.grounds[0]
	return g.NewAccounts(g.NewPasswords(func(o *accounts.PasswordOptions) { o.Now = j.now }), func(o *accounts.Options) { o.Now = j.now })
}

func sessionEnds(t *testing.T, j *jumper) {
	svc := j.accounts()
	resume := func() string {
		_, _, err := svc.Resume(t.Context(), &rpc.Peer{Address: "192.0.2.7"}, j.a.token)
		return refusalOf(err)
	}
	j.want("a session", resume(), "")
	j.jump(91 * 24 * time.Hour)
	if resume() == "" {
		t.Error("a session outlives its ninety days")
	}
	j.jump(-91 * 24 * time.Hour)
	if resume() == "" {
		t.Error("a session that was refused for its age is back with the clock")
	}
}

func pendingEnds(t *testing.T, j *jumper) {
	j.fresh("eve", withEmail)
	j.set(settings.TwoFactorRememberFor, 0)
	r := twofactor.Request{User: j.user(), Token: hashed(j.a.token), Proof: proofOf("email", j.send())}
	e, err := j.nodes[0].Enrol(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	confirm := func() string {
		c, err := totp.GenerateCode(e.Secret, j.now())
		if err != nil {
			t.Fatal(err)
		}
		_, err = j.nodes[0].Confirm(t.Context(), twofactor.Request{User: j.user(), Token: r.Token, Proof: proofOf("", c)})
		return refusalOf(err)
	}
	j.jump(11 * time.Minute)
	j.want("a pending app after its end", confirm(), "invalid-totp")
	j.jump(-11 * time.Minute)
	j.want("the same with the clock back", confirm(), "invalid-totp")
}

func linksEnd(t *testing.T, j *jumper) {
	svc := j.accounts()
	now := time.Now().UTC().Truncate(time.Millisecond)
	reset, verify := random.Secret(), random.Secret()
	j.fresh("eve", func(u *user.User) {
		u.Services.Password.Reset = &user.ResetToken{Token: "sha256:" + hashed(reset), Email: u.Emails[0].Address, When: now, Reason: "reset"}
		u.Emails[0].Verified = false
		u.Services.Email = &user.Proofs{VerificationTokens: []user.VerificationToken{{Token: "sha256:" + hashed(verify), Address: u.Emails[0].Address, When: now}}}
	})
	pw, err := accounts.Plain("a new password")
	if err != nil {
		t.Fatal(err)
	}
	follow := func() (string, string) {
		_, err := svc.ResetPassword(t.Context(), &rpc.Peer{Address: "192.0.2.7"}, reset, pw)
		_, verr := svc.VerifyEmail(t.Context(), &rpc.Peer{Address: "192.0.2.7"}, rpc.Login{}, verify)
		return refusalOf(err), refusalOf(verr)
	}
	j.jump(31 * 24 * time.Hour)
	if r, v := follow(); r == "" || v == "" {
		t.Errorf("links that are too old: reset %q, verification %q", r, v)
	}
	j.jump(-31 * 24 * time.Hour)
	if r, v := follow(); r == "" || v == "" {
		t.Errorf("links that were refused for their age, with the clock back: reset %q, verification %q", r, v)
	}
}
