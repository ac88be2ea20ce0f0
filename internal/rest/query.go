package rest

import (
	"net/url"
	"strconv"
	"strings"

	"ddpserver/internal/fault"
)

// errBadQuery answers a query string that cannot be decoded.
var errBadQuery = fault.New("error-invalid-params", "The query string is malformed")

// query is the query of a request as its route's schema declares it. Schema and
// handler read the same values: a parameter that is declared as one value stands
// there once, and one that is not declared is not there.
type query struct{ values map[string][]string }

// readQuery decodes a query string. A list is written as repeated parameters, as
// "name[]", or with commas; anything else that is repeated is refused by its name.
func readQuery(raw string, s Schema) (query, error) {
	all, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, errBadQuery
	}
	properties, _ := s["properties"].(map[string]any)
	q := query{values: make(map[string][]string, len(properties))}
	for name, p := range properties {
		if isList(p) {
			var list []string
			for _, v := range append(all[name], all[name+"[]"]...) {
				list = append(list, strings.FieldsFunc(v, func(c rune) bool { return c == ',' })...)
			}
			if len(all[name])+len(all[name+"[]"]) > 0 {
				q.values[name] = list
			}
			continue
		}
		switch v := all[name]; {
		case len(v) > 1:
			return query{}, fault.New("error-invalid-params", "'"+name+"' must be given once")
		case len(v) == 1:
			q.values[name] = v
		}
	}
	return q, nil
}

func isList(property any) bool {
	p, _ := property.(map[string]any)
	return p["type"] == "array"
}

// Get is a parameter's text, or "".
func (q query) Get(name string) string {
	if v := q.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// List is a parameter that the schema declares as a list.
func (q query) List(name string) []string { return q.values[name] }

// typed gives the texts the types that the schema asks for, where they fit.
func (q query) typed(s Schema) map[string]any {
	properties, _ := s["properties"].(map[string]any)
	out := make(map[string]any, len(q.values))
	for name, values := range q.values {
		p, _ := properties[name].(map[string]any)
		if isList(p) {
			list := make([]any, len(values))
			for i, v := range values {
				list[i] = v
			}
			out[name] = list
			continue
		}
		v := values[0]
		out[name] = v
		switch p["type"] {
		case "integer", "number":
			if n, err := strconv.ParseFloat(v, 64); err == nil {
				out[name] = n
			}
		case "boolean":
			if v == "true" || v == "false" {
				out[name] = v == "true"
			}
		}
	}
	return out
}
