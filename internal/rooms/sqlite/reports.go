package sqlite

import (
	"context"
	"database/sql"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// reports came later than rooms.
var reports = sqlite.Schema{Name: "reports", Steps: []string{`
CREATE TABLE reports (
	id     TEXT NOT NULL UNIQUE,
	of     TEXT NOT NULL, -- the message, which may be gone; empty for a report of a user
	uid    TEXT NOT NULL, -- who is reported
	ts     INTEGER NOT NULL,
	hidden INTEGER NOT NULL,
	doc    BLOB NOT NULL
);
CREATE INDEX reports_listed ON reports (ts, id) WHERE hidden = 0;
CREATE INDEX reports_message ON reports (of, ts, id) WHERE hidden = 0;
CREATE INDEX reports_user ON reports (uid, ts, id) WHERE hidden = 0;
`}}

// AddReport implements rooms.ReportStore.
func (s *Store) AddReport(ctx context.Context, r *rooms.Report) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		raw, err := document.Encode(r)
		if err != nil {
			return err
		}
		of := ""
		if r.Message != nil {
			of = r.Message.ID
		}
		err = t.Exec(`INSERT INTO reports (id, of, uid, ts, hidden, doc) VALUES (?, ?, ?, ?, ?, ?)`, r.ID, of, r.About().ID, millis(r.TS), r.Hidden, []byte(raw))
		if sqlite.Taken(err) {
			return dberr.Duplicate
		}
		return err
	})
}

// ReportByID implements rooms.ReportStore.
func (s *Store) ReportByID(ctx context.Context, id string) (*rooms.Report, error) {
	return one[rooms.Report](ctx, s, `SELECT doc FROM reports WHERE id = ?`, id)
}

// selectedReports is the condition of a query.
func selectedReports(q rooms.ReportQuery) (where string, args []any) {
	where = ` FROM reports WHERE hidden = 0 AND (of <> '') = ?`
	args = []any{q.Messages}
	if q.MessageID != "" {
		where, args = where+` AND of = ?`, append(args, q.MessageID)
	}
	if q.UserID != "" {
		where, args = where+` AND uid = ?`, append(args, q.UserID)
	}
	if !q.Since.IsZero() {
		where, args = where+` AND ts >= ?`, append(args, millis(q.Since))
	}
	if !q.Until.IsZero() {
		where, args = where+` AND ts <= ?`, append(args, millis(q.Until))
	}
	return where, args
}

// ListReports implements rooms.ReportStore.
func (s *Store) ListReports(ctx context.Context, q rooms.ReportQuery) (page []*rooms.Report, total int, err error) {
	where, args := selectedReports(q)
	if total, err = s.number(ctx, `SELECT count(*)`+where, args...); err != nil || q.Count <= 0 {
		return nil, total, err
	}
	page, err = many[rooms.Report](ctx, s, `SELECT doc`+where+` ORDER BY ts DESC, id DESC LIMIT ? OFFSET ?`, append(args, q.Count, q.Offset)...)
	return page, total, err
}

// HideReports implements rooms.ReportStore.
func (s *Store) HideReports(ctx context.Context, q rooms.ReportQuery, m rooms.Moderation) error {
	where, args := selectedReports(q)
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var list []*rooms.Report
		err := t.Rows(`SELECT doc`+where, args, func(rows *sql.Rows) error {
			var raw []byte
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			r, err := decoded[rooms.Report](raw)
			list = append(list, r)
			return err
		})
		for _, r := range list {
			if err != nil {
				return err
			}
			r.Hidden, r.Moderation, r.UpdatedAt = true, &m, m.HiddenAt
			var raw []byte
			if raw, err = document.Encode(r); err == nil {
				err = t.Exec(`UPDATE reports SET hidden = 1, doc = ? WHERE id = ?`, raw, r.ID)
			}
		}
		return err
	})
}
