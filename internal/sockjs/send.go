package sockjs

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"ddpserver/internal/ejson"
)

// badPayload is a refused body: the status and SockJS's own words for it.
type badPayload struct {
	status int
	text   string
}

func (p *badPayload) Error() string { return "sockjs: " + p.text }

// Refusals of a posted body; the last two are not SockJS's.
var (
	errNoPayload  = &badPayload{http.StatusInternalServerError, "Payload expected."}
	errBadJSON    = &badPayload{http.StatusInternalServerError, "Broken JSON encoding."}
	errTooLarge   = &badPayload{http.StatusRequestEntityTooLarge, "Payload too large.\n"}
	errBrokenBody = &badPayload{http.StatusBadRequest, "Payload interrupted.\n"}
)

// bodyOf takes the JSON text out of a request's body.
type bodyOf func(contentType string, body []byte) ([]byte, error)

// sender is the route of a transport's sending end.
func (h *Handler) sender(p place, read bodyOf, answer func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		s, status := h.session(p.session, r, false)
		messages, err := posted(r, s, read)
		var bad *badPayload
		switch {
		case errors.As(err, &bad):
			refuse(w, bad.status, bad.text)
			return
		case s == nil:
			refuseSession(w, status)
			return
		}
		// Waiting for room may take longer than reading a request should.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		if err := s.accept(r.Context(), messages); err != nil {
			refuseSession(w, http.StatusNotFound)
			return
		}
		answer(w)
	}
}

// posted reads a body, at most what the session may send. A body for no session
// is read all the same: what is wrong with it is told first.
func posted(r *http.Request, s *session, read bodyOf) ([][]byte, error) {
	limit := int64(defaultReadLimit)
	if s != nil {
		limit = s.limit.Load()
	}
	// A message in a message doubles its quotes and backslashes, and clients that
	// wait for an answer gather several in one body.
	limit = 2*limit + 64<<10
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, errBrokenBody
	case int64(len(body)) > limit:
		return nil, errTooLarge
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		contentType = r.Header.Get("Content-Type")
	}
	text, err := read(contentType, body)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, errNoPayload
	}
	return parsePayload(text)
}

// xhrBody takes the body as it is, if it says to be one of the types clients use.
func xhrBody(contentType string, body []byte) ([]byte, error) {
	switch contentType {
	case "text/plain", "T", "t", "application/json", "application/xml", "text/xml", "":
		return body, nil
	}
	return nil, errNoPayload
}

// formBody takes the field d of a form, or a plain body as it is.
func formBody(contentType string, body []byte) ([]byte, error) {
	switch contentType {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errNoPayload
		}
		return []byte(form.Get("d")), nil
	case "text/plain", "":
		return body, nil
	}
	return nil, errNoPayload
}

func parsePayload(text []byte) ([][]byte, error) {
	messages, err := messagesOf(text, true)
	switch {
	case err == nil:
		return messages, nil
	case errors.Is(err, ejson.ErrMismatch):
		return nil, errNoPayload
	}
	return nil, errBadJSON
}

// sent answers xhr_send.
func sent(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(http.StatusNoContent)
}

// ok200 answers jsonp_send.
func ok200(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	_, _ = w.Write([]byte("ok"))
}
