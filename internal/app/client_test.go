package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/testwait"
)

// client is a DDP client over a real WebSocket, as plain as can be.
type client struct {
	t      *testing.T
	ws     *websocket.Conn
	next   int
	frames []map[string]any // received and not waited for
}

func dial(t *testing.T, addr string, header http.Header) *client {
	t.Helper()
	c := open(t, addr, header)
	c.send(map[string]any{"msg": "connect", "version": "1", "support": []string{"1"}})
	c.await(func(f map[string]any) bool { return f["msg"] == "connected" })
	return c
}

func open(t *testing.T, addr string, header http.Header) *client {
	t.Helper()
	return openAt(t, addr+"/websocket", header)
}

// openAt opens the socket at that address and path.
func openAt(t *testing.T, where string, header http.Header) *client {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+where, header)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, resp)
	}
	c := &client{t: t, ws: ws}
	t.Cleanup(func() { ws.Close() })
	return c
}

func (c *client) send(v any) {
	c.t.Helper()
	if err := c.ws.WriteJSON(v); err != nil {
		c.t.Fatal(err)
	}
}

// await reads until a frame fits; pings are answered on the way.
func (c *client) await(fits func(map[string]any) bool) map[string]any {
	c.t.Helper()
	for i, f := range c.frames {
		if fits(f) {
			c.frames = slices.Delete(c.frames, i, i+1)
			return f
		}
	}
	c.ws.SetReadDeadline(time.Now().Add(testwait.Limit))
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.t.Fatalf("waiting for a frame: %v (so far %v)", err, c.frames)
		}
		var f map[string]any
		if err := json.Unmarshal(text, &f); err != nil {
			c.t.Fatalf("%q: %v", text, err)
		}
		if f["msg"] == "ping" {
			c.send(map[string]any{"msg": "pong", "id": f["id"]})
			continue
		}
		if fits(f) {
			return f
		}
		c.frames = append(c.frames, f)
	}
}

// closed reads to the end and returns the close code.
func (c *client) closed() int {
	c.t.Helper()
	c.ws.SetReadDeadline(time.Now().Add(testwait.Limit))
	for {
		if _, _, err := c.ws.ReadMessage(); err != nil {
			if ce, ok := err.(*websocket.CloseError); ok {
				return ce.Code
			}
			c.t.Fatalf("waiting for the end: %v", err)
		}
	}
}

// start sends a call and returns its id.
func (c *client) start(method string, params ...any) string {
	c.t.Helper()
	c.next++
	id := fmt.Sprint(c.next)
	if params == nil {
		params = []any{}
	}
	c.send(map[string]any{"msg": "method", "id": id, "method": method, "params": params})
	return id
}

// call returns the result, or the error object, once the call is updated.
func (c *client) call(method string, params ...any) (result any, failure map[string]any) {
	c.t.Helper()
	id := c.start(method, params...)
	f := c.await(func(f map[string]any) bool { return f["msg"] == "result" && f["id"] == id })
	c.await(func(f map[string]any) bool {
		list, _ := f["methods"].([]any)
		return f["msg"] == "updated" && slices.Contains(list, any(id))
	})
	failure, _ = f["error"].(map[string]any)
	return f["result"], failure
}

// must is call without a failure.
func (c *client) must(method string, params ...any) any {
	c.t.Helper()
	result, failure := c.call(method, params...)
	if failure != nil {
		c.t.Fatalf("%s: %v", method, failure)
	}
	return result
}

// refused is call with that failure, whose details it returns.
func (c *client) refused(code any, method string, params ...any) map[string]any {
	c.t.Helper()
	result, failure := c.call(method, params...)
	if failure == nil || failure["error"] != code {
		c.t.Fatalf("%s: result %v, error %v; want error %v", method, result, failure, code)
	}
	details, _ := failure["details"].(map[string]any)
	return details
}

// login answers the result of a login by password.
func (c *client) login(user, password string) map[string]any {
	c.t.Helper()
	return c.must("login", byPassword(user, password)).(map[string]any)
}

func byPassword(user, password string) map[string]any {
	sum := sha256.Sum256([]byte(password))
	return map[string]any{"user": map[string]any{"username": user}, "password": map[string]any{"digest": hex.EncodeToString(sum[:]), "algorithm": "sha-256"}}
}

var code = regexp.MustCompile(`\b(\d{3})-(\d{3})\b`)

// mailedCode waits for the n-th mail file and takes the code out of it.
func mailedCode(t *testing.T, dataDir string, n int) string {
	t.Helper()
	var names []string
	testwait.Until(t, fmt.Sprintf("mail number %d", n), func() bool {
		names, _ = filepath.Glob(filepath.Join(dataDir, "outbox", "*.eml"))
		return len(names) >= n
	})
	slices.Sort(names)
	text, err := os.ReadFile(names[n-1])
	if err != nil {
		t.Fatal(err)
	}
	m := code.FindSubmatch(bytes.ReplaceAll(text, []byte("=\r\n"), nil))
	if m == nil {
		t.Fatalf("no code in %s:\n%s", names[n-1], text)
	}
	return string(m[1]) + string(m[2])
}

func httpGet(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url) // a test against this machine
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
