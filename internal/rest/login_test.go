package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ddpserver/internal/settings"
)

// doors are the ways in over REST, each with an optional code. Which routes can
// hand out a login token is asked of the surface below, so that a new one
// cannot be forgotten.
var doors = map[string]func(c *client, name, code string) answer{
	"user": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"user": name, "password": password}, code))
	},
	"username": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"username": name, "password": password}, code))
	},
	"email": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"email": strings.ToUpper(name) + "@Example.org", "password": password}, code))
	},
	"address as user": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"user": name + "@example.org", "password": password}, code))
	},
	"digest": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"user": name, "password": map[string]any{"digest": proof(), "algorithm": "sha-256"}}, code))
	},
	"hashed": func(c *client, name, code string) answer {
		return c.do("POST", "login", withCode(map[string]any{"user": name, "password": map[string]any{"hashed": proof()}}, code))
	},
	"header": func(c *client, name, code string) answer {
		if code != "" {
			c = c.with("x-2fa-code", code)
		}
		return c.do("POST", "login", map[string]any{"user": name, "password": password})
	},
	"wrapper": func(c *client, name, code string) answer {
		inner := map[string]any{"user": map[string]any{"username": name}, "password": password}
		if code == "" {
			return c.do("POST", "login", inner)
		}
		return c.do("POST", "login", map[string]any{"totp": map[string]any{"login": inner, "code": code}})
	},
	"form": func(c *client, name, code string) answer {
		f := url.Values{"user": {name}, "password": {password}}
		if code != "" {
			f.Set("code", code)
		}
		return c.with("Content-Type", "application/x-www-form-urlencoded").do("POST", "login", f.Encode())
	},
	"method.callAnon": func(c *client, name, code string) answer { return byMethod(c, "method.callAnon/login", name, code) },
	"method.call without headers": func(c *client, name, code string) answer {
		a := byMethod(c, "method.call/login", name, code)
		if a.status == 401 {
			a.body["error"] = "totp-required" // it needs a login first: closed is as good as challenged
		}
		return a
	},
}

func withCode(m map[string]any, code string) map[string]any {
	if code != "" {
		m["code"] = code
	}
	return m
}

// byMethod logs in through method.call and gives the answer the shape of login's.
func byMethod(c *client, path, name, code string) answer {
	login := any(map[string]any{"user": map[string]any{"username": name}, "password": password})
	if code != "" {
		login = map[string]any{"totp": map[string]any{"login": login, "code": code}}
	}
	params, _ := json.Marshal([]any{login})
	a := c.do("POST", path, map[string]any{"message": `{"msg":"method","id":"1","method":"login","params":` + string(params) + `}`})
	var frame struct {
		Error  struct{ Error any }
		Result struct{ ID, Token string }
	}
	_ = json.Unmarshal([]byte(a.text("message")), &frame)
	switch {
	case frame.Result.Token != "":
		a.body = map[string]any{"data": map[string]any{"userId": frame.Result.ID, "authToken": frame.Result.Token}}
	case frame.Error.Error != nil:
		a.status, a.body["error"] = 401, frame.Error.Error
	}
	return a
}

// S041: a token appears only with the right code, whatever the door.
func TestS041LoginMatrix(t *testing.T) {
	for door, enter := range doors {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t, map[string]string{settings.TwoFactorWrongPerHour: "100", settings.TwoFactorMailsPerHour: "100",
				"DDP_Rate_Limit_Connection_By_Method_Enabled": "false"})
			for _, state := range []string{"none", "email", "totp", "both"} {
				u := w.account("u" + state)
				secret := ""
				c := w.login("u" + state)
				if state == "totp" || state == "both" {
					a := c.proven().do("POST", "users.enableTotp", nil)
					need(t, "enrol", a, 200, "")
					secret = a.text("secret")
					need(t, "first code", c.do("POST", "users.validateTotp", map[string]any{"code": w.totpCode(secret)}), 200, "")
				}
				if state == "email" || state == "both" {
					on := c
					if secret != "" {
						on = c.with("x-2fa-code", w.totpCode(secret))
					}
					need(t, "mail factor", on.do("POST", "users.2fa.enableEmail", nil), 200, "")
				}
				closed := door == "method.call without headers"
				for _, kind := range []string{"no", "wrong", "right"} {
					code := ""
					switch {
					case kind == "wrong":
						code = w.wrongCode(secret)
					case kind == "right" && secret != "":
						code = w.totpCode(secret)
					case kind == "right" && state == "email" && !closed:
						code = w.lastCode()
					}
					a := enter(w.client(), u.Username, code)
					data, _ := a.body["data"].(map[string]any)
					got := data != nil && data["authToken"] != nil
					want := !closed && (state == "none" || kind == "right")
					if got != want {
						t.Errorf("%s factor, %s code: token %v, want %v: %d %s", state, kind, got, want, a.status, a.raw)
					}
					if !want && !closed {
						wantError := map[string]string{"no": "totp-required", "wrong": "totp-invalid"}[kind]
						if a.text("error") != wantError {
							t.Errorf("%s factor, %s code: %s", state, kind, a.raw)
						}
					}
				}
			}
		})
	}
}

// Every route whose answer may hold a login token has to be a door of the matrix
// or to ask for a login first.
func TestS041NoOtherDoorHandsOutTokens(t *testing.T) {
	w := newWorld(t, nil)
	known := map[string]bool{"login": true, "method.callAnon/:method": true}
	for _, rt := range w.rest.Routes() {
		published, _ := json.Marshal(rt.Result)
		if strings.Contains(strings.ToLower(string(published)), "token\"") && rt.Auth != 0 && !known[rt.Path] {
			t.Errorf("%s %s may hand out a token without a login and is no door of the matrix", rt.Verb, rt.Path)
		}
	}
}

func TestS043NeverATokenForABadPassword(t *testing.T) {
	w := newWorld(t, map[string]string{"Block_Multiple_Failed_Logins_Enabled": "false"})
	w.account("ada")
	for _, bad := range []string{`"wrong"`, `""`, `null`, `[]`, `["correct horse"]`, `12`, `{"$ne":null}`, `{"digest":"` + strings.ToUpper(proof()) +
		`","algorithm":"sha-256"}`,
		`{"digest":"` + proof() + `","algorithm":"md5"}`, `{"digest":"` + proof()[1:] + `","algorithm":"sha-256"}`, `{"digest":"` + proof() +
			`0","algorithm":"sha-256"}`,
		`"` + proof() + `"`, `"` + strings.Repeat("x", 300) + `"`, `{"digest":{"$gt":""},"algorithm":"sha-256"}`} {
		a := w.client().do("POST", "login", `{"user":"ada","password":`+bad+`}`)
		if a.status != 401 && a.status != 400 || strings.Contains(a.raw, "authToken") {
			t.Errorf("password %s: %d %s", bad, a.status, a.raw)
		}
	}
	if a := w.client().do("POST", "login", map[string]any{"user": "ada", "password": "wrong"}); a.text("error") != "Unauthorized" ||
		a.text("message") != "Unauthorized" {
		t.Errorf("a masked failure: %s", a.raw)
	}
}

func TestResumeByBodyAndStaleCodes(t *testing.T) {
	w := newWorld(t, nil)
	w.account("ada")
	ada := w.login("ada")
	a := w.client().with("x-2fa-code", "999999").do("POST", "login", map[string]any{"resume": ada.token})
	need(t, "resume with a stale code in the headers", a, 200, "")
	need(t, "an unprotected route with a stale code", ada.with("x-2fa-code", "999999").with("x-2fa-method", "totp").do("GET", "me", nil), 200, "")
	need(t, "logout by GET", ada.do("GET", "logout", nil), 200, "")
	if a := w.client().do("POST", "login", map[string]any{"resume": ada.token}); a.status != 401 {
		t.Errorf("resume after logout: %d %s", a.status, a.raw)
	}
	// No body at all with a content type, as several clients send it.
	need(t, "empty body", w.client().do("POST", "login", nil), 401, "")
}

// S060: a token has one spelling.
func TestS060TokenVariants(t *testing.T) {
	w := newWorld(t, nil)
	w.account("ada")
	w.account("bob")
	ada, bob := w.login("ada"), w.login("bob")
	for _, token := range []string{ada.token[:42], ada.token + "A", strings.ToUpper(ada.token), " " + ada.token, ada.token + "=", bob.token, "",
		strings.Repeat("a", 10000)} {
		c := &client{w: w, id: ada.id, token: token, header: map[string]string{}}
		if a := c.do("GET", "me", nil); token != " "+ada.token && a.status != 401 { // HTTP trims blanks around a header
			t.Errorf("token %.50q: %d", token, a.status)
		}
	}
}

// The eleventh login of a minute from one address is one too many, and is told
// when to come back.
func TestLoginIsLimited(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true"})
	w.account("ada")
	body := map[string]any{"user": "ada", "password": password}
	for i := range 10 {
		if a := w.client().do("POST", "login", body); a.status != 200 {
			t.Fatalf("login %d: %d %s", i+1, a.status, a.raw)
		}
	}
	a := w.client().do("POST", "login", body)
	if a.status != 429 || a.errorType() != "error-too-many-requests" || a.header.Get("Retry-After") == "" {
		t.Errorf("the eleventh: %d %v %s", a.status, a.header, a.raw)
	}
}

// S060: a header that is there twice is nobody's, whichever of the two is right.
func TestS060DoubledHeaders(t *testing.T) {
	w := newWorld(t, nil)
	w.account("ada")
	ada := w.login("ada")
	for _, name := range []string{"X-Auth-Token", "X-User-Id"} {
		for _, first := range []bool{true, false} {
			req, err := http.NewRequest("GET", w.url+"/api/v1/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-User-Id", ada.id)
			req.Header.Set("X-Auth-Token", ada.token)
			right := req.Header.Get(name)
			req.Header[name] = []string{right, "other"}
			if !first {
				req.Header[name] = []string{"other", right}
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != 401 {
				t.Errorf("two headers %s, the right one first: %v: %d", name, first, resp.StatusCode)
			}
		}
	}
}

func TestMethodCallShapes(t *testing.T) {
	w := newWorld(t, nil)
	w.account("ada")
	ada := w.login("ada")
	call := func(c *client, method, params string) answer {
		return c.do("POST", "method.call/"+strings.ReplaceAll(method, "/", ":"),
			map[string]any{"message": fmt.Sprintf(`{"msg":"method","id":"7","method":%q,"params":%s}`, method, params)})
	}
	if a := call(ada, "getServerTime", "[]"); a.status != 200 || !strings.HasPrefix(a.text("message"), `{"msg":"result","id":"7","result":{"$date":`) {
		t.Errorf("getServerTime: %d %s", a.status, a.raw)
	}
	if a := call(ada, "nope", "[]"); a.status != 400 || a.body["success"] != false || !strings.Contains(a.text("message"), `"error":404`) ||
		!strings.Contains(a.text("message"), `"errorType":"Meteor.Error"`) {
		t.Errorf("unknown method: %d %s", a.status, a.raw)
	}
	disable := call(ada, "2fa:enable-email", "[]")
	need(t, "enable", disable, 200, "")
	a := call(ada, "2fa:disable-email", "[]")
	if a.status != 400 || !strings.Contains(a.text("message"), `"error":"totp-required"`) {
		t.Fatalf("disable: %d %s", a.status, a.raw)
	}
	code := w.lastCode()
	if a := call(ada.with("x-2fa-code", code), "2fa:disable-email", "[]"); !strings.Contains(a.text("message"), "totp-required") {
		t.Errorf("one header of two must be ignored here: %s", a.raw)
	}
	if a := call(ada, "2fa:disable-email", `[{"twoFactorCode":"`+code+`","twoFactorMethod":"email"}]`); a.status != 200 ||
		!strings.Contains(a.text("message"), `"result":true`) {
		t.Errorf("disable with a trailing answer: %d %s", a.status, a.raw)
	}
	for _, bad := range []string{"", "x", "{}", `{"msg":"sub","id":"1","method":"x"}`, `{"msg":"method","id":1,"method":"x"}`,
		`{"msg":"method","id":"1","method":"x","params":{}}`, `{"msg":"method","id":"1","method":"x","params":[{"$type":"no","$value":1}]}`} {
		if a := ada.do("POST", "method.call/x", map[string]any{"message": bad}); a.status != 400 || a.errorType() != "invalid-params" {
			t.Errorf("message %q: %d %s", bad, a.status, a.raw)
		}
	}
}

func TestStrangersLearnNothingFromCodeRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.account("ada")
	known := w.client().do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "ada"})
	unknown := w.client().do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "nobody"})
	if known.status != 200 || known.raw != unknown.raw || w.mailed() != 0 {
		t.Errorf("known %d %s, unknown %d %s, %d mails although the factor is off", known.status, known.raw, unknown.status, unknown.raw, w.mailed())
	}
	if a := w.client().do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "ada", "x": 1}); a.status != 400 {
		t.Errorf("further members: %d", a.status)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("POST", "login", `{"user":"ada","password":"x"}`, "000000")
	f.Add("POST", "method.call/x", `{"message":"{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[{}]}"}`, "")
	f.Add("GET", "users.info?username[$ne]=x", ``, "")
	f.Add("POST", "users.update", `{"userId":{"$gt":""},"data":{}}`, "")
	w := newWorld(f, nil)
	w.account("root1", "admin")
	root := w.login("root1")
	f.Fuzz(func(t *testing.T, verb, path, body, code string) {
		u, err := url.Parse("http://localhost/api/v1/" + path)
		if err != nil || strings.ContainsAny(verb, " \r\n\t\x00") || verb == "" || strings.Contains(path, "logout") {
			return
		}
		req := &http.Request{Method: verb, URL: u, Header: http.Header{"X-User-Id": {root.id}, "X-Auth-Token": {root.token}, "X-2fa-Code": {code}},
			Body: http.NoBody, Host: "localhost", RequestURI: u.RequestURI()}
		if body != "" {
			req.Body = readCloser(body)
		}
		rec := httptest.NewRecorder()
		w.rest.ServeHTTP(rec, req.WithContext(t.Context()))
		if rec.Code == http.StatusInternalServerError {
			t.Errorf("%s %s %q: 500 %s", verb, path, body, rec.Body)
		}
		if rec.Body.Len() > 0 && rec.Header().Get("Content-Type") == "application/json" && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s: %q is not JSON", verb, path, rec.Body)
		}
	})
}
