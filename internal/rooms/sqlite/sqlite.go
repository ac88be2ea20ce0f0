// Package sqlite is the rooms' half of the embedded store: tables of their own in
// the database of the core, changed in its write transaction. It stores and
// decides nothing about accounts; those it asks the core for.
package sqlite

import (
	"database/sql"

	"ddpserver/internal/rooms"
	"ddpserver/internal/store/sqlite"
)

// Store keeps rooms, memberships, messages and presence.
type Store struct {
	*sqlite.Store
	presence presence
}

// New makes the rooms' half of a store that was opened with Schemas.
func New(core *sqlite.Store) *Store { return &Store{Store: core} }

// Schemas are the tables of rooms, for sqlite.Options.
func Schemas() []sqlite.Schema {
	return []sqlite.Schema{schema, erasing, fileSchema, threads, hookSchema, invites, reports}
}

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

var _ rooms.Store = (*Store)(nil)
