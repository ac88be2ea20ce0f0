package ddp

import (
	"encoding/json"
	"strings"
	"testing"

	"ddpserver/internal/ejson"
)

// BenchmarkDecode scans a method frame, beside encoding/json with raw params.
func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"62B": `{"msg":"method","id":"1","method":"echo","params":["hello w"]}`,
		"282B": `{"msg":"method","id":"10","method":"sendMessage","params":[{"_id":"298gMs93982Le9A7pZjo2D2iB","rid":"64a1f373376181965ab77f54",` +
			`"msg":"` + strings.Repeat("Whats up 4*! ", 10) + `","ts":{"$date":1700000000000}}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			s, data := new(message), []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := s.scan(data, 64); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/json", func(b *testing.B) {
			data := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var m struct {
					Msg, ID, Method string
					Params          json.RawMessage
				}
				if err := json.Unmarshal(data, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode writes result and updated.
func BenchmarkEncode(b *testing.B) {
	value := any(ejson.Raw(`{"hello":"world","n":1}`))
	id := []byte(`"17"`)
	b.ReportAllocs()
	for b.Loop() {
		f := frames{buffer: getBuffer()}
		f.result(id, value)
		f.updated(id)
		putBuffer(f.buffer)
	}
}
