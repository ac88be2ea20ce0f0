package sqlite

import (
	"context"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// hookSchema has steps of its own: hooks came later than rooms.
var hookSchema = sqlite.Schema{Name: "hooks", Steps: []string{`
CREATE TABLE hooks (
	id      TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	doc     BLOB NOT NULL
);
CREATE INDEX hooks_listed ON hooks (created, id);
`}}

// AddHook implements rooms.HookStore.
func (s *Store) AddHook(ctx context.Context, h *rooms.Hook) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		raw, err := document.Encode(h)
		if err != nil {
			return err
		}
		err = t.Exec(`INSERT INTO hooks (id, created, updated, doc) VALUES (?, ?, ?, ?)`, h.ID, millis(h.CreatedAt), millis(h.UpdatedAt), []byte(raw))
		if sqlite.Taken(err) {
			return dberr.Duplicate
		}
		return err
	})
}

// HookByID implements rooms.HookStore.
func (s *Store) HookByID(ctx context.Context, id string) (*rooms.Hook, error) {
	return one[rooms.Hook](ctx, s, `SELECT doc FROM hooks WHERE id = ?`, id)
}

// SetHook implements rooms.HookStore.
func (s *Store) SetHook(ctx context.Context, h *rooms.Hook, was time.Time) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var updated int64
		if err := t.Row(`SELECT updated FROM hooks WHERE id = ?`, []any{h.ID}, &updated); err != nil {
			return err
		}
		if updated != millis(was) {
			return dberr.Conflict
		}
		raw, err := document.Encode(h)
		if err != nil {
			return err
		}
		return t.Exec(`UPDATE hooks SET updated = ?, doc = ? WHERE id = ?`, millis(h.UpdatedAt), []byte(raw), h.ID)
	})
}

// RemoveHook implements rooms.HookStore.
func (s *Store) RemoveHook(ctx context.Context, id string) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var n int64
		if err := t.Row(`SELECT updated FROM hooks WHERE id = ?`, []any{id}, &n); err != nil {
			return err
		}
		return t.Exec(`DELETE FROM hooks WHERE id = ?`, id)
	})
}

// ListHooks implements rooms.HookStore.
func (s *Store) ListHooks(ctx context.Context, q rooms.HookQuery) ([]*rooms.Hook, int, error) {
	return kept(ctx, s, q.Keeps, q.Offset, q.Limit, `SELECT doc FROM hooks ORDER BY created DESC, id DESC`)
}
