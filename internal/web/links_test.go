package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestLinksPage(t *testing.T) {
	s := New(Options{Prefix: "/chat", Mounts: []Mount{{Path: "/", Handler: Links()}, {Path: "/links", Subtree: true, Handler: Links()}}})
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	page := get("GET", "/chat/")
	if page.Code != 200 || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || page.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Fatal(page.Code, page.Header())
	}
	policy := page.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	// Every file the page names is there, relative to the prefix, and nothing is inline.
	named := regexp.MustCompile(`(?:src|href)="(links/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(named) != 2 {
		t.Error("the page names", named)
	}
	for _, m := range named {
		if w := get("GET", "/chat/"+m[1]); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s: %d", m[1], w.Code)
		}
	}
	if strings.Contains(page.Body.String(), "<style") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(page.Body.String()) {
		t.Error("something is inline, which the policy forbids")
	}
	for path, want := range map[string]int{
		"/chat/links/": 404, "/chat/links/links.html": 404, "/chat/links/../links.go": 404, "/chat/links/%2e%2e/links.go": 404, "/": 404,
	} {
		if w := get("GET", path); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := get(http.MethodPost, "/chat/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Error(w.Code)
	}
}
