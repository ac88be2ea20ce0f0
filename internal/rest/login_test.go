package rest_test

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// doors are the ways in over REST, each with an optional code. Which routes can
// hand out a login token is asked of the surface below, so that a new one
// cannot be forgotten.
var doors = map[string]func(c *client, name, code string) answer{
	"user": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"user": name, "password": testkit.Password}, code))
	},
	"username": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"username": name, "password": testkit.Password}, code))
	},
	"email": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"email": strings.ToUpper(name) + "@Example.org", "password": testkit.Password}, code))
	},
	"address as user": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"user": name + "@example.org", "password": testkit.Password}, code))
	},
	"digest": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"user": name, "password": map[string]any{"digest": testkit.Proof(), "algorithm": "sha-256"}}, code))
	},
	"hashed": func(c *client, name, code string) answer {
		return c.Do("POST", "login", withCode(map[string]any{"user": name, "password": map[string]any{"hashed": testkit.Proof()}}, code))
	},
	"header": func(c *client, name, code string) answer {
		if code != "" {
			c = c.With("x-2fa-code", code)
		}
		return c.Do("POST", "login", map[string]any{"user": name, "password": testkit.Password})
	},
	"wrapper": func(c *client, name, code string) answer {
		inner := map[string]any{"user": map[string]any{"username": name}, "password": testkit.Password}
		if code == "" {
			return c.Do("POST", "login", inner)
		}
		return c.Do("POST", "login", map[string]any{"totp": map[string]any{"login": inner, "code": code}})
	},
	"form": func(c *client, name, code string) answer {
		f := url.Values{"user": {name}, "password": {testkit.Password}}
		if code != "" {
			f.Set("code", code)
		}
		return c.With("Content-Type", "application/x-www-form-urlencoded").Do("POST", "login", f.Encode())
	},
	"method.callAnon": func(c *client, name, code string) answer { return byMethod(c, "method.callAnon/login", name, code) },
	"method.call without headers": func(c *client, name, code string) answer {
		a := byMethod(c, "method.call/login", name, code)
		if a.Status == 401 {
			a.Body["error"] = "totp-required" // it needs a login first: closed is as good as challenged
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
	login := any(map[string]any{"user": map[string]any{"username": name}, "password": testkit.Password})
	if code != "" {
		login = map[string]any{"totp": map[string]any{"login": login, "code": code}}
	}
	params, _ := json.Marshal([]any{login})
	a := c.Do("POST", path, map[string]any{"message": `{"msg":"method","id":"1","method":"login","params":` + string(params) + `}`})
	var frame struct {
		Error  struct{ Error, Details any }
		Result struct{ ID, Token string }
	}
	_ = json.Unmarshal([]byte(a.Text("message")), &frame)
	switch {
	case frame.Result.Token != "":
		a.Body = map[string]any{"data": map[string]any{"userId": frame.Result.ID, "authToken": frame.Result.Token}}
	case frame.Error.Error != nil:
		a.Status, a.Body["error"], a.Body["details"] = 401, frame.Error.Error, frame.Error.Details
	}
	return a
}

// S041: a token appears only with the right code, whatever the door.
func TestS041LoginMatrix(t *testing.T) {
	for door, enter := range doors {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t, map[string]string{settings.TwoFactorWrongPerHour: "100", settings.TwoFactorMailsPerHour: "100",
				"DDP_Rate_Limit_Connection_By_Method_Enabled": "false"})
			// Every factor that people are asked for by name is a state, and all at once.
			states := map[string][]string{"none": nil, "all": w.Factors.Names(), "all typed": {"totp", "email"}}
			for _, name := range w.Factors.Names() {
				states[name] = []string{name}
			}
			for state, factors := range states {
				u := w.Account("u" + strings.ReplaceAll(state, " ", ""))
				secret := guard(t, w, u, factors)
				closed := door == "method.call without headers"
				for _, kind := range []string{"no", "wrong", "right"} {
					code := ""
					switch {
					case kind == "wrong":
						code = w.WrongCode(secret)
					case kind == "right" && !closed && state != "none":
						factor := factors[0]
						if len(factors) > 1 {
							factor = "totp" // which every client can ask for
						}
						code = right(t, w, factor, secret, func() answer { return enter(w.Caller(), u.Username, "") })
					}
					a := enter(w.Caller(), u.Username, code)
					data, _ := a.Body["data"].(map[string]any)
					got := data != nil && data["authToken"] != nil
					want := !closed && (state == "none" || kind == "right")
					if got != want {
						t.Errorf("%s factor, %s code: token %v, want %v: %d %s", state, kind, got, want, a.Status, a.Raw)
					}
					if !want && !closed {
						wantError := map[string]string{"no": "totp-required", "wrong": "totp-invalid"}[kind]
						if a.Text("error") != wantError {
							t.Errorf("%s factor, %s code: %s", state, kind, a.Raw)
						}
					}
				}
			}
		})
	}
}

// guard gives an account these factors, and returns the secret of its app.
func guard(t *testing.T, w *world, u *user.User, factors []string) (secret string) {
	t.Helper()
	for _, factor := range factors {
		var change func(*user.Services)
		switch factor {
		case "totp":
			secret = base32.StdEncoding.EncodeToString(fmt.Appendf(nil, "%-20.20s", u.Username))
			change = func(s *user.Services) { s.TOTP = &user.TOTP{Enabled: true, Secret: secret} }
		case "email":
			change = user.SetEmail2FA(user.Email2FA{Enabled: true})
		case "webauthn":
			keys := w.Passkeys(u.Username, true)
			change = func(s *user.Services) { s.WebAuthn = keys }
		default:
			t.Fatalf("nobody says how an account gets %s", factor)
		}
		if _, err := w.Store.UpdateUser(t.Context(), u.ID, user.Change{Factor: change, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	return secret
}

// right is a right answer of that factor to what a door asks for. Whoever adds a factor says
// here how people answer it.
func right(t *testing.T, w *world, factor, secret string, ask func() answer) string {
	t.Helper()
	switch factor {
	case "totp":
		return w.TOTPCode(secret)
	case "email":
		return w.LastCode()
	case "webauthn":
		details, _ := json.Marshal(ask().Details())
		return w.AnswerOf(details)
	}
	t.Fatalf("nobody says how people answer %s", factor)
	return ""
}

// Every route whose answer may hold a login token has to be a door of the matrix
// or to ask for a login first.
func TestS041NoOtherDoorHandsOutTokens(t *testing.T) {
	w := newWorld(t, nil)
	known := map[string]bool{"login": true, "method.callAnon/:method": true}
	for _, rt := range w.REST.Routes() {
		published, _ := json.Marshal(rt.Result)
		if strings.Contains(strings.ToLower(string(published)), "token\"") && rt.Auth != rest.LoginRequired && !known[rt.Path] {
			t.Errorf("%s %s may hand out a token without a login and is no door of the matrix", rt.Verb, rt.Path)
		}
	}
}

func TestS043NeverATokenForABadPassword(t *testing.T) {
	w := newWorld(t, map[string]string{"Block_Multiple_Failed_Logins_Enabled": "false"})
	w.Account("ada")
	for _, bad := range []string{`"wrong"`, `""`, `null`, `[]`, `["correct horse"]`, `12`, `{"$ne":null}`, `{"digest":"` + strings.ToUpper(testkit.Proof()) +
		`","algorithm":"sha-256"}`,
		`{"digest":"` + testkit.Proof() + `","algorithm":"md5"}`, `{"digest":"` + testkit.Proof()[1:] + `","algorithm":"sha-256"}`, `{"digest":"` + testkit.Proof() +
			`0","algorithm":"sha-256"}`,
		`"` + testkit.Proof() + `"`, `"` + strings.Repeat("x", 300) + `"`, `{"digest":{"$gt":""},"algorithm":"sha-256"}`} {
		a := w.Caller().Do("POST", "login", `{"user":"ada","password":`+bad+`}`)
		if a.Status != 401 && a.Status != 400 || strings.Contains(a.Raw, "authToken") {
			t.Errorf("password %s: %d %s", bad, a.Status, a.Raw)
		}
	}
	if a := w.Caller().Do("POST", "login", map[string]any{"user": "ada", "password": "wrong"}); a.Text("error") != "Unauthorized" ||
		a.Text("message") != "Unauthorized" {
		t.Errorf("a masked failure: %s", a.Raw)
	}
}

func TestResumeByBodyAndStaleCodes(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("ada")
	ada := w.Login("ada")
	a := w.Caller().With("x-2fa-code", "999999").Do("POST", "login", map[string]any{"resume": ada.Token})
	need(t, "resume with a stale code in the headers", a, 200, "")
	need(t, "an unprotected route with a stale code", ada.With("x-2fa-code", "999999").With("x-2fa-method", "totp").Do("GET", "me", nil), 200, "")
	need(t, "logout by GET", ada.Do("GET", "logout", nil), 200, "")
	if a := w.Caller().Do("POST", "login", map[string]any{"resume": ada.Token}); a.Status != 401 {
		t.Errorf("resume after logout: %d %s", a.Status, a.Raw)
	}
	// No body at all with a content type, as several clients send it.
	need(t, "empty body", w.Caller().Do("POST", "login", nil), 401, "")
}

// S060: a token has one spelling.
func TestS060TokenVariants(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("ada")
	w.Account("bob")
	ada, bob := w.Login("ada"), w.Login("bob")
	for _, token := range []string{ada.Token[:42], ada.Token + "A", strings.ToUpper(ada.Token), " " + ada.Token, ada.Token + "=", bob.Token, "",
		strings.Repeat("a", 10000)} {
		c := &client{API: w, ID: ada.ID, Token: token}
		if a := c.Do("GET", "me", nil); token != " "+ada.Token && a.Status != 401 { // HTTP trims blanks around a header
			t.Errorf("token %.50q: %d", token, a.Status)
		}
	}
}

// The eleventh login of a minute from one address is one too many, and is told
// when to come back.
func TestLoginIsLimited(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true"})
	w.Account("ada")
	body := map[string]any{"user": "ada", "password": testkit.Password}
	for i := range 10 {
		if a := w.Caller().Do("POST", "login", body); a.Status != 200 {
			t.Fatalf("login %d: %d %s", i+1, a.Status, a.Raw)
		}
	}
	a := w.Caller().Do("POST", "login", body)
	if a.Status != 429 || a.ErrorType() != "error-too-many-requests" || a.Header.Get("Retry-After") == "" {
		t.Errorf("the eleventh: %d %v %s", a.Status, a.Header, a.Raw)
	}
}

// S060: a header that is there twice is nobody's, whichever of the two is right.
func TestS060DoubledHeaders(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("ada")
	ada := w.Login("ada")
	for _, name := range []string{"X-Auth-Token", "X-User-Id"} {
		for _, first := range []bool{true, false} {
			req, err := http.NewRequest("GET", testkit.RootURL+"/api/v1/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-User-Id", ada.ID)
			req.Header.Set("X-Auth-Token", ada.Token)
			right := req.Header.Get(name)
			req.Header[name] = []string{right, "other"}
			if !first {
				req.Header[name] = []string{"other", right}
			}
			resp, err := w.HTTP.Do(req)
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
	w.Account("ada")
	ada := w.Login("ada")
	call := func(c *client, method, params string) answer {
		return c.Do("POST", "method.call/"+strings.ReplaceAll(method, "/", ":"),
			map[string]any{"message": fmt.Sprintf(`{"msg":"method","id":"7","method":%q,"params":%s}`, method, params)})
	}
	if a := call(ada, "getServerTime", "[]"); a.Status != 200 || !strings.HasPrefix(a.Text("message"), `{"msg":"result","id":"7","result":{"$date":`) {
		t.Errorf("getServerTime: %d %s", a.Status, a.Raw)
	}
	if a := call(ada, "nope", "[]"); a.Status != 400 || a.Body["success"] != false || !strings.Contains(a.Text("message"), `"error":404`) ||
		!strings.Contains(a.Text("message"), `"errorType":"Meteor.Error"`) {
		t.Errorf("unknown method: %d %s", a.Status, a.Raw)
	}
	disable := call(ada, "2fa:enable-email", "[]")
	need(t, "enable", disable, 200, "")
	a := call(ada, "2fa:disable-email", "[]")
	if a.Status != 400 || !strings.Contains(a.Text("message"), `"error":"totp-required"`) {
		t.Fatalf("disable: %d %s", a.Status, a.Raw)
	}
	code := w.LastCode()
	if a := call(ada.With("x-2fa-code", code), "2fa:disable-email", "[]"); !strings.Contains(a.Text("message"), "totp-required") {
		t.Errorf("one header of two must be ignored here: %s", a.Raw)
	}
	if a := call(ada, "2fa:disable-email", `[{"twoFactorCode":"`+code+`","twoFactorMethod":"email"}]`); a.Status != 200 ||
		!strings.Contains(a.Text("message"), `"result":true`) {
		t.Errorf("disable with a trailing answer: %d %s", a.Status, a.Raw)
	}
	for _, bad := range []string{"", "x", "{}", `{"msg":"sub","id":"1","method":"x"}`, `{"msg":"method","id":1,"method":"x"}`,
		`{"msg":"method","id":"1","method":"x","params":{}}`, `{"msg":"method","id":"1","method":"x","params":[{"$type":"no","$value":1}]}`} {
		if a := ada.Do("POST", "method.call/x", map[string]any{"message": bad}); a.Status != 400 || a.ErrorType() != "invalid-params" {
			t.Errorf("message %q: %d %s", bad, a.Status, a.Raw)
		}
	}
}

func TestStrangersLearnNothingFromCodeRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("ada")
	known := w.Caller().Do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "ada"})
	unknown := w.Caller().Do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "nobody"})
	if known.Status != 200 || known.Raw != unknown.Raw || w.Mails.Count() != 0 {
		t.Errorf("known %d %s, unknown %d %s, %d mails although the factor is off", known.Status, known.Raw, unknown.Status, unknown.Raw, w.Mails.Count())
	}
	if a := w.Caller().Do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "ada", "x": 1}); a.Status != 400 {
		t.Errorf("further members: %d", a.Status)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("POST", "login", `{"user":"ada","password":"x"}`, "000000")
	f.Add("POST", "method.call/x", `{"message":"{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[{}]}"}`, "")
	f.Add("GET", "users.info?username[$ne]=x", ``, "")
	f.Add("POST", "users.update", `{"userId":{"$gt":""},"data":{}}`, "")
	w := newWorld(f, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	f.Fuzz(func(t *testing.T, verb, path, body, code string) {
		u, err := url.Parse("http://localhost/api/v1/" + path)
		if err != nil || strings.ContainsAny(verb, " \r\n\t\x00") || verb == "" || strings.Contains(path, "logout") {
			return
		}
		req := &http.Request{Method: verb, URL: u, Header: http.Header{"X-User-Id": {root.ID}, "X-Auth-Token": {root.Token}, "X-2fa-Code": {code}},
			Body: http.NoBody, Host: "localhost", RequestURI: u.RequestURI()}
		if body != "" {
			req.Body = readCloser(body)
		}
		rec := httptest.NewRecorder()
		w.REST.ServeHTTP(rec, req.WithContext(t.Context()))
		if rec.Code == http.StatusInternalServerError {
			t.Errorf("%s %s %q: 500 %s", verb, path, body, rec.Body)
		}
		if rec.Body.Len() > 0 && rec.Header().Get("Content-Type") == "application/json" && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s: %q is not JSON", verb, path, rec.Body)
		}
	})
}
