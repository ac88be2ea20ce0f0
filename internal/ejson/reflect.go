package ejson

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// plan says how a struct type is read and written.
type plan struct {
	fields []planField
	index  map[string]int
	// rest is the index path of the Doc that takes unknown keys, or nil.
	rest []int
	// ignore lets unknown keys pass unread.
	ignore bool
	// escape says that the written object might look like a typed form.
	escape bool
}

type planField struct {
	name     string
	path     []int
	optional bool // may be missing or null when bound
	omit     bool // left out when empty
}

var (
	plans    sync.Map // reflect.Type → *plan
	timeType = reflect.TypeFor[time.Time]()
	docType  = reflect.TypeFor[Doc]()
	rawType  = reflect.TypeFor[Raw]()
	restType = reflect.TypeFor[Rest]()
)

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{index: map[string]int{}}
	p.collect(t, nil)
	for i, f := range p.fields {
		p.index[f.name] = i
		p.escape = p.escape || strings.HasPrefix(f.name, "$")
	}
	actual, _ := plans.LoadOrStore(t, p)
	return actual.(*plan)
}

// collect reads the tags. Fields of embedded structs without a name of their
// own count as fields of the outer one.
func (p *plan) collect(t reflect.Type, path []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("ejson")
		if !ok {
			tag = f.Tag.Get("json")
		}
		name, options, _ := strings.Cut(tag, ",")
		here := append(slices.Clone(path), i)
		switch {
		case f.Name == "_":
			p.ignore = p.ignore || options == "ignore"
			continue
		case name == "-":
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			p.collect(f.Type, here)
			continue
		case !f.IsExported():
			continue
		case options == "rest" && f.Type == docType:
			p.rest = here
			continue
		}
		if name == "" {
			name = f.Name
		}
		omit := strings.Contains(options, "omitempty")
		p.fields = append(p.fields, planField{
			name: name, path: here, omit: omit,
			optional: omit || options == "optional" || f.Type.Kind() == reflect.Pointer,
		})
	}
}

// reflected writes what the type switch does not know by name.
func (e *encoder) reflected(dst []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		return e.nested(dst, v.Elem().Interface())
	case reflect.Bool:
		return e.value(dst, v.Bool())
	case reflect.String:
		return AppendString(dst, v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return e.integer(dst, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return appendNumber(dst, float64(v.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return e.number(dst, v.Float()), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return e.bytes(dst, v.Bytes()), nil
		}
		return e.list(dst, v)
	case reflect.Array:
		return e.list(dst, v)
	case reflect.Map:
		return e.anyMap(dst, v)
	case reflect.Struct:
		if v.Type().ConvertibleTo(timeType) {
			return e.date(dst, v.Convert(timeType).Interface().(time.Time)), nil
		}
		return e.structure(dst, v)
	}
	return dst, ErrType
}

func (e *encoder) list(dst []byte, v reflect.Value) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = e.nested(dst, v.Index(i).Interface()); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// anyMap sorts through a Doc: maps of other types are rare on the wire.
func (e *encoder) anyMap(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Type().Key().Kind() != reflect.String {
		return dst, ErrType
	}
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	d := make(Doc, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		d = append(d, Field{it.Key().String(), it.Value().Interface()})
	}
	slices.SortFunc(d, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
	return e.doc(dst, d)
}

func (e *encoder) structure(dst []byte, v reflect.Value) ([]byte, error) {
	p := planOf(v.Type())
	if p.escape || p.rest != nil {
		return e.doc(dst, p.doc(v))
	}
	dst = append(dst, '{')
	first := true
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.FieldByIndex(f.path)
		if f.omit && isEmpty(fv) {
			continue
		}
		dst = e.key(dst, f.name, first)
		first = false
		if dst, err = e.nested(dst, fv.Interface()); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// doc lists what a struct would write.
func (p *plan) doc(v reflect.Value) Doc {
	d := make(Doc, 0, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		if fv := v.FieldByIndex(f.path); !f.omit || !isEmpty(fv) {
			d = append(d, Field{f.name, fv.Interface()})
		}
	}
	if p.rest != nil {
		d = append(d, v.FieldByIndex(p.rest).Interface().(Doc)...)
	}
	return d
}

// isEmpty is omitempty's meaning: encoding/json's, and zero structs (times) too.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return v.IsZero()
	}
	return v.IsZero()
}
