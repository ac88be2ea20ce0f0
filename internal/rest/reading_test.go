package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/testkit"
)

// place is a member somewhere in a body: the names that lead to it, and its schema.
type place struct {
	path     []string
	schema   map[string]any
	required bool
}

func (p place) String() string { return strings.Join(p.path, "/") }

// places are all members that a schema declares, however deep.
func places(s map[string]any, path ...string) []place {
	var all []place
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		member := properties[name].(map[string]any)
		at := append(slices.Clone(path), name)
		all = append(all, place{at, member, slices.Contains(required, any(name))})
		all = append(all, places(member, at...)...)
		alternatives, _ := member["anyOf"].([]any)
		for _, a := range alternatives {
			all = append(all, places(a.(map[string]any), at...)...)
		}
		if items, ok := member["items"].(map[string]any); ok {
			all = append(all, places(items, append(at, "0")...)...)
		}
	}
	return all
}

// put sets the member at a path of a body, making what is on the way.
func put(body any, path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	if path[0] == "0" {
		list, _ := body.([]any)
		if len(list) == 0 {
			list = []any{map[string]any{}}
		}
		list[0] = put(list[0], path[1:], v)
		return list
	}
	object, ok := body.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	object[path[0]] = put(object[path[0]], path[1:], v)
	return object
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// U5: null in a member that may be missing is the member missing, on every route and
// at every depth: what is checked and what the handler binds is the same.
func TestNullIsAbsence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	tried := 0
	for _, rt := range w.REST.Routes() {
		for _, p := range places(rt.Body) {
			name := fmt.Sprintf("%s %s, %s", rt.Verb, rt.Path, p)
			// Beside another member, so that what stands around it is there both times.
			without := put(body(rt), append(slices.Clone(p.path[:len(p.path)-1]), "another"), "x")
			with := put(body(rt), append(slices.Clone(p.path[:len(p.path)-1]), "another"), "x")
			if rt.Body["additionalProperties"] == false {
				without, with = body(rt), body(rt)
			}
			with = put(with, p.path, nil)
			if p.required {
				_, _, wrong, err := rt.Reads(text(t, with))
				if err != nil || wrong == "" && p.schema["type"] != nil {
					t.Errorf("%s = null is taken for a member that must be there: %v", name, err)
				}
				continue
			}
			tried++
			value, bound, wrong, err := rt.Reads(text(t, without))
			nulled, boundNull, wrongNull, errNull := rt.Reads(text(t, with))
			if err != nil || errNull != nil || !reflect.DeepEqual(value, nulled) || !reflect.DeepEqual(bound, boundNull) || wrong != wrongNull {
				t.Errorf("%s = null: %v %q, without it %v %q (%v, %v)", name, nulled, wrongNull, value, wrong, err, errNull)
			}
			if strings.Contains(rt.Path, "logout") {
				continue
			}
			if a := root.Do(rt.Verb, path(rt), with); strings.Contains(a.Raw, "'"+p.String()+"'") {
				t.Errorf("%s = null: %d %s", name, a.Status, a.Raw)
			}
		}
	}
	if tried < atLeast(140, 50) {
		t.Errorf("only %d members: the surface was not walked", tried)
	}
}

// Numbers written as text and texts written as numbers are taken as Rocket.Chat's
// validator takes them, with the value that was meant; what says a secret is not, nor
// a number that would lose digits.
func TestValuesOfOtherTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	secrets := []string{"code", "twoFactorCode", "password", "pass", "newPassword", "currentPassword", "token", "resume", "secretURL"}
	tried := 0
	for _, rt := range w.REST.Routes() {
		for _, p := range places(rt.Body) {
			name := p.path[len(p.path)-1]
			for _, c := range []struct {
				kind      string
				sent      any
				want      any
				converted bool
			}{
				{"string", 12, "12", true}, {"string", -0.5, "-0.5", true}, {"string", true, "true", true}, {"string", 9007199254740993000, nil, false},
				{"string", map[string]any{"$ne": "x"}, nil, false}, {"string", []any{"x"}, nil, false},
				{"integer", "12", 12.0, true}, {"integer", "12.5", nil, false}, {"integer", "", nil, false}, {"integer", "0x10p", nil, false},
				{"boolean", "true", true, true}, {"boolean", "false", false, true}, {"boolean", 1, true, true}, {"boolean", 0, false, true},
				{"boolean", "yes", nil, false}, {"boolean", 2, nil, false}, {"array", "a", nil, false}, {"object", "a", nil, false},
			} {
				if p.schema["type"] != c.kind || p.schema["enum"] != nil || c.kind == "object" && len(p.path) > 1 {
					continue
				}
				tried++
				want := c.converted && !slices.Contains(secrets, name)
				value, bound, wrong, err := rt.Reads(text(t, put(body(rt), p.path, c.sent)))
				if err != nil {
					t.Fatal(err)
				}
				fits := !strings.Contains(wrong, "'"+p.String()+"'") && !strings.Contains(wrong, "'"+p.path[0]+"' must match") &&
					!strings.Contains(wrong, "'"+p.path[0]+"' must be")
				if fits != want {
					t.Errorf("%s %s, %s = %#v: %q", rt.Verb, rt.Path, p, c.sent, wrong)
				}
				if want && (!reflect.DeepEqual(at2(value, p.path), c.want) || !reflect.DeepEqual(at2(bound, p.path), c.want)) {
					t.Errorf("%s %s, %s = %#v is read as %#v", rt.Verb, rt.Path, p, c.sent, at2(value, p.path))
				}
			}
		}
	}
	if tried < atLeast(700, 300) {
		t.Errorf("only %d values: the surface was not walked", tried)
	}
}

// at2 is the value at a path of a body.
func at2(v any, path []string) any {
	for _, name := range path {
		switch of := v.(type) {
		case map[string]any:
			v = of[name]
		case []any:
			v = of[0]
		}
	}
	return v
}

// U6: every route refuses a parameter that it does not know by its name, and ignores
// those that clients send with anything.
func TestUnknownParametersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	for _, rt := range w.REST.Routes() {
		if strings.Contains(rt.Path, "logout") {
			continue
		}
		ask := func(parameter string) answer {
			p := path(rt)
			sep := "?"
			if strings.Contains(p, "?") {
				sep = "&"
			}
			if rt.Upload { // its form is looked at before all else
				return root.Do(rt.Verb, p+sep+parameter, testkit.PartsOf("file", "a.gif", "GIF89a"))
			}
			return root.Do(rt.Verb, p+sep+parameter, body(rt))
		}
		names := []string{"nonsense", "count[]", "_", "Offset", "roomId[]", "$where"}
		if rt.Query == nil {
			names = append(names, "count", "userId", "roomId")
		}
		for _, name := range names {
			a := ask(url.QueryEscape(name) + "=1")
			code := a.ErrorType()
			if rt.LoginShape {
				code = a.Text("error")
			}
			if a.Status < 400 || code != "error-invalid-params" || !strings.Contains(a.Raw, "'"+name+"'") {
				t.Errorf("%s %s?%s: %d %s", rt.Verb, rt.Path, name, a.Status, a.Raw)
			}
		}
		for _, name := range rest.Ignored {
			if a := ask(name + "=%7B%22x%22%3A1%7D"); strings.Contains(a.Raw, "is no parameter") || a.ErrorType() == "error-invalid-params" && rt.Query == nil {
				t.Errorf("%s %s?%s: %d %s", rt.Verb, rt.Path, name, a.Status, a.Raw)
			}
		}
	}
}
