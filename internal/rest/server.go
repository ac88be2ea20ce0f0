package rest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/budget"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/netkey"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Options are the parts the door works with. All but Logger are required.
type Options struct {
	Router   *methods.Router
	Accounts *accounts.Service
	Factors  *twofactor.Service
	Settings *settings.Service
	Audit    audit.Recorder
	// Peer tells who sent a request, after trusted proxies.
	Peer func(*http.Request) *rpc.Peer
	// Origin tells whether a browser of that origin may read answers.
	Origin func(r *http.Request, origin string) bool
	// Budget counts the bytes of bodies and answers that wait; nil counts none.
	Budget *budget.Account
	// Info is what clients are told of the server.
	Info   methods.Info
	Logger *zap.Logger
}

// Group is one file of routes.
type Group interface{ Routes() []Route }

// Server serves /api/v1, /api/openapi.json and /api/docs. It expects paths from
// which the root prefix has been taken off.
type Server struct {
	router   *methods.Router
	accounts *accounts.Service
	factors  *twofactor.Service
	settings *settings.Service
	audit    audit.Recorder
	peer     func(*http.Request) *rpc.Peer
	origin   func(r *http.Request, origin string) bool
	budget   *budget.Account
	logger   *zap.Logger
	about    methods.Info
	// method finds the line of a method.
	method   methods.Lookup
	routes   []Route
	mux      *http.ServeMux // of the versioned routes
	outside  *http.ServeMux // of what browsers read by themselves
	roots    []string
	document []byte
	assets   fs.FS
}

//go:embed assets
var embedded embed.FS

// prefix is where the versioned routes begin.
const prefix = "/api/v1/"

// elsewhere is the pattern of everything that no route takes. It is wider than prefix,
// because a slash of that may be written as %2F, which the patterns tell apart.
const elsewhere = "/"

// New makes the door, with the groups of slices beside those of the core. Two routes with one verb and path, or a schema that is
// none, are programming errors and come back as an error.
func New(o Options, groups ...Group) (*Server, error) {
	s := &Server{
		router: o.Router, accounts: o.Accounts, factors: o.Factors, settings: o.Settings, audit: o.Audit, peer: o.Peer, origin: o.Origin, budget: o.Budget,
		logger: o.Logger, about: o.Info, method: o.Router.Spec, mux: http.NewServeMux(), outside: http.NewServeMux(),
	}
	if s.logger == nil {
		s.logger = zap.NewNop()
	}
	for _, g := range append(all(s), groups...) {
		s.routes = append(s.routes, g.Routes()...)
		if err := s.outsiders(g); err != nil {
			return nil, err
		}
	}
	taken := map[string]bool{}
	for i := range s.routes {
		rt := &s.routes[i]
		if err := rt.compile(s.method); err != nil {
			return nil, err
		}
		if err := s.factors.CheckProofs(rt.Proofs, max(rt.Factor, rt.Inside)); err != nil {
			return nil, fmt.Errorf("rest: %s %s %w", rt.Verb, rt.Path, err)
		}
		pattern := rt.Verb + " " + prefix + openPath(rt.Path)[1:]
		if taken[pattern] {
			return nil, fmt.Errorf("rest: two routes %s %s", rt.Verb, rt.Path)
		}
		taken[pattern] = true
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt) })
	}
	s.mux.HandleFunc(elsewhere, s.unrouted)
	var err error
	if s.document, err = document(s.routes, s.about.RootURL, s.about.Version); err != nil {
		return nil, err
	}
	s.assets, err = fs.Sub(embedded, "assets")
	return s, err
}

// Names lists what New serves with these options and groups beside its own, for
// methods.Deps; of the options only Factors counts. A line that New refuses is
// listed without its actions.
func Names(o Options, groups ...Group) func(methods.Lookup) []methods.RouteName {
	return func(method methods.Lookup) (names []methods.RouteName) {
		for _, g := range append(all(&Server{factors: o.Factors, method: method}), groups...) {
			for _, rt := range g.Routes() {
				_ = rt.borrow(method)
				names = append(names, methods.RouteName{Verb: rt.Verb, Path: rt.Path, Actions: rt.Actions()})
			}
		}
		return names
	}
}

// Routes lists the surface.
func (s *Server) Routes() []Route { return s.routes }

// Document is the OpenAPI description as JSON.
func (s *Server) Document() []byte { return s.document }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if !s.cors(w, r) {
		return
	}
	switch below := r.URL.Path; {
	case below == "/api/openapi.json":
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(s.document)
	case below == "/api/docs", strings.HasPrefix(below, "/api/docs/"):
		s.docs(w, r)
	case strings.HasPrefix(below, prefix):
		s.api(w, r)
	default:
		s.readOutside(w, r)
	}
}

// stray refuses a request that no route takes; it is counted, limited and
// recorded like any other call.
func (s *Server) stray(w http.ResponseWriter, r *http.Request, err error) {
	call := &rpc.Call{Method: r.Method + " " + s.Shown(r.URL.Path), Peer: s.peer(r)}
	s.refuse(w, s.router.Stray(r.Context(), call, "unknown", err))
}

// docs serves the page that draws the document, from files in the binary.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/api/docs")
	types := map[string]string{"": "docs.html", "/docs.css": "docs.css", "/docs.js": "docs.js"}
	file, ok := types[name]
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.stray(w, r, errNotFound)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
	http.ServeFileFS(w, r, s.assets, file)
}

// cors answers preflights and lets browsers of allowed origins read answers.
// No cookie authenticates a call, so an origin that is not allowed only loses the right to
// read; what is read outside of /api by a cookie drops these headers again.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	allowed := origin != "" && s.origin(r, origin)
	if allowed {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After")
	}
	if r.Method != http.MethodOptions {
		return true
	}
	if allowed {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, HEAD, PATCH")
		h.Set("Access-Control-Allow-Headers", "Origin, X-Requested-With, Content-Type, Accept, X-User-Id, X-Auth-Token, x-visitor-token, Authorization, "+
			"x-2fa-code, x-2fa-method")
		h.Set("Access-Control-Max-Age", "86400")
	}
	w.WriteHeader(http.StatusNoContent)
	return false
}

// api finds the route of a request.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	short, ok := shortened(r)
	if !ok {
		s.stray(w, r, errNotFound)
		return
	}
	s.mux.ServeHTTP(w, short)
}

// shortened is a request without the slash at the end of its path, which means
// nothing. A path that could be written shorter still is nobody's, and not redirected.
func shortened(r *http.Request) (*http.Request, bool) {
	address := *r.URL
	address.Path, address.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	escaped := address.EscapedPath()
	short := *r
	short.URL = &address
	return &short, len(escaped) > len(prefix) && path.Clean(escaped) == escaped
}

// unrouted refuses what no route takes: a path that there is not, or an HTTP method
// that its path does not take.
func (s *Server) unrouted(w http.ResponseWriter, r *http.Request) {
	var verbs []string
	for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := *r
		other.Method = verb
		if _, pattern := s.mux.Handler(&other); pattern != elsewhere {
			verbs = append(verbs, verb)
		}
	}
	if len(verbs) == 0 {
		s.stray(w, r, notFound(r))
		return
	}
	w.Header().Set("Allow", strings.Join(verbs, ", "))
	s.stray(w, r, errWrongVerb)
}

// serve runs one request: everything that can be refused runs inside the router,
// which makes the one record and count of the call.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt *Route) {
	call := &rpc.Call{Method: rt.Path, Peer: s.peer(r), Session: &session{}}
	req := &Request{Call: call, HTTP: r, server: s, route: rt, control: http.NewResponseController(w)}
	enter := func(c *rpc.Call) (err error) {
		if rt.Auth != NoLogin {
			c.User, c.Login, err = s.authenticate(c.Peer, r, rt)
		}
		return err
	}
	// Behind the limit: the body of a refused request is not read.
	release := func() {}
	defer func() { release() }()
	params := func(c *rpc.Call) (err error) {
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodDelete {
			var ok bool
			held := bodyBytes(r, c.Login.UserID != "")
			if rt.Upload {
				held = uploadBytes
			}
			if release, ok = s.budget.Take(netkey.Of(c.Peer.Address), held); !ok {
				release = func() {}
				return ddp.ErrBusy
			}
			if rt.Upload { // the handler reads it, when all is asked that can be asked before
				if _, err := boundary(r); err != nil {
					return err
				}
				req.body = body{raw: []byte("{}"), value: map[string]any{}}
			} else if req.body, err = readBody(r, s.budget, c.Login.UserID != "", rt.Form); err != nil {
				return err
			}
		}
		c.Asked = [][]byte{[]byte(r.URL.Path), []byte(r.URL.RawQuery), req.body.raw}
		return rt.check(req)
	}
	spec := rt.spec
	spec.Do = func(ctx context.Context, c *rpc.Call) (any, error) { return rt.Do(ctx, req) }
	if rt.Raise != nil {
		spec.Raise = func(*rpc.Call) twofactor.Policy { return rt.Raise(req) }
	}
	if rt.Carried != nil {
		spec.Carried = func(*rpc.Call) []string { return rt.Carried(req) }
	}
	result, verdict, err := s.router.Route(r.Context(), call, &spec, enter, params)
	s.finish(w, rt, req, verdict, result, err)
}

// authenticate takes the two headers. The account that the token was found by is the
// caller's for this request. Anything but a living token of exactly that user is nobody; a store that cannot answer is an error, and so is
// guessing on. A header that stands there twice is nobody's: a proxy may have
// looked at the other one (S060).
func (s *Server) authenticate(p *rpc.Peer, r *http.Request, rt *Route) (u *user.User, login rpc.Login, err error) {
	id, token, _ := rt.credentials(r)
	if id == "" && token == "" {
		return nil, rpc.Login{}, nil
	}
	err = s.router.Guess(p, id+"/"+token, func() error {
		if id == "" || token == "" || len(id) > 256 || len(token) > 256 ||
			len(r.Header.Values("X-User-Id")) > 1 || len(r.Header.Values("X-Auth-Token")) > 1 {
			return fault.NotAuthorized
		}
		if u, login, err = s.accounts.Header(r.Context(), p, id, token); errors.Is(err, dberr.NotFound) {
			return fault.NotAuthorized
		}
		return err
	})
	switch {
	case errors.Is(err, fault.NotAuthorized):
		return nil, rpc.Login{}, nil
	case err != nil:
		return nil, rpc.Login{}, err
	}
	return u, login, nil
}

// finish renders the outcome; the router has recorded it.
func (s *Server) finish(w http.ResponseWriter, rt *Route, req *Request, v ratelimit.Verdict, result any, err error) {
	h := w.Header()
	if v.Limited {
		h.Set("X-RateLimit-Limit", strconv.Itoa(v.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(v.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(v.Reset.UnixMilli(), 10))
	}
	if err == nil {
		s.succeed(w, req, result)
		return
	}
	if rt.Auth == LoginRequired && req.User == nil && errors.Is(err, fault.NotAuthorized) {
		err = errLoginNeeded
	}
	if errors.Is(err, methods.ErrPermission) && rt.Permission != "" {
		err = errForbidden
	}
	render := refusal
	if rt.LoginShape {
		render = loginRefusal
	}
	s.write(w, render(err))
}

// succeed renders a result: an object gets "success": true, unless the handler
// made the whole answer.
func (s *Server) succeed(w http.ResponseWriter, req *Request, result any) {
	h := w.Header()
	status := req.status
	if status == 0 {
		status = http.StatusOK
	}
	if raw, ok := result.(Raw); ok {
		h.Set("Content-Type", raw.ContentType)
		w.WriteHeader(status)
		_, _ = w.Write(raw.Body)
		return
	}
	if to, ok := result.(Redirect); ok {
		h.Set("Location", s.about.RootURL+string(to))
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	if file, ok := result.(File); ok {
		s.file(w, req, file)
		return
	}
	if c, ok := result.(Content); ok {
		s.content(w, req, c)
		return
	}
	doc, ok := result.(ejson.Doc)
	if result != nil && !ok {
		s.logger.Error("rest_result_is_no_document", zap.String("route", req.Method))
		s.refuse(w, fault.Internal)
		return
	}
	if _, has := doc.Get("success"); !has {
		doc = append(doc, ejson.Field{Key: "success", Value: true})
	}
	out, err := ejson.AppendJSON(nil, doc)
	if err != nil {
		s.logger.Error("rest_result_cannot_be_encoded", zap.String("route", req.Method), zap.Error(err))
		s.refuse(w, fault.Internal)
		return
	}
	if len(out) > ddp.MaxResult {
		s.refuse(w, ddp.ErrResultTooLarge)
		return
	}
	// Counted until the connection has taken it: who does not read holds it.
	release, ok := s.budget.Take(netkey.Of(req.Peer.Address), len(out))
	if !ok {
		s.refuse(w, ddp.ErrBusy)
		return
	}
	defer release()
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

func (s *Server) refuse(w http.ResponseWriter, err error) { s.write(w, refusal(err)) }

func (s *Server) write(w http.ResponseWriter, a answer) {
	if a.wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(a.wait.Seconds())+1, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// session is the connection of one request: a login lasts until it is answered.
type session struct{ login rpc.Login }

func (s *session) SetLogin(_ context.Context, l rpc.Login) error { s.login = l; return nil }
func (s *session) Unblock()                                      {}
