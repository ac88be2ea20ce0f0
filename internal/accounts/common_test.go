package accounts_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// passwordDoors are all ways to set a password; TestA22EveryDoorIsChecked finds
// those that are missing here.
func passwordDoors() map[string]func(w *world, pw accounts.Password) error {
	root := &user.User{ID: "root", Roles: []string{"admin"}}
	return map[string]func(w *world, pw accounts.Password) error{
		"register": func(w *world, pw accounts.Password) error {
			_, err := w.Register(w.t.Context(), w.peer, accounts.Registration{Username: "bob", Email: "bob@x.com", Name: "Bob", Password: pw})
			return err
		},
		"create": func(w *world, pw accounts.Password) error {
			_, err := w.CreateUser(w.t.Context(), w.peer, root, accounts.NewUser{Username: "bob", Email: "bob@x.com", Name: "Bob", Password: pw})
			return err
		},
		"update": func(w *world, pw accounts.Password) error {
			_, err := w.UpdateUser(w.t.Context(), w.peer, root, w.user(w.find("ada")).ID, accounts.UserChange{Password: pw})
			return err
		},
		"change": func(w *world, pw accounts.Password) error {
			return w.ChangePassword(w.t.Context(), w.peer, rpc.Login{}, w.user(w.find("ada")), pw)
		},
		"reset": func(w *world, pw accounts.Password) error {
			if err := w.ForgotPassword(w.t.Context(), w.peer, "ada@x.com"); err != nil {
				return err
			}
			_, err := w.ResetPassword(w.t.Context(), w.peer, w.linkToken(accounts.TemplateReset), pw)
			return err
		},
	}
}

// strict is a world with an account from before the setting was on.
func strict(t *testing.T, on bool) *world {
	w := newWorld(t)
	w.add("ada", "ada@x.com") // whose password is a common one
	w.with(settings.PasswordForbidCommon, on)
	return w
}

// find is the id of an account.
func (w *world) find(name string) string {
	w.t.Helper()
	u, err := w.store.UserByUsername(w.t.Context(), user.Key(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return u.ID
}

// A22: with the setting on, no door takes a common password, as text or as the
// digest that most clients send, and the refusal says what to do; a password
// that is not common passes, and so do all without the setting.
func TestA22CommonPasswordsAreRefusedAtEveryDoor(t *testing.T) {
	digested := func(s string) accounts.Password {
		p, err := accounts.Digest(digest(s), "sha-256")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, set := range passwordDoors() {
		for _, text := range []string{"password", "Password", "PASSWORD", "qwertyuiop", "12345678", "iloveyou"} {
			for form, pw := range map[string]accounts.Password{"text": plain(t, text), "digest": digested(text)} {
				w := strict(t, true)
				if err := set(w, pw); !errors.Is(err, accounts.ErrCommonPassword) || !strings.Contains(err.Error(), "choose another") {
					t.Errorf("%s takes %q as %s: %v", name, text, form, err)
				}
			}
			if text != "password" {
				continue
			}
			if err := set(strict(t, false), digested(text)); err != nil {
				t.Errorf("%s without the setting: %v", name, err)
			}
			if err := set(strict(t, true), digested("correct horse battery staple")); err != nil {
				t.Errorf("%s refuses what is not common: %v", name, err)
			}
		}
	}
}

// A22: so do the command line and the first start, whose passwords are text.
func TestA22OperatorsPasswordsToo(t *testing.T) {
	for pw, want := range map[string]bool{"password": false, "correct horse battery staple": true} {
		w := newWorld(t)
		w.with(settings.PasswordForbidCommon, true)
		_, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "bob", Password: secret.String(pw), Roles: []string{"user"}})
		if (err == nil) != want || !want && !errors.Is(err, accounts.ErrCommonPassword) {
			t.Errorf("user create %q: %v", pw, err)
		}
		created, _, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "root", Email: "root@x.com", Name: "Root", Password: secret.String(pw)})
		if created != want || !want && !errors.Is(err, accounts.ErrCommonPassword) {
			t.Errorf("ADMIN_PASS %q: %v %v", pw, created, err)
		}
	}
}

// A22: whatever makes a stored password of a new one asks first whether it is
// acceptable: no function of the package hashes without, but that which renews
// the hash of a password that is in force.
func TestA22EveryDoorIsChecked(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	doors := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			calls := map[string]bool{}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
						calls[sel.Sel.Name] = true
					}
				}
				return true
			})
			if !calls["hashFor"] && !calls["hash"] || fn.Name.Name == "rehash" || fn.Name.Name == "hash" {
				continue
			}
			doors++
			if !calls["acceptable"] && !calls["common"] {
				t.Errorf("%s hashes a new password without asking whether it is acceptable", fn.Name.Name)
			}
		}
	}
	if doors < len(passwordDoors())+1 { // and the operator's
		t.Errorf("%d functions hash new passwords, want %d", doors, len(passwordDoors())+1)
	}
}
