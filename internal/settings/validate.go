package settings

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EnvPrefix stands in front of a setting's id in the environment.
const EnvPrefix = "OVERWRITE_SETTING_"

// errType says that a value has another type than its setting.
var errType = errors.New("wrong type")

// check brings a value that came from a client, the store or the environment
// into the one form that is kept (bool, int or string), or refuses it. errType
// stands for a wrong type; any other error is a sentence for the administrator.
func (d *Definition) check(v any) (any, error) {
	var out any
	var err error
	switch d.Type {
	case Boolean:
		b, ok := v.(bool)
		if !ok {
			return nil, errType
		}
		out = b
	case Int:
		out, err = d.checkInt(v)
	case Select:
		s, ok := v.(string)
		if !ok {
			return nil, errType
		}
		if !slices.Contains(d.Values, s) {
			return nil, fmt.Errorf("must be one of %s", strings.Join(d.Values, ", "))
		}
		out = s
	default:
		out, err = d.checkText(v)
	}
	if err != nil {
		return nil, err
	}
	if d.Check != nil {
		if err := d.Check(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkNew is check for a value that somebody saves or forces.
func (d *Definition) checkNew(v any) (any, error) {
	out, err := d.check(v)
	if err == nil && d.CheckNew != nil {
		err = d.CheckNew(out)
	}
	return out, err
}

func (d *Definition) checkInt(v any) (any, error) {
	n, ok := integer(v)
	if !ok {
		return nil, errType
	}
	if d.Capped {
		n = min(n, int64(d.Max))
	}
	if n < int64(d.Min) || n > int64(d.Max) {
		return nil, fmt.Errorf("must be between %d and %d", d.Min, d.Max)
	}
	return int(n), nil
}

// integer takes every numeric type a decoder or a database driver makes; a
// fraction is no integer.
func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return 0, false
		}
		return int64(n), true
	}
	return 0, false
}

func (d *Definition) checkText(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, errType
	}
	if max := d.maxLen(); len(s) > max {
		return nil, fmt.Errorf("must not be longer than %d bytes", max)
	}
	if !utf8.ValidString(s) {
		return nil, errors.New("must be valid UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) && !(d.Lines && (r == '\n' || r == '\r' || r == '\t')) {
			return nil, errors.New("must not contain control characters")
		}
	}
	return s, nil
}

func (d *Definition) maxLen() int { return cmp.Or(d.MaxLen, defaultMaxLen) }

// parse reads a value from the environment: true and false in any case for a
// Boolean, a decimal number for an Int, anything for the rest.
func (d *Definition) parse(s string) (any, error) {
	switch d.Type {
	case Boolean:
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("must be true or false")
	case Int:
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			return nil, errors.New("must be a whole number")
		}
		return d.checkNew(n)
	default:
		return d.checkNew(s)
	}
}

// lowered tells whether a value was capped on its way: given is what came, kept
// what check made of it.
func (d *Definition) lowered(given, kept any) bool {
	if text, ok := given.(string); ok && d.Type == Int {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		return d.Capped && err == nil && n != kept
	}
	n, ok := integer(given)
	return d.Capped && ok && any(int(n)) != kept
}

// CheckOverrides checks forced values, by id without EnvPrefix. An unknown id
// is a warning; every value that does not fit is listed in the error.
func CheckOverrides(overrides map[string]string) (warnings []string, err error) {
	_, warnings, err = parseOverrides(index(append(Table(), Facts("")...)), overrides)
	return warnings, err
}

func index(table []Definition) map[string]*Definition {
	defs := make(map[string]*Definition, len(table))
	for i := range table {
		if _, twice := defs[table[i].ID]; twice {
			panic("settings: " + table[i].ID + " is defined twice")
		}
		defs[table[i].ID] = &table[i]
	}
	return defs
}

func parseOverrides(defs map[string]*Definition, overrides map[string]string) (map[string]any, []string, error) {
	forced := make(map[string]any, len(overrides))
	var warnings []string
	var bad []error
	for _, id := range sortedKeys(overrides) {
		d, ok := defs[id]
		if !ok {
			warnings = append(warnings, fmt.Sprintf("%s%s: there is no such setting", EnvPrefix, id))
			continue
		}
		if d.Fixed {
			warnings = append(warnings, fmt.Sprintf("%s%s: this server has one value for it, which it tells clients", EnvPrefix, id))
			continue
		}
		v, err := d.parse(overrides[id])
		if err != nil {
			bad = append(bad, fmt.Errorf("%s%s: %w", EnvPrefix, id, err))
			continue
		}
		if d.lowered(overrides[id], v) {
			warnings = append(warnings, fmt.Sprintf("%s%s: more than %d is not possible, %d is used", EnvPrefix, id, d.Max, d.Max))
		}
		forced[id] = v
	}
	return forced, warnings, errors.Join(bad...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
