// Package feedtest checks kinds of news. Every package that declares kinds runs
// its tests over all of them.
package feedtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"ddpserver/internal/feed"
)

// Case is one kind of news under test.
type Case struct {
	name      string
	roundTrip func(t *rapid.T)
	decode    func(t *testing.T, body []byte)
}

// Of makes the case of a kind.
func Of[P feed.Payload](kind feed.Kind[P]) Case {
	return Case{
		name:      kind.Name(),
		roundTrip: func(t *rapid.T) { roundTrip(t, kind) },
		decode:    func(t *testing.T, body []byte) { decode(t, kind, body) },
	}
}

// Run tests that any payload comes out as it went in, also when a newer version of
// this program added fields, and that events of other kinds and versions and
// damaged ones are refused.
func Run(t *testing.T, kinds ...Case) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { rapid.Check(t, k.roundTrip) })
	}
}

// Fuzz feeds arbitrary bodies to the decoders: they must refuse them or come to a
// payload that says the same when it is sent on.
func Fuzz(f *testing.F, kinds ...Case) {
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"args":[1]}`, `{"ended":{"hashes":["h"]}}`,
		`{"membership":1,"message":{"_id":"m"},"starredBy":["u"]}`, `{"membership":-1,"users":["u"]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, k := range kinds {
			k.decode(t, body)
		}
	})
}

func roundTrip[P feed.Payload](t *rapid.T, kind feed.Kind[P]) {
	var payload P
	fill(t, reflect.ValueOf(&payload).Elem())
	local := kind.Event("key", payload)
	e := local.Encoded()
	if e.Kind != kind.Name() || e.Key != "key" || e.Version != kind.Version() || kind.Version() < 1 {
		t.Fatalf("the event is %+v", e)
	}
	here, localErr := kind.Payload(local)
	got, err := kind.Payload(e)
	if (localErr == nil) != (err == nil) || err == nil && !reflect.DeepEqual(here, got) {
		t.Fatalf("on its own node %+v, %v; on others %+v, %v", here, localErr, got, err)
	}
	if bad := payload.Check(); bad != nil {
		if !errors.Is(err, feed.ErrUnreadable) {
			t.Fatalf("%v was not refused: %v", payload, bad)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(got, payload) {
		t.Fatalf("sent %+v, got %+v, %v", payload, got, err)
	}
	newer := e
	newer.Body = append([]byte(`{"a field of a newer version":[{"x":null}]`), e.Body[1:]...)
	if len(e.Body) > 2 {
		newer.Body = bytes.Replace(newer.Body, []byte(`}]`), []byte(`}],`), 1)
	}
	if got, err := kind.Payload(newer); err != nil || !reflect.DeepEqual(got, payload) {
		t.Fatalf("with a new field: got %+v, %v", got, err)
	}
	older, later, other, cut := e, e, e, e
	older.Version--
	later.Version++
	other.Kind += "x"
	cut.Body = e.Body[:rapid.IntRange(0, len(e.Body)-1).Draw(t, "length")]
	for _, bad := range []feed.Event{older, later, other, cut} {
		got, err := kind.Payload(bad)
		if !errors.Is(err, feed.ErrUnreadable) || !reflect.ValueOf(got).IsZero() {
			t.Fatalf("%+v was read as %+v, %v", bad, got, err)
		}
	}
}

func decode[P feed.Payload](t *testing.T, kind feed.Kind[P], body []byte) {
	first, err := kind.Payload(feed.Event{Kind: kind.Name(), Version: kind.Version(), Body: body})
	if err != nil {
		if !errors.Is(err, feed.ErrUnreadable) {
			t.Fatal(err)
		}
		return
	}
	again := kind.Event("key", first).Encoded()
	second, err := kind.Payload(again)
	if err != nil || !bytes.Equal(kind.Event("key", second).Encoded().Body, again.Body) {
		t.Fatalf("%s: read from %q, sent on as %q, read as %+v, %v", kind.Name(), body, again.Body, second, err)
	}
}

var rawType = reflect.TypeFor[json.RawMessage]()

// fill draws a value of any type that payloads are made of.
func fill(t *rapid.T, v reflect.Value) {
	switch {
	case v.Type() == rawType:
		v.SetBytes(text(t))
		return
	case v.Kind() == reflect.Pointer && rapid.Bool().Draw(t, "there"):
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	}
	switch v.Kind() {
	case reflect.Pointer:
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 4).Draw(t, "length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "number"))
	default:
		t.Fatalf("feedtest knows no values of type %v yet", v.Type())
	}
}

// text draws a JSON text, mostly an object or a list.
func text(t *rapid.T) []byte {
	value := rapid.SampledFrom([]any{nil, 1.5, "<a>&\u2028", []any{}, []any{"x", nil}, map[string]any{}}).Draw(t, "value")
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		value = []any{rapid.String().Draw(t, "element"), value}
	case 1, 2:
		value = map[string]any{"_id": rapid.String().Draw(t, "id"), "x": value}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
