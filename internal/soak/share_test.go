package soak

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"ddpserver/internal/testwait"
)

// from is the header by which a trusted proxy names a client.
func from(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }

// hoards are ways of one client to hold many bytes in one connection: the halves of
// messages that never come to their end.
var hoards = map[string]struct {
	connections int
	first       string // written when the connection stands; what is behind | once an answer has come
	body        int
}{
	"REST, logged in": {40, "POST /api/v1/method.call/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n%sContent-Type: " +
		"application/json\r\nContent-Length: 1048576\r\n\r\n", 1},
	"DDP": {600, "GET /websocket HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n%.0sConnection: Upgrade\r\nUpgrade: " +
		"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n|\x81\xff\x00\x00\x00\x00\x00\x00\xff\xf0\x00\x00\x00\x00",
		60 << 10},
	"SockJS polling": {250, "POST /sockjs/0/nobody/xhr_send HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n%.0sContent-Type: " +
		"text/plain\r\nContent-Length: 190000\r\n\r\n", 150_000},
}

// TestSoakOneNetworkDoesNotTakeAll: one client who holds all it can of the bytes
// in flight, through any door, does not keep those of other networks from large
// messages and answers (docs/security-tests.md A12).
func TestSoakOneNetworkDoesNotTakeAll(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calmBut("MAX_BYTES_IN_FLIGHT=32MiB", "HTTP_FORWARDED_COUNT=1", "TRUSTED_PROXIES=127.0.0.1"))
	for door, h := range hoards {
		var held []net.Conn
		for range h.connections {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
			head, then, upgrade := strings.Cut(h.first, "|")
			_, _ = fmt.Fprintf(c, head, authHeaders(a))
			if upgrade {
				_, _ = c.Read(make([]byte, 1<<10))
			}
			_, _ = io.WriteString(c, then+strings.Repeat(" ", h.body))
		}
		const most = 24 << 20 // of all who hold much
		testwait.Until(t, door+": many bytes held", func() bool { return s.metric("ddpserver_bytes_in_flight") > most/3 })
		if n := s.metric("ddpserver_bytes_in_flight"); n > most*3/4 {
			t.Errorf("%s: one network holds %.0f of %d bytes", door, n, most)
		}
		if err := s.large(from("198.51.100.7")); err != nil {
			t.Errorf("%s: somebody else: %v", door, err)
		}
		for _, c := range held {
			_ = c.Close()
		}
		testwait.Until(t, door+": the end of what was held", func() bool { return s.metric("ddpserver_bytes_in_flight") == 0 })
	}
}

// large posts a body of 60 KB for a client with those headers, which takes it.
func (s *server) large(header http.Header) error {
	body := `{"message":"{\"msg\":\"method\",\"id\":\"1\",\"method\":\"getServerTime\",\"params\":[\"` + strings.Repeat("x", 60_000) + `\"]}"}`
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/api/v1/method.callAnon/getServerTime", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := plain.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(b), `"success":true`) {
		err = fmt.Errorf("%d %s", resp.StatusCode, b)
	}
	return err
}
