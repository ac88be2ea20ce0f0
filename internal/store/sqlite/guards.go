package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
)

var guardSchema = schema{name: "guards", steps: []string{`
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

const selectGuard = `SELECT doc FROM guards WHERE id = ?`

// Guard implements twofactor.Store.
func (s *Store) Guard(ctx context.Context, userID string) (twofactor.Guard, error) {
	var raw []byte
	err := s.query(ctx, selectGuard, func(r *sql.Row) error { return r.Scan(&raw) }, userID)
	return decodeGuard(userID, raw, err)
}

func decodeGuard(userID string, raw []byte, err error) (twofactor.Guard, error) {
	g := twofactor.Guard{UserID: userID}
	if errors.Is(err, dberr.NotFound) {
		return g, nil
	}
	if err == nil {
		err = document.Decode(raw, &g)
	}
	if err != nil {
		return twofactor.Guard{}, err
	}
	return g, nil
}

// updateGuard changes a guard. The change is stored when do returns nil or an
// error for which keep holds, and do's error is returned.
func (s *Store) updateGuard(ctx context.Context, userID string, keep func(error) bool, do func(*twofactor.Guard) error) error {
	var outcome error
	err := s.update(ctx, func(t *tx) error {
		var raw []byte
		err := t.row(selectGuard, []any{userID}, &raw)
		g, err := decodeGuard(userID, raw, err)
		if err != nil {
			return err
		}
		if outcome = do(&g); outcome != nil && !keep(outcome) {
			return outcome
		}
		return t.putGuard(&g)
	})
	if err != nil {
		return err
	}
	return outcome
}

func (t *tx) putGuard(g *twofactor.Guard) error {
	raw, err := document.Encode(g)
	if err != nil {
		return err
	}
	forget := sql.NullInt64{}
	if at := rule.ForgetAt(g); !at.IsZero() {
		forget = sql.NullInt64{Int64: at.UnixMilli(), Valid: true}
	}
	return t.exec(`INSERT INTO guards (id, forget, doc) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET forget = excluded.forget, doc = excluded.doc`, g.UserID, forget, []byte(raw))
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
	return s.update(ctx, func(t *tx) error { return t.exec(`DELETE FROM guards WHERE id = ?`, userID) })
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
