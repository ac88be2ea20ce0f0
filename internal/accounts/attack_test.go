package accounts_test

import (
	"errors"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// between are the changes by which an owner ends what a thief began: what was
// proved before them proves nothing after them.
var between = map[string]func(w *world, u *user.User, mine, thief accounts.Issued){
	"another password": func(w *world, u *user.User, mine, _ accounts.Issued) {
		if err := w.ChangePassword(w.t.Context(), w.peer, mine.Login(), w.user(u.ID), plain(w.t, "another")); err != nil {
			w.t.Fatal(err)
		}
	},
	"the other sessions ended": func(w *world, _ *user.User, mine, _ accounts.Issued) {
		if err := w.RemoveOtherTokens(w.t.Context(), w.peer, mine.Login()); err != nil {
			w.t.Fatal(err)
		}
	},
	"an app switched on": func(w *world, u *user.User, _, _ accounts.Issued) { w.enrol(u.ID) },
	"codes by mail switched off": func(w *world, u *user.User, _, _ accounts.Issued) {
		w.patch(u.ID, user.Change{Factor: user.SetEmail2FA(user.Email2FA{ChangedAt: w.now()})})
	},
}

// proved is an account with a proved address, its owner's session and a thief's.
func (w *world) proved() (ada *user.User, mine, thief accounts.Issued) {
	w.t.Helper()
	ada = w.add("ada", "ada@x.com")
	w.patch(ada.ID, user.Change{Emails: &[]user.Email{{Address: "ada@x.com", Verified: true}}})
	mine, thief = w.login(ada), w.login(ada)
	w.mailed()
	return w.user(ada.ID), mine, thief
}

// A6: what changes how an account is reached and entered is done for the account
// that was asked for its factor: a call that was proved before the owner changed the
// password, the factors or the sessions, and is written after, is refused.
func TestA06AProofIsForTheAccountAsItWas(t *testing.T) {
	for act, do := range map[string]func(w *world, l rpc.Login, asked *user.User) error{
		"address": func(w *world, l rpc.Login, asked *user.User) error {
			_, err := w.SaveProfile(w.t.Context(), w.peer, l, asked, accounts.Profile{Email: ptr("thief@x.com")})
			return err
		},
		"password in the profile": func(w *world, l rpc.Login, asked *user.User) error {
			_, err := w.SaveProfile(w.t.Context(), w.peer, l, asked, accounts.Profile{Password: plain(w.t, "the thief's")})
			return err
		},
		"password": func(w *world, l rpc.Login, asked *user.User) error {
			return w.ChangePassword(w.t.Context(), w.peer, l, asked, plain(w.t, "the thief's"))
		},
		"token": func(w *world, _ rpc.Login, asked *user.User) error {
			_, err := w.GenerateToken(w.t.Context(), w.peer, asked, "thief", true)
			return err
		},
	} {
		for name, change := range between {
			if act == "token" && name == "the other sessions ended" {
				continue // personal access tokens outlive sessions; the owner is told of a new one
			}
			t.Run(act+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				ada, mine, thief := w.proved() // the thief was asked, and gave the password
				change(w, ada, mine, thief)
				before := w.user(ada.ID)
				err := do(w, thief.Login(), ada)
				if after := w.user(ada.ID); err == nil || after.PasswordHash() != before.PasswordHash() || after.PendingEmail() != "" || len(w.Tokens(after)) > 0 {
					t.Errorf("%v; %q waits, %d tokens", err, after.PendingEmail(), len(w.Tokens(after)))
				}
			})
		}
	}
}

// A5, A6: an address that waits for its proof was asked for under the factors of
// that time. An owner who answers the notice by switching a factor on is not
// robbed by the link that is in the thief's mailbox.
func TestA06AWaitingAddressDiesWithItsProof(t *testing.T) {
	for name, change := range between {
		if name == "the other sessions ended" {
			continue // says nothing about the password that was proved; the notice says what does
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ada, mine, thief := w.proved()
			if _, err := w.SaveProfile(t.Context(), w.peer, thief.Login(), ada, accounts.Profile{Email: ptr("thief@x.com")}); err != nil {
				t.Fatal(err)
			}
			link := w.linkToken(accounts.TemplateVerify)
			change(w, ada, mine, thief)
			if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, link); !errors.Is(err, accounts.ErrVerifyExpired) &&
				!errors.Is(err, accounts.ErrVerifyAddress) {
				t.Error(err)
			}
			if u := w.user(ada.ID); len(u.Emails) != 1 || u.Emails[0].Address != "ada@x.com" {
				t.Error(u.Emails)
			}
			// Asked for again it is a new one.
			if _, err := w.SaveProfile(t.Context(), w.peer, w.login(ada).Login(), w.user(ada.ID), accounts.Profile{Email: ptr("mine@x.com")}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.VerifyEmail(t.Context(), w.peer, rpc.Login{}, w.linkToken(accounts.TemplateVerify)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A6, pre-hijacking: whoever registered somebody's address may have switched an
// app of his own on. The link in the owner's mailbox does not make that account
// one with a proved address while he can still enter it; in a session of the
// account it does, and a reset takes the password from him.
func TestA06NoFirstProofForAnAccountWithAForeignApp(t *testing.T) {
	for _, own := range []bool{false, true} {
		w := newWorld(t)
		ada := w.add("ada", "ada@x.com")
		link := w.linkToken(accounts.TemplateVerify)
		w.enrol(ada.ID)
		session, l := w.login(ada), rpc.Login{}
		if own {
			l = session.Login()
		}
		_, err := w.VerifyEmail(t.Context(), w.peer, l, link)
		if u := w.user(ada.ID); (len(u.VerifiedEmails()) > 0) != own || own != (err == nil) || !own && !errors.Is(err, accounts.ErrProveInSession) {
			t.Errorf("own %v: %v, proved %v", own, err, u.VerifiedEmails())
		}
		if own {
			continue
		}
		// The link is not spent, and the mailbox's owner takes the account by a reset.
		if _, err := w.VerifyEmail(t.Context(), w.peer, session.Login(), link); err != nil {
			t.Error(err)
		}
	}
}

// A6, pre-hijacking by a passkey, which is a way in by itself: it does not outlive the first
// proof of an address, by a link of either kind, unless the proof is given in a session of
// the account. One that was made after an address was proved stays.
func TestA06NoPasskeyOutlivesTheFirstProof(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, reset := range []bool{false, true} {
			for _, proved := range []bool{false, true} {
				if reset && own {
					continue // a reset asks for no session
				}
				w := newWorld(t)
				ada := w.add("ada", "ada@x.com")
				link := w.linkToken(accounts.TemplateVerify)
				session, l := w.login(ada), rpc.Login{}
				if proved {
					if _, err := w.VerifyEmail(t.Context(), w.peer, session.Login(), link); err != nil {
						t.Fatal(err)
					}
				}
				w.addKey(ada.ID, "a2V5")
				if own {
					l = session.Login()
				}
				var err error
				switch {
				case reset:
					if err = w.ForgotPassword(t.Context(), w.peer, "ada@x.com"); err == nil {
						_, err = w.ResetPassword(t.Context(), w.peer, w.linkToken(accounts.TemplateReset), plain(t, "another long password"))
					}
				case proved:
					continue // there is nothing left to prove by a link
				default:
					_, err = w.VerifyEmail(t.Context(), w.peer, l, link)
				}
				if u := w.user(ada.ID); err != nil || len(u.VerifiedEmails()) != 1 || (len(u.Passkeys()) == 1) != (own || proved) {
					t.Errorf("own %v, reset %v, proved %v: %v, %d passkeys", own, reset, proved, err, len(u.Passkeys()))
				}
			}
		}
	}
}

// A4: that a password was set with a mailed link is remembered when a login only
// stores its hash anew, at another cost: nothing but the mailbox was proved by it.
func TestA4AnotherCostForgetsNoReset(t *testing.T) {
	w := newWorld(t)
	ada := w.add("ada", "ada@x.com")
	at, old := w.now(), hashOf(t, "secret", 5, 'a')
	w.patch(ada.ID, user.Change{Bcrypt: &old, ResetAt: &at})
	if err := w.try("ada", "secret"); err != nil {
		t.Fatal(err)
	}
	u := w.user(ada.ID)
	if u.PasswordHash() == old {
		t.Fatal("the hash is the old one")
	}
	if !u.Services.Password.ResetAt.Equal(at) {
		t.Errorf("the reset of %v became %v", at, u.Services.Password.ResetAt)
	}
}
