package rest_test

import (
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// rocket.term, which runs in a terminal, says of no body what type it is, and has one in every request: null where it has nothing to say.
// Every route takes both as it takes JSON that says so, and a GET as it takes no body.
func TestBodiesWithoutAType(t *testing.T) {
	w := newWorld(t, map[string]string{
		settings.LimitRESTEnabled: "false", settings.TwoFactorMailsPerHour: "100", settings.TwoFactorMailsPerAddress: "10000", // the calls mail codes
	})
	w.Account("root", "admin")
	c := w.Login("root")
	untyped := c.With("Content-Type", "")
	for _, rt := range w.REST.Routes() {
		if rt.Upload || strings.Contains(rt.Path, "logout") {
			continue
		}
		path := strings.ReplaceAll(rt.Path, ":", "")
		if rt.Verb == "GET" {
			if bare, with := c.Do("GET", path, nil), untyped.Do("GET", path, "null"); with.Status != bare.Status {
				t.Errorf("GET %s: %d with a body, %d without", path, with.Status, bare.Status)
			}
			continue
		}
		for _, body := range []string{`{"none":1}`, "null"} {
			if typed, bare := c.Do(rt.Verb, path, body), untyped.Do(rt.Verb, path, body); bare.Status != typed.Status {
				t.Errorf("%s %s, %s: %d without a type, %d with one: %s", rt.Verb, path, body, bare.Status, typed.Status, bare.Raw)
			}
		}
	}
	if a := w.Caller().With("Content-Type", "").Do("POST", "login", `{"user":"root","password":"`+testkit.Password+`"}`); !strings.Contains(a.Raw, "totp-required") {
		t.Errorf("the right password: %d %s", a.Status, a.Raw)
	}
}
