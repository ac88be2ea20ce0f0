package sqlite

import (
	"context"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
)

var guardSchema = Schema{Name: "guards", Steps: []string{`
CREATE TABLE guards (
	id     TEXT NOT NULL UNIQUE, -- the user's
	forget INTEGER, -- milliseconds after which it says nothing; NULL: keep
	doc    BLOB NOT NULL
);
CREATE INDEX guards_age ON guards (forget) WHERE forget IS NOT NULL;
`, `
CREATE TABLE tries (
	id     TEXT NOT NULL UNIQUE, -- an account's, a name's or an address's key
	forget INTEGER, -- as in guards
	doc    BLOB NOT NULL
);
CREATE INDEX tries_age ON tries (forget) WHERE forget IS NOT NULL;
`}}

var guards = documents[twofactor.Guard]{
	read:  `SELECT doc FROM guards WHERE id = ?`,
	empty: func(id string) *twofactor.Guard { return &twofactor.Guard{UserID: id} },
	write: func(t *Tx, g *twofactor.Guard) error {
		return t.aging(`INSERT INTO guards (id, forget, doc) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET forget = excluded.forget, doc = excluded.doc`, g.UserID, rule.ForgetAt(g), g)
	},
}

var tries = documents[accounts.Tries]{
	read:  `SELECT doc FROM tries WHERE id = ?`,
	empty: func(key string) *accounts.Tries { return &accounts.Tries{Key: key} },
	write: func(t *Tx, v *accounts.Tries) error {
		return t.aging(`INSERT INTO tries (id, forget, doc) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET forget = excluded.forget, doc = excluded.doc`, v.Key, rule.ForgetTriesAt(v), v)
	},
}

// Guard implements twofactor.Store.
func (s *Store) Guard(ctx context.Context, userID string) (twofactor.Guard, error) {
	return read(ctx, s, &guards, userID)
}

// ResetGuard implements twofactor.Store.
func (s *Store) ResetGuard(ctx context.Context, userID string) error {
	return s.Update(ctx, func(t *Tx) error { return t.Exec(`DELETE FROM guards WHERE id = ?`, userID) })
}

// Tries implements accounts.Store.
func (s *Store) Tries(ctx context.Context, key string) (accounts.Tries, error) {
	return read(ctx, s, &tries, key)
}

// CountTries implements accounts.Store: one transaction for all budgets.
func (s *Store) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) error {
	return s.Update(ctx, func(t *Tx) error {
		for _, b := range list {
			if err := change(t, &tries, b.Key, func(v *accounts.Tries) error { return rule.CountTry(v, id, now, b) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndTries implements accounts.Store.
func (s *Store) EndTries(ctx context.Context, id string, list []accounts.Budget, right bool) error {
	return s.Update(ctx, func(t *Tx) error {
		for _, b := range list {
			err := change(t, &tries, b.Key, func(v *accounts.Tries) error {
				rule.EndTry(v, id, b, right)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
