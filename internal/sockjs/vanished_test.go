package sockjs

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/rpc"
)

// mute is a handler that does nothing.
type mute struct{}

func (mute) Method(context.Context, *rpc.Call) (any, error)         { return nil, nil }
func (mute) Subscribe(_ context.Context, s *ddp.Subscription) error { s.Ready(); return nil }
func (mute) Connected(context.Context, *ddp.Session)                {}
func (mute) Disconnected(*ddp.Session)                              {}

// wrapper is what a middleware makes of a ResponseWriter.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// pipes is a listener whose connections are in memory, so that time can be fake.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	over  sync.Once
	all   []net.Conn
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.over.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

// open makes a connection and returns the client's end.
func (p *pipes) open() net.Conn {
	here, there := net.Pipe()
	p.all = append(p.all, here)
	p.conns <- there
	return here
}

// dial makes a connection whose client writes what is given and then only takes.
func (p *pipes) dial(text string) (net.Conn, *bufio.Reader) {
	here := p.open()
	_, _ = io.WriteString(here, text)
	return here, bufio.NewReader(here)
}

func (p *pipes) post(path, body string) (net.Conn, *bufio.Reader) {
	return p.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
}

// upgrade opens a WebSocket and says text, unless it is "".
func (p *pipes) upgrade(path, text string) {
	c, r := p.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	for line := ""; line != "\r\n"; {
		line, _ = r.ReadString('\n')
	}
	go io.Copy(io.Discard, r) // until the end
	if text == "" {
		return
	}
	head := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	_, _ = c.Write(append(append(head, 0, 0, 0, 0), text...))
}

// A17, the kind: a peer that vanished without a word, in every version and over
// every transport, takes what is sent and never answers. It is gone within a
// stated time: a minute over WebSockets, two with heartbeats elsewhere, and
// seven where there are none.
func TestA17VanishedPeersEnd(t *testing.T) {
	polling := []string{"xhr", "xhr_streaming", "eventsource"}
	for _, transport := range append([]string{"websocket", "raw", "plain"}, polling...) {
		for _, version := range []string{"", "1", "pre2", "pre1"} {
			t.Run(transport+" "+version, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { vanish(t, transport, version) })
			})
		}
	}
}

func vanish(t *testing.T, transport, version string) {
	account := budget.New(0)
	engine := ddp.New(ddp.Options{Handler: mute{}, Budget: account})
	raw := ws.New(ws.Options{Engine: engine})
	h := New(Options{Engine: engine, Peer: ws.PeerOf, CheckOrigin: ws.OwnOrigin, WebSocket: raw, Budget: account})
	mux := http.NewServeMux()
	mux.Handle("/sockjs/", h)
	mux.Handle("/websocket", raw)
	// A wrapped ResponseWriter, as in the whole server, hides what it can besides.
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(wrapper{w}, r) })
	server := &http.Server{Handler: wrapped, IdleTimeout: 30 * time.Second}
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	go server.Serve(p) // ends with the test
	hello, quoted := "", ""
	if version != "" {
		hello = fmt.Sprintf(`{"msg":"connect","version":%q,"support":[%q]}`, version, version)
		list, _ := json.Marshal([]string{hello})
		quoted = string(list)
	}
	bound := time.Minute
	switch transport {
	case "plain":
		p.upgrade("/websocket", hello)
	case "raw":
		p.upgrade("/sockjs/websocket", hello)
	case "websocket":
		p.upgrade("/sockjs/0/abc/websocket", quoted)
	default:
		bound = 2 * time.Minute
		if version == "pre1" {
			bound = 7 * time.Minute
		}
		pollAndVanish(p, transport, quoted)
	}
	synctest.Wait()
	if n := engine.Stats(); n.Sockets != 1 || version != "" && n.Sessions != 1 {
		t.Fatalf("it did not begin: %+v", n)
	}
	time.Sleep(bound)
	synctest.Wait()
	if n := engine.Stats().Sockets + int64(h.Len()); n != 0 {
		t.Errorf("still there after %v", bound)
	}
	if n := account.Used(); n != 0 {
		t.Errorf("%d bytes are counted for nobody", n)
	}
	for _, c := range p.all {
		_ = c.Close()
	}
	_ = server.Close()
	if err := engine.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := h.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// pollAndVanish opens a session over a polling transport, sends text on another
// connection and leaves one receiver hanging.
func pollAndVanish(p *pipes, transport, text string) {
	path := "/sockjs/0/abc/" + transport
	receive := func() {
		var r *bufio.Reader
		if strings.HasPrefix(transport, "xhr") {
			_, r = p.post(path, "")
		} else {
			_, r = p.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		go io.Copy(io.Discard, r) // until the end
		synctest.Wait()
	}
	receive()
	if text != "" {
		_, r := p.post("/sockjs/0/abc/xhr_send", text)
		go io.Copy(io.Discard, r) // likewise
		synctest.Wait()
	}
	if transport == "xhr" { // the first answer was the open frame
		receive()
	}
}
