package mongo

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
)

// guardDoc is a guard as MongoDB keeps it. The rules on guards (windows, several
// counters, a list that is cut) do not fit in one update, and nobody but this
// program writes the collection: it is replaced on condition that Rev is still
// what was read. Rev is random, so that a guard made anew is never taken for
// the one that was removed.
type guardDoc struct {
	twofactor.Guard `bson:",inline"`

	Rev      string    `bson:"rev"`
	ForgetAt time.Time `bson:"forgetAt,omitempty"` // for the TTL index
}

// locks keeps the goroutines of this node that look at one document and then
// replace a part of it from racing each other: the compare-and-set loop is then
// only for other nodes and other kinds of updates.
type locks struct {
	seed  maphash.Seed
	slots [64]chan struct{}
}

func (l *locks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.slots {
		l.slots[i] = make(chan struct{}, 1)
	}
}

func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	slot := l.slots[maphash.String(l.seed, key)%uint64(len(l.slots))]
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, failure(ctx.Err())
	}
}

// Guard implements twofactor.Store.
func (s *Store) Guard(ctx context.Context, userID string) (twofactor.Guard, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	g, err := readGuard(ctx, s.guards, userID)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return twofactor.Guard{}, err
	}
	return g.Guard, nil
}

// readGuard reads a guard; with dberr.NotFound it is empty but for its id.
func readGuard(ctx context.Context, c *driver.Collection, userID string) (guardDoc, error) {
	g := guardDoc{Guard: twofactor.Guard{UserID: userID}}
	raw, err := findRaw(ctx, c, bson.D{{Key: "_id", Value: userID}})
	if err == nil {
		err = document.Decode(raw, &g)
	}
	return g, err
}

// updateGuard changes a guard. The change is stored when do returns nil or an
// error for which keep holds, and do's error is returned.
func (s *Store) updateGuard(ctx context.Context, userID string, keep func(error) bool, do func(*twofactor.Guard) error) error {
	ctx, cancel := op(ctx)
	defer cancel()
	unlock, err := s.locks.lock(ctx, userID)
	if err != nil {
		return err
	}
	defer unlock()
	for range lostRaces {
		g, err := readGuard(ctx, newest(s.guards), userID)
		isNew := errors.Is(err, dberr.NotFound)
		if err != nil && !isNew {
			return err
		}
		outcome := do(&g.Guard)
		if outcome != nil && !keep(outcome) {
			return outcome
		}
		won, err := s.putGuard(ctx, g, isNew)
		if err != nil {
			return err
		}
		if won {
			return outcome
		}
	}
	return dberr.Unavailable
}

func (s *Store) putGuard(ctx context.Context, g guardDoc, isNew bool) (won bool, err error) {
	read := g.Rev
	g.Rev, g.ForgetAt = random.ID(), rule.ForgetAt(&g.Guard)
	raw, err := document.Encode(g)
	if err != nil {
		return false, err
	}
	if isNew {
		_, err = s.guards.InsertOne(ctx, raw)
		if err = failure(err); errors.Is(err, dberr.Duplicate) {
			return false, nil
		}
		return err == nil, err
	}
	return matched(s.guards.ReplaceOne(ctx, bson.D{{Key: "_id", Value: g.UserID}, {Key: "rev", Value: read}}, raw))
}

func never(error) bool { return false }

// CountAttempt implements twofactor.Store.
func (s *Store) CountAttempt(ctx context.Context, userID, factor string, now time.Time, l twofactor.Limits) (string, error) {
	id := random.ID()
	err := s.updateGuard(ctx, userID, rule.Counted, func(g *twofactor.Guard) error { return rule.CountAttempt(g, id, factor, now, l) })
	if err != nil {
		return "", err
	}
	return id, nil
}

// Succeeded implements twofactor.Store.
func (s *Store) Succeeded(ctx context.Context, userID, countID string) error {
	return s.updateGuard(ctx, userID, never, func(g *twofactor.Guard) error {
		rule.Succeeded(g, countID)
		return nil
	})
}

// ResetGuard implements twofactor.Store.
func (s *Store) ResetGuard(ctx context.Context, userID string) error {
	ctx, cancel := op(ctx)
	defer cancel()
	_, err := s.guards.DeleteOne(ctx, bson.D{{Key: "_id", Value: userID}})
	return failure(err)
}

// AddMailCode implements twofactor.Store.
func (s *Store) AddMailCode(ctx context.Context, userID string, c twofactor.MailCode, now time.Time, r twofactor.MailRules) (live []twofactor.MailCode, err error) {
	err = s.updateGuard(ctx, userID, never, func(g *twofactor.Guard) (err error) {
		live, err = rule.AddMailCode(g, c, now, r)
		return err
	})
	if errors.Is(err, dberr.Unavailable) {
		return nil, err // what was to be stored may not be
	}
	return live, err
}

// UseMailCode implements twofactor.Store.
func (s *Store) UseMailCode(ctx context.Context, userID, digest, purpose string, now time.Time) error {
	return s.updateGuard(ctx, userID, never, func(g *twofactor.Guard) error { return rule.UseMailCode(g, digest, purpose, now) })
}

// UndoMailCode implements twofactor.Store.
func (s *Store) UndoMailCode(ctx context.Context, userID, digest string, refund bool) error {
	return s.updateGuard(ctx, userID, never, func(g *twofactor.Guard) error {
		rule.UndoMailCode(g, digest, refund)
		return nil
	})
}

// KillMailCodes implements twofactor.Store.
func (s *Store) KillMailCodes(ctx context.Context, userID string, tries int) error {
	return s.updateGuard(ctx, userID, never, func(g *twofactor.Guard) error { return rule.KillMailCodes(g, tries) })
}
