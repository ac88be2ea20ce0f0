package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"

	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

func openAt(dir string) (storetest.Core, error) {
	return sqlite.Open(dir, sqlite.Options{Server: true})
}

func TestMain(m *testing.M) {
	storetest.Child(openAt)
	goleak.VerifyTestMain(m)
}

// database is a data directory.
type database struct{ dir string }

func (d database) Open(t testing.TB) storetest.Core {
	t.Helper()
	s, err := openAt(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Plant imports the document, as an operator would beside the running server;
// a document that cannot be imported is written into the table.
func (d database) Plant(t testing.TB, doc bson.D) {
	t.Helper()
	raw, err := document.Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(d.dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.ImportUser(t.Context(), raw)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, document.ErrBroken) {
		t.Fatal(err)
	}
	d.sql(t, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), `INSERT INTO users (id, admin, doc) VALUES (?, 0, ?)`, raw.Lookup("_id").StringValue(), []byte(raw))
		return err
	})
}

func (d database) Raw(t testing.TB, id string) (raw bson.Raw) {
	t.Helper()
	d.sql(t, func(db *sql.DB) error {
		return db.QueryRowContext(t.Context(), `SELECT doc FROM users WHERE id = ?`, id).Scan((*[]byte)(&raw))
	})
	return raw
}

// Set changes the document in a transaction of its own, as the tool of an operator would.
func (d database) Set(t testing.TB, id, path string, value any) {
	t.Helper()
	d.sql(t, func(db *sql.DB) error {
		conn, err := db.Conn(t.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), `PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE`); err != nil {
			return err
		}
		var raw []byte
		var doc bson.D
		if err := conn.QueryRowContext(t.Context(), `SELECT doc FROM users WHERE id = ?`, id).Scan(&raw); err != nil {
			return err
		}
		if err := bson.Unmarshal(raw, &doc); err != nil {
			return err
		}
		if raw, err = document.Encode(put(doc, strings.Split(path, "."), value)); err != nil {
			return err
		}
		if _, err := conn.ExecContext(t.Context(), `UPDATE users SET doc = ? WHERE id = ?`, raw, id); err != nil {
			return err
		}
		_, err = conn.ExecContext(t.Context(), `COMMIT`)
		return err
	})
}

// put sets a member of a document, and makes what is missing on the way to it.
func put(doc bson.D, path []string, value any) bson.D {
	i := slices.IndexFunc(doc, func(e bson.E) bool { return e.Key == path[0] })
	if i < 0 {
		i, doc = len(doc), append(doc, bson.E{Key: path[0]})
	}
	if len(path) > 1 {
		inner, _ := doc[i].Value.(bson.D)
		value = put(inner, path[1:], value)
	}
	doc[i].Value = value
	return doc
}

func (d database) BreakMail(t testing.TB, id string) {
	t.Helper()
	d.sql(t, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), `UPDATE outbox SET doc = x'0500' WHERE id = ?`, id)
		return err
	})
}

func (d database) Shared() bool { return false }

func (d database) sql(t testing.TB, do func(*sql.DB) error) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(d.dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Database { return database{t.TempDir()} })
}

func TestCrash(t *testing.T) { storetest.Crash(t, t.TempDir(), openAt, 4) }

func TestInsideBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.CreateUser(ctx, &user.User{ID: "u1", Username: "Ann", CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		u, err := s.UserByUsername(ctx, "ann")
		if err != nil || u.ID != "u1" {
			t.Fatal(u, err)
		}
	})
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	s, err := sqlite.Open(dir, sqlite.Options{Server: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v %v, want database, log, index and lock", entries, err)
	}
	for _, e := range append(entries, nil) {
		path, want := dir, os.FileMode(0o700)
		if e != nil {
			path, want = filepath.Join(dir, e.Name()), 0o600
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, fi.Mode().Perm(), want)
		}
	}
}

func TestOneServerOnly(t *testing.T) {
	dir := t.TempDir()
	first, err := sqlite.Open(dir, sqlite.Options{Server: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(dir, sqlite.Options{Server: true}); !errors.Is(err, sqlite.ErrLocked) {
		t.Fatalf("a second server: %v, want ErrLocked", err)
	}
	// A command beside the server, both writing.
	command, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []*sqlite.Store{first, command, first} {
		if err := s.CreateUser(t.Context(), &user.User{ID: string(rune('a' + i)), CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.UserByID(t.Context(), "b"); err != nil {
		t.Error("the server does not see what the command wrote:", err)
	}
	if err := errors.Join(command.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := sqlite.Open(dir, sqlite.Options{Server: true})
	if err != nil {
		t.Fatal("the lock outlived its server:", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	d := database{t.TempDir()}
	if err := d.Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	d.sql(t, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), `UPDATE schema_versions SET version = 99 WHERE name = 'users'`)
		return err
	})
	if s, err := openAt(d.dir); err == nil {
		_ = s.Close()
		t.Fatal("a database of a newer version was opened")
	}
	// Nothing half-made: the directory is free again.
	d.sql(t, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), `UPDATE schema_versions SET version = 2 WHERE name = 'users'`)
		return err
	})
	if err := d.Open(t).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(filepath.Join(file, "data"), sqlite.Options{Server: true}); err == nil {
		t.Fatal("opened below a file")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, sqlite.FileName),
		[]byte("this is not a database, but long enough to be looked at by SQLite as one: it has more than a hundred bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(dir, sqlite.Options{Server: true}); err == nil {
		t.Fatal("opened something that is no database")
	}
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(t testing.TB) storetest.Database { return database{t.TempDir()} }, 1_000, 10_000)
}
