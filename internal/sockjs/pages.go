package sockjs

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"ddpserver/internal/random"
)

// yearSeconds is how long what never changes may be kept.
const yearSeconds = 365 * 24 * 60 * 60

func greet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	_, _ = w.Write([]byte("Welcome to SockJS!\n"))
}

// noStore forbids every cache and proxy to keep or change an answer.
func noStore(header http.Header) {
	header.Set("Cache-Control", "no-store, no-cache, no-transform, must-revalidate, max-age=0")
}

// unbuffered asks a proxy to hand on what it gets at once, as nginx does when it is told.
func unbuffered(header http.Header) { header.Set("X-Accel-Buffering", "no") }

func cacheYear(header http.Header) {
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", yearSeconds))
	header.Set("Expires", time.Now().Add(yearSeconds*time.Second).UTC().Format(http.TimeFormat))
}

// preflight answers OPTIONS.
func preflight(w http.ResponseWriter, methods string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", methods)
	header.Set("Access-Control-Max-Age", fmt.Sprint(yearSeconds))
	cacheYear(header)
	w.WriteHeader(http.StatusNoContent)
}

// info tells a client what it may use. entropy gives clients without a good
// generator of their own something to mix in.
func (h *Handler) info(w http.ResponseWriter, _ *http.Request) {
	noStore(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	origins := `"origins":["*:*"],`
	if h.o.DisableCORS {
		origins = ""
	}
	_, _ = fmt.Fprintf(w, `{"websocket":%t,%s"cookie_needed":%t,"entropy":%d}`, !h.o.DisableWebSocket, origins, h.o.JSessionID, random.Uint32())
}

// chunkingTest sends "h" at growing intervals, after the second a long blank
// prelude, so that a client sees whether something on the way buffers.
func (h *Handler) chunkingTest(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/javascript; charset=UTF-8")
	noStore(header)
	unbuffered(header)
	control := http.NewResponseController(w)
	for i, pause := range []time.Duration{0, 1, 5, 25, 125, 625, 3125} {
		timer := time.NewTimer(pause * time.Millisecond)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return
		}
		line := "h\n"
		if i == 1 {
			line = strings.Repeat(" ", 2048) + line
		}
		if _, err := w.Write([]byte(line)); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
	}
}

// rawWebSocket hands over to the WebSocket door, with SockJS's own words for requests
// that are no upgrade.
func (h *Handler) rawWebSocket(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isUpgrade(r):
		refuse(w, http.StatusBadRequest, "Not a valid websocket request")
	case !knownVersion(r):
		refuse(w, http.StatusBadRequest, "Only supported WebSocket protocol is RFC 6455.")
	default:
		h.o.WebSocket.ServeHTTP(w, r)
	}
}

// isUpgrade tells whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// knownVersion tells whether it is RFC 6455: 13, or 8 of its last drafts.
func knownVersion(r *http.Request) bool {
	v := r.Header.Get("Sec-WebSocket-Version")
	return v == "13" || v == "8"
}
