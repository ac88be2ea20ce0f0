package ejson

import (
	"bytes"
	"unicode/utf16"
)

// Check tells whether Decode would fail, without making the value: it reads the
// text once, as Scan does, once more where it has typed forms, and allocates
// nothing for ordinary texts. A door asks it about every message before any limit
// has been looked at.
func Check(raw []byte) error {
	typed, err := examine(raw, MaxDepth)
	if err == nil && typed && !Decodable(raw) {
		err = ErrValue
	}
	return err
}

// Decodable is Check for a text that was scanned, or a value in one.
func Decodable(raw []byte) bool {
	f := forms{lexer: lexer{b: raw}}
	found, err := f.judge(MaxDepth)
	return err == nil && !found.fails
}

// forms reads typed forms of a text that was scanned.
type forms struct {
	lexer
	scratch []byte
}

// verdict is what a value was found to be.
type verdict struct {
	from, to int // its place in the text
	// fails says that decoding it fails; within that decoding its members would,
	// were it a plain object or list.
	fails, within bool
}

// judge reads one value, and tells whether a typed form in it cannot be decoded. Whether an object is a form is known only at its end, and
// nothing inside a form is one, so both outcomes are kept until then.
func (f *forms) judge(depth int) (v verdict, err error) {
	c := f.peek()
	v.from = f.i
	switch c {
	case '{':
		err = f.judgeObject(depth, &v)
	case '[':
		err = f.judgeList(depth, &v)
	default:
		err = f.skip(depth)
	}
	v.to = f.i
	return v, err
}

func (f *forms) judgeList(depth int, v *verdict) error {
	if depth <= 0 {
		return ErrDepth
	}
	f.i++
	if f.empty(']') {
		return nil
	}
	for {
		element, err := f.judge(depth - 1)
		if err != nil {
			return err
		}
		v.within = v.within || element.fails
		if more, err := f.more(']'); !more {
			v.fails = v.within
			return err
		}
	}
}

func (f *forms) judgeObject(depth int, v *verdict) error {
	if depth <= 0 {
		return ErrDepth
	}
	f.i++
	if f.empty('}') {
		return nil
	}
	var keys [2]string
	var values [2]verdict
	for n := 0; ; n++ {
		key, err := f.memberKey()
		if err != nil {
			return err
		}
		if string(key) == protoKey {
			return ErrValue
		}
		if n < 2 {
			keys[n] = formKey(key)
		}
		value, err := f.judge(depth - 1)
		if err != nil {
			return err
		}
		if n < 2 {
			values[n] = value
		}
		v.within = v.within || value.fails
		more, err := f.more('}')
		if !more {
			v.fails = f.formFails(n+1, keys, values, v.within)
			return err
		}
	}
}

// formFails tells whether an object with n members, the first of which are given,
// cannot be decoded: it is a typed form with a wrong value, or holds one.
func (f *forms) formFails(n int, keys [2]string, values [2]verdict, within bool) bool {
	a, b := keys[0], keys[1]
	switch {
	case n == 1 && (a == "$date" || a == "$InfNaN"):
		return false
	case n == 1 && a == "$binary":
		return f.binaryFails(values[0])
	case n == 1 && a == "$escape":
		return values[0].within || f.b[values[0].from] == 'n'
	case n != 2 || !twoKeyForm(a, b):
		return within
	}
	first, second := values[0], values[1]
	if a == "$flags" || a == "$value" {
		first, second = second, first
	}
	if a == "$regexp" || b == "$regexp" {
		text, _ := f.textAt(first)
		_, ok := f.textAt(second)
		return text == nil || !ok || len(text) > maxPattern
	}
	// Names of types and their values are short; a longer one is wrong.
	name, _ := f.textAt(first)
	value, ok := f.textAt(second)
	if name == nil || !ok || len(name) > len("Decimal") {
		return true
	}
	_, err := customForm(string(name), string(value))
	return err != nil
}

// textAt is the value of the string at that place, never nil; ok is false when
// something else stands there.
func (f *forms) textAt(v verdict) (text []byte, ok bool) {
	raw := f.b[v.from:v.to]
	if raw[0] != '"' {
		return nil, false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	return unescape(make([]byte, 0, len(raw)), raw), true
}

// binaryFails looks for a "=" in the first two places of a group of four.
func (f *forms) binaryFails(v verdict) bool {
	text, ok := f.textAt(v)
	if !ok {
		return true
	}
	i := 0
	for _, r := range string(text) {
		if r == '=' && i%4 < 2 {
			return true
		}
		i += utf16.RuneLen(r)
	}
	return false
}

// formKey is the key as a constant if a typed form can have it, else "".
func formKey(key []byte) string {
	if len(key) < 5 || key[0] != '$' {
		return ""
	}
	for _, k := range [...]string{"$date", "$InfNaN", "$binary", "$escape", "$regexp", "$flags", "$type", "$value"} {
		if k == string(key) {
			return k
		}
	}
	return ""
}

// memberKey consumes a key and its colon and gives the key's value.
func (f *forms) memberKey() ([]byte, error) {
	key, escaped, err := f.text()
	if err != nil {
		return nil, err
	}
	if escaped {
		f.scratch = unescape(f.scratch[:0], key)
		key = f.scratch
	}
	return key, f.take(':')
}
