package web

import (
	"net/http"
	"strconv"
	"time"
)

// refusing watches one answer: a refusal is told to Options.Refused, and becomes
// 429 for a client who was refused too often. Answers that went well are not
// touched.
type refusing struct {
	http.ResponseWriter
	tell    func(status int) time.Duration
	decided bool
	mute    bool // the handler's own words are dropped
}

// Unwrap lets http.ResponseController find what is below.
func (w *refusing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *refusing) WriteHeader(status int) {
	if w.decided || status < http.StatusBadRequest {
		w.decided = w.decided || status >= http.StatusOK // 1xx may be followed
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.decided = true
	wait := w.tell(status)
	if wait <= 0 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	w.ResponseWriter.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.ResponseWriter.Write([]byte("Too Many Requests\n"))
	w.mute = true
}

// Write implements http.ResponseWriter.
func (w *refusing) Write(p []byte) (int, error) {
	w.decided = true
	if w.mute {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
