package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ddpserver/internal/rest"
)

// calls is the sum of ddpserver_calls_total over all labels.
func (n *node) calls() int {
	n.t.Helper()
	w := httptest.NewRecorder()
	n.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	sum := 0
	for s := bufio.NewScanner(w.Body); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), "} "); ok && strings.HasPrefix(name, "ddpserver_calls_total{") {
			v, err := strconv.Atoi(value)
			if err != nil {
				n.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// refusal is one way to be refused: a request that the n-th time makes; limited
// tells that it was refused for being one too many.
type doorRefusal struct {
	door, kind string
	make       func(t *testing.T, n *node, address string) (again func(i int) (limited bool))
}

// request is a refusal over HTTP; %d in path, header values and body is the number
// of the request.
func request(door, kind, verb, path, body string, header ...string) doorRefusal {
	return doorRefusal{door, kind, func(t *testing.T, n *node, address string) func(int) bool {
		return func(i int) bool {
			number := func(s string) string { return strings.ReplaceAll(s, "%d", strconv.Itoa(i)) }
			r, err := http.NewRequest(verb, "http://"+n.addr()+number(path), strings.NewReader(number(body)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Forwarded-For", address)
			for k := 0; k < len(header); k += 2 {
				r.Header.Set(header[k], number(header[k+1]))
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(a.Body)
			_ = a.Body.Close()
			switch {
			case strings.Contains(path, "/method.call"): // a frame in an envelope, as over DDP
				return strings.Contains(string(answer), "too-many-requests")
			case a.StatusCode == http.StatusTooManyRequests:
				if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 {
					t.Errorf("429 with Retry-After %q", a.Header.Get("Retry-After"))
				}
				return true
			case a.StatusCode < 400:
				t.Fatalf("request %d was answered %d", i, a.StatusCode)
			}
			return false
		}
	}}
}

// message is a refusal over DDP, answered by a frame that fits.
func message(kind, text string) doorRefusal {
	return doorRefusal{"ddp", kind, func(t *testing.T, n *node, address string) func(int) bool {
		c := dial(t, n.addr(), http.Header{"X-Forwarded-For": {address}})
		return func(i int) bool {
			id := strconv.Itoa(i)
			c.send(json.RawMessage(strings.ReplaceAll(text, "%d", id)))
			f := c.await(func(f map[string]any) bool { return f["id"] == id || f["msg"] == "error" })
			failure, _ := f["error"].(map[string]any)
			return failure["error"] == "too-many-requests"
		}
	}}
}

// malformed frames end their session when there are too many.
func malformed(kind, text string) doorRefusal {
	return doorRefusal{"ddp", kind, func(t *testing.T, n *node, address string) func(int) bool {
		c := dial(t, n.addr(), http.Header{"X-Forwarded-For": {address}})
		return func(int) bool {
			if err := c.ws.WriteMessage(1, []byte(text)); err != nil {
				t.Fatal(err)
			}
			for {
				_, answer, err := c.ws.ReadMessage()
				if err != nil {
					return true
				}
				if strings.Contains(string(answer), `"msg":"error"`) {
					return false
				}
			}
		}
	}}
}

func refusals() []doorRefusal {
	const known, foreign = "/sockjs/000/nobody/xhr_send", "https://evil.example"
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==",
		"Origin", foreign}
	return []doorRefusal{
		message("unknown method", `{"msg":"method","id":"%d","method":"nope%d"}`),
		message("no login", `{"msg":"method","id":"%d","method":"getServerInfo"}`),
		message("wrong parameters", `{"msg":"method","id":"%d","method":"login","params":[7]}`),
		message("wrong token", `{"msg":"method","id":"%d","method":"login","params":[{"resume":"guess%d"}]}`),
		message("unknown subscription", `{"msg":"sub","id":"%d","name":"nope%d"}`),
		message("subscription without a login", `{"msg":"sub","id":"%d","name":"stream-notify-logged","params":["x",false]}`),
		malformed("no JSON", `{`),
		malformed("no msg", `{"a":1}`),
		malformed("a method without a name", `{"msg":"method","id":"1"}`),
		request("rest", "unknown route", "GET", "/api/v1/nope%d", ""),
		request("rest", "unknown path", "GET", "/api/nope%d", ""),
		request("rest", "wrong verb", "DELETE", "/api/v1/me", ""),
		request("rest", "malformed query", "GET", "/api/v1/me?a=%zz", ""),
		request("rest", "no login", "GET", "/api/v1/me", ""),
		request("rest", "guessed token", "GET", "/api/v1/me", "", "X-User-Id", "u", "X-Auth-Token", "guess%d"),
		request("rest", "one wrong token", "GET", "/api/v1/me", "", "X-User-Id", "u", "X-Auth-Token", "gone"),
		request("rest", "guessed token where a login is optional", "POST", "/api/v1/method.call/x", `{}`, "X-User-Id", "u", "X-Auth-Token", "guess%d"),
		request("rest", "no JSON", "POST", "/api/v1/login", "{"),
		request("rest", "another media type", "POST", "/api/v1/login", "x", "Content-Type", "text/plain"),
		request("rest", "unknown method", "POST", "/api/v1/method.callAnon/x", `{"message":"{\"msg\":\"method\",\"id\":\"1\",\"method\":\"nope%d\",\"params\":[]}"}`),
		request("sockjs", "unknown path", "GET", "/sockjs/nope%d", ""),
		request("sockjs", "wrong verb", "PUT", "/sockjs/info", ""),
		request("sockjs", "unknown session", "POST", known, `["x"]`),
		request("sockjs", "no body", "POST", known, ""),
		request("sockjs", "foreign origin", "GET", "/sockjs/info", "", "Origin", foreign),
		request("sockjs", "no upgrade", "GET", "/sockjs/000/x/websocket", ""),
		request("ddp", "no upgrade", "GET", "/websocket", ""),
		request("ddp", "foreign origin", "GET", "/websocket", "", upgrade...),
		request("http", "unknown path", "GET", "/nope%d", ""),
		request("http", "TRACE", "TRACE", "/", ""),
		request("http", "wrong verb", "POST", "/api/info", ""),
	}
}

// A16: whatever a stranger sends, through whichever door, is counted once for
// each time, limited after a while, and told in a few records and a number.
// Wrong tokens are audited, and cannot flood the audit stream either.
func TestA16EveryRefusalIsCountedLimitedAndTold(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "HTTP_FORWARDED_COUNT=1", "TRUSTED_PROXIES=127.0.0.1")
	const most = 650 // malformed frames may come 600 times
	sent := map[string]int{}
	for i, k := range refusals() {
		address := fmt.Sprintf("198.51.100.%d", i+1)
		t.Run(k.door+", "+k.kind, func(t *testing.T) {
			again := k.make(t, n, address)
			before, requests, limited := n.calls(), 0, false
			for ; requests < most && !limited; requests++ {
				limited = again(requests)
			}
			if !limited {
				t.Errorf("%d in a row were not limited", most)
			}
			if counted := n.calls() - before; counted != requests {
				t.Errorf("%d counts for %d of them", counted, requests)
			}
			sent[address] = requests
		})
	}
	n.end()
	checkRecords(t, n, sent)
	checkTokenEvents(t, n)
}

// checkRecords expects at most five records for each address and outcome, and
// that records and summaries together tell of every request.
func checkRecords(t *testing.T, n *node, sent map[string]int) {
	t.Helper()
	single, told := map[string]int{}, map[string]int{}
	for line := range strings.Lines(n.logs.String()) {
		var e struct {
			Msg, Address, Result, Fault string
			Count                       int
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Msg == "call" && e.Result != "ok":
			single[e.Address+" "+e.Result+" "+e.Fault]++
			told[e.Address]++
		case e.Msg == "calls_repeated":
			told[e.Address] += e.Count
		}
	}
	for key, count := range single {
		if count > 5 {
			t.Errorf("%s: %d records of one kind", key, count)
		}
	}
	for address, want := range sent {
		if told[address] != want {
			t.Errorf("%s: the log tells of %d requests, want %d", address, told[address], want)
		}
	}
}

func checkTokenEvents(t *testing.T, n *node) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "guess") || strings.Contains(line, "gone") {
			t.Errorf("a token stands in the audit stream: %s", line)
		}
		var e struct{ Act, Address string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Act == "token_refused" {
			events[e.Address]++
		}
	}
	for i, k := range refusals() {
		address := fmt.Sprintf("198.51.100.%d", i+1)
		got, want := events[address], strings.Contains(k.kind, "token")
		if want != (got > 0) || got > 12 {
			t.Errorf("%s, %s: %d events token_refused", k.door, k.kind, got)
		}
	}
}

// A16, by the surface: every route and every method that needs a login leaves
// one count when a stranger calls it.
func TestA16EveryCallOfTheSurfaceIsCounted(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery")
	for _, rt := range n.rest.Routes() {
		if rt.Auth != rest.LoginRequired {
			continue
		}
		before := n.calls()
		request("rest", "", rt.Verb, "/api/v1/"+strings.ReplaceAll(rt.Path, ":", ""), "").make(t, n, "127.0.0.1")(0)
		if counted := n.calls() - before; counted != 1 {
			t.Errorf("%s %s: %d counts", rt.Verb, rt.Path, counted)
		}
	}
	c := dial(t, n.addr(), nil)
	for _, s := range n.router.Specs() {
		if s.Anonymous {
			continue
		}
		before := n.calls()
		if _, failure := c.call(s.Name); failure == nil {
			t.Errorf("%s needs no login", s.Name)
		}
		if counted := n.calls() - before; counted != 1 {
			t.Errorf("%s: %d counts", s.Name, counted)
		}
	}
}
