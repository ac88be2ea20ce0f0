// Package storetest is the conformance suite of the stores, and the place where
// tests of other packages get a store: the real embedded one in a temporary
// directory, never a mock.
//
// It is test code: nothing of it is linked into the program.
package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"ddpserver/internal/store/sqlite"
)

// OpenSQLite opens an empty embedded store, with the tables of slices if need be,
// that ends with the test. It may be used inside a testing/synctest bubble: the
// store has no goroutine of its own that waits for time.
func OpenSQLite(t testing.TB, slices ...sqlite.Schema) *sqlite.Store {
	t.Helper()
	dir := t.TempDir()
	empty, err := emptyDatabase(slices)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, sqlite.FileName), empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := openDir(dir, slices)
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

func openDir(dir string, slices []sqlite.Schema) (*sqlite.Store, error) {
	return sqlite.Open(dir, sqlite.Options{Server: true, Schemas: slices})
}

// databases are files of empty databases by their schemas: making the tables takes
// longer than most tests.
var databases struct {
	sync.Mutex
	files map[string][]byte
}

// emptyDatabase is the file of a database with the tables of the core and of slices.
func emptyDatabase(slices []sqlite.Schema) ([]byte, error) {
	databases.Lock()
	defer databases.Unlock()
	key := fmt.Sprint(slices)
	if file := databases.files[key]; file != nil {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "storetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := openDir(dir, slices)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil { // what is in the log goes to the file
		return nil, err
	}
	file, err := os.ReadFile(filepath.Join(dir, sqlite.FileName)) // our own directory
	if err == nil && databases.files == nil {
		databases.files = map[string][]byte{}
	}
	if err == nil {
		databases.files[key] = file
	}
	return file, err
}
