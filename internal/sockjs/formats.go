package sockjs

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"ddpserver/internal/ejson"
)

const scriptType = "application/javascript; charset=UTF-8"

// lineFrame ends a frame with a line feed.
func lineFrame(dst, frame []byte) []byte { return append(append(dst, frame...), '\n') }

func newXHR(*http.Request) (format, error) {
	return format{contentType: scriptType, frame: lineFrame, once: true}, nil
}

// streamPrelude is what old browsers have to see before they show a response
// that is not finished.
var streamPrelude = append(bytes.Repeat([]byte{'h'}, 2048), '\n')

func newXHRStreaming(*http.Request) (format, error) {
	return format{contentType: scriptType, prelude: streamPrelude, frame: lineFrame}, nil
}

func newEventSource(*http.Request) (format, error) {
	return format{contentType: "text/event-stream; charset=UTF-8", prelude: []byte("\r\n"), frame: eventFrame}, nil
}

// eventFrame is an event with one line of data, in which clients undo percent
// escapes.
func eventFrame(dst, frame []byte) []byte {
	dst = append(dst, "data: "...)
	for _, c := range frame {
		switch c {
		case '%':
			dst = append(dst, "%25"...)
		case '\r':
			dst = append(dst, "%0D"...)
		case '\n':
			dst = append(dst, "%0A"...)
		case 0:
			dst = append(dst, "%00"...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n\r\n"...)
}

// Refusals of the transports that call a function of the page.
var (
	errNoCallback  = errors.New(`"callback" parameter required`)
	errBadCallback = errors.New(`invalid "callback" parameter`)
)

// maxCallback is the longest name of a function in characters.
const maxCallback = 32

// callback reads the name of the page's function, which becomes part of a
// script: only letters, digits and - _ . pass.
func callback(r *http.Request) (string, error) {
	query := r.URL.Query()
	name := query.Get("c")
	if name == "" {
		name = query.Get("callback")
	}
	switch {
	case name == "":
		return "", errNoCallback
	case len(name) > maxCallback,
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		return "", errBadCallback
	}
	return name, nil
}

const htmlPage = `<!DOCTYPE html>
<html>
<head><meta charset="UTF-8"></head>
<body>
<script>
document.domain = document.domain;
var c = parent.%s;
c.start();
function p(d) { c.message(d); }
window.onload = c.stop;
</script>
`

// htmlPadding is the least size of the page's start: browsers hold back less.
const htmlPadding = 1024

func newHTMLFile(r *http.Request) (format, error) {
	name, err := callback(r)
	if err != nil {
		return format{}, err
	}
	page := fmt.Sprintf(htmlPage, name)
	page += strings.Repeat(" ", max(htmlPadding-len(page), 0)) + "\r\n\r\n"
	return format{contentType: "text/html; charset=UTF-8", prelude: []byte(page), frame: htmlFrame}, nil
}

func htmlFrame(dst, frame []byte) []byte {
	dst = appendScriptText(append(dst, "<script>\np("...), frame)
	return append(dst, ");\n</script>\r\n"...)
}

// appendScriptText appends a frame as a string of a script, in which no tag can end.
func appendScriptText(dst, frame []byte) []byte {
	b := getBuffer()
	*b = ejson.AppendString((*b)[:0], string(frame))
	for _, c := range *b {
		if c == '<' || c == '>' {
			dst = appendUnit(dst, rune(c))
			continue
		}
		dst = append(dst, c)
	}
	putBuffer(b)
	return dst
}

func newJSONP(r *http.Request) (format, error) {
	name, err := callback(r)
	if err != nil {
		return format{}, err
	}
	return format{
		contentType: scriptType,
		once:        true,
		header:      func(header http.Header) { header.Set("X-Content-Type-Options", "nosniff") },
		frame: func(dst, frame []byte) []byte {
			dst = append(append(append(dst, "/**/"...), name...), '(')
			return append(appendScriptText(dst, frame), ");\r\n"...)
		},
	}, nil
}
