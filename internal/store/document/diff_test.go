package document_test

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		old, new   bson.D
		set, unset bson.D
	}{
		"nothing": {kv("a", 1, "b", kv("c", 2)), kv("b", kv("c", 2), "a", 1), kv(), kv()},
		"a value": {kv("a", 1, "b", 2), kv("a", 3, "b", 2), kv("a", 3), kv()},
		"a type":  {kv("a", int32(1)), kv("a", int64(1)), kv("a", int64(1)), kv()},
		"deep": {kv("a", kv("b", kv("c", 1, "d", 2), "e", 3)), kv("a", kv("b", kv("c", 1, "d", 5), "f", 4)), kv("a.b.d", 5, "a.f", 4),
			kv("a.e", true)},
		"a new document":            {kv(), kv("a", kv("b", 1)), kv("a", kv("b", 1)), kv()},
		"a document goes":           {kv("a", kv("b", 1)), kv(), kv(), kv("a", true)},
		"all members go":            {kv("a", kv("b", 1)), kv("a", kv()), kv(), kv("a.b", true)},
		"a value becomes one":       {kv("a", 1), kv("a", kv("b", 1)), kv("a", kv("b", 1)), kv()},
		"arrays whole":              {kv("a", bson.A{kv("b", 1), 2}), kv("a", bson.A{kv("b", 3), 2}), kv("a", bson.A{kv("b", 3), 2}), kv()},
		"a key with a dot":          {kv("a", kv("b", kv("c.d", 1, "e", 2))), kv("a", kv("b", kv("c.d", 1, "e", 3))), kv("a.b", kv("c.d", 1, "e", 3)), kv()},
		"an operator's name":        {kv("a", kv("b", 1)), kv("a", kv("$set", 1)), kv("a", kv("$set", 1)), kv()},
		"a key without a character": {kv("a", kv("", 1)), kv("a", kv("", 2)), kv("a", kv("", 2)), kv()},
	} {
		set, unset, err := document.Diff(encode(t, c.old), encode(t, c.new))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := encode(t, bson.D{{Key: "set", Value: append(bson.D{}, set...)}, {Key: "unset", Value: append(bson.D{}, unset...)}}),
			encode(t, bson.D{{Key: "set", Value: c.set}, {Key: "unset", Value: c.unset}}); got.String() != want.String() {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if _, _, err := document.Diff(bson.Raw{5, 0, 0}, encode(t, bson.D{})); err == nil {
		t.Error("half a document has a difference")
	}
}

func TestKeys(t *testing.T) {
	keys := document.Keys[user.User]()
	for _, want := range []string{"_id", "createdAt", "active", "services", "ddpEmailKeys"} {
		if !slices.Contains(keys, want) {
			t.Errorf("%v lacks %s", keys, want)
		}
	}
	type inner struct {
		A int
		B int `bson:"other,omitempty"`
	}
	type outer struct {
		inner `bson:",inline"`

		Skipped int `bson:"-"`
		hidden  int
	}
	_ = outer{}.hidden
	if got := document.Keys[outer](); !slices.Equal(got, []string{"a", "other"}) {
		t.Errorf("keys %v", got)
	}
}
