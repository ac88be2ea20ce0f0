package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/rooms/storetest"
	store "ddpserver/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens the database of a directory.
func open(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	core, err := store.Open(dir, store.Options{Server: true, Schemas: sqlite.Schemas()})
	if err != nil {
		t.Fatal(err)
	}
	return sqlite.New(core)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, t.TempDir()) })
}

// A19: what was deleted is not in the files any more once the log begins anew
// (here: the store is closed), however long it is: SQLite itself only forgets
// where it was.
func TestA19DeletedMessagesAreGoneFromTheFiles(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	for size, repeat := range map[string]int{"short": 1, "of many pages": 3000} {
		t.Run(size, func(t *testing.T) {
			dir := t.TempDir()
			do := func(f func(s *sqlite.Store) error) {
				t.Helper()
				s := open(t, dir)
				if err := f(s); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			do(func(s *sqlite.Store) error {
				if err := s.CreateRoom(t.Context(), &rooms.Room{ID: "r", Type: "c", Name: "r"}, nil); err != nil {
					return err
				}
				m := &rooms.Message{ID: "m", RoomID: "r", Text: strings.Repeat("d31e7ed-", repeat), TS: at, User: rooms.Ref{ID: "u"}}
				_, _, err := s.InsertMessage(t.Context(), m, rooms.Unread{})
				return err
			})
			if !inFiles(t, dir, "d31e7ed-") {
				t.Fatal("the marker is not in the files, so the test shows nothing")
			}
			do(func(s *sqlite.Store) error {
				_, _, err := s.DeleteMessage(t.Context(), "m", at)
				return err
			})
			if inFiles(t, dir, "d31e7ed-") {
				t.Error("what was deleted is still in the files")
			}
		})
	}
}

func inFiles(t *testing.T, dir, marker string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(marker)) {
			return true
		}
	}
	return false
}
