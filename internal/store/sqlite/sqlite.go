// Package sqlite is the embedded store: one database file in a data directory
// (mode 0700, files 0600), opened by one server at a time and, beside it, by
// short-lived commands of the same program.
//
// Documents are the BSON that the MongoDB store keeps, one row each; side tables
// hold what must be unique or found fast. Every change is a read-modify-write
// inside one write transaction (BEGIN IMMEDIATE, WAL, synchronous FULL), and
// changes that wait at the same time share one commit (see write.go). Readers
// have their own connections and never wait for writers.
//
// Every aggregate has a file of its own with its schema, listed in schema.go.
//
// A slice of the program keeps tables of its own in the same database
// (Options.Schemas). It reads with Query and QueryAll, changes with Update, and
// changes accounts through the Store's operations alone.
//
// The status an account is shown with is kept in memory only (see shown.go): it
// means nothing after the process.
//
// What is deleted or replaced is overwritten in the database file (secure_delete).
// The write-ahead log keeps it until SQLite begins the log anew, after about 4 MiB
// of changes or when the store is closed.
//
// It starts no goroutine of its own, caches nothing but accounts (see cache.go)
// and does not expire anything by itself: guards and events that are too old are
// removed by the writes of their own aggregate.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	sqlite3 "modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3lib "modernc.org/sqlite/lib"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store"
	"ddpserver/internal/store/rule"
)

const (
	// FileName is the database inside the data directory.
	FileName = "ddpserver.db"
	// LockName is the file a server locks for as long as it runs.
	LockName = "ddpserver.lock"

	// readers is the number of connections for look-ups; they take tens of
	// microseconds each, so more would not help.
	readers = 4
	// busy is how long an operation waits for another process that writes.
	busy = 5 * time.Second
)

// ErrLocked says that another server runs on the data directory.
var ErrLocked = errors.New("another server uses this data directory")

// Options say how to open a store. The zero value is right for a command that
// works beside a running server.
type Options struct {
	// Server takes the lock that keeps a second server off the directory.
	Server bool
	// Observe is told of every look-up ("read") and change ("write", the wait
	// for its turn and its commit included). It must be fast. Nil means nobody.
	Observe func(operation string, took time.Duration, err error)
	// Now tells the time for what the store itself lets age (events). Nil means time.Now.
	Now func() time.Time
	// Schemas are the tables of slices, beside those of the core.
	Schemas []Schema
}

// Store is the embedded store.
type Store struct {
	rule.Operations

	read   *sql.DB
	hot    *hotReaders
	write  *sql.DB
	writer *writer
	lock   *flock.Flock
	now    func() time.Time
	watch  func(operation string, took time.Duration, err error)
	closed atomic.Bool
	// cache is nil in a process that does not own the directory.
	cache *userCache
	shown shownStatuses

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt // look-ups, by text
}

// Open opens or creates the database in dir and brings its schema up to date.
// It fails with ErrLocked when o.Server is set and another server runs there.
func Open(dir string, o Options) (_ *Store, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{now: o.Now, watch: o.Observe, stmts: make(map[string]*sql.Stmt)}
	s.Operations = rule.On(s)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open data directory %s: %w", dir, err), s.Close())
		}
	}()
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	if o.Server {
		s.lock = flock.New(filepath.Join(dir, LockName), flock.SetPermissions(0o600))
		locked, err := s.lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if !locked {
			s.lock = nil
			return nil, ErrLocked
		}
	}
	path := filepath.Join(dir, FileName)
	// SQLite gives its side files the mode of the database file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // the operator's own data directory
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, err
	}
	if s.write, err = sql.Open("sqlite", dsn(path, "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "journal_size_limit(0)")); err != nil {
		return nil, err
	}
	if s.writer, err = newWriter(s.write); err != nil {
		return nil, err
	}
	s.writer.shown = &s.shown
	if o.Server {
		s.cache = new(userCache)
		s.writer.cache = s.cache
	}
	if err := s.migrate(o.Schemas); err != nil {
		return nil, err
	}
	if o.Server {
		if err := errors.Join(s.releaseMail(context.Background()), s.fillListing(context.Background())); err != nil {
			return nil, err
		}
	}
	if s.read, err = sql.Open("sqlite", dsn(path, "query_only(1)")); err != nil {
		return nil, err
	}
	if s.hot, err = newHotReaders(path); err != nil {
		return nil, err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	return s, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&0o077 != 0 {
		// A volume made by somebody else may not be ours to change; the files
		// in it are closed to others anyway.
		_ = os.Chmod(dir, 0o700) // a directory needs its x bit
	}
	return nil
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds())}, pragmas...)}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// Ping tells whether the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.Query(ctx, "SELECT 1", func(r *sql.Row) error { return r.Scan(&one) })
}

// Close ends the store; the last one to close the database folds its log in.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var errs []error
	if s.hot != nil {
		errs = append(errs, s.hot.close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

func (s *Store) observed(operation string, begin time.Time, err *error) {
	s.watch(operation, time.Since(begin), *err)
}

// Query runs a look-up of one row on a reader. The context counts before it
// starts; the look-up itself is too short to be worth interrupting.
func (s *Store) Query(ctx context.Context, text string, scan func(*sql.Row) error, args ...any) (err error) {
	if s.watch != nil {
		defer s.observed("read", time.Now(), &err)
	}
	st, err := s.stmt(ctx, text)
	if err != nil {
		return err
	}
	return failure(scan(st.QueryRowContext(context.WithoutCancel(ctx), args...)))
}

// ErrEnough is returned by a scan of QueryAll that wants no more rows.
var ErrEnough = errors.New("sqlite: enough rows")

// QueryAll runs a look-up of many rows on a reader and interrupts it when ctx ends.
func (s *Store) QueryAll(ctx context.Context, text string, scan func(*sql.Rows) error, args ...any) (err error) {
	if s.watch != nil {
		defer s.observed("read", time.Now(), &err)
	}
	st, err := s.stmt(ctx, text)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err == ErrEnough {
			return nil
		} else if err != nil {
			return failure(err)
		}
	}
	return failure(rows.Err())
}

// Usable refuses what comes after the end of the store or of its context.
func (s *Store) Usable(ctx context.Context) error {
	if s.closed.Load() {
		return fmt.Errorf("%w: closed", dberr.Unavailable)
	}
	return failure(ctx.Err())
}

// stmt returns the prepared form of a look-up.
func (s *Store) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	st := s.stmts[text]
	s.mu.RUnlock()
	if st != nil {
		return st, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stmts[text]; st != nil {
		return st, nil
	}
	st, err := s.read.PrepareContext(context.WithoutCancel(ctx), text)
	if err != nil {
		return nil, failure(err)
	}
	s.stmts[text] = st
	return st, nil
}

// failure gives an error of the driver its place in dberr; errors of our own pass.
func failure(err error) error {
	var e *sqlite3.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return dberr.NotFound
	case errors.As(err, &e), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if errors.Is(err, dberr.Unavailable) {
			return err
		}
		return fmt.Errorf("sqlite: %w: %w", dberr.Unavailable, err)
	}
	return err
}

// Taken tells whether a statement failed because a unique key is taken.
func Taken(err error) bool {
	var e *sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == sqlite3lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3lib.SQLITE_CONSTRAINT_PRIMARYKEY
}

var _ store.Store = (*Store)(nil)
