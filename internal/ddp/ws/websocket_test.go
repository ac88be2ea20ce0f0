package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testwait"
)

const hello = `{"msg":"connect","version":"1","support":["1","pre2","pre1"]}`

// listen serves the engine over real sockets until the test ends.
func listen(t testing.TB, o ddp.Options, door ...ws.Options) (srv *ddp.Server, url string) {
	t.Helper()
	if o.Handler == nil {
		o.Handler = &ddptest.Fixture{}
	}
	if o.Budget == nil {
		o.Budget = budget.New(0)
	}
	srv = ddp.New(o)
	door = append(door, ws.Options{})
	door[0].Engine = srv
	web := httptest.NewServer(ws.New(door[0]))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
		await(t, func() bool { return o.Budget.Used() == 0 }) // nothing is counted for nobody
	})
	return srv, "ws" + strings.TrimPrefix(web.URL, "http")
}

func echoServer(t testing.TB, o ws.EchoOptions) (url string) {
	t.Helper()
	web := httptest.NewServer(ws.EchoHandler(o))
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

func dialWS(t testing.TB, d *websocket.Dialer, url string, h http.Header) *websocket.Conn {
	t.Helper()
	client, resp, err := d.Dial(url, h)
	if err != nil {
		t.Fatal(err, resp)
	}
	t.Cleanup(func() { client.Close() })
	_ = client.SetReadDeadline(time.Now().Add(testwait.Limit))
	return client
}

// await waits for what another goroutine brings about.
func await(t testing.TB, done func() bool) {
	t.Helper()
	testwait.Until(t, "what was waited for", done)
}

func say(t testing.TB, client *websocket.Conn, kind int, text string) {
	t.Helper()
	if err := client.WriteMessage(kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, client *websocket.Conn, want string) {
	t.Helper()
	_, got, err := client.ReadMessage()
	if err != nil || want != "" && string(got) != want {
		t.Fatalf("got %.200s, %v; want %.200s", got, err, want)
	}
}

func closedWith(t testing.TB, client *websocket.Conn, code int) {
	t.Helper()
	for {
		if _, _, err := client.ReadMessage(); err != nil {
			var c *websocket.CloseError
			if !errors.As(err, &c) || c.Code != code {
				t.Fatalf("got %v, want close %d", err, code)
			}
			return
		}
	}
}

func TestWebSocketSession(t *testing.T) {
	srv, url := listen(t, ddp.Options{})
	client := dialWS(t, websocket.DefaultDialer, url, http.Header{"User-Agent": {"test"}})
	say(t, client, websocket.BinaryMessage, hello) // binary JSON is taken
	hear(t, client, "")
	say(t, client, websocket.TextMessage, `{"msg":"method","id":"1","method":"echo","params":["é"]}`)
	hear(t, client, `{"msg":"result","id":"1","result":["é"]}`)
	hear(t, client, `{"msg":"updated","methods":["1"]}`)
	pong := make(chan string, 1)
	client.SetPongHandler(func(data string) error { pong <- data; return nil })
	if err := client.WriteControl(websocket.PingMessage, []byte("hi"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	say(t, client, websocket.TextMessage, `{"msg":"ping"}`)
	hear(t, client, `{"msg":"pong"}`)
	if got := <-pong; got != "hi" {
		t.Error(got)
	}
	n := 0
	srv.Sessions("", func(s *ddp.Session) bool {
		n++
		if p := s.Peer(); p.Address != "127.0.0.1" || p.UserAgent != "test" || p.Conn != s.ID() {
			t.Errorf("%+v", p)
		}
		s.Close(ddp.ServerClosed)
		return true
	})
	if n != 1 {
		t.Fatalf("%d sessions", n)
	}
	closedWith(t, client, 1000)
}

// What is no handshake hears Meteor's words, without a line break.
func TestRequestsThatAreNoHandshake(t *testing.T) {
	h := ws.New(ws.Options{})
	for _, c := range []struct {
		header map[string]string
		want   string
	}{
		{nil, "Not a valid websocket request"},
		{map[string]string{"Upgrade": "websocket"}, "Not a valid websocket request"},
		{map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "6"}, "Only supported WebSocket protocol is RFC 6455."},
	} {
		r := httptest.NewRequest(http.MethodGet, "/websocket", nil)
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 400 || w.Body.String() != c.want || w.Header().Get("Content-Type") != "text/plain; charset=UTF-8" {
			t.Errorf("%v: %d %q %v", c.header, w.Code, w.Body, w.Header())
		}
	}
}

func TestWebSocketRefusesBadText(t *testing.T) {
	_, url := listen(t, ddp.Options{})
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, "{\"msg\":\"\xff\"}")
	closedWith(t, client, 1007)
	client = dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.BinaryMessage, "{\"msg\":\"\xff\"}")
	hear(t, client, `{"msg":"error","reason":"Bad request"}`)
	say(t, client, websocket.TextMessage, `{"msg":"`+strings.Repeat("x", 64<<10)+`"}`)
	closedWith(t, client, 1009)
	client = dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, strings.Repeat("x", 3<<20)) // more than any limit, still sending
	closedWith(t, client, 1009)
}

func TestWebSocketRefusals(t *testing.T) {
	foreign := func(r *http.Request) bool { return r.Header.Get("Origin") != "https://evil.example" }
	srv, url := listen(t, ddp.Options{Limits: ddp.Limits{PerAddress: 1}}, ws.Options{CheckOrigin: foreign})
	status := func(h http.Header) int {
		_, resp, err := websocket.DefaultDialer.Dial(url, h)
		if err == nil {
			t.Fatal("not refused")
		}
		return resp.StatusCode
	}
	if got := status(http.Header{"Origin": {"https://evil.example"}}); got != http.StatusForbidden {
		t.Error(got)
	}
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	if got := status(nil); got != http.StatusServiceUnavailable {
		t.Error(got)
	}
	for _, h := range []http.Header{{}, {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"12"}}} {
		req, _ := http.NewRequest(http.MethodGet, strings.Replace(url, "ws", "http", 1), nil)
		req.Header = h
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", h, resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	client.Close()
	await(t, func() bool { return srv.Stats().Sockets == 0 }) // the place is given back
	dialWS(t, websocket.DefaultDialer, url, nil)
}

func TestOwnOrigin(t *testing.T) {
	for origin, want := range map[string]bool{
		"": true, "http://chat.example:3000": true, "https://CHAT.example:3000": true, "http://localhost": true, "http://127.0.0.1:8080": true,
		"http://[::1]:1": true, "null": false, "http://evil.example": false, "http://chat.example.evil.com": false, "http://xchat.example:3000": false,
		"http://chat.example:3001": false, "http://chat.example": false, "http://u@chat.example:3000": false, "http://127.0.0.1.evil.com": false, "%": false,
		"file://": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://chat.example:3000/websocket", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if ws.OwnOrigin(r) != want {
			t.Errorf("%q: want %v", origin, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "http://chat.example/websocket", nil)
	r.Header["Origin"] = []string{"http://chat.example", "http://evil.example"}
	if ws.OwnOrigin(r) {
		t.Error("two origins")
	}
}

func TestWebSocketCompression(t *testing.T) {
	d := &websocket.Dialer{EnableCompression: true}
	srv, url := listen(t, ddp.Options{}, ws.Options{CompressAbove: 200})
	client := dialWS(t, d, url, nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	for i := range 3 {
		text := strings.Repeat("abc", 1000)
		say(t, client, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"echo","params":["%s"]}`, i, text))
		hear(t, client, fmt.Sprintf(`{"msg":"result","id":"%d","result":["%s"]}`, i, text))
		hear(t, client, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
	}
	say(t, client, websocket.TextMessage, `{"msg":"sub","id":"1","name":"stream"}`)
	hear(t, client, `{"msg":"ready","subs":["1"]}`)
	say(t, client, websocket.TextMessage, `{"msg":"method","id":"p","method":"push","params":["`+strings.Repeat("x", 500)+`"]}`)
	hear(t, client, `{"msg":"changed","collection":"stream","id":"id","fields":{"eventName":"e","args":["`+strings.Repeat("x", 500)+`"]}}`)
	hear(t, client, "")
	hear(t, client, "")
	// What inflates beyond the limit is refused as if it had come so.
	// It is deflated beforehand: the server closes while a slow client still deflates.
	large, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(strings.Repeat(" ", 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.WritePreparedMessage(large); err != nil {
		t.Fatal(err)
	}
	closedWith(t, client, 1009)
	client.Close()
	await(t, func() bool { return srv.Stats().Disconnects[ddp.TooLong] == 1 })
	client = dialWS(t, d, url, nil)
	raw := &rawWS{t, client.NetConn()}
	raw.send(rawFrame(0x81|0x40, "\xff\xff\xff\xff"))
	raw.wantClose(1008)
	_, plain := listen(t, ddp.Options{})
	_, resp, err := d.Dial(plain, nil)
	if err != nil || resp.Header.Get("Sec-Websocket-Extensions") != "" {
		t.Error("negotiated without being asked to", err)
	}
}

func TestWebSocketShutdownSays1001(t *testing.T) {
	srv, url := listen(t, ddp.Options{})
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	say(t, client, websocket.TextMessage, `{"msg":"method","id":"1","method":"slow","params":[100]}`)
	await(t, func() bool { return srv.Stats().Calls == 1 })
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	hear(t, client, `{"msg":"result","id":"1"}`)
	hear(t, client, `{"msg":"updated","methods":["1"]}`)
	closedWith(t, client, 1001)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(url, nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Error("a stopped server takes connections")
	}
}

// TestWebSocketSlowReader fills a socket that is not read.
func TestWebSocketSlowReader(t *testing.T) {
	srv, url := listen(t, ddp.Options{})
	slow, good := dialWS(t, websocket.DefaultDialer, url, nil), dialWS(t, websocket.DefaultDialer, url, nil)
	for _, client := range []*websocket.Conn{slow, good} {
		say(t, client, websocket.TextMessage, hello)
		hear(t, client, "")
	}
	say(t, slow, websocket.TextMessage, `{"msg":"sub","id":"1","name":"stream"}`)
	hear(t, slow, `{"msg":"ready","subs":["1"]}`)
	params := `["` + strings.Repeat("x", 60<<10) + `"]`
	for i := 0; srv.Stats().Disconnects[ddp.Slow] == 0; i++ {
		if i > 5000 {
			t.Fatal("the slow reader is still there")
		}
		say(t, good, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"push","params":%s}`, i, params))
		hear(t, good, "")
		hear(t, good, "")
	}
}

// TestWebSocketBigAnswersArriveWhole sends more than the kernel takes at once.
func TestWebSocketBigAnswersArriveWhole(t *testing.T) {
	_, url := listen(t, ddp.Options{Limits: ddp.Limits{FrameBefore: 1 << 20, QueuedBytes: 256 << 20}})
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	text := strings.Repeat("y", 900<<10)
	const n = 12
	for i := range n {
		say(t, client, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"echo","params":["%s"]}`, i, text))
	}
	for i := range n {
		hear(t, client, fmt.Sprintf(`{"msg":"result","id":"%d","result":["%s"]}`, i, text))
		hear(t, client, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
	}
}

// TestPipelinedFramesShareAWrite counts the reads that bring many answers.
func TestPipelinedFramesShareAWrite(t *testing.T) {
	_, url := listen(t, ddp.Options{})
	r := dialRaw(t, url)
	r.send(rawFrame(0x81, hello))
	if _, _, err := r.read(); err != nil {
		t.Fatal(err)
	}
	var burst bytes.Buffer
	for i := range 16 {
		burst.Write(rawFrame(0x81, fmt.Sprintf(`{"msg":"method","id":"%d","method":"quick","params":[]}`, i)))
	}
	r.send(burst.Bytes())
	buf := make([]byte, 64<<10)
	got, reads := 0, 0
	for got < 16*2 {
		n, err := r.conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		reads++
		got += bytes.Count(buf[:n], []byte(`"msg"`))
	}
	if reads > 3 {
		t.Errorf("32 frames came in %d pieces", reads)
	}
}

func TestPeerOption(t *testing.T) {
	srv, url := listen(t, ddp.Options{}, ws.Options{Peer: func(r *http.Request) *rpc.Peer {
		return &rpc.Peer{Address: r.Header.Get("X-Real"), Conn: "fixed"}
	}})
	client := dialWS(t, websocket.DefaultDialer, url, http.Header{"X-Real": {"9.9.9.9"}})
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, `{"msg":"connected","session":"fixed"}`)
	srv.Sessions("", func(s *ddp.Session) bool {
		if s.Peer().Address != "9.9.9.9" {
			t.Error(s.Peer())
		}
		return true
	})
}

// TestWebSocketOverTLS takes the way without system calls of our own: reads wait
// with a buffer, writes are the flusher's.
func TestWebSocketOverTLS(t *testing.T) {
	srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})
	web := httptest.NewTLSServer(ws.New(ws.Options{Engine: srv}))
	defer web.Close()
	d := &websocket.Dialer{TLSClientConfig: web.Client().Transport.(*http.Transport).TLSClientConfig}
	client := dialWS(t, d, "wss"+strings.TrimPrefix(web.URL, "https"), nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	text := strings.Repeat("z", 50<<10)
	for i := range 15 {
		say(t, client, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"echo","params":["%s"]}`, i, text))
	}
	for i := range 15 {
		hear(t, client, fmt.Sprintf(`{"msg":"result","id":"%d","result":["%s"]}`, i, text))
		hear(t, client, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
	}
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	closedWith(t, client, 1001)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
