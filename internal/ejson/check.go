package ejson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Check tells whether Decode would fail, without making the value: it reads the
// text once, as Scan does, and allocates nothing for ordinary texts. A door asks
// it about every message before any limit has been looked at.
func Check(raw []byte) error {
	if bytes.IndexByte(raw, '$') < 0 && !bytes.Contains(raw, []byte(`\u0024`)) {
		return Scan(raw, MaxDepth)
	}
	if !utf8.Valid(raw) {
		return ErrUTF8
	}
	s := scanners.Get().(*scanner)
	s.lexer = lexer{b: raw}
	found, err := s.judge(MaxDepth)
	if err == nil {
		err = s.end()
	}
	if err == nil && found.fails {
		err = ErrValue
	}
	s.release()
	return err
}

// verdict is what a value was found to be.
type verdict struct {
	from, to int // its place in the text
	// fails says that decoding it fails; within that decoding its members would,
	// were it a plain object or list.
	fails, within bool
}

// judge reads one value like scanner.value, and tells whether a typed form in it
// cannot be decoded. Whether an object is a form is known only at its end, and
// nothing inside a form is one, so both outcomes are kept until then.
func (s *scanner) judge(depth int) (v verdict, err error) {
	c := s.peek()
	v.from = s.i
	switch c {
	case '{':
		err = s.judgeObject(depth, &v)
	case '[':
		err = s.judgeList(depth, &v)
	default:
		err = s.skip(depth)
	}
	v.to = s.i
	return v, err
}

func (s *scanner) judgeList(depth int, v *verdict) error {
	if depth <= 0 {
		return ErrDepth
	}
	s.i++
	if s.empty(']') {
		return nil
	}
	for {
		element, err := s.judge(depth - 1)
		if err != nil {
			return err
		}
		v.within = v.within || element.fails
		if more, err := s.more(']'); !more {
			v.fails = v.within
			return err
		}
	}
}

func (s *scanner) judgeObject(depth int, v *verdict) error {
	if depth <= 0 {
		return ErrDepth
	}
	s.i++
	if s.empty('}') {
		return nil
	}
	first := len(s.keys)
	var set map[string]struct{}
	var keys [2]string
	var values [2]verdict
	for n := 0; ; n++ {
		key, err := s.memberKey()
		if err != nil {
			return err
		}
		if set, err = s.unique(set, first, key); err != nil {
			return err
		}
		value, err := s.judge(depth - 1)
		if err != nil {
			return err
		}
		if n < 2 {
			keys[n], values[n] = formKey(key), value
		}
		v.within = v.within || value.fails
		more, err := s.more('}')
		if !more {
			s.keys = s.keys[:first]
			v.fails = s.formFails(n+1, keys, values, v.within)
			return err
		}
	}
}

// formFails tells whether an object with n members, the first of which are given,
// cannot be decoded: it is a typed form with a wrong value, or holds one.
func (s *scanner) formFails(n int, keys [2]string, values [2]verdict, within bool) bool {
	a, b := keys[0], keys[1]
	switch {
	case n == 1 && (a == "$date" || a == "$InfNaN"):
		return false
	case n == 1 && a == "$binary":
		return s.binaryFails(values[0])
	case n == 1 && a == "$escape":
		return values[0].within || s.b[values[0].from] == 'n'
	case n != 2 || !twoKeyForm(a, b):
		return within
	}
	first, second := values[0], values[1]
	if a == "$flags" || a == "$value" {
		first, second = second, first
	}
	if a == "$regexp" || b == "$regexp" {
		text, _ := s.textAt(first)
		_, ok := s.textAt(second)
		return text == nil || !ok || len(text) > maxPattern
	}
	// Names of types and their values are short; a longer one is wrong.
	name, _ := s.textAt(first)
	value, ok := s.textAt(second)
	if name == nil || !ok || len(name) > len("Decimal") {
		return true
	}
	_, err := customForm(string(name), string(value))
	return err != nil
}

// textAt is the value of the string at that place, never nil; ok is false when
// something else stands there.
func (s *scanner) textAt(v verdict) (text []byte, ok bool) {
	raw := s.b[v.from:v.to]
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
func (s *scanner) binaryFails(v verdict) bool {
	text, ok := s.textAt(v)
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
