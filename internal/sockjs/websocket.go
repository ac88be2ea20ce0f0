package sockjs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

// upgrader leaves the origin to ServeHTTP. An idle connection keeps only its
// small read buffer.
var upgrader = websocket.Upgrader{
	HandshakeTimeout: 10 * time.Second,
	ReadBufferSize:   1024,
	WriteBufferSize:  4096,
	WriteBufferPool:  &sync.Pool{},
	CheckOrigin:      func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) {
		refuse(w, status, http.StatusText(status)+"\n")
	},
}

// webSocket upgrades a session's websocket route. The names in its path mean
// nothing. The HTTP handler is left, so that its buffers and stack are freed.
func (h *Handler) webSocket(w http.ResponseWriter, r *http.Request) {
	if !isUpgrade(r) {
		refuse(w, http.StatusBadRequest, `Can "Upgrade" only to "WebSocket".`)
		return
	}
	peer := *h.o.Peer(r)
	peer.Door = rpc.SockJS
	h.mu.Lock()
	stopped := h.stopped
	if !stopped {
		h.done.Add(1)
	}
	h.mu.Unlock()
	if stopped {
		refuseSession(w, http.StatusServiceUnavailable)
		return
	}
	leave, ok := h.o.Engine.Admit(peer.Address)
	if !ok {
		h.done.Done()
		refuseSession(w, http.StatusServiceUnavailable)
		return
	}
	socket, err := upgrader.Upgrade(hijacker{w}, r, nil)
	if err != nil {
		leave()
		h.done.Done()
		return
	}
	go func() {
		defer h.done.Done()
		defer leave()
		h.serveSocket(socket, &peer)
	}()
}

// hijacker finds the connection below whatever wraps the server's ResponseWriter;
// the upgrader does not look below.
type hijacker struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

func (h *Handler) serveSocket(socket *websocket.Conn, peer *rpc.Peer) {
	c := &framed{h: h, socket: socket, parted: make(chan struct{})}
	c.held.Account, c.held.Network = h.o.Budget, netkey.Of(peer.Address)
	c.limit.Store(defaultReadLimit)
	c.heard.Store(time.Now().UnixNano())
	c.sent.Store(time.Now().UnixNano())
	socket.SetPongHandler(func(string) error {
		c.hear()
		return nil
	})
	if c.write([]byte(openFrame)) != nil {
		_ = socket.Close()
		return
	}
	// beat finds the timer in its place even when it runs at once.
	timer := time.AfterFunc(time.Hour, c.beat)
	c.timer.Store(timer)
	timer.Reset(h.o.Heartbeat)
	h.o.Engine.Serve(c, peer)
}

// framed is the websocket transport as a ddp.Conn: SockJS frames in text
// messages.
type framed struct {
	h      *Handler
	socket *websocket.Conn
	limit  atomic.Int64
	sent   atomic.Int64 // when something was sent last, in Unix nanoseconds
	heard  atomic.Int64 // when something came last, likewise
	// awaiting is set between a ping and its pong.
	awaiting atomic.Bool
	timer    atomic.Pointer[time.Timer]
	closing  atomic.Bool
	parted   chan struct{} // closed when the good-bye is out

	writing sync.Mutex // one writer at a time

	// The reader's own.
	inbox posts
	raw   []byte
	held  budget.Holding // the frame in hand, and the message given out last
	given int
}

var _ ddp.Conn = (*framed)(nil)

// SetReadLimit implements ddp.Conn.
func (c *framed) SetReadLimit(bytes int) { c.limit.Store(int64(bytes)) }

// ReadFrame implements ddp.Conn.
func (c *framed) ReadFrame(r ddp.Receiver) ([]byte, error) {
	c.held.Shrink(c.given)
	c.given = 0
	m := c.inbox.next()
	for ; m == nil; m = c.inbox.next() {
		c.held.Shrink(int(c.held.Bytes()))
		r.Waiting()
		if err := c.fill(); err != nil {
			c.held.Shrink(int(c.held.Bytes()))
			return nil, err
		}
	}
	c.given = len(m)
	c.held.Force(c.given)
	r.Received(len(m))
	if len(m) > int(c.limit.Load()) {
		return nil, c.refuse(1009, "Message too long", ddp.ErrTooLong)
	}
	return m, nil
}

// fill reads one WebSocket message and cuts it into messages.
func (c *framed) fill() error {
	kind, r, err := c.socket.NextReader()
	if err != nil {
		return io.EOF
	}
	c.hear()
	raw, err := c.read(r)
	if err != nil {
		return err
	}
	if kind == websocket.TextMessage && !utf8.Valid(raw) {
		return c.refuse(1007, "Text is not UTF-8", ddp.ErrNotUTF8)
	}
	if len(raw) == 0 {
		return nil
	}
	done := c.h.o.Budget.Work(len(raw))
	c.inbox, err = postsOf(raw, false)
	done()
	if err != nil {
		return c.refuse(codeBroken, "Broken framing.", ddp.ErrFraming)
	}
	return nil
}

// hear notes a sign of life.
func (c *framed) hear() {
	c.heard.Store(time.Now().UnixNano())
	c.awaiting.Store(false)
}

// read reads a whole WebSocket message within the limit, counted before it is
// held. The buffer is kept for the next one only when it is small.
func (c *framed) read(r io.Reader) ([]byte, error) {
	b := c.raw[:0]
	for {
		if len(b) == cap(b) {
			more := max(cap(b), 1024)
			if !c.held.Wait(context.Background(), more, patience) {
				return nil, c.refuse(1013, "The server holds too much; try again later", ddp.ErrOverBudget)
			}
			b = append(make([]byte, 0, cap(b)+more), b...)
		}
		// Quotes and backslashes double inside a frame; several messages may share one.
		if int64(len(b)) > 2*c.limit.Load()+64<<10 {
			return nil, c.refuse(1009, "Message too long", ddp.ErrTooLong)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			if c.raw = nil; cap(b) <= 1024 {
				c.raw = b
			}
			return b, nil
		case err != nil:
			return nil, io.EOF
		}
	}
}

// refuse ends the connection with a close code and no SockJS frame.
func (c *framed) refuse(code int, reason string, err error) error {
	if c.closing.CompareAndSwap(false, true) {
		c.part(func() { c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)) })
	}
	return err
}

// Write implements ddp.Conn. It takes nothing without waiting.
func (c *framed) Write(p []byte, wait bool) (int, error) {
	messages := slices.Collect(wire.Messages(p))
	if !wait || len(messages) == 0 {
		return 0, nil
	}
	b := getBuffer()
	*b = appendMessages((*b)[:0], messages)
	err := c.write(*b)
	putBuffer(b)
	return len(p), err
}

func (c *framed) write(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.socket.SetWriteDeadline(time.Now().Add(c.h.o.WriteTimeout))
	err := c.socket.WriteMessage(websocket.TextMessage, frame)
	c.sent.Store(time.Now().UnixNano())
	return err
}

func (c *framed) control(kind int, payload []byte) {
	_ = c.socket.WriteControl(kind, payload, time.Now().Add(c.h.o.WriteTimeout))
}

// Close implements ddp.Conn: the SockJS close frame, then WebSocket's.
func (c *framed) Close(code int, reason string) error {
	if !c.closing.CompareAndSwap(false, true) {
		return nil
	}
	c.part(func() {
		if c.write(closeFrame(code, reason)) == nil {
			c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
		}
	})
	return nil
}

// part says good-bye without waiting for it, and gets the reader out.
func (c *framed) part(goodbye func()) {
	if t := c.timer.Load(); t != nil {
		t.Stop()
	}
	go func() {
		defer close(c.parted)
		goodbye()
		_ = c.socket.NetConn().SetReadDeadline(time.Now())
	}()
}

// Finish implements ddp.Conn. It closes the socket once the good-bye is out and
// the peer closed too, or had time to: closing with unread input would destroy
// what was sent last.
func (c *framed) Finish() {
	_ = c.Close(1000, "Normal closure")
	<-c.parted
	conn := c.socket.NetConn()
	_ = conn.SetReadDeadline(time.Now().Add(c.h.o.Linger))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, lingerBytes))
	_ = c.socket.Close()
}

// lingerBytes bounds what is read from a peer that goes on sending.
const lingerBytes = 1 << 20

// beat runs when the connection may have been silent for a heartbeat.
func (c *framed) beat() {
	if c.closing.Load() {
		return
	}
	o := &c.h.o
	if c.awaiting.Load() {
		_ = c.Close(codeBroken, "No response from heartbeat")
		return
	}
	// A peer that is only sent to may be gone: silence counts either way.
	wait := o.Heartbeat - time.Since(time.Unix(0, min(c.sent.Load(), c.heard.Load())))
	if wait <= 0 {
		c.awaiting.Store(true)
		c.sent.Store(time.Now().UnixNano())
		c.heard.Store(c.sent.Load()) // the pong is waited for from now on
		c.control(websocket.PingMessage, nil)
		wait = o.PongTimeout
	}
	if t := c.timer.Load(); t != nil {
		t.Reset(wait)
	}
}
