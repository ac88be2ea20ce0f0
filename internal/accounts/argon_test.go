package accounts_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"ddpserver/internal/accounts"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// argon hashes a password as Meteor does: over the hex SHA-256, in the PHC form.
func argon(text string) string {
	sum := sha256.Sum256([]byte(text))
	salt := []byte("sixteen bytes ok")
	key := argon2.IDKey([]byte(hex.EncodeToString(sum[:])), salt, 2, 19456, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", b64(salt), b64(key))
}

// adopt makes an account whose password is that stored argon2 text.
func (w *world) adopt(name, stored string) {
	w.t.Helper()
	u := &user.User{ID: name, Username: name, CreatedAt: w.now(), Services: user.Services{Password: &user.Password{Argon2: stored}}}
	if err := w.store.CreateUser(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
}

// A password of a Meteor app that hashes with argon2 opens its account, and is
// hashed as ours from then on.
func TestArgon2Passwords(t *testing.T) {
	w := newWorld(t)
	w.adopt("ada", argon("correct horse"))
	try := func(pw string, want error) {
		t.Helper()
		u, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, plain(t, pw))
		if !errors.Is(err, want) {
			t.Fatalf("%q: %v, want %v", pw, err, want)
		}
		if err == nil {
			if _, err := w.IssueToken(t.Context(), w.peer, u, "password"); err != nil {
				t.Fatal(err)
			}
		}
	}
	try("correct hors", accounts.ErrCredentials)
	if w.user("ada").Services.Password.Argon2 == "" {
		t.Error("a wrong password replaced the hash")
	}
	try("correct horse", nil)
	p := w.user("ada").Services.Password
	if p.Argon2 != "" || !strings.HasPrefix(p.Bcrypt, "$2a$") {
		t.Errorf("after the login: argon2 %q, bcrypt %q", p.Argon2, p.Bcrypt)
	}
	try("correct horse", nil)
	try("correct hors", accounts.ErrCredentials)
}

// Whoever wrote the hash does not choose what a login costs, and what is no hash
// opens nothing.
func TestArgon2IsBounded(t *testing.T) {
	w := newWorld(t)
	good := argon("pw")
	costs := "m=19456,t=2,p=1"
	for i, stored := range []string{
		strings.Replace(good, costs, "m=4194304,t=1,p=1", 1), strings.Replace(good, costs, "m=65537,t=1,p=1", 1),
		strings.Replace(good, costs, "m=19456,t=4294967295,p=1", 1), strings.Replace(good, costs, "m=65536,t=5,p=1", 1),
		strings.Replace(good, costs, "m=19456,t=2,p=255", 1), strings.Replace(good, costs, "m=19456,t=2,p=257", 1),
		strings.Replace(good, costs, "m=19456,t=0,p=1", 1), strings.Replace(good, costs, "m=0,t=2,p=1", 1), strings.Replace(good, costs, "m=8,t=2,p=2", 1),
		strings.Replace(good, costs, "t=2,m=19456,p=1", 1), strings.Replace(good, costs, costs+",keyid=a", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "argon2id", "argon2d", 1), strings.Replace(good, "$v=19", "", 1), good[:len(good)-30], good + "=", good + "$",
		"$argon2id$v=19$" + costs + "$$", "$argon2", "",
	} {
		if accounts.UsableArgon(stored) {
			t.Errorf("%q is compared with", stored)
		}
		name := fmt.Sprint("u", i)
		w.adopt(name, stored)
		if _, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: name}, plain(t, "pw")); !errors.Is(err, accounts.ErrCredentials) {
			t.Errorf("%q: %v", stored, err)
		}
	}
	if !accounts.UsableArgon(good) || !accounts.UsableArgon(strings.Replace(good, costs, "m=65536,t=3,p=4", 1)) {
		t.Error("Meteor's own hash, or that of RFC 9106, is not compared with")
	}
}

// A database in which an account has both hashes means the argon2 one, as Meteor
// does, and a new password ends both.
func TestArgon2BesideBcrypt(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	w.adopt("bob", argon("new password"))
	u := w.user("bob")
	p := user.Password{Bcrypt: w.user(ada.ID).PasswordHash(), Argon2: u.PasswordHash()}
	both := &user.User{ID: "both", Username: "both", CreatedAt: w.now(), Services: user.Services{Password: &p}}
	if err := w.store.CreateUser(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "both"}, plain(t, "secret")); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("the password of before: %v", err)
	}
	fresh := "$2a$04$other"
	if _, err := w.store.UpdateUser(t.Context(), "both", user.Change{Bcrypt: &fresh, At: w.now()}); err != nil {
		t.Fatal(err)
	}
	if got := w.user("both").Services.Password; got.Argon2 != "" || got.Bcrypt != fresh {
		t.Errorf("after a new password: %+v", got)
	}
}

// An account whose owner must choose a new password is nobody's until one is
// chosen: neither the password nor a session of before opens it.
func TestRequirePasswordChange(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@example.org")
	got := w.login(ada)
	if _, err := w.store.(rule.Engine).ChangeUser(t.Context(), ada.ID, func(u *user.User) error {
		u.RequirePasswordChange = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.try("ada", "secret"); !errors.Is(err, accounts.ErrPasswordChange) {
		t.Errorf("login: %v", err)
	}
	if err := w.try("ada", "wrong"); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("with a wrong password: %v", err)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, got.Token); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Errorf("a session of before: %v", err)
	}
	if _, err := w.Caller(t.Context(), got.Login()); err == nil {
		t.Error("a session of before goes on")
	}
	if _, err := w.IssueToken(t.Context(), w.peer, w.user(ada.ID), "link"); !errors.Is(err, accounts.ErrPasswordChange) {
		t.Errorf("a token: %v", err)
	}
	hash := "$2a$04$chosen"
	if _, err := w.store.UpdateUser(t.Context(), ada.ID, user.Change{Bcrypt: &hash, At: w.now()}); err != nil {
		t.Fatal(err)
	}
	if w.user(ada.ID).RequirePasswordChange {
		t.Error("it is still asked for after a new password")
	}
	if _, err := w.IssueToken(t.Context(), w.peer, w.user(ada.ID), "link"); err != nil {
		t.Error(err)
	}
}
