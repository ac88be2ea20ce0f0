package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// atoms are values that other programs, and hostile ones, may keep anywhere.
var atoms = map[string]any{
	"a text": "x", "an empty text": "", "a number": 7.5, "a negative number": int64(-3), "a huge number": int64(1) << 60, "yes": true, "null": nil,
	"a date": bson.DateTime(5), "an id": bson.ObjectID{1}, "bytes": bson.Binary{Data: []byte{1, 2}}, "an empty list": bson.A{},
	"a list": bson.A{"x", 1.5, nil, bson.A{}}, "an empty document": bson.D{}, "a document": bson.D{{Key: "id", Value: bson.A{1}}, {Key: "", Value: 1}},
	"a decimal": bson.Decimal128{}, "a long text": strings.Repeat("A", 3000),
	"a huge key": bson.Binary{Data: bytes.Repeat([]byte{0xa4}, 65_000)},
}

// foreignKeys are shapes of services.webauthn: ours with each atom in the place of the whole,
// of each member, of a key and of each member of a key. counts says how many keys of it must
// count; -1 is whichever, for members that a key can do without.
func foreignKeys(t *testing.T) (shapes []foreignShape) {
	ours := func() bson.D {
		w := &user.WebAuthn{Handle: "handle", SecondFactor: true, Keys: []user.Passkey{key("k", 3)}, ChangedAt: epoch,
			Spent: []user.SpentChallenge{{ID: "c", Until: epoch}}, SpentBefore: epoch}
		w.Keys[0].BackedUp, w.Keys[0].AAGUID, w.Keys[0].Format, w.Keys[0].LastUsedAt = true, "a", "none", epoch
		raw := must[bson.Raw](t)(document.Encode(w))
		var d bson.D
		ok(t, bson.Unmarshal(raw, &d))
		return d
	}
	set := func(d bson.D, key string, v any) bson.D {
		for i := range d {
			if d[i].Key == key {
				d[i].Value = v
				return d
			}
		}
		t.Fatalf("a document of ours has no %s", key)
		return nil
	}
	list := func(d bson.D, members ...any) bson.D { return set(d, "credentials", bson.A(members)) }
	first := func(d bson.D) bson.D {
		for _, e := range d {
			if e.Key == "credentials" {
				return e.Value.(bson.A)[0].(bson.D)
			}
		}
		return nil
	}
	needed := map[string]bool{"userHandle": true, "credentials": true, "id": true, "publicKey": true}
	add := func(name string, v any, counts int) {
		shapes = append(shapes, foreignShape{name, v, counts, name == "a huge number for spentBefore"})
	}
	for name, atom := range atoms {
		fits := 0 // a text can be a handle or an id: nobody can tell it from one
		if text, is := atom.(string); is && text != "" && len(text) < 80 {
			fits = -1
		}
		add(name, atom, 0)
		add(name+" among the keys", list(ours(), atom, first(ours()), atom), 1)
		for _, e := range ours() {
			counts := -1
			if needed[e.Key] {
				counts = 0
			}
			if e.Key == "userHandle" {
				counts = fits
			}
			add(name+" for "+e.Key, set(ours(), e.Key, atom), counts)
		}
		for _, e := range first(ours()) {
			counts := -1
			if needed[e.Key] {
				counts = 0
			}
			if e.Key == "id" {
				counts = fits
			}
			add(name+" for "+e.Key+" of a key", list(ours(), set(first(ours()), e.Key, atom)), counts)
			if needed[e.Key] {
				add(name+" for "+e.Key+" of another key", list(ours(), set(set(first(ours()), "id", "other"), e.Key, atom), first(ours())), -2)
			}
		}
	}
	return shapes
}

// foreignShape is a value of services.webauthn. counts is how many keys of it count: -1 is 0 or
// 1, -2 one or two. late says that every challenge is taken for one that was spent.
type foreignShape struct {
	name   string
	value  any
	counts int
	late   bool
}

func (f foreignShape) right(n int) bool {
	return n == f.counts || f.counts == -1 && n <= 1 || f.counts == -2 && (n == 1 || n == 2)
}

// testForeignPasskeys: whatever stands where passkeys do, the account is read, logged in to
// and changed as any other, what is no key counts as none, what is not understood stays as
// it is, and a key can be added beside it.
func testForeignPasskeys(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	shapes := foreignKeys(t)
	for i, f := range shapes {
		id := fmt.Sprint("f", i)
		db.Plant(t, bson.D{{Key: "_id", Value: id}, {Key: "createdAt", Value: epoch}, {Key: "services", Value: bson.D{
			{Key: "password", Value: bson.D{{Key: "bcrypt", Value: "b"}}}, {Key: "webauthn", Value: f.value},
			{Key: "totp", Value: bson.D{{Key: "enabled", Value: true}, {Key: "secret", Value: "s"}, {Key: "hashedBackup", Value: bson.A{"x"}}}},
		}}})
		before := lookup(db.Raw(t, id), "services.webauthn")
		if err := s.UseTOTPStep(ctx, id, "s", 1); err != nil {
			t.Errorf("%s: a code: %v", f.name, err)
		}
		u, err := s.UpdateUser(ctx, id, user.Change{AddToken: ptr(session("t-" + id)), At: epoch})
		if err != nil {
			t.Errorf("%s: a login: %v", f.name, err)
			continue
		}
		if n := len(u.Passkeys()); !f.right(n) || u.PasswordHash() != "b" || !u.TOTPEnabled() || u.PasskeysEnabled() && n == 0 {
			t.Errorf("%s: %d keys count, enabled: %v", f.name, n, u.PasskeysEnabled())
		}
		if after := lookup(db.Raw(t, id), "services.webauthn"); !after.Equal(before) {
			t.Errorf("%s: was changed to %v", f.name, after)
		}
		count := len(u.Passkeys())
		u = must[*user.User](t)(s.UpdateUser(ctx, id, user.Change{Factor: user.AddPasskey(key("new", 0), fmt.Sprint("h", i), epoch), At: epoch}))
		// A handle that is none is replaced, and then its keys count.
		if n := len(u.Passkeys()); u.Passkey("new") == nil || !u.PasskeysEnabled() || n < count+1 {
			t.Errorf("%s: %d keys after one was added to %d", f.name, n, count)
		}
		found, err := s.UserByPasskeys(ctx, u.PasskeyHandle())
		if err != nil || u.PasskeyHandle() != "handle" && found.ID != id {
			t.Errorf("%s: not found by its key: %v", f.name, err)
		}
		if err := s.UsePasskey(ctx, id, used("new", 1, "n", epoch.Add(time.Hour))); (err != nil) != f.late {
			t.Errorf("%s: the key that was added: %v", f.name, err)
		}
		ok(t, s.DeleteUser(ctx, id, true))
	}
	if len(shapes) < 350 {
		t.Errorf("only %d shapes", len(shapes))
	}
	// What is ours not to know survives beside what we change.
	odd, note := bson.D{{Key: "id", Value: 5}, {Key: "note", Value: "kept"}}, bson.E{Key: "note", Value: "mine"}
	one := append(must[bson.D](t)(bsonOf(key("k", 0))), note)
	db.Plant(t, bson.D{{Key: "_id", Value: "odd"}, {Key: "createdAt", Value: epoch}, {Key: "services", Value: bson.D{{Key: "webauthn", Value: bson.D{
		{Key: "userHandle", Value: "own"}, {Key: "credentials", Value: bson.A{odd, one, "text"}}, note}}}}})
	ok(t, s.UsePasskey(ctx, "odd", used("k", 5, "c", epoch)))
	must[*user.User](t)(s.UpdateUser(ctx, "odd", user.Change{Factor: user.AddPasskey(key("new", 0), "h", epoch), At: epoch}))
	raw := db.Raw(t, "odd")
	for path, want := range map[string]string{
		"services.webauthn.note": "mine", "services.webauthn.credentials.0.note": "kept", "services.webauthn.credentials.1.note": "mine",
		"services.webauthn.credentials.2": "text", "services.webauthn.credentials.3.id": "new",
	} {
		if got, _ := lookup(raw, path).StringValueOK(); got != want {
			t.Errorf("%s is %q, want %q: %v", path, got, want, raw)
		}
	}
	if n, _ := lookup(raw, "services.webauthn.credentials.1.counter").AsInt64OK(); n != 5 {
		t.Errorf("the counter is %d: %v", n, raw)
	}
}

func bsonOf(v any) (d bson.D, err error) {
	raw, err := document.Encode(v)
	if err == nil {
		err = bson.Unmarshal(raw, &d)
	}
	return d, err
}
