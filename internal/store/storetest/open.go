// Package storetest is the conformance suite of the stores, and the place where
// tests of other packages get a store: the real embedded one in a temporary
// directory, never a mock.
//
// It is test code: nothing of it is linked into the program.
package storetest

import (
	"testing"

	"ddpserver/internal/store/sqlite"
)

// OpenSQLite opens an empty embedded store, with the tables of slices if need be,
// that ends with the test. It may be used inside a testing/synctest bubble: the
// store has no goroutine of its own that waits for time.
func OpenSQLite(t testing.TB, slices ...sqlite.Schema) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{Server: true, Schemas: slices})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
