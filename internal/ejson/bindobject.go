package ejson

import "reflect"

// members walks over an object's members and calls f at each value, which f has
// to consume. An object that is wrapped in $escape is unwrapped; one that is
// another typed form is no object.
func (b *binder) members(depth int, f func(key string, depth int) error) error {
	if b.peek() != '{' {
		return b.refuse("object", depth)
	}
	if depth <= 0 {
		return ErrDepth
	}
	if b.startsWithDollar() {
		start := b.i
		if err := b.skip(depth); err != nil {
			return err
		}
		end := b.i
		b.i = start
		d := decoder{lexer{b: b.b[start:end]}}
		doc, err := d.members(depth, false)
		if err != nil {
			return err
		}
		if len(doc) == 1 && doc[0].Key == "$escape" {
			return b.escaped(depth, f)
		}
		if _, ok, err := form(doc); err != nil {
			return err
		} else if ok {
			b.i = end
			return mismatch("object")
		}
	}
	return b.plainMembers(depth, f)
}

// escaped walks over the members inside {"$escape":{…}}.
func (b *binder) escaped(depth int, f func(key string, depth int) error) error {
	b.i++
	if _, err := b.stringValue(); err != nil {
		return err
	}
	if err := b.take(':'); err != nil {
		return err
	}
	if b.peek() != '{' {
		return b.refuse("object", depth-1)
	}
	if err := b.plainMembers(depth-1, f); err != nil {
		return err
	}
	return b.take('}')
}

func (b *binder) plainMembers(depth int, f func(key string, depth int) error) error {
	if depth <= 0 {
		return ErrDepth
	}
	b.i++
	if b.empty('}') {
		return nil
	}
	for {
		key, err := b.stringValue()
		if err != nil {
			return err
		}
		if key == protoKey {
			return ErrValue
		}
		if err := b.take(':'); err != nil {
			return err
		}
		b.peek()
		if err := f(key, depth-1); err != nil {
			return err
		}
		if more, err := b.more('}'); !more {
			return err
		}
	}
}

func (b *binder) mapping(v reflect.Value, depth int) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return ErrType
	}
	out := reflect.MakeMap(t)
	err := b.members(depth, func(key string, depth int) error {
		k := reflect.ValueOf(key).Convert(t.Key())
		if out.MapIndex(k).IsValid() {
			return ErrDuplicate
		}
		element := reflect.New(t.Elem())
		if err := b.bind(element.Interface(), depth); err != nil {
			return within("member", err)
		}
		out.SetMapIndex(k, element.Elem())
		return nil
	})
	if err == nil {
		v.Set(out)
	}
	return err
}

func (b *binder) structure(v reflect.Value, depth int) error {
	p := planOf(v.Type())
	seen := make([]bool, len(p.fields))
	// Unknown keys count too when it comes to duplicates.
	var unknown Doc
	var set map[string]struct{}
	err := b.members(depth, func(key string, depth int) (err error) {
		i, ok := p.index[key]
		if !ok {
			if p.rest == nil && !p.ignore {
				if err := b.skip(depth); err != nil {
					return err
				}
				return mismatch("no unknown key")
			}
			if set, err = unknown.unique(set, key); err != nil {
				return err
			}
			value, err := b.value(depth, true)
			if err != nil {
				return err
			}
			if p.rest == nil {
				value = nil
			}
			unknown = append(unknown, Field{key, value})
			return nil
		}
		if seen[i] {
			return ErrDuplicate
		}
		seen[i] = true
		return within(p.fields[i].name, b.field(v, &p.fields[i], depth))
	})
	if err != nil {
		return err
	}
	for i := range p.fields {
		if !seen[i] && !p.fields[i].optional {
			return within(p.fields[i].name, mismatch("a value"))
		}
	}
	if p.rest != nil {
		v.FieldByIndex(p.rest).Set(reflect.ValueOf(unknown))
	}
	return nil
}

// field reads one known member; null counts as missing for an optional one.
func (b *binder) field(v reflect.Value, f *planField, depth int) error {
	fv := v.FieldByIndex(f.path)
	if f.optional && b.peek() == 'n' && fv.Type() != rawType && fv.Kind() != reflect.Interface {
		fv.SetZero()
		return b.literal("null")
	}
	return b.bind(fv.Addr().Interface(), depth)
}
