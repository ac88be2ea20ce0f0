package rest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ddpserver/internal/rest"
)

func TestAvatar(t *testing.T) {
	srv := httptest.NewServer(rest.Avatar())
	defer srv.Close()
	for path, want := range map[string]string{
		"/avatar/ann": ">A<", "/avatar/nobody.at.all": ">N<", "/avatar/%3Cscript%3E": ">S<", "/avatar/room/GENERAL": ">G<", "/avatar/_": ">?<",
		"/avatar/%D1%91%D0%B6": ">Ё<",
	} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(string(raw), want) ||
			strings.Contains(string(raw), "script") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, raw)
		}
		req, _ := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
		if again, err := http.DefaultClient.Do(req); err != nil || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %v %v", path, again, err)
		} else {
			_ = again.Body.Close()
		}
	}
	for path, status := range map[string]int{"/avatar/": 404, "/avatar/a/b": 404, "/avatar/" + strings.Repeat("x", 201): 404} {
		if resp, err := http.Get(srv.URL + path); err != nil || resp.StatusCode != status {
			t.Errorf("%s: %v %v", path, resp, err)
		} else {
			_ = resp.Body.Close()
		}
	}
	if resp, err := http.Post(srv.URL+"/avatar/ann", "text/plain", nil); err != nil || resp.StatusCode != 405 {
		t.Errorf("%v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}
