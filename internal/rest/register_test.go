package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
)

// door is one call open to everybody, tried with everything that a registration
// may say.
type door struct {
	name string
	// call asks for an account of that name, from that address with that agent,
	// and tells what was answered.
	call func(w *world, name, address, agent string) answer
}

// openDoors are all calls that need no login: every method that the router serves
// to strangers, through method.callAnon and through method.call, in several
// shapes of parameters, and every route without a login.
func openDoors(w *world) []door {
	w.T.Helper()
	var out []door
	for _, spec := range w.Router.Specs() {
		if !spec.Anonymous {
			continue
		}
		for _, shape := range []string{
			`[{"username":"%[1]s","email":"%[1]s@example.org","password":"correct horse"}]`,
			`[{"username":"%[1]s","email":"%[1]s@example.org"}]`,
			`[{"username":"%[1]s","password":"correct horse"}]`,
			`[{"email":"%[1]s@example.org","pass":"correct horse","name":"N","username":"%[1]s"}]`,
			`[{"email":"%[1]s@example.org","pass":"correct horse"}]`,
			`["%[1]s","correct horse"]`,
		} {
			for _, path := range []string{"method.callAnon/", "method.call/"} {
				out = append(out, door{spec.Name + " " + path + shape, func(w *world, name, address, agent string) answer {
					frame, _ := json.Marshal(map[string]any{"msg": "method", "id": "1", "method": spec.Name, "params": json.RawMessage(fmt.Sprintf(shape, name))})
					return from(w, address, agent).Do("POST", path+strings.ReplaceAll(spec.Name, "/", "%2F"), map[string]any{"message": string(frame)})
				}})
			}
		}
	}
	for _, rt := range w.REST.Routes() {
		if rt.Auth == rest.LoginRequired || rt.Verb != http.MethodPost || strings.Contains(rt.Path, ":") {
			continue
		}
		out = append(out, door{rt.Path, func(w *world, name, address, agent string) answer {
			return from(w, address, agent).Do("POST", rt.Path, map[string]any{
				"username": name, "email": name + "@example.org", "pass": "correct horse", "name": "N",
			})
		}})
	}
	return out
}

func from(w *world, address, agent string) *client {
	return w.Caller().With("Test-Address", address).With("User-Agent", agent)
}

func total(w *world) int {
	w.T.Helper()
	_, n, err := w.Store.ListUsers(w.T.Context(), 0, 1)
	if err != nil {
		w.T.Fatal(err)
	}
	return n
}

// registering are the doors that make accounts, found by trying every one.
func registering(t *testing.T) []door {
	t.Helper()
	w := newWorld(t, nil) // limits are lifted here
	w.Account("root1", "admin")
	var out []door
	for i, d := range openDoors(w) {
		before := total(w)
		d.call(w, fmt.Sprint("someone", i), "192.0.2.1", "a")
		if total(w) > before {
			out = append(out, d)
		}
	}
	if len(out) < 6 {
		t.Fatalf("only %d doors make accounts: %v", len(out), out)
	}
	return out
}

// A14: however accounts are made (every call that can, found by trying them all),
// from wherever in one network and with whatever agent, the calls share one limit,
// and the whole server has one.
func TestA14OneLimitForEveryRegistration(t *testing.T) {
	doors := registering(t)
	for _, network := range []func(i int) string{
		func(int) string { return "198.51.100.7" },
		func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i+1) },
		func(int) string { return "127.0.0.1" },
	} {
		w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true"})
		w.Account("root1", "admin")
		refused := ""
		for i := range 60 {
			a := doors[i%len(doors)].call(w, fmt.Sprint("someone", i), network(i), fmt.Sprint("agent", i))
			if strings.Contains(a.Raw, "too-many-requests") {
				refused = a.Raw
			}
		}
		if n := total(w) - 1; n != 10 {
			t.Errorf("%s…: %d accounts in one burst, want 10", network(0), n)
		}
		if !strings.Contains(refused, "timeToReset") {
			t.Errorf("the refusal does not say when: %s", refused)
		}
	}
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true"})
	w.Account("root1", "admin")
	for i := range 660 {
		doors[0].call(w, fmt.Sprint("someone", i), fmt.Sprintf("2001:db8:%x::1", i), "a")
	}
	if n := total(w) - 1; n != 600 {
		t.Errorf("%d accounts from everywhere, want 600", n)
	}
}

// A14: what the settings say of registrations holds on every path: no account
// while they are closed, and no token before the address is proved or an
// administrator approved.
func TestA14EveryRegistrationKeepsTheSettings(t *testing.T) {
	doors := registering(t)
	for name, c := range map[string]struct {
		override map[string]string
		made     bool
	}{
		"closed":             {map[string]string{settings.RegistrationForm: "Disabled"}, false},
		"by a secret":        {map[string]string{settings.RegistrationForm: "Secret URL", settings.RegistrationSecretURL: "correct-horse"}, false},
		"wait for approval":  {map[string]string{settings.ManuallyApproveUsers: "true"}, true},
		"prove the address":  {map[string]string{settings.EmailVerification: "true"}, true},
		"prove, without 2fa": {map[string]string{settings.EmailVerification: "true", settings.TwoFactorEmailOptIn: "false"}, true},
	} {
		w := newWorld(t, c.override)
		w.Account("root1", "admin")
		for i, d := range doors {
			before := total(w)
			account := fmt.Sprint("someone", i)
			a := d.call(w, account, fmt.Sprintf("198.51.100.%d", i), "a")
			if made := total(w) > before; made && !c.made {
				t.Errorf("%s: %s made an account", name, d.name)
			}
			if strings.Contains(a.Raw, `token`) {
				t.Errorf("%s: %s gave a token: %s", name, d.name, a.Raw)
			}
			u, err := w.Store.UserByUsername(t.Context(), account)
			if err == nil && u.Services.Resume != nil && len(u.Services.Resume.LoginTokens) > 0 {
				t.Errorf("%s: %s began a session", name, d.name)
			}
		}
	}
}

// Who may not register hears the code that the published errors name.
func TestClosedRegistrationIsNamed(t *testing.T) {
	w := newWorld(t, map[string]string{settings.RegistrationForm: "Disabled"})
	a := w.Caller().Do("POST", "users.register", map[string]any{"username": "ada", "email": "ada@example.org", "pass": "correct horse"})
	if a.Status != 400 || a.ErrorType() != "error-user-registration-disabled" {
		t.Errorf("%d %s", a.Status, a.Raw)
	}
}
