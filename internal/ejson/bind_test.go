package ejson

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type address struct {
	Street string  `ejson:"street"`
	Zip    *string `ejson:"zip"`
	Note   string  `ejson:"note,optional"`
	Floor  int     `json:"floor,omitempty"`
}

type (
	kind string
	flag bool
)

type open struct {
	ID   string `ejson:"_id"`
	Rest Doc    `ejson:",rest"`
}

type lax struct {
	_  struct{} `ejson:",ignore"`
	ID string   `ejson:"_id"`
}

// TestBind reads one parameter into each kind of destination.
func TestBind(t *testing.T) {
	zip := "12345"
	cases := []struct {
		raw  string
		dst  any // pointer to the zero value
		want any // value behind dst, or an error
	}{
		{`"x"`, new(string), "x"}, {`"\u0041"`, new(string), "A"}, {`5`, new(string), ErrMismatch}, {`null`, new(string), ErrMismatch},
		{`{"$ne":null}`, new(string), ErrMismatch},
		{`{"$regex":"^a"}`, new(string), ErrMismatch}, {`["x"]`, new(string), ErrMismatch}, {`{"$date":1}`, new(string), ErrMismatch},
		{`true`, new(bool), true}, {`false`, new(bool), false}, {`1`, new(bool), ErrMismatch}, {`"true"`, new(bool), ErrMismatch},
		{`1.5`, new(float64), 1.5}, {`{"$InfNaN":-1}`, new(float64), math.Inf(-1)}, {`"1"`, new(float64), ErrMismatch},
		{`7`, new(int), 7}, {`-7`, new(int64), int64(-7)}, {`7.0`, new(int), 7}, {`1e3`, new(int), 1000}, {`7.5`, new(int), ErrMismatch},
		{`1e300`, new(int), ErrMismatch},
		{`{"$InfNaN":0}`, new(int), ErrMismatch}, {`9007199254740993000`, new(int64), ErrMismatch}, {`300`, new(int8), ErrMismatch},
		{`-128`, new(int8), int8(-128)}, {`"7"`, new(int), ErrMismatch},
		{`{"$date":5}`, new(time.Time), time.UnixMilli(5).UTC()}, {`5`, new(time.Time), ErrMismatch}, {`{"$date":1e300}`, new(time.Time), ErrMismatch},
		{`{"$binary":"AP8="}`, new([]byte), []byte{0, 255}}, {`"AP8="`, new([]byte), ErrMismatch},
		{`{"a":{"$date":1}}`, new(any), Doc{{"a", time.UnixMilli(1).UTC()}}}, {`null`, new(any), nil},
		{`{"a": 1}`, new(Raw), Raw(`{"a": 1}`)}, {` null `, new(Raw), Raw(`null`)}, {`{"$type":"x","$value":1}`, new(Raw), ErrValue},
		{`{"a":1,"a":1}`, new(Raw), ErrDuplicate},
		{`{"b":1,"a":2}`, new(Doc), Doc{{"b", 1.0}, {"a", 2.0}}}, {`[]`, new(Doc), ErrMismatch}, {`{"$date":1}`, new(Doc), ErrMismatch},
		{`{"$escape":{"$date":1}}`, new(Doc), Doc{{"$date", 1.0}}},
		{`["a","b"]`, new([]string), []string{"a", "b"}}, {`[]`, new([]string), []string{}}, {`["a",1]`, new([]string), ErrMismatch},
		{`{"0":"a"}`, new([]string), ErrMismatch}, {`null`, new([]string), ErrMismatch},
		{`{"a":1}`, new(map[string]int), map[string]int{"a": 1}}, {`{"a":1,"\u0061":1}`, new(map[string]int), ErrDuplicate},
		{`{"a":"1"}`, new(map[string]int), ErrMismatch}, {`[]`, new(map[string]int), ErrMismatch},
		{`{"$escape":{"$date":1}}`, new(map[string]int), map[string]int{"$date": 1}}, {`{"$date":1}`, new(map[string]int), ErrMismatch},
		{`{"$gt":1}`, new(map[string]int), map[string]int{"$gt": 1}},
		{`{"$escape":5}`, new(map[string]int), ErrMismatch}, {`{"__proto__":1}`, new(map[string]int), ErrValue},
		{`"x"`, new(*string), ptr("x")}, {`null`, new(*string), (*string)(nil)}, {`5`, new(*string), ErrMismatch},
		{`{"$type":"oid","$value":"0123456789abcdef01234567"}`, new(ObjectID), ObjectID("0123456789abcdef01234567")},
		{`"0123456789abcdef01234567"`, new(ObjectID), ErrMismatch},
		{`{"street":"s","zip":"12345","note":"n","floor":2}`, new(address), address{"s", &zip, "n", 2}}, {`{"street":"s"}`, new(address), address{Street: "s"}},
		{`{"street":"s","zip":null,"note":null,"floor":null}`, new(address), address{Street: "s"}}, {`{"zip":"1"}`, new(address), ErrMismatch},
		{`{"street":null}`, new(address), ErrMismatch},
		{`{"Street":"s"}`, new(address), ErrMismatch}, {`{"street":"s","x":1}`, new(address), ErrMismatch},
		{`{"street":"s","street":"s"}`, new(address), ErrDuplicate},
		{`{"street":"s","floor":"2"}`, new(address), ErrMismatch}, {`[]`, new(address), ErrMismatch}, {`"street"`, new(address), ErrMismatch},
		{`{"$escape":{"street":"s"}}`, new(address), address{Street: "s"}},
		{`{"_id":"x","b":{"$date":1},"a":2}`, new(open), open{"x", Doc{{"b", time.UnixMilli(1).UTC()}, {"a", 2.0}}}},
		{`{"_id":"x","b":1,"b":2}`, new(open), ErrDuplicate},
		{`{"_id":"x","b":1,"c":{}}`, new(lax), lax{ID: "x"}}, {`{"_id":"x","b":1,"b":1}`, new(lax), ErrDuplicate},
		{`{"_id":"x","b":{"$escape":null}}`, new(lax), ErrValue},
		{`[{"street":"a"},{"street":"b"}]`, new([]address), []address{{Street: "a"}, {Street: "b"}}},
		{strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2), new([]any), ErrDepth},
		{`"x"`, new(kind), kind("x")}, {`5`, new(kind), ErrMismatch}, {`true`, new(flag), flag(true)}, {`1`, new(flag), ErrMismatch},
		{`1.5`, new(float32), float32(1.5)}, {`"1"`, new(float32), ErrMismatch},
		{`{"a":{"$date":1}}`, new(map[kind]time.Time), map[kind]time.Time{"a": time.UnixMilli(1).UTC()}}, {`{"1":1}`, new(map[int]int), ErrType},
		{`[{"$InfNaN":1}]`, new([]float64), []float64{math.Inf(1)}},
		{`[[1],[]]`, new([][]int), [][]int{{1}, {}}}, {`{"$regexp":"a","$flags":""}`, new(RegExp), ErrMismatch},
		{`[null,"x"]`, new([]*string), []*string{nil, ptr("x")}},
		{`{"$escape":{"street":"s"},"x":1}`, new(address), ErrMismatch}, {`{"$escape":{"street":"s"`, new(address), ErrSyntax},
		{`{"$type":"x","$value":1}`, new(address), ErrValue}, {`{"$x"`, new(address), ErrSyntax},
		{`{`, new(address), ErrSyntax}, {`{"street":}`, new(address), ErrSyntax}, {`"`, new(string), ErrSyntax}, {`tru`, new(bool), ErrSyntax},
		{`[1`, new([]int), ErrSyntax}, {"\"\xff\"", new(string), ErrUTF8},
		{`1`, new(chan int), ErrType}, {`1`, "no pointer", ErrType}, {`1`, (*int)(nil), ErrType},
	}
	for _, c := range cases {
		err := Unmarshal([]byte(c.raw), c.dst)
		if want, ok := c.want.(error); ok {
			if !errors.Is(err, want) {
				t.Errorf("Unmarshal(%.60s, %T) = %v, want %v", c.raw, c.dst, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("Unmarshal(%s, %T): %v", c.raw, c.dst, err)
			continue
		}
		if got := reflect.ValueOf(c.dst).Elem().Interface(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Unmarshal(%s, %T) = %#v, want %#v", c.raw, c.dst, got, c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestBindArray(t *testing.T) {
	var a, b string
	var o *string
	var v any
	var rest Rest
	var raw Raw
	cases := []struct {
		params string
		dst    []any
		want   error
	}{
		{``, nil, nil}, {`[]`, nil, nil}, {`[null]`, nil, nil}, {`[null,null]`, nil, nil}, {`[1]`, nil, ErrMismatch}, {` [ ] `, nil, nil},
		{`["x"]`, []any{&a}, nil}, {`["x","y"]`, []any{&a, &b}, nil}, {`["x"]`, []any{&a, &b}, ErrMismatch}, {`["x","y"]`, []any{&a}, ErrMismatch},
		{`["x",null]`, []any{&a}, nil},
		{`["x",null,{}]`, []any{&a}, ErrMismatch}, {`["x"]`, []any{&a, &o}, nil}, {`["x",null]`, []any{&a, &o}, nil}, {`["x","y"]`, []any{&a, &o}, nil},
		{`["x",5]`, []any{&a, &o}, ErrMismatch},
		{``, []any{&o}, nil}, {`[]`, []any{&o}, nil}, {`[null]`, []any{&o}, nil}, {``, []any{&a}, ErrMismatch}, {`[]`, []any{&a}, ErrMismatch},
		{`[null]`, []any{&a}, ErrMismatch},
		{`[null]`, []any{&v}, nil}, {`[]`, []any{&v}, ErrMismatch}, {`[null]`, []any{&raw}, nil}, {`[null]`, []any{&v, &a}, ErrMismatch},
		{`[null]`, []any{&v, &o}, nil},
		{``, []any{&rest}, nil}, {`[1,{"a":2}]`, []any{&rest}, nil}, {`["x",1]`, []any{&a, &rest}, nil}, {`["x"]`, []any{&a, &rest}, nil},
		{`[{"$escape":null}]`, []any{&rest}, ErrValue},
		{`{}`, nil, ErrMismatch}, {`null`, nil, ErrMismatch}, {`"x"`, []any{&a}, ErrMismatch}, {`{`, nil, ErrSyntax}, {`["x"`, []any{&a}, ErrSyntax},
		{`["x"]]`, []any{&a}, ErrSyntax},
		{`["x",]`, []any{&a}, ErrSyntax}, {`[null`, []any{&a}, ErrMismatch}, {`[1}`, nil, ErrMismatch}, {"[\"\xff\"]", []any{&a}, ErrUTF8}, {``, []any{a}, ErrType},
	}
	for _, c := range cases {
		if err := BindArray([]byte(c.params), c.dst...); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("BindArray(%s, %d destinations) = %v, want %v", c.params, len(c.dst), err, c.want)
		}
	}
	rest = nil
	if err := BindArray([]byte(`["p", 1 , {"a": 2}]`), &a, &rest); err != nil || a != "p" || !reflect.DeepEqual(rest, Rest{Raw("1"), Raw(`{"a": 2}`)}) {
		t.Errorf("rest: %q, %s, %v", a, rest, err)
	}
	// What is bound must outlive the frame that it came in.
	frame := []byte(`["abc",{"k":"v"}]`)
	if err := BindArray(frame, &a, &raw); err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = '!'
	}
	if a != "abc" || string(raw) != `{"k":"v"}` {
		t.Errorf("values changed with the frame: %q, %s", a, raw)
	}
}

// TestErrorsKeepSecrets makes sure that no error repeats its input.
func TestErrorsKeepSecrets(t *testing.T) {
	var a address
	for _, raw := range []string{`{"street":{"hunter2":1}}`, `{"hunter2":1}`, `{"street":"s","zip":["hunter2"]}`, `"hunter2"`, `hunter2`,
		`{"street":"s","floor":"hunter2"}`} {
		err := Unmarshal([]byte(raw), &a)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Unmarshal(%s): %v", raw, err)
		}
	}
}
