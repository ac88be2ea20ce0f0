package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
)

//go:embed dist
var dist embed.FS

// Root and Assets are the paths at which New answers, Assets with all below it.
const (
	Root   = "/"
	Assets = "/console"
)

// file is one file of the console, ready to be sent.
type file struct {
	kind         string
	plain, small []byte // small is empty where gzip does not pay
	tag          string
	forever      bool // its name changes with its content
}

type handler struct {
	files  map[string]*file
	policy string
	prefix string
}

// New makes the handler of the console. Of rootURL, the address at which people
// reach the server, it needs the path prefix and the host, which the content
// security policy names: some browsers do not take 'self' for WebSockets.
func New(rootURL string) (http.Handler, error) {
	root, err := url.Parse(rootURL)
	if err != nil {
		return nil, err
	}
	h := &handler{files: map[string]*file{}, prefix: strings.TrimSuffix(root.Path, "/"), policy: policy(root)}
	err = fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := load(name)
		if err != nil {
			return fmt.Errorf("console: %s: %w", name, err)
		}
		at := strings.TrimPrefix(name, "dist")
		if at == "/index.html" {
			at = Root
		}
		f.forever = strings.HasPrefix(at, Assets+"/")
		h.files[at] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	if h.files[Root] == nil {
		return nil, fmt.Errorf("console: dist/index.html is missing; build it with `make console`")
	}
	return h, nil
}

// policy lets the page load its own files and talk to its own server, and
// nothing else: no inline script or style, no other host, no frame around it,
// no base element, no form that a browser sends by itself, and no text that
// becomes markup (Trusted Types).
func policy(root *url.URL) string {
	socket := "ws://" + root.Host
	if root.Scheme == "https" {
		socket = "wss://" + root.Host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' " + socket +
		"; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func load(name string) (*file, error) {
	plain, err := dist.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	f := &file{plain: plain, kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	switch path.Ext(name) { // what the machine's table of types may lack or spell otherwise
	case ".js":
		f.kind = "text/javascript; charset=utf-8"
	case ".css":
		f.kind = "text/css; charset=utf-8"
	case ".html":
		f.kind = "text/html; charset=utf-8"
	case ".svg":
		f.kind = "image/svg+xml"
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() < len(plain)*9/10 {
		f.small = b.Bytes()
	}
	return f, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.files[r.URL.Path]
	switch {
	case f == nil:
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	case r.URL.Path == Root && h.bare(r):
		// Everything the page names is relative to the slash at the end.
		http.Redirect(w, r, h.prefix+"/", http.StatusPermanentRedirect)
		return
	}
	head := w.Header()
	head.Set("Content-Security-Policy", h.policy)
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "+
		"publickey-credentials-create=(self), publickey-credentials-get=(self)")
	head.Set("Content-Type", f.kind)
	head.Set("ETag", f.tag)
	if f.forever {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		head.Set("Cache-Control", "no-cache")
	}
	body := f.plain
	if len(f.small) > 0 {
		head.Set("Vary", "Accept-Encoding")
		if takesGzip(r) {
			head.Set("Content-Encoding", "gzip")
			body = f.small
		}
	}
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	w.Write(body) // the peer is gone if that fails
}

// bare tells whether the page was asked for without the slash that ends its prefix.
func (h *handler) bare(r *http.Request) bool {
	at, _, _ := strings.Cut(r.RequestURI, "?")
	return h.prefix != "" && at == h.prefix
}

// takesGzip tells whether the peer accepts gzip, unless with the weight zero.
func takesGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(part, ";")
			if strings.TrimSpace(name) != "gzip" {
				continue
			}
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !found || err != nil || n > 0
		}
	}
	return false
}
