package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/store/document"
)

// due is the time at which an item may be claimed: the end of its lease, or
// its next try.
var outboxSchema = Schema{Name: "outbox", Steps: []string{`
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
	return s.Update(ctx, func(t *Tx) error {
		var n int
		if err := t.Row(`SELECT count(*) FROM outbox WHERE class = ?`, []any{string(it.Class)}, &n); err != nil {
			return err
		}
		if n >= max {
			return dberr.Exhausted
		}
		err := t.Exec(`INSERT INTO outbox (id, created, due, doc, class, rank) VALUES (?, ?, ?, ?, ?, ?)`,
			it.ID, it.CreatedAt.UnixMilli(), due(it), []byte(raw), string(it.Class), it.Rank)
		if Taken(err) {
			return dberr.Duplicate
		}
		return err
	})
}

// ClaimMail implements mail.Store. An item that cannot be read is leased like others
// and then reported, so that those behind it have their turn.
func (s *Store) ClaimMail(ctx context.Context, owner string, now time.Time, lease time.Duration) (mail.Item, error) {
	var it mail.Item
	var broken error
	err := s.Update(ctx, func(t *Tx) error {
		var id string
		broken = nil
		if err := t.Row(`SELECT id FROM outbox WHERE due <= ? ORDER BY rank, created, id LIMIT 1`, []any{now.UnixMilli()}, &id); err != nil {
			return err
		}
		err := change(t, &outbox, id, func(v *mail.Item) error {
			v.Owner, v.LeaseUntil = owner, document.Milli(now.Add(lease))
			v.Tries++
			it = *v
			return nil
		})
		if errors.Is(err, document.ErrBroken) {
			broken = fmt.Errorf("mail %s: %w", id, err)
			return t.Exec(`UPDATE outbox SET due = ? WHERE id = ?`, now.Add(lease).UnixMilli(), id)
		}
		return err
	})
	if err = errors.Join(err, broken); err != nil {
		return mail.Item{}, err
	}
	return it, nil
}

// DeleteMail implements mail.Store; an item that is gone is no error.
func (s *Store) DeleteMail(ctx context.Context, id string) error {
	return s.Update(ctx, func(t *Tx) error { return t.Exec(`DELETE FROM outbox WHERE id = ?`, id) })
}

// MailQueue implements mail.Store.
func (s *Store) MailQueue(ctx context.Context) (waiting int, oldest time.Time, err error) {
	var ms sql.NullInt64
	err = s.Query(ctx, `SELECT count(*), min(created) FROM outbox`, func(r *sql.Row) error { return r.Scan(&waiting, &ms) })
	if err != nil || !ms.Valid {
		return 0, time.Time{}, err
	}
	return waiting, time.UnixMilli(ms.Int64).UTC(), nil
}

// NextMail implements mail.Store.
func (s *Store) NextMail(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.Query(ctx, `SELECT due FROM outbox ORDER BY due LIMIT 1`, func(r *sql.Row) error { return r.Scan(&ms) })
	if errors.Is(err, dberr.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// releaseMail ends every lease. Only the server that holds the lock of the
// directory may do that: whoever leased them before is dead. What cannot be read
// stays as it is.
func (s *Store) releaseMail(ctx context.Context) error {
	return s.Update(ctx, func(t *Tx) error {
		var ids []string
		err := t.Rows(`SELECT id FROM outbox`, nil, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			err := change(t, &outbox, id, func(it *mail.Item) error {
				if it.Owner == "" {
					return dberr.Conflict
				}
				it.Owner, it.LeaseUntil = "", time.Time{}
				return nil
			})
			if err != nil && !errors.Is(err, dberr.Conflict) && !errors.Is(err, document.ErrBroken) {
				return err
			}
		}
		return nil
	})
}

var outbox = documents[mail.Item]{
	read: `SELECT doc FROM outbox WHERE id = ?`,
	write: func(t *Tx, it *mail.Item) error {
		raw, err := document.Encode(it)
		if err != nil {
			return err
		}
		return t.Exec(`UPDATE outbox SET due = ?, doc = ? WHERE id = ?`, due(*it), []byte(raw), it.ID)
	},
}

func due(it mail.Item) int64 {
	if it.LeaseUntil.After(it.NotBefore) {
		return it.LeaseUntil.UnixMilli()
	}
	return it.NotBefore.UnixMilli()
}
