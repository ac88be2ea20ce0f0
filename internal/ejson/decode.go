package ejson

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Decode reads one EJSON value (docs/wire/ddp.md B1, decode) as nil, bool,
// float64, string, time.Time (UTC), InvalidDate, []byte, RegExp, ObjectID,
// Custom, []any or Doc. It fails with ErrSyntax, ErrUTF8, ErrDuplicate, ErrDepth,
// or with ErrValue where Meteor throws its "Parse error" and for a key "__proto__".
func Decode(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, ErrUTF8
	}
	d := decoder{lexer{b: raw}}
	v, err := d.value(MaxDepth, true)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// decoder builds values; typed says whether $-forms are recognised.
type decoder struct{ lexer }

func (d *decoder) value(depth int, typed bool) (any, error) {
	switch c := d.peek(); c {
	case '{':
		return d.object(depth, typed)
	case '[':
		return d.list(depth, typed)
	case '"':
		return d.stringValue()
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	case 'n':
		return nil, d.literal("null")
	}
	text, err := d.number()
	if err != nil {
		return nil, err
	}
	return float(text), nil
}

func (d *decoder) list(depth int, typed bool) (any, error) {
	if depth <= 0 {
		return nil, ErrDepth
	}
	d.i++
	list := []any{}
	if d.empty(']') {
		return list, nil
	}
	for {
		v, err := d.value(depth-1, typed)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err := d.more(']'); !more {
			return list, err
		}
	}
}

// object reads an object. Whether it is a typed form is known only at its end,
// and inside one nothing is decoded, so a possible form is first read plain and
// its values are decoded afterwards.
func (d *decoder) object(depth int, typed bool) (any, error) {
	if depth <= 0 {
		return nil, ErrDepth
	}
	maybe := typed && d.startsWithDollar()
	doc, err := d.members(depth, typed && !maybe)
	if err != nil {
		return nil, err
	}
	if maybe {
		return revive(doc)
	}
	return doc, nil
}

// startsWithDollar looks whether the first key may begin with "$", which all
// typed forms' keys do.
func (d *decoder) startsWithDollar() bool {
	l := lexer{b: d.b, i: d.i + 1}
	if l.peek() != '"' {
		return false
	}
	rest := l.b[l.i+1:]
	return len(rest) > 0 && (rest[0] == '$' || bytes.HasPrefix(rest, []byte(`\u0024`)))
}

func (d *decoder) members(depth int, typed bool) (Doc, error) {
	d.i++
	doc := Doc{}
	if d.empty('}') {
		return doc, nil
	}
	var set map[string]struct{}
	for {
		key, err := d.stringValue()
		if err != nil {
			return nil, err
		}
		if set, err = doc.unique(set, key); err != nil {
			return nil, err
		}
		if err := d.take(':'); err != nil {
			return nil, err
		}
		v, err := d.value(depth-1, typed)
		if err != nil {
			return nil, err
		}
		doc = append(doc, Field{key, v})
		if more, err := d.more('}'); !more {
			return doc, err
		}
	}
}

// unique is Scanner.unique for keys that a document holds.
func (d Doc) unique(set map[string]struct{}, key string) (map[string]struct{}, error) {
	if key == protoKey {
		return nil, ErrValue
	}
	if set == nil && len(d) < fewKeys {
		if _, ok := d.Get(key); ok {
			return nil, ErrDuplicate
		}
		return nil, nil
	}
	if set == nil {
		set = make(map[string]struct{}, 4*fewKeys)
		for _, f := range d {
			set[f.Key] = struct{}{}
		}
	}
	if _, ok := set[key]; ok {
		return set, ErrDuplicate
	}
	set[key] = struct{}{}
	return set, nil
}

// form decodes a plain object that is a typed form; ok is false for any other.
func form(doc Doc) (v any, ok bool, err error) {
	switch len(doc) {
	case 1:
		arg := doc[0].Value
		switch doc[0].Key {
		case "$date":
			return dateForm(arg), true, nil
		case "$InfNaN":
			return numberOf(arg) / positiveZero, true, nil
		case "$binary":
			if text, ok := arg.(string); ok {
				v, err = binaryForm(text)
				return v, true, err
			}
			return nil, true, ErrValue
		case "$escape":
			v, err = escapeForm(arg)
			return v, true, err
		}
	case 2:
		a, b := doc[0].Key, doc[1].Key
		if !twoKeyForm(a, b) {
			return nil, false, nil
		}
		first, second := doc[0].Value, doc[1].Value
		if a == "$flags" || a == "$value" {
			first, second = second, first
		}
		if a == "$regexp" || b == "$regexp" {
			v, err = regexpForm(first, second)
		} else {
			v, err = customForm(first, second)
		}
		return v, true, err
	}
	return nil, false, nil
}

// positiveZero is a divisor that the compiler does not see through.
var positiveZero float64

func dateForm(arg any) any {
	if s, ok := arg.(string); ok {
		return parseDate(s)
	}
	return dateOf(numberOf(arg))
}

// escapeForm undoes one level of escaping: the object itself is plain, its
// values are decoded. A list counts as an object with its indexes as keys.
func escapeForm(arg any) (any, error) {
	var doc Doc
	switch x := arg.(type) {
	case nil:
		return nil, ErrValue
	case Doc:
		doc = x
	case []any:
		doc = make(Doc, len(x))
		for i, v := range x {
			doc[i] = Field{strconv.Itoa(i), v}
		}
	default:
		return Doc{}, nil
	}
	for i := range doc {
		v, err := revive(doc[i].Value)
		if err != nil {
			return nil, err
		}
		doc[i].Value = v
	}
	return doc, nil
}

// revive decodes a value that was read plain.
func revive(v any) (any, error) {
	switch x := v.(type) {
	case Doc:
		if r, ok, err := form(x); ok || err != nil {
			return r, err
		}
		for i := range x {
			r, err := revive(x[i].Value)
			if err != nil {
				return nil, err
			}
			x[i].Value = r
		}
	case []any:
		for i := range x {
			r, err := revive(x[i])
			if err != nil {
				return nil, err
			}
			x[i] = r
		}
	}
	return v, nil
}

func customForm(name, value any) (any, error) {
	text, ok := value.(string)
	switch {
	case !ok:
		return nil, ErrValue
	case name == "oid":
		id := ObjectID(bytes.ToLower([]byte(text)))
		if !id.Valid() {
			return nil, ErrValue
		}
		return id, nil
	case name == "Decimal":
		if !decimal(text) {
			return nil, ErrValue
		}
		return Custom{"Decimal", text}, nil
	}
	return nil, ErrValue
}
