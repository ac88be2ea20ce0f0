package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// orders are the columns that accounts are ordered by; each has an index with the id.
var orders = map[user.Order]string{
	user.ByUsername: "username_key", user.ByName: "name_key", user.ByCreatedAt: "created", user.ByLastLogin: "last_login",
}

// FindUsers implements accounts.Store. It walks the index of the order, and asks the
// keys of each account: only the documents of the page are read. Left alone SQLite
// would begin with the keys and sort the documents; the plus and EXISTS forbid that.
func (s *Store) FindUsers(ctx context.Context, q user.Query) (page []*user.User, total int, err error) {
	count, counted := selected(q)
	if err := s.Query(ctx, count, func(r *sql.Row) error { return r.Scan(&total) }, counted...); err != nil {
		return nil, 0, err
	}
	where, args := " WHERE 1", []any(nil)
	for _, trait := range q.Traits {
		where, args = where+" AND EXISTS (SELECT 1 FROM user_keys k WHERE k.key = ? AND k.user_id = users.id)", append(args, trait)
	}
	if q.Word != "" {
		where, args = where+" AND +id IN (SELECT user_id FROM user_keys WHERE key >= ? AND key < ?)", append(args, q.Word, user.AfterWord(q.Word))
	}
	column, ok := orders[q.Order]
	if !ok {
		column = orders[user.ByUsername]
	}
	order := " ORDER BY " + column + ", id"
	if q.Descending {
		order = " ORDER BY " + column + " DESC, id DESC"
	}
	err = s.QueryAll(ctx, `SELECT doc FROM users`+where+order+` LIMIT ? OFFSET ?`, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		u, err := document.DecodeUser(raw)
		if err == nil {
			s.shown.dress(u)
			page = append(page, u)
		}
		return err
	}, append(args, max(q.Count, 0), max(q.Offset, 0))...)
	if err != nil {
		return nil, 0, err
	}
	return page, total, nil
}

// selected is the statement that counts what a query selects: in the keys alone, from
// the one condition that most likely selects least.
func selected(q user.Query) (text string, args []any) {
	traits := q.Traits
	switch {
	case q.Word != "":
		text, args = `SELECT count(DISTINCT user_id) FROM user_keys a WHERE a.key >= ? AND a.key < ?`, []any{q.Word, user.AfterWord(q.Word)}
	case len(traits) > 0:
		text, args, traits = `SELECT count(*) FROM user_keys a WHERE a.key = ?`, []any{traits[0]}, traits[1:]
	default:
		return `SELECT count(*) FROM users`, nil
	}
	for _, trait := range traits {
		text, args = text+" AND EXISTS (SELECT 1 FROM user_keys k WHERE k.key = ? AND k.user_id = a.user_id)", append(args, trait)
	}
	return text, args
}

// CountUsers implements accounts.Store.
func (s *Store) CountUsers(ctx context.Context, trait string) (n int, err error) {
	err = s.Query(ctx, `SELECT count(*) FROM user_keys WHERE key = ?`, func(r *sql.Row) error { return r.Scan(&n) }, trait)
	return n, err
}

func listedAlike(a, b *user.User) bool {
	return a.NameKey == b.NameKey && a.CreatedAt.Equal(b.CreatedAt) && a.LastLogin.Equal(b.LastLogin)
}

// syncListing brings the keys of an account from one list to another.
func (t *Tx) syncListing(id string, before, after []string) error {
	for _, k := range before {
		if !slices.Contains(after, k) {
			if err := t.Exec(`DELETE FROM user_keys WHERE key = ? AND user_id = ?`, k, id); err != nil {
				return err
			}
		}
	}
	for _, k := range after {
		if !slices.Contains(before, k) {
			if err := t.Exec(`INSERT OR IGNORE INTO user_keys (key, user_id) VALUES (?, ?)`, k, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillListing lists the accounts of a database from before there were lists. One that
// cannot be read stays out of them.
func (s *Store) fillListing(ctx context.Context) error {
	const chunk = 64
	for after := ""; ; {
		var ids []string
		err := s.Update(ctx, func(t *Tx) (err error) {
			if ids, err = t.unlisted(after, chunk); err != nil {
				return err
			}
			for _, id := range ids {
				if err := t.list(id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < chunk {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// unlisted are the next accounts that no list has.
func (t *Tx) unlisted(after string, most int) (ids []string, err error) {
	for len(ids) < most {
		var id string
		err := t.Row(`SELECT id FROM users WHERE created IS NULL AND id > ? ORDER BY id LIMIT 1`, []any{after}, &id)
		if errors.Is(err, dberr.NotFound) {
			return ids, nil
		}
		if err != nil {
			return nil, err
		}
		ids, after = append(ids, id), id
	}
	return ids, nil
}

func (t *Tx) list(id string) error {
	u, err := t.changeUser(id, func(*user.User) error { return nil })
	if errors.Is(err, document.ErrBroken) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.Exec(`UPDATE users SET name_key = ?, created = ?, last_login = ? WHERE id = ?`, u.NameKey, user.Millis(u.CreatedAt), user.Millis(u.LastLogin), id)
}
