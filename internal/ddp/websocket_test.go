package ddp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// listen serves the engine over real sockets until the test ends.
func listen(t testing.TB, o ddp.Options) (srv *ddp.Server, url string) {
	t.Helper()
	if o.Handler == nil {
		o.Handler = &fixture{}
	}
	srv = ddp.New(o)
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return srv, "ws" + strings.TrimPrefix(web.URL, "http")
}

func echoServer(t testing.TB, o ddp.EchoOptions) (url string) {
	t.Helper()
	web := httptest.NewServer(ddp.EchoHandler(o))
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

func dialWS(t testing.TB, d *websocket.Dialer, url string, h http.Header) *websocket.Conn {
	t.Helper()
	ws, resp, err := d.Dial(url, h)
	if err != nil {
		t.Fatal(err, resp)
	}
	t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	return ws
}

// await waits for what another goroutine brings about.
func await(t testing.TB, done func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("waited in vain")
		}
	}
}

func say(t testing.TB, ws *websocket.Conn, kind int, text string) {
	t.Helper()
	if err := ws.WriteMessage(kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, ws *websocket.Conn, want string) {
	t.Helper()
	_, got, err := ws.ReadMessage()
	if err != nil || want != "" && string(got) != want {
		t.Fatalf("got %.200s, %v; want %.200s", got, err, want)
	}
}

func closedWith(t testing.TB, ws *websocket.Conn, code int) {
	t.Helper()
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
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
	ws := dialWS(t, websocket.DefaultDialer, url, http.Header{"User-Agent": {"test"}})
	say(t, ws, websocket.BinaryMessage, hello) // binary JSON is taken
	hear(t, ws, "")
	say(t, ws, websocket.TextMessage, `{"msg":"method","id":"1","method":"echo","params":["é"]}`)
	hear(t, ws, `{"msg":"result","id":"1","result":["é"]}`)
	hear(t, ws, `{"msg":"updated","methods":["1"]}`)
	pong := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { pong <- data; return nil })
	if err := ws.WriteControl(websocket.PingMessage, []byte("hi"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	say(t, ws, websocket.TextMessage, `{"msg":"ping"}`)
	hear(t, ws, `{"msg":"pong"}`)
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
	closedWith(t, ws, 1000)
}

func TestWebSocketRefusesBadText(t *testing.T) {
	_, url := listen(t, ddp.Options{})
	ws := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, ws, websocket.TextMessage, "{\"msg\":\"\xff\"}")
	closedWith(t, ws, 1007)
	ws = dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, ws, websocket.BinaryMessage, "{\"msg\":\"\xff\"}")
	hear(t, ws, `{"msg":"error","reason":"Bad request"}`)
	say(t, ws, websocket.TextMessage, `{"msg":"`+strings.Repeat("x", 64<<10)+`"}`)
	closedWith(t, ws, 1009)
	ws = dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, ws, websocket.TextMessage, strings.Repeat("x", 3<<20)) // more than any limit, still sending
	closedWith(t, ws, 1009)
}

func TestWebSocketRefusals(t *testing.T) {
	foreign := func(r *http.Request) bool { return r.Header.Get("Origin") != "https://evil.example" }
	srv, url := listen(t, ddp.Options{CheckOrigin: foreign, Limits: ddp.Limits{PerAddress: 1}})
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
	ws := dialWS(t, websocket.DefaultDialer, url, nil)
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
	ws.Close()
	await(t, func() bool { return srv.Stats().Sockets == 0 }) // the place is given back
	dialWS(t, websocket.DefaultDialer, url, nil)
}

func TestOwnOrigin(t *testing.T) {
	for origin, want := range map[string]bool{
		"": true, "http://chat.example:3000": true, "https://CHAT.example:3000": true, "http://localhost": true, "http://127.0.0.1:8080": true,
		"http://[::1]:1": true, "null": false, "http://evil.example": false, "http://chat.example.evil.com": false, "http://xchat.example:3000": false,
		"http://chat.example:3001": false, "http://chat.example": false, "http://u@chat.example:3000": false, "http://127.0.0.1.evil.com": false, "%": false, "file://": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://chat.example:3000/websocket", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if ddp.OwnOrigin(r) != want {
			t.Errorf("%q: want %v", origin, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "http://chat.example/websocket", nil)
	r.Header["Origin"] = []string{"http://chat.example", "http://evil.example"}
	if ddp.OwnOrigin(r) {
		t.Error("two origins")
	}
}

func TestWebSocketCompression(t *testing.T) {
	d := &websocket.Dialer{EnableCompression: true}
	srv, url := listen(t, ddp.Options{CompressAbove: 200})
	ws := dialWS(t, d, url, nil)
	say(t, ws, websocket.TextMessage, hello)
	hear(t, ws, "")
	for i := range 3 {
		text := strings.Repeat("abc", 1000)
		say(t, ws, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"echo","params":["%s"]}`, i, text))
		hear(t, ws, fmt.Sprintf(`{"msg":"result","id":"%d","result":["%s"]}`, i, text))
		hear(t, ws, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
	}
	say(t, ws, websocket.TextMessage, `{"msg":"sub","id":"1","name":"stream"}`)
	hear(t, ws, `{"msg":"ready","subs":["1"]}`)
	say(t, ws, websocket.TextMessage, `{"msg":"method","id":"p","method":"push","params":["`+strings.Repeat("x", 500)+`"]}`)
	hear(t, ws, `{"msg":"changed","collection":"stream","id":"id","fields":{"eventName":"e","args":["`+strings.Repeat("x", 500)+`"]}}`)
	hear(t, ws, "")
	hear(t, ws, "")
	// What inflates beyond the limit is refused as if it had come so.
	say(t, ws, websocket.TextMessage, strings.Repeat(" ", 8<<20))
	closedWith(t, ws, 1009)
	ws.Close()
	await(t, func() bool { return srv.Stats().Disconnects[ddp.TooLong] == 1 })
	_, plain := listen(t, ddp.Options{})
	_, resp, err := d.Dial(plain, nil)
	if err != nil || resp.Header.Get("Sec-Websocket-Extensions") != "" {
		t.Error("negotiated without being asked to", err)
	}
}

func TestWebSocketShutdownSays1001(t *testing.T) {
	srv, url := listen(t, ddp.Options{})
	ws := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, ws, websocket.TextMessage, hello)
	hear(t, ws, "")
	say(t, ws, websocket.TextMessage, `{"msg":"method","id":"1","method":"slow","params":[100]}`)
	await(t, func() bool { return srv.Stats().Calls == 1 })
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	hear(t, ws, `{"msg":"result","id":"1"}`)
	hear(t, ws, `{"msg":"updated","methods":["1"]}`)
	closedWith(t, ws, 1001)
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
	for _, ws := range []*websocket.Conn{slow, good} {
		say(t, ws, websocket.TextMessage, hello)
		hear(t, ws, "")
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
	ws := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, ws, websocket.TextMessage, hello)
	hear(t, ws, "")
	text := strings.Repeat("y", 900<<10)
	const n = 40
	for i := range n {
		say(t, ws, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"echo","params":["%s"]}`, i, text))
	}
	for i := range n {
		hear(t, ws, fmt.Sprintf(`{"msg":"result","id":"%d","result":["%s"]}`, i, text))
		hear(t, ws, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
	}
}

// rawWS is a client that can break every rule.
type rawWS struct {
	t    *testing.T
	conn net.Conn
}

func dialRaw(t *testing.T, url string) *rawWS {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	_ = ws.NetConn().SetDeadline(time.Now().Add(20 * time.Second))
	return &rawWS{t, ws.NetConn()}
}

// frame makes a masked frame.
func rawFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xfe), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0xff), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func (r *rawWS) send(frames ...[]byte) {
	for _, f := range frames {
		_, _ = r.conn.Write(f) // the server may have closed
	}
}

func (r *rawWS) read() (first byte, payload string, err error) {
	var head [10]byte
	if _, err = io.ReadFull(r.conn, head[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r.conn, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		_, err = io.ReadFull(r.conn, head[2:10])
		n = binary.BigEndian.Uint64(head[2:10])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.conn, b)
	return head[0], string(b), err
}

func (r *rawWS) wantFrame(first byte, payload string) {
	r.t.Helper()
	f, p, err := r.read()
	if err != nil || f != first || p != payload {
		r.t.Fatalf("got %x %.100q %v, want %x %.100q", f, p, err, first, payload)
	}
}

// wantClose expects a close frame (0 for one without a code) and then the end.
func (r *rawWS) wantClose(code int) {
	r.t.Helper()
	f, p, err := r.read()
	if err != nil || f != 0x88 {
		r.t.Fatalf("got %x %.100q %v, want close %d", f, p, err, code)
	}
	got := 0
	if len(p) >= 2 {
		got = int(binary.BigEndian.Uint16([]byte(p)))
	}
	if got != code {
		r.t.Fatalf("got close %d %q, want %d", got, p[min(2, len(p)):], code)
	}
	if _, _, err := r.read(); !errors.Is(err, io.EOF) {
		r.t.Fatalf("after the close: %v", err)
	}
}

func closeFrame(code int, text string) []byte {
	return rawFrame(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+text)
}

// TestEchoConformance walks through RFC 6455 as conformance suites do: framing,
// pings, reserved bits and opcodes, fragmentation, UTF-8, close handling, sizes.
func TestEchoConformance(t *testing.T) {
	url := echoServer(t, ddp.EchoOptions{})
	const text, bin, cont, ping, pong = 0x81, 0x82, 0x80, 0x89, 0x8a
	type step = func(r *rawWS)
	send := func(f ...[]byte) step { return func(r *rawWS) { r.send(f...) } }
	frame := func(first byte, p string) step { return func(r *rawWS) { r.t.Helper(); r.wantFrame(first, p) } }
	closes := func(code int) step { return func(r *rawWS) { r.t.Helper(); r.wantClose(code) } }
	bytewise := func(b []byte) [][]byte {
		var all [][]byte
		for i := range b {
			all = append(all, b[i:i+1])
		}
		return all
	}
	utf := "κόσμε\U0001F600"
	cases := map[string][]step{
		"echo sizes": {func(r *rawWS) {
			for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 1 << 20} {
				p := strings.Repeat("*", n)
				go r.send(rawFrame(text, p))
				r.wantFrame(text, p)
				go r.send(rawFrame(bin, p))
				r.wantFrame(bin, p)
			}
		}, send(closeFrame(1000, "")), closes(1000)},
		"byte by byte":           {send(bytewise(rawFrame(text, utf))...), frame(text, utf)},
		"ping":                   {send(rawFrame(ping, "")), frame(pong, ""), send(rawFrame(ping, "\x00\xff")), frame(pong, "\x00\xff")},
		"ten pings":              {send(rawFrame(ping, "a"), rawFrame(ping, "b")), frame(pong, "a"), frame(pong, "b")},
		"ping too long":          {send(rawFrame(ping, strings.Repeat("x", 126))), closes(1002)},
		"unsolicited pong":       {send(rawFrame(pong, "x"), rawFrame(ping, "y")), frame(pong, "y")},
		"fragmented ping":        {send(rawFrame(0x09, "a"), rawFrame(cont, "b")), closes(1002)},
		"fragmented pong":        {send(rawFrame(0x0a, "a")), closes(1002)},
		"rsv1":                   {send(rawFrame(text|0x40, "x")), closes(1002)},
		"rsv2 after a good one":  {send(rawFrame(text, "x"), rawFrame(text|0x20, "y")), frame(text, "x"), closes(1002)},
		"rsv3 in a ping":         {send(rawFrame(ping|0x10, "x")), closes(1002)},
		"opcode 3":               {send(rawFrame(0x83, "x")), closes(1002)},
		"opcode 11":              {send(rawFrame(0x8b, "")), closes(1002)},
		"opcode 15":              {send(rawFrame(text, "a"), rawFrame(0x8f, "x")), frame(text, "a"), closes(1002)},
		"no mask":                {send([]byte{text, 1, 'x'}), closes(1002)},
		"fragments":              {send(rawFrame(0x01, "fr"), rawFrame(0x00, "ag"), rawFrame(cont, "ments")), frame(text, "fragments")},
		"ping between fragments": {send(rawFrame(0x01, "a"), rawFrame(ping, "p"), rawFrame(cont, "b")), frame(pong, "p"), frame(text, "ab")},
		"binary fragments":       {send(rawFrame(0x02, "a"), rawFrame(cont, "\xff")), frame(bin, "a\xff")},
		"stray continuation":     {send(rawFrame(cont, "x")), closes(1002)},
		"new text in a message":  {send(rawFrame(0x01, "a"), rawFrame(text, "b")), closes(1002)},
		"fragmented utf-8":       {send(bytewise(rawFrame(0x01, utf[:3]))...), send(rawFrame(0x00, ""), rawFrame(cont, utf[3:])), frame(text, utf)},
		"bad utf-8":              {send(rawFrame(text, "κ\xed\xa0\x80x")), closes(1007)},
		"bad utf-8 in a fragment, before the end": {send(rawFrame(0x01, "κόσμε\xf4"), rawFrame(0x00, "\x90")), closes(1007)},
		"incomplete utf-8":                        {send(rawFrame(text, "\xce")), closes(1007)},
		"overlong utf-8":                          {send(rawFrame(text, "\xc0\xaf")), closes(1007)},
		"binary need not be utf-8":                {send(rawFrame(bin, "\xc0\xaf")), frame(bin, "\xc0\xaf")},
		"close":                                   {send(closeFrame(1000, "bye"), rawFrame(text, "late")), closes(1000)},
		"close without a code":                    {send(rawFrame(0x88, "")), closes(0)},
		"close with one byte":                     {send(rawFrame(0x88, "\x03")), closes(1002)},
		"close too long":                          {send(closeFrame(1000, strings.Repeat("x", 124))), closes(1002)},
		"close with the longest text":             {send(closeFrame(1000, strings.Repeat("x", 123))), closes(1000)},
		"close text not utf-8":                    {send(closeFrame(1000, "\xff")), closes(1007)},
		"close within a message":                  {send(rawFrame(0x01, "a"), closeFrame(1000, "")), closes(1000)},
		"two closes":                              {send(closeFrame(1000, ""), closeFrame(1000, "")), closes(1000)},
		"answers before the close":                {send(rawFrame(text, "x"), closeFrame(1000, "")), frame(text, "x"), closes(1000)},
		"fragmented close":                        {send(rawFrame(0x08, "\x03\xe8")), closes(1002)},
		"length with the highest bit":             {send([]byte{bin, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}), func(r *rawWS) { _, _, _ = r.read() }},
		"a great length is no promise":            {send([]byte{bin, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}), func(r *rawWS) { _ = r.conn.Close() }},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases[fmt.Sprintf("close %d", code)] = []step{send(closeFrame(code, "")), closes(code)}
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases[fmt.Sprintf("close %d", code)] = []step{send(closeFrame(code, "")), closes(1002)}
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, url)
			for _, s := range steps {
				s(r)
			}
		})
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
	srv, url := listen(t, ddp.Options{Peer: func(r *http.Request) *rpc.Peer {
		return &rpc.Peer{Address: r.Header.Get("X-Real"), Conn: "fixed"}
	}})
	ws := dialWS(t, websocket.DefaultDialer, url, http.Header{"X-Real": {"9.9.9.9"}})
	say(t, ws, websocket.TextMessage, hello)
	hear(t, ws, `{"msg":"connected","session":"fixed"}`)
	srv.Sessions("", func(s *ddp.Session) bool {
		if s.Peer().Address != "9.9.9.9" {
			t.Error(s.Peer())
		}
		return true
	})
}
