package accounts

import (
	"context"
	"fmt"
	"time"

	"ddpserver/internal/netkey"
	"ddpserver/internal/secret"
	"ddpserver/internal/user"
)

// PasswordStore is what Passwords need of a store.
type PasswordStore interface {
	// Tries reads what is remembered under a key; empty when there is nothing.
	Tries(ctx context.Context, key string) (Tries, error)
}

// PasswordOptions are the parts that Passwords work with. Store is required.
type PasswordOptions struct {
	Store PasswordStore
	// Key makes the digests under which names and addresses are counted; nil means
	// one that nobody else has, whose counts end with the process.
	Key *secret.Key
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// BcryptCost is the cost of new password hashes; zero means 10. Tests lower it.
	BcryptCost int
}

// Passwords hash and compare passwords, on one core, and know from which network
// addresses accounts were used. Accounts and second factors share them. They are
// safe for concurrent use.
type Passwords struct {
	store  PasswordStore
	key    *secret.Key
	hasher *hasher
	now    func() time.Time
}

// NewPasswords fails when the cost is none that bcrypt knows.
func NewPasswords(o PasswordOptions) (*Passwords, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Key == nil {
		key, err := secret.NewKey(secret.Generate())
		if err != nil {
			return nil, fmt.Errorf("accounts: %w", err)
		}
		o.Key = key
	}
	h, err := newHasher(o.BcryptCost)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return &Passwords{store: o.Store, key: o.Key, hasher: h, now: o.Now}, nil
}

// Hashing tells how many passwords are being hashed and how many wait, for metrics.
func (p *Passwords) Hashing() (running, waiting int) {
	return len(p.hasher.turn), p.hasher.gate.queue()
}

// HashWork is the number of bcrypt rounds done so far, for metrics. It is also how
// a test sees that two refusals cost the same, which no clock of a shared
// machine can tell.
func (p *Passwords) HashWork() uint64 { return p.hasher.work.Load() }

// VerifyPassword tells whether the hex digest is that of the account's password;
// it is twofactor.PasswordVerifier, whose caller counts the answers.
func (p *Passwords) VerifyPassword(ctx context.Context, u *user.User, digest string) (bool, error) {
	pw, err := Digest(digest, algorithm)
	if err != nil {
		return false, nil // a malformed answer is a wrong one
	}
	return p.hasher.matches(ctx, owner(u.ID), u.PasswordHash(), pw)
}

// Source names, for the counters of wrong answers, the network address that a
// caller has: a digest when the account was used from it of late, after a login
// with every factor that was asked, and else "". It is twofactor.Sources.
func (p *Passwords) Source(ctx context.Context, userID, address string) (string, error) {
	network := netkey.Of(address)
	if network == "" {
		return Strangers, nil
	}
	t, err := p.store.Tries(ctx, TriesKey(userID))
	if err != nil {
		return Strangers, err
	}
	if digest := p.sourceDigest(userID, network); t.Knows(digest, p.now().Add(-knownFor)) {
		return digest, nil
	}
	return Strangers, nil
}

// sourceDigest stands for the address in what is stored of the account.
func (p *Passwords) sourceDigest(account, network string) string {
	return p.key.Digest("login source", account, network)
}
