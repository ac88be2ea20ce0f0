package ejson

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestDecodeOnly holds the leniency of B1 and A4.5 that encoding never shows.
func TestDecodeOnly(t *testing.T) {
	cases := []struct {
		wire string
		want any
	}{
		{`{"$date":1.9}`, time.UnixMilli(1).UTC()}, {`{"$date":-1.9}`, time.UnixMilli(-1).UTC()}, {`{"$date":null}`, time.UnixMilli(0).UTC()},
		{`{"$date":"2020-01-02T03:04:05.678Z"}`, time.UnixMilli(1577934245678).UTC()}, {`{"$date":"nonsense"}`, InvalidDate{}},
		{`{"$date":1e300}`, InvalidDate{}}, {`{"$date":{}}`, InvalidDate{}}, {`{"$date":true}`, time.UnixMilli(1).UTC()},
		{`{"$date":8640000000000001}`, InvalidDate{}}, {`{"$date":8640000000000000}`, time.UnixMilli(8640000000000000).UTC()},
		{`{"$InfNaN":9}`, math.Inf(1)}, {`{"$InfNaN":-7}`, math.Inf(-1)}, {`{"$InfNaN":"1"}`, math.Inf(1)}, {`{"$InfNaN":true}`, math.Inf(1)},
		{`{"$binary":"AP8"}`, []byte{0, 255}}, {`{"$binary":"%%"}`, []byte{0}}, {`{"$binary":"%%%%"}`, []byte{0, 0, 0}},
		{`{"$binary":"AA==AP8="}`, []byte{0, 0, 255, 0, 0}},
		{`{"$regexp":"a","$flags":"ggxiUs"}`, RegExp{"a", "gi"}}, {`{"$flags":"yi","$regexp":"a/b"}`, RegExp{"a/b", "iy"}},
		{`{"$regexp":"","$flags":""}`, RegExp{"", ""}},
		// What would not compile is a text like any other: nobody here reads patterns.
		{`{"$regexp":"(","$flags":""}`, RegExp{"(", ""}},
		{`{"$regexp":"` + strings.Repeat("(", maxPattern) + `","$flags":"uu"}`, RegExp{strings.Repeat("(", maxPattern), "u"}},
		{`{"$InfNaN":""}`, math.NaN()}, {`{"$InfNaN":" 0x10 "}`, math.NaN()}, {`{"$InfNaN":false}`, math.NaN()}, {`{"$InfNaN":[1]}`, math.NaN()},
		{`{"$InfNaN":"-1e3"}`, math.Inf(-1)},
		{`{"$type":"Decimal","$value":"-.5E-10"}`, Custom{"Decimal", "-.5E-10"}}, {`{"$type":"Decimal","$value":"Infinity"}`, Custom{"Decimal", "Infinity"}},
		{`"\u00AF\u00e9"`, "\u00af\u00e9"}, {`{"$regexp":"a","$flags":"` + strings.Repeat("x", 50) + `g"}`, RegExp{"a", ""}},
		{`{"$type":"oid","$value":"0123456789ABCDEF01234567"}`, ObjectID("0123456789abcdef01234567")},
		{`{"$escape":5}`, Doc{}}, {`{"$escape":"ab"}`, Doc{}}, {`{"$escape":{}}`, Doc{}},
		{`{"$escape":[1,{"$date":0}]}`, Doc{{"0", 1.0}, {"1", time.UnixMilli(0).UTC()}}},
		{`{"$escape":{"$date":0}}`, Doc{{"$date", 0.0}}}, {`{"$escape":{"a":{"$date":0}}}`, Doc{{"a", time.UnixMilli(0).UTC()}}},
		{`{"$escape":{"$date":{"$escape":{"$date":1}}}}`, Doc{{"$date", Doc{{"$date", 1.0}}}}},
		{"{\"\\u0024date\":5}", time.UnixMilli(5).UTC()}, {" [ 1 , {\t} ]\r\n", []any{1.0, Doc{}}},
		{`{"$a":{"$date":1},"$b":1,"c":{"$date":2}}`, Doc{{"$a", time.UnixMilli(1).UTC()}, {"$b", 1.0}, {"c", time.UnixMilli(2).UTC()}}},
		{`"\ud83d\ude00\ud83d\n\/"`, "😀\uFFFD\n/"}, {`1e400`, math.Inf(1)}, {`-0`, math.Copysign(0, -1)},
		{`123456789012345678901234567890`, 1.2345678901234568e29},
	}
	for _, c := range cases {
		got, err := Decode([]byte(c.wire))
		if err != nil || !reflect.DeepEqual(got, c.want) && !Equal(got, c.want) {
			t.Errorf("Decode(%s) = %#v, %v; want %#v", c.wire, got, err, c.want)
		}
		if err := Check([]byte(c.wire)); err != nil {
			t.Errorf("Check(%s) = %v", c.wire, err)
		}
	}
	if v, err := Decode([]byte(`{"$InfNaN":0}`)); err != nil || !math.IsNaN(v.(float64)) {
		t.Errorf("NaN: %v, %v", v, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	deepForm := strings.Repeat(`{"$x":`, MaxDepth+1) + "1" + strings.Repeat("}", MaxDepth+1)
	cases := []struct {
		wire string
		want error
	}{
		{`{"$binary":"=A=="}`, ErrValue}, {`{"$binary":"A==="}`, ErrValue}, {`{"$binary":5}`, ErrValue}, {`{"$binary":null}`, ErrValue},
		{`{"$escape":null}`, ErrValue}, {`{"a":[{"$escape":null}]}`, ErrValue}, {`{"$escape":{"a":{"$type":"x","$value":1}}}`, ErrValue},
		{`{"$type":"x","$value":1}`, ErrValue}, {`{"$type":"oid","$value":"xyz"}`, ErrValue}, {`{"$type":"oid","$value":5}`, ErrValue},
		{`{"$value":1,"$type":null}`, ErrValue},
		{`{"$type":"Decimal","$value":"1x"}`, ErrValue}, {`{"$type":"Decimal","$value":"."}`, ErrValue}, {`{"$type":"Decimal","$value":"1e"}`, ErrValue},
		{`{"$regexp":"` + strings.Repeat("a", maxPattern+1) + `","$flags":""}`, ErrValue}, {`{"$regexp":5,"$flags":""}`, ErrValue},
		{`{"$regexp":null,"$flags":""}`, ErrValue}, {`{"$regexp":["a"],"$flags":""}`, ErrValue}, {`{"$regexp":"a","$flags":5}`, ErrValue},
		{`{"$regexp":"a","$flags":null}`, ErrValue},
		{`{"a":1,"a":2}`, ErrDuplicate}, {`{"a":1,"\u0061":2}`, ErrDuplicate}, {`{"$x":{"a":1,"a":1}}`, ErrDuplicate},
		{`{"__proto__":1}`, ErrValue}, {`{"\u005f_proto__":1}`, ErrValue}, {`{"$a":{"__proto__":{}}}`, ErrValue},
		{deep, ErrDepth}, {deepForm, ErrDepth}, {"\"\xff\"", ErrUTF8}, {"\"\xed\xa0\x80\"", ErrUTF8},
		{``, ErrSyntax}, {` `, ErrSyntax}, {`01`, ErrSyntax}, {`1.`, ErrSyntax}, {`.5`, ErrSyntax}, {`-`, ErrSyntax}, {`+1`, ErrSyntax}, {`1e`, ErrSyntax},
		{`1e+`, ErrSyntax},
		{`0x1`, ErrSyntax}, {`NaN`, ErrSyntax}, {`nul`, ErrSyntax}, {`truth`, ErrSyntax}, {`"`, ErrSyntax}, {`"\x"`, ErrSyntax}, {`"\u12"`, ErrSyntax},
		{`"\`, ErrSyntax},
		{"\"\n\"", ErrSyntax}, {`[1,]`, ErrSyntax}, {`[,1]`, ErrSyntax}, {`[1 2]`, ErrSyntax}, {`[`, ErrSyntax}, {`{`, ErrSyntax}, {`{"a"}`, ErrSyntax},
		{`{"a":}`, ErrSyntax},
		{`{"a":1,}`, ErrSyntax}, {`{a:1}`, ErrSyntax}, {`{'a':1}`, ErrSyntax}, {`{"a":1]`, ErrSyntax}, {`1 1`, ErrSyntax}, {"\uFEFF1", ErrSyntax},
		{`{"$date":1}x`, ErrSyntax},
		{"[1]\x00", ErrSyntax}, {"[1]\v", ErrSyntax}, {`// c`, ErrSyntax},
	}
	for _, c := range cases {
		if v, err := Decode([]byte(c.wire)); !errors.Is(err, c.want) || v != nil {
			t.Errorf("Decode(%.40q) = %v, %v; want %v", c.wire, v, err, c.want)
		}
		if err := Check([]byte(c.wire)); !errors.Is(err, c.want) {
			t.Errorf("Check(%.40q) = %v, want %v", c.wire, err, c.want)
		}
		if errors.Is(c.want, ErrValue) && !strings.Contains(c.wire, "proto") {
			continue
		}
		if err := Scan([]byte(c.wire), MaxDepth); !errors.Is(err, c.want) {
			t.Errorf("Scan(%.40q) = %v, want %v", c.wire, err, c.want)
		}
		var v any
		if err := Unmarshal([]byte(c.wire), &v); !errors.Is(err, c.want) {
			t.Errorf("Unmarshal(%.40q) = %v, want %v", c.wire, err, c.want)
		}
		var raw Raw
		if err := Unmarshal([]byte(c.wire), &raw); !errors.Is(err, c.want) {
			t.Errorf("Unmarshal(%.40q) to Raw = %v, want %v", c.wire, err, c.want)
		}
	}
}

func TestScanDepth(t *testing.T) {
	for _, c := range []struct {
		raw   string
		depth int
		want  error
	}{
		{`1`, 0, nil}, {`[]`, 0, ErrDepth}, {`[]`, 1, nil}, {`[[]]`, 1, ErrDepth}, {`{"a":[1]}`, 2, nil}, {`{"a":[1]}`, 1, ErrDepth},
		{`[{},{"a":{}}]`, 2, ErrDepth},
		{strings.Repeat("[", 60000), 32, ErrDepth}, {strings.Repeat(`{"a":`, 12000), 32, ErrDepth},
	} {
		if err := Scan([]byte(c.raw), c.depth); !errors.Is(err, c.want) {
			t.Errorf("Scan(%.20q, %d) = %v, want %v", c.raw, c.depth, err, c.want)
		}
	}
}

// TestManyKeys reads large objects: the work must not grow with the square of
// their size, and a duplicate is found wherever it stands.
func TestManyKeys(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range 100_000 {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	unique := append(bytes.Clone(b.Bytes()), `"x":1}`...)
	if err := Scan(unique, 4); err != nil {
		t.Error(err)
	}
	v, err := Decode(unique)
	if err != nil || len(v.(Doc)) != 100_001 {
		t.Error(err)
	}
	for _, again := range []string{`"k0":1}`, `"k99999":1}`, `"\u006b15":1}`, `"k17":1}`} {
		text := append(bytes.Clone(b.Bytes()), again...)
		if err := Scan(text, 4); !errors.Is(err, ErrDuplicate) {
			t.Errorf("%s: Scan: %v", again, err)
		}
		if _, err := Decode(text); !errors.Is(err, ErrDuplicate) {
			t.Errorf("%s: Decode: %v", again, err)
		}
	}
	// Keys that are escaped lie in a buffer that grows while older ones are in use.
	b.Reset()
	b.WriteByte('{')
	for i := range 15 {
		fmt.Fprintf(&b, `"\u006b%s%d":{"\u0061":1},`, strings.Repeat("y", 300*i), i)
	}
	if err := Scan(append(bytes.Clone(b.Bytes()), `"k0":1}`...), 4); !errors.Is(err, ErrDuplicate) {
		t.Error(err)
	}
	if err := Scan(append(bytes.Clone(b.Bytes()), `"k1":1}`...), 4); err != nil {
		t.Error(err)
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		"2020-01-02": "2020-01-02T00:00:00.000Z", "2020-01": "2020-01-01T00:00:00.000Z", "2020": "2020-01-01T00:00:00.000Z",
		"2020-01-02T03:04:05Z": "2020-01-02T03:04:05.000Z", "2020-01-02T03:04:05+02:00": "2020-01-02T01:04:05.000Z",
		"2020-01-02T03:04Z":             "2020-01-02T03:04:00.000Z",
		"Thu, 02 Jan 2020 03:04:05 GMT": "2020-01-02T03:04:05.000Z", "Thu Jan 02 2020 03:04:05 GMT+0100": "2020-01-02T02:04:05.000Z",
		"Jan 2, 2020": "2020-01-02T00:00:00.000Z", "1/2/2020": "2020-01-02T00:00:00.000Z",
	} {
		v, err := Decode([]byte(`{"$date":"` + text + `"}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _ := AppendJSON(nil, v); string(got) != `"`+want+`"` {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestDateTexts holds the layouts of texts that are read as dates, one text each,
// and what looks like one and is none.
func TestDateTexts(t *testing.T) {
	want := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	minute, day := want.Truncate(time.Minute), want.Truncate(24*time.Hour)
	for text, want := range map[string]time.Time{
		"2020-01-02T03:04:05Z": want, "2020-01-02T03:04:05.678Z": want.Add(678 * time.Millisecond), "2020-01-02T04:04:05+01:00": want, "2020-01-02T03:04Z": minute,
		"2020-01-02T03:04:05": want, "2020-01-02T03:04:05.5": want.Add(500 * time.Millisecond), "2020-01-02T03:04": minute, "2020-01-02": day,
		"2020-01": day.AddDate(0, 0, -1), "2020": day.AddDate(0, 0, -1), "2020-01-02 03:04:05Z": want, "2020-01-02 03:04:05": want, "2020-01-02 03:04": minute,
		"Thu, 02 Jan 2020 03:04:05 GMT": want, "Thu, 02 Jan 2020 04:04:05 +0100": want, "Thu Jan 02 2020 04:04:05 GMT+0100": want, "Thu Jan 02 2020": day,
		"Thu, 2 Jan 2020 03:04:05 GMT": want, "2 Jan 2020": day, "2 Jan 2020 03:04:05 UTC": want, "Jan 2, 2020": day, "January 2, 2020": day,
		"Jan 2, 2020 03:04:05": want, "January 2, 2020 03:04:05": want, "2020/1/2": day, "1/2/2020": day, "2020/1/2 03:04:05": want, "1/2/2020 03:04:05": want,
	} {
		if got := parseDate(text); got != any(want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "x", "202", "2020-13", "2020-01-02T", "2020-01-02X03:04", "Jan 2020", "99/99/99", "a, b, c", strings.Repeat("2", 1<<16),
		"2020-01-02T03:04:05." + strings.Repeat("5", 1<<10) + "Z"} {
		if got := parseDate(text); got != any(InvalidDate{}) {
			t.Errorf("%.40q is %v", text, got)
		}
	}
}
