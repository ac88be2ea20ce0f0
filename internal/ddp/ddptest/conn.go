package ddptest

import (
	"io"
	"slices"
	"strings"
	"sync"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
)

// Conn is the server's end of an in-memory connection. It implements ddp.Conn.
type Conn struct {
	in     chan []byte
	gone   chan struct{} // closed when the client left
	closed chan struct{} // closed when the server closed

	mu      sync.Mutex
	limit   int
	out     []string
	news    chan struct{} // signals that out or code changed
	takes   chan struct{} // closed while the client takes messages
	code    int
	reason  string
	batches int
}

// Client is the client's end.
type Client struct{ c *Conn }

// Pipe makes a connection. The server's end goes to ddp.Server.Serve.
func Pipe() (*Conn, *Client) {
	c := &Conn{
		in: make(chan []byte, 4096), gone: make(chan struct{}), closed: make(chan struct{}),
		limit: 1 << 30, news: make(chan struct{}, 1), takes: make(chan struct{}),
	}
	close(c.takes)
	return c, &Client{c}
}

// ReadFrame implements ddp.Conn.
func (c *Conn) ReadFrame(r ddp.Receiver) ([]byte, error) {
	select {
	case <-c.closed:
		return nil, io.EOF
	default:
	}
	select {
	case f := <-c.in:
		return c.check(f, r)
	default:
	}
	r.Waiting()
	select {
	case f := <-c.in:
		return c.check(f, r)
	case <-c.gone:
		return nil, io.EOF
	case <-c.closed:
		return nil, io.EOF
	}
}

func (c *Conn) check(f []byte, r ddp.Receiver) ([]byte, error) {
	r.Received(len(f))
	c.mu.Lock()
	limit := c.limit
	c.mu.Unlock()
	if len(f) > limit {
		return nil, ddp.ErrTooLong
	}
	return f, nil
}

// Write implements ddp.Conn; it takes nothing without waiting, and waits while
// the client is stalled.
func (c *Conn) Write(p []byte, wait bool) (int, error) {
	if !wait {
		return 0, nil
	}
	c.mu.Lock()
	takes := c.takes
	c.mu.Unlock()
	select {
	case <-takes:
	case <-c.gone:
		return 0, io.ErrClosedPipe
	case <-c.closed:
		return 0, io.ErrClosedPipe
	}
	c.mu.Lock()
	before := len(c.out)
	for message := range wire.Messages(p) {
		c.out = append(c.out, string(message))
	}
	if len(c.out) > before {
		c.batches++
	}
	c.mu.Unlock()
	c.tell()
	return len(p), nil
}

// Finish implements ddp.Conn.
func (c *Conn) Finish() {}

// SetReadLimit implements ddp.Conn.
func (c *Conn) SetReadLimit(n int) {
	c.mu.Lock()
	c.limit = n
	c.mu.Unlock()
}

// Close implements ddp.Conn.
func (c *Conn) Close(code int, reason string) error {
	c.mu.Lock()
	if c.code == 0 {
		c.code, c.reason = code, reason
		close(c.closed)
	}
	c.mu.Unlock()
	c.tell()
	return nil
}

func (c *Conn) tell() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Send gives the server a message.
func (c *Client) Send(frame string) {
	select {
	case c.c.in <- []byte(frame):
	case <-c.c.closed:
	}
}

// Close makes the client vanish.
func (c *Client) Close() {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	select {
	case <-c.c.gone:
	default:
		close(c.c.gone)
	}
}

// Stall makes the client take nothing until the returned function is called.
func (c *Client) Stall() (resume func()) {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	takes := make(chan struct{})
	c.c.takes = takes
	return sync.OnceFunc(func() { close(takes) })
}

// take is the next frame, or the close code once all frames were taken.
func (c *Client) take() (frame string, ok bool, code int) {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	if len(c.c.out) > 0 {
		frame = c.c.out[0]
		c.c.out = c.c.out[1:]
		return frame, true, 0
	}
	return "", false, c.c.code
}

// Next waits until stop fires for a frame, or for the end of the connection,
// whose close code it returns.
func (c *Client) Next(stop <-chan struct{}) (frame string, ok bool, code int) {
	for {
		frame, ok, code = c.take()
		if ok || code != 0 {
			return frame, ok, code
		}
		select {
		case <-c.c.news:
		case <-stop:
			return c.take()
		}
	}
}

// Await passes frames over until one has all of the texts, or Next has none any more.
func (c *Client) Await(stop <-chan struct{}, texts ...string) (frame string, ok bool, code int) {
	for {
		frame, ok, code = c.Next(stop)
		if !ok || !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(frame, text) }) {
			return frame, ok, code
		}
	}
}

// CloseReason is the code and sentence the server closed with; 0 while open.
func (c *Client) CloseReason() (code int, text string) {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	return c.c.code, c.c.reason
}

// Batches is how many writes the frames came in.
func (c *Client) Batches() int {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	return c.c.batches
}
