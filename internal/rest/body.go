package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ddpserver/internal/budget"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

// Limits of a request body (docs/decisions.md 6.1: the same as of a DDP message).
const (
	maxBodyAnonymous = 64 << 10
	maxBodyLoggedIn  = 1 << 20
	depthAnonymous   = 32
	depthLoggedIn    = 64
	// maxEntries bounds one list in a body: its schema finds every entry that is wrong,
	// and what it finds is a hundred times as large as an entry can be.
	maxEntries = 10_000
)

// Refusals of a request before its route sees it.
var (
	errTooLarge      = fault.New("error-body-too-large", "The request body is too large")
	errMediaType     = fault.New("error-unsupported-media-type", "This endpoint takes application/json")
	errFormOrJSON    = fault.New("error-unsupported-media-type", "This endpoint takes application/json or application/x-www-form-urlencoded")
	errBadJSON       = fault.New("error-invalid-json", "The request body is not valid JSON")
	errBadForm       = fault.New("invalid-params", "The form-encoded body is malformed")
	errRepeatedField = fault.New("invalid-params", "A field of the form stands there twice; send each once")
	errTooMany       = fault.New("invalid-params", "A list in the request body has too many entries")
	errNotObject     = fault.New("invalid-params", "The request body must be a JSON object")
)

// body is a decoded request body: its text for binding and its value for the
// schema. No body at all counts as an empty object, since several clients send
// Content-Type: application/json with nothing behind it.
type body struct {
	raw   []byte
	value map[string]any
}

// bodyBytes is how many bytes a body may hold while it is read: what the request
// says, at most the limit.
func bodyBytes(r *http.Request, loggedIn bool) int {
	limit := int64(maxBodyAnonymous)
	if loggedIn {
		limit = maxBodyLoggedIn
	}
	if r.ContentLength >= 0 {
		limit = min(limit, r.ContentLength)
	}
	return int(limit)
}

// readBody reads what the route declares: JSON, and form-encoded fields where form
// is set. A body that names no type is JSON.
func readBody(r *http.Request, account *budget.Account, loggedIn, form bool) (body, error) {
	limit, depth := int64(maxBodyAnonymous), depthAnonymous
	if loggedIn {
		limit, depth = maxBodyLoggedIn, depthLoggedIn
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return body{}, errBadJSON.Because(err)
	}
	if int64(len(raw)) > limit {
		return body{}, errTooLarge
	}
	defer account.Work(len(raw))()
	if len(strings.TrimSpace(string(raw))) == 0 {
		return body{raw: []byte("{}"), value: map[string]any{}}, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Type") == "" || err == nil && media == "application/json":
	case err == nil && form && media == "application/x-www-form-urlencoded":
		if raw, err = formToJSON(raw); err != nil {
			return body{}, err
		}
	case form:
		return body{}, errFormOrJSON
	default:
		return body{}, errMediaType
	}
	return parseBody(raw, depth)
}

// parseBody refuses what two readers could understand differently: duplicate
// keys, bad UTF-8, too much depth.
func parseBody(raw []byte, depth int) (body, error) {
	if err := ejson.Scan(raw, depth); err != nil {
		return body{}, errBadJSON.Because(err)
	}
	b := body{raw: raw}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return body{}, errBadJSON.Because(err)
	}
	var ok bool
	if b.value, ok = v.(map[string]any); !ok {
		return body{}, errNotObject
	}
	if crowded(b.value) {
		return body{}, errTooMany
	}
	return b, nil
}

// crowded tells whether a value holds a list of more than maxEntries.
func crowded(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) > maxEntries || slices.ContainsFunc(v, crowded)
	case map[string]any:
		for _, member := range v {
			if crowded(member) {
				return true
			}
		}
	}
	return false
}

// formToJSON makes an object of texts. A field that stands there twice is refused,
// as a key of JSON is.
func formToJSON(raw []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, errBadForm.Because(err)
	}
	fields := make(map[string]string, len(values))
	for k, v := range values {
		if len(v) > 1 {
			return nil, errRepeatedField
		}
		fields[k] = v[0]
	}
	return json.Marshal(fields)
}

// bodyStatus gives the HTTP status of a refusal made in this file.
func bodyStatus(err error) int {
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errMediaType), errors.Is(err, errFormOrJSON), errors.Is(err, errMultipart):
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
