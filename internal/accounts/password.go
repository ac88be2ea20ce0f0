package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Limits of a password on the wire. Meteor declares them and, by a slip, never
// checks them (docs/wire/ddp.md D1).
const (
	maxPlain  = 256
	digestLen = 2 * sha256.Size
	// algorithm is the only digest there is.
	algorithm = "sha-256"
)

// Password is a password as a client sends it, reduced to its digest: the
// lower-case hex SHA-256 over which bcrypt is kept. The zero value is no
// password and matches nothing. It does not print itself.
type Password struct {
	digest string
	// length is the number of characters of a plain password; 0 for a digest,
	// whose length nobody knows.
	length int
}

// String implements fmt.Stringer without giving anything away.
func (Password) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer without giving anything away.
func (Password) GoString() string { return "[redacted]" }

// IsZero tells whether there is no password.
func (p Password) IsZero() bool { return p.digest == "" }

// Plain takes a password as text: 1 to 256 characters. Anything else is
// fault.MatchFailed.
func Plain(text string) (Password, error) {
	n := utf8.RuneCountInString(text)
	if n == 0 || n > maxPlain {
		return Password{}, fault.MatchFailed
	}
	sum := sha256.Sum256([]byte(text))
	return Password{digest: hex.EncodeToString(sum[:]), length: n}, nil
}

// Digest takes a password as exactly 64 lower-case hex digits of SHA-256.
// Anything else is fault.MatchFailed.
func Digest(digest, algo string) (Password, error) {
	if algo != algorithm || !isDigest(digest) {
		return Password{}, fault.MatchFailed
	}
	return Password{digest: digest}, nil
}

func isDigest(s string) bool {
	if len(s) != digestLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// emptyDigest is the digest of no text at all; some clients send it for a blank field.
var emptyDigest = func() string { s := sha256.Sum256(nil); return hex.EncodeToString(s[:]) }()

// acceptable applies the password policy to a new password. Of a digest only
// emptiness can be seen, and that it is a common password's.
func (s *Service) acceptable(p Password) error {
	if p.IsZero() || p.digest == emptyDigest || p.length > 0 && p.length < s.set.Int(settings.PasswordMinLength) {
		return ErrPolicy
	}
	if s.common(p) {
		return ErrCommonPassword
	}
	return nil
}

const (
	defaultCost = 10
	// maxCost bounds the work a stored hash may ask for: one hash of cost 15
	// takes seconds, one of cost 31 days.
	maxCost = 15
)

// hasher runs bcrypt on at most one core behind a short queue with fair shares,
// so that a flood of logins starves nobody who does not log in, and no few
// callers starve the others who do (S115).
type hasher struct {
	cost  int
	dummy []byte
	gate  *gate
	// turn is held by the hash that runs.
	turn chan struct{}
	// work counts the rounds of bcrypt that were really done.
	work atomic.Uint64
}

func newHasher(cost int) (*hasher, error) {
	if cost == 0 {
		cost = defaultCost
	}
	if cost < bcrypt.MinCost || cost > bcrypt.MaxCost {
		return nil, bcrypt.InvalidCostError(cost)
	}
	return &hasher{cost: cost, dummy: dummyHash(cost), gate: newGate(), turn: make(chan struct{}, 1)}, nil
}

// dummyHash looks like the hash of a password that nobody knows: a comparison
// with it costs as much as any other and fails. Random letters do, so that a
// start need not wait for a real hash.
func dummyHash(cost int) []byte {
	const saltAndHash = 22 + 31
	text := random.ID() + random.ID() + random.ID() + random.ID()
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, text[:saltAndHash])
}

// compare is bcrypt's comparison, counted when it was one: broken hashes are
// refused without any work.
func (h *hasher) compare(hash []byte, p Password) error {
	err := bcrypt.CompareHashAndPassword(hash, []byte(p.digest))
	if cost, costErr := bcrypt.Cost(hash); costErr == nil && (err == nil || errors.Is(err, bcrypt.ErrMismatchedHashAndPassword)) {
		h.work.Add(1 << cost)
	}
	return err
}

// core waits for the core that hashes; at most maxInside wait here.
func (h *hasher) core(ctx context.Context) (leave func(), err error) {
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// newAccounts is whoever makes an account: all of them take turns with those who
// log in as one account does.
var newAccounts = claimant{account: "new accounts"}

// hash is hashFor for an account that is being made.
func (h *hasher) hash(ctx context.Context, p Password) (string, error) {
	return h.hashFor(ctx, newAccounts, p)
}

// owner is a caller who proved to be the account's, or acts on it by right.
func owner(userID string) claimant { return claimant{account: userID, known: true} }

// hashFor makes the stored form of a password, behind the gate.
func (h *hasher) hashFor(ctx context.Context, who claimant, p Password) (string, error) {
	leave, err := h.gate.enter(ctx, who)
	if err != nil {
		return "", err
	}
	defer leave()
	done, err := h.core(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	b, err := bcrypt.GenerateFromPassword([]byte(p.digest), h.cost)
	h.work.Add(1 << h.cost)
	return string(b), err
}

// matches is check behind the gate.
func (h *hasher) matches(ctx context.Context, who claimant, stored string, p Password) (bool, error) {
	leave, err := h.gate.enter(ctx, who)
	if err != nil {
		return false, err
	}
	defer leave()
	return h.check(ctx, stored, p)
}

// check compares a password with a stored hash, for a caller who is past the
// gate. Without a usable hash it compares with a dummy, so that the answer takes
// the same time, and says no. A fault inside is never a yes (S043).
func (h *hasher) check(ctx context.Context, stored string, p Password) (bool, error) {
	done, err := h.core(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	if a, ok := parseArgon(stored); ok && !p.IsZero() {
		return a.matches(p), nil
	}
	use, usable := []byte(stored), true
	if cost, err := bcrypt.Cost(use); err != nil || cost > maxCost || p.IsZero() {
		use, usable = h.dummy, false
	}
	err = h.compare(use, p)
	switch {
	case err == nil:
		return usable, nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, nil
	case !usable:
		return false, err
	}
	// The stored text looked like a hash and is none: hostile or broken data. Spend
	// the time of a comparison all the same.
	_ = h.compare(h.dummy, p)
	return false, nil
}

// stale tells whether a stored hash has another cost or kind than new ones get.
func (h *hasher) stale(stored string) bool {
	if IsArgon(stored) {
		return true
	}
	cost, err := bcrypt.Cost([]byte(stored))
	return err == nil && cost != h.cost
}

// rehash replaces a stored hash of another cost or kind after it was matched. Failing
// to is no failure of the login: the old hash still works.
func (s *Service) rehash(ctx context.Context, who claimant, u *user.User, p Password) *user.User {
	old := u.PasswordHash()
	if !s.passwords.hasher.stale(old) {
		return u
	}
	fresh, err := s.passwords.hasher.hashFor(ctx, who, p)
	if err != nil {
		return u
	}
	c := user.Change{IfBcrypt: &old, Bcrypt: &fresh, At: s.time()}
	if at := u.Services.Password.ResetAt; !at.IsZero() {
		c.ResetAt = &at // it is the same password
	}
	updated, err := s.store.UpdateUser(ctx, u.ID, c)
	if err != nil {
		return u
	}
	return updated
}
