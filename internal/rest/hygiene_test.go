package rest_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
)

// A19: schema and handler read one query. For every parameter of every route: the
// same parameter twice is refused by its name, whatever the two say, unless the
// schema declares a list.
func TestA19RepeatedParametersAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.account("root", "admin")
	c := w.login("root")
	tried := 0
	for _, rt := range w.rest.Routes() {
		properties, _ := rt.Query["properties"].(map[string]any)
		for name, p := range properties {
			if schema, _ := p.(map[string]any); schema["type"] == "array" {
				continue
			}
			for _, values := range [][2]string{{"abc", "1"}, {"1", "abc"}, {"1", "1"}, {"", ""}} {
				key := url.QueryEscape(name)
				a := c.do(rt.Verb, strings.ReplaceAll(rt.Path, ":", "")+"?"+key+"="+values[0]+"&"+key+"="+values[1], nil)
				if a.status != 400 || a.errorType() != "error-invalid-params" || !strings.Contains(a.raw, "'"+name+"' must be given once") {
					t.Errorf("%s %s, %s twice: %d %s", rt.Verb, rt.Path, name, a.status, a.raw)
				}
				tried++
			}
		}
	}
	if tried < atLeast(100, 80) {
		t.Errorf("only %d requests: the surface was not walked", tried)
	}
	if a := c.do("GET", "users.list?count=1", nil); a.status != 200 {
		t.Errorf("once: %d %s", a.status, a.raw)
	}
}

// A19: a body of a type that the route does not declare is refused with words, on
// every route that takes a body; and a field of a form is read once or not at all.
func TestA19BodiesOfOtherTypesAreRefused(t *testing.T) {
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "false"})
	w.account("root", "admin")
	c := w.login("root")
	forms := 0
	for _, rt := range w.rest.Routes() {
		if rt.Verb != "POST" && rt.Verb != "PUT" && rt.Verb != "DELETE" {
			continue
		}
		path := strings.ReplaceAll(rt.Path, ":", "")
		types := []string{"text/plain", "multipart/form-data; boundary=x", "application/xml", "nonsense"}
		if rt.Form {
			forms++
			if a := c.with("Content-Type", "application/x-www-form-urlencoded").do(rt.Verb, path, "user=a&user=b"); a.status < 400 || !strings.Contains(a.raw, "twice") {
				t.Errorf("%s %s, a repeated field: %d %s", rt.Verb, path, a.status, a.raw)
			}
		} else {
			types = append(types, "application/x-www-form-urlencoded")
		}
		for _, media := range types {
			a := c.with("Content-Type", media).do(rt.Verb, path, "a=1")
			if a.status != 415 || !strings.Contains(a.raw, "This endpoint takes application/json") {
				t.Errorf("%s %s, %s: %d %s", rt.Verb, path, media, a.status, a.raw)
			}
		}
	}
	if !slices.ContainsFunc(w.rest.Routes(), func(r rest.Route) bool { return r.Form }) || forms == 0 {
		t.Error("no route takes forms: the test shows less than it says")
	}
}
