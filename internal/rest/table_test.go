package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// example makes a body that satisfies a schema.
func example(s map[string]any) any {
	if alternatives, ok := s["anyOf"].([]any); ok {
		return example(alternatives[0].(map[string]any))
	}
	if e, ok := s["enum"].([]any); ok {
		return e[0]
	}
	switch s["type"] {
	case "object":
		out := map[string]any{}
		required, _ := s["required"].([]any)
		for _, name := range required {
			out[name.(string)] = example(s["properties"].(map[string]any)[name.(string)].(map[string]any))
		}
		return out
	case "array":
		return []any{}
	case "boolean":
		return true
	case "integer", "number":
		return 1
	}
	return "nothing-such"
}

func body(rt rest.Route) any {
	if rt.Body == nil {
		return nil
	}
	return example(rt.Body)
}

func path(rt rest.Route) string {
	parts := strings.Split(rt.Path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = "Site_Name"
		}
	}
	out := strings.Join(parts, "/")
	if rt.Query != nil {
		sep := "?"
		required, _ := rt.Query["required"].([]any)
		for _, name := range required {
			out += sep + name.(string) + "=nothing-such"
			sep = "&"
		}
	}
	return out
}

// Every route, from its own table line: logged out, no permission, bad body,
// challenge. The answers' shapes are checked by the world.
func TestEveryRoute(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	w.Account("ada")
	root, ada := w.Login("root1"), w.Login("ada")
	for _, rt := range w.REST.Routes() {
		name := rt.Verb + " " + rt.Path
		if rt.Auth == rest.LoginRequired {
			if a := w.Caller().Do(rt.Verb, path(rt), body(rt)); a.Status != 401 || a.Text("error") != "You must be logged in to do this." {
				t.Errorf("%s logged out: %d %s", name, a.Status, a.Raw)
			}
			forged := &client{API: w, ID: root.ID, Token: ada.Token}
			if a := forged.Do(rt.Verb, path(rt), body(rt)); a.Status != 401 {
				t.Errorf("%s with another user's token: %d %s", name, a.Status, a.Raw)
			}
		}
		if rt.Permission != "" && !permission.Has(&user.User{Roles: []string{"user"}}, rt.Permission) {
			if a := ada.Do(rt.Verb, path(rt), body(rt)); a.Status != 403 || a.ErrorType() != "error-unauthorized" {
				t.Errorf("%s without %s: %d %s", name, rt.Permission, a.Status, a.Raw)
			}
		}
		if rt.Body != nil {
			for _, bad := range []string{`[]`, `"x"`, `{"a":`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)} {
				if a := root.Do(rt.Verb, path(rt), bad); a.Status != 400 && a.Status != 401 {
					t.Errorf("%s with body %.20q: %d %s", name, bad, a.Status, a.Raw)
				}
			}
			wrongTypes(t, root, rt)
		}
		if rt.Factor == twofactor.Fresh {
			if a := root.Do(rt.Verb, path(rt), body(rt)); a.Status != 400 || a.ErrorType() != "totp-required" || a.Details()["method"] != "password" {
				t.Errorf("%s is %v and does not challenge: %d %s", name, rt.Factor, a.Status, a.Raw)
			}
			if a := root.With("x-2fa-code", "000000").Do(rt.Verb, path(rt), body(rt)); a.ErrorType() != "totp-invalid" && a.ErrorType() != "totp-max-attempts" {
				t.Errorf("%s takes a wrong answer: %d %s", name, a.Status, a.Raw)
			}
			if err := w.Store.ResetGuard(t.Context(), root.ID); err != nil {
				t.Fatal(err)
			}
		}
		if rt.Verb == http.MethodPost {
			if a := root.Do(http.MethodDelete, rt.Path, nil); a.Status != 405 || a.Header.Get("Allow") == "" {
				t.Errorf("DELETE %s: %d %s", rt.Path, a.Status, a.Raw)
			}
		}
	}
	for name, said := range map[string]string{"no.such.route": ": GET no.such.route", "no.such/%3Cb%3E": "", strings.Repeat("x", 101): ""} {
		a := root.Do("GET", name, nil)
		if a.Status != 404 || a.ErrorType() != "error-not-found" || a.Text("error") != "There is no such endpoint"+said+" [error-not-found]" {
			t.Errorf("unknown route: %d %s", a.Status, a.Raw)
		}
	}
}

// wrongTypes sends every required member with types it must not have: 400 with
// the member's name, never a 500 and never a look-up with an operator (S071).
func wrongTypes(t *testing.T, c *client, rt rest.Route) {
	t.Helper()
	required, _ := rt.Body["required"].([]any)
	for _, name := range required {
		property := rt.Body["properties"].(map[string]any)[name.(string)].(map[string]any)
		for _, bad := range []string{`{"$ne":null}`, `{"$regex":"^a"}`, `[1]`, `null`, `12`} {
			if bad == `12` && property["type"] == "string" {
				continue // it stands for a text (TestValuesOfOtherTypes)
			}
			if property["type"] == nil || property["type"] == "object" && bad[0] == '{' || property["type"] == "array" && bad[0] == '[' {
				continue
			}
			full, _ := example(rt.Body).(map[string]any)
			full[name.(string)] = json.RawMessage(bad)
			a := c.Do(rt.Verb, path(rt), full)
			if a.Status != 400 || !strings.Contains(a.Raw, name.(string)) {
				t.Errorf("%s %s with %s = %s: %d %s", rt.Verb, rt.Path, name, bad, a.Status, a.Raw)
			}
		}
	}
}

// The schemas are compiled when they are needed, so a broken one would only be found
// by whoever calls its route.
func TestEverySchemaCompiles(t *testing.T) {
	for _, rt := range newWorld(t, nil).REST.Routes() {
		if err := rt.Compile(); err != nil {
			t.Errorf("%s %s: %v", rt.Verb, rt.Path, err)
		}
	}
}

func TestLimitIsTold(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true"})
	w.Account("ada")
	ada := w.Login("ada")
	for i := range 10 {
		a := ada.Do("GET", "me", nil)
		if a.Status != 200 || a.Header.Get("X-RateLimit-Limit") != "10" || a.Header.Get("X-RateLimit-Reset") == "" {
			t.Fatalf("request %d: %d %v", i, a.Status, a.Header)
		}
	}
	a := ada.Do("GET", "me", nil)
	if a.Status != 429 || a.Header.Get("Retry-After") == "" || a.Header.Get("X-RateLimit-Remaining") != "0" ||
		!strings.Contains(a.Text("error"), "[error-too-many-requests]") {
		t.Errorf("eleventh request: %d %s %v", a.Status, a.Raw, a.Header)
	}
	if a := ada.With("Test-Address", "127.0.0.2").Do("GET", "me", nil); a.Status != 200 {
		t.Errorf("another address pays for it: %d", a.Status)
	}
}

// segment is a part of a path that stands for any text.
var segment = regexp.MustCompile(`:([A-Za-z_]+)`)

func TestDocumentIsOpenAPI(t *testing.T) {
	w := newWorld(t, nil)
	if w.Doc.OpenAPI != "3.1.0" {
		t.Error(w.Doc.OpenAPI)
	}
	if err := w.Doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	ids := map[string]bool{}
	for _, rt := range w.REST.Routes() {
		item := w.Doc.Paths.Find("/" + segment.ReplaceAllString(rt.Path, "{$1}"))
		if item == nil || item.GetOperation(rt.Verb) == nil {
			t.Errorf("%s %s is not published", rt.Verb, rt.Path)
			continue
		}
		op := item.GetOperation(rt.Verb)
		if op.Summary == "" || ids[op.OperationID] {
			t.Errorf("%s %s: summary %q, id %q taken %v", rt.Verb, rt.Path, op.Summary, op.OperationID, ids[op.OperationID])
		}
		ids[op.OperationID] = true
	}
}

// What the routes take and answer has names, by which the document refers to it, and
// no object is published twice under two of them.
func TestSchemasHaveNames(t *testing.T) {
	w := newWorld(t, nil)
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody *struct {
				Content map[string]struct{ Schema map[string]any }
			}
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(w.REST.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, operations := range doc.Paths {
		for verb, op := range operations {
			if op.RequestBody != nil {
				for _, c := range op.RequestBody.Content {
					if c.Schema["$ref"] == nil {
						t.Errorf("%s %s: its body has no name: %v", verb, path, c.Schema)
					}
				}
			}
			for status, r := range op.Responses {
				if len(r.Content) == 0 && status != "307" {
					t.Errorf("%s %s: its answer %s has no content", verb, path, status)
				}
				for media, c := range r.Content { // a route that answers a file has others than application/json
					if c.Schema["$ref"] == nil {
						t.Errorf("%s %s: its answer %s has no name as %s", verb, path, status, media)
					}
				}
			}
		}
	}
	if n := len(doc.Components.Schemas); n < atLeast(110, 60) {
		t.Errorf("%d names", n)
	}
}

func TestPageAndDocumentAreServed(t *testing.T) {
	w := newWorld(t, nil)
	for path, want := range map[string]string{"/api/docs": "<!doctype html>", "/api/docs/docs.js": "fetch('openapi.json')",
		"/api/docs/docs.css": "color-scheme", "/api/openapi.json": `"openapi":"3.1.0"`} {
		resp, err := w.HTTP.Get(testkit.RootURL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %.80s %v", path, resp.StatusCode, b, err)
		}
		if strings.HasPrefix(path, "/api/docs") && !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s has no content security policy", path)
		}
	}
	resp, err := w.HTTP.Get(testkit.RootURL + "/api/docs/%2e%2e/world_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("a file outside is served: %d", resp.StatusCode)
	}
}

func TestBrowsersOfAllowedOriginsMayRead(t *testing.T) {
	w := newWorld(t, nil)
	for origin, allowed := range map[string]bool{"http://localhost:3000": true, "https://evil.example": false} {
		req, _ := http.NewRequest(http.MethodOptions, testkit.RootURL+"/api/v1/login", nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Headers", "x-2fa-code")
		resp, err := w.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		got := resp.Header.Get("Access-Control-Allow-Origin") == origin && strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "x-2fa-code")
		if got != allowed || resp.StatusCode != 204 {
			t.Errorf("preflight from %s: %d %v", origin, resp.StatusCode, resp.Header)
		}
	}
}

// What is below the prefix and no route is told so, in JSON and without a redirect,
// however it is written.
func TestPathsOfNoRoute(t *testing.T) {
	w := newWorld(t, nil)
	w.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := w.Caller()
	for _, path := range []string{"", "/", "//me", "me//", "./me", "users.info/../me", "settings/", "settings/a/b", "me/x",
		"no.such.route", "method.call", "%6De/x"} {
		if a := c.Do("GET", path, nil); a.Status != 404 && !(path == "settings/" && a.Status == 401) {
			t.Errorf("GET %q: %d %s", path, a.Status, a.Raw)
		}
	}
	for _, path := range []string{"me", "me/", "%6De"} {
		resp, err := w.HTTP.Get(testkit.RootURL + "/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("GET %q: %d", path, resp.StatusCode)
		}
		if a := c.Do("PUT", path, nil); a.Status != 405 || a.Header.Get("Allow") != "GET" {
			t.Errorf("PUT %q: %d %q", path, a.Status, a.Header.Get("Allow"))
		}
	}
	// Nor does writing the slashes of the prefix in another way escape the counting.
	for _, path := range []string{"/api%2Fv1/me", "/api%2fv1%2Fme", "/api/v1%2Fme"} {
		resp, err := w.HTTP.Get(testkit.RootURL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %q: %d %q", path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
	}
	if a := c.Do("PATCH", "settings/x", nil); a.Status != 405 || a.Header.Get("Allow") != "GET, POST" {
		t.Errorf("PATCH settings/x: %d %q", a.Status, a.Header.Get("Allow"))
	}
	if a := c.Do("HEAD", "info", nil); a.Status != 200 {
		t.Errorf("HEAD info: %d", a.Status)
	}
}
