package sqlite

import (
	"context"
	"database/sql"

	"ddpserver/internal/feed"
)

// The newest mark of each account that ever had one, and of the settings. There is one
// writer, so marks become visible in their order, with the change. AUTOINCREMENT: a
// number is never used again.
var markSchema = Schema{Name: "marks", Steps: []string{`
CREATE TABLE marks (
	at      INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL UNIQUE
);
`}}

// mark marks a change in the transaction that makes it.
func (t *Tx) mark(account string) error {
	return t.Exec(`INSERT OR REPLACE INTO marks (account) VALUES (?)`, account)
}

// MarksSince implements feed.Marks. None is early, and all cost the same.
func (s *Store) MarksSince(ctx context.Context, after feed.Mark, max int, _ bool) (marks []feed.Mark, err error) {
	err = s.QueryAll(ctx, `SELECT at, account FROM marks WHERE at > ? ORDER BY at LIMIT ?`, func(r *sql.Rows) error {
		var m feed.Mark
		err := r.Scan(&m.At, &m.Account)
		marks = append(marks, m)
		return err
	}, int64(after.At), max)
	if err != nil {
		return nil, err
	}
	return marks, nil
}

// MarkNow implements feed.Marks.
func (s *Store) MarkNow(ctx context.Context) (at uint64, err error) {
	err = s.Query(ctx, `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'marks'), 0)`, func(r *sql.Row) error { return r.Scan(&at) })
	return at, err
}
