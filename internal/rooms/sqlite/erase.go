package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/store/sqlite"
)

// erasing notes deleted rooms whose messages are being taken away: too many for one
// transaction, which everybody else would wait for.
var erasing = sqlite.Schema{Name: "chat erasing", Steps: []string{`
CREATE TABLE rooms_erased (
	rid TEXT NOT NULL UNIQUE
);
`}}

// erasedAtOnce is how many messages one transaction takes away.
const erasedAtOnce = 500

// DeleteRoom implements rooms.RoomStore. The room and its memberships go in one
// transaction, and with them everything that leads to its messages.
func (s *Store) DeleteRoom(ctx context.Context, id string, at time.Time) (was *rooms.Room, list []*rooms.Subscription, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		var raw []byte
		err := t.Row(`SELECT doc FROM rooms WHERE id = ?`, []any{id}, &raw)
		if err != nil {
			return err
		}
		if was, err = decoded[rooms.Room](raw); err != nil {
			return err
		}
		list = nil
		err = t.Rows(`SELECT doc FROM subscriptions WHERE rid = ?`, []any{id}, func(r *sql.Rows) error {
			var raw []byte
			if err := r.Scan(&raw); err != nil {
				return err
			}
			m, err := decoded[rooms.Subscription](raw)
			list = append(list, m)
			return err
		})
		for _, m := range list {
			err = errors.Join(err, gone(t, rooms.Gone{ID: m.ID, Kind: rooms.GoneSubscription, RoomID: id, UserID: m.User.ID, DeletedAt: at}))
		}
		return errors.Join(err,
			t.Exec(`DELETE FROM subscriptions WHERE rid = ?`, id), t.Exec(`DELETE FROM rooms WHERE id = ?`, id),
			t.Exec(`DELETE FROM invites WHERE rid = ?`, id),
			t.Exec(`INSERT OR IGNORE INTO rooms_erased (rid) VALUES (?)`, id))
	})
	if err != nil {
		return nil, nil, err
	}
	// Whatever of them stays is taken away by Mend; nobody reads it.
	_ = s.eraseMessages(ctx, id)
	return was, list, nil
}

// eraseMessages takes the messages of a deleted room away, a few in each transaction.
func (s *Store) eraseMessages(ctx context.Context, id string) error {
	for {
		left := 0
		err := s.Update(ctx, func(t *sqlite.Tx) error {
			const some = `IN (SELECT id FROM messages WHERE rid = ? ORDER BY ts, id LIMIT ?)`
			err := errors.Join(
				forgetMessages(t, some, id, erasedAtOnce),
				t.Row(`SELECT count(*) FROM (SELECT 1 FROM messages WHERE rid = ? LIMIT 1)`, []any{id}, &left))
			if err == nil && left == 0 {
				err = t.Exec(`DELETE FROM rooms_erased WHERE rid = ?`, id)
			}
			return err
		})
		if err != nil || left == 0 {
			return err
		}
	}
}

// forgetMessages deletes messages by a condition on their ids, and what other tables say of them.
func forgetMessages(t *sqlite.Tx, ids string, args ...any) error {
	return errors.Join(
		t.Exec(`DELETE FROM message_stars WHERE mid `+ids, args...),
		t.Exec(`DELETE FROM message_followers WHERE mid `+ids, args...),
		t.Exec(`DELETE FROM messages WHERE id `+ids, args...))
}

// Mend implements rooms.MessageStore: every operation is one transaction, and messages of
// deleted rooms may be left.
func (s *Store) Mend(ctx context.Context, _ time.Time) error {
	ids, err := s.texts(ctx, `SELECT rid FROM rooms_erased`)
	for _, id := range ids {
		err = errors.Join(err, s.eraseMessages(ctx, id))
	}
	return err
}
