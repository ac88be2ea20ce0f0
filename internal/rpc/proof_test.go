package rpc

import (
	"net/http"
	"testing"

	"ddpserver/internal/ejson"
)

// A missing answer and the empty text are none; everything else is an answer that
// is counted, and only a text is read as one.
func TestProofGivenAndText(t *testing.T) {
	for _, c := range []struct {
		proof Proof
		given bool
		text  string
	}{
		{Proof{}, false, ""}, {Proof{Factor: "totp"}, false, ""}, {TextProof("", ""), false, ""},
		{TextProof("email", "123456"), true, "123456"}, {TextProof("", `a"b\`), true, `a"b\`}, {TextProof("", "\xff"), true, "\ufffd"},
		{WrongProof(""), true, ""}, {Proof{Value: ejson.Raw(`123456`)}, true, ""}, {Proof{Value: ejson.Raw(`{"id":"x"}`)}, true, ""},
		{Proof{Value: ejson.Raw(`["123456"]`)}, true, ""}, {Proof{Value: ejson.Raw(`{"$date":0}`)}, true, ""}, {Proof{Value: ejson.Raw(`{`)}, true, ""},
	} {
		if c.proof.Given() != c.given || c.proof.Text() != c.text {
			t.Errorf("%s: given %v, text %q", c.proof.Value, c.proof.Given(), c.proof.Text())
		}
	}
}

func TestHeaderProof(t *testing.T) {
	for _, c := range []struct {
		code, factor string
		given        bool
	}{{"", "", false}, {"", "email", false}, {"123456", "", true}, {"123456", "totp", true}} {
		p := HeaderProof(http.Header{"X-2fa-Code": {c.code}, "X-2fa-Method": {c.factor}})
		if p.Given() != c.given || p.Text() != c.code || p.Factor != c.factor {
			t.Errorf("%+v: %q %s", c, p.Factor, p.Value)
		}
	}
}

// What nothing counts for takes nothing, whatever the lists say.
func TestNothingCounts(t *testing.T) {
	for _, p := range []Proofs{{None: true}, {None: true, Only: []string{"totp"}}, {None: true, Not: []string{"email"}}} {
		if p.Count("totp") || p.Count("webauthn") || p.Count("password") || !p.Narrow() || p.String() != "nothing" {
			t.Errorf("%+v: %q", p, p)
		}
	}
	if (Proofs{OfFactors: true}).Narrow() {
		t.Error("what the account decides narrows the line")
	}
}
