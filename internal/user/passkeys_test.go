package user

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func withKey(counter int64) *WebAuthn {
	return &WebAuthn{Handle: "h", SecondFactor: true, Keys: []Passkey{{ID: "other"}, {ID: "k", PublicKey: []byte{1}, Counter: counter}}}
}

func use(change func(*PasskeyUse)) PasskeyUse {
	u := PasskeyUse{ID: "k", PublicKey: []byte{1}, Counter: 6, BackedUp: true, Challenge: "c", Until: at.Add(time.Minute), At: at}
	if change != nil {
		change(&u)
	}
	return u
}

// An answer counts once, for the key that was verified, and only while its counter goes
// forward; whatever does not count changes nothing.
func TestPasskeyUse(t *testing.T) {
	for name, c := range map[string]struct {
		counter int64
		change  func(*PasskeyUse)
		want    PasskeyOutcome
	}{
		"forward":                  {5, nil, PasskeyUsed},
		"never counts":             {0, func(u *PasskeyUse) { u.Counter = 0 }, PasskeyUsed},
		"begins to count":          {0, nil, PasskeyUsed},
		"the same count":           {6, nil, PasskeyCloned},
		"backward":                 {7, nil, PasskeyCloned},
		"counts no more":           {5, func(u *PasskeyUse) { u.Counter = 0 }, PasskeyCloned},
		"no such key":              {5, func(u *PasskeyUse) { u.ID = "gone" }, PasskeyGone},
		"another key under its id": {5, func(u *PasskeyUse) { u.PublicKey = []byte{2} }, PasskeyGone},
	} {
		w := withKey(c.counter)
		before := fmt.Sprint(w)
		if got := w.Use(use(c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if k := w.Keys[1]; c.want == PasskeyUsed && (!k.BackedUp || !k.LastUsedAt.Equal(at) || k.Counter != use(c.change).Counter) {
			t.Errorf("%s: %+v", name, k)
		}
		if c.want != PasskeyUsed && fmt.Sprint(w) != before {
			t.Errorf("%s: changed", name)
		}
	}
	if (*WebAuthn)(nil).Use(use(nil)) != PasskeyGone {
		t.Error("an account without keys has one")
	}
}

// A challenge is good once, also when its mark is gone and the clock goes back, and no
// number of them makes the document grow.
func TestChallengesAreSpent(t *testing.T) {
	w, n := withKey(0), int64(0)
	spend := func(challenge string, until, now time.Time) PasskeyOutcome {
		n++
		return w.Use(use(func(u *PasskeyUse) { u.Challenge, u.Until, u.At, u.Counter = challenge, until, now, n }))
	}
	end := at.Add(2 * time.Minute)
	if spend("a", end, at) != PasskeyUsed || spend("a", end, at) != PasskeyGone {
		t.Error("not good once")
	}
	if spend("b", at.Add(time.Hour), end) != PasskeyUsed || len(w.Spent) != 1 {
		t.Errorf("one that ended is kept: %+v", w.Spent)
	}
	if spend("a", end, at) != PasskeyGone || spend("before", end.Add(-time.Second), at) != PasskeyGone {
		t.Error("a clock that went back revived a challenge")
	}
	if spend("c", end.Add(time.Second), at) != PasskeyUsed {
		t.Error("one that ends later does not count")
	}
	refused := 0
	for i := range 200 {
		if spend(fmt.Sprint("many", i), at.Add(time.Hour), at) != PasskeyUsed {
			refused++
		}
	}
	if len(w.Spent) != maxSpentChallenges || refused == 0 {
		t.Errorf("%d kept, %d refused", len(w.Spent), refused)
	}
}

// Every key that is added or removed is another state of the factors, however fast.
func TestPasskeysChangeTheState(t *testing.T) {
	u := ada()
	states := []string{u.FactorState()}
	for _, change := range []func(*Services){
		AddPasskey(fitting("a"), "h", at), AddPasskey(fitting("b"), "other", at),
		RemovePasskey("a", at), RemovePasskey("b", at), RemovePasskey("b", at.Add(-time.Hour)),
	} {
		change(&u.Services)
		if s := u.FactorState(); slices.Contains(states, s) {
			t.Errorf("again in state %q", s)
		} else {
			states = append(states, s)
		}
	}
	if u.Services.WebAuthn.Handle != "h" || u.PasskeysEnabled() {
		t.Errorf("%+v", u.Services.WebAuthn)
	}
	RenamePasskey("a", "x")(&u.Services)
	AddPasskey(fitting("a"), "h", at)(&u.Services)
	state := u.FactorState()
	RenamePasskey("a", "desk")(&u.Services)
	if u.Passkey("a").Name != "desk" || u.FactorState() != state || u.Passkey("") != nil {
		t.Error("a name is no state")
	}
}

// What accounts are found by names the keys, and an account without a password but with a
// key waits for nobody.
func TestPasskeysAreListed(t *testing.T) {
	u := ada()
	u.Services.Password = nil
	if u.State() != Invited {
		t.Error(u.State())
	}
	AddPasskey(fitting("a"), "h", at)(&u.Services)
	u.FillKeys()
	for _, trait := range []string{TraitPasskeys, TraitHasPasskeys, PasskeyTrait("h"), PartyTrait("example.com"), StateTrait(Active)} {
		if !slices.Contains(u.ListKeys, trait) {
			t.Errorf("not found by %s", trait)
		}
	}
	RemovePasskey("a", at)(&u.Services)
	u.FillKeys()
	for _, trait := range []string{TraitPasskeys, TraitHasPasskeys, PasskeyTrait("h"), PartyTrait("example.com")} {
		if slices.Contains(u.ListKeys, trait) {
			t.Errorf("still found by %s", trait)
		}
	}
}
