package ws

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/rpc"
)

// peer is a client in memory, so that time can be fake.
type peer struct {
	conn   net.Conn
	r      *bufio.Reader
	random *rand.Rand
}

// dial starts a session of the engine and returns its client.
func dial(srv *ddp.Server) *peer {
	here, there := net.Pipe()
	c := &Conn{net: there, wait: 10 * time.Second, linger: 2 * time.Second}
	srv.Start(c, &rpc.Peer{Address: "10.0.0.1"}, ddp.Transport{Pings: true})
	return &peer{here, bufio.NewReader(here), rand.New(rand.NewPCG(1, 1))}
}

func (p *peer) send(first byte, text string) {
	_, _ = p.conn.Write(masked(p.random, first, []byte(text)))
}

// frame is the next frame; first is 0 at the end.
func (p *peer) frame() (first byte, payload string) {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, ""
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		_, _ = io.ReadFull(p.r, long[:])
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	data := make([]byte, n)
	_, _ = io.ReadFull(p.r, data)
	return head[0], string(data)
}

// inBubble runs test with a server in fake time, over which nothing is left.
func inBubble(t *testing.T, test func(t *testing.T, srv *ddp.Server)) {
	synctest.Test(t, func(t *testing.T) {
		account := budget.New(0)
		srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}, Budget: account})
		test(t, srv)
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if n := account.Used(); n != 0 {
			t.Errorf("%d bytes are counted for nobody", n)
		}
	})
}

// Version pre1 has no heartbeats: a silent peer lives as long as it answers the
// pings of its WebSocket.
func TestPre1LivesByPings(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *ddp.Server) {
		p := dial(srv)
		p.send(wire.Text, `{"msg":"connect","version":"pre1","support":["pre1"]}`)
		if first, _ := p.frame(); first != wire.Text {
			t.Fatalf("%x", first)
		}
		start := time.Now()
		for range 10 {
			first, payload := p.frame()
			if first != wire.Ping {
				t.Fatalf("after %v: %x %q", time.Since(start), first, payload)
			}
			p.send(wire.Pong, payload)
		}
		if d := time.Since(start); d < 2*time.Minute {
			t.Errorf("ten pings in %v", d)
		}
		first, _ := p.frame()
		silent := time.Now()
		if first != wire.Ping {
			t.Fatalf("%x", first)
		}
		if first, payload := p.frame(); first != wire.Close || payload[:2] != "\x03\xe8" {
			t.Errorf("%x %q", first, payload)
		}
		if d := time.Since(silent); d > 15*time.Second || d < 14*time.Second {
			t.Errorf("ended after %v", d)
		}
		_ = p.conn.Close()
		synctest.Wait()
		if n := srv.Stats().Disconnects[ddp.NoHeartbeat]; n != 1 {
			t.Errorf("%d ended without a heartbeat", n)
		}
	})
}

// The peer's close frame is answered with its code behind what was sent before,
// and then nothing follows.
func TestCloseIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *ddp.Server) {
		p := dial(srv)
		p.send(wire.Text, `{"msg":"connect","version":"1","support":["1"]}`)
		p.frame()
		go func() {
			p.send(wire.Text, `{"msg":"method","id":"1","method":"slow","params":[10]}`)
			p.send(wire.Text, `{"msg":"ping","id":"7"}`)
			p.send(wire.Close, "\x0f\xa0")
		}()
		if first, payload := p.frame(); first != wire.Text || payload != `{"msg":"pong","id":"7"}` {
			t.Errorf("%x %q", first, payload)
		}
		if first, payload := p.frame(); first != wire.Close || payload != "\x0f\xa0" {
			t.Errorf("%x %q", first, payload)
		}
		if first, payload := p.frame(); first != 0 {
			t.Errorf("after the close frame comes %x %q", first, payload)
		}
		synctest.Wait()
		if n := srv.Stats().Disconnects[ddp.PeerLeft]; n != 1 {
			t.Errorf("%d peers left", n)
		}
		time.Sleep(time.Second) // the call ends, and its answer is dropped
	})
}

// A session that the server ends says why, and waits for the peer only so long.
func TestClosedSessionsLinger(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *ddp.Server) {
		here, there := net.Pipe()
		half := &halves{Conn: there}
		left := false
		c := &Conn{net: half, wait: 10 * time.Second, linger: 2 * time.Second, release: func() { left = true }}
		srv.Start(c, &rpc.Peer{Address: "10.0.0.1"}, ddp.Transport{})
		p := &peer{here, bufio.NewReader(here), rand.New(rand.NewPCG(1, 1))}
		start := time.Now()
		if first, payload := p.frame(); first != wire.Close || payload[:2] != "\x03\xf0" {
			t.Errorf("%x %q", first, payload)
		}
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("no handshake ended it after %v", d)
		}
		synctest.Wait()
		if !half.ended || left {
			t.Error("our half is to be ended first, and the place kept while the peer may read")
		}
		p.send(wire.Text, `{"msg":"late"}`) // is read, and does not reach anybody
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !left {
			t.Error("the peer is waited for for too long")
		}
		if first, _ := p.frame(); first != 0 {
			t.Errorf("%x after the end", first)
		}
	})
}

// halves is a connection whose halves end apart, as a socket's do.
type halves struct {
	net.Conn
	ended bool
}

func (h *halves) CloseWrite() error {
	h.ended = true
	return nil
}
