package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// InsertMessage implements rooms.MessageStore.
func (s *Store) InsertMessage(ctx context.Context, m *rooms.Message, e rooms.Unread) (r *rooms.Room, touched []string, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		touched = nil
		raw, err := document.Encode(m)
		if err != nil {
			return err
		}
		err = t.Exec(`INSERT INTO messages (id, rid, ts, updated, system, pinned, hidden, tmid, aside, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			m.ID, m.RoomID, m.TS.UnixMilli(), m.UpdatedAt.UnixMilli(), m.Type != "", m.Pinned, m.Hidden, m.ThreadID, m.Aside(), []byte(raw))
		if sqlite.Taken(err) {
			return dberr.Duplicate
		}
		if err == nil && e.Thread != "" {
			err = countReply(t, m, e)
		}
		if err != nil {
			return err
		}
		r, err = changeRoom(t, m.RoomID, func(r *rooms.Room) error {
			r.CountMessage(m)
			return nil
		})
		if err != nil || e.None {
			return err
		}
		if !m.Aside() {
			touched, err = countUnread(t, m, e)
		}
		if err == nil && e.Thread != "" {
			touched, err = countThread(t, m, e, touched)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return r, touched, nil
}

// countUnread moves the counters of the other members. A plain message changes
// only memberships that are not alerted yet.
func countUnread(t *sqlite.Tx, m *rooms.Message, e rooms.Unread) (touched []string, err error) {
	_, err = changeSubscription(t, m.RoomID, m.User.ID, func(s *rooms.Subscription) error {
		s.CountOwn(m)
		return nil
	})
	if err = ignore(err, dberr.NotFound); err != nil {
		return nil, err
	}
	text := `SELECT uid FROM subscriptions WHERE rid = ? AND alerted = 0`
	if e.CountAll || e.Group {
		text = `SELECT uid FROM subscriptions WHERE rid = ?`
	}
	var ids []string
	err = t.Rows(text, []any{m.RoomID}, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range e.Users {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		if id == m.User.ID {
			continue
		}
		_, err := changeSubscription(t, m.RoomID, id, func(s *rooms.Subscription) error {
			s.CountUnread(e, slices.Contains(e.Users, id), m.UpdatedAt)
			return nil
		})
		switch {
		case err == nil:
			touched = append(touched, id)
		case !errors.Is(err, dberr.NotFound): // somebody mentioned who is not there
			return nil, err
		}
	}
	return touched, nil
}

// MessageByID implements rooms.MessageStore.
func (s *Store) MessageByID(ctx context.Context, id string) (*rooms.Message, error) {
	return one[rooms.Message](ctx, s, `SELECT doc FROM messages WHERE id = ?`, id)
}

// History implements rooms.MessageStore.
func (s *Store) History(ctx context.Context, q rooms.HistoryQuery) ([]*rooms.Message, error) {
	from, args := historyWhere(q)
	order := " ORDER BY ts DESC, id DESC"
	switch {
	case q.Threads:
		order = " ORDER BY tlm DESC, id DESC"
	case q.OldestFirst:
		order = " ORDER BY ts, id"
	}
	limit := q.Limit
	if limit <= 0 {
		limit = -1
	}
	return s.messages(ctx, "SELECT doc FROM "+from+order+" LIMIT ? OFFSET ?", append(args, limit, max(q.Offset, 0))...)
}

// CountHistory implements rooms.MessageStore.
func (s *Store) CountHistory(ctx context.Context, q rooms.HistoryQuery) (int, error) {
	from, args := historyWhere(q)
	return s.number(ctx, "SELECT count(*) FROM "+from, args...)
}

// historyWhere makes one of a few fixed texts, so that each is planned once.
func historyWhere(q rooms.HistoryQuery) (string, []any) {
	after, before := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.After.IsZero() {
		after = q.After.UnixMilli()
		if !q.Inclusive {
			after++
		}
	}
	if !q.Before.IsZero() {
		before = q.Before.UnixMilli()
		if !q.Inclusive {
			before--
		}
	}
	var b strings.Builder
	b.WriteString("messages WHERE rid = ? AND ts BETWEEN ? AND ? AND hidden = 0")
	args := []any{q.RoomID, after, before}
	if q.Pinned {
		b.WriteString(" AND pinned = 1")
	}
	if q.Ordinary {
		b.WriteString(" AND system = 0")
	}
	if q.StarredBy != "" {
		b.WriteString(" AND id IN (SELECT mid FROM message_stars WHERE uid = ?)")
		args = append(args, q.StarredBy)
	}
	args = whereThreads(&b, q, args)
	return b.String(), args
}

// ChangedMessages implements rooms.MessageStore.
func (s *Store) ChangedMessages(ctx context.Context, roomID string, in rooms.Span) ([]*rooms.Message, error) {
	var of strings.Builder
	args := whereThreads(&of, rooms.HistoryQuery{Thread: in.Thread, Threads: in.Threads}, nil)
	if !in.Before.IsZero() {
		args = slices.Concat([]any{roomID, millis(in.Before)}, args, []any{in.Limit})
		return s.messages(ctx, `SELECT doc FROM messages WHERE rid = ? AND updated < ? AND hidden = 0`+of.String()+` ORDER BY updated DESC, id DESC LIMIT ?`, args...)
	}
	args = slices.Concat([]any{roomID, millis(in.After)}, args, []any{in.Limit})
	return s.messages(ctx, `SELECT doc FROM messages WHERE rid = ? AND updated > ? AND hidden = 0`+of.String()+` ORDER BY updated, id LIMIT ?`, args...)
}

// GoneMessages implements rooms.MessageStore.
func (s *Store) GoneMessages(ctx context.Context, roomID string, in rooms.Span) ([]rooms.Gone, error) {
	if !in.Before.IsZero() {
		return s.goneSince(ctx, `SELECT kind, id, rid, uid, at FROM trash WHERE kind = 'message' AND rid = ? AND at < ? ORDER BY at DESC LIMIT ?`,
			roomID, millis(in.Before), in.Limit)
	}
	return s.goneSince(ctx, `SELECT kind, id, rid, uid, at FROM trash WHERE kind = 'message' AND rid = ? AND at > ? ORDER BY at LIMIT ?`,
		roomID, millis(in.After), in.Limit)
}

// changeMessage changes one message and returns it. errSame means: as it is.
func (s *Store) changeMessage(ctx context.Context, id string, do func(*rooms.Message) error) (m *rooms.Message, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		m, err = changeMessage(t, id, do)
		return err
	})
	if err != nil && err != errSame { // made above, wrapped nowhere
		return nil, err
	}
	return m, nil
}

var errSame = errors.New("nothing to change")

func changeMessage(t *sqlite.Tx, id string, do func(*rooms.Message) error) (*rooms.Message, error) {
	var raw []byte
	if err := t.Row(`SELECT doc FROM messages WHERE id = ?`, []any{id}, &raw); err != nil {
		return nil, err
	}
	m, err := decoded[rooms.Message](raw)
	if err != nil {
		return nil, err
	}
	stars, followers := slices.Clone(m.Starred), slices.Clone(m.Followers)
	if err := do(m); err != nil {
		return m, err
	}
	next, err := document.Encode(m)
	if err != nil {
		return nil, err
	}
	err = t.Exec(`UPDATE messages SET updated = ?, pinned = ?, tmid = ?, aside = ?, tlm = ?, doc = ? WHERE id = ?`,
		m.UpdatedAt.UnixMilli(), m.Pinned, m.ThreadID, m.Aside(), millis(m.LastReply), []byte(next), id)
	if err != nil {
		return nil, err
	}
	return m, errors.Join(syncStars(t, id, stars, m.Starred), syncFollowers(t, id, followers, m.Followers))
}

func syncStars(t *sqlite.Tx, id string, before, after []rooms.Star) error {
	for _, s := range before {
		if !slices.Contains(after, s) {
			if err := t.Exec(`DELETE FROM message_stars WHERE uid = ? AND mid = ?`, s.ID, id); err != nil {
				return err
			}
		}
	}
	for _, s := range after {
		if !slices.Contains(before, s) {
			if err := t.Exec(`INSERT OR IGNORE INTO message_stars (uid, mid) VALUES (?, ?)`, s.ID, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// EditMessage implements rooms.MessageStore.
func (s *Store) EditMessage(ctx context.Context, id string, e rooms.Edit) (*rooms.Message, error) {
	return s.changeMessage(ctx, id, func(m *rooms.Message) error { return m.Edit(e) })
}

// SetPinned implements rooms.MessageStore.
func (s *Store) SetPinned(ctx context.Context, id string, on bool, by rooms.Ref, at time.Time) (*rooms.Message, error) {
	return s.changeMessage(ctx, id, func(m *rooms.Message) error { return m.SetPinned(on, by, at) })
}

// SetStar implements rooms.MessageStore.
func (s *Store) SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (m *rooms.Message, changed bool, err error) {
	m, err = s.changeMessage(ctx, id, func(m *rooms.Message) error {
		if changed = m.SetStar(userID, on, at); !changed {
			return errSame
		}
		return nil
	})
	return m, changed, err
}

// SetReaction implements rooms.MessageStore.
func (s *Store) SetReaction(ctx context.Context, id, emoji, username string, on *bool, max int, at time.Time) (m *rooms.Message, set, changed bool, err error) {
	m, err = s.changeMessage(ctx, id, func(m *rooms.Message) (err error) {
		if set, changed, err = m.SetReaction(emoji, username, on, max, at); err == nil && !changed {
			err = errSame
		}
		return err
	})
	return m, set, changed, err
}

// DeleteMessage implements rooms.MessageStore.
func (s *Store) DeleteMessage(ctx context.Context, id string, at time.Time) (r *rooms.Room, was *rooms.Message, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		var raw []byte
		err := t.Row(`SELECT doc FROM messages WHERE id = ?`, []any{id}, &raw)
		if err != nil {
			return err
		}
		if was, err = decoded[rooms.Message](raw); err != nil {
			return err
		}
		err = errors.Join(
			forgetMessages(t, `= ?`, id),
			dropThread(t, was, at),
			gone(t, rooms.Gone{ID: id, Kind: rooms.GoneMessage, RoomID: was.RoomID, DeletedAt: at}))
		if err != nil {
			return err
		}
		r, err = changeRoom(t, was.RoomID, func(r *rooms.Room) error {
			if !r.Lost(was) {
				r.DropMessage(was, nil, at)
				return nil
			}
			last, err := lastMessage(t, was.RoomID)
			r.DropMessage(was, last, at)
			return err
		})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return r, was, nil
}

// lastMessage is the newest ordinary message of a room, or nil.
func lastMessage(t *sqlite.Tx, rid string) (*rooms.Message, error) {
	var raw []byte
	err := t.Row(`SELECT doc FROM messages WHERE rid = ? AND system = 0 AND aside = 0 AND hidden = 0 ORDER BY ts DESC, id DESC LIMIT 1`, []any{rid}, &raw)
	if errors.Is(err, dberr.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decoded[rooms.Message](raw)
}

// SweepGone implements rooms.MessageStore.
func (s *Store) SweepGone(ctx context.Context, before time.Time) error {
	return s.Update(ctx, func(t *sqlite.Tx) error { return t.Exec(`DELETE FROM trash WHERE at < ?`, before.UnixMilli()) })
}
