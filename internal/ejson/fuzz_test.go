package ejson

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e3,"x\u0041\ud83d\ude00",null,true]}`, `{"$date":1}`, `{"$escape":{"$date":{"$date":3}}}`, `{"$regexp":"(a|b)[^/]","$flags":"gi"}`,
		`{"$InfNaN":-1}`,
		`{"$binary":"AP8="}`, `{"$type":"oid","$value":"0123456789abcdef01234567"}`, `{"$type":"Decimal","$value":"1e5"}`,
		`{"$a":{"$escape":[{"$date":"2020"}]},"$b":{}}`, `{"a":1,"a":2}`, `[[[[`, "\"\xff\"",
	} {
		f.Add([]byte(s))
	}
}

// FuzzDecode checks on any text: no panic; Scan, Check, Decode and encoding/json
// agree; what is decoded is encoded and decoded to the same value.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := Decode(raw)
		scanned, checked := Scan(raw, MaxDepth), Check(raw)
		if (err == nil) != (checked == nil) {
			t.Fatalf("Decode: %v, Check: %v", err, checked)
		}
		if scanned != nil && err == nil {
			t.Fatalf("Decode takes what Scan refuses: %v", scanned)
		}
		if errors.Is(scanned, ErrSyntax) && json.Valid(raw) {
			t.Fatal("Scan refuses what encoding/json takes")
		}
		if scanned == nil && !json.Valid(raw) {
			t.Fatal("Scan takes what encoding/json refuses")
		}
		if err != nil {
			return
		}
		text, err := Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !Equal(normal(v), again) {
			t.Fatalf("%s came back as %#v, was %#v", text, again, v)
		}
		plain, err := AppendJSON(nil, v)
		if err != nil || !json.Valid(plain) {
			t.Fatalf("AppendJSON: %s, %v", plain, err)
		}
	})
}

// normal replaces what does not come back as it went: an invalid date is
// written as a null date, which reads as 1970.
func normal(v any) any {
	switch x := v.(type) {
	case InvalidDate:
		return time.UnixMilli(0)
	case []any:
		for i := range x {
			x[i] = normal(x[i])
		}
	case Doc:
		for i := range x {
			x[i].Value = normal(x[i].Value)
		}
	}
	return v
}

// FuzzBind reads any text into one destination of each kind.
func FuzzBind(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a address
		var o open
		var l lax
		for _, dst := range []any{new(string), new(bool), new(int), new(float64), new(time.Time), new([]byte), new(any), new(Doc), new(Raw), new([]string),
			new(map[string]any), &a, &o, &l, new(*string)} {
			if err := Unmarshal(raw, dst); err == nil && Scan(raw, MaxDepth) != nil {
				t.Errorf("%T takes what Scan refuses", dst)
			}
			one := append(append([]byte{'['}, raw...), ']')
			if err := BindArray(one, dst); err == nil && Scan(one, MaxDepth+1) != nil {
				t.Errorf("a parameter %T takes what Scan refuses", dst)
			}
		}
	})
}

func FuzzString(f *testing.F) {
	f.Add("a\"\\\x00\u2028é\xff")
	f.Fuzz(func(t *testing.T, s string) {
		text := AppendString(nil, s)
		var std string
		if err := json.Unmarshal(text, &std); err != nil {
			t.Fatal(err)
		}
		v, err := Decode(text)
		if err != nil || v != std {
			t.Fatalf("%q: %v, %v", text, v, err)
		}
		if utf8.ValidString(s) && v != s {
			t.Fatalf("%q came back as %q", s, v)
		}
	})
}

// values draws any value that has an EJSON form.
func values() *rapid.Generator[any] {
	keys := rapid.OneOf(rapid.SampledFrom([]string{"$date", "$escape", "$type", "$value", "$regexp", "$flags", "$InfNaN", "$binary", "$x", ""}), rapid.String())
	scalars := rapid.OneOf(
		rapid.Just(any(nil)), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Float64().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
		rapid.SampledFrom([]any{math.NaN(), math.Inf(1), math.Inf(-1), RegExp{"a+", "g"}, ObjectID("0123456789abcdef01234567"), Custom{"Decimal", "1"}}),
		rapid.Custom(func(t *rapid.T) any { return time.UnixMilli(rapid.Int64Range(-8.64e15, 8.64e15).Draw(t, "ms")).UTC() }),
	)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalars
		}
		inner := rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) })
		doc := rapid.Custom(func(t *rapid.T) any {
			d := Doc{}
			for _, k := range rapid.SliceOfNDistinct(keys, 0, 4, rapid.ID[string]).Draw(t, "keys") {
				if k != protoKey {
					d = append(d, Field{k, inner.Draw(t, "value")})
				}
			}
			return d
		})
		return rapid.OneOf(scalars, doc, rapid.SliceOfN(inner, 0, 4).AsAny())
	}
	return value(4)
}

// TestRoundTrip: every value comes back as it went, in the same key order.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values().Draw(t, "value")
		text, err := Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !Equal(v, back) {
			t.Fatalf("%s: %#v", text, back)
		}
		if again, _ := Append(nil, back); !bytes.Equal(text, again) {
			t.Fatalf("%s became %s", text, again)
		}
		if !Equal(v, Raw(text)) {
			t.Fatal("a value differs from its own text")
		}
		if err := Scan(text, MaxDepth); err != nil {
			t.Fatal(err)
		}
	})
}
