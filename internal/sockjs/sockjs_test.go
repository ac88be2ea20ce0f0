package sockjs

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is an engine that answers every message with itself; a few words do
// something else. Its count of connections is the real server's.
type echo struct {
	*ddp.Server
	ended chan error // the error of ReadFrame, for each connection that ends
	peers chan *rpc.Peer
}

func newEcho() *echo {
	return &echo{Server: ddp.New(ddp.Options{}), ended: make(chan error, 20_000), peers: make(chan *rpc.Peer, 20_000)}
}

// receiver lets a Conn read as much as it likes, and closes it with what the
// engine would say.
type receiver struct{}

func (receiver) Waiting()       {}
func (receiver) Received(int)   {}
func (receiver) Grow(int) bool  { return true }
func (receiver) Control([]byte) {}
func (receiver) Alive()         {}

// write hands messages to a Conn as the engine does.
func write(conn ddp.Conn, messages ...string) error {
	var p []byte
	for _, m := range messages {
		p = wire.Append(p, wire.Text, []byte(m))
	}
	_, err := conn.Write(p, true)
	return err
}

func (e *echo) Serve(conn ddp.Conn, peer *rpc.Peer) {
	e.peers <- peer
	for {
		m, err := conn.ReadFrame(receiver{})
		if err != nil {
			e.ended <- err
			reason := ddp.ReasonOf(err)
			_ = conn.Close(reason.Code(), reason.Text())
			conn.Finish()
			return
		}
		text := string(m)
		switch text {
		case "small":
			conn.SetReadLimit(16)
			continue
		case "close":
			_ = conn.Close(1000, "Normal closure")
			continue
		case "burst":
			err = write(conn, "one", "two", "three")
		case "nothing":
			err = write(conn)
		default:
			err = write(conn, text)
		}
		if err != nil {
			_ = conn.Close(1000, "Normal closure")
		}
	}
}

// door is a handler behind a real socket.
type door struct {
	t      *testing.T
	h      *Handler
	engine *echo
	url    string
	client *http.Client
}

func open1(t *testing.T, o Options) *door {
	t.Helper()
	e := newEcho()
	o.Engine, o.Peer, o.CheckOrigin = e, ws.PeerOf, ws.OwnOrigin
	o.WebSocket = ws.New(ws.Options{Engine: e.Server})
	h := New(o)
	server := httptest.NewServer(h)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		client.CloseIdleConnections()
		server.Close()
	})
	return &door{t, h, e, server.URL, client}
}

// do sends a request and reads the whole answer.
func (d *door) do(method, path, body string, header ...string) (*http.Response, string) {
	d.t.Helper()
	r := d.start(context.Background(), method, path, body, header...)
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r, string(text)
}

func (d *door) start(ctx context.Context, method, path, body string, header ...string) *http.Response {
	d.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r, err := d.client.Do(req)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want asks and compares status and body.
func (d *door) want(method, path, body string, status int, text string) *http.Response {
	d.t.Helper()
	r, got := d.do(method, path, body)
	if r.StatusCode != status || got != text {
		d.t.Errorf("%s %s: %d %q, want %d %q", method, path, r.StatusCode, got, status, text)
	}
	return r
}

const (
	never  = "no-store, no-cache, no-transform, must-revalidate, max-age=0"
	script = "application/javascript; charset=UTF-8"
	plain  = "text/plain; charset=UTF-8"
)

// TestPages holds the rows of docs/wire/ddp.md A2 that have no session.
func TestPages(t *testing.T) {
	d := open1(t, Options{})
	cases := []struct {
		method, path string
		header       []string
		status       int
		body         string // regular expression
		want         map[string]string
	}{
		{"GET", "/sockjs", nil, 200, `^Welcome to SockJS!\n$`, map[string]string{"Content-Type": plain}},
		{"GET", "/sockjs/", nil, 200, `^Welcome to SockJS!\n$`, nil},
		{"POST", "/sockjs", nil, 405, `^$`, map[string]string{"Allow": "GET"}},
		{"GET", "/sockjs/info", nil, 200, `^\{"websocket":true,"origins":\["\*:\*"\],"cookie_needed":false,"entropy":\d+\}$`, map[string]string{
			"Content-Type": "application/json; charset=UTF-8", "Cache-Control": never, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "",
			"Vary": "Origin"}},
		{"GET", "/sockjs/info/", []string{"Origin", "http://localhost:8080"}, 200, `^\{"websocket":true`, map[string]string{
			"Access-Control-Allow-Origin": "http://localhost:8080", "Access-Control-Allow-Credentials": "true"}},
		{"GET", "/sockjs/info", []string{"Origin", "https://evil.example"}, 403, `not allowed`, map[string]string{"Access-Control-Allow-Origin": ""}},
		{"OPTIONS", "/sockjs/info", []string{"Access-Control-Request-Headers", "content-type, x-y"}, 204, `^$`, map[string]string{
			"Access-Control-Allow-Methods": "OPTIONS, GET", "Access-Control-Max-Age": "31536000", "Cache-Control": "public, max-age=31536000",
			"Access-Control-Allow-Headers": "content-type, x-y"}},
		{"POST", "/sockjs/info", nil, 405, `^$`, map[string]string{"Allow": "OPTIONS, GET"}},
		{"GET", "/sockjs/iframe.html", nil, 404, `^404 Error: Page not found\n$`, nil}, {"GET", "/sockjs/1/abc/htmlfile?c=f", nil, 404, `404`, nil},
		{"GET", "/sockjs/1/abc/jsonp?c=f", nil, 404, `404`, nil}, {"POST", "/sockjs/1/abc/jsonp_send", nil, 404, `404`, nil},
		{"GET", "/sockjs/websocket", nil, 400, `^Not a valid websocket request$`, nil},
		{"GET", "/sockjs/websocket", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "6"}, 400,
			`^Only supported WebSocket protocol is RFC 6455\.$`, nil},
		{"GET", "/sockjs/1/abc/websocket", nil, 400, `^Can "Upgrade" only to "WebSocket"\.$`, nil},
		{"GET", "/sockjs/nothing", nil, 404, `^404 Error: Page not found\n$`, map[string]string{"Content-Type": plain}},
		{"GET", "/sockjs//", nil, 404, `404`, nil}, {"GET", "/sockjsx", nil, 404, `404`, nil}, {"GET", "/", nil, 404, `404`, nil},
		{"POST", "/sockjs//abc/xhr", nil, 404, `404`, nil}, {"POST", "/sockjs/1//xhr", nil, 404, `404`, nil}, {"POST", "/sockjs/1/a.b/xhr", nil, 404, `404`, nil},
		{"POST", "/sockjs/1.2/ab/xhr", nil, 404, `404`, nil},
		{"POST", "/sockjs/1/2/3/xhr", nil, 404, `404`, nil}, {"POST", "/sockjs/1/" + strings.Repeat("x", 65) + "/xhr", nil, 404, `404`, nil},
		{"OPTIONS", "/sockjs/1/abc/xhr", nil, 204, `^$`, map[string]string{"Access-Control-Allow-Methods": "OPTIONS, POST", "Access-Control-Max-Age": "31536000"}},
		{"OPTIONS", "/sockjs/1/abc/xhr_send/", nil, 204, `^$`, map[string]string{"Access-Control-Allow-Methods": "OPTIONS, POST"}},
		{"OPTIONS", "/sockjs/1/abc/xhr_streaming", nil, 204, `^$`, map[string]string{"Access-Control-Allow-Methods": "OPTIONS, POST"}},
		{"GET", "/sockjs/1/abc/xhr", nil, 405, `^$`, map[string]string{"Allow": "OPTIONS, POST"}},
		{"POST", "/sockjs/1/abc/eventsource", nil, 405, `^$`, map[string]string{"Allow": "OPTIONS, GET"}},
		{"PUT", "/sockjs/1/abc/xhr_send", nil, 405, `^$`, map[string]string{"Allow": "OPTIONS, POST"}}, {"POST", "/sockjs/1/abc/websocket", nil, 405, `^$`, nil},
		{"POST", "/sockjs/1/abc/xhr", []string{"Origin", "https://evil.example"}, 403, ``, nil},
		{"GET", "/sockjs/1/abc/websocket", []string{"Origin", "https://evil.example"}, 403, ``, nil},
	}
	for _, c := range cases {
		r, body := d.do(c.method, c.path, "", c.header...)
		if r.StatusCode != c.status || !regexp.MustCompile(c.body).MatchString(body) {
			t.Errorf("%s %s %v: %d %q, want %d %s", c.method, c.path, c.header, r.StatusCode, body, c.status, c.body)
		}
		for name, value := range c.want {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, value)
			}
		}
	}
	if n := d.h.Len(); n != 0 {
		t.Errorf("%d sessions were made", n)
	}
}

// TestSwitches turns on what Meteor's environment can turn on.
func TestSwitches(t *testing.T) {
	d := open1(t, Options{Prefix: "/chat/sockjs/", DisableCORS: true, DisableWebSocket: true, JSessionID: true})
	r, body := d.do("GET", "/chat/sockjs/info", "", "Origin", "http://localhost:1")
	if !regexp.MustCompile(`^\{"websocket":false,"cookie_needed":true,"entropy":\d+\}$`).MatchString(body) || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("info: %s, %v", body, r.Header)
	}
	d.want("GET", "/chat/sockjs/websocket", "", 404, "404 Error: Page not found\n")
	d.want("GET", "/chat/sockjs/1/abc/websocket", "", 404, "404 Error: Page not found\n")
	d.want("GET", "/sockjs/info", "", 404, "404 Error: Page not found\n")
	if r := d.want("POST", "/chat/sockjs/1/abc/xhr", "", 200, "o\n"); r.Header.Get("Set-Cookie") != "JSESSIONID=dummy; path=/" {
		t.Errorf("cookie %q", r.Header.Get("Set-Cookie"))
	}
	if r, _ := d.do("POST", "/chat/sockjs/1/abc/xhr_send", `["x"]`, "Cookie", "JSESSIONID=node7"); r.Header.Get("Set-Cookie") != "JSESSIONID=node7; path=/" {
		t.Errorf("cookie %q", r.Header.Get("Set-Cookie"))
	}
}

func TestChunking(t *testing.T) {
	d := open1(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := d.start(ctx, "POST", "/sockjs/chunking_test", "")
	defer func() { _ = r.Body.Close() }()
	if r.Header.Get("X-Accel-Buffering") != "no" {
		t.Error("a proxy may keep what it gets")
	}
	lines := bufio.NewReader(r.Body)
	for i, want := range []string{"h\n", strings.Repeat(" ", 2048) + "h\n", "h\n", "h\n", "h\n"} {
		if line, err := lines.ReadString('\n'); err != nil || line != want {
			t.Fatalf("chunk %d: %q, %v", i, line, err)
		}
	}
}

// TestPolling follows one xhr session from open to forgotten.
func TestPolling(t *testing.T) {
	d := open1(t, Options{})
	const xhr, send = "/sockjs/000/polling1/xhr", "/sockjs/999/polling1/xhr_send"
	d.want("POST", send, `["x"]`, 404, "404 Error: Page not found\n")
	r := d.want("POST", xhr, "", 200, "o\n")
	for name, want := range map[string]string{"Content-Type": script, "Cache-Control": never, "Access-Control-Allow-Origin": "*", "Vary": "Origin"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if p := <-d.engine.peers; p.Door != rpc.SockJS || p.Address != "127.0.0.1" {
		t.Errorf("peer %+v", p)
	}
	r = d.want("POST", send, `["a\"\u2028\\"]`, 204, "")
	if r.Header.Get("Content-Type") != plain {
		t.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	d.want("POST", xhr, "", 200, `a["a\"\u2028\\"]`+"\n")
	d.want("POST", send, `["burst","",5,{"msg":"x"},null]`, 204, "")
	d.want("POST", xhr, "ignored body", 200, `a["one","two","three"]`+"\n")
	d.want("POST", xhr, "", 200, `a["5"]`+"\n")
	d.want("POST", xhr, "", 200, `a["[object Object]"]`+"\n")
	d.want("POST", xhr, "", 200, `a["null"]`+"\n")

	for _, c := range []struct {
		body, contentType string
		status            int
		text              string
	}{
		{``, "text/plain", 500, "Payload expected."}, {`{}`, "", 500, "Payload expected."}, {`"x"`, "", 500, "Payload expected."},
		{`["x`, "", 500, "Broken JSON encoding."}, {`x`, "", 500, "Broken JSON encoding."},
		{"[\"\xff\"]", "", 500, "Broken JSON encoding."}, {`["x"]`, "image/png", 500, "Payload expected."}, {`[]`, "text/plain; charset=UTF-8", 204, ""},
		{`[]`, "T", 204, ""}, {`[]`, "application/json", 204, ""},
		{`[]`, "application/xml", 204, ""}, {`[]`, "text/xml", 204, ""}, {`["` + strings.Repeat("x", 200<<10) + `"]`, "", 413, "Payload too large.\n"},
	} {
		r, text := d.do("POST", send, c.body, "Content-Type", c.contentType)
		if r.StatusCode != c.status || text != c.text {
			t.Errorf("%.20s as %s: %d %q, want %d %q", c.body, c.contentType, r.StatusCode, text, c.status, c.text)
		}
	}
	d.want("POST", send, `["close"]`, 204, "")
	d.want("POST", xhr, "", 200, `c[1000,"Normal closure"]`+"\n")
	d.want("POST", xhr, "", 200, `c[1000,"Normal closure"]`+"\n")
	if err := <-d.engine.ended; err != io.EOF {
		t.Errorf("the reader ended with %v", err)
	}
	d.want("POST", send, `["late"]`, 204, "")
}

// TestSecondReceiver: the first keeps the session, the second is told to leave;
// a stranger does not even learn that there is one.
func TestSecondReceiver(t *testing.T) {
	d := open1(t, Options{})
	const base = "/sockjs/0/shared12/"
	d.want("POST", base+"xhr", "", 200, "o\n")
	first := d.start(context.Background(), "POST", base+"xhr_streaming", "")
	defer func() { _ = first.Body.Close() }()
	lines := bufio.NewReader(first.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != strings.Repeat("h", 2048)+"\n" {
		t.Fatalf("prelude of %d bytes, %v", len(line), err)
	}
	// The receiver is in place once it passes something on.
	d.want("POST", base+"xhr_send", `["ready"]`, 204, "")
	if line, _ := lines.ReadString('\n'); line != `a["ready"]`+"\n" {
		t.Fatalf("first receiver: %q", line)
	}
	d.want("POST", base+"xhr", "", 200, `c[2010,"Another connection still open"]`+"\n")
	r, text := d.do("GET", base+"eventsource", "")
	if r.StatusCode != 200 || text != "\r\ndata: c[2010,\"Another connection still open\"]\r\n\r\n" {
		t.Errorf("second receiver: %q", text)
	}
	for _, route := range []string{"xhr", "xhr_send"} {
		if r, text := d.do("POST", base+route, `["spoofed"]`, "User-Agent", "somebody else"); r.StatusCode != 404 {
			t.Errorf("a stranger at %s: %d %q", route, r.StatusCode, text)
		}
	}
	d.want("POST", base+"xhr_send", `["still mine"]`, 204, "")
	if line, _ := lines.ReadString('\n'); line != `a["still mine"]`+"\n" {
		t.Errorf("first receiver: %q", line)
	}
	d.want("POST", base+"xhr_send", `["close"]`, 204, "")
	if rest, _ := io.ReadAll(lines); string(rest) != `c[1000,"Normal closure"]`+"\n" {
		t.Errorf("first receiver: %q", rest)
	}
}

// TestStreaming reads each streaming transport to the end of its first response
// and goes on with the next.
func TestStreaming(t *testing.T) {
	d := open1(t, Options{ResponseLimit: 4096})
	long := strings.Repeat("%<x>", 1200)
	quoted, _ := json.Marshal([]string{"m", long, "after"})
	for _, c := range []struct{ route, prelude, open, small, tail string }{
		{"xhr_streaming", strings.Repeat("h", 2048) + "\n", "o\n", `a["m"]` + "\n", "\n"},
		{"eventsource", "\r\n", "data: o\r\n\r\n", "data: a[\"m\"]\r\n\r\n", "\r\n\r\n"},
	} {
		base := "/sockjs/0/" + c.route[:4] + "sess/"
		r := d.start(context.Background(), map[bool]string{true: "POST", false: "GET"}[c.route == "xhr_streaming"], base+c.route, "")
		if r.Header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%s: a proxy may keep what it gets: %v", c.route, r.Header)
		}
		body := bufio.NewReader(r.Body)
		expect := func(want string) {
			t.Helper()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", c.route, got, err, want)
			}
		}
		expect(c.prelude)
		expect(c.open)
		d.want("POST", base+"xhr_send", string(quoted), 204, "")
		expect(c.small)
		rest, err := io.ReadAll(body)
		_ = r.Body.Close()
		if err != nil || !strings.HasSuffix(string(rest), c.tail) || strings.Contains(string(rest), "after") || len(rest) < len(long) {
			t.Errorf("%s: the response ends with %d bytes, %v", c.route, len(rest), err)
		}
		if !strings.Contains(string(rest), "<x>") {
			t.Errorf("%s: the message is not in the stream", c.route)
		}
		d.want("POST", base+"xhr", "", 200, `a["after"]`+"\n")
	}
}

// TestReceiverDies: a session whose receiver's connection breaks is gone at once.
func TestReceiverDies(t *testing.T) {
	d := open1(t, Options{})
	const base = "/sockjs/0/dying123/"
	ctx, cancel := context.WithCancel(context.Background())
	r := d.start(ctx, "POST", base+"xhr_streaming", "")
	lines := bufio.NewReader(r.Body)
	for range 2 { // prelude and open frame
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	_ = r.Body.Close()
	if err := <-d.engine.ended; err != io.EOF {
		t.Errorf("the reader ended with %v", err)
	}
	if n := d.h.Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	d.want("POST", base+"xhr", "", 200, "o\n")
}
