package rpc

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"ddpserver/internal/ejson"
)

// The headers that answer a challenge, of a request or of the handshake of a connection.
const (
	headerCode   = "x-2fa-code"
	headerFactor = "x-2fa-method"
)

// Proof is the answer to a challenge as it came. The zero value is none.
type Proof struct {
	// Factor is the name of the factor that the answer is meant for. Empty leaves the
	// choice to the check. A Factor without a Value chooses what is asked for.
	Factor string
	// Value is one EJSON value. Only the factor that it is for reads it: a code is a
	// text, other factors may take an object. It is nil when no answer came.
	Value ejson.Raw
}

// noProof is the value of an answer that nothing accepts. It is counted as a wrong one.
var noProof = ejson.Raw("null")

// TextProof is a proof whose value is a text.
func TextProof(factor, text string) Proof {
	return Proof{Factor: factor, Value: ejson.AppendString(nil, text)}
}

// WrongProof is an answer that no factor accepts and that is counted all the same.
func WrongProof(factor string) Proof { return Proof{Factor: factor, Value: noProof} }

// HeaderProof is the proof in the headers x-2fa-code and x-2fa-method. An empty
// header is a missing one.
func HeaderProof(h http.Header) Proof {
	p := Proof{Factor: h.Get(headerFactor)}
	if code := h.Get(headerCode); code != "" {
		p.Value = ejson.AppendString(nil, code)
	}
	return p
}

// Given tells whether there is an answer to count and compare. A text with nothing in
// it is none: clients send "" to be challenged, and people hit the space bar.
func (p Proof) Given() bool {
	text, is := p.text()
	return len(p.Value) > 0 && !(is && typed(text) == "")
}

// Text is the value when it is a text, and "" otherwise.
func (p Proof) Text() string {
	text, _ := p.text()
	return text
}

// Typed is Text without what people type or paste around and inside a code: blanks of
// every kind, ends of lines, dashes, and characters that show nothing. Every factor
// whose answers are typed reads them here.
func (p Proof) Typed() string { return typed(p.Text()) }

func (p Proof) text() (text string, is bool) {
	if len(p.Value) == 0 || ejson.Unmarshal(p.Value, &text) != nil {
		return "", false
	}
	return text, true
}

// maxTyped bounds what is taken for typed, in bytes.
const maxTyped = 256

func typed(text string) string {
	if len(text) > maxTyped {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.White_Space, unicode.Dash, unicode.Cf) {
			return -1
		}
		return r
	}, text)
}

// Proofs say which factors are a proof for a call. The zero value takes them all: to
// be less safe must need typing, and this only ever takes something away.
type Proofs struct {
	// Only are the names of the factors that count; none means all. The password counts
	// among them by its name alone.
	Only []string
	// Not are those that do not count, whatever Only says.
	Not []string
	// None says that nothing counts: what the line takes is less than what is demanded.
	None bool
	// OfFactors says that the call changes how accounts are protected: where the caller
	// has a passkey in use, a code by mail is no proof for it (twofactor.Service.Verify).
	OfFactors bool
}

// Narrow tells whether some factor does not count, whoever calls.
func (p Proofs) Narrow() bool { return p.None || len(p.Only)+len(p.Not) > 0 }

// String names them as documents and the golden surface file do: "only totp", "not
// email", "nothing", and "" when all count.
func (p Proofs) String() string {
	if p.None {
		return "nothing"
	}
	var parts []string
	if len(p.Only) > 0 {
		parts = append(parts, "only "+strings.Join(p.Only, " or "))
	}
	if len(p.Not) > 0 {
		parts = append(parts, "not "+strings.Join(p.Not, " or "))
	}
	return strings.Join(parts, ", ")
}

// Count tells whether the factor of that name is a proof.
func (p Proofs) Count(factor string) bool {
	return !p.None && (len(p.Only) == 0 || slices.Contains(p.Only, factor)) && !slices.Contains(p.Not, factor)
}

// Passed says which second factor was accepted for a call. The zero value is none.
type Passed struct {
	// Factor is the name of what was accepted, "backup" for a backup code. Its strength
	// decides whether a later step asks for more.
	Factor string
}
