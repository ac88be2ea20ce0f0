package rest

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// asSent are the members that say a secret: they are compared as they came, so that
// each has one spelling. A number would lose the zeros at its front.
var asSent = []string{"code", "twoFactorCode", "password", "pass", "newPassword", "currentPassword", "token", "resume", "secretURL"}

// settle reads the body as its schema means it: a member that may be missing and is
// null is not there, and a number or a boolean may be written as text and a text as a
// number, as Rocket.Chat's validator has it (docs/wire/rocketchat.md 5.2). What the
// handler binds is what was checked.
func (b *body) settle(s Schema) error {
	if s == nil {
		return nil
	}
	v, changed := settled(s, b.value, "")
	if !changed {
		return nil
	}
	b.value, _ = v.(map[string]any)
	raw, err := json.Marshal(b.value)
	b.raw = raw
	return err
}

// settled is settle for a value of that name.
func settled(s map[string]any, v any, name string) (settledTo any, changed bool) {
	if alternatives, ok := s["anyOf"].([]any); ok {
		return settledAny(alternatives, v, name)
	}
	switch v := v.(type) {
	case map[string]any:
		return v, settleMembers(s, v)
	case []any:
		items, _ := s["items"].(map[string]any)
		if items == nil || s["type"] != "array" {
			return v, false
		}
		for i := range v {
			to, other := settled(items, v[i], name)
			v[i], changed = to, changed || other
		}
		return v, changed
	}
	if slices.Contains(asSent, name) {
		return v, false
	}
	return converted(s["type"], v)
}

// settleMembers settles the members of an object in place. One that declares none is
// free: what is in it belongs to whoever keeps it.
func settleMembers(s, v map[string]any) (changed bool) {
	properties, _ := s["properties"].(map[string]any)
	if len(properties) == 0 {
		return false
	}
	required, _ := s["required"].([]any)
	for name, member := range v {
		if member == nil && !slices.Contains(required, any(name)) {
			delete(v, name)
			changed = true
			continue
		}
		p, _ := properties[name].(map[string]any)
		if p == nil {
			continue
		}
		if to, other := settled(p, member, name); other {
			v[name], changed = to, true
		}
	}
	return changed
}

// settledAny takes the alternative that has the value's type already, or else the
// first that it can be converted to.
func settledAny(alternatives []any, v any, name string) (any, bool) {
	for _, a := range alternatives {
		if s, _ := a.(map[string]any); s["type"] == typeOf(v) {
			return settled(s, v, name)
		}
	}
	for _, a := range alternatives {
		s, _ := a.(map[string]any)
		if to, changed := settled(s, v, name); changed {
			return to, true
		}
	}
	return v, false
}

// typeOf is the word of JSON Schema for a value.
func typeOf(v any) any {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	}
	return nil
}

// converted is a value as the type that is asked for, where one stands for the other.
// A number that a float does not hold exactly is left alone.
func converted(want, v any) (any, bool) {
	switch v := v.(type) {
	case float64:
		switch {
		case want == "string" && math.Abs(v) <= 1<<53:
			return strconv.FormatFloat(v, 'f', -1, 64), true
		case want == "boolean" && (v == 0 || v == 1):
			return v == 1, true
		}
	case bool:
		if want == "string" {
			return strconv.FormatBool(v), true
		}
	case string:
		return convertedText(want, v)
	}
	return v, false
}

// convertedText is converted for a text, as it stands in a query too.
func convertedText(want any, v string) (any, bool) {
	switch want {
	case "integer", "number":
		if n, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n, true
		}
	case "boolean":
		if v == "true" || v == "false" {
			return v == "true", true
		}
	}
	return v, false
}
