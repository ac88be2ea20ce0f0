package ddp

import (
	"bytes"
	"encoding/json"

	"ddpserver/internal/budget"
	"ddpserver/internal/ejson"
)

// receive takes one message apart and deals with it: heartbeats, the handshake
// and what is no message at once, everything else in its turn. text is valid
// until it returns.
func (s *Session) receive(text []byte) {
	stats := &s.srv.stats
	stats.frames.Add(1)
	stats.bytes.Add(uint64(len(text)))
	m := messages.Get().(*message)
	if len(text) > budget.Small {
		s.takeTurn()
		defer s.endTurn()
	}
	err := m.scan(text, s.depthLimit())
	switch {
	case err == ejson.ErrSyntax, err == ejson.ErrUTF8:
		s.malformed("Bad request", nil)
	case err != nil:
		s.malformed("Parse error", nil)
	default:
		s.dispatch(m)
	}
	m.text = nil
	messages.Put(m)
}

func (s *Session) depthLimit() int {
	if s.loggedIn.Load() {
		return s.srv.limits.DepthAfter
	}
	return s.srv.limits.DepthBefore
}

func (s *Session) dispatch(m *message) {
	text, e := m.text, &m.env
	switch e.kind {
	case '{':
	case '[':
		s.malformed("Bad request", compact(text, e))
		return
	default:
		s.malformed("Bad request", nil)
		return
	}
	if !e.decodable(text) {
		s.malformed("Parse error", nil)
		return
	}
	msg := e.msg.Of(text)
	switch string(msg) {
	case "", `""`, "0", "-0", "false", "null":
		s.malformed("Bad request", compact(text, e))
		return
	case `"connect"`:
		s.connect(text, e)
		return
	}
	if !s.connected {
		s.malformed("Must connect first", compact(text, e))
		return
	}
	if !s.seen.Load() {
		s.seen.Store(true)
	}
	var kind kind
	switch string(unquoted(msg)) {
	case "method":
		kind = kindMethod
	case "sub":
		kind = kindSub
	case "unsub":
		kind = kindUnsub
	case "ping":
		if s.version != pre1 {
			s.pong(text, e)
			return
		}
	case "pong":
		if s.version != pre1 {
			s.quiet = true
			return
		}
	case callWithFactor:
		kind = kindFactor
	}
	s.accept(m, kind)
}

// pong answers a ping at once. An id that is neither a string nor null gets no
// answer, as in Meteor.
func (s *Session) pong(text []byte, e *envelope) {
	id := e.id.Of(text)
	if id != nil && id[0] != '"' && id[0] != 'n' {
		return
	}
	f := s.frames()
	f.pong(id)
	s.put(f.buffer)
}

// decodable tells whether the EJSON parts of a message decode
// (docs/wire/ddp.md A4, reading).
func (e *envelope) decodable(text []byte) bool {
	if e.cleared.Present() && text[e.cleared.From] != '[' {
		return false
	}
	if !e.typed {
		return true
	}
	for _, p := range [...]ejson.Span{e.fields, e.params, e.result} {
		if p.Present() && !ejson.Decodable(p.Of(text)) {
			return false
		}
	}
	return true
}

// malformed answers with a top-level error frame. Nothing closes the connection
// because of it, unless it goes on for too long.
func (s *Session) malformed(reason string, offending []byte) {
	s.srv.stats.malformed.Add(1)
	if !s.mistake(reason) {
		return
	}
	f := s.frames()
	f.malformed(reason, offending)
	s.put(f.buffer)
}

// mistake counts a message that no handler sees. It returns false when that was
// one too many and has ended the session.
func (s *Session) mistake(reason string) bool {
	s.mu.Lock()
	ok := s.errors.spend(s.srv.limits.ProtocolErrors)
	login := *s.login
	s.mu.Unlock()
	s.srv.refused(s.peer, login, reason, !ok)
	if !ok {
		s.end(ProtocolAbuse)
	}
	return ok
}

// shownDecoded is the longest message that offendingMessage shows decoded, in
// bytes. Bytes in base64 grow eightfold on that way, and no limit has counted
// the message yet; longer ones are shown as they were sent.
const shownDecoded = 4 << 10

// compact is a message as offendingMessage shows it: EJSON parts decoded and
// written as plain JSON (docs/wire/ddp.md A4), without blanks.
func compact(text []byte, e *envelope) []byte {
	if e.kind == '{' && e.typed && len(text) <= shownDecoded {
		if b := plainJSON(text); b != nil {
			return b
		}
	}
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return nil // it was scanned, so it is JSON
	}
	return b.Bytes()
}

// plainJSON rewrites the typed members of a message as plain JSON; nil when it
// cannot.
func plainJSON(text []byte) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for key, value := range ejson.ObjectMembers(text) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		switch string(unquoted(key)) {
		case "fields", "params", "result":
			v, err := ejson.Decode(value)
			if err != nil {
				return nil
			}
			p, err := ejson.AppendJSON(nil, v)
			if err != nil {
				return nil
			}
			b.Write(p)
		default:
			b.Write(compact(value, &envelope{}))
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}
