package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// The side tables say what is unique and where things are found; the document
// is the truth. Rowid tables on purpose: WITHOUT ROWID triples the file.
var userSchema = Schema{Name: "users", Steps: []string{`
CREATE TABLE users (
	id           TEXT NOT NULL UNIQUE,
	username_key TEXT UNIQUE,
	admin        INTEGER NOT NULL, -- 1: active and has role "admin"
	doc          BLOB NOT NULL
);
CREATE INDEX users_listed ON users (username_key, id);
CREATE INDEX users_admins ON users (admin) WHERE admin = 1;
CREATE TABLE user_emails (
	key     TEXT NOT NULL UNIQUE,
	user_id TEXT NOT NULL
);
CREATE INDEX user_emails_owner ON user_emails (user_id);
CREATE TABLE user_tokens (
	kind    INTEGER NOT NULL, -- see tokenKind
	token   TEXT NOT NULL,
	user_id TEXT NOT NULL,
	at      INTEGER, -- its start in milliseconds; NULL: it does not age
	UNIQUE (kind, token)
);
CREATE INDEX user_tokens_owner ON user_tokens (user_id);
CREATE INDEX user_tokens_age ON user_tokens (kind, at) WHERE at IS NOT NULL;
`, `
ALTER TABLE users ADD COLUMN name_key TEXT;
ALTER TABLE users ADD COLUMN created INTEGER; -- milliseconds; NULL: not listed yet, see fillListing
ALTER TABLE users ADD COLUMN last_login INTEGER;
CREATE INDEX users_by_name ON users (name_key, id);
CREATE INDEX users_by_created ON users (created, id);
CREATE INDEX users_by_login ON users (last_login, id);
CREATE TABLE user_keys ( -- ddpListKeys
	key     TEXT NOT NULL,
	user_id TEXT NOT NULL,
	UNIQUE (key, user_id)
);
CREATE INDEX user_keys_owner ON user_keys (user_id);
`}}

// tokenKind says which list of a user document a token stands in. The numbers
// are stored.
type tokenKind int

const (
	loginHash    tokenKind = 1 // services.resume.loginTokens.hashedToken
	loginClear   tokenKind = 2 // services.resume.loginTokens.token of an old database
	reset        tokenKind = 3
	enroll       tokenKind = 4
	verification tokenKind = 5
	factorReset  tokenKind = 6 // the first reset of a factor that is due; its text is the account's id
)

type tokenRow struct {
	kind  tokenKind
	token string
}

const (
	selectDoc     = `SELECT doc FROM users WHERE id = ?`
	selectByToken = `SELECT u.doc FROM user_tokens t JOIN users u ON u.id = t.user_id WHERE t.kind = ? AND t.token = ?`
)

// UserByID implements accounts.Store and twofactor.Store.
func (s *Store) UserByID(ctx context.Context, id string) (*user.User, error) {
	if s.cache == nil {
		return s.user(ctx, selectDoc, id)
	}
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	u, ticket := s.cache.get(id, s.now())
	if u != nil {
		return s.handOut(u), nil
	}
	return s.load(ctx, ticket, selectDoc, id)
}

// load reads an account and remembers it.
func (s *Store) load(ctx context.Context, ticket uint64, text string, args ...any) (*user.User, error) {
	u, err := s.decoded(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	s.cache.put(u, ticket, s.now())
	return s.handOut(u), nil
}

// handOut makes the caller's own copy of a remembered account.
func (s *Store) handOut(u *user.User) *user.User {
	u = u.Clone()
	s.shown.dress(u)
	return u
}

// UserByUsername implements accounts.Store.
func (s *Store) UserByUsername(ctx context.Context, key string) (*user.User, error) {
	return s.user(ctx, `SELECT doc FROM users WHERE username_key = ?`, key)
}

// UserByEmail implements accounts.Store.
func (s *Store) UserByEmail(ctx context.Context, key string) (*user.User, error) {
	return s.user(ctx, `SELECT u.doc FROM user_emails e JOIN users u ON u.id = e.user_id WHERE e.key = ?`, key)
}

// UserByPasskeys implements twofactor.Store.
func (s *Store) UserByPasskeys(ctx context.Context, handle string) (*user.User, error) {
	return s.user(ctx, `SELECT u.doc FROM user_keys k JOIN users u ON u.id = k.user_id WHERE k.key = ?`, user.PasskeyTrait(handle))
}

// UserByToken implements accounts.Store.
func (s *Store) UserByToken(ctx context.Context, hash, clear string) (*user.User, error) {
	if s.cache != nil && hash != "" {
		if err := s.Usable(ctx); err != nil {
			return nil, err
		}
		u, ticket := s.cache.getToken(hash, s.now())
		if u != nil {
			return s.handOut(u), nil
		}
		if u, err := s.load(ctx, ticket, selectByToken, int64(loginHash), hash); !errors.Is(err, dberr.NotFound) {
			return u, err
		}
		hash = ""
	}
	return s.userByToken(ctx, tokenRow{kind: loginHash, token: hash}, tokenRow{kind: loginClear, token: clear})
}

// UserByResetToken implements accounts.Store.
func (s *Store) UserByResetToken(ctx context.Context, hash, clear string) (*user.User, error) {
	clear = notHash(clear)
	return s.userByToken(ctx, tokenRow{kind: reset, token: hash}, tokenRow{kind: enroll, token: hash},
		tokenRow{kind: reset, token: clear}, tokenRow{kind: enroll, token: clear})
}

// UserByVerificationToken implements accounts.Store.
func (s *Store) UserByVerificationToken(ctx context.Context, hash, clear string) (*user.User, error) {
	return s.userByToken(ctx, tokenRow{kind: verification, token: hash}, tokenRow{kind: verification, token: notHash(clear)})
}

// notHash drops a "clear" token that is spelled like a stored hash: whoever
// reads the database must not be able to present what he found there.
func notHash(clear string) string {
	if strings.HasPrefix(clear, "sha256:") {
		return ""
	}
	return clear
}

func (s *Store) userByToken(ctx context.Context, tokens ...tokenRow) (*user.User, error) {
	for _, t := range tokens {
		if t.token == "" {
			continue
		}
		u, err := s.user(ctx, selectByToken, int64(t.kind), t.token)
		if !errors.Is(err, dberr.NotFound) {
			return u, err
		}
	}
	return nil, dberr.NotFound
}

// user reads an account as it is now, its presence included.
func (s *Store) user(ctx context.Context, text string, args ...any) (*user.User, error) {
	u, err := s.decoded(ctx, text, args...)
	if err == nil {
		s.shown.dress(u)
	}
	return u, err
}

// decoded reads an account as it is stored.
func (s *Store) decoded(ctx context.Context, text string, args ...any) (*user.User, error) {
	raw, err := s.document(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return document.DecodeUser(raw)
}

// ListUsers implements accounts.Store.
func (s *Store) ListUsers(ctx context.Context, offset, count int) (page []*user.User, total int, err error) {
	if err := s.Query(ctx, `SELECT count(*) FROM users`, func(r *sql.Row) error { return r.Scan(&total) }); err != nil {
		return nil, 0, err
	}
	err = s.QueryAll(ctx, `SELECT doc FROM users ORDER BY username_key, id LIMIT ? OFFSET ?`, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		u, err := document.DecodeUser(raw)
		if err != nil {
			return err
		}
		s.shown.dress(u)
		page = append(page, u)
		return nil
	}, max(count, 0), max(offset, 0))
	if err != nil {
		return nil, 0, err
	}
	return page, total, nil
}

// Administrators implements accounts.Store.
func (s *Store) Administrators(ctx context.Context) (found []*user.User, err error) {
	err = s.QueryAll(ctx, `SELECT doc FROM users INDEXED BY users_admins WHERE admin = 1 ORDER BY id`, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		u, err := document.DecodeUser(raw)
		if errors.Is(err, document.ErrBroken) {
			return nil
		}
		if err == nil && u.Administers() {
			s.shown.dress(u)
			found = append(found, u)
		}
		return err
	})
	return found, err
}

// anotherAdmin fails with dberr.LastAdmin unless there is an active administrator
// beside that account.
func (t *Tx) anotherAdmin(id string) error {
	var one int
	err := t.Row(`SELECT 1 FROM users INDEXED BY users_admins WHERE admin = 1 AND id != ? LIMIT 1`, []any{id}, &one)
	if errors.Is(err, dberr.NotFound) {
		return dberr.LastAdmin
	}
	return err
}

// CreateUser implements accounts.Store.
func (s *Store) CreateUser(ctx context.Context, u *user.User) error {
	u.FillKeys()
	raw, err := document.Encode(u)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(t *Tx) error { return t.insertUser(u, raw) })
}

// ImportUser adds a document of another database as it is, unknown keys
// included. It refuses like CreateUser, and with document.ErrBroken.
func (s *Store) ImportUser(ctx context.Context, raw bson.Raw) error {
	u, err := document.DecodeUser(raw)
	if err != nil {
		return err
	}
	before, err := document.DecodeUser(raw)
	if err != nil {
		return err
	}
	u.FillKeys()
	if raw, err = document.Merge(raw, before, u); err != nil {
		return err
	}
	return s.Update(ctx, func(t *Tx) error { return t.insertUser(u, raw) })
}

func (t *Tx) insertUser(u *user.User, raw bson.Raw) error {
	err := t.Exec(`INSERT INTO users (id, username_key, admin, name_key, created, last_login, doc) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		u.ID, orNull(u.UsernameKey), u.Administers(), u.NameKey, user.Millis(u.CreatedAt), user.Millis(u.LastLogin), []byte(raw))
	if err != nil {
		return t.usersTaken(u.ID, err)
	}
	return t.syncKeys(u.ID, &user.User{}, u)
}

// usersTaken tells which unique key of table users refused a row: newID is the id
// that it was to have, "" for one that is there already.
func (t *Tx) usersTaken(newID string, err error) error {
	if !Taken(err) {
		return err
	}
	var one int
	switch err := t.Row(`SELECT 1 FROM users WHERE id = ?`, []any{newID}, &one); {
	case err == nil:
		return dberr.Duplicate
	case errors.Is(err, dberr.NotFound):
		return dberr.DuplicateUsername
	default:
		return err
	}
}

// DeleteUser implements accounts.Store.
func (s *Store) DeleteUser(ctx context.Context, id string, admins bool) error {
	err := s.Update(ctx, func(t *Tx) error {
		if err := t.mayDelete(id, admins); err != nil {
			return err
		}
		return errors.Join(
			t.Exec(`DELETE FROM users WHERE id = ?`, id),
			t.Exec(`DELETE FROM user_emails WHERE user_id = ?`, id),
			t.Exec(`DELETE FROM user_tokens WHERE user_id = ?`, id),
			t.Exec(`DELETE FROM user_keys WHERE user_id = ?`, id),
			t.Exec(`DELETE FROM guards WHERE id = ?`, id),
			t.Exec(`DELETE FROM tries WHERE id = ?`, accounts.TriesKey(id)),
			t.mark(id))
	})
	if err == nil {
		s.shown.unset(id)
	}
	return err
}

// mayDelete checks the conditions of DeleteUser.
func (t *Tx) mayDelete(id string, admins bool) error {
	if err := t.touch(id); err != nil {
		return err
	}
	var raw []byte
	if err := t.Row(selectDoc, []any{id}, &raw); err != nil {
		return err
	}
	u, err := document.DecodeUser(raw)
	switch {
	case errors.Is(err, document.ErrBroken) && admins: // it has nobody's rights
		return nil
	case err != nil:
		return err
	case u.HasRole("admin") && !admins:
		return dberr.Conflict
	case u.Administers():
		return t.anotherAdmin(id)
	}
	return nil
}

// UpdateUser implements accounts.Store and twofactor.Store. A status that is set
// takes the place of the one in memory.
func (s *Store) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	u, err := s.Operations.UpdateUser(ctx, id, c)
	if err == nil && c.Status != nil {
		s.shown.unset(id)
		u.Status = *c.Status
	}
	return u, err
}

// changeUser changes one user document and what is derived from it, and returns it.
func (t *Tx) changeUser(id string, do func(*user.User) error) (*user.User, error) {
	if err := t.touch(id); err != nil {
		return nil, err
	}
	var raw []byte
	if err := t.Row(selectDoc, []any{id}, &raw); err != nil {
		return nil, err
	}
	before, err := document.StoredUser(raw)
	if err != nil {
		return nil, err
	}
	after := before.Clone()
	document.AdoptFactor(after)
	if err := do(after); err != nil {
		return nil, err
	}
	if before.Administers() && !after.Administers() {
		if err := t.anotherAdmin(id); err != nil {
			return nil, err
		}
	}
	rule.Keys(before, after)
	next, err := document.Merge(raw, before, after)
	if err != nil {
		return nil, err
	}
	if after, err = document.DecodeUser(next); err != nil {
		return nil, err
	}
	if before.UsernameKey == after.UsernameKey && before.Administers() == after.Administers() && listedAlike(before, after) {
		err = t.Exec(`UPDATE users SET doc = ? WHERE id = ?`, []byte(next), id)
	} else {
		err = t.Exec(`UPDATE users SET doc = ?, username_key = ?, admin = ?, name_key = ?, created = ?, last_login = ? WHERE id = ?`, []byte(next),
			orNull(after.UsernameKey), after.Administers(), after.NameKey, user.Millis(after.CreatedAt), user.Millis(after.LastLogin), id)
	}
	if err != nil {
		return nil, t.usersTaken("", err)
	}
	if err := t.syncKeys(id, before, after); err != nil {
		return nil, err
	}
	if user.Marked(before, after) {
		if err := t.mark(id); err != nil {
			return nil, err
		}
	}
	t.w.shown.dress(after)
	return after, nil
}

// syncKeys brings the side tables from one state of a user to another.
func (t *Tx) syncKeys(id string, before, after *user.User) error {
	for _, k := range before.EmailKeys {
		if !slices.Contains(after.EmailKeys, k) {
			if err := t.Exec(`DELETE FROM user_emails WHERE key = ? AND user_id = ?`, k, id); err != nil {
				return err
			}
		}
	}
	for _, k := range after.EmailKeys {
		if !slices.Contains(before.EmailKeys, k) {
			if err := t.Exec(`INSERT INTO user_emails (key, user_id) VALUES (?, ?)`, k, id); Taken(err) {
				return dberr.DuplicateEmail
			} else if err != nil {
				return err
			}
		}
	}
	if err := t.syncListing(id, before.ListKeys, after.ListKeys); err != nil {
		return err
	}
	old, new := tokens(before), tokens(after)
	for k := range old {
		if _, ok := new[k]; !ok {
			if err := t.Exec(`DELETE FROM user_tokens WHERE kind = ? AND token = ? AND user_id = ?`, int(k.kind), k.token, id); err != nil {
				return err
			}
		}
	}
	for k, at := range new {
		if was, ok := old[k]; ok && was == at {
			continue
		}
		// A token that moves to another start is the same row of the same user.
		n, err := t.ExecN(`INSERT INTO user_tokens (kind, token, user_id, at) VALUES (?, ?, ?, ?)
			ON CONFLICT (kind, token) DO UPDATE SET at = excluded.at WHERE user_id = excluded.user_id`,
			int(k.kind), k.token, id, sql.NullInt64{Int64: at, Valid: at != 0})
		if err != nil {
			return err
		}
		if n == 0 {
			return dberr.Duplicate
		}
	}
	return nil
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
