package accounts_test

import (
	"fmt"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Whatever somebody may write about themselves, put into the account of somebody
// else's address: no mail to an address that is not proved holds a word of it, through
// every call that mails; a proved one is greeted by name (A21).
func TestA21NoWordsOfStrangersLeave(t *testing.T) {
	const marker = "zaubermarke"
	for _, proved := range []bool{false, true} {
		t.Run(fmt.Sprintf("proved %t", proved), func(t *testing.T) {
			w := newWorld(t)
			w.with(settings.AllowPasswordChange, true)
			root := w.admin("root1")
			w.mailed()
			peer := &rpc.Peer{Conn: "c1", Door: rpc.DDP, Address: "192.0.2.1", UserAgent: marker + " agent"}
			u, err := w.Register(t.Context(), peer, accounts.Registration{
				Username: marker, Email: "victim@x.com", Name: marker + " name", Password: plain(t, "correct horse"), Reason: marker + " reason",
				Profile: map[string]any{"name": marker + " profile", "x": marker},
			})
			if err != nil {
				t.Fatal(err)
			}
			if proved {
				u = w.patch(u.ID, user.Change{Emails: &[]user.Email{{Address: "victim@x.com", Verified: true}}})
			}
			l := w.login(u).Login()
			do := func(what string, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			do("confirmation", w.SendConfirmation(t.Context(), peer, nil, "victim@x.com"))
			do("forgotten password", w.ForgotPassword(t.Context(), peer, "victim@x.com"))
			_, err = w.GenerateToken(t.Context(), peer, w.user(u.ID), marker, true)
			do("token", err)
			_, err = w.RegenerateToken(t.Context(), peer, w.user(u.ID), marker)
			do("new token", err)
			_, err = w.GenerateToken(t.Context(), peer, w.user(u.ID), marker+" 2", false)
			do("second token", err)
			do("removed token", w.RemoveToken(t.Context(), peer, w.user(u.ID), marker))
			do("password", w.ChangePassword(t.Context(), peer, l, w.user(u.ID), plain(t, "another horse")))
			_, err = w.SaveProfile(t.Context(), peer, l, w.user(u.ID), accounts.Profile{Name: ptr(marker + " again"), Email: ptr("other@x.com")})
			do("address", err)
			_, err = w.UpdateUser(t.Context(), peer, root, u.ID, accounts.UserChange{Email: ptr("third@x.com")})
			do("an administrator's change", err)
			_, err = w.CreateUser(t.Context(), peer, root, accounts.NewUser{Username: marker + "2", Email: "fourth@x.com", Name: marker})
			do("an administrator's account", err)
			greeted, unproved := 0, 0
			for _, m := range w.mailed() {
				text := fmt.Sprint(m.Data)
				switch has := strings.Contains(text, marker); {
				case has && !m.Proved:
					t.Errorf("to %v: %s %s", m.To, m.Template, text)
				case has:
					greeted++
				case !m.Proved:
					unproved++
				}
				if m.Proved && !proved {
					t.Errorf("%v passes as proved: %s", m.To, text)
				}
				if m.Template != accounts.TemplateNotice && m.Proved {
					t.Errorf("a link to %v passes as one to a proved address", m.To)
				}
			}
			if proved != (greeted >= 5) || unproved < 3 {
				t.Errorf("%d mails with names, %d without", greeted, unproved)
			}
		})
	}
}
