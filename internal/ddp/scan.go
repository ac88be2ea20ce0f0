package ddp

import (
	"errors"
	"sync"
	"unicode/utf8"
)

// maxDepth is the deepest nesting the scanner can follow: one bit each of a word.
const maxDepth = 64

// Errors of the scanner. Only a syntax error makes the text no message at all
// (docs/wire/ddp.md A8, "Bad request"); the others are a "Parse error"
// (docs/decisions.md 6.1).
var (
	errSyntax    = errors.New("ddp: not JSON")
	errDepth     = errors.New("ddp: nested too deeply")
	errDuplicate = errors.New("ddp: duplicate key")
)

// span is a part of the scanned text, in bytes; the zero value is an absent member.
type span struct{ from, to uint32 }

func (p span) of(text []byte) []byte {
	if p.to == 0 {
		return nil
	}
	return text[p.from:p.to:p.to]
}

func (p span) present() bool { return p.to != 0 }

// envelope is the top level of a message: the raw values of the members the
// engine knows. Nothing is decoded.
type envelope struct {
	msg, id, version, support   span
	method, name, params        span
	randomSeed, code, ddpMethod span
	fields, cleared, result     span
	typed                       bool // a '$' occurs in a key: params may hold EJSON types
	kind                        byte // of the whole text: its first character
}

// member gives the place for a top-level member's value, or nil.
func (e *envelope) member(key []byte) *span {
	switch string(key) {
	case "msg":
		return &e.msg
	case "id":
		return &e.id
	case "method":
		return &e.method
	case "params":
		return &e.params
	case "name":
		return &e.name
	case "randomSeed":
		return &e.randomSeed
	case "version":
		return &e.version
	case "support":
		return &e.support
	case "fields":
		return &e.fields
	case "cleared":
		return &e.cleared
	case "result":
		return &e.result
	case "code":
		return &e.code
	case "ddpMethod":
		return &e.ddpMethod
	}
	return nil
}

// scanner reads a message once, from the first byte to the last: exact JSON
// syntax, UTF-8, depth, and no key twice in any object. It does not recurse, so
// that a reader's stack stays small.
type scanner struct {
	text   []byte
	at     int
	depth  int
	limit  int
	object uint64 // bit n: the container at depth n is an object
	first  [maxDepth + 1]int32
	keys   []span // of the objects that are open; first[d] is where depth d begins
	many   [maxDepth + 1]map[string]struct{}
	env    envelope
	item   item // of a quick call; see Session.inline
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// fewKeys is up to how many keys of an object are compared one by one.
const fewKeys = 24

// scan reads text. The envelope is complete only without an error; an array or
// a scalar has an empty one.
func (s *scanner) scan(text []byte, limit int, checkUTF8 bool) error {
	s.text, s.at, s.depth, s.limit, s.object = text, 0, 0, limit, 0
	s.keys, s.env = s.keys[:0], envelope{}
	if checkUTF8 && !utf8.Valid(text) {
		return errSyntax
	}
	s.space()
	if s.at == len(text) {
		return errSyntax
	}
	s.env.kind = text[s.at]
	err := s.value()
	clear(s.many[:])
	if err != nil {
		return err
	}
	s.space()
	if s.at != len(text) {
		return errSyntax
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return
		}
	}
}

// value reads one value with everything in it.
func (s *scanner) value() error {
	var place *span
	for {
		// a value begins here
		s.space()
		from := s.at
		if s.at == len(s.text) {
			return errSyntax
		}
		var opened bool
		var err error
		switch c := s.text[s.at]; c {
		case '{', '[':
			opened, err = s.open(c == '{')
		case '"':
			err = s.string()
		default:
			err = s.scalar()
		}
		if err != nil {
			return err
		}
		if s.depth == 1 && place != nil && !opened {
			*place, place = span{uint32(from), uint32(s.at)}, nil
		}
		if opened {
			if s.depth == 2 && place != nil {
				place.from = uint32(from)
			}
			if s.isObject() {
				if place, err = s.key(place); err != nil {
					return err
				}
			}
			continue
		}
		// a value has ended: what follows?
		for {
			if s.depth == 0 {
				return nil
			}
			s.space()
			if s.at == len(s.text) {
				return errSyntax
			}
			c := s.text[s.at]
			s.at++
			if c == ',' {
				if s.isObject() {
					s.space()
					if place, err = s.key(place); err != nil {
						return err
					}
				}
				break
			}
			if c != '}' && c != ']' || (c == '}') != s.isObject() {
				return errSyntax
			}
			s.close()
			if s.depth == 1 && place != nil {
				place.to, place = uint32(s.at), nil
			}
		}
	}
}

func (s *scanner) isObject() bool { return s.object>>(s.depth-1)&1 == 1 }

// open enters a container; opened is false when it is empty, and left again.
func (s *scanner) open(object bool) (opened bool, err error) {
	s.at++
	if s.depth++; s.depth > s.limit {
		return false, errDepth
	}
	bit := uint64(1) << (s.depth - 1)
	s.object &^= bit
	end := byte(']')
	if object {
		s.object |= bit
		s.first[s.depth] = int32(len(s.keys))
		end = '}'
	}
	s.space()
	if s.at < len(s.text) && s.text[s.at] == end {
		s.at++
		s.depth--
		return false, nil
	}
	return true, nil
}

func (s *scanner) close() {
	if s.isObject() {
		s.keys = s.keys[:s.first[s.depth]]
		s.many[s.depth] = nil
	}
	s.depth--
}

// key reads a key and its colon. For a known member of the top level it returns
// the place of the value, else what it was given.
func (s *scanner) key(place *span) (*span, error) {
	from := s.at + 1
	if s.at == len(s.text) || s.text[s.at] != '"' {
		return nil, errSyntax
	}
	if err := s.string(); err != nil {
		return nil, err
	}
	raw := s.text[from : s.at-1]
	if err := s.unique(span{uint32(from), uint32(s.at - 1)}, raw); err != nil {
		return nil, err
	}
	if len(raw) > 0 && (raw[0] == '$' || raw[0] == '\\' || raw[0] == '_') {
		s.env.typed = true
	}
	if s.depth == 1 {
		place = s.env.member(unescaped(raw))
	}
	s.space()
	if s.at == len(s.text) || s.text[s.at] != ':' {
		return nil, errSyntax
	}
	s.at++
	return place, nil
}

// unique refuses a key that its object has already, however it is escaped.
func (s *scanner) unique(place span, raw []byte) error {
	if m := s.many[s.depth]; m != nil {
		key := string(unescaped(raw))
		if _, twice := m[key]; twice {
			return errDuplicate
		}
		m[key] = struct{}{}
		return nil
	}
	key := unescaped(raw)
	mine := s.keys[s.first[s.depth]:]
	for _, k := range mine {
		if other := s.text[k.from:k.to]; string(unescaped(other)) == string(key) {
			return errDuplicate
		}
	}
	s.keys = append(s.keys, place)
	if len(mine) < fewKeys {
		return nil
	}
	m := make(map[string]struct{}, 2*fewKeys)
	for _, k := range s.keys[s.first[s.depth]:] {
		m[string(unescaped(s.text[k.from:k.to]))] = struct{}{}
	}
	s.many[s.depth] = m
	return nil
}

// plain marks the bytes that stand for themselves inside a string.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = i >= ' ' && i != '"' && i != '\\'
	}
	return
}()

// string reads a string, from its opening to behind its closing quote.
func (s *scanner) string() error {
	text, i := s.text, s.at+1
	for {
		for i < len(text) && plain[text[i]] {
			i++
		}
		if i == len(text) {
			return errSyntax
		}
		switch text[i] {
		case '"':
			s.at = i + 1
			return nil
		case '\\':
			n := escapeLen(text[i:])
			if n == 0 {
				return errSyntax
			}
			i += n
		default:
			return errSyntax
		}
	}
}

// escapeLen is the length of the escape at the start of b, 0 for a wrong one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && isHex(b[2]) && isHex(b[3]) && isHex(b[4]) && isHex(b[5]) {
			return 6
		}
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// scalar reads a number or one of the three names.
func (s *scanner) scalar() error {
	rest := s.text[s.at:]
	switch rest[0] {
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	n := numberLen(rest)
	if n == 0 {
		return errSyntax
	}
	s.at += n
	return nil
}

func (s *scanner) word(w string) error {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return errSyntax
	}
	s.at += len(w)
	return nil
}

// numberLen is the length of the JSON number at the start of b, 0 for none.
func numberLen(b []byte) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return 0
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}
