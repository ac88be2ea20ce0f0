package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ddpserver/internal/dberr"
)

// Schema is the tables of one aggregate. Steps are only ever appended: step n
// brings version n to n+1. Slices give theirs with Options.Schemas.
type Schema struct {
	Name  string
	Steps []string
}

// schemas lists the aggregates of the core; a new one adds its line here.
var schemas = []Schema{
	userSchema,
	guardSchema,
	settingSchema,
	outboxSchema,
	eventSchema,
	keySchema,
	markSchema,
}

// migrate brings every aggregate to its newest version, all of them or none.
func (s *Store) migrate(more []Schema) error {
	return s.Update(context.Background(), func(t *Tx) error {
		if err := t.Exec(`CREATE TABLE IF NOT EXISTS schema_versions (name TEXT PRIMARY KEY, version INTEGER NOT NULL)`); err != nil {
			return err
		}
		for _, sc := range slices.Concat(schemas, more) {
			if err := sc.migrate(t); err != nil {
				return err
			}
		}
		return nil
	})
}

func (sc Schema) migrate(t *Tx) error {
	var version int
	err := t.Row(`SELECT version FROM schema_versions WHERE name = ?`, []any{sc.Name}, &version)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return err
	}
	if version > len(sc.Steps) {
		return fmt.Errorf("%s was written by a newer version of this program (schema %d, this one knows %d)", sc.Name, version, len(sc.Steps))
	}
	if version == len(sc.Steps) {
		return nil
	}
	for i, step := range sc.Steps[version:] {
		// Not through the statement cache: a step is several statements.
		if _, err := t.w.conn.ExecContext(context.Background(), step); err != nil {
			return fmt.Errorf("schema %s step %d: %w", sc.Name, version+i+1, err)
		}
	}
	return t.Exec(`INSERT INTO schema_versions (name, version) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version`, sc.Name, len(sc.Steps))
}
