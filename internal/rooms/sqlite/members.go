package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/user"
)

func alerted(s *rooms.Subscription) bool { return s.Alert && s.Open }

func insertSubscription(t *sqlite.Tx, m *rooms.Subscription) error {
	raw, err := document.Encode(m)
	if err != nil {
		return err
	}
	err = t.Exec(`INSERT INTO subscriptions (id, rid, uid, user_key, alerted, roles, threads, updated, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID, m.RoomID, m.User.ID, m.UserKey, alerted(m), len(m.Roles) > 0, len(m.Threads) > 0, m.UpdatedAt.UnixMilli(), []byte(raw))
	if sqlite.Taken(err) {
		return dberr.Duplicate
	}
	return err
}

// changeSubscription changes one membership and returns it.
func changeSubscription(t *sqlite.Tx, rid, uid string, do func(*rooms.Subscription) error) (*rooms.Subscription, error) {
	var raw []byte
	if err := t.Row(`SELECT doc FROM subscriptions WHERE rid = ? AND uid = ?`, []any{rid, uid}, &raw); err != nil {
		return nil, err
	}
	m, err := decoded[rooms.Subscription](raw)
	if err != nil {
		return nil, err
	}
	if err := do(m); err != nil {
		return nil, err
	}
	next, err := document.Encode(m)
	if err != nil {
		return nil, err
	}
	return m, t.Exec(`UPDATE subscriptions SET user_key = ?, alerted = ?, roles = ?, threads = ?, updated = ?, doc = ? WHERE rid = ? AND uid = ?`,
		m.UserKey, alerted(m), len(m.Roles) > 0, len(m.Threads) > 0, m.UpdatedAt.UnixMilli(), []byte(next), rid, uid)
}

// AddMember implements rooms.SubscriptionStore.
func (s *Store) AddMember(ctx context.Context, m *rooms.Subscription) (r *rooms.Room, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		r, err = changeRoom(t, m.RoomID, func(r *rooms.Room) error {
			r.AddMember(m)
			return nil
		})
		if err != nil {
			return err
		}
		return insertSubscription(t, m)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// RemoveMember implements rooms.SubscriptionStore.
func (s *Store) RemoveMember(ctx context.Context, roomID, userID string, force bool, at time.Time) (r *rooms.Room, was *rooms.Subscription, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		var raw []byte
		err := t.Row(`SELECT doc FROM subscriptions WHERE rid = ? AND uid = ?`, []any{roomID, userID}, &raw)
		if err != nil {
			return err
		}
		if was, err = decoded[rooms.Subscription](raw); err != nil {
			return err
		}
		r, err = changeRoom(t, roomID, func(r *rooms.Room) error { return r.DropMember(userID, force, at) })
		if err != nil {
			return err
		}
		return errors.Join(
			t.Exec(`DELETE FROM subscriptions WHERE rid = ? AND uid = ?`, roomID, userID),
			gone(t, rooms.Gone{ID: was.ID, Kind: rooms.GoneSubscription, RoomID: roomID, UserID: userID, DeletedAt: at}))
	})
	if err != nil {
		return nil, nil, err
	}
	return r, was, nil
}

func gone(t *sqlite.Tx, g rooms.Gone) error {
	return t.Exec(`INSERT INTO trash (kind, id, rid, uid, at) VALUES (?, ?, ?, ?, ?)`, g.Kind, g.ID, g.RoomID, g.UserID, g.DeletedAt.UnixMilli())
}

// SetMemberRole implements rooms.SubscriptionStore.
func (s *Store) SetMemberRole(ctx context.Context, roomID, userID, role string, on bool, at time.Time) (m *rooms.Subscription, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		_, err := changeRoom(t, roomID, func(r *rooms.Room) (err error) {
			m, err = changeSubscription(t, roomID, userID, func(m *rooms.Subscription) error {
				return rooms.SetMemberRole(r, m, role, on, at)
			})
			return err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Subscription implements rooms.SubscriptionStore.
func (s *Store) Subscription(ctx context.Context, roomID, userID string) (*rooms.Subscription, error) {
	return one[rooms.Subscription](ctx, s, `SELECT doc FROM subscriptions WHERE rid = ? AND uid = ?`, roomID, userID)
}

// SubscriptionsOf implements rooms.SubscriptionStore.
func (s *Store) SubscriptionsOf(ctx context.Context, userID string, since time.Time) ([]*rooms.Subscription, error) {
	return many[rooms.Subscription](ctx, s, `SELECT doc FROM subscriptions WHERE uid = ? AND updated >= ?`, userID, millis(since))
}

// SubscriptionsIn implements rooms.SubscriptionStore.
func (s *Store) SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) ([]*rooms.Subscription, error) {
	return sqlite.Each(userIDs, func(id string) (*rooms.Subscription, error) { return s.Subscription(ctx, roomID, id) })
}

// RoomIDsOf implements rooms.SubscriptionStore.
func (s *Store) RoomIDsOf(ctx context.Context, userID string) ([]string, error) {
	return s.texts(ctx, `SELECT rid FROM subscriptions WHERE uid = ?`, userID)
}

func (s *Store) texts(ctx context.Context, text string, args ...any) (out []string, err error) {
	err = s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var v string
		err := r.Scan(&v)
		out = append(out, v)
		return err
	}, args...)
	return out, err
}

// Members implements rooms.SubscriptionStore.
func (s *Store) Members(ctx context.Context, roomID string) ([]string, int64, error) {
	r, err := s.RoomByID(ctx, roomID)
	if err != nil {
		return nil, 0, err
	}
	ids, err := s.texts(ctx, `SELECT uid FROM subscriptions WHERE rid = ?`, roomID)
	return ids, r.Membership, err
}

// ListMembers implements rooms.SubscriptionStore.
func (s *Store) ListMembers(ctx context.Context, roomID string, offset, count int) (page []*rooms.Subscription, total int, err error) {
	if total, err = s.number(ctx, `SELECT count(*) FROM subscriptions WHERE rid = ?`, roomID); err != nil {
		return nil, 0, err
	}
	page, err = many[rooms.Subscription](ctx, s, `SELECT doc FROM subscriptions WHERE rid = ? ORDER BY user_key, id LIMIT ? OFFSET ?`,
		roomID, max(count, 0), max(offset, 0))
	return page, total, err
}

// MembersWithRole implements rooms.SubscriptionStore.
func (s *Store) MembersWithRole(ctx context.Context, roomID string) ([]*rooms.Subscription, error) {
	return many[rooms.Subscription](ctx, s, `SELECT doc FROM subscriptions WHERE rid = ? AND roles = 1 ORDER BY user_key, id`, roomID)
}

// ChangeSubscription implements rooms.SubscriptionStore.
func (s *Store) ChangeSubscription(ctx context.Context, roomID, userID string, c rooms.SubscriptionChange) (m *rooms.Subscription, changed bool, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) (err error) {
		m, err = changeSubscription(t, roomID, userID, func(m *rooms.Subscription) error {
			changed = m.Apply(c)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return m, changed, nil
}

// RenameUser implements rooms.SubscriptionStore.
func (s *Store) RenameUser(ctx context.Context, ref rooms.Ref, at time.Time) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var rids []string
		err := t.Rows(`SELECT rid FROM subscriptions WHERE uid = ?`, []any{ref.ID}, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			rids = append(rids, id)
			return err
		})
		for _, rid := range rids {
			if err != nil {
				break
			}
			var m *rooms.Subscription
			m, err = changeSubscription(t, rid, ref.ID, func(m *rooms.Subscription) error {
				m.User, m.UserKey, m.UpdatedAt = ref, user.Key(ref.Username), at
				return nil
			})
			if err == nil && m.Type == rooms.Direct {
				err = callDirect(t, rid, at)
			}
		}
		return err
	})
}

// callDirect has a direct room follow the names of its members.
func callDirect(t *sqlite.Tx, rid string, at time.Time) error {
	var subs []*rooms.Subscription
	err := t.Rows(`SELECT doc FROM subscriptions WHERE rid = ?`, []any{rid}, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		m, err := decoded[rooms.Subscription](raw)
		subs = append(subs, m)
		return err
	})
	if err != nil {
		return err
	}
	var renamed []*rooms.Subscription
	_, err = changeRoom(t, rid, func(r *rooms.Room) error {
		renamed = r.CallDirect(subs, at)
		return nil
	})
	for _, m := range renamed {
		if err != nil {
			break
		}
		_, err = changeSubscription(t, rid, m.User.ID, func(now *rooms.Subscription) error {
			*now = *m
			return nil
		})
	}
	return ignore(err, dberr.NotFound)
}

// GoneSubscriptions implements rooms.SubscriptionStore.
func (s *Store) GoneSubscriptions(ctx context.Context, userID string, since time.Time) ([]rooms.Gone, error) {
	return s.goneSince(ctx, `SELECT kind, id, rid, uid, at FROM trash WHERE kind = 'subscription' AND uid = ? AND at >= ? ORDER BY at`, userID, millis(since))
}

func (s *Store) goneSince(ctx context.Context, text string, args ...any) (out []rooms.Gone, err error) {
	err = s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var g rooms.Gone
		var at int64
		err := r.Scan(&g.Kind, &g.ID, &g.RoomID, &g.UserID, &at)
		g.DeletedAt = time.UnixMilli(at).UTC()
		out = append(out, g)
		return err
	}, args...)
	return out, err
}
