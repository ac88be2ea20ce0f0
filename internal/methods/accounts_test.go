package methods_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

func TestAccountConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/conversations/accounts*.txtar")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, c := range ddptest.Load(t, file) {
			t.Run(c.Name, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					c.Text = unfold(t, spread(c.Text))
					acts := w.Acts()
					for name, f := range w.accountActs() {
						acts[name] = f
					}
					p := &ddptest.Player{Server: w.Engine, Vars: w.Vars, Do: acts}
					p.Play(t, c)
					w.silent(t)
				})
			})
		}
	}
}

// silent checks that no log record and no audit event holds a secret: passwords,
// their digests, tokens, codes, links, whole addresses (docs/security-tests.md S085).
func (w *world) silent(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, e := range w.Logs.All() {
		fmt.Fprintln(&text, e.Message, e.ContextMap())
	}
	for _, e := range w.Trail.All() {
		fmt.Fprintf(&text, "%+v\n", e)
	}
	secrets := []string{"password of ", "another", "thirdone", "legacy-token", "enrol-token", "@example.com", "@x.com"}
	for name, v := range w.Vars {
		if len(v) > 20 || name == "code" {
			secrets = append(secrets, v)
		}
	}
	for _, secret := range secrets {
		if i := strings.Index(text.String(), secret); i >= 0 {
			t.Errorf("%q stands in the logs: …%.200s", secret, text.String()[max(0, i-100):])
		}
	}
}

// brief are the lines that stand for the usual answers:
//
//	err ID NUMBER "reason"   a refusal with a number
//	ambiguous ID             Meteor's answer that tells nothing
//	expired ID               the answer to a session that ended
//	in ID                    a login; <idN> and <tN> are its user and token, N the connection
//	resumed ID               a login with a token that is known already
var brief = regexp.MustCompile(`(?m)^(err|ambiguous|expired|in|resumed)(\d*) (\S+)(?: (\d+) "(.*)")?$`)

// spread writes brief lines out as frames.
func spread(text string) string {
	return brief.ReplaceAllStringFunc(text, func(line string) string {
		m := brief.FindStringSubmatch(line)
		n, id, code, reason := m[2], m[3], m[4], m[5]
		updated := "\nS" + n + `: {"msg":"updated","methods":["` + id + `"]}`
		user, token := "<id"+max(n, "1")+":17>", "<t"+max(n, "1")+":43>"
		switch m[1] {
		case "ambiguous":
			code, reason = "403", accounts.ErrCredentials.Reason
		case "expired":
			code, reason = "403", accounts.ErrSessionExpired.Reason
		case "in", "resumed":
			kind := `"<any>"`
			if m[1] == "resumed" {
				token, kind = "<any>", `"resume"`
			}
			return "S" + n + `: {"msg":"added","collection":"users","id":"` + user + `","fields":<any>}` + "\n" +
				"S" + n + `: {"msg":"result","id":"` + id + `","result":{"id":"<17>","token":"` + token + `","tokenExpires":{"$date":<date>},"type":` + kind + `}}` +
				updated
		}
		return "S" + n + `: {"msg":"result","id":"` + id + `","error":{"isClientSafe":true,"error":` + code + `,"reason":"` + reason +
			`","message":"` + reason + " [" + code + `]","errorType":"Meteor.Error"}}` + updated
	})
}

// accountActs are further "do" lines: mailed TEMPLATE ADDRESS (the newest such
// mail; its link's token becomes <link>), nomail (none since), digest NAME (the
// password's digest becomes <digest>), hash TOKEN (<hash>), legacy NAME TOKEN
// and enrol NAME AGE (what an old database holds), nopassword NAME, end NAME
// (its sessions are ended on another node).
func (w *world) accountActs() map[string]func(string) error {
	ctx := context.Background()
	patch := func(name string, c user.Change) error {
		c.At = time.Now()
		_, err := w.Store.UpdateUser(ctx, w.Vars[name], c)
		return err
	}
	return map[string]func(string) error{
		"mailed": w.takeMail,
		"nomail": func(string) error {
			synctest.Wait()
			if list := w.Mails.Messages(); len(list) != 0 {
				return fmt.Errorf("%d mails, the first is %q to %v", len(list), list[0].Template, list[0].To)
			}
			return nil
		},
		"digest": func(name string) error { w.Vars["digest"] = testkit.DigestOf(name); return nil },
		"hash":   func(token string) error { w.Vars["hash"] = accounts.HashToken(token); return nil },
		"legacy": func(args string) error {
			name, token, _ := strings.Cut(args, " ")
			return patch(name, user.Change{AddToken: &user.LoginToken{Token: token, When: time.Now()}})
		},
		"enrol": func(args string) error {
			name, age, _ := strings.Cut(args, " ")
			d, err := time.ParseDuration(age)
			if err != nil {
				return err
			}
			return patch(name, user.Change{Enroll: &user.ResetToken{Token: "enrol-token", Email: name + "@example.com", When: time.Now().Add(-d), Reason: "enroll"}})
		},
		"nopassword": func(name string) error { none := ""; return patch(name, user.Change{Bcrypt: &none}) },
		"end": func(name string) error {
			u, err := w.Accounts.User(ctx, w.Vars[name])
			if err != nil {
				return err
			}
			return w.Accounts.LogoutUser(ctx, nil, u, u.ID, "")
		},
	}
}

// takeMail takes the newest mail with a template to an address out of the mailbox.
func (w *world) takeMail(args string) error {
	synctest.Wait() // some mails are written in the background
	template, address, _ := strings.Cut(args, " ")
	for i, m := range slices.Backward(w.Mails.Messages()) {
		if m.Template != template || !slices.Contains(m.To, address) {
			continue
		}
		if url := m.Data["url"]; url != "" {
			w.Vars["link"] = url[strings.LastIndexByte(url, '/')+1:]
		}
		w.Mails.Drop(i)
		return nil
	}
	return errors.New("no such mail")
}

// Nobody stays connected with a token that was ended while the connection logged
// in: between the issue of a token and the moment from which the connection is
// found by it, nobody would close it (S061).
func TestEndedTokensLeaveNoConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada")
		for range 10 {
			before := w.As("ada")
			clients := make([]*client, 12)
			for i := range clients {
				clients[i] = w.Connect()
				with := `{"user":{"username":"ada"},"password":"password of ada"}`
				if i%2 == 1 {
					with = fmt.Sprintf(`{"resume":%q}`, before.Token)
				}
				clients[i].Send(`{"msg":"method","id":"in","method":"login","params":[%s]}`, with)
			}
			for range 6 {
				if err := w.Accounts.LogoutUser(t.Context(), nil, ada, ada.ID, ""); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			live := map[string]bool{}
			for _, token := range w.reload(ada).Services.Resume.LoginTokens {
				live[token.HashedToken] = true
			}
			w.Engine.Sessions(ada.ID, func(s *ddp.Session) bool {
				if !live[s.Login().Token] {
					t.Error("a connection is logged in with a dead token")
				}
				return true
			})
			for _, c := range clients {
				c.Close()
			}
		}
	})
}

func (w *world) reload(u *user.User) *user.User {
	w.T.Helper()
	u, err := w.Accounts.User(w.T.Context(), u.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	return u
}

// A session that reaches its end is closed by the sweep, not only at its next call.
func TestSweepClosesConnections(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.LoginExpiration, 1)
		w.User("ada")
		c := w.As("ada")
		begin := time.Now()
		for c.ReadWithin(48*time.Hour).Msg != "" {
		}
		code, _ := c.Conn.CloseReason()
		if age := time.Since(begin); code != 1000 || age < 24*time.Hour || age > 24*time.Hour+accounts.SweepEvery {
			t.Errorf("closed with %d after %v", code, age)
		}
		if n := len(w.reload(&user.User{ID: w.Vars["ada"]}).Services.Resume.LoginTokens); n != 0 {
			t.Errorf("%d tokens are left", n)
		}
	})
}
