package document

import (
	"reflect"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/user"
)

// Passkeys stand under a name that other programs write, too, in shapes of their own.
// What cannot be read there is no passkey, and no reason to keep the account from its
// password and its codes, so these decoders never fail: a list keeps its length, and a
// member of it that is not ours is empty, which is how Merge finds the others.
// They run at the second try only (Decode), so that no document of ours pays for it.

// plainRegistry reads what the driver's reads, and dates that are numbers.
var plainRegistry = newRegistry()

func decodePasskeys(dc bson.DecodeContext, vr bson.ValueReader, val reflect.Value) error {
	raw, err := rawValue(dc, vr)
	if err != nil {
		return err
	}
	var w user.WebAuthn
	doc, _ := raw.DocumentOK()
	elements, err := doc.Elements()
	if err != nil {
		elements = nil
	}
	for _, e := range elements {
		switch key, value := e.Key(), e.Value(); {
		case readsMember(key, value, &w):
		case key == "secondFactorEnabled":
			// Somebody wrote that there is more to it than yes or no: the keys that can
			// be read are asked for.
			w.SecondFactor = true
		default:
			if list, ok := readableList(key, value); ok {
				readsMember(key, list, &w)
			}
		}
	}
	val.Set(reflect.ValueOf(w))
	return nil
}

// readsMember reads one member into w, which stays as it is when that fails.
func readsMember(key string, value bson.RawValue, w *user.WebAuthn) bool {
	doc, err := bson.Marshal(bson.D{{Key: key, Value: value}})
	if err != nil {
		return false
	}
	read := *w
	if (bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}).UnmarshalWithRegistry(plainRegistry, &read) != nil {
		return false
	}
	*w = read
	return true
}

// readableList is a list in which what cannot be read is an empty document.
func readableList(key string, value bson.RawValue) (list bson.RawValue, ok bool) {
	array, ok := value.ArrayOK()
	if !ok {
		return list, false
	}
	values, err := array.Values()
	if err != nil {
		return list, false
	}
	members := make(bson.A, len(values))
	for i, v := range values {
		members[i] = bson.D{}
		one, err := bson.Marshal(bson.D{{Key: "v", Value: bson.A{v}}})
		if err == nil && readsMember(key, bson.Raw(one).Lookup("v"), new(user.WebAuthn)) {
			members[i] = v
		}
	}
	all, err := bson.Marshal(bson.D{{Key: "v", Value: members}})
	return bson.Raw(all).Lookup("v"), err == nil
}

// rawValue takes the next value as it stands.
func rawValue(dc bson.DecodeContext, vr bson.ValueReader) (raw bson.RawValue, err error) {
	d, err := dc.LookupDecoder(reflect.TypeFor[bson.RawValue]())
	if err == nil {
		err = d.DecodeValue(dc, vr, reflect.ValueOf(&raw).Elem())
	}
	return raw, err
}
