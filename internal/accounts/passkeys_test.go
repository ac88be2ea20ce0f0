package accounts_test

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// newPasswords are the ways in which an account gets another password, or its first proof.
var newPasswords = map[string]func(w *world, u *user.User, l rpc.Login, verify string) error{
	"a reset link": func(w *world, u *user.User, _ rpc.Login, _ string) error {
		if err := w.ForgotPassword(w.t.Context(), w.peer, u.Emails[0].Address); err != nil {
			return err
		}
		_, err := w.ResetPassword(w.t.Context(), w.peer, w.linkToken(accounts.TemplateReset), plain(w.t, "another long password"))
		return err
	},
	"an administrator": func(w *world, u *user.User, _ rpc.Login, _ string) error {
		root := w.add("chief", "chief@x.com")
		root = w.patch(root.ID, user.Change{Roles: &[]string{"admin"}})
		w.mailed()
		_, err := w.UpdateUser(w.t.Context(), w.peer, root, u.ID, accounts.UserChange{Password: plain(w.t, "another long password")})
		return err
	},
	"the owner": func(w *world, u *user.User, l rpc.Login, _ string) error {
		return w.ChangePassword(w.t.Context(), w.peer, l, u, plain(w.t, "another long password"))
	},
	"the first proof alone": func(w *world, _ *user.User, _ rpc.Login, verify string) error {
		_, err := w.VerifyEmail(w.t.Context(), w.peer, rpc.Login{}, verify)
		return err
	},
}

// addKey adds a passkey behind the Service's back.
func (w *world) addKey(account, id string) {
	w.t.Helper()
	at := w.now()
	key := user.Passkey{ID: id, PublicKey: storetest.PublicKey, CreatedAt: at}
	w.patch(account, user.Change{Factor: user.AddPasskey(key, "aGFuZGxl", at)})
}

// A22: every way to another password × whether the address was proved: where the owner did
// not make it in a session of the account, passkeys of before prove nothing alone, or are
// gone; the owner and the audit are told which.
func TestA22PasskeysOfBeforeAnotherPassword(t *testing.T) {
	for name, way := range newPasswords {
		for _, proved := range []bool{false, true} {
			if proved && name == "the first proof alone" {
				continue
			}
			w := newWorld(t)
			ada := w.add("ada", "ada@x.com")
			link := w.linkToken(accounts.TemplateVerify)
			session := w.login(ada)
			if proved {
				if _, err := w.VerifyEmail(t.Context(), w.peer, session.Login(), link); err != nil {
					t.Fatal(err)
				}
			}
			w.addKey(ada.ID, "a2V5")
			want, act := "kept", ""
			switch {
			case name == "the first proof alone", name == "a reset link" && !proved:
				want, act = "dropped", "passkeys_removed"
			case name != "the owner":
				want, act = "suspended", "passkeys_suspended"
			}
			if err := way(w, w.user(ada.ID), session.Login(), link); err != nil {
				t.Fatalf("%s, proved %v: %v", name, proved, err)
			}
			u, got := w.user(ada.ID), "kept"
			switch {
			case len(u.Passkeys()) == 0:
				got = "dropped"
			case u.PasskeysSuspended():
				got = "suspended"
			}
			if got != want {
				t.Errorf("%s, proved %v: %s, want %s", name, proved, got, want)
			}
			// Administrators see at the account how many of its keys wait for the password.
			if n, shown := accounts.Listed(u).Get("passkeysSuspended"); shown != (want == "suspended") || shown && n != 1 {
				t.Errorf("%s, proved %v: %v in the list, want it of what is %s", name, proved, n, want)
			}
			told := ""
			for _, m := range w.mailed() {
				told += m.Data["text"]
			}
			if strings.Contains(told, "passkey") != (act != "") {
				t.Errorf("%s, proved %v: told %q", name, proved, told)
			}
			if n := w.ground.Trail.Count(act, "ok"); act != "" && n != 1 {
				t.Errorf("%s, proved %v: %d of %s in the audit", name, proved, n, act)
			}
		}
	}
}

// A22: an administrator who calls a proved address unproved opens no way to the passkeys
// for whoever reads that mailbox: keys of when it was proved stay what they are, through
// every way to another password and the proof that follows; keys of later go with it.
func TestA22NoPasskeyGoesWithAProofThatWasTakenBack(t *testing.T) {
	for name, way := range newPasswords {
		w := newWorld(t)
		ada := w.add("ada", "ada@x.com")
		link := w.linkToken(accounts.TemplateVerify)
		session := w.login(ada)
		if _, err := w.VerifyEmail(t.Context(), w.peer, session.Login(), link); err != nil {
			t.Fatal(err)
		}
		w.addKey(ada.ID, "a2V5")
		boss := w.patch(w.add("boss", "boss@x.com").ID, user.Change{Roles: &[]string{"admin"}})
		no := false
		if _, err := w.UpdateUser(t.Context(), w.peer, boss, ada.ID, accounts.UserChange{Verified: &no}); err != nil || len(w.user(ada.ID).VerifiedEmails()) > 0 {
			t.Fatal(err)
		}
		w.addKey(ada.ID, "bGF0ZQ")
		w.mailed()
		if err := w.SendConfirmation(t.Context(), w.peer, w.user(ada.ID), "ada@x.com"); err != nil {
			t.Fatal(err)
		}
		link = w.linkToken(accounts.TemplateVerify)
		if err := way(w, w.user(ada.ID), session.Login(), link); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		u := w.user(ada.ID)
		of, after := u.Passkey("a2V5"), u.Passkey("bGF0ZQ")
		owner, byLink := name == "the owner", name == "a reset link" || name == "the first proof alone"
		switch {
		case of == nil:
			t.Errorf("%s: the key of when the address was proved is gone", name)
		case of.NeedsPassword != (name == "a reset link" || name == "an administrator"):
			t.Errorf("%s: %+v", name, of)
		case (after == nil) != byLink, after != nil && after.NeedsPassword == owner:
			t.Errorf("%s: the key of later: %+v", name, after)
		}
		told := ""
		for _, m := range w.mailed() {
			told += m.Data["text"]
		}
		if n := w.ground.Trail.Count("passkeys_removed", "ok"); (n == 1) != byLink || strings.Contains(told, "were removed") != byLink {
			t.Errorf("%s: %d of keys removed in the audit, told %q", name, n, told)
		}
		suspends := name == "a reset link" || name == "an administrator"
		if n := w.ground.Trail.Count("passkeys_suspended", "ok"); (n == 1) != suspends || strings.Contains(told, "do not log in by themselves") != suspends {
			t.Errorf("%s: %d of keys suspended in the audit, told %q", name, n, told)
		}
	}
}

// keyMeanwhile adds a passkey between the read and the write of a change of the password.
type keyMeanwhile struct {
	store.Store
	once func()
}

func (m *keyMeanwhile) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	if once := m.once; once != nil && c.Bcrypt != nil {
		m.once = nil
		once()
	}
	return m.Store.UpdateUser(ctx, id, c)
}

// A22: a passkey that is added at the moment at which somebody else sets the password is one
// of before, whether the account had any or not.
func TestA22PasskeysAddedMeanwhile(t *testing.T) {
	for name, way := range newPasswords {
		if name == "the owner" || name == "the first proof alone" { // which leave keys, or set no password
			continue
		}
		for _, had := range []int{0, 1} {
			for _, proved := range []bool{false, true} {
				m := &keyMeanwhile{Store: storetest.OpenSQLite(t)}
				w := newWorldOn(t, bcrypt.MinCost, m)
				ada := w.add("ada", "ada@x.com")
				link := w.linkToken(accounts.TemplateVerify)
				session := w.login(ada)
				if proved {
					if _, err := w.VerifyEmail(t.Context(), w.peer, session.Login(), link); err != nil {
						t.Fatal(err)
					}
				}
				if had > 0 {
					w.addKey(ada.ID, "a2V5")
				}
				m.once = func() { w.addKey(ada.ID, "bGF0ZQ") }
				if err := way(w, w.user(ada.ID), session.Login(), link); err != nil {
					t.Fatalf("%s, %d keys, proved %v: %v", name, had, proved, err)
				}
				if u := w.user(ada.ID); m.once != nil || len(u.Passkeys()) > 0 && !u.PasskeysSuspended() {
					t.Errorf("%s, %d keys, proved %v: %+v", name, had, proved, u.Passkeys())
				}
			}
		}
	}
}
