package rest

import (
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
)

// Outside is an address outside /api/v1 that browsers read by themselves, for a picture in
// a page: with GET, and with a login in the headers, in the query or in cookies
// (rc_uid and rc_token), where Rocket.Chat's clients put it. It goes through the router
// like a route, and changes nothing. With Posts it takes POST instead, and no login: what
// lets a program post there stands in the address, so nothing below the address is recorded.
type Outside struct {
	// Path is a pattern of net/http, as "/file-upload/{id}/{name}"; Name is the call in
	// records, metrics and limits.
	Path, Name string
	Limit      ratelimit.Rule
	Query      Schema
	// Posts says what such a post changes; 0 reads.
	Posts methods.Effects
	// Do answers a Content; the caller is nil where nobody is logged in.
	Do func(ctx context.Context, r *Request) (any, error)
}

// Reader is a group that has such addresses.
type Reader interface{ Outside() []Outside }

// Content is an answer of bytes that may be read in parts (Range) and again (ETag): the browser
// alone keeps it, for Age, and then asks each time whether it still may.
type Content struct {
	// Type is the media type, Name what the file is called, any text. Inline lets a
	// browser show it in a page; anything else it saves.
	Type, Name string
	Inline     bool
	// ETag is an opaque text without quotes, At when the content was made.
	ETag  string
	At    time.Time
	Age   time.Duration
	Bytes io.ReadSeekCloser
}

// credentials are those of a request: of the headers, or, outside the routes, of the query
// or else of the cookies.
func (rt *Route) credentials(r *http.Request) (id, token string, cookies bool) {
	id, token = r.Header.Get("X-User-Id"), r.Header.Get("X-Auth-Token")
	if !rt.reads || id != "" || token != "" {
		return id, token, false
	}
	q := r.URL.Query()
	if id, token = q.Get("rc_uid"), q.Get("rc_token"); id != "" || token != "" {
		return id, token, false
	}
	of := func(name string) string {
		if all := r.CookiesNamed(name); len(all) == 1 {
			return all[0].Value
		}
		return ""
	}
	return of("rc_uid"), of("rc_token"), true
}

// outsiders adds the addresses of a group.
func (s *Server) outsiders(g Group) error {
	reader, ok := g.(Reader)
	if !ok {
		return nil
	}
	for _, o := range reader.Outside() {
		rt := &Route{Verb: http.MethodGet, Path: o.Name, Auth: LoginOptional, Effects: methods.Reads, Limit: o.Limit, Query: o.Query, Do: o.Do, reads: true}
		if o.Posts != 0 {
			rt.Verb, rt.Auth, rt.Effects, rt.reads, rt.Form = http.MethodPost, NoLogin, o.Posts, false, true
		}
		if err := rt.compile(s.method); err != nil {
			return err
		}
		s.outside.HandleFunc(rt.Verb+" "+o.Path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt) })
		first, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
		if !slices.Contains(s.roots, "/"+first) {
			s.roots = append(s.roots, "/"+first)
		}
	}
	return nil
}

// Roots are the first parts of the addresses outside /api that the server answers.
func (s *Server) Roots() []string { return s.roots }

// Shown is a path as a log may have it: what stands below one of the Roots may be what opens
// it, a webhook's token, also where the address is not quite that of a webhook.
func (s *Server) Shown(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if slices.ContainsFunc(s.roots, func(root string) bool { return strings.EqualFold(root, "/"+part) }) {
			return strings.Join(parts[:i+1], "/")
		}
	}
	return path
}

// readOutside serves an address outside the routes.
func (s *Server) readOutside(w http.ResponseWriter, r *http.Request) {
	escaped := r.URL.EscapedPath()
	if _, pattern := s.outside.Handler(r); pattern == "" || path.Clean(escaped) != escaped {
		s.stray(w, r, errNotFound)
		return
	}
	s.outside.ServeHTTP(w, r)
}

// saved are the media types that a browser would run or render with a life of its own;
// they are told as bytes.
func saved(media string) bool {
	base, _, _ := strings.Cut(media, ";")
	switch base = strings.TrimSpace(base); {
	case strings.Contains(base, "html"), strings.Contains(base, "xml"), strings.Contains(base, "script"), strings.Contains(base, "svg"),
		base == "application/pdf", !strings.Contains(base, "/"):
		return true
	}
	return false
}

// content answers bytes. Whatever they are, the page that they would be is nobody's: it
// has no origin, and runs and loads nothing.
func (s *Server) content(w http.ResponseWriter, req *Request, c Content) {
	defer func() { _ = c.Bytes.Close() }()
	h := w.Header()
	kind := c.Type
	if !c.Inline && saved(kind) {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	h.Set("Content-Disposition", disposition(c.Inline, c.Name))
	// A login in a cookie goes with every request of a browser, whoever's page makes it.
	_, _, cookies := req.route.credentials(req.HTTP)
	if cookies && req.User != nil {
		h.Set("Cross-Origin-Resource-Policy", "same-site")
		// Of another origin, which may be any where all are allowed, scripts read what they
		// have a login of their own for.
		h.Del("Access-Control-Allow-Origin")
		h.Del("Access-Control-Allow-Credentials")
	} else {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	h.Set("Cache-Control", "private, no-cache")
	if c.Age > 0 {
		h.Set("Cache-Control", "private, max-age="+strconv.Itoa(int(c.Age.Seconds())))
	}
	if c.ETag != "" {
		h.Set("ETag", `"`+c.ETag+`"`)
	}
	// Of several ranges each would be sought: a request to a bucket for a few bytes. Whoever
	// asks for them gets all (RFC 9110, 14.2).
	if strings.Contains(strings.Join(req.HTTP.Header.Values("Range"), ","), ",") {
		req.HTTP.Header.Del("Range")
	}
	http.ServeContent(w, req.HTTP, "", c.At, c.Bytes)
}

// disposition names a file so that every byte of its name is safe in a header: the plain
// form has the harmless letters, the other one has all of them (RFC 6266).
func disposition(inline bool, name string) string {
	kind := "attachment"
	if inline {
		kind = "inline"
	}
	if name == "" {
		return kind
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if full := mime.FormatMediaType(kind, map[string]string{"filename": name}); full != "" {
		return full
	}
	return kind
}
