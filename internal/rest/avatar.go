package rest

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// avatarColors are dark enough for a white letter.
var avatarColors = [...]string{"#b71c1c", "#880e4f", "#4a148c", "#311b92", "#1a237e", "#0d47a1", "#01579b", "#006064", "#004d40", "#1b5e20", "#33691e",
	"#bf360c", "#3e2723", "#263238"}

// Avatar serves /avatar/<username> and /avatar/room/<id>: a picture made of the
// name's first letter. It looks nobody up, so it tells nothing about who exists,
// and takes pictures from nobody.
func Avatar() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/avatar/")
		name = strings.TrimPrefix(name, "room/")
		if name == "" || len(name) > 200 || strings.Contains(name, "/") || !utf8.ValidString(name) {
			http.NotFound(w, r)
			return
		}
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(name))
		tag := `"` + hex.EncodeToString(sum.Sum(nil)) + `"`
		h := w.Header()
		h.Set("Content-Type", "image/svg+xml")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Cache-Control", "public, max-age=86400")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200"><rect width="200" height="200" fill="%s"/>`+
			`<text x="50%%" y="50%%" dy="0.36em" text-anchor="middle" fill="#fff" font-family="sans-serif" font-size="125">%s</text></svg>`,
			avatarColors[int(sum.Sum32()%uint32(len(avatarColors)))], html.EscapeString(initial(name)))
	})
}

// initial is the letter or digit that a name begins with, or a question mark.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "?"
}
