package ddp

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
)

// ServeHTTP upgrades the request and serves the engine on a goroutine of its
// own: the HTTP server's stack and buffers are freed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, peer := s.upgrade(w, r)
	if c == nil {
		return
	}
	se := newSession(s, peer)
	se.conn, c.se = c, se
	se.out.compress = c.compress()
	c.attach(&se.out)
	if !s.start(se) {
		go s.refuse(se)
		return
	}
	go s.runSocket(se, c)
}

// compress is the size from which messages to this peer are compressed.
func (c *wsConn) compress() int {
	if c.sock.deflate && c.srv != nil {
		return c.srv.compress
	}
	return 0
}

// upgrade checks the request (origin, caps, a proper WebSocket handshake) and
// takes its connection over. Refusals are answered; then c is nil.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) (c *wsConn, peer *rpc.Peer) {
	if !websocket.IsWebSocketUpgrade(r) {
		http.Error(w, "Not a valid websocket request", http.StatusBadRequest)
		return nil, nil
	}
	if v := r.Header.Get("Sec-Websocket-Version"); v != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "Only supported WebSocket protocol is RFC 6455.", http.StatusBadRequest)
		return nil, nil
	}
	if !s.origin(r) {
		http.Error(w, "Origin not allowed", http.StatusForbidden)
		return nil, nil
	}
	peer = s.peer(r)
	if peer.Conn == "" {
		peer.Conn = random.ID()
	}
	if peer.Door == "" {
		peer.Door = rpc.DDP
	}
	if !s.enter(peer.Address) {
		http.Error(w, "Too many connections", http.StatusServiceUnavailable)
		return nil, nil
	}
	c = upgrade(w, r, s.compress > 0)
	if c == nil {
		s.leave(peer.Address)
		return nil, nil
	}
	c.srv, c.address = s, peer.Address
	c.wait, c.linger = s.limits.WriteTimeout, s.limits.Linger
	c.ws.SetReadLimit(int64(max(s.limits.FrameBefore, s.limits.FrameAfter)))
	return c, peer
}

// upgrade makes the handshake; nil when it failed, and was answered.
func upgrade(w http.ResponseWriter, r *http.Request, compress bool) *wsConn {
	u := websocket.Upgrader{
		ReadBufferSize:    tinyReadBuffer,
		WriteBufferPool:   noWriteBuffer{},
		EnableCompression: compress,
		HandshakeTimeout:  10 * time.Second,
		CheckOrigin:       func(*http.Request) bool { return true }, // done before
	}
	h := &hijacker{ResponseWriter: w}
	ws, err := u.Upgrade(h, r, nil)
	if err != nil {
		return nil
	}
	c := &wsConn{ws: ws, sock: h.sock, linger: time.Second, wait: 10 * time.Second}
	c.sock.deflate = compress && offersDeflate(r.Header)
	c.sock.c = c
	c.sock.sys.attach(c)
	c.limit.Store(64 << 10)
	ws.SetPingHandler(c.pinged)
	ws.SetCloseHandler(c.closed)
	return c
}

// attach makes o the outbox through which everything leaves.
func (c *wsConn) attach(o *outbox) {
	o.link = c
	c.out = o
}

// offersDeflate is the library's own test for whether it has negotiated
// permessage-deflate (always without context takeover).
func offersDeflate(h http.Header) bool {
	for _, line := range h["Sec-Websocket-Extensions"] {
		for ext := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(ext, ";")
			if strings.TrimSpace(name) == "permessage-deflate" {
				return true
			}
		}
	}
	return false
}

// hijacker gives the upgrader a connection whose reads and writes are ours.
type hijacker struct {
	http.ResponseWriter
	sock *socket
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.sock = newSocket(conn)
	return h.sock, rw, nil
}
