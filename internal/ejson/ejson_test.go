package ejson

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

// undefinedList stands for [undefined], which is no literal here.
var undefinedList = []any{Undefined{}}

// TestVectors holds the rows of docs/wire/ddp.md B1 and B2, both ways.
func TestVectors(t *testing.T) {
	cases := []struct {
		value any
		wire  string
	}{
		{nil, `null`}, {true, `true`}, {"é<>&\u2028", "\"é<>&\u2028\""}, {"a\"\\\x01\n\x7f", "\"a\\\"\\\\\\u0001\\n\x7f\""},
		{1.0, `1`}, {-1.5, `-1.5`}, {1e21, `1e+21`}, {0.1, `0.1`}, {1e20, `100000000000000000000`}, {1e-6, `0.000001`}, {1e-7, `1e-7`},
		{123456789012345680000.0, `123456789012345680000`}, {5e-324, `5e-324`}, {math.MaxFloat64, `1.7976931348623157e+308`},
		{9007199254740991.0, `9007199254740991`}, {9007199254740992.0, `9007199254740992`}, {-1e300, `-1e+300`},
		{math.Inf(1), `{"$InfNaN":1}`}, {math.Inf(-1), `{"$InfNaN":-1}`},
		{time.UnixMilli(3).UTC(), `{"$date":3}`}, {time.UnixMilli(-1).UTC(), `{"$date":-1}`},
		{[]byte{0, 255}, `{"$binary":"AP8="}`}, {[]byte{}, `{"$binary":""}`},
		{RegExp{"^a.*$", "gi"}, `{"$regexp":"^a.*$","$flags":"gi"}`},
		{ObjectID("0123456789abcdef01234567"), `{"$type":"oid","$value":"0123456789abcdef01234567"}`},
		{Custom{"Decimal", "1.50"}, `{"$type":"Decimal","$value":"1.50"}`},
		{Doc{{"$date", 5.0}}, `{"$escape":{"$date":5}}`},
		{Doc{{"$date", time.UnixMilli(3).UTC()}}, `{"$escape":{"$date":{"$date":3}}}`},
		{Doc{{"$escape", 1.0}}, `{"$escape":{"$escape":1}}`},
		{Doc{{"$type", "x"}, {"$value", 1.0}}, `{"$escape":{"$type":"x","$value":1}}`},
		{Doc{{"$value", "x"}, {"$type", 1.0}}, `{"$escape":{"$value":"x","$type":1}}`},
		{Doc{{"$flags", "x"}, {"$regexp", 1.0}}, `{"$escape":{"$flags":"x","$regexp":1}}`},
		{Doc{{"a", Doc{{"$date", 1.0}}}}, `{"a":{"$escape":{"$date":1}}}`},
		{Doc{{"$date", 1.0}, {"x", 2.0}}, `{"$date":1,"x":2}`}, {Doc{{"$foo", 1.0}}, `{"$foo":1}`},
		{Doc{{"$regexp", "a"}}, `{"$regexp":"a"}`}, {Doc{{"$type", "oid"}}, `{"$type":"oid"}`},
		{Doc{{"$foo", time.UnixMilli(1).UTC()}, {"$bar", []any{Doc{{"$date", 1.0}}}}}, `{"$foo":{"$date":1},"$bar":[{"$escape":{"$date":1}}]}`},
		{Doc{{"b", 1.0}, {"a", []any{}}, {"", Doc{}}}, `{"b":1,"a":[],"":{}}`},
	}
	for _, c := range cases {
		got, err := Append(nil, c.value)
		if err != nil || string(got) != c.wire {
			t.Errorf("Append(%#v) = %s, %v; want %s", c.value, got, err, c.wire)
		}
		back, err := Decode([]byte(c.wire))
		if err != nil || !reflect.DeepEqual(back, c.value) {
			t.Errorf("Decode(%s) = %#v, %v; want %#v", c.wire, back, err, c.value)
		}
		if !Equal(back, c.value) {
			t.Errorf("Equal(%s) is false", c.wire)
		}
	}
}

// stamp is a type of somebody's own with time's layout.
type stamp time.Time

// TestAppendOnly holds what does not come back as it went.
func TestAppendOnly(t *testing.T) {
	type inner struct {
		When time.Time `json:"when,omitempty"`
		N    *int      `json:"n,omitempty"`
	}
	type outer struct {
		inner
		A    string `json:"a"`
		Skip string `json:"-"`
		Omit []int  `json:"omit,omitempty"`
		B    uint8
		h    int
	}
	seven := 7
	cases := []struct {
		value       any
		wire, plain string
	}{
		{math.NaN(), `{"$InfNaN":0}`, `null`}, {math.Inf(1), `{"$InfNaN":1}`, `null`}, {math.Copysign(0, -1), `0`, `0`},
		{undefinedList, `[null]`, `[null]`}, {Doc{{"a", Undefined{}}}, `{}`, `{}`}, {map[string]any{"a": Undefined{}}, `{}`, `{}`},
		{int64(math.MaxInt64), `9223372036854776000`, `9223372036854776000`}, {uint64(1 << 60), `1152921504606847000`, `1152921504606847000`},
		{Raw(`{"x":1}`), `{"x":1}`, `{"x":1}`}, {Raw(nil), `null`, `null`}, {[]Raw{Raw("1"), nil}, `[1,null]`, `[1,null]`},
		{map[string]any{"b": 1, "a": int32(2)}, `{"a":2,"b":1}`, `{"a":2,"b":1}`}, {map[string]int{"$date": 1}, `{"$escape":{"$date":1}}`, `{"$date":1}`},
		{[]string{"x"}, `["x"]`, `["x"]`}, {[]string(nil), `[]`, `[]`}, {[2]bool{true}, `[true,false]`, `[true,false]`},
		{outer{inner: inner{N: &seven}, A: "x", h: 1}, `{"n":7,"a":"x","B":0}`, `{"n":7,"a":"x","B":0}`},
		{&outer{inner: inner{When: time.UnixMilli(1500)}}, `{"when":{"$date":1500},"a":"","B":0}`, `{"when":"1970-01-01T00:00:01.500Z","a":"","B":0}`},
		{(*outer)(nil), `null`, `null`}, {"a\xff\xfeb", "\"a\uFFFD\uFFFDb\"", "\"a\uFFFD\uFFFDb\""},
		{[]byte{7, 8}, `{"$binary":"Bwg="}`, `{"0":7,"1":8}`}, {RegExp{"a", ""}, `{"$regexp":"a","$flags":""}`, `{}`},
		{ObjectID("0123456789abcdef01234567"), `{"$type":"oid","$value":"0123456789abcdef01234567"}`, `{"_str":"0123456789abcdef01234567"}`},
		{time.Date(-5, 1, 2, 3, 4, 5, 6e6, time.UTC), `{"$date":-62324888154994}`, `"-000005-01-02T03:04:05.006Z"`},
		{time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC), `{"$date":null}`, `null`}, {InvalidDate{}, `{"$date":null}`, `null`},
		{kind("k"), `"k"`, `"k"`}, {flag(true), `true`, `true`}, {float32(0.5), `0.5`, `0.5`}, {json.Number("1e21"), `1e+21`, `1e+21`}, {uint16(7), `7`, `7`},
		{[]int(nil), `[]`, `[]`},
		{map[kind]string{"b": "x", "a": "y"}, `{"a":"y","b":"x"}`, `{"a":"y","b":"x"}`}, {map[kind]string(nil), `null`, `null`}, {[]byte(nil), `null`, `null`},
		{[3]byte{1, 2, 3}, `[1,2,3]`, `[1,2,3]`},
		{Rest{Raw("1")}, `[1]`, `[1]`}, {map[string]any(nil), `null`, `null`}, {Custom{"Decimal", "1"}, `{"$type":"Decimal","$value":"1"}`, `"1"`},
		{[]time.Time{time.UnixMilli(1)}, `[{"$date":1}]`, `["1970-01-01T00:00:00.001Z"]`},
		{open{"x", Doc{{"n", 1}}}, `{"_id":"x","n":1}`, `{"_id":"x","n":1}`}, {stamp(time.UnixMilli(2)), `{"$date":2}`, `"1970-01-01T00:00:00.002Z"`},
		{"\b\f\r\t", `"\b\f\r\t"`, `"\b\f\r\t"`},
		{struct {
			D int `json:"$date"`
		}{5}, `{"$escape":{"$date":5}}`, `{"$date":5}`},
	}
	for _, c := range cases {
		if got, err := Append(nil, c.value); err != nil || string(got) != c.wire {
			t.Errorf("Append(%#v) = %s, %v; want %s", c.value, got, err, c.wire)
		}
		if got, err := AppendJSON(nil, c.value); err != nil || string(got) != c.plain {
			t.Errorf("AppendJSON(%#v) = %s, %v; want %s", c.value, got, err, c.plain)
		}
	}
	loop := map[string]any{}
	loop["self"] = loop
	if _, err := Append(nil, loop); !errors.Is(err, ErrDepth) {
		t.Errorf("a circular value: %v", err)
	}
	for _, v := range []any{make(chan int), func() {}, map[int]int{1: 1}, complex(1, 2), []any{make(chan int)}, json.Number("x"), []chan int{nil},
		map[string]chan int{"a": nil}, map[string]any{"a": func() {}}, struct{ C chan int }{}} {
		if _, err := Append(nil, v); !errors.Is(err, ErrType) {
			t.Errorf("Append(%T): %v", v, err)
		}
	}
}
