package accounts_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

func TestEveryWrongLoginLooksTheSame(t *testing.T) {
	w := newWorld(t)
	w.add("Ada", "Ada@x.com")
	off := w.add("off", "off@x.com")
	w.patch(off.ID, user.Change{Active: ptr(false)})
	none := w.add("none", "none@x.com")
	w.patch(none.ID, user.Change{Bcrypt: ptr("")})
	for _, c := range []struct {
		name string
		sel  accounts.Selector
		pw   string
	}{
		{"unknown", accounts.Selector{Username: "nobody"}, "secret"},
		{"unknown address", accounts.Selector{Email: "nobody@x.com"}, "secret"},
		{"unknown id", accounts.Selector{ID: "AAAAAAAAAAAAAAAAA"}, "secret"},
		{"hostile name", accounts.Selector{Username: strings.Repeat("a", 1<<20)}, "secret"},
		{"wrong password", accounts.Selector{Username: "ada"}, "wrong!"},
		{"no password set", accounts.Selector{Username: "none"}, "secret"},
		{"deactivated, right password", accounts.Selector{Username: "off"}, "secret"},
		{"deactivated, wrong password", accounts.Selector{Username: "off"}, "wrong!"},
	} {
		u, err := w.Authenticate(t.Context(), w.peer, c.sel, plain(t, c.pw))
		f, ok := fault.From(err)
		if u != nil || !ok || f.Number != 403 || f.Message() != "Something went wrong. Please check your credentials. [403]" || f.Details != nil {
			t.Errorf("%s: %v %v", c.name, u, err)
		}
		if e := w.lastAudit("login"); e.Outcome != "refused" || e.Reason != "403" || e.Address != "192.0.2.1" {
			t.Errorf("%s: audit %+v", c.name, e)
		}
	}
}

func TestSpecificTextsWhenAsked(t *testing.T) { // F2 A21
	w := newWorld(t)
	w.add("Ada", "Ada@x.com")
	none := w.add("none", "")
	w.patch(none.ID, user.Change{Bcrypt: ptr("")})
	off := w.add("off", "")
	w.patch(off.ID, user.Change{Active: ptr(false)})
	w.with(settings.AmbiguousErrors, false)
	for name, want := range map[string]string{
		"nobody": "User not found [403]", "none": "User has no password set [403]", "ada": "Incorrect password [403]",
	} {
		if f, _ := fault.From(w.try(name, "wrong!")); f.Message() != want {
			t.Errorf("%s: %s, want %s", name, f.Message(), want)
		}
	}
	if err := w.try("off", "secret"); !errors.Is(err, accounts.ErrNotActivated) {
		t.Error(err)
	}
	for _, r := range []accounts.Registration{{Username: "ADA", Password: plain(t, "secret")}, {Username: "x1", Email: "ADA@X.com"}} {
		_, err := w.Register(t.Context(), w.peer, r)
		if !errors.Is(err, accounts.ErrUsernameExists) && !errors.Is(err, accounts.ErrEmailExists) {
			t.Error(err)
		}
	}
}

func TestLoginFindsTheAccountInAnyCase(t *testing.T) {
	w := newWorld(t)
	u := w.add("Ada", "Ada@x.com")
	for _, sel := range []accounts.Selector{
		{Username: "Ada"}, {Username: "ADA"}, {Username: " ada "}, {Username: "ａｄａ"}, {Email: "ada@X.COM"}, {ID: u.ID}, {Username: "ADA@x.com"},
	} {
		got, err := w.Authenticate(t.Context(), w.peer, sel, plain(t, "secret"))
		if err != nil || got.ID != u.ID {
			t.Errorf("%+v: %v", sel, err)
		}
	}
	// An address is no user name, and a pattern is no address.
	for _, sel := range []accounts.Selector{{Email: "Ada"}, {Username: "A.a"}, {Username: "ada%"}, {Email: ".*@x.com"}, {ID: strings.ToLower(u.ID) + "x"}} {
		if _, err := w.Authenticate(t.Context(), w.peer, sel, plain(t, "secret")); !errors.Is(err, accounts.ErrCredentials) {
			t.Errorf("%+v: %v", sel, err)
		}
	}
}

func TestS043AnyPasswordRight(t *testing.T) {
	w := newWorld(t)
	u := w.add("ada", "")
	w.with(settings.BlockLogins, false)
	good, err := accounts.Digest(digest("secret"), "sha-256")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, good); err != nil {
		t.Fatal("the right digest:", err)
	}
	for _, stored := range []string{
		"", "garbage", "$2b$", "$2b$04$", "$2b$31$" + strings.Repeat("a", 53), "$2b$99$" + strings.Repeat("a", 53), "$1$04$" + strings.Repeat("a", 53),
		digest("secret"), "secret", strings.Repeat("$", 60), "$2b$04$" + strings.Repeat("\x00", 53), hashOf(t, "secret", 4, 'b')[:59],
	} {
		w.patch(u.ID, user.Change{Bcrypt: &stored})
		for _, pw := range []accounts.Password{good, {}} {
			if _, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, pw); !errors.Is(err, accounts.ErrCredentials) {
				t.Errorf("stored %q: %v", stored, err)
			}
		}
	}
	// Passwords that agree in their first 72 bytes are still two passwords.
	long := strings.Repeat("x", 100)
	w.patch(u.ID, user.Change{Bcrypt: ptr(hashOf(t, long+"a", 4, 'b'))})
	if err := w.try("ada", long+"b"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("72-byte prefix:", err)
	}
	if err := w.try("ada", long+"a"); err != nil {
		t.Error("long password:", err)
	}
}

func TestHashesOfOtherServersAreTakenAndRefreshed(t *testing.T) {
	w := newWorld(t)
	u := w.add("ada", "")
	for _, version := range []byte{'a', 'b', 'y'} {
		for _, cost := range []int{4, 5} {
			stored := hashOf(t, "secret", cost, version)
			w.patch(u.ID, user.Change{Bcrypt: &stored})
			if err := w.try("ada", "secret"); err != nil {
				t.Fatalf("$2%c$ cost %d: %v", version, cost, err)
			}
			now := w.user(u.ID).PasswordHash()
			if got, _ := bcrypt.Cost([]byte(now)); got != 4 {
				t.Errorf("cost %d was not brought to the server's", cost)
			}
			if err := w.try("ada", "secret"); err != nil {
				t.Errorf("after the new hash: %v", err)
			}
			if (now == stored) != (cost == 4) {
				t.Errorf("cost %d: hash changed: %v", cost, now != stored)
			}
		}
	}
}

func TestS038WrongPasswordsAreCountedBeforeTheyAreCompared(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for range 40 { // 40 connections, one try each at once: fits the hashing queue
		wg.Go(func() {
			err := w.try("ada", "wrong!")
			f, _ := fault.From(err)
			mu.Lock()
			defer mu.Unlock()
			outcomes[f.ID()]++
		})
	}
	wg.Wait()
	if outcomes["403"] != 10 || outcomes["error-login-blocked-for-user"] != 30 {
		t.Errorf("outcomes %v, want 10 compared", outcomes)
	}
	if err := w.try("ada", "secret"); !errors.Is(err, accounts.ErrBlockedUser) {
		t.Error("right password while blocked:", err)
	}
	w.wait(5 * time.Minute)
	if err := w.try("ada", "secret"); err != nil {
		t.Error("after the block:", err)
	}
}

// S033: right passwords are no failures, however many come at once.
func TestS033ManyRightPasswordsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	var wg sync.WaitGroup
	for range 40 { // fits the hashing queue, and is far over the budget of ten
		wg.Go(func() {
			if err := w.try("ada", "secret"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := w.try("ada", "wrong!"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("a place was not given back:", err)
	}
}

func TestUnknownNamesAreBlockedLikeKnownOnes(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	for range 10 {
		for _, name := range []string{"ada", "nobody"} {
			if err := w.try(name, "wrong!"); !errors.Is(err, accounts.ErrCredentials) {
				t.Fatal(name, err)
			}
		}
	}
	for _, name := range []string{"ada", "ADA", "nobody", "NoBody"} {
		if err := w.try(name, "wrong!"); !errors.Is(err, accounts.ErrBlockedUser) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestS032StrangersDoNotLockTheOwnerOut(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	w.login(ada) // from 192.0.2.1
	for i := range 200 {
		p := w.from(fmt.Sprintf("198.51.100.%d", i))
		_, err := w.Authenticate(t.Context(), p, accounts.Selector{Username: "ada"}, plain(t, "guess!"))
		if err == nil {
			t.Fatal("guessed")
		}
	}
	if _, err := w.Authenticate(t.Context(), w.from("203.0.113.9"), accounts.Selector{Username: "ada"}, plain(t, "secret")); !errors.Is(err,
		accounts.ErrBlockedUser) {
		t.Error("a new address while the account is under attack:", err)
	}
	if err := w.try("ada", "secret"); err != nil {
		t.Error("the owner from a known address:", err)
	}
}

func TestAddressesAreBlocked(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	for i := range 50 {
		// One /64 is one subscriber.
		p := w.from(fmt.Sprintf("2001:db8::%x", i+1))
		if _, err := w.Authenticate(t.Context(), p, accounts.Selector{Username: fmt.Sprint("u", i)}, plain(t, "guess!")); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatal(err)
		}
	}
	p := w.from("2001:db8::ffff")
	if _, err := w.Authenticate(t.Context(), p, accounts.Selector{Username: "ada"}, plain(t, "secret")); !errors.Is(err, accounts.ErrBlockedAddress) {
		t.Error(err)
	}
	w.with(settings.BlockLoginsExempted, "10.0.0.1, 2001:db8::ffff")
	if _, err := w.Authenticate(t.Context(), p, accounts.Selector{Username: "ada"}, plain(t, "secret")); err != nil {
		t.Error("exempted:", err)
	}
}

func TestS033PromptsAreNoFailures(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "")
	for i := range 50 { // right password; the second factor is asked for and never given
		if err := w.try("ada", "secret"); err != nil {
			t.Fatal(i, err)
		}
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	got := w.login(ada)
	w.wait(24 * time.Hour)
	u, again, err := w.Resume(t.Context(), w.peer, got.Token)
	if err != nil || u.ID != ada.ID || again != got {
		t.Fatalf("%v %+v, want %+v", err, again, got)
	}
	for _, token := range []string{ // S060
		"", "bogus", got.Token[:42], got.Token + "A", strings.ToUpper(got.Token), got.Hash, " " + got.Token, got.Token + "=", strings.Repeat("a", 1<<20),
	} {
		if _, _, err := w.Resume(t.Context(), w.peer, token); !errors.Is(err, accounts.ErrLoggedOut) {
			t.Errorf("%.60q: %v", token, err)
		}
	}
	w.wait(89 * 24 * time.Hour)
	if _, _, err := w.Resume(t.Context(), w.peer, got.Token); !errors.Is(err, accounts.ErrSessionExpired) {
		t.Error("at its end:", err)
	}
	if _, err := w.Caller(t.Context(), got.Login()); !errors.Is(err, fault.NotAuthorized) {
		t.Error("a call at its end:", err)
	}
}

func TestA23LegacyTokensAreReplacedByTheirHash(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	w.patch(ada.ID, user.Change{AddToken: &user.LoginToken{Token: "legacy-token", When: w.now()}})
	for i := range 2 {
		if _, got, err := w.Resume(t.Context(), w.peer, "legacy-token"); err != nil || got.Token != "legacy-token" {
			t.Fatal(i, err)
		}
	}
	stored := w.user(ada.ID).Services.Resume.LoginTokens
	if len(stored) != 1 || stored[0].Token != "" || stored[0].HashedToken != accounts.HashToken("legacy-token") {
		t.Errorf("stored %+v", stored)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, stored[0].HashedToken); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Error("the hash logs in:", err)
	}
}

// S021: a login that was under way when a factor was switched on, or whose
// factor was replaced, gets no token.
func TestS021LoginUnderWayDoesNotOutliveAChange(t *testing.T) {
	for name, factor := range map[string]func(*user.Services){
		"mail factor switched": user.SetEmail2FA(user.Email2FA{}), // new accounts have it on
		"app off":              user.DropTOTP,
	} {
		w := newWorld(t)
		ada := w.add("ada", "")
		if name == "app off" {
			w.enrol(ada.ID)
		}
		u, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, plain(t, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		w.patch(ada.ID, user.Change{Factor: factor})
		if _, err := w.IssueToken(t.Context(), w.peer, u, "password"); !errors.Is(err, accounts.ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t)
	ada := w.add("ada", "")
	u, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, plain(t, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	w.enrol(ada.ID)
	if _, err := w.IssueToken(t.Context(), w.peer, u, "password"); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("app on: %v", err)
	}
	if r := w.user(ada.ID).Services.Resume; r != nil && len(r.LoginTokens) != 0 {
		t.Errorf("tokens %+v", r.LoginTokens)
	}
}

func TestTokenIsBoundToTheProvedPassword(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	u, err := w.Authenticate(t.Context(), w.peer, accounts.Selector{Username: "ada"}, plain(t, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	// The password changes while the second factor is asked for.
	w.patch(ada.ID, user.Change{Bcrypt: ptr(hashOf(t, "other!", 4, 'b'))})
	if _, err := w.IssueToken(t.Context(), w.peer, u, "password"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("issued:", err)
	}
	u = w.user(ada.ID)
	w.patch(ada.ID, user.Change{Active: ptr(false)})
	if _, err := w.IssueToken(t.Context(), w.peer, u, "password"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("issued to a deactivated account:", err)
	}
}

func TestHeader(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.add("ada", ""), w.add("bob", "")
	got := w.login(ada)
	u, l, err := w.Header(t.Context(), w.peer, ada.ID, got.Token)
	if err != nil || u.ID != ada.ID || l != (rpc.Login{UserID: ada.ID, Token: got.Hash}) {
		t.Fatal(err, l)
	}
	for _, c := range [][2]string{{bob.ID, got.Token}, {ada.ID, got.Hash}, {"", got.Token}, {ada.ID, ""}, {strings.ToLower(ada.ID), got.Token + "x"}} {
		if u, l, err := w.Header(t.Context(), w.peer, c[0], c[1]); !errors.Is(err, fault.NotAuthorized) || u != nil || l != (rpc.Login{}) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func TestEmailVerificationSetting(t *testing.T) {
	w := newWorld(t)
	u := w.add("ada", "ada@x.com")
	w.with(settings.EmailVerification, true)
	if f, _ := fault.From(w.try("ada", "secret")); f.ID() != "error-invalid-email" {
		t.Error(f)
	}
	if err := w.try("ada", "wrong!"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("a wrong password tells nothing:", err)
	}
	w.patch(u.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	if err := w.try("ada", "secret"); err != nil {
		t.Error(err)
	}
}

func TestS080WrongLoginsTakeTheSameTime(t *testing.T) {
	w := newWorldWithCost(t, 6)
	w.with(settings.BlockLogins, false)
	w.add("ada", "")
	off := w.add("off", "")
	w.patch(off.ID, user.Change{Active: ptr(false)})
	none := w.add("none", "")
	w.patch(none.ID, user.Change{Bcrypt: ptr("")})
	broken := w.add("broken", "")
	w.patch(broken.ID, user.Change{Bcrypt: ptr("$2b$06$" + strings.Repeat("!", 53))})
	// Nearly all the time of a login is bcrypt, so its work is compared: a clock
	// would measure the tests that run at the same time.
	for _, name := range []string{"ada", "nobody", "off", "none", "broken"} {
		before := w.pw.HashWork()
		if err := w.try(name, "wrong!"); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatal(name, err)
		}
		if got := w.pw.HashWork() - before; got != 1<<6 {
			t.Errorf("%s costs %d rounds, a wrong password %d", name, got, 1<<6)
		}
	}
}

// A18: the answers to any series of wrong passwords for the names and addresses of
// one account are those for as many that nobody has: a block of the one does not
// show at the other.
func TestA18BlocksDoNotTellWhoseAddressItIs(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 18))
		type step struct {
			form, from int
			wait       time.Duration
		}
		var steps []step
		for range 80 {
			steps = append(steps, step{rng.IntN(5), rng.IntN(3), []time.Duration{0, 0, 0, time.Minute}[rng.IntN(4)]})
		}
		run := func(forms []string) (out []string) {
			w := newWorld(t)
			w.add("ada", "ada@x.com")
			for _, s := range steps {
				sel := accounts.Selector{Username: forms[s.form]}
				if strings.Contains(forms[s.form], "@") && s.from == 0 {
					sel = accounts.Selector{Email: forms[s.form]}
				}
				work := w.pw.HashWork()
				_, err := w.Authenticate(t.Context(), w.from(fmt.Sprintf("198.51.100.%d", s.from)), sel, plain(t, "wrong!"))
				out = append(out, fmt.Sprint(err, " ", w.pw.HashWork()-work))
				w.wait(s.wait)
			}
			return out
		}
		known := run([]string{"ada", "ADA", "ada@x.com", "Ada@X.com", "ada＠x.com"})
		unknown := run([]string{"eve", "EVE", "eve@x.com", "Eve@X.com", "eve＠x.com"})
		if !slices.Equal(known, unknown) {
			t.Fatalf("seed %d:\n%q\n%q", seed, known, unknown)
		}
		if !slices.Contains(known, fmt.Sprint(accounts.ErrBlockedUser, " 0")) {
			t.Fatalf("seed %d: nothing was blocked: %q", seed, known)
		}
	}
	// The right password opens nothing while the account is blocked under another name.
	w := newWorld(t)
	w.with(settings.BlockLoginsByAddress, false)
	w.add("ada", "ada@x.com")
	for range 10 {
		_ = w.try("ada", "wrong!")
	}
	if err := w.try("ada@x.com", "secret"); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("the account's budget: %v", err)
	}
}
