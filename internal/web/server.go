package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Mount is a handler and the path under which it answers, below the prefix.
// Handlers see paths without the prefix. How long one takes before it writes is nobody's
// limit here: what it did would be done, and its answer lost.
type Mount struct {
	// Path starts with a slash and has none at its end.
	Path string
	// Subtree also takes everything below Path. Otherwise only Path itself and
	// Path with one slash behind it are taken.
	Subtree bool
	// Counted handlers count, limit and record what they refuse themselves.
	Counted bool
	Handler http.Handler
}

// Options configure a Server.
type Options struct {
	// Prefix is the path of ROOT_URL without a slash at its end, or "".
	Prefix string
	Mounts []Mount
	// Checks are asked by /readyz, by name; an error makes the server unready.
	// They must honour the context, which ends after two seconds.
	Checks map[string]func(context.Context) error
	// Notes names what somebody should look at although the server is ready; it
	// stands in the body of /readyz. It may be nil and must not block.
	Notes func() []string
	// Transport names what carries news between nodes, for the body of /readyz; "" where
	// there is one node. It may be nil and must not block.
	Transport func() string

	// Refused is told of every request that was refused (a status from 400), with
	// the path of its mount or "" where none is; health checks and Counted mounts
	// aside. A wait above zero turns the answer into 429. Nil discards them.
	Refused func(r *http.Request, mount string, status int) (wait time.Duration)
	// Shown is a path as a log may have it; nil leaves all paths as they are.
	Shown func(path string) string

	ReadHeaderTimeout, ReadTimeout, IdleTimeout time.Duration
	// WriteTimeout is in what each write of an answer must be over, unless its handler
	// says another time, and the end of every answer.
	WriteTimeout   time.Duration
	MaxHeaderBytes int
	// Turn waits for the turn of a connection that makes many requests; done ends
	// it. Nil lets all go on.
	Turn func() (done func())
	// Logger gets panics and the troubles of net/http; nil discards them.
	Logger *zap.Logger
}

// Server is the public HTTP server. Make it with New.
type Server struct {
	opts   Options
	http   http.Server
	mounts map[string]*Mount
	ready  atomic.Bool
	health health
}

// New makes a Server that is not ready yet.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	s := &Server{opts: o, mounts: make(map[string]*Mount, len(o.Mounts))}
	for i := range o.Mounts {
		m := &o.Mounts[i]
		if s.mounts[m.Path] != nil {
			panic("web: " + m.Path + " is mounted twice")
		}
		s.mounts[m.Path] = m
	}
	s.health.checks, s.health.notes, s.health.transport = o.Checks, o.Notes, o.Transport
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: o.ReadHeaderTimeout,
		ReadTimeout:       o.ReadTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ConnContext:       withPace,
		ErrorLog:          log.New(stdLog{o.Logger}, "", 0),
	}
	return s
}

// Serve answers on the listener until Shutdown or Close, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// SetReady switches /readyz; the last step of a start, the first of a stop.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// Shutdown stops accepting at once and waits for plain HTTP requests until ctx
// ends; what is left then is cut. Upgraded connections are not its business.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}

// Close cuts every HTTP connection.
func (s *Server) Close() error { return s.http.Close() }

// ServeHTTP implements http.Handler: headers, health, mounts, in that order.
func (s *Server) ServeHTTP(under http.ResponseWriter, r *http.Request) {
	timed := &timedWriter{ResponseWriter: under, limit: s.opts.WriteTimeout}
	defer timed.end()
	var w http.ResponseWriter = timed
	defer s.contain(w, r)
	defer s.turn(r)()
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = strict // a handler with pages sets its own
	h["X-Frame-Options"] = deny
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		http.Error(s.watch(w, r, ""), "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	path, ok := r.URL.Path, true
	if s.opts.Prefix != "" {
		path, ok = below(path, s.opts.Prefix)
	}
	if s.serveHealth(w, r, path) || r.URL.Path != path && s.serveHealth(w, r, r.URL.Path) {
		return
	}
	m := s.find(path)
	if !ok || m == nil {
		http.Error(s.watch(w, r, ""), "Not Found", http.StatusNotFound)
		return
	}
	s.patient(under, r)
	if !m.Counted {
		w = s.watch(w, r, m.Path)
	}
	m.Handler.ServeHTTP(w, stripped(r, s.opts.Prefix, path))
}

// watch tells Options.Refused of the answer if it is a refusal.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, mount string) http.ResponseWriter {
	if s.opts.Refused == nil {
		return w
	}
	return &refusing{ResponseWriter: w, tell: func(status int) time.Duration { return s.opts.Refused(r, mount, status) }}
}

// Header values that every answer shares; net/http never changes them.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	deny       = []string{"DENY"}
	strict     = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
)

// below cuts a prefix that must end at a slash or at the end of the path.
func below(path, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return path, false
	}
	if rest == "" {
		rest = "/"
	}
	return rest, true
}

// find picks the mount: the path itself, then subtrees from the deepest up.
func (s *Server) find(path string) *Mount {
	exact := path
	if len(exact) > 1 {
		exact = strings.TrimSuffix(exact, "/")
	}
	if m := s.mounts[exact]; m != nil {
		return m
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if m := s.mounts[path[:i]]; m != nil && m.Subtree {
			return m
		}
	}
	return nil
}

// stripped is r as a mount sees it.
func stripped(r *http.Request, prefix, path string) *http.Request {
	if prefix == "" {
		return r
	}
	r2, u2 := *r, *r.URL
	r2.URL = &u2
	u2.Path = path
	u2.RawPath = strings.TrimPrefix(r.URL.RawPath, prefix)
	return &r2
}

// timedWriter gives each write of an answer its own time. A header goes with the first.
type timedWriter struct {
	http.ResponseWriter
	limit time.Duration
	own   bool // the handler times its writes itself
	taken bool // and the whole connection
}

// Unwrap lets http.ResponseController find what is below.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *timedWriter) Write(p []byte) (int, error) {
	if !w.own {
		w.extend()
	}
	return w.ResponseWriter.Write(p)
}

// SetWriteDeadline is for http.ResponseController: from here on the handler does it.
func (w *timedWriter) SetWriteDeadline(at time.Time) error {
	w.own = true
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(at)
}

// Hijack implements http.Hijacker: the connection is the handler's from here on.
func (w *timedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.taken = err == nil
	return c, b, err
}

// end begins the time of what net/http still holds when everything is done.
func (w *timedWriter) end() {
	if !w.taken {
		w.extend()
	}
}

// extend begins the time of a write. A connection that knows no deadlines has none.
func (w *timedWriter) extend() {
	http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.limit))
}

// patient lifts the deadlines once the request was read: net/http would
// otherwise take a slow call or a long poll for a client that is gone when
// ReadTimeout is over. Until then a slow body still runs into it.
func (s *Server) patient(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.SetWriteDeadline(time.Time{})
	lift := func() { c.SetReadDeadline(time.Time{}) }
	if r.ContentLength == 0 {
		lift()
		return
	}
	r.Body = &watched{ReadCloser: r.Body, end: lift}
}

// watched calls end when the body was read to its end.
type watched struct {
	io.ReadCloser
	end func()
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.end != nil {
		b.end()
		b.end = nil
	}
	return n, err
}

// contain keeps a panic in the request that caused it.
func (s *Server) contain(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	path := r.URL.Path
	if s.opts.Shown != nil {
		path = s.opts.Shown(path)
	}
	s.opts.Logger.Error("http_handler_panicked", zap.String("path", path), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	http.Error(w, "Internal Server Error", http.StatusInternalServerError) // no effect on an answer that began
}

// stdLog takes net/http's own lines, which are about single bad connections.
type stdLog struct{ log *zap.Logger }

func (l stdLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if strings.Contains(text, "Accept error") {
		l.log.Warn("http_accept_failed", zap.String("cause", text))
	} else {
		l.log.Debug("http_connection_failed", zap.String("cause", text))
	}
	return len(p), nil
}
