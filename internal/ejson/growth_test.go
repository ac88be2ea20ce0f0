package ejson

import (
	"testing"

	"ddpserver/internal/growthtest"
)

// inText puts a generated text into a JSON text between head and tail.
func inText(head, tail string) func(string) string {
	return func(text string) string { return string(AppendString([]byte(head), text)) + tail }
}

// decoders are all ways in which this package reads what strangers send, with
// the typed forms and their texts named one by one (docs/security-tests.md A11).
func decoders() []growthtest.Decoder {
	decode := func(text string) {
		if v, err := Decode([]byte(text)); err == nil {
			_, _ = Append(nil, v)
			_, _ = AppendJSON(nil, v)
			_ = Equal(v, Raw(text))
		}
	}
	bind := func(dst func() []any) func(string) {
		return func(text string) { _ = BindArray([]byte(text), dst()...) }
	}
	list := []growthtest.Decoder{
		{Name: "Scan", Do: func(text string) { _ = Scan([]byte(text), MaxDepth) }},
		{Name: "Check", Do: func(text string) { _ = Check([]byte(text)) }},
		{Name: "Check a form", Do: func(text string) { _ = Check([]byte(text)) }, In: func(text string) string { return `[{"$date":0},` + text + `]` }},
		{Name: "Decode", Do: decode, Allocated: 512},
		{Name: "Decode a list", Do: decode, Allocated: 512, In: func(text string) string { return "[" + text + "0]" }},
		{Name: "AppendText", Do: func(text string) { _, _ = AppendText(nil, Raw(text)) }, In: inText("", "")},
		{Name: "AppendString", Do: func(text string) { AppendString(nil, text) }},
		{Name: "BindArray to any", Do: bind(func() []any { return []any{new(any), new(Rest)} }), Allocated: 512,
			In: func(text string) string { return "[" + text + "]" }},
		{Name: "BindArray to texts", Do: bind(func() []any { return []any{new([]string), new(map[string]string)} }), Allocated: 512,
			In: func(text string) string { return "[" + text + "]" }},
		{Name: "BindArray to structs", Do: bind(func() []any { return []any{new([]open), new([]lax), new(Doc)} }), Allocated: 512,
			In: func(text string) string { return `[[{"$escape":{"a":` + text + `}}]]` }},
		{Name: "Unmarshal", Do: func(text string) { _ = Unmarshal([]byte(text), new(any)) }, Allocated: 512,
			In: func(text string) string { return "[" + text + "0]" }},
		{Name: "ParseDate", Do: func(text string) { ParseDate(text) }},
		{Name: "parseDate", Do: func(text string) { parseDate(text) }},
	}
	for head, tail := range map[string]string{
		`{"$date":`: "}", `{"$regexp":`: `,"$flags":"g"}`, `{"$regexp":"a","$flags":`: "}", `{"$binary":`: "}", `{"$InfNaN":`: "}",
		`{"$type":"oid","$value":`: "}", `{"$type":"Decimal","$value":`: "}", `{"$type":`: `,"$value":"x"}`, `{"$escape":{"$date":`: "}}", `{`: `:1}`,
	} {
		list = append(list,
			growthtest.Decoder{Name: "Decode " + head, Do: decode, In: inText(head, tail)},
			growthtest.Decoder{Name: "Check " + head, Do: func(text string) { _ = Check([]byte(text)) }, In: inText(head, tail)})
	}
	return list
}

// TestGrowth: the work of every reader is in proportion to the text.
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
