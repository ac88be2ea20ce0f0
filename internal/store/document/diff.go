package document

import (
	"fmt"
	"reflect"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Diff lists what leads from one stored document to another as the operands of
// MongoDB's $set and $unset: dotted paths, each as deep as it can be, none inside
// another. Arrays are set whole, and so are documents whose keys no path can name.
func Diff(old, new bson.Raw) (set, unset bson.D, err error) {
	var d difference
	if err := d.walk("", old, new); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return d.set, d.unset, nil
}

type difference struct{ set, unset bson.D }

func (d *difference) walk(prefix string, old, new bson.Raw) error {
	was, err := old.Elements()
	if err != nil {
		return err
	}
	is, err := new.Elements()
	if err != nil {
		return err
	}
	before, kept := make(map[string]bson.RawValue, len(was)), make(map[string]bool, len(is))
	for _, e := range was {
		before[e.Key()] = e.Value()
	}
	for _, e := range is {
		key, value := e.Key(), e.Value()
		kept[key] = true
		old, there := before[key]
		switch {
		case there && value.Equal(old):
		case there && walkable(old) && walkable(value):
			if err := d.walk(prefix+key+".", old.Document(), value.Document()); err != nil {
				return err
			}
		default:
			d.set = append(d.set, bson.E{Key: prefix + key, Value: value})
		}
	}
	for _, e := range was {
		if !kept[e.Key()] {
			d.unset = append(d.unset, bson.E{Key: prefix + e.Key(), Value: true})
		}
	}
	return nil
}

// walkable tells whether a value is a document all of whose members have a path.
func walkable(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	if !ok {
		return false
	}
	elements, err := doc.Elements()
	for _, e := range elements {
		if key := e.Key(); key == "" || strings.HasPrefix(key, "$") || strings.Contains(key, ".") {
			return false
		}
	}
	return err == nil
}

// Keys lists the keys of a document that Decode reads into a struct of type T.
func Keys[T any]() []string { return keys(reflect.TypeFor[T]()) }

func keys(t reflect.Type) (list []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("bson"), ",")
		switch {
		case strings.Contains(options, "inline"):
			list = append(list, keys(f.Type)...)
		case !f.IsExported() || name == "-":
		case name == "":
			list = append(list, strings.ToLower(f.Name))
		default:
			list = append(list, name)
		}
	}
	return list
}
