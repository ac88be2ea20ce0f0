package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/user"
)

// The columns beside the documents are what is unique and what is searched by.
var schema = sqlite.Schema{Name: "chat", Steps: []string{`
CREATE TABLE rooms (
	id         TEXT NOT NULL UNIQUE,
	t          TEXT NOT NULL,
	name_key   TEXT UNIQUE,
	direct_key TEXT UNIQUE,
	is_default INTEGER NOT NULL,
	updated    INTEGER NOT NULL, -- milliseconds, as every time here
	doc        BLOB NOT NULL
);
CREATE INDEX rooms_listed ON rooms (t, name_key, id);
CREATE INDEX rooms_default ON rooms (is_default) WHERE is_default = 1;
CREATE TABLE subscriptions (
	id       TEXT NOT NULL UNIQUE,
	rid      TEXT NOT NULL,
	uid      TEXT NOT NULL,
	user_key TEXT NOT NULL,
	alerted  INTEGER NOT NULL, -- 1: a plain new message changes nothing in it
	roles    INTEGER NOT NULL, -- 1: it carries a role
	updated  INTEGER NOT NULL,
	doc      BLOB NOT NULL,
	UNIQUE (rid, uid)
);
CREATE INDEX subscriptions_user ON subscriptions (uid, updated);
CREATE INDEX subscriptions_listed ON subscriptions (rid, user_key, id);
CREATE INDEX subscriptions_quiet ON subscriptions (rid) WHERE alerted = 0;
CREATE INDEX subscriptions_roles ON subscriptions (rid) WHERE roles = 1;
CREATE TABLE messages (
	id      TEXT NOT NULL UNIQUE,
	rid     TEXT NOT NULL,
	ts      INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	system  INTEGER NOT NULL,
	pinned  INTEGER NOT NULL,
	hidden  INTEGER NOT NULL,
	doc     BLOB NOT NULL
);
CREATE INDEX messages_paged ON messages (rid, ts, id);
CREATE INDEX messages_changed ON messages (rid, updated, id);
CREATE INDEX messages_pinned ON messages (rid, ts, id) WHERE pinned = 1;
CREATE TABLE message_stars (
	uid TEXT NOT NULL,
	mid TEXT NOT NULL,
	UNIQUE (uid, mid)
);
CREATE INDEX message_stars_message ON message_stars (mid);
CREATE TABLE trash (
	kind TEXT NOT NULL,
	id   TEXT NOT NULL,
	rid  TEXT NOT NULL,
	uid  TEXT NOT NULL,
	at   INTEGER NOT NULL
);
CREATE INDEX trash_room ON trash (kind, rid, at);
CREATE INDEX trash_user ON trash (kind, uid, at);
CREATE INDEX trash_age ON trash (at);
`}}

// CreateRoom implements rooms.RoomStore.
func (s *Store) CreateRoom(ctx context.Context, r *rooms.Room, members []*rooms.Subscription) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		if err := insertRoom(t, r); err != nil {
			return err
		}
		for _, m := range members {
			if err := insertSubscription(t, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertRoom(t *sqlite.Tx, r *rooms.Room) error {
	raw, err := document.Encode(r)
	if err != nil {
		return err
	}
	err = t.Exec(`INSERT INTO rooms (id, t, name_key, direct_key, is_default, updated, doc) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Type, nullable(r.NameKey), nullable(r.DirectKey), r.Default, r.UpdatedAt.UnixMilli(), []byte(raw))
	if sqlite.Taken(err) {
		return dberr.Duplicate
	}
	return err
}

// changeRoom changes one room and returns it.
func changeRoom(t *sqlite.Tx, id string, do func(*rooms.Room) error) (*rooms.Room, error) {
	var raw []byte
	if err := t.Row(`SELECT doc FROM rooms WHERE id = ?`, []any{id}, &raw); err != nil {
		return nil, err
	}
	r, err := decoded[rooms.Room](raw)
	if err != nil {
		return nil, err
	}
	if err := do(r); err != nil {
		return nil, err
	}
	next, err := document.Encode(r)
	if err != nil {
		return nil, err
	}
	err = t.Exec(`UPDATE rooms SET t = ?, name_key = ?, is_default = ?, updated = ?, doc = ? WHERE id = ?`,
		r.Type, nullable(r.NameKey), r.Default, r.UpdatedAt.UnixMilli(), []byte(next), id)
	if sqlite.Taken(err) {
		return nil, dberr.Duplicate
	}
	return r, err
}

func decoded[T any](raw []byte) (*T, error) {
	v := new(T)
	if err := document.Decode(raw, v); err != nil {
		return nil, err
	}
	if r, is := any(v).(*rooms.Room); is {
		r.CustomFields = document.PlainFields(r.CustomFields)
	}
	return v, nil
}

// one and many read documents of any kind.
func one[T any](ctx context.Context, s *Store, text string, args ...any) (*T, error) {
	var raw []byte
	if err := s.Query(ctx, text, func(r *sql.Row) error { return r.Scan(&raw) }, args...); err != nil {
		return nil, err
	}
	return decoded[T](raw)
}

func many[T any](ctx context.Context, s *Store, text string, args ...any) ([]*T, error) {
	var out []*T
	err := s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		v, err := decoded[T](raw)
		out = append(out, v)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// kept is a page of those of many that keeps selects, with the number of all of them. They
// are all read: it is for what SQLite cannot select itself.
func kept[T any](ctx context.Context, s *Store, keeps func(*T) bool, offset, limit int, text string, args ...any) (page []*T, total int, err error) {
	err = s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		v, err := decoded[T](raw)
		if err != nil || !keeps(v) {
			return err
		}
		if total++; total > offset && len(page) < max(limit, 1) {
			page = append(page, v)
		}
		return nil
	}, args...)
	if err != nil {
		return nil, 0, err
	}
	return page, total, nil
}

// messages is many for pages of messages: it ends at rooms.StoredPageBytes.
func (s *Store) messages(ctx context.Context, text string, args ...any) ([]*rooms.Message, error) {
	var out []*rooms.Message
	size := 0
	err := s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		if size += len(raw); size > rooms.StoredPageBytes && len(out) > 0 {
			return sqlite.ErrEnough
		}
		m, err := decoded[rooms.Message](raw)
		out = append(out, m)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) number(ctx context.Context, text string, args ...any) (n int, err error) {
	err = s.Query(ctx, text, func(r *sql.Row) error { return r.Scan(&n) }, args...)
	return n, err
}

// RoomByID implements rooms.RoomStore.
func (s *Store) RoomByID(ctx context.Context, id string) (*rooms.Room, error) {
	return one[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE id = ?`, id)
}

// RoomByName implements rooms.RoomStore.
func (s *Store) RoomByName(ctx context.Context, key string) (*rooms.Room, error) {
	return one[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE name_key = ?`, key)
}

// RoomByDirectKey implements rooms.RoomStore.
func (s *Store) RoomByDirectKey(ctx context.Context, key string) (*rooms.Room, error) {
	return one[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE direct_key = ?`, key)
}

// RoomsByIDs implements rooms.RoomStore.
func (s *Store) RoomsByIDs(ctx context.Context, ids []string, since time.Time) ([]*rooms.Room, error) {
	return sqlite.Each(ids, func(id string) (*rooms.Room, error) {
		return one[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE id = ? AND updated >= ?`, id, millis(since))
	})
}

// millis is a time as the columns keep it; the zero time comes before all.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// ListRooms implements rooms.RoomStore.
func (s *Store) ListRooms(ctx context.Context, q rooms.RoomQuery) (page []*rooms.Room, total int, err error) {
	if len(q.Types) == 0 {
		return nil, 0, nil
	}
	from := ` FROM rooms WHERE t IN (?` + strings.Repeat(`, ?`, len(q.Types)-1) + `)`
	var args []any
	for _, t := range q.Types {
		args = append(args, t)
	}
	if q.Begins != "" {
		from, args = from+` AND name_key >= ? AND name_key < ?`, append(args, q.Begins, user.AfterWord(q.Begins))
	}
	if total, err = s.number(ctx, `SELECT count(*)`+from, args...); err != nil || q.Count <= 0 {
		return nil, total, err
	}
	page, err = many[rooms.Room](ctx, s, `SELECT doc`+from+` ORDER BY name_key, id LIMIT ? OFFSET ?`, append(args, q.Count, max(q.Offset, 0))...)
	return page, total, err
}

// DefaultRooms implements rooms.RoomStore.
func (s *Store) DefaultRooms(ctx context.Context) ([]*rooms.Room, error) {
	return many[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE is_default = 1 ORDER BY id`)
}

func (s *Store) roomUpdate(ctx context.Context, id string, do func(*rooms.Room) error) (r *rooms.Room, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		r, err = changeRoom(t, id, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// TouchLastMessage implements rooms.RoomStore.
func (s *Store) TouchLastMessage(ctx context.Context, m *rooms.Message, at time.Time) (bool, error) {
	r, err := s.RoomByID(ctx, m.RoomID)
	if err != nil || r.LastMessage == nil || r.LastMessage.ID != m.ID {
		return false, ignore(err, dberr.NotFound)
	}
	_, err = s.roomUpdate(ctx, m.RoomID, func(r *rooms.Room) error {
		if r.LastMessage == nil || r.LastMessage.ID != m.ID {
			return dberr.Conflict
		}
		if !r.LastMessage.UpdatedAt.After(m.UpdatedAt) {
			r.LastMessage = m
		}
		r.UpdatedAt = at
		return nil
	})
	return err == nil, ignore(err, dberr.Conflict)
}

// ignore takes one outcome for none.
func ignore(err, outcome error) error {
	if err == outcome { // failure makes exactly these values
		return nil
	}
	return err
}
