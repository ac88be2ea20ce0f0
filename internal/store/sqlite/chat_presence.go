package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/chat"
	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// SavePresence implements chat.PresenceStore.
func (s *Store) SavePresence(ctx context.Context, node string, states []chat.Presence, now, alive time.Time) (out []chat.Presence, err error) {
	err = s.update(ctx, func(t *tx) error {
		out = nil
		if err := t.touchNode(node, now); err != nil {
			return err
		}
		for _, p := range states {
			var err error
			if p.Status == "" {
				err = t.exec(`DELETE FROM presence WHERE uid = ? AND node = ?`, p.UserID, node)
			} else {
				err = t.exec(`INSERT INTO presence (node, uid, status) VALUES (?, ?, ?)
					ON CONFLICT (uid, node) DO UPDATE SET status = excluded.status`, node, p.UserID, p.Status)
			}
			if err != nil {
				return err
			}
			best, err := t.bestStatus(p.UserID, alive)
			if err != nil {
				return err
			}
			out = append(out, chat.Presence{UserID: p.UserID, Status: best})
		}
		return nil
	})
	return out, err
}

func (t *tx) bestStatus(uid string, alive time.Time) (best string, err error) {
	err = t.rows(`SELECT p.status FROM presence p JOIN presence_nodes n ON n.node = p.node WHERE p.uid = ? AND n.seen >= ?`,
		[]any{uid, alive.UnixMilli()}, func(r *sql.Rows) error {
			var status string
			err := r.Scan(&status)
			best = chat.BetterStatus(best, status)
			return err
		})
	return best, err
}

// TouchNode implements chat.PresenceStore.
func (s *Store) TouchNode(ctx context.Context, node string, now time.Time) error {
	return s.update(ctx, func(t *tx) error { return t.touchNode(node, now) })
}

func (t *tx) touchNode(node string, now time.Time) error {
	return t.exec(`INSERT INTO presence_nodes (node, seen) VALUES (?, ?)
		ON CONFLICT (node) DO UPDATE SET seen = max(seen, excluded.seen)`, node, now.UnixMilli())
}

// SweepPresence implements chat.PresenceStore.
func (s *Store) SweepPresence(ctx context.Context, alive time.Time) (out []chat.Presence, err error) {
	err = s.update(ctx, func(t *tx) error {
		out = nil
		var ids []string
		err := t.rows(`SELECT DISTINCT uid FROM presence WHERE node NOT IN (SELECT node FROM presence_nodes WHERE seen >= ?)`,
			[]any{alive.UnixMilli()}, func(r *sql.Rows) error {
				var id string
				err := r.Scan(&id)
				ids = append(ids, id)
				return err
			})
		if err != nil {
			return err
		}
		err = errors.Join(
			t.exec(`DELETE FROM presence WHERE node NOT IN (SELECT node FROM presence_nodes WHERE seen >= ?)`, alive.UnixMilli()),
			t.exec(`DELETE FROM presence_nodes WHERE seen < ?`, alive.UnixMilli()))
		if err != nil {
			return err
		}
		for _, id := range ids {
			best, err := t.bestStatus(id, alive)
			if err != nil {
				return err
			}
			out = append(out, chat.Presence{UserID: id, Status: best})
		}
		return nil
	})
	return out, err
}

// SaveStatuses implements chat.PresenceStore.
func (s *Store) SaveStatuses(ctx context.Context, states []chat.Presence, at time.Time) (out []*user.User, err error) {
	err = s.update(ctx, func(t *tx) error {
		out = nil
		for _, p := range states {
			u, err := t.changeUser(p.UserID, func(u *user.User) error {
				if u.Status == p.Status {
					return errSame
				}
				u.Status, u.UpdatedAt = p.Status, at
				return nil
			})
			switch {
			case err == nil:
				out = append(out, u)
			case err == errSame, errors.Is(err, dberr.NotFound): //nolint:errorlint // made above
			default:
				return err
			}
			if p.Status == chat.Offline || errors.Is(err, dberr.NotFound) {
				err = t.exec(`DELETE FROM presence_shown WHERE uid = ?`, p.UserID)
			} else {
				err = t.exec(`INSERT OR IGNORE INTO presence_shown (uid) VALUES (?)`, p.UserID)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// UsersNotOffline implements chat.PresenceStore.
func (s *Store) UsersNotOffline(ctx context.Context, limit int) ([]*user.User, error) {
	ids, err := s.texts(ctx, `SELECT uid FROM presence_shown ORDER BY uid LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	return s.UsersByIDs(ctx, ids)
}
