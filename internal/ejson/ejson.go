// Package ejson reads and writes EJSON, the JSON of DDP with dates, bytes,
// regular expressions, non-finite numbers and custom types (docs/wire/ddp.md B),
// and binds parameters to Go values without ever coercing one type to another.
//
// Texts come from strangers: reading is strict (exact JSON syntax, valid UTF-8,
// keys that match byte for byte and occur once, bounded depth), and no error
// carries a part of the text. Objects keep the order of their keys.
//
// It does not know DDP frames, does not write canonical or indented EJSON, does
// not look into regular expressions (their source is a text that is handed on),
// and turns a lone surrogate, which no UTF-8 text can hold, into U+FFFD.
//
// The work on a text is proportional to its length, whatever the text.
package ejson

import (
	"errors"
	"time"
)

// MaxDepth bounds the nesting that Decode, Check, BindArray and Unmarshal read
// and that Append and AppendJSON write. Scan takes a bound of its own.
const MaxDepth = 512

// Errors of this package. Their texts are constant: nothing of the input is in them.
var (
	// ErrSyntax says that a text is not exactly one JSON value.
	ErrSyntax = errors.New("ejson: not JSON")
	// ErrDepth says that a value is nested too deeply.
	ErrDepth = errors.New("ejson: nested too deeply")
	// ErrDuplicate says that an object has a key twice.
	ErrDuplicate = errors.New("ejson: duplicate key")
	// ErrUTF8 says that a text is not valid UTF-8.
	ErrUTF8 = errors.New("ejson: not UTF-8")
	// ErrValue says that a $-form cannot be decoded, such as an unknown $type or
	// a $regexp that is no text or longer than 32 KiB (most of the throws of
	// docs/wire/ddp.md A4), or that an object has a key "__proto__".
	ErrValue = errors.New("ejson: bad value in a typed form")
	// ErrMismatch says that a value does not fit the destination it is bound to.
	ErrMismatch = errors.New("ejson: value does not fit")
	// ErrType says that a Go value has no EJSON form.
	ErrType = errors.New("ejson: type cannot be encoded")
)

// Raw is text that is EJSON (or JSON) already. Append copies it unseen; nil and
// the empty text stand for null.
type Raw []byte

// Rest, as the last destination of BindArray, takes all parameters from its
// position on, each as its text. No parameters make it nil.
type Rest []Raw

// Field is one member of a Doc.
type Field struct {
	Key   string
	Value any
}

// Doc is an object whose keys keep their order. Keys are unique.
type Doc []Field

// Get finds the value of a key.
func (d Doc) Get(key string) (any, bool) {
	for i := range d {
		if d[i].Key == key {
			return d[i].Value, true
		}
	}
	return nil, false
}

// Set replaces the value of a key, or appends it, and returns the document.
func (d Doc) Set(key string, value any) Doc {
	for i := range d {
		if d[i].Key == key {
			d[i].Value = value
			return d
		}
	}
	return append(d, Field{key, value})
}

// Without returns the document without a key; d itself is left alone.
func (d Doc) Without(key string) Doc {
	out := make(Doc, 0, len(d))
	for _, f := range d {
		if f.Key != key {
			out = append(out, f)
		}
	}
	return out
}

// ObjectID is MongoDB's id as 24 lower-case hexadecimal digits; on the wire the
// custom type "oid".
type ObjectID string

// Valid tells whether the id has its 24 lower-case hexadecimal digits.
func (id ObjectID) Valid() bool {
	if len(id) != 24 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// RegExp is a JavaScript regular expression. Decode gives the source as it was
// sent, whether it would compile or not, and the flags g i m u y, each once.
type RegExp struct{ Source, Flags string }

// Custom is a value of a custom type other than "oid". Decode knows one:
// Type "Decimal", whose Value is the text of the number.
type Custom struct {
	Type  string
	Value any
}

// Undefined is JavaScript's undefined: a key with this value is left out, an
// array element becomes null.
type Undefined struct{}

// InvalidDate is a date outside JavaScript's range or made from a text that is
// no date; on the wire {"$date":null}.
type InvalidDate struct{}

// maxDate is the largest distance from 1970 in ms that a JavaScript date has.
const maxDate = 8.64e15

// dateOf makes a date of a number of milliseconds; a fraction is cut off.
func dateOf(ms float64) any {
	if !(ms >= -maxDate && ms <= maxDate) {
		return InvalidDate{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
