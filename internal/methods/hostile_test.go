package methods_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// hostile are values that have broken servers of this kind: query operators,
// typed forms, magic names, wrong types, long and deep ones
// (docs/security-tests.md S070, S071, S075).
func hostile(w *world) []string {
	return []string{
		`{"$ne":null}`, `{"$gt":""}`, `{"$regex":"^a"}`, `{"$in":["a"]}`, `{"$where":"sleep(1000)"}`, `{"$expr":{}}`,
		`{"$escape":{"$date":0}}`, `{"$InfNaN":1}`, `{"$date":1e15}`, `{"$binary":"AAAA"}`, `{"$regexp":"(a+)+","$flags":"g"}`,
		`{"$type":"oid","$value":"000000000000000000000000"}`,
		`"__proto__"`, `"constructor"`, `""`, `" "`, `"\u0000"`, `"` + strings.Repeat("x", 100_000) + `"`, `"$set"`, `"a.b"`,
		`null`, `true`, `false`, `0`, `-1`, `1.5`, `1e308`, `[]`, `[[]]`, `[null]`, `{}`,
		`{"__proto__":{"admin":true}}`, `{"_id":{"$ne":1},"rid":{"$ne":1},"value":{"$ne":1}}`,
		strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60),
		`"` + w.Vars["ada"] + `"`, `"GENERAL"`, `"ada"`,
	}
}

// invoke calls a method as a door would, with a session that takes whatever a
// handler does to it.
func (w *world) invoke(t testing.TB, l rpc.Login, method, params string) error {
	_, err := w.Router.Method(t.Context(), &rpc.Call{
		Method: method, Params: []byte(params), Login: l, Session: nowhere{}, Peer: &rpc.Peer{Conn: "h", Door: rpc.DDP, Address: "203.0.113.5"},
	})
	return err
}

// No method answers hostile parameters, in whatever place and number, with an
// internal error: what does not fit is refused. Whoever asks, and before any of
// it reaches the database.
func TestHostileParameters(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada", "role=admin", "role=user")
		values := hostile(w)
		for _, spec := range w.Router.Specs() {
			// Each method gets a login of its own: some of them end it.
			login := w.token(t, ada.ID)
			for i, place := range []string{"[%s]", "[[%s]]", `["x",%s]`, "[%[1]s,%[1]s]", "[%[1]s,%[1]s,%[1]s,%[1]s]"} {
				for _, v := range values {
					params := fmt.Sprintf(place, v)
					for who, l := range map[string]rpc.Login{"ada": login, "nobody": {}} {
						if who == "nobody" && i > 0 {
							continue
						}
						err := w.invoke(t, l, spec.Name, params)
						if err == nil {
							continue
						}
						if f, safe := fault.From(err); !safe || f.ID() == "500" {
							t.Errorf("%s%.80s as %s: %v", spec.Name, params, who, err)
						}
					}
				}
			}
		}
		if u, err := w.Accounts.User(t.Context(), ada.ID); err == nil && (len(u.Roles) != 2 || u.Username == "") {
			t.Errorf("the account was changed to %+v", u)
		}
	})
}

// token logs an account in without a connection; a new one is made when the
// account was deleted or switched off meanwhile.
func (w *world) token(t testing.TB, id string) rpc.Login {
	t.Helper()
	u, err := w.Accounts.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.Accounts.IssueToken(t.Context(), &rpc.Peer{}, u, "password")
	if err != nil {
		t.Fatal(err)
	}
	return i.Login()
}

// S075: names of methods and publications are names and nothing else.
func TestMagicNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada")
		c := w.As("ada")
		long := strings.Repeat("m", 500_000)
		for _, name := range []string{"__proto__", "constructor", "toString", "hasOwnProperty", "", "$where", "a.b", "login\u0000", "LOGIN", " login", long} {
			if _, fail := c.Call(name); fail.Code() != "404" {
				t.Errorf("method %.20q: %s", name, fail.Code())
			}
			if fail := c.Sub("s", name); fail.Code() != "404" {
				t.Errorf("subscription %.20q: %s", name, fail.Code())
			}
		}
		if _, fail := c.Call("getServerInfo"); fail != nil {
			t.Errorf("the session is harmed: %s", fail.Code())
		}
	})
}

// FuzzParameters: whatever stands in the parameters, no method of the surface
// panics or fails inside.
func FuzzParameters(f *testing.F) {
	w := newWorld(f)
	w.Unlimited()
	ada := w.User("ada", "role=admin")
	names := []string{}
	for _, s := range w.Router.Specs() {
		names = append(names, s.Name)
	}
	for i := range names {
		f.Add(uint8(i), `["x",{"$ne":1},null]`)
		f.Add(uint8(i), `[{"_id":"GENERAL","rid":"GENERAL","msg":"x","code":"1","ddpMethod":"login","params":[]}]`)
	}
	login := w.token(f, ada.ID)
	f.Fuzz(func(t *testing.T, method uint8, params string) {
		name := names[int(method)%len(names)]
		if passes[name] {
			return
		}
		err := w.invoke(t, login, name, params)
		if err == nil {
			return
		}
		if fl, safe := fault.From(err); !safe || fl.ID() == "500" {
			t.Fatalf("%s%s: %v", name, params, err)
		}
	})
}

// passes are methods that would end the fuzzer's own login, or hash passwords.
var passes = map[string]bool{
	"logout": true, "logoutOtherClients": true, "removeOtherTokens": true, "getNewToken": true, "deleteUserOwnAccount": true,
	"login": true, "createUser": true, "registerUser": true, "changePassword": true, "resetPassword": true,
}

// nowhere is a session without a connection.
type nowhere struct{}

func (nowhere) SetLogin(context.Context, rpc.Login) error { return nil }
func (nowhere) Unblock()                                  {}

// What is refused by a limit is not decoded (docs/security-tests.md A11): on a connection that
// may call nothing more, no call of the surface allocates in proportion to its
// parameters.
func TestLimitedCallsAreNotDecoded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		peer := &rpc.Peer{Conn: "c", Door: rpc.DDP, Address: "192.0.2.1"}
		limited := func(name string, params []byte) bool {
			_, err := w.Router.Method(t.Context(), &rpc.Call{Method: name, Params: params, Peer: peer})
			f, _ := fault.From(err)
			return err != nil && f.Code == "too-many-requests"
		}
		for range 2000 { // refused ones count too: more than all limits of a connection
			limited("getServerTime", nil)
		}
		big := []byte(`[{"twoFactorCode":"1","twoFactorMethod":"totp","x":[` + strings.Repeat(`{"a":[]},`, 10_000) + `0]}]`)
		for _, s := range w.Router.Specs() {
			if n := testing.AllocsPerRun(1, func() {
				if !limited(s.Name, big) {
					t.Errorf("%s is not limited", s.Name)
				}
			}); n > 1000 {
				t.Errorf("%s: %.0f allocations before the limit", s.Name, n)
			}
		}
	})
}
