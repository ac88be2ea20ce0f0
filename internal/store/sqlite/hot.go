package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite"

	"ddpserver/internal/dberr"
)

// hotReaders read one document by a key, which is what every login and most
// calls want, on connections of the driver's own: package database/sql needs as
// long for such a look-up as SQLite does.
type hotReaders struct {
	connector driver.Connector
	turn      atomic.Uint32
	each      [2]hotReader
}

type hotReader struct {
	mu     sync.Mutex
	closed bool
	conn   driver.Conn // nil until it is needed, and after a failure
	stmts  map[string]driver.StmtQueryContext
	row    []driver.Value
}

func newHotReaders(path string) (*hotReaders, error) {
	c, err := sqlite3.NewConnector(dsn(path, "query_only(1)"))
	if err != nil {
		return nil, err
	}
	return &hotReaders{connector: c}, nil
}

// document runs a look-up of one blob by one or two keys. The result belongs to
// the caller.
func (s *Store) document(ctx context.Context, text string, args ...any) (raw []byte, err error) {
	if s.watch != nil {
		defer s.observed("read", time.Now(), &err)
	}
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	h := s.hot
	r := &h.each[h.turn.Add(1)%uint32(len(h.each))]
	if !r.mu.TryLock() {
		r = &h.each[h.turn.Add(1)%uint32(len(h.each))]
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("%w: closed", dberr.Unavailable)
	}
	raw, err = r.document(h.connector, text, args)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		err = errors.Join(failure(err), r.drop())
	}
	return raw, err
}

func (r *hotReader) document(c driver.Connector, text string, args []any) ([]byte, error) {
	st, err := r.stmt(c, text)
	if err != nil {
		return nil, err
	}
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	rows, err := st.QueryContext(context.Background(), values)
	if err != nil {
		return nil, err
	}
	err = rows.Next(r.row)
	raw, _ := r.row[0].([]byte)
	r.row[0] = nil
	if closing := rows.Close(); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, dberr.NotFound
	case err != nil:
		return nil, err
	}
	return raw, nil
}

// stmt connects if there is no connection and prepares what was not asked before.
func (r *hotReader) stmt(c driver.Connector, text string) (driver.StmtQueryContext, error) {
	if st := r.stmts[text]; st != nil {
		return st, nil
	}
	if r.conn == nil {
		conn, err := c.Connect(context.Background())
		if err != nil {
			return nil, err
		}
		r.conn, r.stmts, r.row = conn, map[string]driver.StmtQueryContext{}, make([]driver.Value, 1)
	}
	st, err := r.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	q, ok := st.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.Join(errors.New("the driver cannot query"), st.Close())
	}
	r.stmts[text] = q
	return q, nil
}

// drop ends the connection; the next look-up makes another one.
func (r *hotReader) drop() error {
	if r.conn == nil {
		return nil
	}
	var errs []error
	for _, q := range r.stmts {
		if st, ok := q.(driver.Stmt); ok {
			errs = append(errs, st.Close())
		}
	}
	errs = append(errs, r.conn.Close())
	r.conn, r.stmts = nil, nil
	return errors.Join(errs...)
}

func (h *hotReaders) close() error {
	var errs []error
	for i := range h.each {
		r := &h.each[i]
		r.mu.Lock()
		r.closed = true
		errs = append(errs, r.drop())
		r.mu.Unlock()
	}
	return errors.Join(errs...)
}
