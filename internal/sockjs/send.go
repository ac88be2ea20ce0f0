package sockjs

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ejson"
	"ddpserver/internal/netkey"
)

// badPayload is a refused body: the status and SockJS's own words for it.
type badPayload struct {
	status int
	text   string
}

func (p *badPayload) Error() string { return "sockjs: " + p.text }

// Refusals of a posted body; the last three are not SockJS's.
var (
	errNoPayload  = &badPayload{http.StatusInternalServerError, "Payload expected."}
	errBadJSON    = &badPayload{http.StatusInternalServerError, "Broken JSON encoding."}
	errTooLarge   = &badPayload{http.StatusRequestEntityTooLarge, "Payload too large.\n"}
	errOverBudget = &badPayload{http.StatusServiceUnavailable, "Too much in flight, try again later.\n"}
	errBrokenBody = &badPayload{http.StatusBadRequest, "Payload interrupted.\n"}
)

// sender is the route of the sending end.
func (h *Handler) sender(p place) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		s, status := h.session(p.session, r, false)
		if !s.post() {
			refuse(w, errOverBudget.status, errOverBudget.text)
			return
		}
		defer s.posted()
		held := budget.Holding{Account: h.o.Budget, Network: netkey.Of(h.o.Peer(r).Address)}
		defer func() { held.Shrink(int(held.Bytes())) }()
		messages, err := posted(r, s, &held)
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
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.WriteHeader(http.StatusNoContent)
	}
}

// posted reads a body, at most what the session may send. A body for no session
// is read all the same: what is wrong with it is told first.
func posted(r *http.Request, s *session, held *budget.Holding) (posts, error) {
	limit := int64(defaultReadLimit)
	if s != nil {
		limit = s.limit.Load()
	}
	// A message in a message doubles its quotes and backslashes, and clients that
	// wait for an answer gather several in one body.
	limit = 2*limit + 64<<10
	body, err := readBody(r, held, limit)
	if err != nil {
		return posts{}, err
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		contentType = r.Header.Get("Content-Type")
	}
	text, err := textOf(contentType, body)
	if err != nil {
		return posts{}, err
	}
	if len(text) == 0 {
		return posts{}, errNoPayload
	}
	defer held.Account.Work(len(text))()
	return parsePayload(text)
}

// patience is how long a body or frame waits for room beside what all hold: long
// enough for bodies on their way to be worked off, and shorter than a client or proxy
// waits for an answer, so that it gets one.
const patience = 5 * time.Second

// readBody reads a body, at most limit bytes; it counts first and reads then.
func readBody(r *http.Request, held *budget.Holding, limit int64) ([]byte, error) {
	b := []byte(nil)
	for {
		if len(b) == cap(b) {
			more := int(min(int64(max(cap(b), 4<<10)), limit+1-int64(cap(b))))
			if more <= 0 {
				return nil, errTooLarge
			}
			if !held.Wait(r.Context(), more, patience) {
				return nil, errOverBudget
			}
			b = append(make([]byte, 0, cap(b)+more), b...)
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, errBrokenBody
		}
	}
}

// textOf takes the body as it is, if it says to be one of the types clients use.
func textOf(contentType string, body []byte) ([]byte, error) {
	switch contentType {
	case "text/plain", "T", "t", "application/json", "application/xml", "text/xml", "":
		return body, nil
	}
	return nil, errNoPayload
}

func parsePayload(text []byte) (posts, error) {
	messages, err := postsOf(text, true)
	switch {
	case err == nil:
		return messages, nil
	case errors.Is(err, ejson.ErrMismatch):
		return posts{}, errNoPayload
	}
	return posts{}, errBadJSON
}
