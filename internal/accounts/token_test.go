package accounts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

func TestRenewedTokenKeepsItsEnd(t *testing.T) { // F2 A11
	w := newWorld(t)
	ada := w.add("ada", "")
	old := w.login(ada)
	w.wait(time.Hour)
	got, err := w.RenewToken(t.Context(), w.peer, old.Login())
	if err != nil || got.Token == old.Token || !got.Expires.Equal(old.Expires) || len(got.Token) != 43 {
		t.Fatal(err, got.Expires, old.Expires)
	}
	for _, i := range []accounts.Issued{old, got} {
		if _, err := w.Caller(t.Context(), i.Login()); err != nil {
			t.Error("one of the two tokens is dead:", err)
		}
	}
	third := w.login(ada)
	if err := w.RemoveOtherTokens(t.Context(), w.peer, got.Login()); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, old.Hash) || w.alive(ada.ID, third.Hash) || !w.alive(ada.ID, got.Hash) {
		t.Error("the news names the wrong tokens")
	}
	if _, _, err := w.Resume(t.Context(), w.peer, third.Token); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Error(err)
	}
}

func TestTokenCallsWithoutAToken(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	got := w.login(ada)
	for _, l := range []rpc.Login{{}, {UserID: ada.ID}, {Token: got.Hash}} {
		if _, err := w.RenewToken(t.Context(), w.peer, l); !errors.Is(err, accounts.ErrNotLoggedIn) {
			t.Error(err)
		}
		if err := w.RemoveOtherTokens(t.Context(), w.peer, l); !errors.Is(err, accounts.ErrNotLoggedIn) {
			t.Error(err)
		}
		if err := w.Logout(t.Context(), w.peer, l); err != nil {
			t.Error(err)
		}
	}
	for _, l := range []rpc.Login{{UserID: ada.ID, Token: "x"}, {UserID: "nobody", Token: got.Hash}} {
		if _, err := w.RenewToken(t.Context(), w.peer, l); !errors.Is(err, accounts.ErrInvalidToken) {
			t.Error(err)
		}
		if err := w.RemoveOtherTokens(t.Context(), w.peer, l); !errors.Is(err, accounts.ErrNotLoggedIn) {
			t.Error(err)
		}
	}
	if _, err := w.Caller(t.Context(), got.Login()); err != nil {
		t.Error("the session did not survive other people's mistakes:", err)
	}
	if err := accounts.ErrNotLoggedIn; err.Message() != "[You are not logged in.]" { // F2 A12
		t.Error(err.Message())
	}
}

func TestLogoutEndsOneToken(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	one, two := w.login(ada), w.login(ada)
	if err := w.Logout(t.Context(), w.peer, one.Login()); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, one.Hash) || !w.alive(ada.ID, two.Hash) {
		t.Error("wrong token ended")
	}
	if _, err := w.Caller(t.Context(), two.Login()); err != nil {
		t.Error(err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	first := w.login(ada)
	pat, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", false)
	if err != nil {
		t.Fatal(err)
	}
	for range 205 {
		w.wait(time.Second)
		w.login(ada)
	}
	if n := len(w.user(ada.ID).Services.Resume.LoginTokens); n != 201 {
		t.Errorf("%d tokens", n)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, first.Token); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Error("the oldest session lives:", err)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, pat); err != nil {
		t.Error("the personal access token died:", err)
	}
}

func TestPersonalAccessTokens(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	w.mailed()
	token, err := w.GenerateToken(t.Context(), w.peer, ada, " ci.$bot ", true)
	if err != nil || len(token) != 43 {
		t.Fatal(err, token)
	}
	list := w.Tokens(w.user(ada.ID))
	if len(list) != 1 || list[0].Name != "ci.$bot" || !list[0].BypassTwoFactor || list[0].LastTokenPart != token[37:] || !list[0].CreatedAt.Equal(w.now()) {
		t.Errorf("%+v", list)
	}
	if mails := w.mailed(); len(mails) != 1 || mails[0].To[0] != "ada@x.com" || strings.Contains(fmt.Sprint(mails), token) {
		t.Errorf("notice %+v", mails)
	}
	u, got, err := w.Resume(t.Context(), w.peer, token)
	if err != nil || u.ID != ada.ID || got.Expires.Year() != 2126 {
		t.Error(err, got.Expires)
	}
	w.wait(1000 * 24 * time.Hour)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Header(t.Context(), w.peer, ada.ID, token); err != nil {
		t.Error("it ended by itself:", err)
	}
	// Logging out, closing other sessions and exchanging leave it alone.
	if err := w.Logout(t.Context(), w.peer, got.Login()); err != nil {
		t.Fatal(err)
	}
	if err := w.RemoveOtherTokens(t.Context(), w.peer, w.login(ada).Login()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RenewToken(t.Context(), w.peer, got.Login()); !errors.Is(err, accounts.ErrInvalidToken) {
		t.Error("it turned into a session:", err)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, token); err != nil {
		t.Error(err)
	}

	fresh, err := w.RegenerateToken(t.Context(), w.peer, w.user(ada.ID), "ci.$bot")
	if err != nil || fresh == token {
		t.Fatal(err)
	}
	if list := w.Tokens(w.user(ada.ID)); len(list) != 1 || !list[0].BypassTwoFactor || list[0].LastTokenPart != fresh[37:] {
		t.Errorf("after regeneration: %+v", list)
	}
	if _, _, err := w.Resume(t.Context(), w.peer, token); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Error("the old one lives:", err)
	}
	if err := w.RemoveToken(t.Context(), w.peer, w.user(ada.ID), "ci.$bot"); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, accounts.HashToken(fresh)) || len(w.Tokens(w.user(ada.ID))) != 0 {
		t.Error("it was not removed")
	}
	for name, err := range map[string]error{
		"remove":     w.RemoveToken(t.Context(), w.peer, w.user(ada.ID), "ci.$bot"),
		"remove bad": w.RemoveToken(t.Context(), w.peer, w.user(ada.ID), "\x00"),
	} {
		if !errors.Is(err, accounts.ErrNoToken) {
			t.Error(name, err)
		}
	}
	if _, err := w.RegenerateToken(t.Context(), w.peer, w.user(ada.ID), "nothing"); !errors.Is(err, accounts.ErrNoToken) {
		t.Error(err)
	}
}

func TestS058SloppyTokenNames(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	for _, name := range []string{"", "  ", "\n", "a\x00b", "a\u202eb", strings.Repeat("a", 101), strings.Repeat("a", 10<<10), "\xff", "a\u0085b"} {
		if _, err := w.GenerateToken(t.Context(), w.peer, ada, name, false); !errors.Is(err, accounts.ErrTokenName) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	if n := len(w.Tokens(w.user(ada.ID))); n != 0 {
		t.Error(n, "tokens")
	}
}

func TestS058OneTokenForEachName(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	for round := range 20 {
		name := fmt.Sprint("race", round)
		errs := together(16, func() error {
			_, err := w.GenerateToken(t.Context(), w.peer, ada, name, false)
			return err
		})
		if won, lost := count(errs, nil), count(errs, accounts.ErrTokenExists); won != 1 || lost != 15 {
			t.Fatalf("round %d: %d won, %d lost: %v", round, won, lost, errs)
		}
		u := w.user(ada.ID)
		errs = together(16, func() error {
			_, err := w.RegenerateToken(t.Context(), w.peer, u, name)
			return err
		})
		if won := count(errs, nil); won != 1 {
			t.Fatalf("round %d: %d regenerated: %v", round, won, errs)
		}
		if n := len(w.Tokens(w.user(ada.ID))); n != round+1 {
			t.Fatalf("round %d: %d tokens", round, n)
		}
	}
}

// S058, S061: a token is not made, and does not come back, for an account that
// changed since its owner was asked for a factor.
func TestS061TokensDoNotOutliveAChange(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	if _, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", true); err != nil {
		t.Fatal(err)
	}
	before := w.user(ada.ID)
	w.patch(ada.ID, user.Change{Bcrypt: ptr(hashOf(t, "other!", 4, 'b')), RemoveTokens: true})
	if _, err := w.GenerateToken(t.Context(), w.peer, before, "late", false); !errors.Is(err, fault.NotAuthorized) {
		t.Errorf("made after a reset: %v", err)
	}
	if _, err := w.RegenerateToken(t.Context(), w.peer, before, "bot"); !errors.Is(err, accounts.ErrNoToken) {
		t.Errorf("came back after a reset: %v", err)
	}
	if list := w.Tokens(w.user(ada.ID)); len(list) != 0 {
		t.Errorf("tokens %+v", list)
	}
	if _, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "bot", false); err != nil {
		t.Fatal(err)
	}
	before = w.user(ada.ID)
	w.patch(ada.ID, user.Change{Active: ptr(false)})
	if _, err := w.RegenerateToken(t.Context(), w.peer, before, "bot"); !errors.Is(err, accounts.ErrNoToken) {
		t.Errorf("replaced for a deactivated account: %v", err)
	}
}

func TestTokensAreBounded(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	for i := range 100 {
		if _, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), fmt.Sprint("t", i), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "more", false); !errors.Is(err, accounts.ErrTooManyTokens) {
		t.Error(err)
	}
}

func TestSweepClosesWhatEnded(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	old := w.login(ada)
	w.wait(60 * 24 * time.Hour)
	young := w.login(ada)
	w.wait(31 * 24 * time.Hour)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, old.Hash) || !w.alive(ada.ID, young.Hash) {
		t.Error("the wrong session ended")
	}
	if u := w.user(ada.ID); u.LoginToken(old.Hash) != nil || u.LoginToken(young.Hash) == nil {
		t.Errorf("left: %+v", u.Services.Resume)
	}
}

func TestS009TokensAreAllDifferent(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "")
	seen := map[string]bool{}
	for range 60 {
		got := w.login(ada)
		if seen[got.Token] || len(got.Token) != 43 || accounts.HashToken(got.Token) != got.Hash {
			t.Fatalf("token %q", got.Token)
		}
		seen[got.Token] = true
	}
}

func TestNoStoredTokenIsClear(t *testing.T) { // S085
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	verify := w.linkToken(accounts.TemplateVerify)
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	reset := w.linkToken(accounts.TemplateReset)
	pat, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", false)
	if err != nil {
		t.Fatal(err)
	}
	got := w.login(ada)
	dump := fmt.Sprintf("%+v %+v %+v %+v %+v", *w.user(ada.ID), w.user(ada.ID).Services.Resume, w.user(ada.ID).Services.Password.Reset,
		w.user(ada.ID).Services.Email, w.ground.News.All())
	for _, secret := range []string{verify, reset, pat, got.Token, "secret"} {
		if strings.Contains(strings.ReplaceAll(dump, "secret:", ""), secret) {
			t.Errorf("%q lies in the database or in the news", secret)
		}
	}
	// The stored text of a link is no link (and neither is that of an adopted
	// database's once it looks hashed).
	stored := w.user(ada.ID).Services.Password.Reset.Token
	for _, token := range []string{stored, strings.TrimPrefix(stored, "sha256:")} {
		if _, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "another")); !errors.Is(err, accounts.ErrTokenExpired) {
			t.Error(err)
		}
	}
}

// together runs f on n goroutines that start at once.
func together(n int, f func() error) []error {
	var wg sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func count(errs []error, want error) int {
	n := 0
	for _, err := range errs {
		if err == want || want != nil && errors.Is(err, want) {
			n++
		}
	}
	return n
}

func TestDeactivationEndsEverything(t *testing.T) { // S044
	w := newWorld(t)
	ada, root := w.add("ada", ""), w.admin("root")
	session := w.login(ada)
	pat, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetActive(t.Context(), w.peer, root, ada.ID, false); err != nil {
		t.Fatal(err)
	}
	if w.alive(ada.ID, session.Hash) || w.alive(ada.ID, accounts.HashToken(pat)) {
		t.Error("connections would stay open")
	}
	for _, token := range []string{session.Token, pat} {
		if _, _, err := w.Resume(t.Context(), w.peer, token); !errors.Is(err, accounts.ErrLoggedOut) {
			t.Error(err)
		}
		if _, _, err := w.Header(t.Context(), w.peer, ada.ID, token); err == nil {
			t.Error("header accepted")
		}
	}
	// A token written by somebody else meanwhile does not help.
	w.patch(ada.ID, user.Change{AddToken: &user.LoginToken{HashedToken: accounts.HashToken("smuggled"), When: w.now()}})
	if _, _, err := w.Resume(t.Context(), w.peer, "smuggled"); !errors.Is(err, accounts.ErrLoggedOut) {
		t.Error(err)
	}
	if _, err := w.Caller(t.Context(), rpc.Login{UserID: ada.ID, Token: accounts.HashToken("smuggled")}); err == nil {
		t.Error("caller accepted")
	}
	if err := w.try("ada", "secret"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error(err)
	}
	if err := w.SetActive(t.Context(), w.peer, root, ada.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := w.try("ada", "secret"); err != nil {
		t.Error("after activation:", err)
	}
	if slices.ContainsFunc(w.mailed(), func(m accounts.Message) bool { return m.Template == accounts.TemplateReset }) {
		t.Error("unexpected mail")
	}
}
