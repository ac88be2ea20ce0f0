package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/sqlite"
)

// threads is what the tables have of threads since there are any.
var threads = sqlite.Schema{Name: "threads", Steps: []string{`
ALTER TABLE messages ADD COLUMN tmid TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN aside INTEGER NOT NULL DEFAULT 0; -- 1: shown in its thread alone
ALTER TABLE messages ADD COLUMN tlm INTEGER NOT NULL DEFAULT 0; -- when it was answered last; 0: never
CREATE INDEX messages_answers ON messages (tmid, ts, id) WHERE tmid <> '';
CREATE INDEX messages_answered ON messages (rid, tlm, id) WHERE tlm <> 0;
CREATE TABLE message_followers (
	uid TEXT NOT NULL,
	mid TEXT NOT NULL,
	UNIQUE (uid, mid)
);
CREATE INDEX message_followers_message ON message_followers (mid);
ALTER TABLE subscriptions ADD COLUMN threads INTEGER NOT NULL DEFAULT 0; -- 1: some are unread
CREATE INDEX subscriptions_threads ON subscriptions (rid) WHERE threads = 1;
`}}

// countReply has the message that m answers count it.
func countReply(t *sqlite.Tx, m *rooms.Message, e rooms.Unread) error {
	_, err := changeMessage(t, e.Thread, func(parent *rooms.Message) error {
		if !parent.Answerable(m.RoomID) {
			return dberr.Conflict
		}
		parent.CountReply(m, e.Follow)
		return nil
	})
	if errors.Is(err, dberr.NotFound) {
		return dberr.Conflict
	}
	return err
}

// countThread makes the thread unread for those who are told of it.
func countThread(t *sqlite.Tx, m *rooms.Message, e rooms.Unread, touched []string) ([]string, error) {
	if m.Aside() {
		_, err := changeSubscription(t, m.RoomID, m.User.ID, func(s *rooms.Subscription) error {
			s.CountOwnReply(m)
			return nil
		})
		if err = ignore(err, dberr.NotFound); err != nil {
			return nil, err
		}
	}
	for _, id := range e.Tell {
		if id == m.User.ID {
			continue
		}
		_, err := changeSubscription(t, m.RoomID, id, func(s *rooms.Subscription) error {
			if !s.CountThread(m, slices.Contains(e.Users, id), e.Group) {
				return errSame
			}
			return nil
		})
		switch {
		case err == nil && !slices.Contains(touched, id):
			touched = append(touched, id)
		case err != nil && err != errSame && !errors.Is(err, dberr.NotFound): // made above, wrapped nowhere; somebody who left
			return nil, err
		}
	}
	return touched, nil
}

// dropThread does for a thread what the deletion of one of its messages does.
func dropThread(t *sqlite.Tx, was *rooms.Message, at time.Time) error {
	if was.ThreadID != "" {
		return dropReply(t, was, at)
	}
	if was.Replies == 0 {
		return nil
	}
	replies, err := texts(t, `SELECT id FROM messages WHERE tmid = ?`, was.ID)
	for _, id := range replies {
		if err != nil {
			return err
		}
		_, err = changeMessage(t, id, func(m *rooms.Message) error {
			m.Free(at)
			return nil
		})
	}
	return err
}

// dropReply takes an answer out of the count of what it answered.
func dropReply(t *sqlite.Tx, was *rooms.Message, at time.Time) error {
	newest, err := newestReply(t, was.ThreadID)
	if err != nil {
		return err
	}
	_, err = changeMessage(t, was.ThreadID, func(parent *rooms.Message) error {
		parent.DropReply(newest, at)
		return nil
	})
	return ignore(err, dberr.NotFound)
}

// ForgetThread implements rooms.SubscriptionStore.
func (s *Store) ForgetThread(ctx context.Context, roomID, id string, at time.Time) (touched []string, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		touched = nil
		members, err := texts(t, `SELECT uid FROM subscriptions WHERE rid = ? AND threads = 1`, roomID)
		for _, uid := range members {
			if err != nil {
				return err
			}
			_, err = changeSubscription(t, roomID, uid, func(m *rooms.Subscription) error {
				if !m.ForgetThread(id, at) {
					return errSame
				}
				touched = append(touched, uid)
				return nil
			})
			err = ignore(err, errSame)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return touched, nil
}

func newestReply(t *sqlite.Tx, id string) (time.Time, error) {
	var raw []byte
	err := t.Row(`SELECT doc FROM messages WHERE tmid = ? ORDER BY ts DESC, id DESC LIMIT 1`, []any{id}, &raw)
	if errors.Is(err, dberr.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	m, err := decoded[rooms.Message](raw)
	if err != nil {
		return time.Time{}, err
	}
	return m.TS, nil
}

// texts are the values of one column.
func texts(t *sqlite.Tx, query string, args ...any) (list []string, err error) {
	err = t.Rows(query, args, func(r *sql.Rows) error {
		var v string
		err := r.Scan(&v)
		list = append(list, v)
		return err
	})
	return list, err
}

// whereThreads adds what a query says of threads.
func whereThreads(b *strings.Builder, q rooms.HistoryQuery, args []any) []any {
	if q.Main {
		b.WriteString(" AND aside = 0")
	}
	if q.Thread != "" {
		b.WriteString(" AND tmid = ?")
		args = append(args, q.Thread)
	}
	if q.Threads {
		b.WriteString(" AND tlm <> 0")
	}
	if q.FollowedBy != "" {
		b.WriteString(" AND id IN (SELECT mid FROM message_followers WHERE uid = ?)")
		args = append(args, q.FollowedBy)
	}
	if q.In != nil {
		b.WriteString(" AND id IN (SELECT value FROM json_each(?))")
		ids, _ := json.Marshal(q.In) // texts
		args = append(args, string(ids))
	}
	return args
}

func syncFollowers(t *sqlite.Tx, id string, before, after []string) error {
	for _, uid := range before {
		if !slices.Contains(after, uid) {
			if err := t.Exec(`DELETE FROM message_followers WHERE uid = ? AND mid = ?`, uid, id); err != nil {
				return err
			}
		}
	}
	for _, uid := range after {
		if !slices.Contains(before, uid) {
			if err := t.Exec(`INSERT OR IGNORE INTO message_followers (uid, mid) VALUES (?, ?)`, uid, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetFollower implements rooms.MessageStore.
func (s *Store) SetFollower(ctx context.Context, id, userID string, on bool, at time.Time) (m *rooms.Message, changed bool, err error) {
	m, err = s.changeMessage(ctx, id, func(m *rooms.Message) error {
		var full bool
		changed, full = m.SetFollower(userID, on, at)
		switch {
		case full:
			return dberr.Exhausted
		case !changed:
			return errSame
		}
		return nil
	})
	return m, changed, err
}
