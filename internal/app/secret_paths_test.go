//go:build !norooms

package app

import (
	"net/http"
	"strings"
	"testing"
)

// TestAddressesThatOpenSomethingStandInNoLog: the token of a webhook is a part of its address. Whoever
// refuses a request records where it went, whether a page of another origin sent it, or it missed.
func TestAddressesThatOpenSomethingStandInNoLog(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "ROOT_URL=http://localhost/chat")
	const token = "p6fLV2nIzuTQ"
	for i, c := range []struct{ verb, path string }{
		{"POST", "/chat/hooks/h/"}, {"OPTIONS", "/chat/hooks/h/"}, {"GET", "/chat/hooks/h/"}, {"TRACE", "/chat/hooks/h/"}, {"POST", "/hooks/h/"},
		{"POST", "/chat//hooks/h/"}, {"POST", "/chat/hooks//h/"}, {"POST", "/chat/Hooks/h/"}, {"POST", "/chat/x/hooks/h/"}, {"POST", "/chat/%68ooks/h/"},
		{"POST", "/chat/api/hooks/h/"}, {"POST", "/chat/api/v1/hooks/h/"}, {"POST", "/chat/hooks/h/u/"},
	} {
		for _, origin := range []string{"", "https://" + string(rune('a'+i)) + ".example"} {
			r, err := http.NewRequest(c.verb, "http://"+n.addr()+c.path+token, strings.NewReader(`{"text":"x"}`))
			if err != nil {
				t.Fatal(err)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = a.Body.Close()
			if logs := n.logs.String(); strings.Contains(logs, token) {
				at := strings.Index(logs, token)
				t.Errorf("%s %s from %q: %s", c.verb, c.path, origin, logs[max(0, at-300):at+len(token)])
				return
			}
		}
	}
	n.end()
	if logs := n.logs.String(); !strings.Contains(logs, "origin_refused") || !strings.Contains(logs, "/hooks") || strings.Contains(logs, token) {
		t.Errorf("nothing is told of what was refused, or too much: %s", logs)
	}
}
