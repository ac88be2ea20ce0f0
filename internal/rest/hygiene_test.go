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
	t.Parallel()
	w := newWorld(t, nil)
	w.Account("root", "admin")
	c := w.Login("root")
	tried := 0
	for _, rt := range w.REST.Routes() {
		properties, _ := rt.Query["properties"].(map[string]any)
		for name, p := range properties {
			if schema, _ := p.(map[string]any); schema["type"] == "array" {
				continue
			}
			for _, values := range [][2]string{{"abc", "1"}, {"1", "abc"}, {"1", "1"}, {"", ""}} {
				key := url.QueryEscape(name)
				a := c.Do(rt.Verb, strings.ReplaceAll(rt.Path, ":", "")+"?"+key+"="+values[0]+"&"+key+"="+values[1], nil)
				if a.Status != 400 || a.ErrorType() != "error-invalid-params" || !strings.Contains(a.Raw, "'"+name+"' must be given once") {
					t.Errorf("%s %s, %s twice: %d %s", rt.Verb, rt.Path, name, a.Status, a.Raw)
				}
				tried++
			}
		}
	}
	if tried < atLeast(100, 50) {
		t.Errorf("only %d requests: the surface was not walked", tried)
	}
	if a := c.Do("GET", "users.list?count=1", nil); a.Status != 200 {
		t.Errorf("once: %d %s", a.Status, a.Raw)
	}
}

// A19: a body of a type that the route does not declare is refused with words, on
// every route that takes a body; and a field of a form is read once or not at all.
func TestA19BodiesOfOtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{settings.LimitRESTEnabled: "false"})
	w.Account("root", "admin")
	c := w.Login("root")
	forms := 0
	for _, rt := range w.REST.Routes() {
		if rt.Verb != "POST" && rt.Verb != "PUT" && rt.Verb != "DELETE" {
			continue
		}
		path := strings.ReplaceAll(rt.Path, ":", "")
		types := []string{"text/plain", "multipart/form-data; boundary=x", "application/xml", "nonsense"}
		if rt.Form {
			forms++
			if a := c.With("Content-Type", "application/x-www-form-urlencoded").Do(rt.Verb, path, "user=a&user=b"); a.Status < 400 || !strings.Contains(a.Raw, "twice") {
				t.Errorf("%s %s, a repeated field: %d %s", rt.Verb, path, a.Status, a.Raw)
			}
		} else {
			types = append(types, "application/x-www-form-urlencoded")
		}
		takes := "This endpoint takes application/json"
		if rt.Upload {
			takes = "This endpoint takes multipart/form-data"
			types = slices.DeleteFunc(types, func(media string) bool { return strings.HasPrefix(media, "multipart/") })
			types = append(types, "multipart/form-data", "multipart/mixed; boundary=x", "application/json")
		}
		for _, media := range types {
			a := c.With("Content-Type", media).Do(rt.Verb, path, "a=1")
			if a.Status != 415 || !strings.Contains(a.Raw, takes) {
				t.Errorf("%s %s, %s: %d %s", rt.Verb, path, media, a.Status, a.Raw)
			}
		}
	}
	if !slices.ContainsFunc(w.REST.Routes(), func(r rest.Route) bool { return r.Form }) || forms == 0 {
		t.Error("no route takes forms: the test shows less than it says")
	}
}

// A19: what is wrong with a body is told in a few lines, and found in one step, however
// many entries its lists have: the schema would look at each, and answer eight bytes
// for one.
func TestA19LongListsCostNoMoreThanTheyAreLong(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root", "admin")
	c := w.Login("root")
	tried := 0
	for _, rt := range w.REST.Routes() {
		for _, p := range places(rt.Body) {
			if p.schema["type"] != "array" && p.schema["anyOf"] == nil {
				continue
			}
			for _, n := range []int{10_000, 10_001, 300_000} {
				entries := make([]any, n)
				for i := range entries {
					entries[i] = []any{}
				}
				a := c.Do(rt.Verb, path(rt), put(body(rt), p.path, entries))
				if a.Status < 400 || len(a.Raw) > 8<<10 || n > 10_000 && a.Status != 413 && !strings.Contains(a.Raw, "too many entries") {
					t.Errorf("%s %s, %d in %s: %d with %d bytes", rt.Verb, rt.Path, n, p, a.Status, len(a.Raw))
				}
				tried++
			}
		}
	}
	if tried < atLeast(9, 3) {
		t.Errorf("only %d lists: the surface was not walked", tried)
	}
}
