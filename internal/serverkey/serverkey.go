// Package serverkey makes sure that the server key is the one the data was
// sealed with, and changes it: a check value in the store opens with that key
// only, and a rotation seals everything anew.
//
// It makes no key and reads none from files; what it knows of the sealed texts
// is where they are and which purpose they are bound to.
package serverkey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/secret"
)

// Kind is one kind of sealed text that a store keeps.
type Kind string

// The kinds there are. Every new sealed text needs one, or a rotation leaves it
// behind.
const (
	// TOTPSecret is the secret of an authenticator app in force, by user id.
	TOTPSecret Kind = "totp secret"
	// TOTPPending is one that waits for its first code, by user id.
	TOTPPending Kind = "pending totp secret"
	// Mail is a waiting mail, by its id.
	Mail Kind = "mail"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{TOTPSecret, TOTPPending, Mail} }

// purpose is what texts of the kind are bound to beside their owner.
func (k Kind) purpose() string {
	if k == Mail {
		return secret.PurposeMail
	}
	return secret.PurposeTOTP
}

// Item is one stored sealed text and the id it belongs to.
type Item struct{ ID, Sealed string }

// Store is what the package needs of a store. Every method is atomic.
type Store interface {
	// KeyCheck is the stored check value; "" when there is none.
	KeyCheck(ctx context.Context) (string, error)
	// SetKeyCheck replaces the check value old, "" for none, by sealed; Conflict
	// when another one is stored.
	SetKeyCheck(ctx context.Context, old, sealed string) error
	// SealedTexts lists texts of a kind, sealed or not, ordered by id from behind
	// after, and the id to go on from; next is "" at the end. A page may be empty
	// and not the last.
	SealedTexts(ctx context.Context, k Kind, after string) (page []Item, next string, err error)
	// Reseal replaces the text old of an id by sealed. Conflict or NotFound when
	// it is not there any more.
	Reseal(ctx context.Context, k Kind, id, old, sealed string) error
}

// ErrOtherKey says that the data was sealed with another key.
var ErrOtherKey = errors.New("the data was sealed with another server key")

const (
	checkPurpose = "server key check"
	checkOwner   = "ddpserver"
	checkFirst   = "this is the right key"
	attempts     = 10 // for the check value, which several nodes may write at once
)

// Check compares the key with the check value of the store, which it makes when
// there is none; then the sealed texts that are there decide whether the key is
// right, and whether the data is its old one's still. Digest keys of earlier server keys are added to the key. pending tells
// that the data belongs to the key's old one still and a rotation is due. The
// error is ErrOtherKey, or the store's.
func Check(ctx context.Context, s Store, key *secret.Key) (pending bool, err error) {
	for range attempts {
		stored, err := s.KeyCheck(ctx)
		if err != nil {
			return false, fmt.Errorf("reading the check value of the server key: %w", err)
		}
		if stored != "" {
			return judge(stored, key)
		}
		owner, err := vouch(ctx, s, key)
		if err != nil {
			return false, err
		}
		err = s.SetKeyCheck(ctx, "", sealCheck(owner))
		if err == nil {
			return owner != key, nil
		}
		if !errors.Is(err, dberr.Conflict) {
			return false, fmt.Errorf("storing the check value of the server key: %w", err)
		}
	}
	return false, dberr.Unavailable
}

// Right tells whether a check value fits the key or its old one; for a look at a
// store that must stay as it is.
func Right(stored string, key *secret.Key) error {
	if stored == "" {
		return nil
	}
	_, err := judge(stored, key)
	return err
}

func judge(stored string, key *secret.Key) (pending bool, err error) {
	plain, err := key.Open(checkPurpose, checkOwner, stored)
	lines := strings.Split(plain, "\n")
	if err != nil || lines[0] != checkFirst {
		return false, fmt.Errorf("%w (it is key %s, and this one is %s)", ErrOtherKey, secret.KeyID(stored), key.ID())
	}
	for _, line := range lines[1:] {
		mac, err := hex.DecodeString(line)
		if err != nil {
			return false, fmt.Errorf("the check value of the server key is damaged: %w", err)
		}
		key.AddDigestKey(mac)
	}
	return secret.KeyID(stored) != key.ID(), nil
}

// sealCheck makes the check value: a fixed text and the digest keys of earlier
// server keys, with which codes that cannot be sealed anew were stored.
func sealCheck(key *secret.Key) string {
	lines := []string{checkFirst}
	for _, mac := range key.OldDigestKeys() {
		lines = append(lines, hex.EncodeToString(mac))
	}
	return key.Seal(checkPurpose, checkOwner, strings.Join(lines, "\n"))
}

// vouch finds whose the data of before check values is: the old key's as long as
// one text is sealed with it, or a start with both keys would vouch for the new one
// alone before anything was sealed with it. If there are texts and none opens, they
// are another key's.
func vouch(ctx context.Context, s Store, key *secret.Key) (owner *secret.Key, err error) {
	other := ""
	for _, k := range Kinds() {
		for after := ""; ; {
			page, next, err := s.SealedTexts(ctx, k, after)
			if err != nil {
				return nil, fmt.Errorf("reading sealed texts: %w", err)
			}
			for _, it := range page {
				if !secret.Sealed(it.Sealed) {
					continue // plain, of an adopted database
				}
				if _, err := key.Open(k.purpose(), it.ID, it.Sealed); err != nil {
					other = secret.KeyID(it.Sealed)
					continue
				}
				if old := key.Old(); old != nil && secret.KeyID(it.Sealed) == old.ID() {
					return old, nil
				}
				if owner = key; key.Old() == nil {
					return owner, nil
				}
			}
			if next == "" {
				break
			}
			after = next
		}
	}
	if owner == nil && other != "" {
		return nil, fmt.Errorf("%w (it is key %s, and this one is %s)", ErrOtherKey, other, key.ID())
	}
	return key, nil
}
