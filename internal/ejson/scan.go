package ejson

import (
	"bytes"
	"sync"
	"unicode/utf8"
)

// Scan checks that raw is one JSON value: exact syntax, valid UTF-8, no object
// with the same key twice (however it is escaped) or with the key "__proto__", and at most maxDepth objects
// and arrays inside each other. It allocates nothing for ordinary texts and
// its work is proportional to the length, whatever the text.
func Scan(raw []byte, maxDepth int) error {
	if !utf8.Valid(raw) {
		return ErrUTF8
	}
	s := scanners.Get().(*scanner)
	s.lexer = lexer{b: raw}
	err := s.value(maxDepth)
	if err == nil {
		err = s.end()
	}
	s.release()
	return err
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scanner remembers the keys of the objects that are open.
type scanner struct {
	lexer
	keys    [][]byte
	scratch []byte
}

// keptKeys bounds what a scanner keeps for its next text.
const keptKeys = 1024

func (s *scanner) release() {
	if cap(s.keys) > keptKeys || cap(s.scratch) > keptKeys*16 {
		*s = scanner{}
	}
	clear(s.keys[:cap(s.keys)])
	s.keys, s.scratch, s.lexer = s.keys[:0], s.scratch[:0], lexer{}
	scanners.Put(s)
}

func (s *scanner) value(depth int) error {
	switch s.peek() {
	case '{':
		return s.object(depth)
	case '[':
		if depth <= 0 {
			return ErrDepth
		}
		s.i++
		if s.empty(']') {
			return nil
		}
		for {
			if err := s.value(depth - 1); err != nil {
				return err
			}
			if more, err := s.more(']'); !more {
				return err
			}
		}
	}
	return s.skip(depth)
}

func (s *scanner) object(depth int) error {
	if depth <= 0 {
		return ErrDepth
	}
	s.i++
	if s.empty('}') {
		return nil
	}
	first := len(s.keys)
	var set map[string]struct{}
	for {
		key, err := s.memberKey()
		if err != nil {
			return err
		}
		if set, err = s.unique(set, first, key); err != nil {
			return err
		}
		if err := s.value(depth - 1); err != nil {
			return err
		}
		more, err := s.more('}')
		if !more {
			s.keys = s.keys[:first]
			return err
		}
	}
}

// memberKey consumes a key and its colon and gives the key's value.
func (s *scanner) memberKey() ([]byte, error) {
	key, escaped, err := s.text()
	if err != nil {
		return nil, err
	}
	if escaped {
		// Spans into an older scratch buffer stay valid when it grows.
		start := len(s.scratch)
		s.scratch = unescape(s.scratch, key)
		key = s.scratch[start:]
	}
	return key, s.take(':')
}

// manyKeys is the size from which an object's keys are kept in a map: comparing
// each with each would let a large object cost its length squared.
const manyKeys = 16

// protoKey is refused everywhere: JavaScript clients that copy objects key by key
// would change a prototype with it.
const protoKey = "__proto__"

func (s *scanner) unique(set map[string]struct{}, first int, key []byte) (map[string]struct{}, error) {
	if string(key) == protoKey {
		return nil, ErrValue
	}
	mine := s.keys[first:]
	if set == nil && len(mine) < manyKeys {
		for _, k := range mine {
			if bytes.Equal(k, key) {
				return nil, ErrDuplicate
			}
		}
		s.keys = append(s.keys, key)
		return nil, nil
	}
	if set == nil {
		set = make(map[string]struct{}, 4*manyKeys)
		for _, k := range mine {
			set[string(k)] = struct{}{}
		}
	}
	if _, ok := set[string(key)]; ok {
		return set, ErrDuplicate
	}
	set[string(key)] = struct{}{}
	return set, nil
}
