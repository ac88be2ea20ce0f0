package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(s http.Handler, method, path string) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", name, r.URL.Path) })
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMountsBelowThePrefix(t *testing.T) {
	mounts := []Mount{
		{Path: "/websocket", Handler: echo("ws")},
		{Path: "/sockjs", Subtree: true, Handler: echo("sockjs")},
		{Path: "/api/v1", Subtree: true, Handler: echo("rest")},
		{Path: "/api/info", Handler: echo("info")},
		{Path: "/", Handler: echo("root")},
	}
	for _, prefix := range []string{"", "/team/chat"} {
		s := New(Options{Prefix: prefix, Mounts: mounts})
		for path, want := range map[string]string{
			"/websocket": "ws /websocket", "/websocket/": "ws /websocket/", "/sockjs": "sockjs /sockjs", "/sockjs/": "sockjs /sockjs/",
			"/sockjs/1/2/xhr": "sockjs /sockjs/1/2/xhr", "/api/v1/login": "rest /api/v1/login", "/api/info": "info /api/info", "/": "root /",
		} {
			if got := text(t, get(s, "GET", prefix+path)); got != want {
				t.Errorf("prefix %q, %s: %q, want %q", prefix, path, got, want)
			}
		}
		for _, path := range []string{"/websocket/x", "/sockjsx", "/api", "/api/v2/x", "/api/info/x", "/WEBSOCKET", "//websocket", "/debug/pprof/", "/metrics"} {
			if r := get(s, "GET", prefix+path); r.StatusCode != 404 {
				t.Errorf("prefix %q, %s: %d, want 404", prefix, path, r.StatusCode)
			}
		}
		if prefix != "" {
			for _, path := range []string{"/websocket", "/", "/team", "/team/chatter/websocket", "/api/info"} {
				if r := get(s, "GET", path); r.StatusCode != 404 {
					t.Errorf("%s outside the prefix: %d, want 404", path, r.StatusCode)
				}
			}
			if got := text(t, get(s, "GET", prefix)); got != "root /" {
				t.Errorf("the bare prefix: %q", got)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	s := New(Options{Mounts: []Mount{{Path: "/a", Handler: echo("a")}, {Path: "/sockjs", Subtree: true, Handler: echo("s")}}})
	for _, path := range []string{"/a", "/sockjs/info", "/none", "/livez"} {
		h := get(s, "GET", path).Header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Server") != "" || h.Get("X-Powered-By") != "" {
			t.Errorf("%s: %v", path, h)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	for _, method := range []string{"TRACE", "CONNECT"} {
		if r := get(s, method, "/a"); r.StatusCode != 405 {
			t.Errorf("%s: %d", method, r.StatusCode)
		}
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		var asked atomic.Int32
		var note []string
		s := New(Options{Prefix: "/p", Checks: map[string]func(context.Context) error{"store": func(ctx context.Context) error {
			asked.Add(1)
			if fail.Load() {
				<-ctx.Done() // a check that hangs is ended, not waited for
				return errors.New("mongodb://root:secret@db is down")
			}
			return nil
		}}, Notes: func() []string { return note }, Transport: func() string { return "polling" }})
		expect := func(path string, code int, body string) {
			t.Helper()
			r := get(s, "GET", path)
			if got := strings.TrimSpace(text(t, r)); r.StatusCode != code || got != body || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %s", path, r.StatusCode, got)
			}
		}
		expect("/livez", 200, `{"status":"ok"}`)
		expect("/readyz", 503, `{"status":"starting or stopping","transport":"polling"}`)
		s.SetReady(true)
		for _, path := range []string{"/readyz", "/p/readyz", "/readyz"} {
			expect(path, 200, `{"status":"ok","transport":"polling"}`)
		}
		expect("/p/livez", 200, `{"status":"ok"}`)
		note = []string{"something"} // does not make it unready
		expect("/readyz", 200, `{"status":"ok","notes":["something"],"transport":"polling"}`)
		expect("/livez", 200, `{"status":"ok"}`)
		note = nil
		if n := asked.Load(); n != 1 {
			t.Errorf("the check ran %d times within a second", n)
		}
		fail.Store(true)
		time.Sleep(2 * checkAge) // bubble time
		expect("/readyz", 503, `{"status":"degraded","failed":["store"],"transport":"polling"}`)
		expect("/livez", 200, `{"status":"ok"}`)
		fail.Store(false)
		time.Sleep(2 * checkAge)
		expect("/readyz", 200, `{"status":"ok","transport":"polling"}`)
		s.SetReady(false)
		expect("/readyz", 503, `{"status":"starting or stopping","transport":"polling"}`)
		if r := get(s, "POST", "/readyz"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d", r.StatusCode)
		}
	})
}

func TestPanicStaysInItsRequest(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	s := New(Options{Logger: zap.New(core), Mounts: []Mount{{Path: "/boom", Subtree: true, Handler: boom}}, Shown: func(string) string { return "shown" }})
	r := get(s, "GET", "/boom/token")
	if body := text(t, r); r.StatusCode != 500 || strings.Contains(body, "secret detail") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if list := logs.FilterMessage("http_handler_panicked").All(); len(list) != 1 || list[0].ContextMap()["path"] != "shown" {
		t.Errorf("logged %v", list)
	}
}

// pipes is a listener over in-memory connections, for bubbles of fake time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *pipes) dial() net.Conn {
	c, s := net.Pipe()
	p.conns <- s
	return c
}

// serve runs a server in the bubble of the test.
func serve(t *testing.T, o Options) (*Server, *pipes) {
	s, l := New(o), newPipes()
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // bubble time: net/http lingers half a second after an answer such as 431
	})
	return s, l
}

func patience() Options {
	return Options{ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 12 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 32 << 10}
}

// S090: a client that sends a byte now and then is closed in time.
func TestSlowClientsAreClosed(t *testing.T) {
	for _, first := range []string{"", "GET /a HTTP/1.1\r\nHost: x\r\nX: ", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			o := patience()
			read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) })
			o.Mounts = []Mount{{Path: "/a", Handler: read}}
			_, l := serve(t, o)
			c := l.dial()
			start := time.Now()
			var sender sync.WaitGroup
			sender.Go(func() {
				io.WriteString(c, first)
				for {
					time.Sleep(5 * time.Second) // bubble time
					if _, err := io.WriteString(c, "x"); err != nil {
						return
					}
				}
			})
			io.Copy(io.Discard, c) // ends when the server closes
			defer sender.Wait()
			defer c.Close()
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("after %.20q closed only after %v", first, d)
			}
		})
	}
}

// A slow call, a long poll and a stream outlive every timeout, with and without a
// body: a call that was carried out is answered, however busy the machine is.
func TestAnswersMayTakeTheirTime(t *testing.T) {
	for _, path := range []string{"/call", "/stream"} {
		for _, head := range []string{"GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n", "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"} {
			synctest.Test(t, func(t *testing.T) {
				o := patience()
				slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.ReadAll(r.Body)
					said := "late"
					if r.URL.Path == "/stream" {
						io.WriteString(w, "la")
						http.NewResponseController(w).Flush()
						said = "te"
					}
					select {
					case <-time.After(5 * time.Minute):
						io.WriteString(w, said)
					case <-r.Context().Done():
					}
				})
				o.Mounts = []Mount{{Path: "/call", Handler: slow}, {Path: "/stream", Handler: slow}}
				_, l := serve(t, o)
				c := l.dial()
				defer c.Close()
				answers := bufio.NewReader(c)
				for range 2 { // the second on the same connection
					io.WriteString(c, head)
					r, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Fatalf("%.10s: %v", head, err)
					}
					if got := text(t, r); got != "late" {
						t.Errorf("%.10s: %q", head, got)
					}
				}
			})
		}
	}
}

// A reader that takes nothing cannot hold an ordinary answer for ever.
func TestSlowReadersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := patience()
		ended, began := make(chan error, 1), make(chan time.Time, 1)
		o.Mounts = []Mount{{Path: "/big", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Minute) // bubble time
			began <- time.Now()
			_, err := w.Write(make([]byte, 1<<20))
			ended <- err
		})}}
		_, l := serve(t, o)
		c := l.dial()
		defer c.Close()
		io.WriteString(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
		start := <-began
		if err := <-ended; err == nil || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// S090: nor can it hold any other answer, of a mount or of none, by asking for many and
// reading none.
func TestNoAnswerWaitsForEver(t *testing.T) {
	for name, ask := range map[string]string{
		"an answer": "GET /a", "one without a body": "GET /empty", "a panic": "GET /boom", "no such path": "GET /none", "no such verb": "TRACE /a",
		"health": "GET /livez", "health by a verb": "POST /livez", "the end of one that was timed by its handler": "GET /own",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { unread(t, ask) })
		})
	}
}

// unread asks twice and reads nothing for two minutes.
func unread(t *testing.T, ask string) {
	o := patience()
	o.Mounts = []Mount{
		{Path: "/a", Handler: echo("a")}, {Path: "/empty", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
		{Path: "/boom", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })},
		{Path: "/own", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Time{})
			io.WriteString(w, "x")
		})},
	}
	_, l := serve(t, o)
	c := l.dial()
	defer c.Close()
	go io.WriteString(c, strings.Repeat(ask+" HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	time.Sleep(2 * time.Minute) // bubble time
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("waited for its reader: %.20q", b)
	}
}

// A connection that its handler took is the handler's: nobody ends its writes.
func TestATakenConnectionIsNotTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := patience()
		taken := make(chan net.Conn, 1)
		o.Mounts = []Mount{{Path: "/ws", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			c.SetDeadline(time.Time{}) // as the library of sockets does
			taken <- c
		})}}
		_, l := serve(t, o)
		c := l.dial()
		defer c.Close()
		io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
		mine := <-taken
		defer mine.Close()
		time.Sleep(2 * time.Minute) // bubble time
		go mine.Write([]byte("x"))
		if n, err := c.Read(make([]byte, 1)); n != 1 {
			t.Errorf("the connection was ended: %v", err)
		}
	})
}

func TestTooLargeHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := serve(t, patience())
		c := l.dial()
		defer c.Close()
		var sender sync.WaitGroup
		defer sender.Wait()
		defer c.Close()
		sender.Go(func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nCookie: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		})
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != 431 {
			t.Errorf("%v %v", r, err)
		}
	})
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, release := make(chan struct{}), make(chan struct{})
		o := patience()
		o.Mounts = []Mount{{Path: "/a", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			io.WriteString(w, "done")
		})}}
		s, l := serve(t, o)
		c := l.dial()
		defer c.Close()
		io.WriteString(c, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
		<-entered
		down := make(chan error)
		go func() { down <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case <-down:
			t.Error("the shutdown did not wait")
		default:
		}
		close(release)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || text(t, r) != "done" {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}

		// A request that never ends is cut when the time is over.
		o.Mounts = []Mount{{Path: "/a", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
		})}}
		s, l = serve(t, o)
		c2 := l.dial()
		defer c2.Close()
		io.WriteString(c2, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestPrivateListener(t *testing.T) {
	s := NewPrivate(echo("metrics"), "metrics.internal", nil)
	own := func(verb, path, host string) int {
		r := httptest.NewRequest(verb, path, nil)
		r.Host = host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9464}))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	get := func(_ *Server, verb, path string) *http.Response {
		return &http.Response{StatusCode: own(verb, path, "localhost:9464")}
	}
	// A19: a page of a stranger whose name leads here reads nothing, on no route.
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/heap",
		"/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1"} {
		for _, host := range []string{"evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.7:9464", "",
			"metrics.internal.evil.example"} {
			if code := own("GET", path, host); code != http.StatusMisdirectedRequest {
				t.Errorf("%s for %q: %d", path, host, code)
			}
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:9464", "localhost.", "127.0.0.1:9464", "127.9.9.9", "[::1]:9464", "[::1]", "10.1.2.3:9464",
		"metrics.internal:9464", "Metrics.Internal"} {
		if code := own("GET", "/metrics", host); code != 200 {
			t.Errorf("/metrics for %q: %d", host, code)
		}
	}
	for path, want := range map[string]int{"/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200, "/debug/pprof/cmdline": 200,
		"/debug": 404, "/": 404} {
		if r := get(s, "GET", path); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	if r := get(s, "POST", "/metrics"); r.StatusCode != 405 {
		t.Errorf("POST /metrics: %d", r.StatusCode)
	}
}

func BenchmarkRoute(b *testing.B) {
	s := New(Options{Mounts: []Mount{{Path: "/api/v1", Subtree: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}}})
	r := httptest.NewRequest("GET", "/api/v1/users.info", nil)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(w, r)
	}
}
