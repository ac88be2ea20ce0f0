package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Client is one DDP connection. It is used by one goroutine, but that frames
// may be written by another.
type Client struct {
	ws  *websocket.Conn
	buf []byte
	out []byte
	id  int
}

// sources is the number of loopback addresses connections come from: one
// address has too few ports for storms, and servers limit addresses.
const sources = 32

var nextSource atomic.Uint32

// CheckTarget refuses anything that is not this machine.
func CheckTarget(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("the URL cannot be read: %w", err)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not a loopback address: load goes to this machine only", u.Hostname())
	}
	return nil
}

// Options of a connection.
type DialOptions struct {
	// Deflate offers permessage-deflate, as browsers do.
	Deflate bool
}

// Dial opens a connection from one of many loopback addresses and completes the
// DDP handshake.
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Client, error) {
	src := net.IPv4(127, 0, 1, byte(2+nextSource.Add(1)%sources))
	d := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nd := net.Dialer{LocalAddr: &net.TCPAddr{IP: src}}
			return nd.DialContext(ctx, network, addr)
		},
		ReadBufferSize: 1024, WriteBufferSize: 1024, HandshakeTimeout: 30 * time.Second, EnableCompression: o.Deflate,
	}
	ws, resp, err := d.DialContext(ctx, rawURL, http.Header{})
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%w (HTTP %d)", err, resp.StatusCode)
		}
		return nil, err
	}
	c := &Client{ws: ws}
	if err := c.Write(`{"msg":"connect","version":"1","support":["1","pre2","pre1"]}`); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.until("connected", ""); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the connection at once.
func (c *Client) Close() error { return c.ws.Close() }

// Write sends one frame.
func (c *Client) Write(frame string) error {
	return c.ws.WriteMessage(websocket.TextMessage, []byte(frame))
}

// Read returns the next frame that is no heartbeat; pings are answered. The
// bytes are good until the next Read.
func (c *Client) Read() ([]byte, error) {
	for {
		_, r, err := c.ws.NextReader()
		if err != nil {
			return nil, err
		}
		b := bytes.NewBuffer(c.buf[:0])
		if _, err := b.ReadFrom(r); err != nil {
			return nil, err
		}
		c.buf = b.Bytes()
		if kind(c.buf) != "ping" {
			return c.buf, nil
		}
		if err := c.Write(`{"msg":"pong"}`); err != nil {
			return nil, err
		}
	}
}

// kind is the msg member, which every server writes first.
func kind(frame []byte) string {
	rest, ok := bytes.CutPrefix(frame, []byte(`{"msg":"`))
	if !ok {
		return ""
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return ""
	}
	return string(rest[:end])
}

// numericID is the id member, or the only one of methods or subs, as a number; -1 if it is none.
func numericID(frame []byte) int {
	for _, key := range []string{`"id":"`, `"methods":["`, `"subs":["`} {
		if i := bytes.Index(frame, []byte(key)); i >= 0 {
			rest := frame[i+len(key):]
			if end := bytes.IndexByte(rest, '"'); end >= 0 {
				if n, err := strconv.Atoi(string(rest[:end])); err == nil {
					return n
				}
			}
			return -1
		}
	}
	return -1
}

// until reads up to a frame of that kind and, if given, with that text in it.
func (c *Client) until(want, text string) error {
	for {
		f, err := c.Read()
		if err != nil {
			return err
		}
		if kind(f) == want && (text == "" || bytes.Contains(f, []byte(text))) {
			return nil
		}
	}
}

// appendCall writes a method frame.
func appendCall(dst []byte, id int, method, params string) []byte {
	dst = append(dst, `{"msg":"method","id":"`...)
	dst = strconv.AppendInt(dst, int64(id), 10)
	dst = append(dst, `","method":"`...)
	dst = append(dst, method...)
	dst = append(dst, `","params":`...)
	dst = append(dst, params...)
	return append(dst, '}')
}

// Send sends a call without waiting and returns its id.
func (c *Client) Send(method, params string) (int, error) {
	c.id++
	c.out = appendCall(c.out[:0], c.id, method, params)
	return c.id, c.ws.WriteMessage(websocket.TextMessage, c.out)
}

// ErrRefused is a call that was answered with an error; the text is its code.
type ErrRefused struct{ Frame string }

// Error implements error.
func (e ErrRefused) Error() string { return "refused: " + e.Frame }

// Call makes one call and waits for result and updated.
func (c *Client) Call(method, params string) (string, error) {
	id, err := c.Send(method, params)
	if err != nil {
		return "", err
	}
	result, seen := "", 0
	for seen < 2 {
		f, err := c.Read()
		if err != nil {
			return "", err
		}
		if k := kind(f); (k == "result" || k == "updated") && numericID(f) == id {
			seen++
			if k == "result" {
				result = string(f)
			}
		}
	}
	if bytes.Contains([]byte(result), []byte(`"error":{`)) {
		return result, ErrRefused{result}
	}
	return result, nil
}

// Login logs in with a resume token.
func (c *Client) Login(token string) error {
	_, err := c.Call("login", `[{"resume":"`+token+`"}]`)
	return err
}

// Subscribe makes a subscription and waits until it is ready.
func (c *Client) Subscribe(name, params string) (int, error) {
	c.id++
	id := c.id
	if err := c.Write(fmt.Sprintf(`{"msg":"sub","id":"%d","name":"%s","params":%s}`, id, name, params)); err != nil {
		return 0, err
	}
	for {
		f, err := c.Read()
		if err != nil {
			return 0, err
		}
		switch kind(f) {
		case "ready":
			if numericID(f) == id {
				return id, nil
			}
		case "nosub":
			if numericID(f) == id {
				return 0, ErrRefused{string(f)}
			}
		}
	}
}

// Unsubscribe ends a subscription and waits for the answer.
func (c *Client) Unsubscribe(id int) error {
	if err := c.Write(fmt.Sprintf(`{"msg":"unsub","id":"%d"}`, id)); err != nil {
		return err
	}
	return c.until("nosub", fmt.Sprintf(`"id":"%d"`, id))
}
