package sqlite

import (
	"context"
	"errors"
	"fmt"

	"ddpserver/internal/dberr"
)

// schema is the part of the database that belongs to one aggregate. Steps are
// only ever appended: step n brings version n to n+1.
type schema struct {
	name  string
	steps []string
}

// schemas lists every aggregate; a new one adds its line here.
var schemas = []schema{
	userSchema,
	guardSchema,
	settingSchema,
	outboxSchema,
	eventSchema,
	chatSchema,
	keySchema,
}

// migrate brings every aggregate to its newest version, all of them or none.
func (s *Store) migrate() error {
	return s.update(context.Background(), func(t *tx) error {
		if err := t.exec(`CREATE TABLE IF NOT EXISTS schema_versions (name TEXT PRIMARY KEY, version INTEGER NOT NULL)`); err != nil {
			return err
		}
		for _, sc := range schemas {
			if err := sc.migrate(t); err != nil {
				return err
			}
		}
		return nil
	})
}

func (sc schema) migrate(t *tx) error {
	var version int
	err := t.row(`SELECT version FROM schema_versions WHERE name = ?`, []any{sc.name}, &version)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return err
	}
	if version > len(sc.steps) {
		return fmt.Errorf("%s was written by a newer version of this program (schema %d, this one knows %d)", sc.name, version, len(sc.steps))
	}
	if version == len(sc.steps) {
		return nil
	}
	for i, step := range sc.steps[version:] {
		// Not through the statement cache: a step is several statements.
		if _, err := t.w.conn.ExecContext(context.Background(), step); err != nil {
			return fmt.Errorf("schema %s step %d: %w", sc.name, version+i+1, err)
		}
	}
	return t.exec(`INSERT INTO schema_versions (name, version) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version`, sc.name, len(sc.steps))
}
