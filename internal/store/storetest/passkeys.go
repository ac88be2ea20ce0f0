package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// PublicKey is one on P-256 in COSE: only what is a public key counts as a passkey.
var PublicKey = slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, make([]byte, 32), []byte{0x22, 0x58, 32}, make([]byte, 32))

// key is a passkey of a test.
func key(id string, counter int64) user.Passkey {
	return user.Passkey{ID: id, PublicKey: PublicKey, Counter: counter, Transports: []string{"usb", "nfc"}, DeviceType: user.SingleDevice, UserVerified: true,
		Name: "key " + id, CreatedAt: epoch, RPID: "example.com"}
}

// used is an answer of it.
func used(id string, counter int64, challenge string, at time.Time) user.PasskeyUse {
	return user.PasskeyUse{ID: id, PublicKey: PublicKey, Counter: counter, BackedUp: true, Challenge: challenge, At: at, Until: at.Add(2 * time.Minute)}
}

// testPasskeys: an account is found by its handle as long as it has a key, and a key
// answers each challenge once, with a count that goes forward.
func testPasskeys(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "ann", withTokens(session("h")))
	create(t, s, "bob")
	fails(t, s.UsePasskey(ctx, "ann", used("k", 1, "c", epoch)), dberr.Conflict)
	fails(t, s.UsePasskey(ctx, "nobody", used("k", 1, "c", epoch)), dberr.NotFound)
	if _, err := s.UserByPasskeys(ctx, "handle"); err != dberr.NotFound {
		t.Errorf("a handle that nobody has: %v", err)
	}
	change := func(do func(*user.Services)) {
		t.Helper()
		must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{Factor: do, At: epoch}))
	}
	change(user.AddPasskey(key("k", 0), "handle", epoch))
	change(user.AddPasskey(key("l", 7), "ignored", epoch))
	if u, err := s.UserByPasskeys(ctx, "handle"); err != nil || u.ID != "ann" || len(u.Passkeys()) != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	if u, err := s.UserByPasskeys(ctx, ""); err != dberr.NotFound {
		t.Errorf("no handle finds %+v, %v", u, err)
	}
	if counted(t, s, user.TraitPasskeys) != 1 || counted(t, s, user.PartyTrait("example.com")) != 1 || counted(t, s, user.PartyTrait("other.org")) != 0 {
		t.Error("not counted")
	}
	ok(t, s.UsePasskey(ctx, "ann", used("k", 1, "c", epoch)))
	fails(t, s.UsePasskey(ctx, "ann", used("k", 2, "c", epoch)), dberr.Conflict)
	fails(t, s.UsePasskey(ctx, "ann", used("l", 8, "c", epoch)), dberr.Conflict)
	fails(t, s.UsePasskey(ctx, "ann", used("k", 1, "d", epoch)), dberr.Duplicate)
	fails(t, s.UsePasskey(ctx, "ann", used("l", 0, "d", epoch)), dberr.Duplicate)
	fails(t, s.UsePasskey(ctx, "ann", used("m", 9, "d", epoch)), dberr.Conflict)
	ok(t, s.UsePasskey(ctx, "ann", used("l", 8, "d", epoch)))
	u := get(t, s, "ann")
	if k := u.Passkey("k"); k.Counter != 1 || !k.BackedUp ||
		!k.LastUsedAt.Equal(epoch.Truncate(time.Millisecond)) || k.Name != "key k" || fmt.Sprint(k.Transports) != "[usb nfc]" {
		t.Errorf("%+v", k)
	}
	if n := len(u.Services.WebAuthn.Spent); n != 2 {
		t.Errorf("%d challenges are spent", n)
	}
	ok(t, s.UsePasskey(ctx, "ann", used("k", 2, "e", epoch.Add(3*time.Minute))))
	fails(t, s.UsePasskey(ctx, "ann", used("k", 3, "c", epoch)), dberr.Conflict)
	// What needs the password proves nothing without it, nor beside another one.
	hash := "hash"
	must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{Bcrypt: &hash, Factor: user.SuspendPasskeys(epoch), At: epoch}))
	for i, password := range []string{"", "another", hash, ""} {
		use := used("k", int64(3+i), fmt.Sprint("p", i), epoch.Add(4*time.Minute))
		use.Password = password
		if err := s.UsePasskey(ctx, "ann", use); (err == nil) != (i > 1) || i < 2 && !errors.Is(err, dberr.Conflict) {
			t.Errorf("use %d of a key that needs the password: %v", i, err)
		}
	}
	if u := get(t, s, "ann"); u.Passkey("k").NeedsPassword || !u.Passkey("l").NeedsPassword {
		t.Errorf("%+v", u.Passkeys())
	}
	change(user.RemovePasskey("k", epoch))
	change(user.RemovePasskey("l", epoch))
	if _, err := s.UserByPasskeys(ctx, "handle"); err != dberr.NotFound {
		t.Errorf("found without a key: %v", err)
	}
	fails(t, s.UsePasskey(ctx, "ann", used("k", 4, "f", epoch.Add(time.Hour))), dberr.Conflict)
}

// testRacesOnPasskeys: of a crowd of answers to one challenge one counts, two hundred
// times, and a counter goes forward for as many as it says.
func testRacesOnPasskeys(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	nodes := []Core{s, s}
	if db.Shared() {
		nodes[1] = open(t, db)
	}
	create(t, s, "ann")
	must[*user.User](t)(s.UpdateUser(ctx, "ann", user.Change{Factor: user.AddPasskey(key("k", 0), "handle", epoch), At: epoch}))
	for round := range 200 {
		at := epoch.Add(time.Duration(round) * 10 * time.Second)
		results := make(chan error, 2)
		for _, node := range nodes {
			go func() { results <- node.UsePasskey(ctx, "ann", used("k", 0, fmt.Sprint("c", round), at)) }()
		}
		one, two := <-results, <-results
		if (one == nil) == (two == nil) {
			t.Fatalf("round %d: %v and %v", round, one, two)
		}
	}
	if won := race(t, func(i int) error {
		return s.UsePasskey(ctx, "ann", used("k", int64(i+1), fmt.Sprint("d", i), epoch.Add(time.Hour)))
	}, dberr.Duplicate); won < 1 {
		t.Error("none went forward")
	}
	if got := get(t, s, "ann").Passkey("k").Counter; got != crowd {
		t.Errorf("the counter is %d, want %d", got, crowd)
	}
}
