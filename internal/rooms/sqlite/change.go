package sqlite

import (
	"context"
	"database/sql"

	"ddpserver/internal/rooms"
	"ddpserver/internal/store/sqlite"
)

// ChangeRoom implements rooms.RoomStore.
func (s *Store) ChangeRoom(ctx context.Context, id string, c rooms.RoomChange) (was, room *rooms.Room, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		room, err = changeRoom(t, id, func(r *rooms.Room) error {
			before := *r
			was = &before
			r.Change(c)
			return nil
		})
		if err != nil || was.Calls(room) {
			return err
		}
		return follow(t, room, c)
	})
	if err != nil {
		return nil, nil, err
	}
	return was, room, nil
}

// follow has the memberships of a room follow its name and type.
func follow(t *sqlite.Tx, room *rooms.Room, c rooms.RoomChange) error {
	ids, err := members(t, room.ID)
	for _, id := range ids {
		if err != nil {
			return err
		}
		_, err = changeSubscription(t, room.ID, id, func(m *rooms.Subscription) error {
			m.Follow(room, c.At)
			return nil
		})
	}
	return err
}

// members are the ids of those who are in a room.
func members(t *sqlite.Tx, roomID string) (ids []string, err error) {
	err = t.Rows(`SELECT uid FROM subscriptions WHERE rid = ?`, []any{roomID}, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
