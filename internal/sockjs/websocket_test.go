package sockjs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testwait"
)

// dial opens the websocket transport and reads the open frame.
func (d *door) dial(header http.Header) *websocket.Conn {
	d.t.Helper()
	socket, r, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(d.url, "http")+"/sockjs/123/abcd/websocket", header)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = r.Body.Close()
	d.t.Cleanup(func() { _ = socket.Close() })
	_ = socket.SetReadDeadline(time.Now().Add(testwait.Limit))
	d.read(socket, "o")
	return socket
}

func (d *door) read(socket *websocket.Conn, want string) {
	d.t.Helper()
	kind, text, err := socket.ReadMessage()
	if err != nil || string(text) != want || kind != websocket.TextMessage {
		d.t.Errorf("read %q, %v; want %q", text, err, want)
	}
}

func (d *door) write(socket *websocket.Conn, kind int, text string) {
	d.t.Helper()
	if err := socket.WriteMessage(kind, []byte(text)); err != nil {
		d.t.Fatal(err)
	}
}

func TestWebSocket(t *testing.T) {
	d := open1(t, Options{})
	socket := d.dial(nil)
	if p := <-d.engine.peers; p.Door != rpc.SockJS || p.Address != "127.0.0.1" {
		t.Errorf("peer %+v", p)
	}
	d.write(socket, websocket.TextMessage, `["a","b"]`)
	d.read(socket, `a["a"]`)
	d.read(socket, `a["b"]`)
	d.write(socket, websocket.TextMessage, ` "single 😀" `)
	d.read(socket, `a["single \ud83d\ude00"]`)
	d.write(socket, websocket.TextMessage, ``)
	d.write(socket, websocket.TextMessage, `[]`)
	d.write(socket, websocket.TextMessage, `["",""]`)
	d.write(socket, websocket.BinaryMessage, `["binary"]`)
	d.read(socket, `a["binary"]`)
	d.write(socket, websocket.TextMessage, `[7,{"msg":"x"}]`)
	d.read(socket, `a["7"]`)
	d.read(socket, `a["[object Object]"]`)
	d.write(socket, websocket.TextMessage, ` {"msg":"connect"}`)
	d.read(socket, `a["[object Object]"]`)
	d.write(socket, websocket.TextMessage, `["nothing","burst"]`)
	d.read(socket, `a["one","two","three"]`)
	long := strings.Repeat("y", 60<<10)
	d.write(socket, websocket.TextMessage, `["`+long+`"]`)
	d.read(socket, `a["`+long+`"]`)
	d.write(socket, websocket.TextMessage, `"close"`)
	d.read(socket, `c[1000,"Normal closure"]`)
	_, _, err := socket.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 || closed.Text != "Normal closure" {
		t.Errorf("end: %v", err)
	}
	<-d.engine.ended
}

// TestWebSocketEnds checks the close codes of broken input and what the engine
// learns.
func TestWebSocketEnds(t *testing.T) {
	d := open1(t, Options{})
	for _, c := range []struct {
		send   string
		code   int
		reason string
		engine error
	}{
		{`["x`, 3000, "Broken framing.", ddp.ErrFraming}, {`x`, 3000, "Broken framing.", ddp.ErrFraming},
		{"[\"\xff\"]", 1007, "Text is not UTF-8", ddp.ErrNotUTF8},
		{`["` + strings.Repeat("x", 64<<10+1) + `"]`, 1009, "Message too long", ddp.ErrTooLong},
		{strings.Repeat(" ", 300<<10) + `[]`, 1009, "Message too long", ddp.ErrTooLong},
	} {
		socket := d.dial(nil)
		d.write(socket, websocket.TextMessage, c.send)
		_, text, err := socket.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != c.code || closed.Text != c.reason {
			t.Errorf("%.20q: %q, %v; want %d", c.send, text, err, c.code)
		}
		if err := <-d.engine.ended; !errors.Is(err, c.engine) {
			t.Errorf("%.20q: the engine got %v", c.send, err)
		}
	}
	// The peer's own close is an ordinary end.
	socket := d.dial(nil)
	if err := socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, "bye"), time.Now().Add(testwait.Limit)); err != nil {
		t.Fatal(err)
	}
	if err := <-d.engine.ended; err != io.EOF {
		t.Errorf("the engine got %v", err)
	}
	// So does a socket that just breaks.
	socket = d.dial(nil)
	_ = socket.NetConn().Close()
	if err := <-d.engine.ended; err == nil {
		t.Error("a broken socket is no end")
	}
}

func TestWebSocketOrigin(t *testing.T) {
	d := open1(t, Options{})
	address := "ws" + strings.TrimPrefix(d.url, "http") + "/sockjs/123/abcd/websocket"
	for origin, status := range map[string]int{"https://evil.example": 403, "null": 403, "http://localhost:5173": 101} {
		socket, r, err := websocket.DefaultDialer.Dial(address, http.Header{"Origin": {origin}})
		if r == nil || r.StatusCode != status {
			t.Errorf("%s: %v, %v", origin, r, err)
		}
		if err == nil {
			_ = socket.Close()
		}
	}
}

// TestWebSocketHeartbeat: a silent connection gets pings; answered ones go on,
// an unanswered one ends it.
func TestWebSocketHeartbeat(t *testing.T) { synctest.Test(t, heartbeat) }

func heartbeat(t *testing.T) {
	engine := newEcho()
	server := &http.Server{Handler: New(Options{Engine: engine, Peer: ws.PeerOf, CheckOrigin: ws.OwnOrigin})} // in memory
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	go server.Serve(p) // ends with the test
	defer server.Close()
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return p.open(), nil }}
	socket, r, err := dialer.Dial("ws://x/sockjs/123/abcd/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	defer socket.Close()
	d := &door{t: t}
	d.read(socket, "o")
	pings := 0
	socket.SetPingHandler(func(data string) error {
		if pings++; pings > 3 {
			return nil // from here on it is silent
		}
		return socket.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	d.read(socket, `c[3000,"No response from heartbeat"]`)
	_, _, err = socket.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 3000 {
		t.Errorf("end: %v", err)
	}
	if pings != 4 {
		t.Errorf("%d pings", pings)
	}
	<-engine.ended
}

// TestSlowWebSocket: a peer that takes nothing is given up after the write time.
func TestSlowWebSocket(t *testing.T) {
	d := open1(t, Options{WriteTimeout: 50 * time.Millisecond, Linger: time.Millisecond})
	socket := d.dial(nil)
	long := `["` + strings.Repeat("z", 60<<10) + `"]`
	for {
		if err := socket.WriteMessage(websocket.TextMessage, []byte(long)); err != nil {
			break // the server has closed the socket
		}
	}
	<-d.engine.ended
}

// real serves DDP itself; every message travels through the transport.
func real(t *testing.T) (*door, *ddp.Server) {
	server := ddp.New(ddp.Options{Handler: nothing{}, Limits: ddp.Limits{HeartbeatInterval: -1}})
	d := open1(t, Options{})
	d.h.o.Engine = server
	return d, server
}

// nothing is a handler without methods and publications.
type nothing struct{}

func (nothing) Method(context.Context, *rpc.Call) (any, error)     { return nil, errors.ErrUnsupported }
func (nothing) Subscribe(context.Context, *ddp.Subscription) error { return errors.ErrUnsupported }
func (nothing) Connected(context.Context, *ddp.Session)            {}
func (nothing) Disconnected(*ddp.Session)                          {}

// TestDDP runs the engine over polling, streaming and websocket.
func TestDDP(t *testing.T) {
	d, server := real(t)
	const base = "/sockjs/0/realddp1/"
	d.want("POST", base+"xhr", "", 200, "o\n")
	connect := `["{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}","{\"msg\":\"ping\",\"id\":\"7\"}"]`
	d.want("POST", base+"xhr_send", connect, 204, "")
	var all bytes.Buffer
	for !strings.Contains(all.String(), `pong`) {
		_, text := d.do("POST", base+"xhr", "")
		all.WriteString(text)
	}
	for _, want := range []string{`{\"msg\":\"connected\",\"session\":`, `{\"msg\":\"pong\",\"id\":\"7\"}`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s does not come: %s", want, all.String())
		}
	}
	socket := d.dial(nil)
	d.write(socket, websocket.TextMessage, connect)
	for text := ""; !strings.Contains(text, "pong"); {
		_, message, err := socket.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		text += string(message)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = server.Shutdown(ctx)
	}()
	d.read(socket, `c[1001,"Going away"]`)
	_ = socket.Close()
	if _, text := d.do("POST", base+"xhr", ""); text != `c[1001,"Going away"]`+"\n" {
		t.Errorf("polling peer: %q", text)
	}
	<-gone
}

// TestQuoted: what some browser or proxy loses is escaped, nothing else is.
func TestQuoted(t *testing.T) {
	for message, want := range map[string]string{
		"plain é <&>":                `"plain é <&>"`,
		"\"\\\b\f\n\r\t\x00\x1f\x7f": "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"",
		"\u200b\u200c\u200f\u2010":   "\"\u200b\\u200c\\u200f\u2010\"",
		"\u2027\u2028\u202f\u2030":   "\"\u2027\\u2028\\u202f\u2030\"",
		"\u205f\u2060\u206f\u2070":   "\"\u205f\\u2060\\u206f\u2070\"",
		"\uffef\ufff0\uffff":         "\"\uffef\\ufff0\\uffff\"",
		"😀":                          `"\ud83d\ude00"`,
	} {
		if got := string(appendQuoted(nil, []byte(message))); got != want {
			t.Errorf("%q is written %s, want %s", message, got, want)
		}
	}
	if got := string(eventFrame(nil, []byte("%\r\n\x00x"))); got != "data: %25%0D%0A%00x\r\n\r\n" {
		t.Errorf("event %q", got)
	}
}

// broken is a response whose peer is gone.
type broken struct{ header http.Header }

func (b broken) Header() http.Header       { return b.header }
func (b broken) WriteHeader(int)           {}
func (b broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestBrokenReceiver: a receiver that dies before or with its open frame leaves
// no session behind.
func TestBrokenReceiver(t *testing.T) {
	d := open1(t, Options{})
	for _, path := range []string{"/sockjs/0/broken12/xhr", "/sockjs/0/broken12/xhr_streaming"} {
		r, err := http.NewRequest("POST", path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		d.h.ServeHTTP(broken{http.Header{}}, r)
		if n := d.h.Len(); n != 0 || d.engine.Stats().Sockets != 0 {
			t.Errorf("%s leaves %d sessions and %d places", path, n, d.engine.Stats().Sockets)
		}
	}
}

// TestFull: nobody gets in beyond the engine's caps, by whatever transport.
func TestFull(t *testing.T) {
	d := open1(t, Options{})
	d.engine.Server = ddp.New(ddp.Options{Limits: ddp.Limits{Connections: 1}})
	d.want("POST", "/sockjs/0/onlyone1/xhr", "", 200, "o\n")
	d.want("POST", "/sockjs/0/another1/xhr", "", 503, "Too many connections\n")
	_, r, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(d.url, "http")+"/sockjs/0/x/websocket", nil)
	if err == nil || r == nil || r.StatusCode != 503 {
		t.Errorf("websocket: %v, %v", r, err)
	}
	d.want("POST", "/sockjs/0/onlyone1/xhr_send", `["close"]`, 204, "")
	<-d.engine.ended
}

// all is everything a client sent.
func all(raw []byte, listOnly bool) (list [][]byte, err error) {
	p, err := postsOf(raw, listOnly)
	for m := p.next(); err == nil && m != nil; m = p.next() {
		list = append(list, m)
	}
	return list, err
}

// FuzzMessages checks that no input of a client panics and that what is read
// can be written and read again.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{`["a","b\u2028"]`, `"x"`, `[1,{},[]]`, `{"a":1}`, `[`, "\xff", ` [ ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, listOnly := range []bool{true, false} {
			messages, err := all(raw, listOnly)
			if err != nil {
				continue
			}
			frame := appendMessages(nil, messages)
			again, err := all(frame[1:], true)
			if err != nil || len(again) != len(messages) {
				t.Fatalf("%s: %v", frame, err)
			}
			for i := range again {
				if !bytes.Equal(again[i], messages[i]) {
					t.Fatalf("%q came back as %q", messages[i], again[i])
				}
			}
			if event := eventFrame(nil, frame); bytes.Count(event, []byte("\n")) != 2 {
				t.Fatalf("an event of several lines: %q", event)
			}
		}
	})
}

func BenchmarkAppendMessages(b *testing.B) {
	m := []byte(`{"msg":"changed","collection":"stream-room-messages","id":"id","fields":{"eventName":"GENERAL","args":[{"_id":"x","msg":"hello"}]}}`)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendMessages(buf[:0], [][]byte{m, m})
	}
}
