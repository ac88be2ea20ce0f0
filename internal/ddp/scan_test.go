package ddp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"ddpserver/internal/ejson"
)

func scanOne(text string, limit int) (*message, error) {
	m := new(message)
	return m, m.scan([]byte(text), limit)
}

func TestScanEnvelope(t *testing.T) {
	s, err := scanOne(` {"msg" : "method", "id":"1","\u006dethod":"x" ,"params": [ {"a":[1,{}]} , [] ],"other":{"msg":"no"},"randomSeed":"s"} `, 64)
	if err != nil {
		t.Fatal(err)
	}
	e, text := &s.env, s.text
	for name, got := range map[string]ejson.Span{`"method"`: e.msg, `"1"`: e.id, `"x"`: e.method, `[ {"a":[1,{}]} , [] ]`: e.params, `"s"`: e.randomSeed} {
		if string(got.Of(text)) != name {
			t.Errorf("got %q, want %q", got.Of(text), name)
		}
	}
	if e.name.Present() || e.fields.Present() {
		t.Error("members that are not there")
	}
}

func TestScanFindsWhatDecodersMustCheck(t *testing.T) {
	for text, want := range map[string]bool{
		`{"params":[{"$date":1}]}`: true, `{"params":[{"\u0024date":1}]}`: true, `{"params":["$date"]}`: false,
		`{"params":[{"__proto__":1}]}`: true, `{"a":{"b":"$"}}`: false,
	} {
		s, err := scanOne(text, 64)
		if err != nil || s.env.typed != want {
			t.Errorf("%s: typed %v, error %v", text, s.env.typed, err)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	deep := strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65)
	many := func(last string) string {
		var b strings.Builder
		for i := range 500 {
			b.WriteString(`"k` + strings.Repeat("x", i) + `":1,`)
		}
		return `{` + b.String() + last + `}`
	}
	for text, want := range map[string]error{
		``: ejson.ErrSyntax, ` `: ejson.ErrSyntax, `{`: ejson.ErrSyntax, `{"a"}`: ejson.ErrSyntax, `{"a":}`: ejson.ErrSyntax, `{"a":1,}`: ejson.ErrSyntax,
		`{,}`:  ejson.ErrSyntax,
		`[1,]`: ejson.ErrSyntax, `[,1]`: ejson.ErrSyntax, `[1 2]`: ejson.ErrSyntax, `{"a":1 "b":2}`: ejson.ErrSyntax, `{'a':1}`: ejson.ErrSyntax,
		`{"a":1}}`: ejson.ErrSyntax,
		`[}`:       ejson.ErrSyntax, `{]`: ejson.ErrSyntax, `{"a":[}`: ejson.ErrSyntax, `"a`: ejson.ErrSyntax, `"\x"`: ejson.ErrSyntax, `"\u12g4"`: ejson.ErrSyntax,
		"\"\x01\"": ejson.ErrSyntax,
		"\"\xff\"": ejson.ErrUTF8, `01`: ejson.ErrSyntax, `1.`: ejson.ErrSyntax, `.5`: ejson.ErrSyntax, `+1`: ejson.ErrSyntax, `1e`: ejson.ErrSyntax,
		`-`: ejson.ErrSyntax, `tru`: ejson.ErrSyntax,
		`nul`: ejson.ErrSyntax, `NaN`: ejson.ErrSyntax, "\ufeff{}": ejson.ErrSyntax, `{"a":1} x`: ejson.ErrSyntax,
		`{"a":1,"a":2}`: ejson.ErrDuplicate, `{"x":[{"a":1,"b":{"a":1},"\u0061":1}]}`: ejson.ErrDuplicate, `[{"":1,"":1}]`: ejson.ErrDuplicate,
		many(`"kxx":1`): ejson.ErrDuplicate, many(`"\u006bxx":1`): ejson.ErrDuplicate, deep: ejson.ErrDepth, strings.Repeat(`{"a":`, 65): ejson.ErrDepth,
	} {
		if _, err := scanOne(text, 64); !errors.Is(err, want) {
			t.Errorf("%.60q: got %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{many(`"last":1`), `[{"a":1},{"a":2}]`, `{"a":{"a":{"a":1}},"b":{"a":1}}`, `-0.0e+10`, `"\ud800"`,
		strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64), `[[],{},[{}]]`} {
		if _, err := scanOne(text, 64); err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// TestScanIsLinear feeds objects that would take quadratic time.
func TestScanIsLinear(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range 100_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"`)
		b.WriteString(strings.Repeat("k", i%3))
		for n := i; n > 0; n /= 10 {
			b.WriteByte(byte('0' + n%10))
		}
		b.WriteString(`x` + string(rune('a'+i%7)) + `":0`)
	}
	b.WriteByte('}')
	n := testing.AllocsPerRun(1, func() { _ = new(message).scan(b.Bytes(), 64) })
	if n > 300_000 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScan compares the scanner with encoding/json, which is as strict but for
// duplicate keys, depth and UTF-8.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"msg":"connect","version":"1","support":["1","pre2"]}`,
		`{"msg":"method","id":"1","method":"a","params":[{"$date":5},"\u00e9"]}`,
		`{"msg":"sub","id":"x","name":"n","params":[]}`, `[]`, `5`, `{"a":1,"a":2}`, `{"msg":"callWithTwoFactorRequired","code":"1","id":"2"}`, "\"\xff\"",
		` {} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := new(message)
		err := s.scan(text, 64)
		valid := utf8.Valid(text) && json.Valid(text)
		switch {
		case (err == ejson.ErrSyntax || err == ejson.ErrUTF8) && valid:
			t.Fatalf("refused: %q", text)
		case err == nil && !valid:
			t.Fatalf("accepted: %q", text)
		case err != nil || s.env.kind != '{':
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]ejson.Span{"msg": s.env.msg, "id": s.env.id, "params": s.env.params, "fields": s.env.fields,
			"name": s.env.name, "method": s.env.method, "cleared": s.env.cleared} {
			if !bytes.Equal(bytes.TrimSpace(want[name]), got.Of(text)) {
				t.Fatalf("%s of %q: got %q, want %q", name, text, got.Of(text), want[name])
			}
		}
		if c := compact(text, &s.env); !json.Valid(c) {
			t.Fatalf("compact of %q is %q", text, c)
		}
		s.env.decodable(text)
	})
}
