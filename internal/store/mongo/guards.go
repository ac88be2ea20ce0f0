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
	"ddpserver/internal/twofactor"
)

// guardDoc is a guard as MongoDB keeps it. Nodes of earlier versions, which may run
// beside this one during an update, tell by Rev alone whether a guard has changed:
// every change makes a new one. It is random, so that a guard made anew is never
// taken for the one that was removed.
type guardDoc struct {
	twofactor.Guard `bson:",inline"`

	Rev      string    `bson:"rev"`
	ForgetAt time.Time `bson:"forgetAt,omitempty"` // for the TTL index
}

// triesDoc is kept as guardDoc is.
type triesDoc struct {
	accounts.Tries `bson:",inline"`

	Rev      string    `bson:"rev"`
	ForgetAt time.Time `bson:"forgetAt,omitempty"` // for the TTL index
}

// ChangeGuard implements rule.Engine.
func (s *Store) ChangeGuard(ctx context.Context, userID string, do func(*twofactor.Guard) error) error {
	_, err := s.guardDocs.Change(ctx, userID, func(g *guardDoc) error {
		if err := do(&g.Guard); err != nil {
			return err
		}
		g.Rev, g.ForgetAt = random.ID(), rule.ForgetAt(&g.Guard)
		return nil
	})
	return err
}

// ChangeTries implements rule.Engine.
func (s *Store) ChangeTries(ctx context.Context, key string, do func(*accounts.Tries) error) error {
	_, err := s.triesDocs.Change(ctx, key, func(t *triesDoc) error {
		if err := do(&t.Tries); err != nil {
			return err
		}
		t.Rev, t.ForgetAt = random.ID(), rule.ForgetTriesAt(&t.Tries)
		return nil
	})
	return err
}

// Guard implements twofactor.Store.
func (s *Store) Guard(ctx context.Context, userID string) (twofactor.Guard, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	g := twofactor.Guard{UserID: userID}
	raw, err := findRaw(ctx, s.guards, bson.D{{Key: "_id", Value: userID}})
	if errors.Is(err, dberr.NotFound) {
		return g, nil
	}
	if err == nil {
		err = document.Decode(raw, &g)
	}
	return g, err
}

// ResetGuard implements twofactor.Store.
func (s *Store) ResetGuard(ctx context.Context, userID string) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	_, err := s.guards.DeleteOne(ctx, bson.D{{Key: "_id", Value: userID}})
	return failure(err)
}

// Tries implements accounts.Store.
func (s *Store) Tries(ctx context.Context, key string) (accounts.Tries, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	t := accounts.Tries{Key: key}
	raw, err := findRaw(ctx, newest(s.tries), bson.D{{Key: "_id", Value: key}})
	if errors.Is(err, dberr.NotFound) {
		s.triesDocs.saw(key, nil)
		return t, nil
	}
	if err == nil {
		err = document.Decode(raw, &t)
	}
	if err == nil {
		s.triesDocs.saw(key, raw)
	}
	return t, err
}

// CountTries implements accounts.Store. The documents are counted in one after
// the other; when one is full the counts before it are taken back, and a crash
// in between leaves one too many, never one too few.
func (s *Store) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	for i, b := range list {
		err := s.ChangeTries(ctx, b.Key, func(t *accounts.Tries) error { return rule.CountTry(t, id, now, b) })
		if errors.Is(err, dberr.Exhausted) {
			if back := s.EndTries(ctx, id, list[:i], false); back != nil {
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
	ctx, cancel := s.op(ctx)
	defer cancel()
	for _, b := range list {
		err := s.ChangeTries(ctx, b.Key, func(t *accounts.Tries) error {
			rule.EndTry(t, id, b, right)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
