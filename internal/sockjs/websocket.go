package sockjs

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

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
	socket := ws.Upgrade(w, r, h.o.WriteTimeout, h.o.Linger)
	if socket == nil {
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

func (h *Handler) serveSocket(socket *ws.Conn, peer *rpc.Peer) {
	c := &framed{h: h, socket: socket, parted: make(chan struct{})}
	c.held.Account, c.held.Network = h.o.Budget, netkey.Of(peer.Address)
	c.SetReadLimit(defaultReadLimit)
	c.heard.Store(time.Now().UnixNano())
	if c.write([]byte(openFrame)) != nil {
		_ = socket.Close(0, "")
		socket.Finish()
		return
	}
	// beat finds the timer in its place even when it runs at once.
	timer := time.AfterFunc(time.Hour, c.beat)
	c.timer.Store(timer)
	timer.Reset(h.o.Heartbeat)
	h.o.Engine.Serve(c, peer)
}

// framed is the websocket transport as a ddp.Conn: SockJS frames in the messages of
// a WebSocket. It is what that WebSocket tells of itself, too, and passes on to the
// engine what concerns it.
type framed struct {
	ddp.Receiver // the engine's; the reader's own
	h            *Handler
	socket       *ws.Conn
	limit        atomic.Int64
	sent         atomic.Int64 // when something was sent last, in Unix nanoseconds
	heard        atomic.Int64 // when something came last, likewise
	// awaiting is set between a ping and its pong.
	awaiting atomic.Bool
	timer    atomic.Pointer[time.Timer]
	closing  atomic.Bool
	parted   chan struct{} // closed when the good-bye is out

	writing sync.Mutex // one writer at a time

	// The reader's own.
	inbox  posts
	held   budget.Holding // the frame in hand, and the message given out last
	given  int
	noRoom bool // the frame in hand did not fit beside what all hold
}

var (
	_ ddp.Conn     = (*framed)(nil)
	_ ddp.Receiver = (*framed)(nil)
)

// SetReadLimit implements ddp.Conn. Quotes and backslashes double inside a frame,
// and several messages may share one.
func (c *framed) SetReadLimit(bytes int) {
	c.limit.Store(int64(bytes))
	c.socket.SetReadLimit(2*bytes + 64<<10)
}

// ReadFrame implements ddp.Conn.
func (c *framed) ReadFrame(r ddp.Receiver) ([]byte, error) {
	c.Receiver = r
	c.held.Shrink(c.given)
	c.given = 0
	m := c.inbox.next()
	for ; m == nil; m = c.inbox.next() {
		c.held.Shrink(int(c.held.Bytes()))
		if err := c.fill(); err != nil {
			c.held.Shrink(int(c.held.Bytes()))
			return nil, err
		}
	}
	c.given = len(m)
	c.held.Force(c.given)
	if len(m) > int(c.limit.Load()) {
		return nil, c.refuse(1009, "Message too long", ddp.ErrTooLong)
	}
	return m, nil
}

// fill reads one message of the WebSocket and cuts it into messages.
func (c *framed) fill() error {
	raw, err := c.socket.ReadFrame(c)
	switch {
	case c.noRoom:
		return c.refuse(1013, "The server holds too much; try again later", ddp.ErrOverBudget)
	case err == ddp.ErrTooLong, err == ddp.ErrNotUTF8:
		reason := ddp.ReasonOf(err)
		return c.refuse(reason.Code(), reason.Text(), err)
	case err != nil:
		return err
	}
	c.hear()
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

// Grow implements ddp.Receiver: a frame is counted here, and the engine counts the
// messages in it.
func (c *framed) Grow(n int) bool {
	c.noRoom = !c.held.Wait(context.Background(), n, patience)
	return !c.noRoom
}

// Control implements ddp.Receiver.
func (c *framed) Control(frame []byte) {
	if frame[0] != wire.Close {
		_ = c.writeFramed(frame)
	} else if c.closing.CompareAndSwap(false, true) {
		c.part(func() { _ = c.writeFramed(frame) })
	}
}

// Alive implements ddp.Receiver.
func (c *framed) Alive() { c.hear() }

// hear notes a sign of life.
func (c *framed) hear() {
	c.heard.Store(time.Now().UnixNano())
	c.awaiting.Store(false)
}

// refuse ends the connection with a close code and no SockJS frame.
func (c *framed) refuse(code int, reason string, err error) error {
	if c.closing.CompareAndSwap(false, true) {
		c.part(func() { _ = c.writeFramed(wire.AppendClose(nil, code, reason)) })
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

// write sends a SockJS frame.
func (c *framed) write(frame []byte) error {
	b := getBuffer()
	*b = wire.Append((*b)[:0], wire.Text, frame)
	err := c.writeFramed(*b)
	putBuffer(b)
	return err
}

// writeFramed sends a frame of the WebSocket.
func (c *framed) writeFramed(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.socket.Write(frame, true)
	c.sent.Store(time.Now().UnixNano())
	return err
}

// Close implements ddp.Conn: the SockJS close frame, then WebSocket's.
func (c *framed) Close(code int, reason string) error {
	if !c.closing.CompareAndSwap(false, true) {
		return nil
	}
	c.part(func() {
		if c.write(closeFrame(code, reason)) == nil {
			_ = c.writeFramed(wire.AppendClose(nil, code, reason))
		}
	})
	return nil
}

// part says good-bye without waiting for it, and ends our half.
func (c *framed) part(goodbye func()) {
	if t := c.timer.Load(); t != nil {
		t.Stop()
	}
	go func() {
		defer close(c.parted)
		goodbye()
		_ = c.socket.Close(0, "")
	}()
}

// Finish implements ddp.Conn, once the good-bye is out.
func (c *framed) Finish() {
	_ = c.Close(1000, "Normal closure")
	<-c.parted
	c.socket.Finish()
}

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
		_ = c.writeFramed(wire.Append(nil, wire.Ping, nil))
		wait = o.PongTimeout
	}
	if t := c.timer.Load(); t != nil {
		t.Reset(wait)
	}
}
