package methods_test

import (
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// store writes settings as other tools, other releases and older databases do:
// without anybody checking them.
func (w *world) storeSettings(values map[string]any) {
	w.T.Helper()
	var batch []settings.Stored
	for id, v := range values {
		batch = append(batch, settings.Stored{ID: id, Value: v, UpdatedAt: time.Now()})
	}
	if err := w.Store.SaveSettings(w.T.Context(), batch); err != nil {
		w.T.Fatal(err)
	}
	if err := w.Settings.Refresh(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// enableApp gives an account an authenticator whose secret nobody knows, and
// leaves its sessions.
func (w *world) enableApp(id string) {
	w.T.Helper()
	u, err := w.Store.UserByID(w.T.Context(), id)
	if err != nil {
		w.T.Fatal(err)
	}
	keep := u.Services.Resume.LoginTokens[0].HashedToken
	if err := w.Store.SetPendingTOTP(w.T.Context(), id, "sealed", keep, u.ProofState(keep), time.Now()); err != nil {
		w.T.Fatal(err)
	}
	if _, err := w.Store.EnableTOTP(w.T.Context(), id, "sealed", user.TOTP{Enabled: true, Secret: "sealed"}, keep, time.Now()); err != nil {
		w.T.Fatal(err)
	}
}

// A10: rules × switches of the server × factors of the account: only who has
// none that is strong enough and can set one up is kept out. Where the server
// offers nothing that would do, the rule is not enforced: nobody could get out.
func TestA10MandatoryMatrix(t *testing.T) {
	probed(t, func(t *testing.T, w *world) {
		w.Unlimited()
		type account struct{ app, mail bool }
		accounts := map[account]*client{}
		for n, a := range []account{{}, {app: true}, {mail: true}, {true, true}} {
			name := fmt.Sprint("u", n)
			u := w.User(name, "verified", "role=admin")
			accounts[a] = w.As(name)
			if a.mail {
				if _, fail := accounts[a].Call("2fa:enable-email"); fail != nil {
					t.Fatal(fail.Code())
				}
			}
			if a.app {
				w.enableApp(u.ID)
			}
		}
		cells := 0
		for n := range 8 {
			on, app, mail := n&1 > 0, n&2 > 0, n&4 > 0
			for _, rule := range []string{"", "user", "admin", "admin:totp", "bot, admin:totp, admin", "Admin"} {
				w.storeSettings(map[string]any{settings.TwoFactorEnabled: on, settings.TwoFactorByTOTP: app, settings.TwoFactorByEmail: mail,
					settings.TwoFactorMandatoryRoles: rule})
				for a, c := range accounts {
					cells++
					var kept bool
					switch rule {
					case "admin":
						kept = on && (app || mail) && !(a.app && app) && !(a.mail && mail)
					case "admin:totp":
						kept = on && app && !a.app
					case "bot, admin:totp, admin": // a demand that nobody can satisfy does not lift the other
						kept = on && (app && !a.app || !app && mail && !a.mail)
					}
					want := ""
					if kept {
						want = "error-two-factor-setup-required"
					}
					if _, fail := c.Call("test:echo"); fail.Code() != want {
						t.Errorf("on %v app %v mail %v, rule %q, %+v: %q, want %q", on, app, mail, rule, a, fail.Code(), want)
					}
				}
			}
		}
		if cells != 8*6*4 {
			t.Errorf("%d cells", cells)
		}
	})
}

// A10: somebody who has no address yet, or a mistyped one, and must have codes by
// mail because the server offers nothing else, can name one, prove it and switch
// them on; nothing else is open before.
func TestA10NoAddressIsNoDeadEnd(t *testing.T) {
	for name, change := range map[string]user.Change{
		"none": {Emails: &[]user.Email{}}, "one that nobody reads": {Emails: &[]user.Email{{Address: "typo@example.com"}}},
	} {
		t.Run(name, func(t *testing.T) {
			probed(t, func(t *testing.T, w *world) {
				w.Unlimited()
				u := w.User("ada")
				change.At = time.Now()
				if _, err := w.Store.UpdateUser(t.Context(), u.ID, change); err != nil {
					t.Fatal(err)
				}
				c := w.As("ada")
				w.storeSettings(map[string]any{settings.TwoFactorByTOTP: false, settings.TwoFactorMandatoryRoles: "user"})
				if _, fail := c.Call("test:echo"); fail.Code() != "error-two-factor-setup-required" {
					t.Fatalf("without a factor: %q", fail.Code())
				}
				if _, fail := c.Call("saveUserProfile", map[string]any{"email": addressNew}, answer(testkit.DigestOf("ada"), "password")); fail != nil {
					t.Fatal(fail.Code())
				}
				if _, fail := c.Call("verifyEmail", newest(&w.Mails, accounts.TemplateVerify, addressNew)); fail != nil {
					t.Fatal(fail.Code())
				}
				if _, fail := c.Call("2fa:enable-email", answer(testkit.DigestOf("ada"), "password")); fail != nil {
					t.Fatal(fail.Code())
				}
				if _, fail := c.Call("test:echo"); fail != nil {
					t.Errorf("with a factor: %q", fail.Code())
				}
			})
		})
	}
}
