package load

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/gorilla/websocket"
)

// Floor is the least that a DDP server on gorilla/websocket can do: it finds the
// members of a frame by looking for their names, keeps no session, checks
// nothing, and answers in one write. It knows getServerTime (and any other
// method, with the same answer), login with any resume token, a publication of
// ten documents under any name, and stream-notify-room with one room.
type Floor struct {
	upgrader websocket.Upgrader
	mu       sync.RWMutex
	stream   map[*floorConn]string
}

// NewFloor makes a floor server; it is an http.Handler for any path.
func NewFloor() *Floor {
	return &Floor{
		upgrader: websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{}},
		stream:   map[*floorConn]string{},
	}
}

// Serve listens until ctx ends.
func (f *Floor) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: f}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// gather holds frames back so that all answers to a message leave in one write.
type gather struct {
	net.Conn
	on   bool
	held []byte
}

func (g *gather) Write(b []byte) (int, error) {
	if !g.on {
		return g.Conn.Write(b)
	}
	g.held = append(g.held, b...)
	return len(b), nil
}

type hijacker struct {
	http.ResponseWriter
	conn *gather
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &gather{Conn: c}
	return h.conn, rw, nil
}

// ServeHTTP upgrades and leaves the handler, which frees its stack.
func (f *Floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := &hijacker{ResponseWriter: w}
	ws, err := f.upgrader.Upgrade(h, r, nil)
	if err != nil {
		return
	}
	h.conn.on = true
	go (&floorConn{floor: f, ws: ws, conn: h.conn}).run()
}

type floorConn struct {
	floor *Floor
	ws    *websocket.Conn
	conn  *gather
	mu    sync.Mutex
	buf   []byte
	out   []byte
}

func (c *floorConn) run() {
	defer func() {
		_ = c.ws.Close()
		c.floor.mu.Lock()
		delete(c.floor.stream, c)
		c.floor.mu.Unlock()
	}()
	for {
		_, r, err := c.ws.NextReader()
		if err != nil {
			return
		}
		b := bytes.NewBuffer(c.buf[:0])
		if _, err := b.ReadFrom(r); err != nil {
			return
		}
		c.buf = b.Bytes()
		c.handle()
	}
}

func (c *floorConn) handle() {
	f := c.buf
	if member(f, "msg") == "method" && member(f, "method") == "stream-notify-room" {
		c.floor.publish(f[bytes.Index(f, []byte(`"params":`))+9 : len(f)-1])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer(f)
	_, _ = c.conn.Conn.Write(c.conn.held)
	c.conn.held = c.conn.held[:0]
}

// member finds a text member anywhere in the frame.
func member(f []byte, name string) string {
	i := bytes.Index(f, []byte(`"`+name+`":"`))
	if i < 0 {
		return ""
	}
	rest := f[i+len(name)+4:]
	return string(rest[:max(bytes.IndexByte(rest, '"'), 0)])
}

func (c *floorConn) answer(f []byte) {
	id := member(f, "id")
	switch member(f, "msg") {
	case "connect":
		c.write(`{"msg":"connected","session":"00000000000000000"}`)
	case "ping":
		c.write(`{"msg":"pong"}`)
	case "method":
		result := `{"$date":1700000000000}`
		if member(f, "method") == "login" {
			result = `{"id":"user","token":"` + member(f, "resume") + `","tokenExpires":{"$date":1900000000000},"type":"resume"}`
		}
		c.write(`{"msg":"result","id":"`, id, `","result":`, result, `}`)
		c.write(`{"msg":"updated","methods":["`, id, `"]}`)
	case "sub":
		c.sub(f, id)
	case "unsub":
		for i := range floorDocuments {
			c.write(`{"msg":"removed","collection":"docs","id":"doc`, strconv.Itoa(i), `"}`)
		}
		c.write(`{"msg":"nosub","id":"`, id, `"}`)
	}
}

// floorDocuments is how many documents a subscription has: as many as the
// server's meteor_autoupdate_clientVersions, which it is compared with.
const floorDocuments = 6

func (c *floorConn) sub(f []byte, id string) {
	if member(f, "name") == "stream-notify-room" {
		c.floor.mu.Lock()
		c.floor.stream[c] = id
		c.floor.mu.Unlock()
	} else {
		for i := range floorDocuments {
			n := strconv.Itoa(i)
			c.write(`{"msg":"added","collection":"docs","id":"doc`, n, `","fields":{"n":`, n, `,"title":"document `, n,
				`","tags":["a","b"],"ts":{"$date":1700000000000}}}`)
		}
	}
	c.write(`{"msg":"ready","subs":["`, id, `"]}`)
}

func (c *floorConn) write(parts ...string) {
	c.out = c.out[:0]
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
	_ = c.ws.WriteMessage(websocket.TextMessage, c.out)
}

// publish frames the event once and writes it to every subscriber.
func (f *Floor) publish(params []byte) {
	text := append([]byte(`{"msg":"changed","collection":"stream-notify-room","id":"id","fields":{"eventName":"bench","args":`), params...)
	frame, err := websocket.NewPreparedMessage(websocket.TextMessage, append(text, '}', '}'))
	if err != nil {
		return
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for c := range f.stream {
		c.mu.Lock()
		_ = c.ws.WritePreparedMessage(frame)
		_, _ = c.conn.Conn.Write(c.conn.held)
		c.conn.held = c.conn.held[:0]
		c.mu.Unlock()
	}
}
