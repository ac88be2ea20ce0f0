package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/testwait"
)

// conn is a DDP client for use by many goroutines. Calls return errors instead
// of ending a test, since here servers die on purpose.
type conn struct {
	ws   *websocket.Conn
	dead chan struct{} // closed when reading ended
	// data gets the text of every frame that is no answer; nil for none.
	data func(text []byte)

	write sync.Mutex // one frame at a time

	mu      sync.Mutex
	next    int
	waiting map[string]chan frame
	err     error // why reading ended
}

// frame is what the server sends.
type frame struct {
	Msg    string          `json:"msg"`
	ID     string          `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *refusal        `json:"error"`
}

// refusal is an error that the server answered: the call was refused for sure.
type refusal struct {
	Code   any    `json:"error"`
	Reason string `json:"reason"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%v (%s)", r.Code, r.Reason) }

// errLost says that the connection ended before an answer: nobody knows whether
// the call had an effect.
var errLost = errors.New("the connection was lost before the answer")

// code is the code of a refusal: "" for success, "lost" for an unknown outcome.
func code(err error) string {
	var r *refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return fmt.Sprint(r.Code)
	}
	return "lost"
}

// dialer gives a dial its time.
var dialer = websocket.Dialer{HandshakeTimeout: patience}

// connect opens a DDP session. token, when not empty, logs it in.
func connect(addr, token string) (*conn, error) { return connectWith(addr, token, nil) }

// connectWith is connect with a function that gets data.
func connectWith(addr, token string, data func(text []byte)) (*conn, error) {
	ws, resp, err := dialer.Dial("ws://"+addr+"/websocket", nil)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("%w (HTTP %d)", err, resp.StatusCode)
		}
		return nil, err
	}
	c := &conn{ws: ws, dead: make(chan struct{}), data: data, waiting: map[string]chan frame{}}
	ready := c.expect("connected")
	go c.read()
	if err := c.send(`{"msg":"connect","version":"1","support":["1"]}`); err != nil {
		c.close()
		return nil, err
	}
	if _, err := c.answer(ready); err != nil {
		c.close()
		return nil, err
	}
	if token != "" {
		if _, err := c.call("login", map[string]any{"resume": token}); err != nil {
			c.close()
			return nil, fmt.Errorf("resume: %w", err)
		}
	}
	return c, nil
}

// dial is connect for the length of a test, which a failure ends.
func dial(t testing.TB, addr, token string) *conn {
	t.Helper()
	c, err := connect(addr, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// dialUntil is dial that tries until it succeeds: on a busy machine a store or a
// door with a time limit may refuse a few times.
func dialUntil(t testing.TB, addr, token string) (c *conn) {
	t.Helper()
	testwait.Until(t, "a session", func() bool {
		var err error
		c, err = connect(addr, token)
		return err == nil
	})
	t.Cleanup(c.close)
	return c
}

// close ends the connection and waits for its reader.
func (c *conn) close() {
	_ = c.ws.Close()
	<-c.dead
}

func (c *conn) send(text string) error {
	c.write.Lock()
	defer c.write.Unlock()
	return c.ws.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *conn) read() {
	defer close(c.dead)
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			f.Msg = "malformed"
		}
		switch f.Msg {
		case "ping":
			_ = c.send(`{"msg":"pong","id":` + strconv.Quote(f.ID) + `}`)
			continue
		case "connected":
			f.ID = "connected"
		case "result", "pong":
		default:
			if c.data != nil {
				c.data(text)
			}
			continue
		}
		c.mu.Lock()
		w := c.waiting[f.ID]
		delete(c.waiting, f.ID)
		c.mu.Unlock()
		if w != nil {
			w <- f
		}
	}
}

// closeCode is the code the server closed with, once it has.
func (c *conn) closeCode() int {
	<-c.dead
	var ce *websocket.CloseError
	if errors.As(c.err, &ce) {
		return ce.Code
	}
	return 0
}

func (c *conn) expect(id string) chan frame {
	w := make(chan frame, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[id] = w
	return w
}

func (c *conn) answer(w chan frame) (frame, error) {
	select {
	case f := <-w:
		if f.Error != nil {
			return f, f.Error
		}
		return f, nil
	case <-c.dead:
		select { // the answer may have come just before the end
		case f := <-w:
			if f.Error != nil {
				return f, f.Error
			}
			return f, nil
		default:
			return frame{}, errLost
		}
	case <-time.After(patience):
		return frame{}, fmt.Errorf("no answer within %v", patience)
	}
}

// calls numbers the calls of all connections.
var calls atomic.Int64

// start sends a call; the answer comes on the channel.
func (c *conn) start(method string, params ...any) (chan frame, error) {
	if params == nil {
		params = []any{}
	}
	// Ids never repeat: the very same message from another connection would be one that
	// is sent again (docs/decisions.md 3.5), and no test of codes.
	id := strconv.FormatInt(calls.Add(1), 10)
	text, err := json.Marshal(map[string]any{"msg": "method", "id": id, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	w := c.expect(id)
	if err := c.send(string(text)); err != nil {
		return nil, errLost
	}
	return w, nil
}

// call makes one call. The error is a *refusal, or says that nobody knows.
func (c *conn) call(method string, params ...any) (json.RawMessage, error) {
	w, err := c.start(method, params...)
	if err != nil {
		return nil, err
	}
	f, err := c.answer(w)
	return f.Result, err
}

// ping asks for a sign of life.
func (c *conn) ping() error {
	c.mu.Lock()
	c.next++
	id := "p" + strconv.Itoa(c.next)
	c.mu.Unlock()
	w := c.expect(id)
	if err := c.send(`{"msg":"ping","id":"` + id + `"}`); err != nil {
		return errLost
	}
	_, err := c.answer(w)
	return err
}

// proof is the trailing parameter that answers a challenge.
func proof(method, code string) map[string]any {
	return map[string]any{"twoFactorCode": code, "twoFactorMethod": method}
}

// rest makes one request over REST. A refusal is a *refusal with errorType or
// the text as its code.
func rest(addr string, a *account, verb, route string, body any, header ...string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, verb, "http://"+addr+"/api/v1/"+route, r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if a != nil {
		req.Header.Set("X-User-Id", a.id)
		req.Header.Set("X-Auth-Token", a.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := plain.Do(req)
	if err != nil {
		return nil, errLost
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, errLost
	}
	if out["success"] == false || out["status"] == "error" || resp.StatusCode >= 400 {
		f := &refusal{Code: out["errorType"], Reason: fmt.Sprint(out["error"], out["message"])}
		if text, ok := out["error"].(string); f.Code == nil && ok {
			f.Code = text
		}
		if text, ok := out["message"].(string); f.Code == nil && ok { // method.call: a frame in an envelope
			var inner frame
			if json.Unmarshal([]byte(text), &inner) == nil && inner.Error != nil {
				return out, inner.Error
			}
		}
		if f.Code == nil {
			f.Code = fmt.Sprint(resp.StatusCode)
		}
		return out, f
	}
	return out, nil
}
