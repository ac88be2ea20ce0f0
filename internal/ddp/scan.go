package ddp

import (
	"sync"

	"ddpserver/internal/ejson"
)

// maxDepth is the deepest nesting of a message that Limits may allow.
const maxDepth = 64

// envelope is the top level of a message: the raw values of the members the
// engine knows. Nothing is decoded.
type envelope struct {
	msg, id, version, support   ejson.Span
	method, name, params        ejson.Span
	randomSeed, code, ddpMethod ejson.Span
	fields, cleared, result     ejson.Span
	typed                       bool // a '$' occurs in a key: params may hold EJSON types
	kind                        byte // of the whole text: its first character
}

// Member implements ejson.Members.
func (e *envelope) Member(key []byte) *ejson.Span {
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

// message is one that was read: its text, the places of its members, and the item
// of a quick call that runs at once (Session.accept).
type message struct {
	scanner ejson.Scanner
	text    []byte
	env     envelope
	item    item
}

var messages = sync.Pool{New: func() any { return new(message) }}

// scan reads text, which may nest to that depth. Only text that is no JSON at all
// is a "Bad request" (docs/wire/ddp.md A8); other errors are a "Parse error".
func (m *message) scan(text []byte, depth int) error {
	m.text, m.env = text, envelope{}
	err := m.scanner.Scan(text, depth, &m.env)
	m.env.kind, m.env.typed = m.scanner.Kind, m.scanner.Typed
	return err
}
