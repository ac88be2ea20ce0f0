package rest

import (
	"reflect"
	"strconv"
	"strings"
)

// structSchema is the schema of the object that a value of this struct type stands
// for; nil for nil. A field is a text, a boolean, a whole number, or a list of texts;
// its tags are json (with ",omitempty" for a member that may be missing), about, enum
// (values separated by commas), format and minLength.
func structSchema(v any) Schema {
	if v == nil {
		return nil
	}
	var props []property
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		props = append(props, property{Name: name, Schema: fieldSchema(f), Required: options != "omitempty"})
	}
	return object(props...)
}

// memberNames lists the members of structSchema, in order.
func memberNames(v any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func fieldSchema(f reflect.StructField) Schema {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var s Schema
	switch t.Kind() {
	case reflect.String:
		s = text()
	case reflect.Bool:
		s = boolean()
	case reflect.Int:
		s = integer()
	case reflect.Slice:
		s = list(text())
	default:
		panic("rest: no schema for the field " + f.Name)
	}
	if values := f.Tag.Get("enum"); values != "" {
		s = oneOf(strings.Split(values, ",")...)
	}
	if format := f.Tag.Get("format"); format != "" {
		s["format"] = format
	}
	if n, err := strconv.Atoi(f.Tag.Get("minLength")); err == nil {
		s["minLength"] = n
	}
	if about := f.Tag.Get("about"); about != "" {
		s = s.About(about)
	}
	return s
}
