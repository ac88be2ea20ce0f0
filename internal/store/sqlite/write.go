package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"ddpserver/internal/dberr"
)

// writer owns the one connection that writes. Operations queue up; whoever
// finds nobody at work becomes the leader, runs everything that waits in one
// transaction, an operation in its own savepoint each, commits once and wakes
// the others. One fsync then pays for many operations, and the connection
// needs no goroutine of its own.
//
// Nobody is told of success before the commit is on disk. An operation sees
// the changes of those before it in the batch; if the commit fails, all of
// them fail.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // belongs to the leader
	cache *userCache           // nil in a process that does not own the directory
	shown *shownStatuses

	mu      sync.Mutex // guards the rest
	queue   []*op
	leading bool
	closed  bool
	idle    *sync.Cond // signalled when leading ends
}

// maxBatch bounds a batch, so that the first in the queue does not wait long.
const maxBatch = 128

// op is one waiting operation. done is a locked mutex, not a channel: the
// leader that unlocks it may live in another synctest bubble.
type op struct {
	ctx   context.Context // the op is the call
	do    func(*Tx) error
	err   error
	panic any
	lead  bool
	done  sync.Mutex
}

// Tx is the write transaction as an operation sees it.
type Tx struct {
	w       *writer
	touched []string // accounts that were changed
}

// errNotOwner refuses what would make a running server's memory wrong.
var errNotOwner = errors.New("sqlite: only the server of a data directory changes or deletes accounts")

// touch says that an account is about to be changed.
func (t *Tx) touch(id string) error {
	if t.w.cache == nil {
		return errNotOwner
	}
	t.touched = append(t.touched, id)
	return nil
}

func newWriter(db *sql.DB) (*writer, error) {
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, stmts: make(map[string]*sql.Stmt)}
	w.idle = sync.NewCond(&w.mu)
	return w, nil
}

// Update runs do in a write transaction and returns after the commit is
// durable. An error of do undoes its changes. The context counts until the
// operation starts.
func (s *Store) Update(ctx context.Context, do func(*Tx) error) (err error) {
	if s.watch != nil {
		defer s.observed("write", time.Now(), &err)
	}
	o := &op{ctx: ctx, do: do}
	s.writer.run(o)
	if o.panic != nil {
		panic(o.panic)
	}
	return failure(o.err)
}

func (w *writer) run(o *op) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		o.err = fmt.Errorf("%w: closed", dberr.Unavailable)
		return
	}
	w.queue = append(w.queue, o)
	if w.leading {
		o.done.Lock()
		w.mu.Unlock()
		o.done.Lock() // until the leader unlocks it
		if !o.lead {
			return
		}
		w.mu.Lock()
	}
	w.leading = true
	n := min(len(w.queue), maxBatch)
	batch := w.queue[:n:n]
	w.queue = w.queue[n:]
	w.mu.Unlock()

	w.commit(batch)

	for _, b := range batch {
		if b != o {
			b.done.Unlock()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		w.queue[0].lead = true
		w.queue[0].done.Unlock()
		return
	}
	w.leading = false
	w.idle.Broadcast()
}

// commit runs a batch in one transaction and fills in every outcome.
func (w *writer) commit(batch []*op) {
	t := &Tx{w: w}
	if err := t.Exec("BEGIN IMMEDIATE"); err != nil {
		settle(batch, err)
		return
	}
	good := 0
	for _, o := range batch {
		if o.err = o.ctx.Err(); o.err != nil {
			continue
		}
		if len(batch) > 1 {
			if err := t.Exec("SAVEPOINT op"); err != nil {
				o.err = err
				continue
			}
		}
		t.attempt(o)
		if o.err == nil && o.panic == nil {
			good++
		} else if len(batch) > 1 {
			if err := t.Exec("ROLLBACK TO op"); err != nil {
				// The whole transaction is gone (disk full, I/O error).
				_ = t.Exec("ROLLBACK")
				settle(batch, err)
				return
			}
		}
		if len(batch) > 1 {
			if err := t.Exec("RELEASE op"); err != nil {
				_ = t.Exec("ROLLBACK")
				settle(batch, err)
				return
			}
		}
	}
	if good == 0 {
		_ = t.Exec("ROLLBACK")
		return
	}
	if len(t.touched) > 0 {
		w.cache.begin(t.touched)
		defer w.cache.end()
	}
	if err := t.Exec("COMMIT"); err != nil {
		_ = t.Exec("ROLLBACK")
		settle(batch, err)
	}
}

// attempt runs one operation and keeps a panic for the goroutine it belongs to.
func (t *Tx) attempt(o *op) {
	defer func() { o.panic = recover() }()
	o.err = o.do(t)
}

// settle gives everybody who would have succeeded the error of the transaction.
func settle(batch []*op, err error) {
	for _, o := range batch {
		if o.err == nil && o.panic == nil {
			o.err = fmt.Errorf("sqlite: %w: %w", dberr.Unavailable, err)
		}
	}
}

func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.leading {
		w.idle.Wait()
	}
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (t *Tx) stmt(text string) (*sql.Stmt, error) {
	if st := t.w.stmts[text]; st != nil {
		return st, nil
	}
	st, err := t.w.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	t.w.stmts[text] = st
	return st, nil
}

// Exec runs a statement.
func (t *Tx) Exec(text string, args ...any) error {
	_, err := t.ExecN(text, args...)
	return err
}

// ExecN runs a statement and returns the number of rows it changed.
func (t *Tx) ExecN(text string, args ...any) (int64, error) {
	st, err := t.stmt(text)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Row runs a look-up of one row; dberr.NotFound when there is none.
func (t *Tx) Row(text string, args []any, dst ...any) error {
	st, err := t.stmt(text)
	if err != nil {
		return err
	}
	return failure(st.QueryRowContext(context.Background(), args...).Scan(dst...))
}

// Rows runs a look-up of many rows and hands each to scan.
func (t *Tx) Rows(text string, args []any, scan func(*sql.Rows) error) error {
	st, err := t.stmt(text)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
