package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ddpserver/internal/web"
)

// A20: headers of a proxy that nobody declared are noticed, told once with what to
// set, and counted; and what comes through it is one address, limited like any
// other although it is this machine's.
func TestA20UndeclaredProxyIsNoticed(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery")
	seen := func() string {
		w := httptest.NewRecorder()
		n.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for line := range strings.Lines(w.Body.String()) {
			if value, ok := strings.CutPrefix(line, "ddpserver_undeclared_proxy_requests_total "); ok {
				return strings.TrimSpace(value)
			}
		}
		return "nothing"
	}
	dial(t, n.addr(), nil)
	if strings.Contains(n.logs.String(), "undeclared_proxy") || seen() != "0" {
		t.Error("a proxy was noticed where there is none")
	}
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"} {
		dial(t, n.addr(), http.Header{header: {"203.0.113.7"}})
	}
	if got := strings.Count(n.logs.String(), `"msg":"undeclared_proxy"`); got != 1 ||
		!strings.Contains(n.logs.String(), "HTTP_FORWARDED_COUNT and TRUSTED_PROXIES") {
		t.Errorf("told %d times", got)
	}
	if seen() != "3" {
		t.Errorf("%s requests counted, want 3", seen())
	}
}

// Who is believed to stand behind an undeclared proxy, and who is not.
func TestA20WhoSeemsProxied(t *testing.T) {
	declared, err := web.ParseProxies(1, []string{"127.0.0.1", "10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := web.ParseProxies(2, []string{"127.0.0.1", "10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proxies        web.Proxies
		remote, header string
		want           bool
	}{
		{web.Proxies{}, "127.0.0.1:1", "X-Forwarded-For", true},
		{web.Proxies{}, "127.0.0.1:1", "Forwarded", true},
		{web.Proxies{}, "[::1]:1", "X-Real-IP", true},
		{web.Proxies{}, "192.168.1.1:1", "X-Forwarded-For", true},
		{web.Proxies{}, "[fd00::1]:1", "X-Forwarded-For", true},
		{web.Proxies{}, "127.0.0.1:1", "X-Other", false},
		{web.Proxies{}, "203.0.113.7:1", "X-Forwarded-For", false}, // a client that lies about itself
		{declared, "127.0.0.1:1", "X-Forwarded-For", false},
		{declared, "10.1.1.1:1", "X-Forwarded-For", false},
		{declared, "192.168.1.1:1", "X-Forwarded-For", true},
		{two, "127.0.0.1:1", "X-Forwarded-For: 198.51.100.9, 192.168.1.1", true}, // the inner hop is missing
		{two, "127.0.0.1:1", "X-Forwarded-For: 198.51.100.9, 10.0.0.1", false},
		{two, "127.0.0.1:1", "X-Forwarded-For: 192.168.1.1", false}, // a client of this network
		{two, "127.0.0.1:1", "X-Forwarded-For: 198.51.100.9, 203.0.113.7", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		name, value, found := strings.Cut(c.header, ": ")
		if !found {
			value = "198.51.100.9"
		}
		r.Header.Set(name, value)
		if got := c.proxies.Peer(r).Proxied; got != c.want {
			t.Errorf("%s with %s: %v", c.remote, c.header, got)
		}
	}
}
