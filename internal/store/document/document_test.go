package document_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

func kv(pairs ...any) bson.D {
	out := bson.D{}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return out
}

func encode(t testing.TB, v any) bson.Raw {
	t.Helper()
	raw, err := document.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestDates: what an old database may hold where a date belongs.
func TestDates(t *testing.T) {
	at := time.Date(2020, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for what, c := range map[string]struct {
		stored any
		want   time.Time
		broken bool
	}{
		"date":              {bson.NewDateTimeFromTime(at), at, false},
		"double":            {float64(at.UnixMilli()), at, false},
		"long":              {at.UnixMilli(), at, false},
		"null":              {nil, time.Time{}, false},
		"text":              {"2020-01-02", time.Time{}, true},
		"fraction":          {1.5, time.Time{}, true},
		"not a number":      {bson.D{}, time.Time{}, true},
		"beyond any date":   {1e300, time.Time{}, true},
		"finer than a date": {at.Add(999 * time.Microsecond), at, false},
	} {
		u, err := document.DecodeUser(encode(t, kv("_id", "u", "createdAt", c.stored)))
		switch {
		case c.broken && !errors.Is(err, document.ErrBroken):
			t.Errorf("%s: %v, want broken", what, err)
		case !c.broken && (err != nil || !u.CreatedAt.Equal(c.want) || u.CreatedAt.Location() != time.UTC):
			t.Errorf("%s: %v, %v", what, u, err)
		}
	}
}

func TestPlain(t *testing.T) {
	id, at := bson.NewObjectID(), time.UnixMilli(5).UTC()
	got := document.Plain(kv("d", kv("x", bson.A{int32(1), kv("y", nil)}), "at", bson.NewDateTimeFromTime(at), "id", id, "b", bson.Binary{Data: []byte{1}},
		"dec", bson.NewDecimal128(0, 7), "m", bson.M{"k": int32(2)}, "f", 1.5, "re", bson.Regex{Pattern: "p", Options: "i"}, "s", bson.Symbol("sym")))
	re := document.Plain(bson.Regex{Pattern: "p", Options: "i"})
	if _, isText := re.(string); !isText {
		t.Errorf("a regular expression is %#v, want text", re)
	}
	want := map[string]any{"d": map[string]any{"x": []any{int64(1), map[string]any{"y": nil}}}, "at": at, "id": id.Hex(), "b": []byte{1},
		"dec": bson.NewDecimal128(0, 7).String(), "m": map[string]any{"k": int64(2)}, "f": 1.5, "re": re, "s": "sym"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct{ stored, want any }{
		{int32(5), int64(5)}, {5.0, int64(5)}, {5.5, 5.5}, {true, true}, {"x", "x"}, {nil, nil}, {1e300, 1e300}, {bson.A{int32(1)}, []any{int64(1)}},
	} {
		got := document.DecodeSetting(encode(t, kv("_id", "s", "value", c.stored, "packageValue", 7, "_updatedAt", time.Now())))
		if got.Unreadable != nil || !cmp.Equal(got.Value, c.want) {
			t.Errorf("%#v became %#v, %v; want %#v", c.stored, got.Value, got.Unreadable, c.want)
		}
	}
	for id, c := range map[string]bson.Raw{
		"{}": encode(t, kv("_id", bson.D{})), "?": {5, 0, 0}, `{"$numberInt":"7"}`: encode(t, kv("_id", int32(7), "value", true)),
	} {
		if got := document.DecodeSetting(c); got.ID != id || got.Value != nil || !errors.Is(got.Unreadable, document.ErrBroken) {
			t.Errorf("%v became %+v", c, got)
		}
	}
	for _, moment := range []any{"today", bson.A{1}, true} { // what else stands beside a value does not make it another
		got := document.DecodeSetting(encode(t, kv("_id", "s", "value", int32(1), "_updatedAt", moment)))
		if got.ID != "s" || got.Value != int64(1) || got.Unreadable != nil || !got.UpdatedAt.IsZero() {
			t.Errorf("%v became %+v", moment, got)
		}
	}
}

// TestMergeChangesNothing: without a change the bytes stay, odd keys and all.
func TestMergeChangesNothing(t *testing.T) {
	raw := encode(t, kv("zz", bson.Regex{Pattern: "x"}, "_id", "u", "createdAt", time.Now(), "emails", bson.A{kv("address", "a", "verified", true, "odd", 1)},
		"services", kv("resume", kv("loginTokens", bson.A{kv("when", 5.0, "hashedToken", "h", "odd", bson.A{kv("k", 1)})}), "x", nil), "active", nil))
	u, err := document.DecodeUser(raw)
	if err != nil {
		t.Fatal(err)
	}
	got, err := document.Merge(raw, u, u)
	if err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%v became %v, %v", raw, got, err)
	}
}

// TestMergeFollowsElements: tokens keep their own unknown keys when others go.
func TestMergeFollowsElements(t *testing.T) {
	tok := func(hash, odd string) bson.D {
		return kv("when", time.UnixMilli(9), "hashedToken", hash, "odd", odd)
	}
	raw := encode(t, kv("_id", "u", "createdAt", time.UnixMilli(1), "services", kv("resume",
		kv("loginTokens", bson.A{tok("a", "1"), tok("b", "2"), kv("when", time.UnixMilli(7), "token", "clear", "odd", "3")}))))
	before, _ := document.DecodeUser(raw)
	after, _ := document.DecodeUser(raw)
	tokens := after.Services.Resume.LoginTokens
	tokens[1].TrustHash = "fp"
	tokens[2].Token, tokens[2].HashedToken = "", "upgraded"
	after.Services.Resume.LoginTokens = append(tokens[1:], user.LoginToken{HashedToken: "new"})
	got, err := document.Merge(raw, before, after)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Services struct {
			Resume struct {
				LoginTokens []struct {
					HashedToken, Token, Odd string
					Trust                   string `bson:"twoFactorAuthorizedHash"`
				} `bson:"loginTokens"`
			}
		}
	}
	if err := bson.Unmarshal(got, &d); err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, t := range d.Services.Resume.LoginTokens {
		out += t.Odd + t.Trust + t.Token + " "
	}
	if out != "2fp 3 "+" " || len(d.Services.Resume.LoginTokens) != 3 {
		t.Errorf("elements are %q: %v", out, got)
	}
}

// TestMergeIsTheChange: on a document without odd keys the result decodes to
// exactly the new value.
func TestMergeIsTheChange(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) *user.User {
		u := &user.User{ID: "u", CreatedAt: time.UnixMilli(1).UTC(), Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name")}
		u.Emails = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) user.Email {
			return user.Email{Address: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "a"), Verified: rapid.Bool().Draw(t, "v")}
		}), 0, 3).Draw(t, "emails")
		u.Roles = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 3).Draw(t, "roles")
		if rapid.Bool().Draw(t, "totp") {
			u.Services.TOTP = &user.TOTP{Enabled: rapid.Bool().Draw(t, "on"), HashedBackup: rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3"}), 0, 3).Draw(t,
				"codes")}
		}
		if rapid.Bool().Draw(t, "profile") {
			u.Profile = map[string]any{"k": rapid.SampledFrom([]any{"s", int64(1), map[string]any{"a": true}, []any{"x"}}).Draw(t, "value")}
		}
		return u
	})
	rapid.Check(t, func(rt *rapid.T) {
		raw := encode(t, gen.Draw(rt, "before"))
		before, err := document.DecodeUser(raw)
		if err != nil {
			rt.Fatal(err)
		}
		want := gen.Draw(rt, "after")
		merged, err := document.Merge(raw, before, want)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := document.DecodeUser(merged)
		if err != nil {
			rt.Fatal(err)
		}
		wanted, err := document.DecodeUser(encode(t, want))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// FuzzDecodeUser: any bytes are a user or an error, and what is read can be
// merged and written.
func FuzzDecodeUser(f *testing.F) {
	f.Add([]byte(encode(f, kv("_id", "u", "createdAt", time.Now(), "services", kv("resume", kv("loginTokens", bson.A{kv("when", 1.0)}))))))
	f.Add([]byte(encode(f, &user.User{ID: "u", Services: user.Services{FactorFields: user.FactorFields{TOTP: &user.TOTP{LastStep: 5}}}})))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, err := document.DecodeUser(raw)
		if err != nil {
			if !errors.Is(err, document.ErrBroken) {
				t.Fatal(err)
			}
			return
		}
		after, err := document.DecodeUser(raw)
		if err != nil {
			t.Fatal(err)
		}
		after.Name += "x"
		merged, err := document.Merge(raw, u, after)
		if err != nil {
			return // decodes leniently, but is no document: an error is right
		}
		if again, err := document.DecodeUser(merged); err != nil || again.Name != after.Name {
			t.Fatalf("%q, %v; want %q", again.Name, err, after.Name)
		}
	})
}
