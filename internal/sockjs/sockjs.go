// Package sockjs is the SockJS door: the endpoints below /sockjs as SockJS 0.3.24
// serves them in Meteor (docs/wire/ddp.md A2), each connection a ddp.Conn for the
// engine. Framing ends here: nothing above knows that a peer polls.
//
// A polling session lives in this process only and belongs to the address and
// user agent that opened it; anybody else gets 404, a second receiver the close
// frame 2010. It is freed 60 s after its last receiver left.
//
// It has the transports that browsers of today take: websocket, xhr_streaming,
// eventsource and xhr. Those for browsers without CORS (jsonp, htmlfile and all
// that need the iframe page) are unknown here, and answer 404.
//
// The package does not speak DDP, does not authenticate, and sets no cookie unless
// told to.
package sockjs

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// Engine is what the door needs of *ddp.Server.
type Engine interface {
	// Serve runs a connection to its end.
	Serve(conn ddp.Conn, peer *rpc.Peer)
	// Admit counts a new connection of an address; leave gives the place back.
	Admit(address string) (leave func(), ok bool)
}

// Options configure a Handler. Engine, Peer and CheckOrigin are required; zero
// values of others are defaults.
type Options struct {
	Engine Engine
	// Peer describes the sender of a request.
	Peer func(*http.Request) *rpc.Peer
	// CheckOrigin tells whether the request's Origin may connect.
	CheckOrigin func(*http.Request) bool
	// WebSocket serves /sockjs/websocket, messages without SockJS frames; nil
	// answers 404 there.
	WebSocket http.Handler
	// Prefix is the path of the door: "/sockjs", or with the path of ROOT_URL
	// before it.
	Prefix string
	// DisableCORS leaves the CORS headers and "origins" out, DisableWebSocket
	// answers 404 to both websocket endpoints, JSessionID sets the cookie that
	// some load balancers look at (Meteor's DISABLE_SOCKJS_CORS,
	// DISABLE_WEBSOCKETS and USE_JSESSIONID).
	DisableCORS, DisableWebSocket, JSessionID bool

	// Heartbeat is the outbound silence before a heartbeat: 45 s.
	Heartbeat time.Duration
	// PongTimeout is how long a peer may take to answer the websocket
	// transport's ping: 10 s.
	PongTimeout time.Duration
	// DisconnectDelay is how long a polling session lives without a receiver: 60 s.
	DisconnectDelay time.Duration
	// WriteTimeout is how long a peer may take nothing of what is sent: 10 s.
	WriteTimeout time.Duration
	// Linger is how long a closed websocket waits for the peer's own close: 2 s.
	Linger time.Duration
	// ResponseLimit is how many bytes of frames a streaming response carries
	// before it is ended and the client asks for the next one: 128 KiB.
	ResponseLimit int
	// ReceiverLife is how long a streaming response lasts before it is ended and
	// the client asks for the next one: 5 minutes. A peer that has vanished asks
	// for none.
	ReceiverLife time.Duration
	// Sessions is how many polling sessions may exist: 10,000. Above, one that
	// never connected goes for the new one, or one of the client with the most;
	// with fair shares all around: 503.
	Sessions int
	// Budget counts the bytes that wait; nil counts nothing.
	Budget *budget.Account
}

// Handler serves the door. It is an http.Handler for Prefix and all below it.
//
// The routes that wait (receivers) lift the read and write deadlines of their
// request with http.ResponseController, so a ResponseWriter that wraps the
// server's must have Unwrap.
type Handler struct {
	o    Options
	done sync.WaitGroup // goroutines of sessions

	mu       sync.Mutex
	sessions map[string]*session
	shares   shares
	evicted  uint64
	stopped  bool
}

// New makes a Handler. It starts nothing.
func New(o Options) *Handler {
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	span(&o.Heartbeat, 45*time.Second)
	span(&o.PongTimeout, 10*time.Second)
	span(&o.DisconnectDelay, 60*time.Second)
	span(&o.WriteTimeout, 10*time.Second)
	span(&o.Linger, 2*time.Second)
	span(&o.ReceiverLife, 5*time.Minute)
	if o.ResponseLimit == 0 {
		o.ResponseLimit = 128 << 10
	}
	if o.Sessions == 0 {
		o.Sessions = 10_000
	}
	if o.Prefix == "" {
		o.Prefix = "/sockjs"
	}
	o.Prefix = strings.TrimSuffix(o.Prefix, "/")
	return &Handler{o: o, sessions: make(map[string]*session)}
}

// Len is the number of polling sessions that are remembered, closed ones that
// wait to tell their client included.
func (h *Handler) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// Shutdown ends all that is left, new sessions get 503, and waits for the
// goroutines of all connections or for ctx. The engine's Shutdown comes first:
// it says good-bye in order.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.stopped = true
	left := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		left = append(left, s)
	}
	h.mu.Unlock()
	for _, s := range left {
		s.drop()
	}
	finished := make(chan struct{})
	go func() {
		h.done.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// route is one endpoint: what it answers to which verb.
type route struct {
	verb    string
	serve   func(http.ResponseWriter, *http.Request)
	session bool // has a session in its path
	cors    bool // answers cross-origin requests, OPTIONS too
}

// place is where a session route was asked for.
type place struct{ session, transport string }

// find matches a path below the prefix. Every route takes one trailing slash.
func (h *Handler) find(path string) (route, bool) {
	switch {
	case path == "":
		return route{verb: http.MethodGet, serve: greet}, true
	case path == "/info":
		return route{verb: http.MethodGet, serve: h.info, cors: true}, true
	case path == "/chunking_test":
		return route{verb: http.MethodPost, serve: h.chunkingTest, cors: true}, true
	case path == "/websocket" && h.o.WebSocket != nil && !h.o.DisableWebSocket:
		return route{verb: http.MethodGet, serve: h.rawWebSocket}, true
	}
	p, ok := sessionPlace(path)
	if !ok {
		return route{}, false
	}
	switch p.transport {
	case "xhr":
		return route{http.MethodPost, h.receiver(p, xhr), true, true}, true
	case "xhr_streaming":
		return route{http.MethodPost, h.receiver(p, xhrStreaming), true, true}, true
	case "xhr_send":
		return route{http.MethodPost, h.sender(p), true, true}, true
	case "eventsource":
		return route{http.MethodGet, h.receiver(p, eventSource), true, true}, true
	case "websocket":
		if !h.o.DisableWebSocket {
			return route{http.MethodGet, h.webSocket, true, false}, true
		}
	}
	return route{}, false
}

// sessionPlace reads /<server>/<session>/<transport>; the first two are not
// empty and have neither slash nor dot. The server part means nothing.
func sessionPlace(path string) (place, bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[0] != "" || parts[1] == "" || parts[2] == "" || strings.Contains(parts[1]+parts[2], ".") {
		return place{}, false
	}
	// Whatever a client calls its session is kept in memory.
	if len(parts[2]) > maxSessionName {
		return place{}, false
	}
	return place{session: parts[2], transport: parts[3]}, true
}

// maxSessionName bounds the name of a session; clients use 8 characters.
const maxSessionName = 64

// ServeHTTP answers a request below the prefix. A foreign Origin gets 403
// everywhere, an allowed one is echoed.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, found := strings.CutPrefix(r.URL.Path, h.o.Prefix)
	path = strings.TrimSuffix(path, "/")
	route, ok := h.find(path)
	header := w.Header()
	header.Set("Vary", "Origin")
	if !h.o.CheckOrigin(r) {
		refuse(w, http.StatusForbidden, "Origin is not allowed")
		return
	}
	if !found || !ok {
		refuse(w, http.StatusNotFound, "404 Error: Page not found\n")
		return
	}
	if route.cors && !h.o.DisableCORS {
		cors(header, r)
	}
	options := route.cors && r.Method == http.MethodOptions
	if !options && r.Method != route.verb {
		header.Set("Allow", route.allow())
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if route.session {
		h.cookie(w, r)
	}
	if options {
		preflight(w, route.allow())
		return
	}
	route.serve(w, r)
}

func (r route) allow() string {
	if r.cors {
		return "OPTIONS, " + r.verb
	}
	return r.verb
}

// refuse answers with a status and a plain text.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// cors sets the headers that let pages of another origin read the answer. With
// credentials, which sockjs-client always sends, "*" would not do.
func cors(header http.Header, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
	} else {
		header.Set("Access-Control-Allow-Origin", "*")
	}
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
}

// cookie sets JSESSIONID for load balancers, to what came or to "dummy".
func (h *Handler) cookie(w http.ResponseWriter, r *http.Request) {
	if !h.o.JSessionID {
		return
	}
	value := "dummy"
	if c, err := r.Cookie("JSESSIONID"); err == nil && c.Value != "" {
		value = url.QueryEscape(c.Value)
	}
	w.Header().Set("Set-Cookie", "JSESSIONID="+value+"; path=/")
}
