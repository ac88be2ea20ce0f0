package rest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

// Refusals of the door itself.
var (
	errLoginNeeded = errors.New("no valid login")
	errForbidden   = fault.New("error-unauthorized", "User does not have the permissions required for this action")
	errNotFound    = fault.New("error-not-found", "There is no such endpoint")
	errWrongVerb   = fault.New("error-method-not-allowed", "This endpoint does not take that HTTP method")
)

// notFound names what is not there, as far as it can be an endpoint's name.
func notFound(r *http.Request) *fault.Error {
	name := strings.TrimPrefix(r.URL.Path, prefix)
	if len(name) > maxNamed || strings.Trim(name, named) != "" {
		return errNotFound
	}
	return fault.New(errNotFound.Code, errNotFound.Reason+": "+r.Method+" "+name)
}

// maxNamed is the longest name that an answer repeats, named what it may hold.
const (
	maxNamed = 100
	named    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/"
)

// loginNeeded is the body of 401 (docs/wire/rocketchat.md 5.2).
const loginNeeded = `{"success":false,"status":"error","error":"You must be logged in to do this.","message":"You must be logged in to do this."}`

// answer is a rendered reply.
type answer struct {
	status int
	body   []byte
	// wait is set on 429.
	wait time.Duration
}

// refusal renders err in the general shape: 400 with errorType, 403, 429 or 500.
func refusal(err error) answer {
	if errors.Is(err, errLoginNeeded) {
		return answer{status: http.StatusUnauthorized, body: []byte(loginNeeded)}
	}
	f, safe := fault.From(err)
	status := http.StatusBadRequest
	switch {
	case !safe:
		status = http.StatusInternalServerError
	case f.Code == "too-many-requests", f.Code == "error-too-many-requests":
		return tooMany(f)
	case f.Code == "error-unauthorized":
		status = http.StatusForbidden
	case f == ddp.ErrBusy:
		status = http.StatusServiceUnavailable
	case f.Code == errNotFound.Code:
		status = http.StatusNotFound
	case f == errWrongVerb:
		status = http.StatusMethodNotAllowed
	case errors.Is(err, errTooLarge), errors.Is(err, errMediaType), errors.Is(err, errFormOrJSON), errors.Is(err, errMultipart):
		status = bodyStatus(err)
	}
	body := append([]byte(`{"success":false,"error":`), ejson.AppendString(nil, f.Message())...)
	body = append(body, `,"errorType":`...)
	body = ejson.AppendString(body, f.ID())
	body = appendDetails(body, f)
	return answer{status: status, body: append(body, '}')}
}

// tooMany renders the limiter's refusal the REST way (docs/wire/rocketchat.md 5.5).
func tooMany(f *fault.Error) answer {
	a := answer{status: http.StatusTooManyRequests}
	seconds := int64(1)
	if d, ok := f.Details.(map[string]any); ok {
		if ms, ok := d["timeToReset"].(int64); ok {
			a.wait = time.Duration(ms) * time.Millisecond
			seconds = max(1, (ms+999)/1000)
		}
	}
	msg := "Error, too many requests. Please slow down. You must wait " + strconv.FormatInt(seconds, 10) +
		" seconds before trying this endpoint again. [error-too-many-requests]"
	a.body = append([]byte(`{"success":false,"error":`), ejson.AppendString(nil, msg)...)
	a.body = append(a.body, `,"errorType":"error-too-many-requests"`...)
	a.body = append(appendDetails(a.body, f), '}')
	return a
}

// loginRefusal renders a refusal of POST login: 401 with the code in error and
// no errorType (docs/wire/rocketchat.md 5.6). A masked failure reads Unauthorized.
// Too many requests is no answer to a login and rendered as everywhere, and so is
// a body that was not read.
func loginRefusal(err error) answer {
	f, safe := fault.From(err)
	if !safe || f.Code == "too-many-requests" || f.Code == "error-too-many-requests" || bodyStatus(err) != http.StatusBadRequest {
		return refusal(err)
	}
	code, message := ejson.AppendString(nil, f.Code), f.Reason
	switch {
	case f.Code == "" && f.Number == 403:
		code, message = []byte(`"Unauthorized"`), "Unauthorized"
	case f.Code == "":
		code = strconv.AppendInt(nil, int64(f.Number), 10)
	}
	body := append([]byte(`{"success":false,"status":"error","error":`), code...)
	body = append(body, `,"message":`...)
	body = ejson.AppendString(body, message)
	body = appendDetails(body, f)
	return answer{status: http.StatusUnauthorized, body: append(body, '}')}
}

func appendDetails(body []byte, f *fault.Error) []byte {
	if f.Details == nil {
		return body
	}
	withDetails, err := ejson.AppendJSON(append(body, `,"details":`...), f.Details)
	if err != nil {
		return body
	}
	return withDetails
}
