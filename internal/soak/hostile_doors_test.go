package soak

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// enemy is one hostile connection in some state. It writes bytes of its own
// making, and reads nothing unless told to.
type enemy struct {
	addr  string // of the server
	name  string // of its session, where it has one
	c     net.Conn
	r     *bufio.Reader
	sent  int
	ends  time.Time // when it stops
	login *account
	wrap  func(frame string) []byte // a whole message on the wire
	begin func(n int) []byte        // the beginning of one of n bytes
	piece func(b []byte) []byte     // a part of a message that never ends
	sub   []net.Conn                // others it holds
}

// states are the ways to stand before the server.
var states = map[string]func(e *enemy) error{
	"before connect":   func(e *enemy) error { return e.webSocket("/websocket", plainFrame, false) },
	"anonymous":        func(e *enemy) error { return e.webSocket("/websocket", plainFrame, true) },
	"logged in":        func(e *enemy) error { return e.loggedIn() },
	"SockJS websocket": func(e *enemy) error { return e.webSocket("/sockjs/0/"+e.name+"/websocket", listed, true) },
	"SockJS polling":   func(e *enemy) error { return e.polling() },
	"REST anonymous":   func(e *enemy) error { return e.rest("method.callAnon", "") },
	"REST logged in":   func(e *enemy) error { return e.rest("method.call", authHeaders(e.login)) },
}

func authHeaders(a *account) string {
	return "X-User-Id: " + a.id + "\r\nX-Auth-Token: " + a.token + "\r\n"
}

func plainFrame(f string) string { return f }

// listed is a frame as SockJS wants it.
func listed(f string) string {
	b, _ := json.Marshal([]string{f})
	return string(b)
}

const hostileHello = `{"msg":"connect","version":"1","support":["1"]}`

func (e *enemy) dial() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", e.addr, patience)
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetReadBuffer(16 << 10) // what the kernel takes is not the server's
	_ = c.SetDeadline(time.Now().Add(patience))
	e.sub = append(e.sub, c)
	return c, nil
}

// clientFrame is a WebSocket frame of a client, with a mask of zeros.
func clientFrame(first byte, payload []byte, length int) []byte {
	b := []byte{first, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(length))
	return append(append(b, 0, 0, 0, 0), payload...)
}

func (e *enemy) webSocket(path string, form func(string) string, connect bool) (err error) {
	if e.c, err = e.dial(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+
		"AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, e.addr)
	if err != nil {
		return err
	}
	e.r = bufio.NewReaderSize(e.c, 512)
	if err := e.header("101"); err != nil {
		return err
	}
	e.wrap = func(f string) []byte { f = form(f); return clientFrame(0x81, []byte(f), len(f)) }
	e.begin = func(n int) []byte { return clientFrame(0x81, []byte(" "), n) }
	first := byte(1)
	e.piece = func(b []byte) []byte {
		f := clientFrame(first, b, len(b))
		first = 0
		return f
	}
	if !connect {
		return nil
	}
	if _, err := e.c.Write(e.wrap(hostileHello)); err != nil {
		return err
	}
	return e.until("connected")
}

func (e *enemy) loggedIn() error {
	if err := e.webSocket("/websocket", plainFrame, true); err != nil {
		return err
	}
	if _, err := e.c.Write(e.wrap(fmt.Sprintf(`{"msg":"method","id":"login","method":"login","params":[{"resume":%q}]}`, e.login.token))); err != nil {
		return err
	}
	return e.until(`"tokenExpires"`)
}

// header reads the head of an answer.
func (e *enemy) header(status string) error {
	for line := ""; line != "\r\n"; {
		text, err := e.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "" && !strings.Contains(text, " "+status+" ") {
			return errors.New(text)
		}
		line = text
	}
	return nil
}

// until reads until the text has come by.
func (e *enemy) until(text string) error {
	for seen := ""; !strings.Contains(seen, text); {
		b := make([]byte, 256)
		n, err := e.r.Read(b)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", text, err)
		}
		seen += string(b[:n])
		seen = seen[max(0, len(seen)-1024):]
	}
	return nil
}

func request(addr, path, headers, kind string, length int, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, addr, headers, kind, length, body)
}

// polling holds a streaming receiver that is not read, and sends on another
// connection.
func (e *enemy) polling() error {
	c, err := e.dial()
	if err != nil {
		return err
	}
	e.c, e.r = c, bufio.NewReaderSize(c, 512)
	base := "/sockjs/0/" + e.name
	if _, err := c.Write(request(e.addr, base+"/xhr_streaming", "", "text/plain", 0, "")); err != nil {
		return err
	}
	if err := e.until("o\n"); err != nil {
		return err
	}
	if e.c, err = e.dial(); err != nil {
		return err
	}
	e.r = bufio.NewReaderSize(e.c, 512)
	e.wrap = func(f string) []byte {
		f = listed(f)
		return request(e.addr, base+"/xhr_send", "", "text/plain", len(f), f)
	}
	e.unfinished(base+"/xhr_send", "")
	_, err = e.c.Write(e.wrap(hostileHello))
	if err != nil {
		return err
	}
	return e.header("204")
}

func (e *enemy) rest(route, headers string) (err error) {
	if e.c, err = e.dial(); err != nil {
		return err
	}
	e.r = bufio.NewReaderSize(e.c, 512)
	e.wrap = func(f string) []byte {
		b, _ := json.Marshal(map[string]string{"message": f})
		return request(e.addr, "/api/v1/"+route+"/x", headers, "application/json", len(b), string(b))
	}
	e.unfinished("/api/v1/"+route+"/x", headers)
	return nil
}

// unfinished sets what a body that never ends looks like.
func (e *enemy) unfinished(path, headers string) {
	e.begin = func(n int) []byte { return request(e.addr, path, headers, "application/json", n, `["`) }
	started := false
	e.piece = func(b []byte) []byte {
		if started {
			return b
		}
		started = true
		return append(request(e.addr, path, headers, "application/json", 64<<20, ""), b...)
	}
}

// put writes until its time is over or the server takes no more; what was
// written counts.
func (e *enemy) put(b []byte) bool {
	if time.Now().After(e.ends) {
		return false
	}
	_ = e.c.SetWriteDeadline(e.ends)
	n, err := e.c.Write(b)
	e.sent += n
	return err == nil
}

func (e *enemy) close() {
	for _, c := range e.sub {
		_ = c.Close()
	}
}

// drip reads a byte now and then until it is closed.
func (e *enemy) drip() {
	b := make([]byte, 1)
	_ = e.c.SetReadDeadline(e.ends)
	for time.Now().Before(e.ends) {
		if _, err := io.ReadFull(e.c, b); err != nil {
			return
		}
		pause(10 * time.Millisecond)
	}
}
