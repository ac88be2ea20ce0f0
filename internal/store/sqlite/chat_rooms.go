package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// The columns beside the documents are what is unique and what is searched by.
var chatSchema = schema{name: "chat", steps: []string{`
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

// UsersByIDs implements rooms.Store.
func (s *Store) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	return eachOf(ids, func(id string) (*user.User, error) { return s.UserByID(ctx, id) })
}

// UsersByUsernames implements rooms.Store.
func (s *Store) UsersByUsernames(ctx context.Context, keys []string) ([]*user.User, error) {
	return eachOf(keys, func(key string) (*user.User, error) { return s.UserByUsername(ctx, key) })
}

// eachOf collects what is there. Prepared look-ups by key cost tens of
// microseconds; a list in the statement would need a new plan for each length.
func eachOf[T any](keys []string, get func(string) (*T, error)) ([]*T, error) {
	var out []*T
	for _, k := range keys {
		v, err := get(k)
		switch {
		case err == dberr.NotFound: //nolint:errorlint // failure makes exactly this value
		case err != nil:
			return nil, err
		default:
			out = append(out, v)
		}
	}
	return out, nil
}

// CreateRoom implements rooms.RoomStore.
func (s *Store) CreateRoom(ctx context.Context, r *rooms.Room, members []*rooms.Subscription) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.insertRoom(r); err != nil {
			return err
		}
		for _, m := range members {
			if err := t.insertSubscription(m); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) insertRoom(r *rooms.Room) error {
	raw, err := document.Encode(r)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO rooms (id, t, name_key, direct_key, is_default, updated, doc) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Type, orNull(r.NameKey), orNull(r.DirectKey), r.Default, r.UpdatedAt.UnixMilli(), []byte(raw))
	if taken(err) {
		return dberr.Duplicate
	}
	return err
}

// changeRoom changes one room and returns it.
func (t *tx) changeRoom(id string, do func(*rooms.Room) error) (*rooms.Room, error) {
	var raw []byte
	if err := t.row(`SELECT doc FROM rooms WHERE id = ?`, []any{id}, &raw); err != nil {
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
	return r, t.exec(`UPDATE rooms SET is_default = ?, updated = ?, doc = ? WHERE id = ?`, r.Default, r.UpdatedAt.UnixMilli(), []byte(next), id)
}

func decoded[T any](raw []byte) (*T, error) {
	v := new(T)
	if err := document.Decode(raw, v); err != nil {
		return nil, err
	}
	return v, nil
}

// one and many read documents of any kind.
func one[T any](ctx context.Context, s *Store, text string, args ...any) (*T, error) {
	var raw []byte
	if err := s.query(ctx, text, func(r *sql.Row) error { return r.Scan(&raw) }, args...); err != nil {
		return nil, err
	}
	return decoded[T](raw)
}

func many[T any](ctx context.Context, s *Store, text string, args ...any) ([]*T, error) {
	var out []*T
	err := s.queryAll(ctx, text, func(r *sql.Rows) error {
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

// errEnough ends what queryAll reads, as if no row followed.
var errEnough = errors.New("sqlite: the page is full")

// messages is many for pages of messages: it ends at rooms.StoredPageBytes.
func (s *Store) messages(ctx context.Context, text string, args ...any) ([]*rooms.Message, error) {
	var out []*rooms.Message
	size := 0
	err := s.queryAll(ctx, text, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		if size += len(raw); size > rooms.StoredPageBytes && len(out) > 0 {
			return errEnough
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
	err = s.query(ctx, text, func(r *sql.Row) error { return r.Scan(&n) }, args...)
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
	return eachOf(ids, func(id string) (*rooms.Room, error) {
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
func (s *Store) ListRooms(ctx context.Context, t string, offset, count int) (page []*rooms.Room, total int, err error) {
	if total, err = s.number(ctx, `SELECT count(*) FROM rooms WHERE t = ?`, t); err != nil {
		return nil, 0, err
	}
	page, err = many[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE t = ? ORDER BY name_key, id LIMIT ? OFFSET ?`, t, max(count, 0), max(offset, 0))
	return page, total, err
}

// DefaultRooms implements rooms.RoomStore.
func (s *Store) DefaultRooms(ctx context.Context) ([]*rooms.Room, error) {
	return many[rooms.Room](ctx, s, `SELECT doc FROM rooms WHERE is_default = 1 ORDER BY id`)
}

// UpdateRoom implements rooms.RoomStore.
func (s *Store) UpdateRoom(ctx context.Context, id string, c rooms.RoomChange) (*rooms.Room, error) {
	return s.roomUpdate(ctx, id, func(r *rooms.Room) error {
		rule.ChangeRoom(r, c)
		return nil
	})
}

func (s *Store) roomUpdate(ctx context.Context, id string, do func(*rooms.Room) error) (r *rooms.Room, err error) {
	err = s.update(ctx, func(t *tx) (err error) {
		r, err = t.changeRoom(id, do)
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
	if err == outcome { //nolint:errorlint // failure makes exactly these values
		return nil
	}
	return err
}
