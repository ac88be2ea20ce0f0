package sqlite

import (
	"context"
	"database/sql"

	"ddpserver/internal/settings"
	"ddpserver/internal/store/document"
)

var settingSchema = Schema{Name: "settings", Steps: []string{`
CREATE TABLE settings (
	id  TEXT NOT NULL UNIQUE,
	doc BLOB NOT NULL
);
`}}

// Settings implements settings.Store.
func (s *Store) Settings(ctx context.Context) (all []settings.Stored, err error) {
	err = s.QueryAll(ctx, `SELECT doc FROM settings ORDER BY id`, func(r *sql.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		all = append(all, document.DecodeSetting(raw))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// SaveSettings implements settings.Store.
func (s *Store) SaveSettings(ctx context.Context, values []settings.Stored) error {
	return s.Update(ctx, func(t *Tx) error {
		for _, v := range values {
			raw, err := document.Encode(v)
			if err != nil {
				return err
			}
			err = t.Exec(`INSERT INTO settings (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, v.ID, []byte(raw))
			if err != nil {
				return err
			}
		}
		return t.mark("")
	})
}
