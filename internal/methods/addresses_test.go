package methods_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

const (
	addressNow = "now@example.com" // what the account has
	addressNew = "new@example.com" // what it is to have, or has beside the other
)

// origins are the ways in which an account comes to an address. Each makes the
// account "ada" and tells which of the two addresses may be used before another
// proof, and whether addressNew replaces the other once it is proved.
var origins = map[string]struct {
	make     func(w *world)
	inForce  []string
	replaces bool
}{
	"made, never proved": {make: func(w *world) { w.madeWith(false) }, inForce: []string{addressNow}},
	"made and proved":    {make: func(w *world) { w.madeWith(true) }, inForce: []string{addressNow}},
	"changed by the owner": {make: func(w *world) {
		w.madeWith(true)
		w.changeOwn(addressNew)
	}, inForce: []string{addressNow}, replaces: true},
	"changed twice by the owner": {make: func(w *world) {
		w.madeWith(true)
		w.changeOwn("other@example.com")
		w.changeOwn(addressNew)
	}, inForce: []string{addressNow}, replaces: true},
	"changed by an administrator": {make: func(w *world) {
		w.madeWith(true)
		w.changeFor(addressNew, nil)
	}, inForce: []string{addressNow}, replaces: true},
	"changed by an administrator, said to be unproved": {make: func(w *world) {
		w.madeWith(true)
		no := false
		w.changeFor(addressNew, &no)
	}, inForce: []string{addressNow}, replaces: true},
	"changed by an administrator who vouches": {make: func(w *world) {
		w.madeWith(true)
		yes := true
		w.changeFor(addressNew, &yes)
	}, inForce: []string{addressNew}},
	"changed, nothing was ever proved": {make: func(w *world) {
		w.madeWith(false)
		w.changeOwn(addressNew)
	}, inForce: []string{addressNew}},
	"adopted with two, one proved": {make: func(w *world) {
		w.madeWith(true)
		w.patchAda(user.Change{Emails: &[]user.Email{{Address: addressNow, Verified: true}, {Address: addressNew}}})
	}, inForce: []string{addressNow}},
}

func (w *world) madeWith(verified bool) {
	w.T.Helper()
	u, err := w.Accounts.CreateByOperator(w.T.Context(), accounts.OperatorAccount{
		Username: "ada", Email: addressNow, Verified: verified, Password: "password of ada",
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Vars["ada"] = u.ID
	w.withFactors(w.Vars["factors"]) // a change of factors would drop an address that waits
}

func (w *world) ada() *user.User {
	w.T.Helper()
	u, err := w.Store.UserByID(w.T.Context(), w.Vars["ada"])
	if err != nil {
		w.T.Fatal(err)
	}
	return u
}

func (w *world) patchAda(c user.Change) {
	w.T.Helper()
	c.At = time.Now()
	if _, err := w.Store.UpdateUser(w.T.Context(), w.Vars["ada"], c); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) changeOwn(address string) {
	w.T.Helper()
	u := w.ada()
	if _, err := w.Accounts.SaveProfile(w.T.Context(), &rpc.Peer{}, rpc.Login{UserID: u.ID}, u, accounts.Profile{Email: &address}); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) changeFor(address string, verified *bool) {
	w.T.Helper()
	root := &user.User{ID: "root", Roles: []string{"admin"}}
	if _, err := w.Accounts.UpdateUser(w.T.Context(), &rpc.Peer{}, root, w.Vars["ada"], accounts.UserChange{Email: &address, Verified: verified}); err != nil {
		w.T.Fatal(err)
	}
}

// states of the factors that an account may have.
var factorStates = map[string]user.Change{
	"none": {Factor: user.SetEmail2FA(user.Email2FA{})}, "mail": {Factor: user.SetEmail2FA(user.Email2FA{Enabled: true})},
	"app": {Factor: user.SetEmail2FA(user.Email2FA{})}, "both": {Factor: user.SetEmail2FA(user.Email2FA{Enabled: true})},
}

func (w *world) withFactors(state string) {
	w.T.Helper()
	w.patchAda(factorStates[state])
	if state == "app" || state == "both" {
		storetest.GiveTOTP(w.T, w.Store, w.Vars["ada"], factorSecret, time.Now())
	}
}

// lines lists the mails of accounts and of codes, as "template to".
func lines(m *testkit.Mailbox) []string {
	synctest.Wait()
	var out []string
	for _, mail := range m.Messages() {
		for _, to := range mail.To {
			out = append(out, mail.Template+" "+to)
		}
	}
	for _, c := range m.Codes() {
		for _, to := range c.To {
			out = append(out, "code "+to)
		}
	}
	return out
}

// newest is the token of the newest link of that kind to that address, or "".
func newest(m *testkit.Mailbox, template, to string) string {
	synctest.Wait()
	for _, mail := range slices.Backward(m.Messages()) {
		if mail.Template == template && slices.Contains(mail.To, to) {
			return mail.Data["url"][strings.LastIndexByte(mail.Data["url"], '/')+1:]
		}
	}
	return ""
}

// A6: for every way in which an account comes to an address × every door that
// uses addresses × every state of the factors: only an address that is in force
// opens anything or is written to, and the link that proves one logs nobody in
// past a factor that is switched on.
func TestA06AddressesWorkOnceProved(t *testing.T) {
	for origin, o := range origins {
		for state := range factorStates {
			t.Run(origin+"/"+state, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					w.Unlimited()
					w.Vars["factors"] = state
					o.make(w)
					link := newest(&w.Mails, accounts.TemplateVerify, addressNew)
					w.doorsOf(t, o.inForce)
					if o.replaces {
						w.proveNew(t, link, state)
					}
				})
			})
		}
	}
}

// doorsOf tries every door with both addresses.
func (w *world) doorsOf(t *testing.T, inForce []string) {
	t.Helper()
	seen := len(lines(&w.Mails))
	shown := len(w.ada().ShownEmails())
	for _, a := range []string{addressNow, addressNew} {
		used := slices.Contains(inForce, a)
		has := slices.ContainsFunc(w.ada().Emails, func(e user.Email) bool { return e.Address == a })
		for _, spelling := range []string{a, strings.ToUpper(a), strings.Replace(a, "@", "＠", 1)} {
			w.Connect().Call("forgotPassword", map[string]any{"email": spelling})
			w.Connect().Call("sendEmailCode", spelling)
			w.Connect().Call("sendConfirmationEmail", spelling)
			_, fail := w.Connect().Call("login", map[string]any{"user": map[string]any{"email": spelling}, "password": "password of ada"})
			if known := fail.Code() != "403"; known != has {
				t.Errorf("login by %s: %q", spelling, fail.Code())
			}
		}
		// A link that was made for the address while it was another's, or by hand.
		w.patchAda(user.Change{Enroll: &user.ResetToken{Token: "planted", Email: a, When: time.Now(), Reason: "enroll"}})
		if !used {
			if _, err := w.Accounts.ResetPassword(t.Context(), &rpc.Peer{}, "planted", mustPlain(t, "another")); err != accounts.ErrTokenAddress { // the very value
				t.Errorf("a reset link for %s: %v", a, err)
			}
		}
	}
	c := w.Connect()
	got, err := w.Accounts.IssueToken(t.Context(), c.Peer, w.ada(), "password")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Accounts.ChangePassword(t.Context(), c.Peer, got.Login(), w.ada(), mustPlain(t, "password two")); err != nil {
		t.Fatal(err)
	}
	// The change of password drops what waits; the rest of the test wants it back.
	if shown > len(w.ada().Emails) {
		if w.ada().PendingEmail() != "" {
			t.Error("a change of password keeps an address that somebody may have put there")
		}
		w.changeOwn(addressNew)
	}
	for _, line := range lines(&w.Mails)[seen:] {
		template, to, _ := strings.Cut(line, " ")
		if template != accounts.TemplateVerify && !slices.Contains(inForce, to) {
			t.Errorf("%s was mailed to %s", template, to)
		}
	}
}

func mustPlain(t *testing.T, text string) accounts.Password {
	t.Helper()
	p, err := accounts.Plain(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proveNew proves the address that waits: in one write it takes the place of the
// other, which is told; nobody is logged in by it; links of before are dead.
func (w *world) proveNew(t *testing.T, dead, state string) {
	t.Helper()
	reset := newest(&w.Mails, accounts.TemplateReset, addressNow)
	link := newest(&w.Mails, accounts.TemplateVerify, addressNew)
	if reset == "" || link == "" || link == dead {
		t.Fatal("no links")
	}
	stranger := w.Connect()
	if _, fail := stranger.Call("verifyEmail", dead); fail.Code() != "403" {
		t.Errorf("a link of before the last change: %q", fail.Code())
	}
	want := "2fa-enabled"
	if state == "none" {
		want = "error-login-required"
	}
	if _, fail := stranger.Call("verifyEmail", link); fail.Code() != want {
		t.Errorf("the link answered %q, want %q", fail.Code(), want)
	}
	if _, fail := stranger.Call("getUsernameSuggestion"); fail.Code() != "error-not-authorized" {
		t.Errorf("the link logged in: %q", fail.Code())
	}
	if u := w.ada(); fmt.Sprint(u.ShownEmails()) != "[{"+addressNew+" true}]" || len(u.EmailKeys) != 1 {
		t.Errorf("%v", u.ShownEmails())
	}
	if !slices.Contains(lines(&w.Mails), "notice "+addressNow) {
		t.Error("the old address was not told")
	}
	if _, fail := w.Connect().Call("resetPassword", reset, "another"); fail.Code() != "403" {
		t.Errorf("a reset link in the old mailbox: %q", fail.Code())
	}
	w.Set(settings.PasswordReset, true)
	if err := w.Accounts.ForgotPassword(t.Context(), &rpc.Peer{}, addressNow); err != nil {
		t.Error(err)
	}
	if later := newest(&w.Mails, accounts.TemplateReset, addressNow); later != reset {
		t.Error("a reset link to the address that was replaced")
	}
}
