package ejson

import (
	"bytes"
	"math"
	"reflect"
	"time"
)

// Equal is EJSON's equality, by which the merge box tells changed fields from
// unchanged ones (docs/wire/ddp.md B2): NaN equals NaN, dates are compared by
// millisecond, bytes by content, lists element by element, objects without
// regard to the order of their keys, numbers by value whatever their Go type.
// null differs from a missing key. Values that have no EJSON form are unequal.
func Equal(a, b any) bool {
	// The common cases, before anything is converted.
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return x == y
		}
	case Raw:
		if y, ok := b.(Raw); ok && bytes.Equal(x, y) {
			return true
		}
	}
	a, okA := plainValue(a)
	b, okB := plainValue(b)
	return okA && okB && equal(a, b)
}

// equal compares values that plainValue has converted.
func equal(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || math.IsNaN(x) && math.IsNaN(y))
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.UnixMilli() == y.UnixMilli()
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !Equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case Doc:
		y, ok := b.(Doc)
		return ok && equalDocs(x, y)
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			if w, ok := y[k]; !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case Custom:
		y, ok := b.(Custom)
		return ok && x.Type == y.Type && Equal(x.Value, y.Value)
	}
	// What is left is comparable: nil, bool, string, RegExp, ObjectID and the like.
	return a == b
}

func equalDocs(x, y Doc) bool {
	if len(x) != len(y) {
		return false
	}
	if len(x) > fewKeys {
		return equal(x.asMap(), y.asMap())
	}
	for i := range x {
		// Documents of one origin have one order: look there first.
		if x[i].Key == y[i].Key {
			if !Equal(x[i].Value, y[i].Value) {
				return false
			}
			continue
		}
		if w, ok := y.Get(x[i].Key); !ok || !Equal(x[i].Value, w) {
			return false
		}
	}
	return true
}

func (d Doc) asMap() map[string]any {
	m := make(map[string]any, len(d))
	for _, f := range d {
		m[f.Key] = f.Value
	}
	return m
}

// plainValue converts to what Decode gives, the outermost level at least.
func plainValue(v any) (any, bool) {
	switch x := v.(type) {
	case nil, bool, string, float64, time.Time, []any, Doc, RegExp, ObjectID, Custom, Undefined, InvalidDate:
		return v, true
	case []byte:
		return x, true
	case map[string]any:
		if x == nil {
			return nil, true
		}
		d := make(Doc, 0, len(x))
		for k, v := range x {
			d = append(d, Field{k, v})
		}
		return d, true
	case Raw:
		if len(x) == 0 {
			return nil, true
		}
		d, err := Decode(x)
		return d, err == nil
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(r.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(r.Uint()), true
	}
	// Structs, typed slices and the rest go through their text.
	text, err := Append(nil, v)
	if err != nil {
		return nil, false
	}
	d, err := Decode(text)
	return d, err == nil
}
