package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
)

const selectTries = `SELECT doc FROM tries WHERE id = ?`

// Tries implements accounts.Store.
func (s *Store) Tries(ctx context.Context, key string) (accounts.Tries, error) {
	raw, err := s.document(ctx, selectTries, key)
	return decodeTries(key, raw, err)
}

func decodeTries(key string, raw []byte, err error) (accounts.Tries, error) {
	t := accounts.Tries{Key: key}
	if errors.Is(err, dberr.NotFound) {
		return t, nil
	}
	if err == nil {
		err = document.Decode(raw, &t)
	}
	if err != nil {
		return accounts.Tries{}, err
	}
	return t, nil
}

// changeTries changes what is remembered under a key, or leaves it when do fails.
func (t *tx) changeTries(key string, do func(*accounts.Tries) error) error {
	var raw []byte
	err := t.row(selectTries, []any{key}, &raw)
	tries, err := decodeTries(key, raw, err)
	if err != nil {
		return err
	}
	if err := do(&tries); err != nil {
		return err
	}
	doc, err := document.Encode(&tries)
	if err != nil {
		return err
	}
	forget := sql.NullInt64{}
	if at := rule.ForgetTriesAt(&tries); !at.IsZero() {
		forget = sql.NullInt64{Int64: at.UnixMilli(), Valid: true}
	}
	return t.exec(`INSERT INTO tries (id, forget, doc) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET forget = excluded.forget, doc = excluded.doc`, key, forget, []byte(doc))
}

// CountTries implements accounts.Store: one transaction for all budgets.
func (s *Store) CountTries(ctx context.Context, id string, now time.Time, list []accounts.Budget) error {
	return s.update(ctx, func(t *tx) error {
		for _, b := range list {
			if err := t.changeTries(b.Key, func(tries *accounts.Tries) error { return rule.CountTry(tries, id, now, b) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndTries implements accounts.Store.
func (s *Store) EndTries(ctx context.Context, id string, list []accounts.Budget, right bool) error {
	return s.update(ctx, func(t *tx) error {
		for _, b := range list {
			err := t.changeTries(b.Key, func(tries *accounts.Tries) error {
				rule.EndTry(tries, id, b, right)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// AddSource implements accounts.Store.
func (s *Store) AddSource(ctx context.Context, key, digest string, now, since time.Time, most int) error {
	return s.update(ctx, func(t *tx) error {
		return t.changeTries(key, func(tries *accounts.Tries) error {
			rule.AddSource(tries, digest, now, since, most)
			return nil
		})
	})
}
