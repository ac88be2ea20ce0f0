package rest

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ddpserver/internal/fault"
)

// errBadQuery answers a query string that cannot be decoded.
var errBadQuery = fault.New("error-invalid-params", "The query string is malformed")

// ignored are parameters that published clients send with any request and that mean
// nothing here: what older servers handed to their database. Everything else that a
// route does not declare is refused by its name.
var ignored = []string{
	"query",  // a selector; EmbeddedChat sends it with lists of messages
	"fields", // a projection
	"sort",   // an order; every list here has one of its own
}

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
	q := query{values: make(map[string][]string, len(all))}
	for _, given := range slices.Sorted(maps.Keys(all)) {
		values, name := all[given], given
		p, declared := properties[name]
		if !declared {
			name = strings.TrimSuffix(given, "[]")
			p, declared = properties[name]
			declared = declared && isList(p)
		}
		switch {
		case !declared && slices.Contains(ignored, given):
		case !declared:
			return query{}, fault.New("error-invalid-params", "'"+clip(given)+"' is no parameter of this endpoint")
		case isList(p):
			list := q.values[name]
			if list == nil {
				list = []string{}
			}
			for _, v := range values {
				list = append(list, strings.FieldsFunc(v, func(c rune) bool { return c == ',' })...)
			}
			q.values[name] = list
		case len(values) > 1:
			return query{}, fault.New("error-invalid-params", "'"+name+"' must be given once")
		default:
			q.values[name] = values
		}
	}
	return q, nil
}

// clip bounds what of a name is told back.
func clip(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
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

// number is a whole number that the schema has checked, or what it is without one.
func (q query) number(name string, without int) int {
	if n, err := strconv.ParseFloat(q.Get(name), 64); err == nil {
		return int(min(n, math.MaxInt32))
	}
	return without
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
		out[name], _ = convertedText(p["type"], values[0])
	}
	return out
}
