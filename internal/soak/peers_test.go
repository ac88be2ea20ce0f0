package soak

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ddpserver/internal/testwait"
	"ddpserver/internal/wiretest"
)

// guest is a server with one person who keeps calling, so that harm done by others
// would show.
type guest struct {
	*server
	conn  *conn // nil for one who calls over REST
	stop  chan struct{}
	done  chan struct{}
	times []time.Duration
}

// serving starts a guest's calls.
func serving(t *testing.T, s *server, token string) *guest {
	t.Helper()
	c := dialUntil(t, s.addr, token)
	g := guestWith(t, s, func() error { return second(c.call("getServerTime")) })
	g.conn = c
	return g
}

// guestWith starts a guest who makes that call again and again.
func guestWith(t *testing.T, s *server, call func() error) *guest {
	g := &guest{server: s, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(g.done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			begin := time.Now()
			if err := call(); err != nil {
				t.Errorf("the guest's call: %v", err)
				return
			}
			g.times = append(g.times, time.Since(begin))
			select {
			case <-g.stop:
				return
			case <-tick.C:
			}
		}
	}()
	return g
}

// served ends the guest's calls and returns how long they took.
func (g *guest) served() []time.Duration {
	close(g.stop)
	<-g.done
	return g.times
}

// raw opens a socket and upgrades it, and reads no further. rcvbuf bounds what
// the kernel takes for it.
func raw(t testing.TB, addr string, rcvbuf int) (net.Conn, *bufio.Reader) {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if rcvbuf > 0 {
			_ = c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, rcvbuf) })
		}
		return err
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, "GET /websocket HTTP/1.1\r\nHost: "+addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "+
		"13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return c, r
		}
	}
}

// masked is a text frame as a client sends it, with a mask of zeros.
func masked(text string) []byte {
	b := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	}
	return append(append(b, 0, 0, 0, 0), text...)
}

const hello = `{"msg":"connect","version":"1","support":["1"]}`

// TestSoakPeers (docs/security-tests.md S091, S094): readers that stop reading, peers that vanish,
// dripping headers and bodies, floods of frames and ten thousand calls in a row. Each
// ends by itself or is closed with its reason; everybody else is served.
func TestSoakPeers(t *testing.T) {
	together(t)
	t.Run("slow readers", slowReaders)
	t.Run("silent peers", silentPeers)
	t.Run("slowloris", slowloris)
	t.Run("floods", floods)
	t.Run("10000 calls in a row", pipeline)
}

func slowReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	people := seed(t, dir, "ada", 2, asAdmin)
	s := launch(t, dir, calmBut("MAX_QUEUED_BYTES=256KiB", "WRITE_TIMEOUT=2s"))
	g := serving(t, s, people[0].token)
	c := dial(t, s.addr, people[1].token)
	room, err := c.call("createChannel", "loud", []string{})
	if err != nil {
		t.Fatal(err)
	}
	rid := between(string(room), `"rid":"`, `"`)
	n := rounds(20, 200)
	for range n {
		k, _ := raw(t, s.addr, 4096)
		for _, text := range []string{hello, fmt.Sprintf(`{"msg":"method","id":"1","method":"login","params":[{"resume":%q}]}`, people[1].token),
			fmt.Sprintf(`{"msg":"sub","id":"s","name":"stream-room-messages","params":[%q,false]}`, rid)} {
			if _, err := k.Write(masked(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	testwait.Until(t, "the subscriptions", func() bool { return s.metric("ddpserver_subscriptions") >= float64(n) })
	rss := s.rss()
	var peak int64
	before := s.metric(`ddpserver_disconnects_total{reason="slow"}`)
	text := strings.Repeat("loud ", 900)
	took := testwait.Until(t, "the end of the slow readers", func() bool {
		for range 20 {
			if _, err := c.call("sendMessage", map[string]any{"rid": rid, "msg": text}); err != nil {
				t.Fatal(err)
			}
		}
		peak = max(peak, s.rss()-rss)
		return s.metric(`ddpserver_disconnects_total{reason="slow"}`)-before >= float64(n)
	})
	if peak > 256<<10 {
		t.Errorf("%d MiB more while %d readers slept", peak>>10, n)
	}
	others := g.served()
	t.Logf("%d readers that stopped: all closed as slow after %v; + %d MiB at most; the guest's %d calls: %v median, %v worst", n, took.Round(time.Millisecond),
		peak>>10, len(others), median(others), worst(others))
}

// between cuts a piece out of a text.
func between(text, begin, end string) string {
	_, text, _ = strings.Cut(text, begin)
	text, _, _ = strings.Cut(text, end)
	return text
}

func silentPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calmBut("HEARTBEAT_INTERVAL=1s", "HEARTBEAT_TIMEOUT=1s", "CONNECT_TIMEOUT=2s"))
	// Over REST: on a busy machine a guest's heartbeats may be late as well.
	g := guestWith(t, s, func() error { return second(rest(s.addr, a, "GET", "me", nil)) })
	w := wiretest.Start(t, s.addr)
	n := rounds(50, 1000)
	for range n {
		k, _ := raw(t, w.Addr(), 0)
		_, _ = k.Write(masked(hello)) // who is too late for it is closed, too
	}
	mute := rounds(20, 200)
	for range mute { // upgraded, and never a word
		raw(t, s.addr, 0)
	}
	w.Poison("timeout", "upstream", `"timeout":0`) // not even the end of a socket comes through
	silent := func(reason string) float64 { return s.metric(`ddpserver_disconnects_total{reason="` + reason + `"}`) }
	took := testwait.Until(t, "the end of silent peers", func() bool {
		return silent("no_heartbeat")+silent("no_handshake") >= float64(n+mute) && s.metric("ddpserver_connections") <= 1
	})
	if silent("no_heartbeat") == 0 || silent("no_handshake") < float64(mute) {
		t.Errorf("closed for silence: %v, before a handshake: %v", silent("no_heartbeat"), silent("no_handshake"))
	}
	others := g.served()
	t.Logf("%d half-open peers and %d that never spoke (intervals of 1 s): gone after %v; the guest's calls: %v median, %v worst", n, mute,
		took.Round(time.Millisecond), median(others), worst(others))
}

func slowloris(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calmBut("READ_HEADER_TIMEOUT=1s", "READ_TIMEOUT=2s"))
	g := serving(t, s, a.token)
	n := rounds(50, 500)
	var ended atomic.Int32
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			head := "GET /api/info HTTP/1.1\r\nHost: x\r\nX-Slow: "
			if i%2 == 0 {
				head = "POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
			}
			_, _ = io.WriteString(c, head)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			cut := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, c)
				close(cut)
			}()
			for {
				select {
				case <-tick.C:
					_, _ = c.Write([]byte(" "))
				case <-cut:
					ended.Add(1)
					return
				case <-time.After(patience):
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if int(ended.Load()) != n {
		t.Errorf("%d of %d dripping requests were ended", ended.Load(), n)
	}
	others := g.served()
	t.Logf("%d dripping headers and bodies (limits of 1 and 2 s): all ended after %v; the guest's calls: %v median, %v worst", n, took.Round(time.Millisecond),
		median(others), worst(others))
}

func floods(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calm)
	g := serving(t, s, a.token)
	rss := s.rss()
	n := rounds(8, 50)
	var wg sync.WaitGroup
	for i := range n {
		k, r := raw(t, s.addr, 0)
		frame := masked([]string{`{"msg":"method","id":"1","method":"nothing","params":[]}`, `{"msg":"sub","id":"1","name":"nothing","params":[]}`,
			`{"msg":"ping"}`, `garbage`}[i%4])
		batch := append(masked(hello), []byte(strings.Repeat(string(frame), 200))...)
		wg.Go(func() { _, _ = io.Copy(io.Discard, r) })
		wg.Go(func() {
			end := time.Now().Add(span(time.Second, 20*time.Second))
			_ = k.SetWriteDeadline(end)
			for time.Now().Before(end) {
				if _, err := k.Write(batch); err != nil {
					break // closed for it, or slowed down to the end
				}
			}
			_ = k.Close()
		})
	}
	wg.Wait()
	grown := s.rss() - rss
	if grown > 256<<10 {
		t.Errorf("%d MiB more after the floods", grown>>10)
	}
	testwait.Until(t, "the end of the flooders", func() bool { return s.metric("ddpserver_connections") <= 1 })
	if strings.Contains(s.log.String(), "panic") {
		t.Errorf("the log speaks of a panic: %s", s.log)
	}
	others := g.served()
	t.Logf("%d floods of calls, subscriptions, pings and garbage: %v messages; + %d MiB; the guest's calls: %v median, %v worst", n,
		s.metric("ddpserver_messages_total"), grown>>10, median(others), worst(others))
}

// pipeline sends ten thousand calls without waiting; the queue of the session
// holds back the reader, or closes with its reason, and answers come in order.
func pipeline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calm)
	g := serving(t, s, a.token)
	const n = 10000
	k, r := raw(t, s.addr, 0)
	var batch []byte
	batch = append(batch, masked(hello)...)
	for i := range n {
		batch = append(batch, masked(fmt.Sprintf(`{"msg":"method","id":"%d","method":"getServerTime","params":[]}`, i))...)
	}
	go func() { _, _ = k.Write(batch) }()
	answered, inOrder := 0, true
	_ = k.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 4)
	var reason string
	for answered < n {
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			reason = err.Error()
			break
		}
		size := int(head[1])
		if size == 126 {
			if _, err := io.ReadFull(r, head[2:4]); err != nil {
				break
			}
			size = int(head[2])<<8 | int(head[3])
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			break
		}
		if head[0]&0xf == 8 {
			reason = fmt.Sprintf("closed with %d %s", int(text[0])<<8|int(text[1]), text[2:])
			break
		}
		if strings.HasPrefix(string(text), `{"msg":"result"`) {
			inOrder = inOrder && strings.Contains(string(text), fmt.Sprintf(`"id":"%d"`, answered))
			answered++
		}
	}
	_ = k.Close()
	if !inOrder {
		t.Error("the answers were out of order")
	}
	if answered < n && !strings.Contains(reason, "1008") {
		t.Errorf("%d answers, then %q", answered, reason)
	}
	others := g.served()
	t.Logf("%d calls in a row: %d answered in order, then %q; the guest's calls: %v median, %v worst", n, answered, reason, median(others), worst(others))
}
