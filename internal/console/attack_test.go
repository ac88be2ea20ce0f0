package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ddpserver/internal/web"
)

// A23: every file of the console, and every refusal beside them, refuses to be framed,
// to be taken for another kind of file, to send its address on, and to be read by pages
// of other origins: files × path prefixes × ways of asking.
func TestA23EveryFileIsGuarded(t *testing.T) {
	var names []string
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(name, "dist"))
		}
		return err
	})
	if err != nil || len(names) < 10 {
		t.Fatal(err, names)
	}
	for _, root := range []string{"http://localhost:3000", "https://example.org/chat", "https://example.org/a/b"} {
		at, err := url.Parse(root)
		if err != nil {
			t.Fatal(err)
		}
		h, err := New(root)
		if err != nil {
			t.Fatal(err)
		}
		server := web.New(web.Options{Prefix: at.Path, Mounts: []web.Mount{{Path: Root, Handler: h}, {Path: Assets, Subtree: true, Handler: h}}})
		paths := append([]string{"/", "", "/console", "/console/", "/console/none.js", "/console/%2e%2e/index.html", "/none",
			"//other.example/", "/console//"}, names...)
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "TRACE"} {
				for _, header := range []string{"", "Accept-Encoding: gzip", "If-None-Match: *", "Range: bytes=0-9", "Sec-Fetch-Dest: iframe"} {
					r := httptest.NewRequest(method, "http://"+at.Host+"/", nil)
					if r.URL.Path, err = url.PathUnescape(at.Path + path); err != nil {
						t.Fatal(err)
					}
					r.RequestURI = at.Path + path
					r.Header.Set("Origin", "https://other.example")
					if name, value, ok := strings.Cut(header, ": "); ok {
						r.Header.Set(name, value)
					}
					w := httptest.NewRecorder()
					server.ServeHTTP(w, r)
					guarded(t, strings.Join([]string{method, root, path, header}, " "), w.Result())
				}
			}
		}
	}
}

// guarded checks the headers of one answer.
func guarded(t *testing.T, what string, a *http.Response) {
	t.Helper()
	policy := a.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s: %d: the policy %q lacks %s", what, a.StatusCode, policy, part)
		}
	}
	for _, hole := range []string{"unsafe", "*", "http:", "blob:", "strict-dynamic"} {
		if strings.Contains(policy, hole) {
			t.Errorf("%s: %d: the policy %q has a hole", what, a.StatusCode, policy)
		}
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Set-Cookie": ""} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %d: %s: %q", what, a.StatusCode, name, got)
		}
	}
	if place := a.Header.Get("Location"); strings.HasPrefix(place, "//") || strings.Contains(place, ":") {
		t.Errorf("%s leads to %q", what, place)
	}
	if kept := a.Header.Get("Cache-Control"); a.StatusCode != http.StatusOK && strings.Contains(kept, "immutable") && a.StatusCode != http.StatusNotModified {
		t.Errorf("%s: a refusal %d is kept: %q", what, a.StatusCode, kept)
	}
	if a.StatusCode == http.StatusOK && a.Header.Get("Content-Type") == "" {
		t.Errorf("%s: of no kind", what)
	}
}
