package rest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
)

// countingBody is a request body that tells whether it was read.
type countingBody struct{ reads int }

func (b *countingBody) Read([]byte) (int, error) { b.reads++; return 0, io.EOF }
func (b *countingBody) Close() error             { return nil }

// The body of a request that a limit refuses is not read (docs/security-tests.md A11).
func TestLimitedRequestsAreNotRead(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "true", settings.LimitRESTRequests: "1"})
	w.Account("ada")
	c := w.Login("ada")
	asked := 0
	for _, rt := range w.REST.Routes() {
		if rt.Verb == http.MethodGet || rt.Limit.Count != 0 || rt.Auth != rest.LoginRequired || rt.Permission != "" || strings.Contains(rt.Path, "logout") {
			continue
		}
		var status int
		body := &countingBody{}
		for range 2 {
			body.reads = 0
			r := httptest.NewRequest(rt.Verb, "/api/v1/"+strings.ReplaceAll(rt.Path, ":", "x"), body)
			r.Header.Set("X-User-Id", c.ID)
			r.Header.Set("X-Auth-Token", c.Token)
			r.Header.Set("Test-Address", "192.0.2.9")
			out := httptest.NewRecorder()
			w.REST.ServeHTTP(out, r)
			status = out.Code
		}
		if status != http.StatusTooManyRequests {
			t.Errorf("%s %s: %d for the second call of one", rt.Verb, rt.Path, status)
			continue
		}
		if asked++; body.reads > 0 {
			t.Errorf("%s %s: the body was read before the limit", rt.Verb, rt.Path)
		}
	}
	if asked < 10 {
		t.Errorf("only %d routes were limited", asked)
	}
}

// Somebody who guesses tokens does not lock out those of the same network whose
// token worked there before, and who comes with a new one waits (docs/security-tests.md A16).
func TestA16GuessesLockOutNobodyKnown(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "false"})
	w.Account("ada")
	ada, late := w.Login("ada"), w.Login("ada")
	ask := func(c *client, address string) int {
		return c.With("Test-Address", address).Do("GET", "me", nil).Status
	}
	if got := ask(ada, "2001:db8::1"); got != http.StatusOK {
		t.Fatal(got)
	}
	limited := false
	for i := range 100 {
		guess := w.Caller()
		guess.Header["X-User-Id"], guess.Header["X-Auth-Token"] = ada.ID, strconv.Itoa(i)
		limited = limited || ask(guess, "2001:db8::bad") == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("guessing went on")
	}
	if got := ask(ada, "2001:db8::2"); got != http.StatusOK {
		t.Errorf("a token that worked before: %d", got)
	}
	if got := ask(late, "2001:db8::3"); got != http.StatusTooManyRequests {
		t.Errorf("a token that never came from there: %d", got)
	}
	if got := ask(late, "2001:db8:1::3"); got != http.StatusOK {
		t.Errorf("another network: %d", got)
	}
	ada.With("Test-Address", "2001:db8::2").Do("POST", "logout", nil)
	if got := ask(ada, "2001:db8::2"); got != http.StatusTooManyRequests {
		t.Errorf("a token that works no more: %d", got)
	}
}
