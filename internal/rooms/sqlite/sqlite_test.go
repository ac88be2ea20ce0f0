package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	storetest.Run(t, func(t testing.TB) storetest.Store {
		dir := t.TempDir()
		t.Cleanup(func() { nothingLeft(t, dir) }) // once the store is closed
		return open(t, dir)
	})
}

// nothingLeft checks that no table has a row about a message that is not there: ids are chosen
// by clients, and may be used again.
func nothingLeft(t testing.TB, dir string) {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	var tables []string
	err := s.QueryAll(context.Background(), `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'mid'`,
		func(r *sql.Rows) error {
			var name string
			err := r.Scan(&name)
			tables = append(tables, name)
			return err
		})
	if err != nil || len(tables) < 2 {
		t.Fatalf("tables %q: %v", tables, err)
	}
	for _, name := range tables {
		var left int
		err := s.Query(context.Background(), `SELECT count(*) FROM `+name+` WHERE mid NOT IN (SELECT id FROM messages)`,
			func(r *sql.Row) error { return r.Scan(&left) })
		if err != nil || left > 0 {
			t.Errorf("%s has %d rows about messages that are gone: %v", name, left, err)
		}
	}
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

// Messages of a deleted room go in several transactions. Whatever of them is left by a
// process that ended meanwhile is taken away later, and nothing of other rooms.
func TestMessagesOfErasedRoomsGo(t *testing.T) {
	s := storetest.OpenSQLite(t)
	ctx := t.Context()
	count := func(room string) int {
		t.Helper()
		n, err := s.CountHistory(ctx, rooms.HistoryQuery{RoomID: room})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, id := range []string{"a", "b", "c"} {
		if err := s.CreateRoom(ctx, &rooms.Room{ID: id, Type: rooms.Channel, Name: id, NameKey: id, TS: time.Now(), UpdatedAt: time.Now()}, nil); err != nil {
			t.Fatal(err)
		}
		for n := range 1201 {
			m := &rooms.Message{ID: fmt.Sprint(id, n), RoomID: id, Text: "x", TS: time.Now(), UpdatedAt: time.Now()}
			if _, _, err := s.InsertMessage(ctx, m, rooms.Unread{None: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := s.DeleteRoom(ctx, "a", time.Now()); err != nil || count("a") != 0 {
		t.Errorf("%d messages of a deleted room are left; %v", count("a"), err)
	}
	// The process ended behind the first transaction.
	err := s.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.Exec(`DELETE FROM rooms WHERE id = 'b'`), tx.Exec(`INSERT INTO rooms_erased (rid) VALUES ('b')`))
	})
	if err == nil {
		err = s.Mend(ctx, time.Now())
	}
	if err != nil || count("b") != 0 || count("c") != 1201 {
		t.Errorf("%d messages are left of a room that was half deleted, and %d of another; %v", count("b"), count("c"), err)
	}
}
