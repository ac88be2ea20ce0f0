package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testwait"
)

// Client is one connection to a World.
type Client struct {
	// World is the server.
	World *World
	// Peer is what the server knows of the connection.
	Peer *rpc.Peer
	// Conn is its client's end.
	Conn *ddptest.Client
	// Other are frames that no call was waiting for.
	Other []Frame
	// Done is closed when the server has let the connection go.
	Done chan struct{}
	// Name and Token are those of the last login.
	Name, Token string

	next int
}

// Frame is a message from the server, taken apart.
type Frame struct {
	Msg        string          `json:"msg"`
	ID         string          `json:"id"`
	Session    string          `json:"session"`
	Collection string          `json:"collection"`
	Fields     json.RawMessage `json:"fields"`
	Cleared    []string        `json:"cleared"`
	Subs       []string        `json:"subs"`
	Methods    []string        `json:"methods"`
	Result     json.RawMessage `json:"result"`
	Error      *Failure        `json:"error"`
	// Text is the message as it came.
	Text string `json:"-"`
}

// Failure is the error object of the wire.
type Failure struct {
	Error     any             `json:"error"`
	Reason    string          `json:"reason"`
	Details   json.RawMessage `json:"details"`
	Message   string          `json:"message"`
	ErrorType string          `json:"errorType"`
	Safe      bool            `json:"isClientSafe"`
}

// Code is the error's code as text, "" for none.
func (f *Failure) Code() string {
	if f == nil {
		return ""
	}
	return fmt.Sprint(f.Error)
}

// Unmarshal is a JSON value as a T.
func Unmarshal[T any](t testing.TB, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// Connect opens a connection and shakes hands. change may alter the peer.
func (w *World) Connect(change ...func(*rpc.Peer)) *Client {
	w.T.Helper()
	w.conns++
	peer := &rpc.Peer{Address: fmt.Sprintf("192.0.2.%d", w.conns%250+1), AgentDigest: rpc.DigestAgent(nil)}
	for _, f := range change {
		f(peer)
	}
	server, conn := ddptest.Pipe()
	c := &Client{World: w, Peer: peer, Conn: conn, Done: make(chan struct{})}
	go func() {
		w.Engine.Serve(server, peer)
		close(c.Done)
	}()
	c.Send(`{"msg":"connect","version":"1","support":["1"]}`)
	if f := c.Read(); f.Msg != "connected" {
		w.T.Fatalf("got %s", f.Text)
	}
	w.T.Cleanup(c.Close)
	return c
}

// As is a new connection logged in as that user.
func (w *World) As(name string) *Client { w.T.Helper(); return w.Connect().Login(name) }

// Close leaves, and waits until the server has let the connection go.
func (c *Client) Close() {
	c.Conn.Close()
	<-c.Done
}

// Send sends a message.
func (c *Client) Send(format string, args ...any) { c.Conn.Send(fmt.Sprintf(format, args...)) }

// Read waits for the next frame; a zero frame means that the server closed or
// nothing came.
func (c *Client) Read() Frame { return c.ReadWithin(testwait.Limit) }

// ReadWithin waits for the next frame, so long.
func (c *Client) ReadWithin(d time.Duration) Frame {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	text, ok, _ := c.Conn.Next(ctx.Done())
	if !ok {
		return Frame{}
	}
	f := Unmarshal[Frame](c.World.T, []byte(text))
	f.Text = text
	if f.Msg == "ping" {
		c.Send(`{"msg":"pong"}`)
		return c.ReadWithin(d)
	}
	return f
}

// Closed tells whether the server has ended the connection within a while.
func (c *Client) Closed(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		if _, ok, code := c.Conn.Next(ctx.Done()); !ok {
			return code != 0
		}
	}
}

// Call calls a method and waits for its result and updated frames; others are
// kept for Event.
func (c *Client) Call(method string, params ...any) (json.RawMessage, *Failure) {
	c.World.T.Helper()
	return c.CallRaw(method, string(c.encode(params)))
}

// CallRaw calls a method with parameters as they stand.
func (c *Client) CallRaw(method, params string) (json.RawMessage, *Failure) {
	c.World.T.Helper()
	id := c.NextID()
	name, _ := json.Marshal(method)
	c.Send(`{"msg":"method","id":%q,"method":%s,"params":%s}`, id, name, params)
	return c.Result(id)
}

// NextID is an id that no call or subscription of the connection has had.
func (c *Client) NextID() string {
	c.next++
	return fmt.Sprintf("m%d", c.next)
}

func (c *Client) encode(params []any) []byte {
	c.World.T.Helper()
	raw, err := ejson.Append(nil, append([]any{}, params...))
	c.World.ok(err)
	return raw
}

// Result waits for the result and updated frames of a call.
func (c *Client) Result(id string) (json.RawMessage, *Failure) {
	c.World.T.Helper()
	var got *Frame
	updated := false
	for got == nil || !updated {
		f := c.Read()
		switch {
		case f.Msg == "result" && f.ID == id:
			if got != nil {
				c.World.T.Fatalf("a second result: %s", f.Text)
			}
			got = &f
		case f.Msg == "updated" && len(f.Methods) == 1 && f.Methods[0] == id:
			updated = true
		case f.Msg == "":
			c.World.T.Fatalf("call %s: no answer (result %v, updated %v)", id, got != nil, updated)
		default:
			c.Other = append(c.Other, f)
		}
	}
	return got.Result, got.Error
}

// Must calls and expects no refusal.
func (c *Client) Must(method string, params ...any) json.RawMessage {
	c.World.T.Helper()
	raw, fail := c.Call(method, params...)
	if fail != nil {
		c.World.T.Fatalf("%s by %s: %s %s", method, c.Name, fail.Code(), fail.Reason)
	}
	return raw
}

// Refused calls and expects a refusal of that code.
func (c *Client) Refused(code, method string, params ...any) *Failure {
	c.World.T.Helper()
	raw, fail := c.Call(method, params...)
	if fail.Code() != code {
		c.World.T.Errorf("%s by %s: got %s %v, want %s", method, c.Name, raw, fail, code)
	}
	return fail
}

// Sub subscribes; the error is that of the nosub, nil when ready.
func (c *Client) Sub(id, name string, params ...any) *Failure {
	c.World.T.Helper()
	quoted, _ := json.Marshal(name)
	c.Send(`{"msg":"sub","id":%q,"name":%s,"params":%s}`, id, quoted, c.encode(params))
	for {
		f := c.Read()
		switch {
		case f.Msg == "ready" && len(f.Subs) == 1 && f.Subs[0] == id:
			return nil
		case f.Msg == "nosub" && f.ID == id:
			if f.Error == nil {
				c.World.T.Fatalf("sub %s stopped without an error", name)
			}
			return f.Error
		case f.Msg == "":
			c.World.T.Fatalf("sub %s: no answer", name)
		}
		c.Other = append(c.Other, f)
	}
}

// Subscribe subscribes to an event of a stream in the newer form.
func (c *Client) Subscribe(stream, event string) *Failure {
	c.World.T.Helper()
	return c.Sub(stream+" "+event, stream, event, map[string]any{"useCollection": false, "args": []any{}})
}

// Stream subscribes to an event of a stream and expects to be let.
func (c *Client) Stream(stream, event string) {
	c.World.T.Helper()
	if fail := c.Subscribe(stream, event); fail != nil {
		c.World.T.Fatalf("%s/%s for %s: %s", stream, event, c.Name, fail.Code())
	}
}

// Event is the next frame that no call waited for; the zero frame when there is none.
func (c *Client) Event() Frame {
	if len(c.Other) > 0 {
		f := c.Other[0]
		c.Other = c.Other[1:]
		return f
	}
	return c.ReadWithin(2 * time.Second)
}

// Streamed is one event of a stream.
type Streamed struct {
	Collection string
	Event      string            `json:"eventName"`
	Args       []json.RawMessage `json:"args"`
}

// Events are the stream events that came so far. It wants fake time.
func (c *Client) Events() (out []Streamed) {
	c.World.T.Helper()
	synctest.Wait()
	take := func(f Frame) {
		if f.Msg == "changed" && strings.HasPrefix(f.Collection, "stream-") {
			e := Unmarshal[Streamed](c.World.T, f.Fields)
			e.Collection = f.Collection
			out = append(out, e)
		}
	}
	for _, f := range c.Other {
		take(f)
	}
	c.Other = nil
	for f := c.ReadWithin(time.Millisecond); f.Msg != ""; f = c.ReadWithin(time.Millisecond) {
		take(f)
	}
	return out
}

// Login logs in with the password of World.User, and with a code where asked for.
func (c *Client) Login(name string) *Client {
	c.World.T.Helper()
	password := map[string]any{"user": map[string]any{"username": name}, "password": PasswordOf(name)}
	raw, fail := c.Call("login", password)
	if fail.Code() == "totp-required" {
		raw, fail = c.Call("login", map[string]any{"totp": map[string]any{"login": password, "code": c.World.Mails.Last()}})
	}
	if fail != nil {
		c.World.T.Fatalf("login as %s: %s %s", name, fail.Code(), fail.Reason)
	}
	c.Name, c.Token = name, Unmarshal[struct {
		Token string `json:"token"`
	}](c.World.T, raw).Token
	return c
}

// Resume logs in with the login token of another connection.
func (c *Client) Resume(other *Client) *Client {
	c.World.T.Helper()
	if _, fail := c.Call("login", map[string]any{"resume": other.Token}); fail != nil {
		c.World.T.Fatalf("resume: %s %s", fail.Code(), fail.Reason)
	}
	c.Name, c.Token = other.Name, other.Token
	return c
}

// digest is a password as clients send it.
func digest(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
