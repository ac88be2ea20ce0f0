package sqlite

import (
	"context"
	"database/sql"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// fileSchema has steps of its own: files came later than rooms.
var fileSchema = sqlite.Schema{Name: "files", Steps: []string{`
CREATE TABLE files (
	id       TEXT NOT NULL UNIQUE,
	rid      TEXT NOT NULL,
	uid      TEXT NOT NULL,
	state    TEXT NOT NULL,
	size     INTEGER NOT NULL,
	uploaded INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	doc      BLOB NOT NULL
);
CREATE INDEX files_user ON files (uid, size);
CREATE INDEX files_listed ON files (rid, uploaded, id) WHERE state = 'attached';
CREATE INDEX files_stale ON files (state, updated);
`}}

// AddFile implements rooms.FileStore.
func (s *Store) AddFile(ctx context.Context, f *rooms.File) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		raw, err := document.Encode(f)
		if err != nil {
			return err
		}
		err = t.Exec(`INSERT INTO files (id, rid, uid, state, size, uploaded, updated, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			f.ID, f.RoomID, f.UserID, string(f.State), f.Size, millis(f.UploadedAt), millis(f.UpdatedAt), []byte(raw))
		if sqlite.Taken(err) {
			return dberr.Duplicate
		}
		return err
	})
}

// FileByID implements rooms.FileStore.
func (s *Store) FileByID(ctx context.Context, id string) (*rooms.File, error) {
	return one[rooms.File](ctx, s, `SELECT doc FROM files WHERE id = ?`, id)
}

// changeFile changes one file and returns it.
func (s *Store) changeFile(ctx context.Context, id string, do func(*rooms.File) error) (f *rooms.File, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		var raw []byte
		if err := t.Row(`SELECT doc FROM files WHERE id = ?`, []any{id}, &raw); err != nil {
			return err
		}
		if f, err = decoded[rooms.File](raw); err != nil {
			return err
		}
		if err := do(f); err != nil {
			return err
		}
		next, err := document.Encode(f)
		if err != nil {
			return err
		}
		return t.Exec(`UPDATE files SET rid = ?, uid = ?, state = ?, size = ?, uploaded = ?, updated = ?, doc = ? WHERE id = ?`,
			f.RoomID, f.UserID, string(f.State), f.Size, millis(f.UploadedAt), millis(f.UpdatedAt), []byte(next), id)
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// SetFile implements rooms.FileStore.
func (s *Store) SetFile(ctx context.Context, f *rooms.File, from rooms.FileState) error {
	_, err := s.changeFile(ctx, f.ID, func(is *rooms.File) error {
		if is.State != from {
			return dberr.Conflict
		}
		*is = *f
		return nil
	})
	return err
}

// TouchFile implements rooms.FileStore.
func (s *Store) TouchFile(ctx context.Context, id string, at time.Time) error {
	_, err := s.changeFile(ctx, id, func(f *rooms.File) error {
		if f.State != rooms.FileUploading {
			return dberr.Conflict
		}
		f.UpdatedAt = at
		return nil
	})
	return err
}

// EndFile implements rooms.FileStore.
func (s *Store) EndFile(ctx context.Context, id string, at time.Time) (*rooms.File, error) {
	return s.changeFile(ctx, id, func(f *rooms.File) error {
		f.End(at)
		return nil
	})
}

// RemoveFile implements rooms.FileStore.
func (s *Store) RemoveFile(ctx context.Context, id string) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var state string
		if err := t.Row(`SELECT state FROM files WHERE id = ?`, []any{id}, &state); err != nil {
			return err
		}
		if state != string(rooms.FileGone) {
			return dberr.Conflict
		}
		return t.Exec(`DELETE FROM files WHERE id = ?`, id)
	})
}

// FilesSize implements rooms.FileStore.
func (s *Store) FilesSize(ctx context.Context, userID string) (size int64, err error) {
	err = s.Query(ctx, `SELECT coalesce(sum(size), 0) FROM files WHERE uid = ?`, func(r *sql.Row) error { return r.Scan(&size) }, userID)
	return size, err
}

// ListFiles implements rooms.FileStore. A name is searched for here, since SQLite folds
// the letters of English only.
func (s *Store) ListFiles(ctx context.Context, q rooms.FileQuery) (page []*rooms.File, total int, err error) {
	if q.Name == "" && q.Group == "" && q.UserID == "" {
		if total, err = s.number(ctx, `SELECT count(*) FROM files WHERE rid = ? AND state = 'attached'`, q.RoomID); err != nil {
			return nil, 0, err
		}
		page, err = many[rooms.File](ctx, s, `SELECT doc FROM files WHERE rid = ? AND state = 'attached' ORDER BY uploaded DESC, id DESC LIMIT ? OFFSET ?`,
			q.RoomID, max(q.Limit, 1), max(q.Offset, 0))
		return page, total, err
	}
	return kept(ctx, s, q.Keeps, q.Offset, q.Limit, `SELECT doc FROM files WHERE rid = ? AND state = 'attached' ORDER BY uploaded DESC, id DESC`, q.RoomID)
}

// StaleFiles implements rooms.FileStore.
func (s *Store) StaleFiles(ctx context.Context, in rooms.FileState, before time.Time, limit int) ([]*rooms.File, error) {
	return many[rooms.File](ctx, s, `SELECT doc FROM files WHERE state = ? AND updated < ? ORDER BY updated, id LIMIT ?`, string(in), millis(before), limit)
}

// FilesAfter implements rooms.FileStore.
func (s *Store) FilesAfter(ctx context.Context, id string, limit int) ([]*rooms.File, error) {
	return many[rooms.File](ctx, s, `SELECT doc FROM files WHERE id > ? AND state = 'attached' ORDER BY id LIMIT ?`, id, limit)
}
