package ejson

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// BindArray reads the parameters of a call, an EJSON array, into dst in order.
//
// Nothing is coerced. A destination is a non-nil pointer to
//   - string, bool, float64 (also $InfNaN), int, int64 and the other integers
//     (whole numbers that a double holds exactly and the type can keep);
//   - time.Time ($date) or []byte ($binary);
//   - any (as Decode), Doc (an object), Raw (a copy of the text, any value);
//   - []T or map[string]T of these;
//   - a struct: keys match ejson:"name" (or json:"name") exactly, a missing key
//     fails unless the field is a pointer or tagged ",optional" or ",omitempty",
//     for which null counts as missing; an unknown key fails unless the struct
//     has a field Doc tagged ejson:",rest" or a blank _ struct{} tagged
//     ejson:",ignore";
//   - *T: optional, nil when missing or null.
//
// nil, [] and [null] stand for no parameters, except that a lone null fits a
// destination that takes null. Missing parameters fail unless optional;
// parameters beyond dst fail unless they are null. The last destination may be
// a *Rest. Errors match ErrMismatch, or are those of Decode; some destinations
// may have been written before an error.
func BindArray(params []byte, dst ...any) error {
	if !utf8.Valid(params) {
		return ErrUTF8
	}
	b := binder{decoder{lexer{b: params}}}
	if len(params) == 0 {
		return b.missing(dst, 0)
	}
	if b.peek() != '[' {
		if err := Scan(params, MaxDepth); err != nil {
			return err
		}
		return mismatch("list of parameters")
	}
	b.i++
	n := 0
	if !b.empty(']') {
		var err error
		if n, err = b.params(dst); err != nil {
			return err
		}
	}
	if err := b.end(); err != nil {
		return err
	}
	return b.missing(dst, n)
}

// Unmarshal reads one EJSON value into dst, by the rules of BindArray.
func Unmarshal(raw []byte, dst any) error {
	if !utf8.Valid(raw) {
		return ErrUTF8
	}
	b := binder{decoder{lexer{b: raw}}}
	if err := b.bind(dst, MaxDepth); err != nil {
		return err
	}
	return b.end()
}

// mismatch says what was wanted; what came instead is not told.
func mismatch(want string) error { return fmt.Errorf("%w: want %s", ErrMismatch, want) }

func within(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

type binder struct{ decoder }

// params binds the elements and gives the number of those that were bound.
func (b *binder) params(dst []any) (int, error) {
	n := 0
	for {
		switch {
		case n < len(dst):
			if rest, ok := dst[n].(*Rest); ok && n == len(dst)-1 {
				raw, err := b.raw(MaxDepth)
				if err != nil {
					return n, err
				}
				*rest = append(*rest, raw)
				break
			}
			if n == 0 && b.loneNull() {
				return b.bindLoneNull(dst[0]), nil
			}
			if err := b.bind(dst[n], MaxDepth); err != nil {
				return n, within(fmt.Sprintf("parameter %d", n), err)
			}
			n++
		case b.peek() == 'n':
			if err := b.literal("null"); err != nil {
				return n, err
			}
		default:
			if err := b.skip(MaxDepth); err != nil {
				return n, err
			}
			return n, mismatch("fewer parameters")
		}
		if more, err := b.more(']'); !more {
			return n, err
		}
	}
}

// loneNull tells whether the rest of the text is "null]".
func (b *binder) loneNull() bool {
	l := b.lexer
	return l.peek() == 'n' && l.literal("null") == nil && l.take(']') == nil && l.end() == nil
}

// bindLoneNull reads a lone null up to the end of the text: a value for what
// takes null, no parameter for everything else. It gives the number of values.
func (b *binder) bindLoneNull(dst any) int {
	b.i = len(b.b)
	switch d := dst.(type) {
	case *any:
		*d = nil
	case *Raw:
		*d = Raw("null")
	default:
		return 0
	}
	return 1
}

// missing checks that the destinations from n on may go without a value.
func (b *binder) missing(dst []any, n int) error {
	for ; n < len(dst); n++ {
		v := reflect.ValueOf(dst[n])
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return fmt.Errorf("%w: destination %T", ErrType, dst[n])
		}
		switch {
		case v.Type().Elem() == restType:
		case v.Elem().Kind() == reflect.Pointer:
			v.Elem().SetZero()
		default:
			return mismatch("more parameters")
		}
	}
	return nil
}

// bind reads one value into the usual destinations; others go by reflection.
func (b *binder) bind(dst any, depth int) (err error) {
	switch d := dst.(type) {
	case *string:
		if b.peek() != '"' {
			return b.refuse("string", depth)
		}
		*d, err = b.stringValue()
		return err
	case *bool:
		switch b.peek() {
		case 't':
			*d, err = true, b.literal("true")
		case 'f':
			*d, err = false, b.literal("false")
		default:
			return b.refuse("boolean", depth)
		}
		return err
	case *float64:
		*d, err = b.float(depth)
		return err
	case *any:
		*d, err = b.value(depth, true)
		return err
	case *Raw:
		*d, err = b.raw(depth)
		return err
	case *Doc:
		v, err := b.value(depth, true)
		if err != nil {
			return err
		}
		doc, ok := v.(Doc)
		if !ok {
			return mismatch("object")
		}
		*d = doc
		return nil
	case *time.Time:
		return typed(b, d, depth, "date")
	case *[]byte:
		return typed(b, d, depth, "bytes")
	}
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("%w: destination %T", ErrType, dst)
	}
	return b.reflected(v.Elem(), depth)
}

// refuse reads over a value that does not fit, so that broken JSON is told from
// a wrong type.
func (b *binder) refuse(want string, depth int) error {
	if err := b.skip(depth); err != nil {
		return err
	}
	return mismatch(want)
}

// typed reads a value that Decode gives as exactly T.
func typed[T any](b *binder, dst *T, depth int, want string) error {
	v, err := b.value(depth, true)
	if err != nil {
		return err
	}
	x, ok := v.(T)
	if !ok {
		return mismatch(want)
	}
	*dst = x
	return nil
}

func (b *binder) float(depth int) (float64, error) {
	v, err := b.value(depth, true)
	if err != nil {
		return 0, err
	}
	f, ok := v.(float64)
	if !ok {
		return 0, mismatch("number")
	}
	return f, nil
}

// raw copies the text of a value after checking it as Decode would.
func (b *binder) raw(depth int) (Raw, error) {
	b.peek()
	start := b.i
	if err := b.skip(depth); err != nil {
		return nil, err
	}
	text := bytes.Clone(b.b[start:b.i])
	return text, Check(text)
}

// reflected reads one value into v, which can be set.
func (b *binder) reflected(v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Pointer:
		if b.peek() == 'n' {
			v.SetZero()
			return b.literal("null")
		}
		p := reflect.New(v.Type().Elem())
		if err := b.bind(p.Interface(), depth); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.String:
		if v.Type() == reflect.TypeFor[ObjectID]() {
			return typed(b, v.Addr().Interface().(*ObjectID), depth, "object id")
		}
		var s string
		if err := b.bind(&s, depth); err != nil {
			return err
		}
		v.SetString(s)
		return nil
	case reflect.Bool:
		var x bool
		if err := b.bind(&x, depth); err != nil {
			return err
		}
		v.SetBool(x)
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f, err := b.whole(depth)
		if err != nil {
			return err
		}
		if v.OverflowInt(int64(f)) {
			return mismatch("smaller number")
		}
		v.SetInt(int64(f))
		return nil
	case reflect.Float32, reflect.Float64:
		f, err := b.float(depth)
		if err == nil {
			v.SetFloat(f)
		}
		return err
	case reflect.Slice:
		return b.slice(v, depth)
	case reflect.Map:
		return b.mapping(v, depth)
	case reflect.Struct:
		return b.structure(v, depth)
	}
	return fmt.Errorf("%w: destination %s", ErrType, v.Type())
}

// whole reads a number without a fraction that a double holds exactly.
func (b *binder) whole(depth int) (float64, error) {
	f, err := b.float(depth)
	if err != nil {
		return 0, err
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, mismatch("whole number")
	}
	return f, nil
}

func (b *binder) slice(v reflect.Value, depth int) error {
	if b.peek() != '[' {
		return b.refuse("list", depth)
	}
	if depth <= 0 {
		return ErrDepth
	}
	b.i++
	out := reflect.MakeSlice(v.Type(), 0, 0)
	if b.empty(']') {
		v.Set(out)
		return nil
	}
	for {
		element := reflect.New(v.Type().Elem())
		if err := b.bind(element.Interface(), depth-1); err != nil {
			return within(fmt.Sprintf("element %d", out.Len()), err)
		}
		out = reflect.Append(out, element.Elem())
		more, err := b.more(']')
		if err != nil {
			return err
		}
		if !more {
			v.Set(out)
			return nil
		}
	}
}
