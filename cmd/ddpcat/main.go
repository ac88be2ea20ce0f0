// Command ddpcat is a console for DDP: it connects, logs in with a token if it
// has one, sends frames and prints what comes back.
//
//	ddpcat -token TOKEN '{"msg":"method","id":"1","method":"getServerTime","params":[]}'
//	ddpcat < frames.txt
//
// Frames given as arguments are sent one after the other, each when the one
// before was answered; then ddpcat ends. Without arguments it sends the lines of
// its standard input as they come and ends with it. Heartbeats are answered
// and not shown. Sent frames are printed behind "C:", received ones behind "S:".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ddpcat:", err)
		os.Exit(1)
	}
}

// console is one connection and what is known of its answers.
type console struct {
	ws      *websocket.Conn
	out     io.Writer
	frames  chan frame
	timeout time.Duration
}

// frame is what a console looks at in a frame.
type frame struct {
	Msg     string   `json:"msg"`
	ID      string   `json:"id"`
	Methods []string `json:"methods"`
	Subs    []string `json:"subs"`
	raw     []byte
	err     error
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	fs := flag.NewFlagSet("ddpcat", flag.ContinueOnError)
	url := fs.String("url", "ws://localhost:3000/websocket", "the server's WebSocket address")
	token := fs.String("token", "", "login token or personal access token to log in with first")
	timeout := fs.Duration("timeout", 10*time.Second, "longest wait for an answer")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dialer := websocket.Dialer{HandshakeTimeout: *timeout}
	ws, resp, err := dialer.DialContext(ctx, *url, nil)
	if err != nil {
		if resp != nil {
			return fmt.Errorf("%s answered HTTP %d to the WebSocket handshake", *url, resp.StatusCode)
		}
		return fmt.Errorf("cannot connect: %w (is the server running? see -url)", err)
	}
	c := &console{ws: ws, out: out, frames: make(chan frame, 64), timeout: *timeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	defer func() {
		_ = ws.Close()
		<-done
	}()
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	if err := c.open(*token); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return c.interactive(in)
	}
	for _, text := range fs.Args() {
		if err := c.exchange(text); err != nil {
			return err
		}
	}
	return nil
}

// open completes the handshake and logs in; the token is not shown.
func (c *console) open(token string) error {
	if err := c.send(`{"msg":"connect","version":"1","support":["1","pre2","pre1"]}`, true); err != nil {
		return err
	}
	if err := c.await(func(f frame) bool { return f.Msg == "connected" || f.Msg == "failed" }, true); err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	login, err := json.Marshal(map[string]any{"msg": "method", "id": "login", "method": "login", "params": []any{map[string]string{"resume": token}}})
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, `C: {"msg":"method","id":"login","method":"login","params":[{"resume":"…"}]}`)
	if err := c.send(string(login), false); err != nil {
		return err
	}
	refused := false
	err = c.await(func(f frame) bool {
		if f.Msg != "result" || f.ID != "login" {
			return false
		}
		var r struct{ Error json.RawMessage }
		refused = json.Unmarshal(f.raw, &r) == nil && r.Error != nil
		return true
	}, false)
	switch {
	case err != nil:
		return err
	case refused:
		return errors.New("the server refused the token: log in again and use the new one")
	}
	fmt.Fprintln(c.out, `S: logged in`)
	return nil
}

// exchange sends a frame and waits until it is answered: result and updated of
// a method, ready or nosub of a subscription.
func (c *console) exchange(text string) error {
	var sent frame
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		return fmt.Errorf("not a JSON object: %s", text)
	}
	if err := c.send(text, true); err != nil {
		return err
	}
	halves := 0
	return c.await(func(f frame) bool {
		switch f.Msg {
		case "result":
			if f.ID == sent.ID {
				halves++
			}
		case "updated":
			if len(f.Methods) == 1 && f.Methods[0] == sent.ID {
				halves++
			}
		case "ready":
			return len(f.Subs) == 1 && f.Subs[0] == sent.ID
		case "nosub":
			return f.ID == sent.ID
		case "error":
			return true
		case "pong":
			return sent.Msg == "ping"
		}
		return halves == 2
	}, true)
}

// interactive sends lines until the input ends, then waits a moment for answers.
func (c *console) interactive(in io.Reader) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	var quiet <-chan time.Time
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				lines, quiet = nil, time.After(time.Second)
				continue
			}
			if line != "" {
				if err := c.send(line, true); err != nil {
					return err
				}
			}
		case f := <-c.frames:
			if f.err != nil {
				return f.err
			}
			c.show(f)
		case <-quiet:
			return nil
		}
	}
}

func (c *console) send(text string, show bool) error {
	if show {
		fmt.Fprintln(c.out, "C:", text)
	}
	return c.ws.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *console) show(f frame) { fmt.Fprintf(c.out, "S: %s\n", f.raw) }

// await takes frames until done says so.
func (c *console) await(done func(frame) bool, show bool) error {
	limit := time.NewTimer(c.timeout)
	defer limit.Stop()
	for {
		select {
		case f := <-c.frames:
			if f.err != nil {
				return f.err
			}
			if show {
				c.show(f)
			}
			if done(f) {
				return nil
			}
		case <-limit.C:
			return fmt.Errorf("no answer within %v", c.timeout)
		}
	}
}

// read hands on every frame but heartbeats, which it answers. It ends with the
// connection.
func (c *console) read() {
	for {
		_, raw, err := c.ws.ReadMessage()
		if err != nil {
			select {
			case c.frames <- frame{err: fmt.Errorf("the connection ended: %w", err)}:
			default:
			}
			return
		}
		f := frame{raw: raw}
		_ = json.Unmarshal(raw, &f)
		if f.Msg == "ping" {
			_ = c.ws.WriteMessage(websocket.TextMessage, []byte(`{"msg":"pong"}`))
			continue
		}
		select {
		case c.frames <- f:
		case <-time.After(c.timeout):
			return
		}
	}
}
