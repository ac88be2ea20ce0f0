package sockjs

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp/ws"
)

// bubble calls a handler directly, so that time can be fake.
type bubble struct {
	t *testing.T
	h *Handler
	e *echo
}

func newBubble(t *testing.T, o Options) *bubble {
	e := newEcho()
	o.Engine = e
	o.Peer, o.CheckOrigin = ws.PeerOf, ws.OwnOrigin
	return &bubble{t, New(o), e}
}

// do runs one request to its end.
func (b *bubble) do(ctx context.Context, method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	b.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (b *bubble) want(method, path, body, text string) {
	b.t.Helper()
	if _, got := b.do(context.Background(), method, path, body); got != text {
		b.t.Errorf("%s %s: %q, want %q", method, path, got, text)
	}
}

// later runs a request beside the test; the channel gets its text.
func (b *bubble) later(ctx context.Context, method, path string) chan string {
	out := make(chan string, 1)
	go func() {
		_, text := b.do(ctx, method, path, "")
		out <- text
	}()
	synctest.Wait()
	return out
}

func (b *bubble) left(n int) {
	b.t.Helper()
	synctest.Wait()
	if got := b.h.Len(); got != n {
		b.t.Errorf("%d sessions, want %d", got, n)
	}
	if got := b.e.Stats().Sockets; got != int64(n) && n == 0 {
		b.t.Errorf("%d places are taken", got)
	}
}

const poll, post = "/sockjs/0/fake/xhr", "/sockjs/0/fake/xhr_send"

// TestDisconnectDelay: 60 s without a receiver end a session, one second less does not.
func TestDisconnectDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		time.Sleep(59 * time.Second)
		b.want("POST", post, `["x"]`, "")
		b.want("POST", poll, "", "a[\"x\"]\n")
		time.Sleep(59 * time.Second)
		b.left(1)
		time.Sleep(2 * time.Second)
		b.left(0)
		if err := <-b.e.ended; err == nil {
			t.Error("the reader did not end")
		}
		if code, _ := b.do(context.Background(), "POST", post, `["x"]`); code != 404 {
			t.Errorf("a message for a dropped session: %d", code)
		}
	})
}

// TestUnreadMessages: an engine that has something to say learns when its
// session is dropped.
func TestUnreadMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		b.want("POST", post, `["x","y"]`, "")
		time.Sleep(61 * time.Second)
		b.left(0)
		<-b.e.ended
	})
}

// TestHeartbeat: a silent poll is answered after 45 s, a stream gets one each 45 s.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		start := time.Now()
		b.want("POST", poll, "", "h\n")
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("after %v", d)
		}
		ctx, cancel := context.WithCancel(context.Background())
		stream := b.later(ctx, "POST", "/sockjs/0/fake/xhr_streaming")
		time.Sleep(30 * time.Second)
		b.want("POST", post, `["x"]`, "")
		time.Sleep(44 * time.Second) // silence starts anew with every frame
		synctest.Wait()
		time.Sleep(2*time.Second + 45*time.Second)
		synctest.Wait()
		cancel()
		if text := <-stream; text != string(xhrStreaming.prelude)+"a[\"x\"]\nh\nh\n" {
			t.Errorf("stream: %q", text[len(xhrStreaming.prelude):])
		}
		b.left(0)
	})
}

// TestPollDies: a poll whose peer leaves takes the session with it.
func TestPollDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		ctx, cancel := context.WithCancel(context.Background())
		out := b.later(ctx, "POST", poll)
		cancel()
		<-out
		b.left(0)
	})
}

// TestClosedIsRemembered: the close frame waits for a client that comes later,
// for as long as a session without a receiver lives, but not for long after it
// was told.
func TestClosedIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		b.want("POST", post, `["close"]`, "")
		time.Sleep(59 * time.Second)
		b.want("POST", poll, "", "c[1000,\"Normal closure\"]\n")
		time.Sleep(4 * time.Second)
		b.want("POST", poll, "", "c[1000,\"Normal closure\"]\n")
		time.Sleep(6 * time.Second)
		b.left(0)

		b.want("POST", poll, "", "o\n")
		out := b.later(context.Background(), "POST", poll)
		b.want("POST", post, `["close"]`, "")
		if text := <-out; text != "c[1000,\"Normal closure\"]\n" {
			t.Errorf("waiting receiver: %q", text)
		}
		time.Sleep(6 * time.Second)
		b.left(0)
	})
}

// TestFlood: what the engine has not read stays with the sender; a message
// over the limit ends the session with 1009.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		long := strings.Repeat("x", 40<<10)
		// The engine hangs in its first answer, so the second message fills the inbox.
		b.want("POST", post, `["first","`+long+`"]`, "")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if code, _ := b.do(ctx, "POST", post, `["`+long+`"]`); code != 404 {
			t.Errorf("a flood is taken: %d", code)
		}
		sent := make(chan int, 1)
		go func() {
			code, _ := b.do(context.Background(), "POST", post, `["`+long+`"]`)
			sent <- code
		}()
		synctest.Wait()
		b.want("POST", poll, "", "a[\"first\"]\n")
		if code := <-sent; code != 204 {
			t.Errorf("a sender that waits: %d", code)
		}
		b.want("POST", poll, "", "a[\""+long+"\"]\n")
		b.want("POST", poll, "", "a[\""+long+"\"]\n")
		b.want("POST", post, `["small","seventeen letters"]`, "")
		b.want("POST", poll, "", "c[1009,\"Message too long\"]\n")
		time.Sleep(time.Minute)
		b.left(0)
	})
}

// TestAbandoned: ten thousand sessions that nobody polls are all freed, one more
// takes the place of the oldest, and each costs little.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 10_000 {
			w := httptest.NewRecorder()
			b.h.ServeHTTP(w, httptest.NewRequest("POST", fmt.Sprintf("/sockjs/0/s%d/xhr", i), nil))
			if w.Body.String() != "o\n" {
				t.Fatalf("session %d: %d %q", i, w.Code, w.Body)
			}
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		// What lives, not what the recorders of this test left behind.
		if used := int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse); used > 64<<20 {
			t.Errorf("10,000 sessions take %d MiB", used>>20)
		}
		b.want("POST", poll, "", "o\n")
		b.left(10_000)
		if n := b.h.Evicted(); n != 1 {
			t.Errorf("%d sessions went for one", n)
		}
		time.Sleep(61 * time.Second)
		b.left(0)
		b.want("POST", poll, "", "o\n")
		time.Sleep(61 * time.Second)
	})
}

// TestShutdown ends receivers and refuses new sessions.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.want("POST", poll, "", "o\n")
		b.want("POST", "/sockjs/0/second/xhr", "", "o\n")
		out := b.later(context.Background(), "POST", poll)
		if err := b.h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-out
		b.left(0)
		if code, _ := b.do(context.Background(), "POST", poll, ""); code != 503 {
			t.Errorf("a session after the shutdown: %d", code)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{})
		b.h.done.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a shutdown that cannot finish: %v", err)
		}
		b.h.done.Done()
	})
}
