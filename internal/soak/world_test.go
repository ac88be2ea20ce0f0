package soak

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/random"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/testwait"
	"ddpserver/internal/user"
)

// account is one user as its owner knows it.
type account struct {
	id, name, email, token string
	secret                 string // of the authenticator app, base32
	step                   int64  // the last one that was spent
	backup                 []string
	used                   []string // mailed codes that were answered with
}

const accountPassword = "wonder land 1"

// digest is the password as clients send it, and as it answers a challenge.
func digest(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// cheapHash is accountPassword hashed at the least cost: hashing is not what is
// tested here, and the machine is small.
var cheapHash = func() string {
	h, err := bcrypt.GenerateFromPassword([]byte(digest(accountPassword)), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
}()

// addUser puts an account with a live token straight into a store.
func addUser(ctx context.Context, s accounts.Store, name string, change func(*user.User)) (*account, error) {
	a := &account{id: random.ID(), name: name, email: strings.ToLower(name) + "@example.org", token: random.Secret()}
	sum := sha256.Sum256([]byte(a.token))
	now, active := time.Now().UTC().Truncate(time.Millisecond), true
	u := &user.User{
		ID: a.id, CreatedAt: now, Username: name, Name: name, Roles: []string{"user"}, Type: "user", Active: &active,
		Emails: []user.Email{{Address: a.email, Verified: true}},
		Services: user.Services{
			Password: &user.Password{Bcrypt: cheapHash},
			Resume:   &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: base64.StdEncoding.EncodeToString(sum[:]), When: now}}},
		},
	}
	if change != nil {
		change(u)
	}
	if u.Services.TOTP != nil {
		a.secret = u.Services.TOTP.Secret
	}
	u.FillKeys()
	return a, s.CreateUser(ctx, u)
}

// withTOTP gives an account an authenticator app, as an adopted database has it.
func withTOTP(u *user.User) {
	u.Services.TOTP = &user.TOTP{Enabled: true, Secret: newSecret()}
}

func withEmail(u *user.User) { u.Services.Email2FA = &user.Email2FA{Enabled: true} }

func asAdmin(u *user.User) { u.Roles = []string{"admin", "user"} }

func newSecret() string {
	return strings.Repeat(string("ABCDEFGHIJKLMNOP"[random.ID()[0]%16]), 8) + strings.Repeat("Q", 24)
}

// inside opens the embedded store of a directory on which no server runs.
func inside(t testing.TB, dir string, f func(*sqlite.Store)) {
	t.Helper()
	s, err := sqlite.Open(dir, sqlite.Options{Server: true})
	if err != nil {
		t.Fatal(err)
	}
	f(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// seed makes accounts name0, name1, … in the embedded store of a directory.
func seed(t testing.TB, dir, name string, n int, change func(*user.User)) []*account {
	t.Helper()
	var out []*account
	inside(t, dir, func(s *sqlite.Store) {
		for i := range n {
			a, err := addUser(t.Context(), s, fmt.Sprint(name, i), change)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a)
		}
	})
	return out
}

// totpAt is the code of the time step that is n steps from now.
func (a *account) totpAt(n int) string {
	c, err := totp.GenerateCode(a.secret, time.Now().Add(time.Duration(n)*30*time.Second))
	if err != nil {
		panic(err)
	}
	return c
}

// wrongCode is six digits that no step near now has.
func (a *account) wrongCode() string {
	var near []string
	for n := -4; n <= 4; n++ {
		near = append(near, a.totpAt(n))
	}
	for {
		if c := random.Digits(6); !slices.Contains(near, c) {
			return c
		}
	}
}

// nextStep spends the next code of the app; "" when no step is left within reach.
func (a *account) nextStep() string {
	now := time.Now().Unix() / 30
	step := max(a.step+1, now-1)
	if step > now+2 {
		return ""
	}
	a.step = step
	return a.totpAt(int(step - now))
}

// stepEnds is when the code of nextStep stops being good: the server takes codes
// that are two steps old.
func (a *account) stepEnds() time.Time { return time.Unix((a.step+3)*30, 0) }

// enrol switches the authenticator app on over DDP; the password is the proof.
// The step of the code that confirms is one back, so that codes of this minute
// can still be spent.
func (a *account) enrol(c *conn) error {
	raw, err := c.call("2fa:enable", proof("password", digest(accountPassword)))
	if err != nil {
		return fmt.Errorf("2fa:enable: %w", err)
	}
	var enrolment struct{ Secret string }
	if err := json.Unmarshal(raw, &enrolment); err != nil {
		return err
	}
	a.secret = enrolment.Secret
	raw, err = c.call("2fa:validateTempToken", a.nextStep())
	if err != nil {
		return fmt.Errorf("2fa:validateTempToken: %w", err)
	}
	var made struct{ Codes []string }
	if err := json.Unmarshal(raw, &made); err != nil {
		return err
	}
	a.backup = made.Codes
	return nil
}

// freshCode waits for the newest mailed code that was not used before, and notes
// it as used.
func (a *account) freshCode(t testing.TB, box *mailtest.Server) string {
	t.Helper()
	var newest string
	testwait.Until(t, "a mail to "+a.name, func() bool {
		codes := a.mailedCodes(box)
		if len(codes) == 0 {
			return false
		}
		newest = codes[len(codes)-1]
		return !slices.Contains(a.used, newest)
	})
	a.used = append(a.used, newest)
	return newest
}

// mailedCodes lists the codes mailed to the account, oldest first; a second copy
// of a mail counts once.
func (a *account) mailedCodes(box *mailtest.Server) []string {
	var codes []string
	seen := map[string]bool{}
	for _, m := range box.To(a.email) {
		if id := m.Header.Get("Message-Id"); m.Code() != "" && !seen[id] {
			seen[id] = true
			codes = append(codes, m.Code())
		}
	}
	return codes
}
