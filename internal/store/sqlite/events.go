package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/store/document"
)

// There is one writer, so numbers become visible in their order and a cursor
// is simply the last number seen. AUTOINCREMENT: a number is never used again.
var eventSchema = Schema{Name: "events", Steps: []string{`
CREATE TABLE events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at  INTEGER NOT NULL,
	doc BLOB NOT NULL
);
CREATE INDEX events_age ON events (at);
`}}

// eventLife is how long events are kept for nodes that poll.
const eventLife = 10 * time.Minute

// AppendEvents implements feed.Store.
func (s *Store) AppendEvents(ctx context.Context, events []feed.Event) error {
	docs := make([][]byte, len(events))
	for i, e := range events {
		raw, err := document.Encode(e)
		if err != nil {
			return err
		}
		docs[i] = raw
	}
	return s.Update(ctx, func(t *Tx) error {
		now := s.now()
		if err := t.Exec(`DELETE FROM events WHERE at < ?`, now.Add(-eventLife).UnixMilli()); err != nil {
			return err
		}
		for _, doc := range docs {
			if err := t.Exec(`INSERT INTO events (at, doc) VALUES (?, ?)`, now.UnixMilli(), doc); err != nil {
				return err
			}
		}
		return nil
	})
}

// EventsSince implements feed.Store.
func (s *Store) EventsSince(ctx context.Context, cursor string) ([]feed.Event, string, error) {
	if cursor == "" {
		var last int64
		err := s.Query(ctx, `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)`, func(r *sql.Row) error { return r.Scan(&last) })
		return nil, strconv.FormatInt(last, 10), err
	}
	last, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return nil, cursor, fmt.Errorf("events: bad cursor %q", cursor)
	}
	var events []feed.Event
	err = s.QueryAll(ctx, `SELECT seq, doc FROM events WHERE seq > ? ORDER BY seq LIMIT 1000`, func(r *sql.Rows) error {
		var raw []byte
		var e feed.Event
		if err := r.Scan(&last, &raw); err != nil {
			return err
		}
		if err := document.Decode(raw, &e); err != nil {
			e = feed.Event{ID: "damaged " + strconv.FormatInt(last, 10)} // of no kind: the reader reads anew
		}
		events = append(events, e)
		return nil
	}, last)
	if err != nil {
		return nil, cursor, err
	}
	return events, strconv.FormatInt(last, 10), nil
}
