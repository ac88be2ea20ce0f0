package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// triesDoc is kept and replaced as guardDoc is, for the same reasons.
type triesDoc struct {
	accounts.Tries `bson:",inline"`

	Rev      string    `bson:"rev"`
	ForgetAt time.Time `bson:"forgetAt,omitempty"` // for the TTL index
}

// Tries implements accounts.Store.
func (s *Store) Tries(ctx context.Context, key string) (accounts.Tries, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	t, _, err := s.readTries(ctx, key)
	return t.Tries, err
}

// readTries reads what is remembered under a key; isNew says that nothing is.
func (s *Store) readTries(ctx context.Context, key string) (t triesDoc, isNew bool, err error) {
	t = triesDoc{Tries: accounts.Tries{Key: key}}
	raw, err := findRaw(ctx, newest(s.tries), bson.D{{Key: "_id", Value: key}})
	if errors.Is(err, dberr.NotFound) {
		return t, true, nil
	}
	if err == nil {
		err = document.Decode(raw, &t)
	}
	return t, false, err
}

// changeTries changes what is remembered under a key, or leaves it when do fails.
func (s *Store) changeTries(ctx context.Context, key string, do func(*accounts.Tries) error) error {
	unlock, err := s.locks.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	for range lostRaces {
		t, isNew, err := s.readTries(ctx, key)
		if err != nil {
			return err
		}
		if err := do(&t.Tries); err != nil {
			return err
		}
		won, err := s.putTries(ctx, t, isNew)
		if err != nil || won {
			return err
		}
	}
	return dberr.Unavailable
}

func (s *Store) putTries(ctx context.Context, t triesDoc, isNew bool) (won bool, err error) {
	read := t.Rev
	t.Rev, t.ForgetAt = random.ID(), rule.ForgetTriesAt(&t.Tries)
	raw, err := document.Encode(t)
	if err != nil {
		return false, err
	}
	if isNew {
		_, err = s.tries.InsertOne(ctx, raw)
		if err = failure(err); errors.Is(err, dberr.Duplicate) {
			return false, nil
		}
		return err == nil, err
	}
	return matched(s.tries.ReplaceOne(ctx, bson.D{{Key: "_id", Value: t.Key}, {Key: "rev", Value: read}}, raw))
}

// CountTries implements accounts.Store. The documents are counted in one after
// the other; when one is full the counts before it are taken back, and a crash
// in between leaves one too many, never one too few.
func (s *Store) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) error {
	ctx, cancel := op(ctx)
	defer cancel()
	for i, b := range list {
		err := s.changeTries(ctx, b.Key, func(t *accounts.Tries) error { return rule.CountTry(t, id, now, b) })
		if errors.Is(err, dberr.Exhausted) {
			if back := s.endTries(ctx, id, list[:i], false); back != nil {
				return back
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// EndTries implements accounts.Store.
func (s *Store) EndTries(ctx context.Context, id string, list []accounts.Budget, right bool) error {
	ctx, cancel := op(ctx)
	defer cancel()
	return s.endTries(ctx, id, list, right)
}

func (s *Store) endTries(ctx context.Context, id string, list []accounts.Budget, right bool) error {
	for _, b := range list {
		err := s.changeTries(ctx, b.Key, func(t *accounts.Tries) error {
			rule.EndTry(t, id, b, right)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// AddSource implements accounts.Store.
func (s *Store) AddSource(ctx context.Context, key, digest string, now, since time.Time, most int) error {
	ctx, cancel := op(ctx)
	defer cancel()
	return s.changeTries(ctx, key, func(t *accounts.Tries) error {
		rule.AddSource(t, digest, now, since, most)
		return nil
	})
}

// UseToken implements accounts.Store.
func (s *Store) UseToken(ctx context.Context, userID, token string, at time.Time) error {
	var p plan
	p.cond(pathHash, token)
	p.put(pathTokens+".$[t].lastUsedAt", at, false)
	p.arrayFilters = []any{bson.D{{Key: "t.hashedToken", Value: token}}}
	return s.factor(ctx, userID, p, func(u *user.User) error { return rule.UseToken(u, token, at) })
}
