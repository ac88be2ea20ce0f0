package rest

import "encoding/json"

// Reads is what a route makes of a body: the value that is checked, and that which
// its handler binds. wrong says what does not fit.
func (rt *Route) Reads(raw string) (value, bound map[string]any, wrong string, err error) {
	b, err := parseBody([]byte(raw), depthLoggedIn)
	if err != nil {
		return nil, nil, "", err
	}
	if err := b.settle(rt.Body); err != nil {
		return nil, nil, "", err
	}
	err = json.Unmarshal(b.raw, &bound)
	return b.value, bound, rt.body.check(b.value), err
}

// Ignored are the parameters that mean nothing.
var Ignored = ignored
