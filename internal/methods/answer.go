package methods

import (
	"bytes"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
)

// The members of the trailing parameter that answers a challenge.
const (
	codeKey   = "twoFactorCode"
	methodKey = "twoFactorMethod"
)

// takeAnswer moves the answer to a challenge out of the parameters: an object
// {twoFactorCode, twoFactorMethod} in the last place (docs/wire/rocketchat.md 1.8).
// Without one, the handshake's headers count, if both are there. Whatever else
// stands last stays where it is, false, 0, "" and null too (docs/security-tests.md S049).
func takeAnswer(c *rpc.Call) {
	if a, rest, ok := splitAnswer(c.Params); ok {
		c.Code, c.Factor, c.HasCode, c.NonString = a.code, a.method, true, a.nonString
		c.Params = rest
		return
	}
	if p := c.Peer; !c.HasCode && p.TwoFactorCode != "" && p.TwoFactorMethod != "" {
		c.Code, c.Factor, c.HasCode = p.TwoFactorCode, p.TwoFactorMethod, true
	}
}

type answer struct {
	code, method string
	// nonString says that code or method were something else than a text.
	nonString bool
}

// splitAnswer finds the answer and returns the parameters without it. An object
// is an answer when it has a code and a method, whatever else is in it, or a
// code alone; anything less is an ordinary parameter.
func splitAnswer(params []byte) (a answer, rest []byte, ok bool) {
	last, ok := lastObject(params)
	if !ok {
		return a, nil, false
	}
	v, err := ejson.Decode(params[last.start:last.end])
	if err != nil {
		return a, nil, false
	}
	doc, ok := v.(ejson.Doc)
	if !ok {
		return a, nil, false
	}
	code, hasCode := doc.Get(codeKey)
	method, hasMethod := doc.Get(methodKey)
	if !hasCode || !hasMethod && len(doc) > 1 {
		return a, nil, false
	}
	var text bool
	if a.code, text = code.(string); !text {
		a.nonString = true
	}
	if hasMethod && method != nil {
		if a.method, text = method.(string); !text {
			a.nonString = true
		}
	}
	rest = make([]byte, 0, last.comma+1)
	return a, append(append(rest, params[:last.comma]...), ']'), true
}

// span is the place of the last element of an array, and of the comma (or the
// bracket's end) before it.
type span struct{ comma, start, end int }

// lastObject finds the last element of an array when it is an object that may
// be an answer. params is valid JSON: the frame was scanned. The look for the
// key keeps ordinary calls from being walked; a key can also hide behind escapes.
func lastObject(params []byte) (span, bool) {
	end := len(bytes.TrimRight(params, " \t\r\n"))
	if end < 2 || params[end-1] != ']' {
		return span{}, false
	}
	end = len(bytes.TrimRight(params[:end-1], " \t\r\n"))
	if end < 2 || params[end-1] != '}' || !bytes.Contains(params, []byte(codeKey)) && !bytes.Contains(params, []byte(`\u`)) {
		return span{}, false
	}
	s := span{end: end}
	depth, text := 0, false
	for i := 0; i < end; i++ {
		switch b := params[i]; {
		case text:
			if b == '\\' {
				i++
			} else if b == '"' {
				text = false
			}
		case b == '"':
			text = true
		case b == '[' || b == '{':
			if depth == 0 {
				s.comma, s.start = i+1, i+1
			}
			depth++
		case b == ']' || b == '}':
			depth--
		case b == ',' && depth == 1:
			s.comma, s.start = i, i+1
		}
	}
	for s.start < end && (params[s.start] == ' ' || params[s.start] == '\t' || params[s.start] == '\r' || params[s.start] == '\n') {
		s.start++
	}
	return s, s.start < end && params[s.start] == '{'
}
