package accounts_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// A6, pre-hijacking: whoever registered an address before its owner came has
// nothing left after the owner's proof, but the session in which it was made.
func TestA06FirstProofEndsWhatWasThereBefore(t *testing.T) {
	for _, own := range []bool{false, true} {
		w := newWorld(t)
		ada := w.add("ada", "ada@x.com")
		link := w.linkToken(accounts.TemplateVerify)
		mine, other := w.login(ada), w.login(ada)
		if _, err := w.GenerateToken(t.Context(), w.peer, w.user(ada.ID), "bot", true); err != nil {
			t.Fatal(err)
		}
		w.patch(ada.ID, user.Change{Factor: user.SetEmail2FA(user.Email2FA{})}) // switched off by who registered
		l := rpc.Login{}
		if own {
			l = mine.Login()
		}
		if _, err := w.VerifyEmail(t.Context(), w.peer, l, link); err != nil {
			t.Fatal(err)
		}
		u := w.user(ada.ID)
		if u.LoginToken(other.Hash) != nil || len(w.Tokens(u)) != 0 || w.alive(ada.ID, other.Hash) {
			t.Error("tokens of before the proof live on")
		}
		if kept := u.LoginToken(mine.Hash) != nil; kept != own || w.alive(ada.ID, mine.Hash) != own {
			t.Errorf("own %v: the session of the proof lives: %v", own, kept)
		}
		if u.Email2FAEnabled() == own {
			t.Errorf("own %v: codes by mail are on: %v", own, u.Email2FAEnabled())
		}
	}
}

// The second proof of an account, and one in somebody else's session, end
// nothing and keep nothing.
func TestA06LaterProofsEndNoSession(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.add("ada", "ada@x.com"), w.add("bob", "bob@x.com")
	foreign := w.login(bob)
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	session := w.login(ada)
	w.mailed()
	if _, err := w.save(session.Login(), accounts.Profile{Email: ptr("new@x.com")}); err != nil {
		t.Fatal(err)
	}
	link := w.linkToken(accounts.TemplateVerify)
	got, err := w.VerifyEmail(t.Context(), w.peer, foreign.Login(), link)
	if err != nil || !got.Replaced || fmt.Sprint(got.After.Emails) != "[{new@x.com true}]" {
		t.Fatal(err, got.After)
	}
	if w.user(ada.ID).LoginToken(session.Hash) == nil {
		t.Error("a change of address ended the owner's session")
	}
	mails := w.mailed()
	if len(mails) != 1 || mails[0].Template != accounts.TemplateNotice || !slices.Contains(mails[0].To, "ada@x.com") ||
		!slices.Contains(mails[0].To, "new@x.com") {
		t.Errorf("%+v", mails)
	}
}

// A8: whoever asks for links to a mailbox voids none of those that are there;
// only the account's own session pushes the oldest out.
func TestA08StrangersVoidNoLink(t *testing.T) {
	for name, kind := range map[string]struct {
		ask      func(w *world, p *rpc.Peer) error
		template string
		works    func(w *world, token string) error
	}{
		"verification": {func(w *world, p *rpc.Peer) error { return w.SendConfirmation(w.t.Context(), p, nil, "ada@x.com") }, accounts.TemplateVerify,
			func(w *world, token string) error {
				_, err := w.VerifyEmail(w.t.Context(), w.peer, rpc.Login{}, token)
				return err
			}},
		"reset": {func(w *world, p *rpc.Peer) error { return w.ForgotPassword(w.t.Context(), p, "ada@x.com") }, accounts.TemplateReset,
			func(w *world, token string) error {
				_, err := w.ResetPassword(w.t.Context(), w.peer, token, plain(w.t, "another"))
				return err
			}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("ada", "ada@x.com")
			w.mailed()
			if err := kind.ask(w, w.peer); err != nil {
				t.Fatal(err)
			}
			first := w.linkToken(kind.template)
			mails := 0
			for i := range 23 * 6 { // a day of asking, from everywhere
				if err := kind.ask(w, w.from(fmt.Sprint("198.51.100.", i))); err != nil {
					t.Fatal(err)
				}
				mails += len(w.mailed())
				w.wait(10 * time.Minute)
			}
			if mails == 0 || mails > 8 {
				t.Errorf("%d mails", mails)
			}
			if err := kind.works(w, first); err != nil {
				t.Error("the owner's link:", err)
			}
		})
	}
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	for i := range 12 { // the owner, in a session
		if err := w.SendConfirmation(t.Context(), w.from(fmt.Sprint("198.51.100.", i)), w.user(ada.ID), "ada@x.com"); err != nil || len(w.mailed()) == 0 {
			t.Error("no link for the account's own session:", err)
		}
		w.wait(15 * time.Minute)
	}
	if n := len(w.user(ada.ID).Services.Email.VerificationTokens); n != 8 {
		t.Errorf("%d links are alive", n)
	}
}

// Asking for an address does not tell whether another account has it; its owner
// hears of it, and the proof goes to whoever has the mailbox first.
func TestA18NewAddressTellsNothing(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	w.add("bob", "bob@x.com")
	l := w.login(ada).Login()
	w.mailed()
	answers := map[string]*user.User{}
	for _, to := range []string{"bob@x.com", "nobody@x.com"} {
		u, err := w.save(l, accounts.Profile{Email: &to})
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		if u.PendingEmail() != to {
			t.Error(u.ShownEmails())
		}
		u.Services, u.UpdatedAt = user.Services{}, time.Time{}
		answers[to] = u
		mails := w.mailed()
		last := mails[len(mails)-1]
		if link := last.Template == accounts.TemplateVerify; len(mails) != 2 || link != (to == "nobody@x.com") || !slices.Equal(last.To, []string{to}) ||
			last.Data["name"] != "" && !link {
			t.Errorf("%+v", mails)
		}
	}
	if !reflect.DeepEqual(answers["bob@x.com"], answers["nobody@x.com"]) {
		t.Errorf("%+v", answers)
	}
	// Two accounts wait for one mailbox: the first proof has it.
	eve := w.add("eve", "eve@x.com")
	w.patch(eve.ID, user.Change{Emails: &[]user.Email{{Address: "eve@x.com", Verified: true}}})
	w.mailed()
	links := map[string]string{}
	for _, id := range []string{ada.ID, eve.ID} {
		if _, err := w.save(rpc.Login{UserID: id}, accounts.Profile{Email: ptr("both@x.com")}); err != nil {
			t.Fatal(err)
		}
		links[id] = w.linkToken(accounts.TemplateVerify)
	}
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, links[eve.ID]); err != nil {
		t.Error(err)
	}
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, links[ada.ID]); !errors.Is(err, accounts.ErrVerifyAddress) {
		t.Error("one mailbox, two accounts:", err)
	}
}

// An account names at most ten mailboxes an hour as its new one.
func TestNewAddressesHaveABudget(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	var err error
	for i := range 11 {
		_, err = w.save(rpc.Login{UserID: ada.ID}, accounts.Profile{Email: ptr(fmt.Sprintf("u%d@x.com", i))})
	}
	if f, _ := fault.From(err); f == nil || f.Code != "too-many-requests" {
		t.Error("mails to anybody's mailbox without end")
	}
	w.wait(time.Hour)
	if _, err = w.save(rpc.Login{UserID: ada.ID}, accounts.Profile{Email: ptr("later@x.com")}); err != nil {
		t.Error(err)
	}
}

// A reset by mail drops an address that waits: a thief may have asked for it.
func TestA06ResetDropsWhatWaits(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	w.mailed()
	if _, err := w.save(rpc.Login{UserID: ada.ID}, accounts.Profile{Email: ptr("thief@x.com")}); err != nil {
		t.Fatal(err)
	}
	link := w.linkToken(accounts.TemplateVerify)
	if err := w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ResetPassword(t.Context(), w.peer, w.linkToken(accounts.TemplateReset), plain(t, "another")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, link); !errors.Is(err, accounts.ErrVerifyExpired) || w.user(ada.ID).PendingEmail() != "" {
		t.Error(err, w.user(ada.ID).ShownEmails())
	}
}
