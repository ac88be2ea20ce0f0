package schema

import (
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Of is the schema of the object that values of the struct type T stand for, under
// the name of the type.
func Of[T any]() Schema { return OfValue(*new(T)) }

// Answer is Of for an answer: the members of T beside "success": true.
func Answer[T any]() Schema { return Of[T]().Answered() }

// OfValue is Of for the type of a value; nil for nil. Fields are texts, booleans, whole
// numbers, moments, structs, maps (any object), interfaces (any value) and lists of
// these. Their tags are json (with ",omitempty" for a member that may be missing),
// about, enum (values separated by commas), const, format, minLength and minimum. A type that
// has a method JSONSchema says itself what it is. Anything else is a programming error
// and panics.
func OfValue(v any) Schema {
	if v == nil {
		return nil
	}
	return ofType(reflect.TypeOf(v))
}

// Members lists the members of OfValue, in order.
func Members(v any) []string {
	var names []string
	for _, f := range fields(reflect.TypeOf(v)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// fields are those of a struct and of the structs that it embeds.
func fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			all = append(all, f)
		}
	}
	return all
}

type described interface{ JSONSchema() Schema }

func ofType(t reflect.Type) Schema {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if d, ok := reflect.Zero(t).Interface().(described); ok {
		return d.JSONSchema()
	}
	switch t.Kind() {
	case reflect.String:
		return Text()
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Int:
		return Integer()
	case reflect.Interface:
		return Schema{}
	case reflect.Map:
		return object(map[string]any{}, nil)
	case reflect.Slice:
		return List(ofType(t.Elem()))
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return Schema{"type": "string", "format": "date-time"}
		}
		return ofStruct(t)
	}
	panic("schema: none for the type " + t.String())
}

// object is an object with these members; others are allowed and ignored, because
// published clients send more than any server reads.
func object(properties map[string]any, required []any) Schema {
	s := Schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func ofStruct(t reflect.Type) Schema {
	properties, required := map[string]any{}, []any{}
	for _, f := range fields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = map[string]any(ofField(f))
		if options != "omitempty" {
			required = append(required, name)
		}
	}
	s := object(properties, required)
	if t.Name() != "" {
		s = s.Named(string(unicode.ToUpper(rune(t.Name()[0]))) + t.Name()[1:])
	}
	return s
}

func ofField(f reflect.StructField) Schema {
	s := ofType(f.Type)
	if values := f.Tag.Get("enum"); values != "" {
		s = OneOf(strings.Split(values, ",")...)
	}
	switch is := f.Tag.Get("const"); {
	case is == "true" || is == "false":
		s = Schema{"const": is == "true"}
	case is != "":
		s = Schema{"const": is}
	}
	if format := f.Tag.Get("format"); format != "" {
		s["format"] = format
	}
	if n, err := strconv.Atoi(f.Tag.Get("minLength")); err == nil {
		s["minLength"] = n
	}
	if n, err := strconv.Atoi(f.Tag.Get("minimum")); err == nil {
		s["minimum"] = n
	}
	if about := f.Tag.Get("about"); about != "" {
		s = s.About(about)
	}
	return s
}
