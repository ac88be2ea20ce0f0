package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/store/document"
)

// due is the time at which an item may be claimed: the end of its lease, or
// its next try.
var outboxSchema = schema{name: "outbox", steps: []string{`
CREATE TABLE outbox (
	id      TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	due     INTEGER NOT NULL,
	doc     BLOB NOT NULL
);
CREATE INDEX outbox_due ON outbox (due);
`, `
ALTER TABLE outbox ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_class ON outbox (class);
`}}

// PutMail implements mail.Store; Duplicate when the id is in use.
func (s *Store) PutMail(ctx context.Context, it mail.Item, max int) error {
	raw, err := document.Encode(it)
	if err != nil {
		return err
	}
	return s.update(ctx, func(t *tx) error {
		var n int
		if err := t.row(`SELECT count(*) FROM outbox WHERE class = ?`, []any{string(it.Class)}, &n); err != nil {
			return err
		}
		if n >= max {
			return dberr.Exhausted
		}
		err := t.exec(`INSERT INTO outbox (id, created, due, doc, class, rank) VALUES (?, ?, ?, ?, ?, ?)`,
			it.ID, it.CreatedAt.UnixMilli(), due(it), []byte(raw), string(it.Class), it.Rank)
		if taken(err) {
			return dberr.Duplicate
		}
		return err
	})
}

// ClaimMail implements mail.Store.
func (s *Store) ClaimMail(ctx context.Context, owner string, now time.Time, lease time.Duration) (mail.Item, error) {
	var it mail.Item
	err := s.update(ctx, func(t *tx) error {
		it = mail.Item{}
		var raw []byte
		if err := t.row(`SELECT doc FROM outbox WHERE due <= ? ORDER BY rank, created, id LIMIT 1`, []any{now.UnixMilli()}, &raw); err != nil {
			return err
		}
		if err := document.Decode(raw, &it); err != nil {
			return err
		}
		it.Owner, it.LeaseUntil = owner, document.Milli(now.Add(lease))
		it.Tries++
		return t.putMail(it)
	})
	if err != nil {
		return mail.Item{}, err
	}
	return it, nil
}

// mail reads a waiting mail.
func (t *tx) mail(id string) (it mail.Item, err error) {
	var raw []byte
	if err := t.row(`SELECT doc FROM outbox WHERE id = ?`, []any{id}, &raw); err != nil {
		return it, err
	}
	return it, document.Decode(raw, &it)
}

// RetryMail implements mail.Store.
func (s *Store) RetryMail(ctx context.Context, id, owner string, notBefore time.Time) error {
	return s.update(ctx, func(t *tx) error {
		it, err := t.mail(id)
		if err != nil {
			return err
		}
		if it.Owner != owner || owner == "" {
			return dberr.Conflict
		}
		it.Owner, it.LeaseUntil, it.NotBefore = "", time.Time{}, notBefore
		return t.putMail(it)
	})
}

// DeleteMail implements mail.Store; an item that is gone is no error.
func (s *Store) DeleteMail(ctx context.Context, id string) error {
	return s.update(ctx, func(t *tx) error { return t.exec(`DELETE FROM outbox WHERE id = ?`, id) })
}

// NextMail implements mail.Store.
func (s *Store) NextMail(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.query(ctx, `SELECT due FROM outbox ORDER BY due LIMIT 1`, func(r *sql.Row) error { return r.Scan(&ms) })
	if errors.Is(err, dberr.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// releaseMail ends every lease. Only the server that holds the lock of the
// directory may do that: whoever leased them before is dead.
func (s *Store) releaseMail(ctx context.Context) error {
	return s.update(ctx, func(t *tx) error {
		var leased []mail.Item
		err := t.rows(`SELECT doc FROM outbox`, nil, func(r *sql.Rows) error {
			var raw []byte
			if err := r.Scan(&raw); err != nil {
				return err
			}
			var it mail.Item
			if document.Decode(raw, &it) == nil && it.Owner != "" { // what cannot be read stays as it is
				leased = append(leased, it)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, it := range leased {
			it.Owner, it.LeaseUntil = "", time.Time{}
			if err := t.putMail(it); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) putMail(it mail.Item) error {
	raw, err := document.Encode(it)
	if err != nil {
		return err
	}
	return t.exec(`UPDATE outbox SET due = ?, doc = ? WHERE id = ?`, due(it), []byte(raw), it.ID)
}

func due(it mail.Item) int64 {
	if it.LeaseUntil.After(it.NotBefore) {
		return it.LeaseUntil.UnixMilli()
	}
	return it.NotBefore.UnixMilli()
}
