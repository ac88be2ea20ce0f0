package ejson

import (
	"encoding/json"
	"testing"
	"time"
)

var message = Doc{
	{"_id", "uRpYSBi9p97ymjjYM"}, {"rid", "GENERAL"}, {"msg", "a message of an ordinary length, with a \"quote\" in it"}, {"ts", time.UnixMilli(1700000000000)},
	{"u", Doc{{"_id", "u6FXpt6ohA7aFGg5a"}, {"username", "alice"}, {"name", "Alice"}}}, {"mentions", []any{}}, {"channels", []any{}}, {"count", 3},
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Append(buf[:0], message)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkAppendStandard(b *testing.B) {
	v := map[string]any{}
	for _, f := range message {
		v[f.Key] = f.Value
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = json.Marshal(v)
	}
}

func BenchmarkScan(b *testing.B) {
	text, _ := Append(nil, message)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		_ = Scan(text, 64)
	}
}

func BenchmarkDecode(b *testing.B) {
	text, _ := Append(nil, message)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Decode(text)
	}
}

func BenchmarkBind(b *testing.B) {
	params := []byte(`["GENERAL",{"street":"High Street 5","zip":"12345"},true]`)
	b.ReportAllocs()
	for b.Loop() {
		var room string
		var a address
		var flag bool
		_ = BindArray(params, &room, &a, &flag)
	}
}
