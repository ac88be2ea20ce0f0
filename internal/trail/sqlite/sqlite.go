// Package sqlite is the trail's half of the embedded store: tables of its own in the
// database of the core.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/trail"
)

// The columns beside the documents are what is searched by. An account has a row for
// each event that it acts in or that is about it.
var schema = sqlite.Schema{Name: "audit", Steps: []string{`
CREATE TABLE audit (
	id      TEXT NOT NULL PRIMARY KEY,
	user    TEXT NOT NULL,
	subject TEXT NOT NULL,
	act     TEXT NOT NULL,
	outcome TEXT NOT NULL,
	address TEXT NOT NULL,
	text    TEXT NOT NULL,
	doc     BLOB NOT NULL
);
CREATE INDEX audit_act ON audit (act, id);
CREATE INDEX audit_outcome ON audit (outcome, id);
CREATE INDEX audit_act_outcome ON audit (act, outcome, id);
CREATE INDEX audit_address ON audit (address, id);
CREATE TABLE audit_accounts (
	account TEXT NOT NULL,
	id      TEXT NOT NULL,
	PRIMARY KEY (account, id)
) WITHOUT ROWID;
`}}

// Store keeps events of the audit stream.
type Store struct{ core *sqlite.Store }

// New makes the trail's half of a store that was opened with Schemas.
func New(core *sqlite.Store) *Store { return &Store{core: core} }

// Schemas are the tables of the trail, for sqlite.Options.
func Schemas() []sqlite.Schema { return []sqlite.Schema{schema} }

// AppendTrail implements trail.Store.
func (s *Store) AppendTrail(ctx context.Context, events []trail.Event) error {
	return s.core.Update(ctx, func(t *sqlite.Tx) error {
		for _, e := range events {
			// What the columns have is not in the document twice.
			text, accounts := e.Text, e.Accounts
			e.Text, e.Accounts = "", nil
			raw, err := document.Encode(e)
			if err != nil {
				return err
			}
			err = t.Exec(`INSERT OR IGNORE INTO audit (id, user, subject, act, outcome, address, text, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ID, e.User, e.Subject, e.Act, e.Outcome, e.Address, text, []byte(raw))
			for _, a := range accounts {
				err = errors.Join(err, t.Exec(`INSERT OR IGNORE INTO audit_accounts (account, id) VALUES (?, ?)`, a, e.ID))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// plan is how a query is answered: by one index whose order is that of ids, and by
// looking at what it finds.
type plan struct {
	from, key string // from names the table of events a
	keys      string // the index alone
	where     []string
	args      []any
	looks     bool // the index finds more than what fits
}

func planOf(q trail.Query) plan {
	p := plan{from: "audit a", keys: "audit a", key: "a.id", looks: !q.Indexed()}
	is := func(column, value string) {
		p.where, p.args = append(p.where, column+" = ?"), append(p.args, value)
	}
	switch {
	case q.Account != "":
		p.from, p.keys, p.key = "audit_accounts c CROSS JOIN audit a ON a.id = c.id", "audit_accounts c", "c.id"
		is("c.account", q.Account)
	case q.Address != "" && !q.Prefix:
		is("a.address", q.Address)
	default:
		if q.Act != "" {
			is("a.act", q.Act)
		}
		if q.Outcome != "" {
			is("a.outcome", q.Outcome)
		}
	}
	p.where = append(p.where, p.key+" >= ?", p.key+" < ?")
	return p
}

// top is above every id.
const top = "~"

// bounded are the arguments of the plan for ids from low to below high.
func (p plan) bounded(low, high string) []any {
	if high == "" {
		high = top
	}
	return append(append([]any{}, p.args...), low, high)
}

func (p plan) text(what, from, more, end string) string {
	return "SELECT " + what + " FROM " + from + " WHERE " + strings.Join(p.where, " AND ") + more + " ORDER BY " + p.key + " DESC" + end
}

// fits selects among what an index finds. Its text is the same for every query, so
// that there are few statements.
const fits = ` AND (? = '' OR a.act = ?) AND (? = '' OR a.outcome = ?) AND (? = '' OR substr(a.address, 1, ?) = ?)
	AND (? = 0 OR a.user = ?) AND (? = 0 OR a.subject = ?) AND (? = '' OR instr(a.text, ?) > 0)`

func fitArgs(q trail.Query) []any {
	length := len([]rune(q.Address))
	if !q.Prefix {
		length = 1 << 20 // the whole
	}
	return []any{q.Act, q.Act, q.Outcome, q.Outcome, q.Address, length, q.Address,
		q.As == trail.Actor, q.Account, q.As == trail.Subject, q.Account, q.Text, q.Text}
}

// PageTrail implements trail.Store.
func (s *Store) PageTrail(ctx context.Context, q trail.Query) (page trail.Page, err error) {
	p, want := planOf(q), q.Limit+1
	r := reader{skip: q.Skip}
	if !p.looks {
		r.skip = 0
		err = s.core.QueryAll(ctx, p.text("a.doc", p.from, "", " LIMIT ? OFFSET ?"), r.scan, append(p.bounded(q.Low, q.High), want, q.Skip)...)
		return r.page(q.Limit, ""), err
	}
	// In steps that grow: most pages are full before much was looked at.
	high := q.High
	for step, looked := 500, 0; ; step *= 4 {
		step = min(step, q.Scan-looked)
		low, err := s.below(ctx, p, q.Low, high, step)
		if err != nil {
			return page, err
		}
		args := append(append(p.bounded(max(low, q.Low), high), fitArgs(q)...), r.skip+want-len(r.events))
		if err := s.core.QueryAll(ctx, p.text("a.doc", p.from, fits, " LIMIT ?"), r.scan, args...); err != nil {
			return page, err
		}
		looked += step
		if len(r.events) >= want || low == "" {
			return r.page(q.Limit, ""), nil
		}
		if high = low; looked >= q.Scan {
			return r.page(q.Limit, low), nil
		}
	}
}

// below is the id of the step-th event below high, and empty when there are fewer.
func (s *Store) below(ctx context.Context, p plan, low, high string, step int) (id string, err error) {
	err = s.core.Query(ctx, p.text(p.key, p.keys, "", " LIMIT 1 OFFSET ?"), func(r *sql.Row) error { return r.Scan(&id) },
		append(p.bounded(low, high), step-1)...)
	if errors.Is(err, dberr.NotFound) {
		err = nil
	}
	return id, err
}

// reader collects events.
type reader struct {
	skip   int
	events []trail.Event
}

func (r *reader) scan(rows *sql.Rows) error {
	if r.skip > 0 {
		r.skip--
		return nil
	}
	var raw []byte
	var e trail.Event
	if err := rows.Scan(&raw); err != nil {
		return err
	}
	if err := document.Decode(raw, &e); err != nil {
		return err
	}
	for _, id := range []string{e.User, e.Subject} {
		if id != "" && (len(e.Accounts) == 0 || e.Accounts[0] != id) {
			e.Accounts = append(e.Accounts, id)
		}
	}
	r.events = append(r.events, e)
	return nil
}

// page is what was collected: limit events, and where to go on if there are more, or
// if not everything was looked at.
func (r *reader) page(limit int, next string) trail.Page {
	if len(r.events) > limit {
		return trail.Page{Events: r.events[:limit], Next: r.events[limit-1].ID}
	}
	return trail.Page{Events: r.events, Next: next}
}

// CountTrail implements trail.Store.
func (s *Store) CountTrail(ctx context.Context, q trail.Query, most int) (n int, err error) {
	p := planOf(q)
	err = s.core.Query(ctx, "SELECT count(*) FROM ("+p.text("1", p.keys, "", " LIMIT ?")+")", func(r *sql.Row) error { return r.Scan(&n) },
		append(p.bounded(q.Low, q.High), most)...)
	return n, err
}

// TrimTrail implements trail.Store.
func (s *Store) TrimTrail(ctx context.Context, before time.Time, most, step int) (removed int, err error) {
	total, old := 0, 0
	err = s.core.Query(ctx, `SELECT count(*) FROM audit`, func(r *sql.Row) error { return r.Scan(&total) })
	if err != nil {
		return 0, err
	}
	low := trail.Lowest(before)
	err = s.core.Query(ctx, `SELECT count(*) FROM (SELECT 1 FROM audit WHERE id < ? LIMIT ?)`, func(r *sql.Row) error { return r.Scan(&old) }, low, step)
	if err != nil {
		return 0, err
	}
	n := min(step, max(old, total-most))
	if n <= 0 {
		return 0, nil
	}
	err = s.core.Update(ctx, func(t *sqlite.Tx) error {
		removed = 0
		type row struct{ id, user, subject string }
		var rows []row
		err := t.Rows(`SELECT id, user, subject FROM audit ORDER BY id LIMIT ?`, []any{n}, func(r *sql.Rows) error {
			var x row
			err := r.Scan(&x.id, &x.user, &x.subject)
			rows = append(rows, x)
			return err
		})
		if err != nil {
			return err
		}
		for _, x := range rows {
			err := errors.Join(
				t.Exec(`DELETE FROM audit WHERE id = ?`, x.id),
				t.Exec(`DELETE FROM audit_accounts WHERE account IN (?, ?) AND id = ?`, x.user, x.subject, x.id))
			if err != nil {
				return err
			}
		}
		removed = len(rows)
		return nil
	})
	return removed, err
}

var _ trail.Store = (*Store)(nil)
