package web

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed assets/links.*
var pages embed.FS

// linksPolicy lets the page load its own files and call the REST API beside it.
const linksPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// Links is the page at ROOT_URL, to which the links in mails lead: it verifies
// an address or sets a password over REST. It answers at "/" and, for its
// files, below "/links". The token stands behind the "#" of the link, so it
// reaches no server log; it is used only when a person presses the button.
func Links() http.Handler {
	files := map[string]string{"/": "links.html", "/links/links.js": "links.js", "/links/links.css": "links.css"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := files[r.URL.Path]
		switch {
		case !ok:
			http.Error(w, "Not Found", http.StatusNotFound)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", linksPolicy)
		h.Set("Cache-Control", "no-cache")
		if strings.HasSuffix(name, ".js") {
			h.Set("Content-Type", "text/javascript; charset=utf-8")
		}
		http.ServeFileFS(w, r, pages, "assets/"+name)
	})
}
