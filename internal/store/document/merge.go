package document

import (
	"fmt"
	"reflect"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Merge returns the stored document with the changes that lead from before to
// after, two values of the type that was decoded from it. Everything else,
// also keys that the type does not know, stays as it is; elements of arrays
// are followed by their identity, so their unknown keys survive too.
func Merge(stored bson.Raw, before, after any) (bson.Raw, error) {
	var orig, b, a bson.D
	if err := bson.Unmarshal(stored, &orig); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	for _, v := range []struct {
		from any
		to   *bson.D
	}{{before, &b}, {after, &a}} {
		raw, err := Encode(v.from)
		if err != nil {
			return nil, err
		}
		if err := bson.Unmarshal(raw, v.to); err != nil {
			return nil, fmt.Errorf("encode document: %w", err)
		}
	}
	return Encode(mergeDoc(orig, b, a))
}

func mergeDoc(orig, before, after bson.D) bson.D {
	for _, e := range before {
		if index(after, e.Key) < 0 {
			if i := index(orig, e.Key); i >= 0 {
				orig = append(orig[:i:i], orig[i+1:]...)
			}
		}
	}
	for _, e := range after {
		var was any
		if i := index(before, e.Key); i >= 0 {
			if was = before[i].Value; equal(was, e.Value) {
				continue
			}
		}
		if i := index(orig, e.Key); i >= 0 {
			orig[i].Value = mergeValue(orig[i].Value, was, e.Value)
		} else {
			orig = append(orig, e)
		}
	}
	return orig
}

func mergeValue(orig, before, after any) any {
	switch a := after.(type) {
	case bson.D:
		o, ok := orig.(bson.D)
		b, ok2 := before.(bson.D)
		if ok && ok2 {
			return mergeDoc(o, b, a)
		}
	case bson.A:
		o, ok := orig.(bson.A)
		b, ok2 := before.(bson.A)
		if ok && ok2 && len(o) == len(b) {
			return mergeArray(o, b, a)
		}
	}
	return after
}

// mergeArray rebuilds an array from the stored elements where it can.
func mergeArray(orig, before, after bson.A) bson.A {
	used := make([]bool, len(before))
	find := func(match func(b any) bool) int {
		for i, b := range before {
			if !used[i] && match(b) {
				used[i] = true
				return i
			}
		}
		return -1
	}
	out := make(bson.A, 0, len(after))
	for _, a := range after {
		if i := find(func(b any) bool { return equal(a, b) }); i >= 0 {
			out = append(out, orig[i])
			continue
		}
		if i := find(func(b any) bool { return sameElement(a, b) }); i >= 0 {
			out = append(out, mergeValue(orig[i], before[i], a))
			continue
		}
		out = append(out, a)
	}
	return out
}

// identity lists the keys that tell elements of an array apart, the strongest first.
var identity = []string{"hashedToken", "token", "address", "_id", "id", "name", "when"}

func sameElement(a, b any) bool {
	x, ok := a.(bson.D)
	y, ok2 := b.(bson.D)
	if !ok || !ok2 {
		return false
	}
	for _, key := range identity {
		i, j := index(x, key), index(y, key)
		if i >= 0 && j >= 0 {
			return equal(x[i].Value, y[j].Value)
		}
	}
	return false
}

func index(d bson.D, key string) int {
	for i := range d {
		if d[i].Key == key {
			return i
		}
	}
	return -1
}

// equal compares decoded BSON; the order of keys does not count, because maps
// of Go have none.
func equal(a, b any) bool {
	switch a := a.(type) {
	case bson.D:
		b, ok := b.(bson.D)
		if !ok || len(a) != len(b) {
			return false
		}
		for _, e := range a {
			i := index(b, e.Key)
			if i < 0 || !equal(e.Value, b[i].Value) {
				return false
			}
		}
		return true
	case bson.A:
		b, ok := b.(bson.A)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
