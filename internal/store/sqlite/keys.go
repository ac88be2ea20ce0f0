package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

var keySchema = Schema{Name: "server_key", Steps: []string{`
CREATE TABLE server_key (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	sealed TEXT NOT NULL
);
`}}

// sealedPage is how many documents one page of SealedTexts looks at.
const sealedPage = 500

// KeyCheck implements serverkey.Store.
func (s *Store) KeyCheck(ctx context.Context) (sealed string, err error) {
	err = s.Query(ctx, `SELECT sealed FROM server_key`, func(r *sql.Row) error { return r.Scan(&sealed) })
	if errors.Is(err, dberr.NotFound) {
		return "", nil
	}
	return sealed, err
}

// SetKeyCheck implements serverkey.Store.
func (s *Store) SetKeyCheck(ctx context.Context, old, sealed string) error {
	return s.Update(ctx, func(t *Tx) error {
		var have string
		if err := t.Row(`SELECT sealed FROM server_key`, nil, &have); err != nil && !errors.Is(err, dberr.NotFound) {
			return err
		}
		if have != old {
			return dberr.Conflict
		}
		return t.Exec(`INSERT INTO server_key (id, sealed) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed`, sealed)
	})
}

// SealedTexts implements serverkey.Store.
func (s *Store) SealedTexts(ctx context.Context, k serverkey.Kind, after string) (page []serverkey.Item, next string, err error) {
	text := `SELECT id, doc FROM users WHERE id > ? ORDER BY id LIMIT ?`
	if k == serverkey.Mail {
		text = `SELECT id, doc FROM outbox WHERE id > ? ORDER BY id LIMIT ?`
	}
	seen := 0
	err = s.QueryAll(ctx, text, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&next, &raw); err != nil {
			return err
		}
		seen++
		sealed, err := sealedIn(k, raw)
		if err == nil && sealed != "" { // what cannot be read is somebody else's to report
			page = append(page, serverkey.Item{ID: next, Sealed: sealed})
		}
		return nil
	}, after, sealedPage)
	if err != nil {
		return nil, "", err
	}
	if seen < sealedPage {
		next = ""
	}
	return page, next, nil
}

func sealedIn(k serverkey.Kind, raw []byte) (string, error) {
	if k == serverkey.Mail {
		var it mail.Item
		err := document.Decode(raw, &it)
		return it.Sealed, err
	}
	var u user.User
	if err := document.Decode(raw, &u); err != nil {
		return "", err
	}
	return rule.SealedTOTP(&u, k == serverkey.TOTPPending), nil
}

// KeyCheck reads the check value of the database in dir without making or
// changing anything; "" when there is none.
func KeyCheck(ctx context.Context, dir string) (sealed string, err error) {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	q := url.Values{"mode": {"ro"}}
	if _, err := os.Stat(path + "-wal"); err != nil {
		// Nobody has it open: without this SQLite would make its side files.
		q.Set("immutable", "1")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return sealed, db.QueryRowContext(ctx, `SELECT sealed FROM server_key`).Scan(&sealed)
}
