package methods

import (
	"bytes"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// codeKey is the member without which no trailing parameter answers a challenge.
const codeKey = "twoFactorCode"

// takeProof finds the proof of a call: an object {twoFactorCode, twoFactorMethod}
// in the last place of the parameters, which it takes out, or else the headers of
// the handshake, if both are there. Whatever else stands last stays where it is,
// false, 0, "" and null too. At login the headers do not count: they would answer
// every challenge with the same old code.
func takeProof(c *rpc.Call, spec *Spec) {
	if proof, rest, ok := splitProof(c.Params); ok {
		c.Proof, c.Params = proof, rest
		return
	}
	if p := c.Peer.Proof; spec.Factor != twofactor.Login && p.Factor != "" && p.Value != nil {
		c.Proof = p
	}
}

// trailing is the object that answers a challenge.
type trailing struct {
	Code   ejson.Raw `ejson:"twoFactorCode"`
	Factor ejson.Raw `ejson:"twoFactorMethod,optional"`
	Rest   ejson.Doc `ejson:",rest"`
}

// splitProof finds the proof and returns the parameters without it. An object is
// one when it has a code and a method, whatever else is in it, or a code alone;
// anything less is an ordinary parameter.
func splitProof(params []byte) (proof rpc.Proof, rest []byte, ok bool) {
	last, ok := lastObject(params)
	if !ok {
		return proof, nil, false
	}
	var t trailing
	if ejson.Unmarshal(params[last.start:last.end], &t) != nil || t.Factor == nil && len(t.Rest) > 0 {
		return proof, nil, false
	}
	proof.Value = t.Code
	var factor *string // null is no name
	if t.Factor != nil && ejson.Unmarshal(t.Factor, &factor) != nil {
		proof = rpc.WrongProof("")
	}
	if factor != nil {
		proof.Factor = *factor
	}
	rest = make([]byte, 0, last.comma+1)
	return proof, append(append(rest, params[:last.comma]...), ']'), true
}

// loginProof is the proof of a login object, whose code is value. A missing or
// empty one is none, so that the login is challenged.
func loginProof(value any) rpc.Proof {
	if value == nil {
		return rpc.Proof{}
	}
	raw, err := ejson.Append(nil, value)
	if err != nil {
		return rpc.WrongProof("")
	}
	return rpc.Proof{Value: raw}
}

// launchedProof is the proof of callWithTwoFactorRequired. An empty code is a missing
// one, as everywhere.
func launchedProof(l launch) rpc.Proof {
	factor := ""
	if l.Factor != nil {
		factor = *l.Factor
	}
	return rpc.TextProof(factor, l.Code)
}

// span is the place of the last element of an array, and of the comma (or the
// bracket's end) before it.
type span struct{ comma, start, end int }

// lastObject finds the last element of an array when it is an object that may
// be a proof. params is valid JSON: the frame was scanned. The look for the
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
