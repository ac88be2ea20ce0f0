package accounts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

func TestForgottenPassword(t *testing.T) { // F2 A15
	w := newWorld(t)
	ada := w.add("Ada", "Ada@x.com")
	session := w.login(ada)
	pat, err := w.GenerateToken(t.Context(), w.peer, ada, "bot", false)
	if err != nil {
		t.Fatal(err)
	}
	w.mailed()
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@X.com"); err != nil {
		t.Fatal(err)
	}
	mails := w.mailed()
	if len(mails) != 1 || mails[0].To[0] != "Ada@x.com" || !mails[0].Expire.Equal(w.now().Add(accounts.ResetLife)) {
		t.Fatalf("%+v", mails)
	}
	_, token, _ := strings.Cut(mails[0].Data["url"], "/#/reset-password/")
	if _, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "short")); !errors.Is(err, accounts.ErrPolicy) {
		t.Error(err)
	}
	got, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "another"))
	if err != nil || got.Before.Emails[0].Verified || !got.After.Emails[0].Verified {
		t.Fatal(err)
	}
	if n := len(w.user(ada.ID).Services.Resume.LoginTokens); n != 0 || w.alive(ada.ID, session.Hash) || w.alive(ada.ID, accounts.HashToken(pat)) {
		t.Error(n, "tokens survived")
	}
	if err := w.try("ada", "secret"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error("the old password:", err)
	}
	if err := w.try("ada", "another"); err != nil {
		t.Error("the new password:", err)
	}
	if mails := w.mailed(); len(mails) != 1 || mails[0].Template != accounts.TemplateNotice {
		t.Errorf("notice: %+v", mails)
	}
	if _, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "third-one")); !errors.Is(err, accounts.ErrTokenExpired) {
		t.Error("used twice:", err)
	}
}

func TestS080LinksTellNothing(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "ada@x.com")
	off := w.add("off", "off@x.com")
	w.patch(off.ID, user.Change{Active: ptr(false)})
	w.mailed()
	for _, email := range []string{"ada@x.com", "nobody@x.com", "off@x.com", "", "\x00", strings.Repeat("a", 1<<20)} {
		if err := w.ForgotPassword(t.Context(), w.peer, email); err != nil {
			t.Errorf("%.20q: %v", email, err)
		}
		if err := w.SendConfirmation(t.Context(), w.peer, nil, email); err != nil {
			t.Errorf("%.20q: %v", email, err)
		}
	}
	if mails := w.mailed(); len(mails) != 2 || mails[0].To[0] != "ada@x.com" || mails[1].To[0] != "ada@x.com" {
		t.Errorf("%+v", mails)
	}
	w.with(settings.AmbiguousErrors, false)
	if f, _ := fault.From(w.ForgotPassword(t.Context(), w.peer, "nobody@x.com")); f.Message() != "User not found [403]" {
		t.Error(f)
	}
	w.with(settings.PasswordReset, false)
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); !errors.Is(err, accounts.ErrResetDisabled) {
		t.Error(err)
	}
}

func TestMailboxesAreNotFlooded(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "ada@x.com")
	w.mailed()
	for i := range 20 { // many askers, one mailbox
		if err := w.ForgotPassword(t.Context(), w.from(fmt.Sprint("198.51.100.", i)), "ada@x.com"); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	if n := len(w.mailed()); n != 5 {
		t.Errorf("%d mails to one account in an hour", n)
	}
	var err error
	for i := range 21 { // one asker, many mailboxes
		err = w.ForgotPassword(t.Context(), w.peer, fmt.Sprintf("u%d@x.com", i))
		w.settle()
	}
	f, _ := fault.From(err)
	if details, _ := f.Details.(map[string]any); f.Code != "too-many-requests" || details["timeToReset"] == nil {
		t.Error(err)
	}
	w.wait(time.Hour)
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil || len(w.mailed()) != 1 {
		t.Error("after the hour:", err)
	}
}

func TestResetRefusals(t *testing.T) { // F2 A16, A22
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	old := w.now()
	for name, c := range map[string]struct {
		reset, enroll *user.ResetToken
		wait          time.Duration
		token         string
		want          error
	}{
		"unknown": {token: "bogus", want: accounts.ErrTokenExpired},
		"empty":   {want: accounts.ErrTokenExpired},
		"huge":    {token: strings.Repeat("x", 1<<20), want: accounts.ErrTokenExpired},
		"young":   {reset: &user.ResetToken{Token: "legacy1", Email: "ada@x.com", When: old}, wait: accounts.ResetLife - time.Second, token: "legacy1"},
		"3 days": {reset: &user.ResetToken{Token: "legacy2", Email: "ada@x.com", When: old}, wait: accounts.ResetLife, token: "legacy2",
			want: accounts.ErrTokenExpired},
		"enrolment": {enroll: &user.ResetToken{Token: "legacy3", Email: "ADA@x.com", When: old}, wait: accounts.EnrollLife - time.Second, token: "legacy3"},
		"30 days": {enroll: &user.ResetToken{Token: "legacy4", Email: "ada@x.com", When: old}, wait: accounts.EnrollLife, token: "legacy4",
			want: accounts.ErrTokenExpired},
		"other address": {reset: &user.ResetToken{Token: "legacy5", Email: "gone@x.com", When: old}, token: "legacy5", want: accounts.ErrTokenAddress},
		"stored hash itself": {reset: &user.ResetToken{Token: "sha256:" + accounts.HashToken("x"), Email: "ada@x.com", When: old}, token: "sha256:" +
			accounts.HashToken("x"), want: accounts.ErrTokenExpired},
	} {
		w.mu.Lock()
		w.clock = old.Add(c.wait)
		w.mu.Unlock()
		w.patch(ada.ID, user.Change{Bcrypt: ptr("")})
		w.patch(ada.ID, user.Change{Reset: c.reset, Enroll: c.enroll})
		if _, err := w.ResetPassword(t.Context(), w.peer, c.token, plain(t, "another")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestResetOfADeactivatedAccount(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	token := w.linkToken(accounts.TemplateReset)
	w.patch(ada.ID, user.Change{Active: ptr(false)})
	if _, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "another")); !errors.Is(err, accounts.ErrTokenExpired) {
		t.Error(err)
	}
}

func TestResetRace(t *testing.T) {
	w := newWorld(t)
	w.add("ada", "ada@x.com")
	for range 5 {
		if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
			t.Fatal(err)
		}
		token := w.linkToken(accounts.TemplateReset)
		errs := together(16, func() error {
			_, err := w.ResetPassword(t.Context(), w.peer, token, plain(t, "another"))
			return err
		})
		if won := count(errs, nil); won != 1 || count(errs, accounts.ErrTokenExpired) != 15 {
			t.Errorf("%d won: %v", won, errs)
		}
	}
}

func TestVerifyEmail(t *testing.T) {
	w := newWorld(t)
	ada := w.add("Ada", "Ada@x.com")
	first := w.linkToken(accounts.TemplateVerify)
	if err := w.SendConfirmation(t.Context(), w.peer, nil, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	token := w.linkToken(accounts.TemplateVerify)
	for _, bad := range []string{"bogus", "", strings.Repeat("x", 1<<20)} {
		if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, bad); !errors.Is(err, accounts.ErrVerifyExpired) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	// Whichever of the links is used first proves the address, and ends the others.
	got, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, first)
	if err != nil || got.Before.Emails[0].Verified || !got.After.Emails[0].Verified || len(got.After.Services.Email.VerificationTokens) > 0 {
		t.Fatal(err, got.After)
	}
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, token); !errors.Is(err, accounts.ErrVerifyExpired) {
		t.Error("used twice:", err)
	}
	if err := w.SendConfirmation(t.Context(), w.peer, nil, "ada@x.com"); err != nil || len(w.mailed()) != 0 {
		t.Error("a mail for a verified address", err)
	}
	// The clear, dateless token of an adopted database works; a link for an
	// address that is gone, or of a month ago, does not.
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "Ada@x.com"}}, AddVerification: &user.VerificationToken{Token: "legacy", Address: "Ada@x.com"}})
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, "legacy"); err != nil {
		t.Error(err)
	}
	w.patch(ada.ID, user.Change{AddVerification: &user.VerificationToken{Token: "foreign", Address: "b@x.com"}})
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, "foreign"); !errors.Is(err, accounts.ErrVerifyAddress) {
		t.Error(err)
	}
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "Ada@x.com"}}})
	w.wait(2 * time.Hour)
	if err := w.SendConfirmation(t.Context(), w.peer, nil, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	late := w.linkToken(accounts.TemplateVerify)
	w.wait(accounts.VerificationLife)
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, late); !errors.Is(err, accounts.ErrVerifyExpired) {
		t.Error(err)
	}
}

func TestEveryChangeIsPublishedOnce(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	for name, act := range map[string]func() error{
		"login": func() error { w.login(ada); return nil },
		"name": func() error {
			_, err := w.SaveProfile(t.Context(), w.peer, w.login(ada).Login(), w.user(ada.ID), accounts.Profile{Name: ptr("Ada")})
			return err
		},
		"token": func() error {
			_, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "x", false)
			return err
		},
	} {
		w.ground.News.Take()
		if err := act(); err != nil {
			t.Fatal(name, err)
		}
		seen, events := 0, w.ground.News.Take()
		for _, e := range events {
			if _, err := user.Changed.Payload(e); err == nil && e.Key == ada.ID {
				seen++
			}
		}
		want := 1
		if name == "name" {
			want = 2 // it logs in first
		}
		if seen != want || len(events) != want {
			t.Errorf("%s: %+v", name, events)
		}
	}
}

// Which mails share the room of strangers in the outbox is told by whoever makes
// them: registrations and links that anybody may ask for do, what a person who is
// logged in does, does not (A20).
func TestA20MailsOfStrangersAreMarked(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root1")
	w.mailed()
	inside := func(what string, want bool) {
		t.Helper()
		mails := slices.DeleteFunc(w.mailed(), func(m accounts.Message) bool { return m.Template == accounts.TemplateNotice })
		if len(mails) != 1 || mails[0].Inside != want {
			t.Errorf("%s: %+v, want Inside %t", what, mails, want)
		}
	}
	ada, err := w.Register(t.Context(), w.peer, accounts.Registration{Username: "ada", Email: "ada@x.com", Password: plain(t, "correct horse")})
	if err != nil {
		t.Fatal(err)
	}
	inside("registration", false)
	if err := w.SendConfirmation(t.Context(), w.peer, nil, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	inside("confirmation", false)
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	inside("forgotten password", false)
	if _, err := w.SaveProfile(t.Context(), w.peer, rpc.Login{UserID: ada.ID}, ada, accounts.Profile{Email: ptr("new@x.com")}); err != nil {
		t.Fatal(err)
	}
	inside("another address", true)
	if _, err := w.CreateUser(t.Context(), w.peer, root, accounts.NewUser{Username: "bob", Email: "bob@x.com", Name: "Bob",
		Password: plain(t, "correct horse")}); err != nil {
		t.Fatal(err)
	}
	inside("an administrator's account", true)
}

// A4: the write that sets a password with a mailed link remembers when, so that a
// code from the same mailbox does not count in place of an app for a while; a
// password that is set otherwise forgets it.
func TestA4ResetByMailIsRemembered(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	got, err := w.ResetPassword(t.Context(), w.peer, w.linkToken(accounts.TemplateReset), plain(t, "another"))
	if err != nil || !got.After.Services.Password.ResetAt.Equal(w.now().Truncate(time.Millisecond)) {
		t.Fatalf("%v, %+v", err, got.After.Services.Password)
	}
	if u := w.patch(ada.ID, user.Change{Bcrypt: ptr("x")}); !u.Services.Password.ResetAt.IsZero() {
		t.Errorf("another password: %+v", u.Services.Password)
	}
}

// The refusal of a link says when there is room again, not how long the window is.
func TestTheLinkBudgetSaysWhen(t *testing.T) {
	w := newWorld(t)
	w.with(settings.AmbiguousErrors, false)
	w.add("ada", "ada@x.com")
	for range 5 {
		if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
			t.Fatal(err)
		}
	}
	w.wait(43 * time.Minute)
	err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com")
	f, _ := fault.From(err)
	if details, _ := f.Details.(map[string]any); f.Code != "too-many-requests" || details["timeToReset"] != (17*time.Minute).Milliseconds() {
		t.Errorf("%v %+v", err, f.Details)
	}
}
