package ejson

import (
	"bytes"
	"sync"
	"unicode/utf8"
)

// Scan checks that raw is one JSON value: exact syntax, valid UTF-8, no object
// with the same key twice (however it is escaped) or with the key "__proto__", and
// at most maxDepth objects and arrays inside each other, at most MaxDepth in any
// case. It allocates nothing for ordinary texts and its work is proportional to the
// length, whatever the text.
func Scan(raw []byte, maxDepth int) error {
	_, err := examine(raw, maxDepth)
	return err
}

// examine is Scan that tells whether there may be typed forms.
func examine(raw []byte, maxDepth int) (typed bool, err error) {
	s := scanners.Get().(*Scanner)
	err = s.Scan(raw, maxDepth, nil)
	if err == nil && s.proto {
		err = ErrValue
	}
	typed = s.Typed
	s.release()
	return typed, err
}

var scanners = sync.Pool{New: func() any { return new(Scanner) }}

// Span is a part of a text, in bytes; the zero value is an absent one.
type Span struct{ From, To uint32 }

// Of is that part of text, nil for an absent one.
func (p Span) Of(text []byte) []byte {
	if p.To == 0 {
		return nil
	}
	return text[p.From:p.To:p.To]
}

// Present tells whether there is such a part.
func (p Span) Present() bool { return p.To != 0 }

// Members gives the places for the values of members of a text's top level.
type Members interface {
	// Member is the place for the value of that key, nil when nobody wants it.
	Member(key []byte) *Span
}

// Scanner reads a text once, from the first byte to the last. It does not recurse,
// so that a reader's stack stays small, and may be used again. It is not safe for
// concurrent use.
type Scanner struct {
	// Kind is the first byte of the value: '{', '[', '"' or another.
	Kind byte
	// Typed says that a key may begin with "$" or is "__proto__": what Decodable
	// has to look at.
	Typed bool

	lexer
	proto   bool // there is a key "__proto__"
	limit   int
	depth   int
	kinds   [MaxDepth + 1]byte // of the containers that are open
	first   [MaxDepth + 1]int32
	keys    []scannedKey // of the objects that are open; first[d] is where depth d begins
	many    [MaxDepth + 1]map[string]struct{}
	scratch []byte
	members Members
}

// scannedKey is a key that was read, as it stands in the text.
type scannedKey struct {
	from, to uint32
	escaped  bool
}

// fewKeys is up to how many keys of an object are compared one by one: comparing
// each with each would let a large object cost its length squared.
const fewKeys = 24

// keptKeys bounds what a scanner keeps for its next text.
const keptKeys = 1024

// protoKey is refused everywhere: JavaScript clients that copy objects key by key
// would change a prototype with it.
const protoKey = "__proto__"

// Scan checks text like the function Scan, but for keys "__proto__" (see Typed), and
// puts the values of the members of its top level where members wants them; members
// may be nil. The places are complete only without an error.
func (s *Scanner) Scan(text []byte, maxDepth int, members Members) error {
	s.lexer = lexer{b: text}
	s.Typed, s.proto, s.Kind = false, false, 0
	s.limit, s.depth, s.keys, s.members = min(maxDepth, MaxDepth), 0, s.keys[:0], members
	if !utf8.Valid(text) {
		return ErrUTF8
	}
	s.Kind = s.peek()
	err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		clear(s.many[:]) // of objects that were not closed
	}
	s.b, s.members = nil, nil
	return err
}

// release puts a scanner of the pool back.
func (s *Scanner) release() {
	if cap(s.keys) > keptKeys || cap(s.scratch) > keptKeys*16 {
		*s = Scanner{}
	}
	scanners.Put(s)
}

// value reads one value with everything in it.
func (s *Scanner) value() error {
	var place *Span
	for {
		// a value begins here
		c := s.peek()
		from := s.i
		opened := false
		var err error
		if c == '{' || c == '[' {
			opened, err = s.open(c)
		} else {
			err = s.scalar(c)
		}
		if err != nil {
			return err
		}
		if opened {
			if s.depth == 2 && place != nil {
				place.From = uint32(from)
			}
			if c == '{' {
				if place, err = s.key(place); err != nil {
					return err
				}
			}
			continue
		}
		if s.depth == 1 && place != nil {
			*place, place = Span{uint32(from), uint32(s.i)}, nil
		}
		// a value has ended: what follows?
		for more := false; !more; {
			if s.depth == 0 {
				return nil
			}
			object := s.kinds[s.depth] == '{'
			c := s.peek()
			switch {
			case c == ',':
				s.i++
				if object {
					s.peek()
					if place, err = s.key(place); err != nil {
						return err
					}
				}
				more = true
			case c == '}' && object, c == ']' && !object:
				s.i++
				s.close(object)
				if s.depth == 1 && place != nil {
					place.To, place = uint32(s.i), nil
				}
			default:
				return ErrSyntax
			}
		}
	}
}

// scalar reads a value that begins with c and is no container.
func (s *Scanner) scalar(c byte) (err error) {
	switch c {
	case '"':
		_, _, err = s.text()
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		err = s.literal("null")
	default:
		_, err = s.number()
	}
	return err
}

// open enters a container; opened is false when it is empty, and left again.
func (s *Scanner) open(kind byte) (opened bool, err error) {
	s.i++
	if s.depth++; s.depth > s.limit {
		return false, ErrDepth
	}
	s.kinds[s.depth] = kind
	s.first[s.depth] = int32(len(s.keys))
	if s.empty(kind + 2) { // ']' and '}' stand two after their openings
		s.depth--
		return false, nil
	}
	return true, nil
}

func (s *Scanner) close(object bool) {
	if object {
		s.keys = s.keys[:s.first[s.depth]]
		s.many[s.depth] = nil
	}
	s.depth--
}

// key reads a key and its colon. For a member of the top level that somebody wants
// it returns the place of the value, else what it was given.
func (s *Scanner) key(place *Span) (*Span, error) {
	raw, escaped, err := s.text()
	if err != nil {
		return nil, err
	}
	key := raw
	if escaped {
		s.scratch = unescape(s.scratch[:0], raw)
		key = s.scratch
	}
	if len(key) > 0 && (key[0] == '$' || key[0] == '_' && string(key) == protoKey) {
		s.Typed = true
		s.proto = s.proto || key[0] == '_'
	}
	end := uint32(s.i - 1)
	if err := s.unique(scannedKey{end - uint32(len(raw)), end, escaped}, key); err != nil {
		return nil, err
	}
	if s.depth == 1 && s.members != nil {
		place = s.members.Member(key)
	}
	return place, s.take(':')
}

// unique refuses a key that its object has already, however it is escaped.
func (s *Scanner) unique(at scannedKey, key []byte) error {
	if set := s.many[s.depth]; set != nil {
		if _, twice := set[string(key)]; twice {
			return ErrDuplicate
		}
		set[string(key)] = struct{}{}
		return nil
	}
	mine := s.keys[s.first[s.depth]:]
	for _, k := range mine {
		if !k.escaped {
			if bytes.Equal(s.b[k.from:k.to], key) {
				return ErrDuplicate
			}
		} else if bytes.Equal(unescape(nil, s.b[k.from:k.to]), key) {
			return ErrDuplicate
		}
	}
	s.keys = append(s.keys, at)
	if len(mine) < fewKeys {
		return nil
	}
	set := make(map[string]struct{}, 2*fewKeys)
	for _, k := range s.keys[s.first[s.depth]:] {
		other := s.b[k.from:k.to]
		if k.escaped {
			other = unescape(nil, other)
		}
		set[string(other)] = struct{}{}
	}
	s.many[s.depth] = set
	return nil
}
