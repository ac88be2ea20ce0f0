package ejson

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Append appends v as EJSON (docs/wire/ddp.md B1, encode). It takes nil, booleans,
// numbers, strings, time.Time ($date, whole milliseconds), []byte ($binary),
// RegExp, ObjectID, Custom, Undefined, Raw, Doc, json.Number, maps with string
// keys (written in sorted order), slices, arrays, pointers, and structs by their
// json (or ejson) tags, where omitempty also leaves out a zero time. An object
// that a reader would take for a typed form is wrapped in $escape.
//
// Numbers are IEEE doubles on the wire: an integer beyond 2^53 is rounded. Other
// types give ErrType, too much nesting ErrDepth; dst is then to be thrown away.
func Append(dst []byte, v any) ([]byte, error) {
	e := encoder{}
	return e.value(dst, v)
}

// AppendJSON appends v as plain JSON, the way JSON.stringify treats what Append
// would type: dates are ISO strings with milliseconds, bytes are objects keyed
// by index, NaN and infinities are null, a RegExp is {}. Meteor writes error
// details and offendingMessage like this (docs/wire/ddp.md A4).
func AppendJSON(dst []byte, v any) ([]byte, error) {
	e := encoder{plain: true}
	return e.value(dst, v)
}

// encoder writes values; plain turns the typed forms off.
type encoder struct {
	plain bool
	depth int
}

func (e *encoder) value(dst []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case string:
		return AppendString(dst, x), nil
	case float64:
		return e.number(dst, x), nil
	case int:
		return e.integer(dst, int64(x)), nil
	case int64:
		return e.integer(dst, x), nil
	case Raw:
		if len(x) == 0 {
			return append(dst, "null"...), nil
		}
		return append(dst, x...), nil
	case time.Time:
		return e.date(dst, x), nil
	case []byte:
		return e.bytes(dst, x), nil
	case Doc:
		return e.doc(dst, x)
	case map[string]any:
		return e.stringMap(dst, x)
	case []any:
		return array(e, dst, x)
	case []string:
		return e.strings(dst, x), nil
	case []Raw:
		return array(e, dst, x)
	case Rest:
		return array(e, dst, x)
	}
	return e.special(dst, v)
}

// special writes the rarer types and hands the rest to reflection.
func (e *encoder) special(dst []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case Undefined:
		return append(dst, "null"...), nil
	case InvalidDate:
		if e.plain {
			return append(dst, "null"...), nil
		}
		return append(dst, `{"$date":null}`...), nil
	case ObjectID:
		if e.plain {
			return append(AppendString(append(dst, `{"_str":`...), string(x)), '}'), nil
		}
		return append(AppendString(append(dst, `{"$type":"oid","$value":`...), string(x)), '}'), nil
	case RegExp:
		if e.plain {
			return append(dst, '{', '}'), nil
		}
		dst = AppendString(append(dst, `{"$regexp":`...), x.Source)
		return append(AppendString(append(dst, `,"$flags":`...), x.Flags), '}'), nil
	case Custom:
		return e.custom(dst, x)
	case json.Number:
		f, err := strconv.ParseFloat(string(x), 64)
		if err != nil {
			return dst, ErrType
		}
		return e.number(dst, f), nil
	}
	return e.reflected(dst, reflect.ValueOf(v))
}

func (e *encoder) custom(dst []byte, x Custom) ([]byte, error) {
	if e.plain {
		return e.nested(dst, x.Value)
	}
	dst = append(AppendString(append(dst, `{"$type":`...), x.Type), `,"$value":`...)
	dst, err := e.nested(dst, x.Value)
	return append(dst, '}'), err
}

// nested writes a value one level down.
func (e *encoder) nested(dst []byte, v any) ([]byte, error) {
	if e.depth++; e.depth > MaxDepth {
		return dst, ErrDepth
	}
	dst, err := e.value(dst, v)
	e.depth--
	return dst, err
}

func (e *encoder) number(dst []byte, f float64) []byte {
	if !math.IsNaN(f) && !math.IsInf(f, 0) {
		return appendNumber(dst, f)
	}
	switch {
	case e.plain:
		return append(dst, "null"...)
	case f > 0:
		return append(dst, `{"$InfNaN":1}`...)
	case f < 0:
		return append(dst, `{"$InfNaN":-1}`...)
	}
	return append(dst, `{"$InfNaN":0}`...)
}

func (e *encoder) integer(dst []byte, n int64) []byte {
	if n > 1<<53 || n < -1<<53 {
		return appendNumber(dst, float64(n))
	}
	return strconv.AppendInt(dst, n, 10)
}

func (e *encoder) date(dst []byte, t time.Time) []byte {
	// Far times overflow UnixMilli; years bound the range first.
	valid := t.Year() > -271822 && t.Year() < 275761
	ms := int64(0)
	if valid {
		ms = t.UnixMilli()
		valid = float64(ms) >= -maxDate && float64(ms) <= maxDate
	}
	switch {
	case e.plain && !valid:
		return append(dst, "null"...)
	case e.plain:
		return appendISO(dst, t.UTC())
	case !valid:
		return append(dst, `{"$date":null}`...)
	}
	return append(strconv.AppendInt(append(dst, `{"$date":`...), ms, 10), '}')
}

// appendISO writes a date as JavaScript's toISOString; years outside 0–9999
// have a sign and six digits.
func appendISO(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	y := t.Year()
	if y < 0 || y > 9999 {
		sign := byte('+')
		if y < 0 {
			sign, y = '-', -y
		}
		dst = append(dst, sign)
		for div := 100000; div > 0; div /= 10 {
			dst = append(dst, byte('0'+y/div%10))
		}
		dst = t.AppendFormat(dst, "-01-02T15:04:05.000Z")
	} else {
		dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	return append(dst, '"')
}

func (e *encoder) bytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	if !e.plain {
		dst = append(dst, `{"$binary":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"', '}')
	}
	dst = append(dst, '{')
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendInt(append(dst, '"'), int64(i), 10), '"', ':')
		dst = strconv.AppendInt(dst, int64(c), 10)
	}
	return append(dst, '}')
}

func (e *encoder) strings(dst []byte, list []string) []byte {
	if list == nil {
		return append(dst, '[', ']')
	}
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

func array[T any](e *encoder, dst []byte, list []T) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = e.nested(dst, list[i]); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (e *encoder) doc(dst []byte, d Doc) ([]byte, error) {
	escape := !e.plain && (len(d) == 1 && oneKeyForm(d[0].Key) || len(d) == 2 && twoKeyForm(d[0].Key, d[1].Key))
	if escape {
		dst = append(dst, `{"$escape":`...)
	}
	dst = append(dst, '{')
	first := true
	var err error
	for i := range d {
		if _, undefined := d[i].Value.(Undefined); undefined {
			continue
		}
		dst = e.key(dst, d[i].Key, first)
		first = false
		if dst, err = e.nested(dst, d[i].Value); err != nil {
			return dst, err
		}
	}
	if escape {
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

func (e *encoder) key(dst []byte, key string, first bool) []byte {
	if !first {
		dst = append(dst, ',')
	}
	return append(AppendString(dst, key), ':')
}

// keyPool keeps the slices in which maps sort their keys.
var keyPool = sync.Pool{New: func() any { s := make([]string, 0, 16); return &s }}

func (e *encoder) stringMap(dst []byte, m map[string]any) ([]byte, error) {
	if m == nil {
		return append(dst, "null"...), nil
	}
	p := keyPool.Get().(*[]string)
	keys := (*p)[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	escape := !e.plain && (len(keys) == 1 && oneKeyForm(keys[0]) || len(keys) == 2 && twoKeyForm(keys[0], keys[1]))
	if escape {
		dst = append(dst, `{"$escape":`...)
	}
	dst = append(dst, '{')
	first := true
	var err error
	for _, k := range keys {
		v := m[k]
		if _, undefined := v.(Undefined); undefined {
			continue
		}
		dst = e.key(dst, k, first)
		first = false
		if dst, err = e.nested(dst, v); err != nil {
			break
		}
	}
	clear(keys)
	*p = keys[:0]
	keyPool.Put(p)
	if escape {
		dst = append(dst, '}')
	}
	return append(dst, '}'), err
}

// oneKeyForm and twoKeyForm tell the objects that a reader takes for a typed form.
func oneKeyForm(k string) bool {
	return k == "$date" || k == "$InfNaN" || k == "$binary" || k == "$escape"
}

func twoKeyForm(a, b string) bool {
	if len(a) == 0 || a[0] != '$' {
		return false
	}
	return a == "$regexp" && b == "$flags" || a == "$flags" && b == "$regexp" ||
		a == "$type" && b == "$value" || a == "$value" && b == "$type"
}
