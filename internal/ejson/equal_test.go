package ejson

import (
	"math"
	"testing"
	"time"
)

func TestEqual(t *testing.T) {
	type point struct {
		X int `json:"x"`
	}
	big, shuffled := Doc{}, Doc{}
	for i := range 40 {
		big = append(big, Field{string(rune('A' + i)), i})
		shuffled = append(Doc{{string(rune('A' + i)), float64(i)}}, shuffled...)
	}
	now := time.UnixMilli(1234567)
	equals := [][2]any{
		{nil, nil}, {1, 1.0}, {uint8(3), int64(3)}, {math.NaN(), math.NaN()}, {0.0, math.Copysign(0, -1)}, {"x", "x"}, {true, true},
		{now, now.Add(time.Microsecond).In(time.FixedZone("x", 3600))}, {[]byte{1}, []byte{1}}, {[]string{"a"}, []any{"a"}}, {[]any{}, []int{}},
		{Doc{{"a", 1}, {"b", 2}}, Doc{{"b", 2}, {"a", 1}}}, {Doc{{"a", 1}}, map[string]any{"a": 1.0}}, {big, shuffled}, {point{1}, Doc{{"x", 1}}},
		{&point{1}, point{1}},
		{Raw(`{"a":1,"b":[2]}`), Raw(`{ "b":[2], "a":1 }`)}, {Raw(`1`), 1}, {Raw(nil), nil}, {RegExp{"a", "g"}, RegExp{"a", "g"}}, {ObjectID("x"), ObjectID("x")},
		{Custom{"Decimal", "1"}, Custom{"Decimal", "1"}}, {InvalidDate{}, InvalidDate{}},
		{Doc{{"a", map[string]any{"b": []string{"c"}}}}, Raw(`{"a":{"b":["c"]}}`)},
	}
	for _, c := range equals {
		if !Equal(c[0], c[1]) || !Equal(c[1], c[0]) {
			t.Errorf("%#v and %#v are not equal", c[0], c[1])
		}
	}
	differs := [][2]any{
		{nil, false}, {nil, Undefined{}}, {0, false}, {1, "1"}, {"a", "b"}, {"a", ObjectID("a")}, {math.NaN(), 0}, {now, now.Add(time.Millisecond)},
		{now, float64(now.UnixMilli())}, {now, InvalidDate{}},
		{[]byte{1}, []byte{2}}, {[]byte{1}, []any{1}}, {[]any{1}, []any{1, 2}}, {[]any{1, 2}, []any{2, 1}}, {[]any{}, Doc{}}, {Doc{{"a", nil}}, Doc{}},
		{Doc{{"a", nil}}, Doc{{"b", nil}}},
		{big, append(shuffled[1:len(shuffled):len(shuffled)], Field{"zz", 1})}, {Doc{{"a", 1}}, Doc{{"a", 2}}},
		{Doc{{"a", 1}, {"b", 1}}, Doc{{"b", 2}, {"a", 1}}}, {RegExp{"a", ""}, RegExp{"a", "i"}},
		{Custom{"Decimal", "1"}, Custom{"Decimal", "2"}}, {make(chan int), make(chan int)}, {Raw(`{`), Raw(`[`)}, {Doc{{"$date", 1}}, time.UnixMilli(1)},
	}
	for _, c := range differs {
		if Equal(c[0], c[1]) || Equal(c[1], c[0]) {
			t.Errorf("%#v and %#v are equal", c[0], c[1])
		}
	}
}

func TestDocMembers(t *testing.T) {
	d := Doc{{"a", 1}, {"b", 2}}
	if v, ok := d.Get("b"); !ok || v != 2 {
		t.Errorf("Get: %v, %v", v, ok)
	}
	if _, ok := d.Get("c"); ok {
		t.Error("Get finds what is not there")
	}
	if got := d.Without("a"); !Equal(got, Doc{{"b", 2}}) || len(d) != 2 {
		t.Errorf("Without: %v, leaves %v", got, d)
	}
	if got := d.Set("a", 3).Set("c", 4); !Equal(got, Doc{{"a", 3}, {"b", 2}, {"c", 4}}) {
		t.Errorf("Set: %v", got)
	}
	if ObjectID("0123456789ABCDEF01234567").Valid() || ObjectID("1").Valid() || !ObjectID("0123456789abcdef01234567").Valid() {
		t.Error("ObjectID.Valid")
	}
}
