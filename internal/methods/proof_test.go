package methods

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// What is taken out is exactly the last element, and only an answer: the
// parameters before it keep their text, and nothing else ever changes them.
func FuzzSplitProof(f *testing.F) {
	for _, s := range []string{
		`[]`, `[null]`, `[1,false]`, `[{"twoFactorCode":"1","twoFactorMethod":"email"}]`,
		`[1,{"twoFactorCode":"1","twoFactorMethod":"email","x":[1,{"y":"]}"}]}]`, `["a]\"},{",{"twoFactorCode":5,"twoFactorMethod":null}]`,
		`[ [ ] , { "\u0074woFactorCode" : "1" } ]`, `[{"twoFactorCode":{"$date":1},"twoFactorMethod":{"$binary":"AA=="}}]`,
		`[[{"twoFactorCode":"1","twoFactorMethod":"x"}]]`, `[{"twoFactorMethod":"x"}]`, `[{"$escape":{"twoFactorCode":"1","twoFactorMethod":"x"}}]`,
		`[{"twoFactorCode":"1","twoFactorMethod":"a"},{"twoFactorCode":"2","twoFactorMethod":"b"}]`, `{"twoFactorCode":"1"}`, `"]`, `}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		given := slices.Clone(params)
		if ejson.Scan(params, 64) != nil || ejson.Check(params) != nil {
			_, _, _ = splitProof(params) // never happens, and must not crash
			return
		}
		a, rest, ok := splitProof(params)
		if !bytes.Equal(given, params) {
			t.Fatal("the parameters were changed in place")
		}
		var before ejson.Rest
		if err := ejson.BindArray(params, &before); err != nil {
			if ok {
				t.Fatalf("an answer in what is no list: %s", params)
			}
			return
		}
		if len(before) == 0 {
			if ok {
				t.Fatalf("an answer in an empty list: %s", params)
			}
			return
		}
		last, err := ejson.Decode(before[len(before)-1])
		if err != nil {
			t.Fatal(err)
		}
		doc, isDoc := last.(ejson.Doc)
		code, hasCode := doc.Get(codeKey)
		_, hasMethod := doc.Get("twoFactorMethod")
		if want := isDoc && hasCode && (hasMethod || len(doc) == 1); ok != want {
			t.Fatalf("%s: answer %v, want %v", params, ok, want)
		}
		if !ok {
			return
		}
		if text, isText := code.(string); isText && text != a.Text() && a.Text() != "" || !isText && (!a.Given() || a.Text() != "") {
			t.Fatalf("%s: read as %+v", params, a)
		}
		var after ejson.Rest
		if err := ejson.BindArray(rest, &after); err != nil {
			t.Fatalf("%s leaves %s: %v", params, rest, err)
		}
		if len(after) != len(before)-1 {
			t.Fatalf("%s leaves %s", params, rest)
		}
		for i := range after {
			if !bytes.Equal(after[i], before[i]) {
				t.Fatalf("%s leaves %s", params, rest)
			}
		}
	})
}

// Headers count together, and only where nothing is said in the call.
func TestTakeProof(t *testing.T) {
	for _, c := range []struct {
		params, code, method string // of the headers
		wantCode, wantMethod string
		has                  bool
	}{
		{`[]`, "1", "email", "1", "email", true},
		{`[]`, "1", "", "", "", false},
		{`[]`, "", "email", "", "", false},
		{`[{"twoFactorCode":"2","twoFactorMethod":"totp"}]`, "1", "email", "2", "totp", true},
		{`[{"twoFactorCode":"2"}]`, "1", "email", "2", "", true},
		{``, "", "", "", "", false},
	} {
		headers := http.Header{"X-2fa-Code": {c.code}, "X-2fa-Method": {c.method}}
		call := &rpc.Call{Params: []byte(c.params), Peer: &rpc.Peer{Proof: rpc.HeaderProof(headers)}}
		takeProof(call, &Spec{})
		if p := call.Proof; p.Text() != c.wantCode || p.Factor != c.wantMethod || p.Given() != c.has {
			t.Errorf("%+v: %q %s", c, p.Factor, p.Value)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	known := func(p string) bool { return strings.HasPrefix(p, "known") || p == "*" }
	p, unknown := parsePolicy(" known1 ,\r\n known:2*\n\n,POST knownRoute, get /api/v1/known.get*, /api/v1/known.both,stranger , POST , known1,sp ace",
		"admin, bot\nbot", known)
	if want := []string{"stranger", "POST", "sp ace"}; !slices.Equal(unknown, want) {
		t.Errorf("unknown %q, want %q", unknown, want)
	}
	for _, c := range []struct {
		name, verb string
		want       bool
	}{
		{"known1", "", true}, {"known1", "GET", true}, {"Known1", "", false}, {"known11", "", false},
		{"known:2", "", true}, {"known:22", "", true}, {"known:", "", false},
		{"knownRoute", "POST", true}, {"knownRoute", "GET", false}, {"knownRoute", "", false},
		{"known.getX", "GET", true}, {"known.getX", "POST", false},
		{"known.both", "PUT", true}, {"known.both", "", true},
		{"stranger", "", true}, {"", "", false}, {"POST knownRoute", "", true},
	} {
		if c.name == "POST knownRoute" {
			continue // no method has such a name
		}
		if _, got := p.protects(c.name, c.verb); got != c.want {
			t.Errorf("%q %q: %v", c.name, c.verb, got)
		}
	}
	if !slices.Equal(p.mandatory([]string{"user", "bot"}), []twofactor.Strength{twofactor.ByEmail, twofactor.ByEmail}) ||
		p.mandatory([]string{"user"}) != nil || p.mandatory(nil) != nil {
		t.Error("mandatory roles")
	}
	p, unknown = parsePolicy("known1 = webauthn, known*, known2=totp, known3 = nonsense, POST known.x = totp", "", known)
	for name, want := range map[string]twofactor.Strength{"known1": twofactor.ByPasskey, "known": 0, "known2": twofactor.ByTOTP, "known3": twofactor.ByPasskey} {
		if got, listed := p.protects(name, ""); got != want || !listed {
			t.Errorf("%s takes %d", name, got)
		}
	}
	if got, _ := p.protects("known.x", "POST"); got != twofactor.ByTOTP || !slices.Equal(unknown, []string{"known3"}) {
		t.Errorf("a route takes %d, unknown %q", got, unknown)
	}
	empty, unknown := parsePolicy(" ,\n,", "", known)
	if _, listed := empty.protects("login", ""); listed || empty.mandatory([]string{"admin"}) != nil || unknown != nil {
		t.Error("an empty list protects something")
	}
	all, _ := parsePolicy("*", "", known)
	if _, listed := all.protects("anything", ""); !listed {
		t.Error("* does not fit everything")
	}
	if _, listed := all.protects("route", "GET"); !listed {
		t.Error("a lone star protects everything")
	}
}

// No list crashes the parser, an entry protects at least the name it spells,
// and nothing is protected that no entry begins with.
func FuzzProtectedCalls(f *testing.F) {
	for _, s := range []string{"", "*", "a,b\nc*", "POST users.update", "get /api/v1/x*", " , ,\n", "**", "POST *", "\x00,\xff", "2fa:*"} {
		f.Add(s, "users.update", "POST")
	}
	f.Fuzz(func(t *testing.T, list, name, verb string) {
		p, _ := parsePolicy(list, list, func(string) bool { return false })
		_, got := p.protects(name, verb)
		fits := false
		for _, e := range split(list) {
			e, _, _ = settings.CutDemand(e)
			e = canonical(e)
			prefix, wild := strings.CutSuffix(e, "*")
			for _, spelled := range []string{name, verb + " " + name} {
				if spelled != name && verb == "" {
					continue
				}
				fits = fits || e == spelled && !wild || wild && strings.HasPrefix(spelled, prefix)
			}
		}
		if got != fits {
			t.Fatalf("list %q, call %q %q: %v, want %v", list, verb, name, got, fits)
		}
	})
}

func BenchmarkTakeProof(b *testing.B) {
	plain := []byte(`[{"_id":"cp9hWvhg8GSvuZ9os","rid":"GENERAL","msg":"` + strings.Repeat("words ", 40) + `"}]`)
	with := []byte(fmt.Sprintf(`%s,{"twoFactorCode":"123456","twoFactorMethod":"email"}]`, plain[:len(plain)-1]))
	for name, params := range map[string][]byte{"plain": plain, "answer": with} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := rpc.Call{Params: params, Peer: &rpc.Peer{}}
				takeProof(&c, &Spec{})
			}
		})
	}
}
