package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	// checkTimeout bounds one round of checks.
	checkTimeout = 2 * time.Second
	// checkAge is how long the outcome of a round serves further requests, so
	// that probes cannot load the store.
	checkAge = time.Second
)

// health answers /livez and /readyz.
type health struct {
	checks map[string]func(context.Context) error
	notes  func() []string // may be nil

	transport func() string // may be nil

	mu     sync.Mutex // held through a round: one at a time
	at     time.Time
	failed []string
}

// report is the body of /readyz; "starting" stands for a server that is
// starting or stopping. The causes are in the log and the metrics only.
type report struct {
	Status string   `json:"status"`
	Failed []string `json:"failed,omitempty"`
	Notes  []string `json:"notes,omitempty"`
	// Transport names what carries news between nodes.
	Transport string `json:"transport,omitempty"`
}

// serveHealth answers the two health paths and reports whether path was one.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, path string) bool {
	if path != "/livez" && path != "/readyz" {
		return false
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return true
	}
	rep, code := report{Status: "ok"}, http.StatusOK
	if path == "/readyz" {
		if !s.ready.Load() {
			rep, code = report{Status: "starting or stopping"}, http.StatusServiceUnavailable
		} else if failed := s.health.ask(r.Context()); len(failed) > 0 {
			rep, code = report{Status: "degraded", Failed: failed}, http.StatusServiceUnavailable
		}
		if s.health.transport != nil {
			rep.Transport = s.health.transport()
		}
		if s.health.notes != nil {
			rep.Notes = s.health.notes()
		}
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(rep)
	return true
}

// ask runs the checks at once, or answers what they said a moment ago.
func (h *health) ask(ctx context.Context) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < checkAge {
		return h.failed
	}
	// A probe that goes away must not make the next one see a failure.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	h.failed = nil
	for name, check := range h.checks {
		wg.Go(func() {
			if check(ctx) != nil {
				mu.Lock()
				h.failed = append(h.failed, name)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	h.at = time.Now()
	return h.failed
}
