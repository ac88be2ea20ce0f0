package ws

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// Options configure a Handler. Engine is required.
type Options struct {
	Engine *ddp.Server
	// Peer describes the sender of an upgrade request: address after trusted
	// proxies, user agent, second-factor headers. Nil is PeerOf.
	Peer func(*http.Request) *rpc.Peer
	// CheckOrigin tells whether an upgrade request's Origin may connect; a
	// refusal is answered 403 before the upgrade. Nil is OwnOrigin.
	CheckOrigin func(*http.Request) bool
	// CompressAbove negotiates permessage-deflate without context takeover and
	// compresses messages of at least that many bytes; 0 never negotiates it.
	CompressAbove int
	// WriteTimeout is how long a socket may take nothing before it is closed: 10 s.
	WriteTimeout time.Duration
	// Linger is how long a closed socket waits for the peer's own close, so that
	// the last messages are not lost: 2 s, at most that.
	Linger time.Duration
}

// Handler upgrades requests to sessions of the engine.
type Handler struct{ o Options }

// New makes a Handler.
func New(o Options) *Handler {
	const wait, linger = 10 * time.Second, 2 * time.Second
	if o.Peer == nil {
		o.Peer = PeerOf
	}
	if o.CheckOrigin == nil {
		o.CheckOrigin = OwnOrigin
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = wait
	}
	if o.Linger == 0 || o.Linger > linger {
		o.Linger = linger
	}
	return &Handler{o}
}

// refuse answers what is no handshake in Meteor's words, without a line break
// (docs/wire/ddp.md A2).
func refuse(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(text))
}

// ServeHTTP upgrades the request (its origin, the limits on connections, a proper
// handshake) and leaves the session to the engine: the HTTP server's stack and
// buffers are freed. Refusals are answered.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		refuse(w, "Not a valid websocket request")
		return
	}
	if v := r.Header.Get("Sec-Websocket-Version"); v != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		refuse(w, "Only supported WebSocket protocol is RFC 6455.")
		return
	}
	if !h.o.CheckOrigin(r) {
		http.Error(w, "Origin not allowed", http.StatusForbidden)
		return
	}
	peer := h.o.Peer(r)
	leave, ok := h.o.Engine.Admit(peer.Address)
	if !ok {
		http.Error(w, "Too many connections", http.StatusServiceUnavailable)
		return
	}
	c := upgrade(w, r, h.o.CompressAbove > 0)
	if c == nil {
		leave()
		return
	}
	c.release, c.wait, c.linger = leave, h.o.WriteTimeout, h.o.Linger
	t := ddp.Transport{Pings: true}
	if c.deflate {
		t.CompressAbove = h.o.CompressAbove
	}
	h.o.Engine.Start(c, peer, t)
}

// Upgrade makes the handshake of a request that was checked, for a door that puts
// something of its own into the messages; nil when it failed, and was answered. The
// limits are those of Options. The caller runs the connection to its Finish.
func Upgrade(w http.ResponseWriter, r *http.Request, writeTimeout, linger time.Duration) *Conn {
	c := upgrade(w, r, false)
	if c != nil {
		c.wait, c.linger = writeTimeout, linger
	}
	return c
}

// upgrade makes the handshake; nil when it failed, and was answered. The library
// refuses a peer that sends before it is done, so nothing is lost between the
// library's reader and ours.
func upgrade(w http.ResponseWriter, r *http.Request, compress bool) *Conn {
	u := websocket.Upgrader{
		ReadBufferSize:    128, // never used
		WriteBufferPool:   noBuffers{},
		EnableCompression: compress,
		HandshakeTimeout:  10 * time.Second,
		CheckOrigin:       func(*http.Request) bool { return true }, // done before
	}
	socket, err := u.Upgrade(hijacker{w}, r, nil)
	if err != nil {
		return nil
	}
	c := &Conn{net: socket.NetConn(), deflate: compress && offersDeflate(r.Header)}
	c.useRaw()
	return c
}

// noBuffers keeps the library from making a write buffer.
type noBuffers struct{}

// Get and Put implement websocket.BufferPool.
func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// offersDeflate is the library's own test for whether it has negotiated
// permessage-deflate (always without context takeover).
func offersDeflate(h http.Header) bool {
	for _, line := range h["Sec-Websocket-Extensions"] {
		for extension := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(extension, ";")
			if strings.TrimSpace(name) == "permessage-deflate" {
				return true
			}
		}
	}
	return false
}

// hijacker finds the connection below whatever wraps the server's ResponseWriter;
// the library does not look below.
type hijacker struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// OwnOrigin allows requests without an Origin header, from the request's own
// host, and from loopback hosts, with any port and scheme. Anything else,
// "null" and repeated headers included, is foreign.
func OwnOrigin(r *http.Request) bool {
	list := r.Header["Origin"]
	if len(list) == 0 {
		return true
	}
	u, err := url.Parse(list[0])
	if len(list) > 1 || err != nil || u.Host == "" || u.User != nil {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// PeerOf describes the sender of a request by the socket's address and the
// headers, without trust in any proxy.
func PeerOf(r *http.Request) *rpc.Peer {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return &rpc.Peer{
		Address: host, UserAgent: r.UserAgent(), AgentDigest: rpc.DigestAgent(r.Header["User-Agent"]),
		Proof: rpc.HeaderProof(r.Header),
	}
}
