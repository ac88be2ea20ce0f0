package serverkey

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
	"ddpserver/internal/secret"
)

// Report is what a rotation did.
type Report struct {
	// Resealed counts texts that are sealed with the new key now, Unreadable those
	// that neither key opens; they stay as they are.
	Resealed, Unreadable int
	// Done tells that nothing was left to do when it started.
	Done bool
}

// maxRounds bounds how often a rotation looks again for texts that nodes sealed
// with the old key meanwhile.
const maxRounds = 20

// Rotate seals everything with the key that only its old one opens, and the
// check value last: whoever breaks off before can start again, with both keys,
// and whoever comes later finds nothing to do. It works beside running nodes that
// have both keys. Codes that are stored as digests cannot be sealed anew: the
// digest key of the old key goes along, inside the check value, until they are
// spent.
func Rotate(ctx context.Context, s Store, key *secret.Key) (r Report, err error) {
	pending, err := Check(ctx, s, key)
	if err != nil {
		return r, err
	}
	r.Done = !pending
	for round := 0; ; round++ {
		if round == maxRounds {
			return r, errors.New("something seals with the old key all the time: give every node both keys, then run rotate-key again")
		}
		changed, unreadable, err := resealAll(ctx, s, key)
		r.Resealed, r.Unreadable = r.Resealed+changed, unreadable
		if err != nil {
			return r, err
		}
		if changed == 0 {
			break
		}
		r.Done = false
	}
	stored, err := s.KeyCheck(ctx)
	if err != nil {
		return r, fmt.Errorf("reading the check value of the server key: %w", err)
	}
	if secret.KeyID(stored) == key.ID() {
		return r, nil
	}
	if err := s.SetKeyCheck(ctx, stored, sealCheck(key)); err != nil {
		return r, fmt.Errorf("storing the check value of the server key: %w", err)
	}
	return r, nil
}

// resealAll goes through all texts once.
func resealAll(ctx context.Context, s Store, key *secret.Key) (changed, unreadable int, err error) {
	for _, k := range Kinds() {
		for after := ""; ; {
			page, next, err := s.SealedTexts(ctx, k, after)
			if err != nil {
				return changed, unreadable, fmt.Errorf("reading sealed texts: %w", err)
			}
			for _, it := range page {
				if !secret.Sealed(it.Sealed) || secret.KeyID(it.Sealed) == key.ID() {
					continue
				}
				plain, err := key.Open(k.purpose(), it.ID, it.Sealed)
				if err != nil {
					unreadable++
					continue
				}
				switch err := s.Reseal(ctx, k, it.ID, it.Sealed, key.Seal(k.purpose(), it.ID, plain)); {
				case err == nil:
					changed++
				case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
					// Somebody used or changed it; the next round looks again.
				default:
					return changed, unreadable, fmt.Errorf("sealing a %s anew: %w", k, err)
				}
			}
			if next == "" {
				break
			}
			after = next
		}
	}
	return changed, unreadable, nil
}
