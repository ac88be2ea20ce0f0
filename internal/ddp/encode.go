package ddp

import (
	"errors"
	"strconv"

	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

// frames encodes what a server sends (docs/wire/ddp.md A7) one after another into
// a buffer, framed for the wire. While silent it encodes nothing.
type frames struct {
	*buffer
	compressAbove int
	silent        bool

	// of the changed frame under way
	doc     *document
	at      int
	fields  int
	cleared []string
}

func (f *frames) begin(head string) int {
	var at int
	f.b, at = wire.Begin(f.b)
	f.b = append(f.b, head...)
	return at
}

func (f *frames) end(at int) {
	f.b = append(f.b, '}')
	f.b = wire.End(f.b, at)
	if f.compressAbove > 0 && len(f.b)-at >= f.compressAbove {
		f.b = wire.Deflate(f.b, at)
	}
}

func (f *frames) string(s string) { f.b = appendString(f.b, s) }

func (f *frames) target(head string, d *document) int {
	at := f.begin(head)
	f.string(d.in.name)
	f.b = append(f.b, `,"id":`...)
	f.string(d.id)
	return at
}

func (f *frames) added(d *document) {
	if f.silent {
		return
	}
	at := f.target(`{"msg":"added","collection":`, d)
	if len(d.fields) > 0 {
		f.b = append(f.b, `,"fields":{`...)
		for i := range d.fields {
			if i > 0 {
				f.b = append(f.b, ',')
			}
			f.string(d.fields[i].key)
			f.b = append(f.b, ':')
			f.b = append(f.b, d.fields[i].value...)
		}
		f.b = append(f.b, '}')
	}
	f.end(at)
}

func (f *frames) removed(d *document) {
	if f.silent {
		return
	}
	f.end(f.target(`{"msg":"removed","collection":`, d))
}

// beginChange starts a changed frame, which is sent only if field or clear
// follow before endChange.
func (f *frames) beginChange(d *document) {
	f.doc, f.at, f.fields, f.cleared = d, -1, 0, f.cleared[:0]
}

func (f *frames) open() {
	if f.at < 0 {
		f.at = f.target(`{"msg":"changed","collection":`, f.doc)
	}
}

func (f *frames) field(key string, value []byte) {
	if f.silent {
		return
	}
	f.open()
	if f.fields++; f.fields == 1 {
		f.b = append(f.b, `,"fields":{`...)
	} else {
		f.b = append(f.b, ',')
	}
	f.string(key)
	f.b = append(f.b, ':')
	f.b = append(f.b, value...)
}

func (f *frames) clear(key string) {
	if !f.silent {
		f.cleared = append(f.cleared, key)
	}
}

func (f *frames) endChange() {
	if f.silent || f.at < 0 && len(f.cleared) == 0 {
		return
	}
	f.open()
	if f.fields > 0 {
		f.b = append(f.b, '}')
	}
	if len(f.cleared) > 0 {
		f.b = append(f.b, `,"cleared":[`...)
		for i, key := range f.cleared {
			if i > 0 {
				f.b = append(f.b, ',')
			}
			f.string(key)
		}
		f.b = append(f.b, ']')
	}
	f.end(f.at)
}

// greeting is what Meteor sent up to 2.2 to everybody who came. Clients of that time over SockJS
// wait for it before they connect; all others take no notice.
func (f *frames) greeting() { f.end(f.begin(`{"server_id":"0"`)) }

func (f *frames) connected(session string) {
	at := f.begin(`{"msg":"connected","session":`)
	f.string(session)
	f.end(at)
}

func (f *frames) failed(v version) {
	at := f.begin(`{"msg":"failed","version":"`)
	f.b = append(f.b, v.String()...)
	f.b = append(f.b, '"')
	f.end(at)
}

func (f *frames) ping() { f.end(f.begin(`{"msg":"ping"`)) }

// pong echoes the raw id, if there was one.
func (f *frames) pong(id []byte) {
	at := f.begin(`{"msg":"pong"`)
	if id != nil {
		f.b = append(f.b, `,"id":`...)
		f.b = append(f.b, id...)
	}
	f.end(at)
}

func (f *frames) ready(ids ...string) {
	at := f.begin(`{"msg":"ready","subs":[`)
	for i, id := range ids {
		if i > 0 {
			f.b = append(f.b, ',')
		}
		f.string(id)
	}
	f.b = append(f.b, ']')
	f.end(at)
}

// nosub ends a subscription; id is nil for none, err for a plain end.
func (f *frames) nosub(id *string, err error) {
	at := f.begin(`{"msg":"nosub"`)
	if id != nil {
		f.b = append(f.b, `,"id":`...)
		f.string(*id)
	}
	if err != nil {
		f.b = append(f.b, `,"error":`...)
		f.b = appendFault(f.b, err)
	}
	f.end(at)
}

// result appends the answer to a call and returns its length in bytes, before
// compression; false, with nothing appended, when the value has no encoding.
func (f *frames) result(id []byte, value any) (int, bool) {
	from := len(f.b)
	at := f.begin(`{"msg":"result","id":`)
	f.b = append(f.b, id...)
	if value != nil {
		b := append(f.b, `,"result":`...)
		b, err := ejson.Append(b, value)
		if err != nil {
			f.b = f.b[:from]
			return 0, false
		}
		f.b = b
	}
	n := len(f.b) - from
	f.end(at)
	return n, true
}

func (f *frames) refusal(id []byte, err error) {
	at := f.begin(`{"msg":"result","id":`)
	f.b = append(f.b, id...)
	f.b = append(f.b, `,"error":`...)
	f.b = appendFault(f.b, err)
	f.end(at)
}

func (f *frames) updated(id []byte) {
	at := f.begin(`{"msg":"updated","methods":[`)
	f.b = append(f.b, id...)
	f.b = append(f.b, ']')
	f.end(at)
}

// malformed is the top-level error frame; offending is nil for none.
func (f *frames) malformed(reason string, offending []byte) {
	at := f.begin(`{"msg":"error","reason":"`)
	f.b = append(f.b, reason...)
	f.b = append(f.b, '"')
	if offending != nil {
		f.b = append(f.b, `,"offendingMessage":`...)
		f.b = append(f.b, offending...)
	}
	f.end(at)
}

// AppendError appends Meteor's error object for err, for a door that answers
// with the text of a frame (REST's method.call).
func AppendError(dst []byte, err error) []byte { return appendFault(dst, err) }

// appendFault renders an error as Meteor does (docs/wire/ddp.md A7, A9): one that
// is not client-safe becomes 500. It is the only place of the engine that knows
// the fields of an error object.
func appendFault(dst []byte, err error) []byte {
	e, _ := fault.From(err)
	dst = append(dst, `{"isClientSafe":true,"error":`...)
	if e.Code != "" {
		dst = appendString(dst, e.Code)
	} else {
		dst = strconv.AppendInt(dst, int64(e.Number), 10)
	}
	if e.Reason != "" {
		dst = append(dst, `,"reason":`...)
		dst = appendString(dst, e.Reason)
	}
	if e.Details != nil {
		if b, err := ejson.AppendJSON(append(dst, `,"details":`...), e.Details); err == nil {
			dst = b
		}
	}
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message())
	return append(dst, `,"errorType":"Meteor.Error"}`...)
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become the
// replacement character.
func appendString(dst []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	return ejson.AppendString(dst, s)
}

var errID = errors.New("ddp: not a document id")

// wireID writes a document id as on the wire (docs/wire/ddp.md A4).
func wireID(id any) (string, error) {
	switch v := id.(type) {
	case string:
		if len(v) > 0 && (v[0] == '-' || v[0] == '~' || v[0] == '{') || isHex24(v) {
			return "-" + v, nil
		}
		return v, nil
	case ejson.ObjectID:
		return string(v), nil
	case nil, bool, float64, int, int64:
		b, err := ejson.Append([]byte{'~'}, v)
		return string(b), err
	case ejson.Undefined:
		return "-", nil
	}
	return "", errID
}

func isHex24(s string) bool {
	if len(s) != 24 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
