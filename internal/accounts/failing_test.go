package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// town has ada, with a session and a token of her own, and root, an administrator,
// on a store that can fail.
type town struct {
	*world
	failing *storetest.Failing
	ada     *user.User
	root    *user.User
	login   rpc.Login // of ada's session
	session string    // its token
	pat     string
	// reset and verify are the tokens of mailed links.
	reset, verify string
}

func newTown(t *testing.T) *town {
	t.Helper()
	failing := &storetest.Failing{Store: storetest.OpenSQLite(t)}
	w := &town{world: newWorldOn(t, bcrypt.MinCost, failing), failing: failing}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.root, err = w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "root", Email: "root@x.com", Password: "secret", Verified: true,
		Roles: []string{"admin", "user"}})
	ok(err)
	_, err = w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "other", Password: "secret", Roles: []string{"admin", "user"}})
	ok(err)
	w.ada = w.add("ada", "ada@x.com")
	w.verify = w.linkToken(accounts.TemplateVerify)
	issued := w.world.login(w.ada)
	w.login, w.session = issued.Login(), issued.Token
	w.pat, err = w.GenerateToken(t.Context(), w.peer, w.user(w.ada.ID), "bot", false)
	ok(err)
	ok(w.ForgotPassword(t.Context(), w.peer, "ada@x.com"))
	w.reset = w.linkToken(accounts.TemplateReset)
	w.ada, w.root = w.user(w.ada.ID), w.user(w.root.ID)
	return w
}

// deeds are what people ask of accounts while they wait for the answer; each of
// them succeeds in a town.
var deeds = map[string]func(ctx context.Context, w *town) error{
	"find": func(ctx context.Context, w *town) error { _, err := w.Find(ctx, "ada@x.com"); return err },
	"list": func(ctx context.Context, w *town) error { _, _, err := w.List(ctx, 0, 10); return err },
	"log in": func(ctx context.Context, w *town) error {
		u, err := w.Authenticate(ctx, w.peer, accounts.Selector{Username: "ada"}, plain(w.t, "secret"))
		if err == nil {
			_, err = w.IssueToken(ctx, w.peer, u, "password")
		}
		return err
	},
	"log in by address": func(ctx context.Context, w *town) error {
		_, err := w.Authenticate(ctx, w.peer, accounts.Selector{Email: "root@x.com"}, plain(w.t, "secret"))
		return err
	},
	"prove": func(ctx context.Context, w *town) error {
		return w.ProvePassword(ctx, w.peer, w.ada, plain(w.t, "secret"))
	},
	"resume": func(ctx context.Context, w *town) error { _, _, err := w.Resume(ctx, w.peer, w.session); return err },
	"call":   func(ctx context.Context, w *town) error { _, err := w.Caller(ctx, w.login); return err },
	"request": func(ctx context.Context, w *town) error {
		_, _, err := w.Header(ctx, w.peer, w.ada.ID, w.pat)
		return err
	},
	"renew":      func(ctx context.Context, w *town) error { _, err := w.RenewToken(ctx, w.peer, w.login); return err },
	"end others": func(ctx context.Context, w *town) error { return w.RemoveOtherTokens(ctx, w.peer, w.login) },
	"log out":    func(ctx context.Context, w *town) error { return w.Logout(ctx, w.peer, w.login) },
	"log somebody out": func(ctx context.Context, w *town) error {
		return w.LogoutUser(ctx, w.peer, w.root, w.ada.ID, "")
	},
	"make a token": func(ctx context.Context, w *town) error {
		_, err := w.GenerateToken(ctx, w.peer, w.ada, "second", true)
		return err
	},
	"make a token anew": func(ctx context.Context, w *town) error {
		_, err := w.RegenerateToken(ctx, w.peer, w.ada, "bot")
		return err
	},
	"remove a token": func(ctx context.Context, w *town) error { return w.RemoveToken(ctx, w.peer, w.ada, "bot") },
	"register": func(ctx context.Context, w *town) error {
		_, err := w.Register(ctx, w.peer, accounts.Registration{Username: "bob", Email: "bob@x.com", Password: plain(w.t, "secret")})
		return err
	},
	"suggest a name": func(ctx context.Context, w *town) error {
		_, err := w.SuggestUsername(ctx, "Ada", "ada@y.com")
		return err
	},
	"is a name free": func(ctx context.Context, w *town) error { _, err := w.UsernameFree(ctx, w.ada, "free"); return err },
	"rename": func(ctx context.Context, w *town) error {
		_, err := w.SaveProfile(ctx, w.peer, w.login, w.ada, accounts.Profile{Name: ptr("Ada L."), Username: ptr("lovelace"), StatusText: ptr("busy")})
		return err
	},
	"change the address": func(ctx context.Context, w *town) error {
		_, err := w.SaveProfile(ctx, w.peer, w.login, w.ada, accounts.Profile{Email: ptr("new@x.com")})
		return err
	},
	"change the password": func(ctx context.Context, w *town) error {
		return w.ChangePassword(ctx, w.peer, w.login, w.ada, plain(w.t, "another one"))
	},
	"reset the password": func(ctx context.Context, w *town) error {
		_, err := w.ResetPassword(ctx, w.peer, w.reset, plain(w.t, "another one"))
		return err
	},
	"verify the address": func(ctx context.Context, w *town) error {
		_, err := w.VerifyEmail(ctx, w.peer, w.login, w.verify)
		return err
	},
	"create": func(ctx context.Context, w *town) error {
		_, err := w.CreateUser(ctx, w.peer, w.root, accounts.NewUser{Username: "cid", Email: "cid@x.com", Password: plain(w.t, "secret"), Roles: []string{"user"}})
		return err
	},
	"update": func(ctx context.Context, w *town) error {
		_, err := w.UpdateUser(ctx, w.peer, w.root, w.ada.ID, accounts.UserChange{Name: ptr("Countess"), Email: ptr("ada@y.com"), Verified: ptr(true),
			Roles: &[]string{"user", "bot"}, Password: plain(w.t, "another one")})
		return err
	},
	"make an administrator": func(ctx context.Context, w *town) error {
		_, err := w.UpdateUser(ctx, w.peer, w.root, w.ada.ID, accounts.UserChange{Roles: &[]string{"user", "admin"}})
		return err
	},
	"end an administrator": func(ctx context.Context, w *town) error {
		_, err := w.UpdateUser(ctx, w.peer, w.root, w.root.ID, accounts.UserChange{Roles: &[]string{"user"}})
		return err
	},
	"deactivate": func(ctx context.Context, w *town) error { return w.SetActive(ctx, w.peer, w.root, w.ada.ID, false) },
	"activate":   func(ctx context.Context, w *town) error { return w.SetActive(ctx, w.peer, w.root, w.ada.ID, true) },
	"delete":     func(ctx context.Context, w *town) error { return w.DeleteUser(ctx, w.peer, w.root, w.ada.ID) },
	"sweep":      func(ctx context.Context, w *town) error { return w.Sweep(ctx) },
	"first administrator": func(ctx context.Context, w *town) error {
		_, _, err := w.EnsureAdmin(ctx, accounts.FirstAdmin{Username: "first", Password: secret.String("secret of it")})
		return err
	},
}

// goesOn are operations whose failure the answer does not tell, because what was
// asked for is done by then. The log tells it.
var goesOn = map[string]string{
	"register: UserByID":                    "the link that proves the address is mailed behind the answer",
	"register: UpdateUser":                  "the same",
	"create: UserByID":                      "the same",
	"create: UpdateUser":                    "the same",
	"change the address: UserByID":          "the same",
	"change the address: UpdateUser":        "the same",
	"request: UseToken":                     "when a token was used last is a note",
	"log in: Tries":                         "an address that is not noted stays a stranger's",
	"make an administrator: Administrators": "the audit stream has it, and nobody else can be found",
}

// Whatever operation of the store fails, what needed it is refused: nobody gets
// in, and nothing is done by halves and called done. As long as nothing was
// written nobody hears of anything, and afterwards the same works.
func TestNothingSucceedsOnAFailingStore(t *testing.T) {
	used := map[string]bool{}
	for name, deed := range deeds {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				w := newTown(t)
				w.mailed()
				w.ground.News.Take()
				w.failing.FailAt(n)
				err := deed(t.Context(), w)
				operation, wrote := w.failing.Failed()
				w.failing.FailAt(0)
				told, mails := w.ground.News.Take(), w.mailed()
				key := fmt.Sprint(name, ": ", operation)
				switch _, refusal := fault.From(err); {
				case operation == "":
					if err != nil {
						t.Errorf("on a store that works: %v", err)
					}
					return
				case err == nil:
					if used[key] = true; goesOn[key] == "" {
						t.Errorf("%s fails, number %d, and the call succeeds", operation, n)
					}
					if w.ground.Logs.Filter(func(e observer.LoggedEntry) bool { return e.Level >= zap.WarnLevel }).Len() == 0 {
						t.Errorf("%s fails, the call succeeds and the log does not tell", operation)
					}
				case refusal || !errors.Is(err, dberr.Unavailable):
					t.Errorf("%s fails: %v", operation, err)
				}
				if len(wrote) == 0 && len(told)+len(mails) > 0 {
					t.Errorf("%s fails, nothing is written; told: %d, mailed: %d", operation, len(told), len(mails))
				}
				if err := deed(t.Context(), w); err != nil {
					if _, refusal := fault.From(err); !refusal {
						t.Errorf("%s failed, and on a store that works again: %v", operation, err)
					}
				}
			}
		})
	}
	for key := range goesOn {
		if !used[key] {
			t.Errorf("%s is listed and does not happen", key)
		}
	}
}
