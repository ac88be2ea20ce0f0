package console

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"ddpserver/internal/web"
)

// served is the console below /chat, behind the same server as in the program.
func served(t *testing.T) func(method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := New("https://example.org/chat")
	if err != nil {
		t.Fatal(err)
	}
	s := web.New(web.Options{Prefix: "/chat", Mounts: []web.Mount{{Path: Root, Handler: h}, {Path: Assets, Subtree: true, Handler: h}}})
	return func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
}

// Every answer of the console, refusals too, carries a policy without holes.
func TestPolicy(t *testing.T) {
	get := served(t)
	page := get("GET", "/chat/")
	for _, w := range []*httptest.ResponseRecorder{page, get("GET", "/chat/console/nothing.js"), get("POST", "/chat/"), get("GET", "/chat")} {
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%d: the policy %q lacks %s", w.Code, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%d: the policy %q has a hole", w.Code, policy)
		}
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%d: %s: %q", w.Code, name, got)
			}
		}
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' wss://example.org;") {
		t.Error("the policy does not let the page reach its own WebSocket:", policy)
	}
}

// Every file the page names is there, below the prefix, and nothing is inline.
func TestPage(t *testing.T) {
	get := served(t)
	page := get("GET", "/chat/")
	if page.Code != 200 || page.Header().Get("Content-Type") != "text/html; charset=utf-8" || page.Header().Get("Cache-Control") != "no-cache" {
		t.Fatal(page.Code, page.Header())
	}
	named := regexp.MustCompile(`(?:src|href)="\./(console/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(named) < 3 {
		t.Error("the page names", named)
	}
	for _, m := range named {
		w := get("GET", "/chat/"+m[1])
		if w.Code != 200 || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", m[1], w.Code, w.Header())
		}
	}
	if regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]`).MatchString(page.Body.String()) {
		t.Error("something is inline, which the policy forbids")
	}
	if regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).MatchString(page.Body.String()) {
		t.Error("the page loads something from elsewhere")
	}
}

func TestAnswers(t *testing.T) {
	get := served(t)
	for path, want := range map[string]int{
		"/chat/console/": 404, "/chat/console": 404, "/chat/index.html": 404, "/chat/console/../console.go": 404, "/chat/console/%2e%2e/console.go": 404, "/": 404,
	} {
		if w := get("GET", path); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := get("POST", "/chat/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Error(w.Code, w.Header())
	}
	if w := get("GET", "/chat?x=1"); w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "/chat/" {
		t.Error(w.Code, w.Header())
	}
	if w := get("HEAD", "/chat/"); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Error(w.Code, w.Body.Len(), w.Header())
	}
	tag := get("GET", "/chat/").Header().Get("ETag")
	if w := get("GET", "/chat/", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Error(w.Code, w.Body.Len())
	}
}

func TestCompression(t *testing.T) {
	get := served(t)
	m := regexp.MustCompile(`console/index-[^"]+\.js`).FindString(get("GET", "/chat/").Body.String())
	plain := get("GET", "/chat/"+m)
	for _, accept := range []string{"gzip", "br, gzip;q=0.5", "deflate,gzip ; q=1"} {
		w := get("GET", "/chat/"+m, "Accept-Encoding", accept)
		if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Fatal(accept, w.Header())
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil || string(b) != plain.Body.String() {
			t.Error(accept, err, len(b))
		}
	}
	for _, accept := range []string{"", "br", "gzip;q=0", "gzipped"} {
		if w := get("GET", "/chat/"+m, "Accept-Encoding", accept); w.Header().Get("Content-Encoding") != "" {
			t.Error(accept, w.Header())
		}
	}
}

// What a browser loads before the first page stands is at most 150 KiB of scripts.
func TestWeight(t *testing.T) {
	h, err := New("http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	first := 0
	for name, f := range h.(*handler).files {
		if strings.HasPrefix(name, "/console/index-") && strings.HasSuffix(name, ".js") {
			first += len(f.small)
		}
	}
	if first == 0 || first > 150<<10 {
		t.Errorf("the first page loads %d bytes of scripts", first)
	}
}
