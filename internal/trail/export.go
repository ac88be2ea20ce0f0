package trail

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ddpserver/internal/ejson"
)

const (
	// exportPage is how many events an export holds at once.
	exportPage = 500
	// ExportTime bounds one export.
	ExportTime = 5 * time.Minute
)

// Formats of exports.
const (
	JSONLines = "jsonl"
	CSV       = "csv"
)

// Export is an export that was found possible: its filter is right and the store
// answers. WriteTo writes it, a page at a time.
type Export struct {
	s      *Service
	q      Query
	first  Page
	format string
}

// Export begins an export of everything that a filter selects.
func (s *Service) Export(ctx context.Context, f Filter, format string) (*Export, error) {
	if format != JSONLines && format != CSV {
		return nil, wrong("'format' must be jsonl or csv")
	}
	f.Count = exportPage
	q, err := s.query(f)
	if err != nil {
		return nil, err
	}
	first, err := s.page(ctx, q)
	if err != nil {
		return nil, err
	}
	return &Export{s: s, q: q, first: first, format: format}, nil
}

// Write writes the export, the newest events first, each page as soon as it was read.
// An error leaves it unfinished.
func (e *Export) Write(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, ExportTime)
	defer cancel()
	write := writeLines
	if e.format == CSV {
		write = writeCSV
		if err := writeRow(w, columns); err != nil {
			return err
		}
	}
	for page := e.first; ; {
		names, err := e.s.names(ctx, page.Events)
		if err != nil {
			return err
		}
		if err := write(w, page.Events, names); err != nil || page.Next == "" {
			return err
		}
		e.q.High, e.q.Skip = page.Next, 0
		if page, err = e.s.page(ctx, e.q); err != nil {
			return err
		}
	}
}

// writeLines writes events as JSON, one a line.
func writeLines(w io.Writer, events []Event, names Names) error {
	var out []byte
	for i := range events {
		var err error
		if out, err = ejson.AppendJSON(out, events[i].Doc(names)); err != nil {
			return err
		}
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}

// columns are those of a CSV export.
var columns = []string{"_id", "ts", "act", "outcome", "reason", "user", "username", "subject", "subjectUsername", "target", "door", "factor", "method",
	"address", "agent", "conn", "node", "count"}

// iso is how dates are written in JSON, too.
const iso = "2006-01-02T15:04:05.000Z"

// writeCSV writes events as rows.
func writeCSV(w io.Writer, events []Event, names Names) error {
	out := csv.NewWriter(w)
	for i := range events {
		e := &events[i]
		count := ""
		if e.Count > 0 {
			count = strconv.Itoa(e.Count)
		}
		row := []string{e.ID, e.TS.UTC().Format(iso), e.Act, e.Outcome, e.Reason, e.User, names[e.User], e.Subject, names[e.Subject], e.Target, e.Door, e.Factor,
			e.Method, e.Address, e.Agent, e.Conn, e.Node, count}
		for j := range row {
			row[j] = harmless(row[j])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func writeRow(w io.Writer, row []string) error {
	out := csv.NewWriter(w)
	if err := out.Write(row); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// formulas begin what a spreadsheet reckons; a line break or a tab at the beginning is cut
// off by some.
const formulas = "=+-@＝＋－＠"

// harmless is a cell that no spreadsheet takes for a formula: texts of strangers are
// among them. Programs cut off what stands before it and is not seen, and where another
// separator than the comma is usual, a cell begins behind each of those too, quoted or not.
func harmless(cell string) string {
	first := strings.TrimLeftFunc(cell, func(r rune) bool { return unseen(r) && !strings.ContainsRune("\t\r\n", r) })
	if r, _ := utf8.DecodeRuneInString(first); first != "" && strings.ContainsRune("\t\r\n"+formulas, r) {
		cell = "'" + cell
	}
	var out strings.Builder
	begins := false
	for _, r := range cell {
		switch {
		case strings.ContainsRune(";|\t\r\n", r):
			begins = true
		case begins && strings.ContainsRune(formulas, r):
			out.WriteByte('\'')
			begins = false
		default:
			begins = begins && unseen(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}

// unseen tells whether a program may pass over a letter before the text of a cell.
func unseen(r rune) bool { return r == '"' || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
