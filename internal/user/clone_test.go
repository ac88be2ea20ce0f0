package user

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fill gives every member of v a value, so that a member that Clone forgets is
// noticed when it is added.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(at))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{"m": map[string]any{"k": "v"}, "l": []any{[]byte{1}}, "s": "x"}))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Interface:
	default:
		panic("a kind that this test does not know: " + v.Kind().String())
	}
}

// shared lists the places where a and b are the same memory.
func shared(a, b reflect.Value, path string) (out []string) {
	switch a.Kind() {
	case reflect.Interface:
		return shared(a.Elem(), b.Elem(), path)
	case reflect.Pointer:
		if a.Pointer() == b.Pointer() {
			return []string{path}
		}
		return shared(a.Elem(), b.Elem(), path)
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for i := range a.NumField() {
			out = append(out, shared(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)...)
		}
	case reflect.Slice:
		if a.Pointer() == b.Pointer() {
			return []string{path}
		}
		for i := range a.Len() {
			out = append(out, shared(a.Index(i), b.Index(i), path+"[]")...)
		}
	case reflect.Map:
		if a.Pointer() == b.Pointer() {
			return []string{path}
		}
		for _, k := range a.MapKeys() {
			out = append(out, shared(a.MapIndex(k), b.MapIndex(k), path+"{"+k.String()+"}")...)
		}
	}
	return out
}

func TestCloneSharesNothing(t *testing.T) {
	u := &User{}
	fill(reflect.ValueOf(u).Elem())
	c := u.Clone()
	if d := cmp.Diff(u, c); d != "" {
		t.Fatal("Clone (clone.go; of factors, factors.go) leaves out what stands here with a minus:\n", d)
	}
	if places := shared(reflect.ValueOf(u), reflect.ValueOf(c), ""); len(places) > 0 {
		t.Error("the clone (clone.go; of factors, factors.go) shares", places)
	}
	if d := cmp.Diff(&User{}, (&User{}).Clone()); d != "" {
		t.Error("an empty account grew:", d)
	}
}
