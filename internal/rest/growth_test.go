package rest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/growthtest"
	"ddpserver/internal/rest/schema"
)

// grown has what schemas are made of: alternatives, a list, a number, an object in
// an object.
type grown struct {
	A     textOrList `json:"a"`
	Count int        `json:"count,omitempty"`
	B     struct {
		C string `json:"c,omitempty" minLength:"1"`
	} `json:"b,omitempty"`
}

type textOrList struct{}

// JSONSchema says what the name says.
func (textOrList) JSONSchema() Schema {
	return schema.Either(schema.Text(), schema.List(schema.Text()))
}

// decoders are the readers of bodies and queries, and the schemas behind them.
func decoders() []growthtest.Decoder {
	quoted := func(head, tail string) func(string) string {
		return func(text string) string { return string(ejson.AppendString([]byte(head), text)) + tail }
	}
	described := fits[grown]()
	check := newChecker("growth", described)
	read := func(media string) func(string) {
		return func(text string) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
			r.Header.Set("Content-Type", media)
			if b, err := readBody(r, nil, true, true); err == nil {
				check.check(b.value)
			}
		}
	}
	query := func(text string) {
		if q, err := readQuery(text, described); err == nil {
			check.check(q.typed(described))
			q.number("count", 0)
		}
	}
	routes := http.NewServeMux()
	routes.Handle("GET "+prefix+"a/{b}", http.NotFoundHandler())
	frame := func(text string) {
		var f methodFrame
		if ejson.Scan([]byte(text), depthLoggedIn) == nil {
			_ = ejson.Unmarshal([]byte(text), &f)
		}
	}
	return []growthtest.Decoder{
		{Name: "JSON", Do: read("application/json"), Allocated: 512},
		{Name: "parseBody", Do: func(text string) { _, _ = parseBody([]byte(text), depthLoggedIn) }, Allocated: 512},
		{Name: "JSON list", Do: read("application/json"), Allocated: 512, In: func(text string) string { return `{"a":[` + text + `0]}` }},
		{Name: "JSON text", Do: read("application/json"), Allocated: 512, In: quoted(`{"a":`, "}")},
		{Name: "JSON key", Do: read("application/json"), Allocated: 512, In: quoted(`{`, ":0}")},
		{Name: "form", Do: read("application/x-www-form-urlencoded"), Allocated: 512},
		{Name: "media type", Do: func(text string) { read(text)("{}") }},
		{Name: "query", Do: query, Allocated: 512},
		{Name: "query of one value", Do: query, Allocated: 512, In: func(text string) string { return "a=" + url.QueryEscape(text) }},
		{Name: "method.call", Do: frame, Allocated: 512, In: func(text string) string { return `{"msg":"method","id":"1","method":"x","params":[` + text + `0]}` }},
		{Name: "path", Do: func(text string) {
			if r, ok := shortened(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: prefix + text}}); ok {
				routes.Handler(r)
			}
		}},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
