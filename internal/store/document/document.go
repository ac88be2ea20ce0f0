// Package document turns stored BSON into the domain's values and back. Both
// stores keep the same documents, so that a dump of one can be loaded into the
// other and an existing Meteor or Rocket.Chat database can be adopted.
//
// It keeps what it does not know: Merge changes a stored document only where
// the typed value changed. It performs no I/O and decides nothing.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// ErrBroken wraps every failure to understand a stored document: a wrong BSON
// type, a truncated document. The text names keys and types, never values.
var ErrBroken = dberr.Broken

// registry is the driver's with two additions: dates that old databases keep as
// floating-point numbers of milliseconds (docs/wire/ddp.md D6), and what other programs
// keep where passkeys stand.
var registry = func() *bson.Registry {
	r := newRegistry()
	r.RegisterTypeDecoder(reflect.TypeFor[user.WebAuthn](), bson.ValueDecoderFunc(decodePasskeys))
	return r
}()

func newRegistry() *bson.Registry {
	r := bson.NewRegistry()
	r.RegisterTypeDecoder(reflect.TypeFor[time.Time](), bson.ValueDecoderFunc(decodeTime))
	return r
}

func decodeTime(_ bson.DecodeContext, vr bson.ValueReader, val reflect.Value) error {
	var t time.Time
	switch vr.Type() {
	case bson.TypeDateTime:
		ms, err := vr.ReadDateTime()
		if err != nil {
			return err
		}
		t = time.UnixMilli(ms).UTC()
	case bson.TypeInt64:
		ms, err := vr.ReadInt64()
		if err != nil {
			return err
		}
		t = time.UnixMilli(ms).UTC()
	case bson.TypeDouble:
		ms, err := vr.ReadDouble()
		if err != nil {
			return err
		}
		if ms != math.Trunc(ms) || math.Abs(ms) > 8.64e15 { // the range of a JavaScript date
			return errors.New("number is not a date")
		}
		t = time.UnixMilli(int64(ms)).UTC()
	case bson.TypeNull:
		if err := vr.ReadNull(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot read %v as a date", vr.Type())
	}
	val.Set(reflect.ValueOf(t))
	return nil
}

// Encode writes v as BSON. Dates lose what is finer than a millisecond.
func Encode(v any) (bson.Raw, error) {
	raw, err := bson.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return raw, nil
}

// Fields is a value as its stored fields, in the order of its type.
func Fields(v any) (fields bson.D, err error) {
	raw, err := Encode(v)
	if err == nil {
		err = bson.Unmarshal(raw, &fields)
	}
	return fields, err
}

// Decode reads raw into v, a pointer to a struct with bson tags; members for
// which raw has no key keep their value if it is read at the first try and are
// zero otherwise. Any failure, a panic of the decoder included, is ErrBroken.
func Decode(raw bson.Raw, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrBroken, p)
		}
	}()
	if bson.Unmarshal(raw, v) == nil {
		return nil
	}
	// Again for what the driver does not accept. Only this reader takes a
	// registry; it believes every length it reads, hence Validate.
	if err := raw.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	reflect.ValueOf(v).Elem().SetZero()
	d := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(raw)))
	d.SetRegistry(registry)
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

// DecodeUser reads a user document. Profile and CustomFields hold plain Go
// values (see Plain), and a second factor of Meteor's is one of ours (AdoptFactor).
func DecodeUser(raw bson.Raw) (*user.User, error) {
	u, err := StoredUser(raw)
	if err == nil {
		AdoptFactor(u)
	}
	return u, err
}

// StoredUser is DecodeUser without AdoptFactor: what Merge compares with.
func StoredUser(raw bson.Raw) (*user.User, error) {
	u := new(user.User)
	if err := Decode(raw, u); err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	if u.ID == "" {
		return nil, fmt.Errorf("user: %w: no id", ErrBroken)
	}
	u.Profile = PlainFields(u.Profile)
	u.CustomFields = PlainFields(u.CustomFields)
	return u, nil
}

// DecodeTokens reads of a user document what accounts.Store TokenOwners shows; much
// else may be broken.
func DecodeTokens(raw bson.Raw) (*user.User, error) {
	var d struct {
		ID       string `bson:"_id"`
		Username string `bson:"username"`
		Name     string `bson:"name"`
		Active   *bool  `bson:"active"`
		Services struct {
			Resume *user.Resume `bson:"resume"`
		} `bson:"services"`
	}
	if err := Decode(raw, &d); err != nil {
		return nil, fmt.Errorf("login tokens: %w", err)
	}
	return &user.User{ID: d.ID, Username: d.Username, Name: d.Name, Active: d.Active, Services: user.Services{Resume: d.Services.Resume}}, nil
}

// Milli is a time as documents keep it: UTC, whole milliseconds.
func Milli(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// DecodeSetting reads a stored setting. Its value is bool, int64 or string;
// whole numbers of any BSON type become int64, everything else what Plain makes of it.
// Only the value matters: one whose moment cannot be read has none. What cannot be read
// says so, under the id that it seems to have.
func DecodeSetting(raw bson.Raw) settings.Stored {
	var s settings.Stored
	err := Decode(raw, &s)
	if err != nil {
		var bare struct {
			ID    string `bson:"_id"`
			Value any    `bson:"value"`
		}
		if Decode(raw, &bare) == nil {
			s, err = settings.Stored{ID: bare.ID, Value: bare.Value}, nil
		}
	}
	if err != nil {
		id, lookErr := raw.LookupErr("_id")
		s = settings.Stored{ID: "?", Unreadable: err}
		if text, is := id.StringValueOK(); lookErr == nil && is {
			s.ID = text
		} else if lookErr == nil {
			s.ID = id.String()
		}
		return s
	}
	s.Value = Plain(s.Value)
	if f, ok := s.Value.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		s.Value = int64(f)
	}
	return s
}

// Plain turns decoded BSON into map[string]any, []any, time.Time, []byte and Go
// scalars. Object ids become their hex text; types that neither EJSON nor
// Go knows become their text. The result is for reading: Merge never writes it
// back where nothing changed.
func Plain(v any) any {
	switch v := v.(type) {
	case bson.D:
		m := make(map[string]any, len(v))
		for _, e := range v {
			m[e.Key] = Plain(e.Value)
		}
		return m
	case bson.M:
		return PlainFields(v)
	case map[string]any:
		return PlainFields(v)
	case bson.A:
		return plainList(v)
	case []any:
		return plainList(v)
	case bson.DateTime:
		return v.Time().UTC()
	case bson.Binary:
		return v.Data
	case bson.ObjectID:
		return v.Hex()
	case int32:
		return int64(v)
	case bson.Decimal128:
		return v.String()
	case bson.Symbol:
		return string(v)
	case nil, bool, int64, float64, string, time.Time, []byte:
		return v
	}
	return fmt.Sprint(v)
}

// PlainFields is Plain for the members of an object, nil for nil.
func PlainFields(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = Plain(v)
	}
	return out
}

func plainList(l []any) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = Plain(v)
	}
	return out
}
