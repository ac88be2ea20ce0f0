package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/secret"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/user"
)

func newKey(t testing.TB) *secret.Key {
	t.Helper()
	return must[*secret.Key](t)(secret.NewKey(secret.Generate()))
}

// sealedData makes one text of every kind, sealed with key, and returns a
// function that tells how many of them a key opens.
func sealedData(t testing.TB, s Core, key *secret.Key, kinds ...serverkey.Kind) (opens func(*secret.Key) int) {
	t.Helper()
	ctx := t.Context()
	for _, k := range kinds {
		switch k {
		case serverkey.TOTPSecret:
			create(t, s, "app", func(u *user.User) {
				u.Services.TOTP = &user.TOTP{Enabled: true, Secret: key.Seal(secret.PurposeTOTP, "app", "SECRET")}
			})
		case serverkey.TOTPPending:
			create(t, s, "enrolling", func(u *user.User) {
				u.Services.TOTP = &user.TOTP{TempSecret: key.Seal(secret.PurposeTOTP, "enrolling", "PENDING"), TempAt: epoch}
			})
		case serverkey.Mail:
			ok(t, s.PutMail(ctx, mail.Item{ID: "mail", Sealed: key.Seal(secret.PurposeMail, "mail", "LETTER"), NotBefore: epoch, Expire: epoch.Add(time.Hour),
				CreatedAt: epoch}, 10))
		}
	}
	create(t, s, "plain", func(u *user.User) { u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "JBSWY3DPEHPK3PXP"} })
	return func(k *secret.Key) (n int) {
		for _, kind := range serverkey.Kinds() {
			page, next, err := s.SealedTexts(ctx, kind, "")
			if err != nil || next != "" {
				t.Fatal(next, err)
			}
			for _, it := range page {
				for _, purpose := range []string{secret.PurposeTOTP, secret.PurposeMail} {
					if _, err := k.Open(purpose, it.ID, it.Sealed); err == nil {
						n++
					}
				}
			}
		}
		return n
	}
}

// The check value is written once, and from then on decides; where data of before
// check values is there, that decides, whatever kind it is.
func testServerKey(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	key, other := newKey(t), newKey(t)
	if got := must[string](t)(s.KeyCheck(ctx)); got != "" {
		t.Fatalf("a new store has the check value %q", got)
	}
	fails(t, s.SetKeyCheck(ctx, "x", "y"), dberr.Conflict)
	if pending := must[bool](t)(serverkey.Check(ctx, s, key)); pending {
		t.Error("a new store waits for a rotation")
	}
	stored := must[string](t)(s.KeyCheck(ctx))
	fails(t, s.SetKeyCheck(ctx, "", "y"), dberr.Conflict)
	fails(t, s.SetKeyCheck(ctx, "x", "y"), dberr.Conflict)
	for _, wrong := range []*secret.Key{other, other.WithOld(newKey(t))} {
		fails(t, checked(t, s, wrong), serverkey.ErrOtherKey)
	}
	if _, err := serverkey.Check(ctx, s, key); err != nil || must[string](t)(s.KeyCheck(ctx)) != stored {
		t.Errorf("the right key: %v, or the check value has changed", err)
	}
	if pending := must[bool](t)(serverkey.Check(ctx, s, other.WithOld(key))); !pending {
		t.Error("no rotation is due with the old key beside a new one")
	}
	if won := race(t, func(i int) error { return s.SetKeyCheck(ctx, stored, fmt.Sprint("v1.x.", i)) }, dberr.Conflict); won != 1 {
		t.Errorf("%d writers replaced the check value", won)
	}
}

func testServerKeyOfOldData(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	key, other := newKey(t), newKey(t)
	opens := sealedData(t, s, key, serverkey.Mail)
	if n := opens(key); n != 1 {
		t.Fatalf("%d texts can be opened", n)
	}
	fails(t, checked(t, s, other), serverkey.ErrOtherKey)
	if got := must[string](t)(s.KeyCheck(ctx)); got != "" {
		t.Error("a refused key left a check value")
	}
	ok(t, checked(t, s, key))
	fails(t, checked(t, s, other), serverkey.ErrOtherKey)
}

// A first start with both keys on data of before check values vouches for the old
// one, whatever is sealed: the new key alone would be let in and open nothing.
func testServerKeysOfOldData(kind serverkey.Kind) func(*testing.T, Database) {
	return func(t *testing.T, db Database) {
		s, ctx := open(t, db), t.Context()
		key, next := newKey(t), newKey(t)
		opens := sealedData(t, s, key, kind)
		if !must[bool](t)(serverkey.Check(ctx, s, next.WithOld(key))) {
			t.Error("no rotation is due, though everything is sealed with the old key")
		}
		fails(t, checked(t, s, next), serverkey.ErrOtherKey)
		ok(t, checked(t, s, key))
		must[serverkey.Report](t)(serverkey.Rotate(ctx, s, next.WithOld(key)))
		ok(t, checked(t, s, next))
		if n := opens(next); n != 1 {
			t.Errorf("the new key opens %d texts after the rotation", n)
		}
	}
}

// interrupted is a store whose n-th change is cut off, before or after it happened.
type interrupted struct {
	serverkey.Store
	left  int
	after bool
}

var errCut = errors.New("cut off")

func (s *interrupted) cut(change func() error) error {
	if s.left--; s.left == 0 {
		if s.after {
			_ = change()
		}
		return errCut
	}
	if s.left < 0 {
		return errCut // the process is dead
	}
	return change()
}

func (s *interrupted) Reseal(ctx context.Context, k serverkey.Kind, id, old, sealed string) error {
	return s.cut(func() error { return s.Store.Reseal(ctx, k, id, old, sealed) })
}

func (s *interrupted) SetKeyCheck(ctx context.Context, old, sealed string) error {
	return s.cut(func() error { return s.Store.SetKeyCheck(ctx, old, sealed) })
}

// A rotation that is cut off at any change loses nothing: with both keys
// everything opens, the new key alone is refused until the end, and starting again
// finishes. Digests of before are known for ever.
func testRotation(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	key := newKey(t)
	opens := sealedData(t, s, key, serverkey.Kinds()...)
	all := len(serverkey.Kinds())
	first := key.Digest("a code")
	ok(t, checked(t, s, key))
	for _, after := range []bool{false, true} {
		for at := 1; at <= all+1; at++ {
			next := newKey(t)
			both := next.WithOld(key)
			_, err := serverkey.Rotate(ctx, &interrupted{Store: s, left: at, after: after}, both)
			fails(t, err, errCut)
			if n := opens(both); n != all {
				t.Fatalf("cut at change %d: %d of %d texts can be opened", at, n, all)
			}
			finished := after && at == all+1
			if _, err := serverkey.Check(ctx, s, next); finished != (err == nil) {
				t.Fatalf("cut at change %d: the new key alone: %v", at, err)
			}
			r, err := serverkey.Rotate(ctx, s, both)
			ok(t, err)
			if n := opens(next); n != all || r.Unreadable != 0 {
				t.Fatalf("cut at change %d: the new key opens %d of %d, %+v", at, n, all, r)
			}
			if again := must[serverkey.Report](t)(serverkey.Rotate(ctx, s, both)); !again.Done || again.Resealed != 0 {
				t.Errorf("a rotation after the last one: %+v", again)
			}
			ok(t, checked(t, s, next))
			fails(t, checked(t, s, key), serverkey.ErrOtherKey)
			key = next
		}
	}
	known := false
	for _, d := range key.Digests("a code") {
		known = known || d == first
	}
	if !known || key.Digest("a code") == first {
		t.Error("a code of before the rotations is not known any more")
	}
	page, _, err := s.SealedTexts(ctx, serverkey.TOTPSecret, "")
	ok(t, err)
	for _, it := range page {
		if it.ID == "plain" && it.Sealed != "JBSWY3DPEHPK3PXP" {
			t.Error("a plain secret was touched")
		}
	}
}

// checked is the error of a check.
func checked(t testing.TB, s Core, key *secret.Key) error {
	t.Helper()
	_, err := serverkey.Check(t.Context(), s, key)
	return err
}
