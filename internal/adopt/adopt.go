// Package adopt tells what this server makes of a database that another program
// filled, a Meteor app or Rocket.Chat: what protects somebody there is honoured, or
// the account, the room or the start is refused, and the rest is named.
//
// It knows the names that those programs keep things under and reads them through
// Source. It changes nothing, honours nothing by itself (accounts, twofactor,
// settings and rooms do), and tells numbers and the names of roles only: nobody's
// name, and no secret.
package adopt

import (
	"context"
	"fmt"
	"strings"
)

// Source is a database that is looked at and not changed. Only a store on MongoDB has
// one: nobody else's program writes the embedded store.
type Source interface {
	// Count counts the documents of a collection; one that is not there has none.
	Count(ctx context.Context, collection string) (int, error)
	// Documents hands out what a query selects, in no order. One that cannot be read is
	// handed out without members.
	Documents(ctx context.Context, q Query, each func(Document)) error
}

// Query selects documents of a collection.
type Query struct {
	Collection string
	// Any are members of which one must have that value; none selects every document.
	Any []Member
	// Fields are the members to read beside _id, as dotted paths.
	Fields []string
}

// Member is a member of a document, as a dotted path, and its value. A nil value
// stands for a list that is not empty.
type Member struct {
	Path  string
	Value any
}

// Document is what was read of a document: maps, lists, texts, numbers and booleans.
type Document map[string]any

// ObjectID is an _id of MongoDB's own kind, as hex digits. No part of the server can
// name an account by one.
type ObjectID string

// At is the value at a path, nil where there is none.
func (d Document) At(path string) any {
	var v any = map[string]any(d)
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// text is the text at a path, or "".
func (d Document) text(path string) string {
	s, _ := d.At(path).(string)
	return s
}

// is tells whether there is true at a path.
func (d Document) is(path string) bool { return d.At(path) == true }

// list is the length of the list at a path.
func (d Document) list(path string) int {
	l, _ := d.At(path).([]any)
	return len(l)
}

// Verdict says what becomes of something that was found.
type Verdict string

// The verdicts there are, in the order of a report.
const (
	// Stops refuses the start of the server.
	Stops Verdict = "refuses the start"
	// Refused leaves an account or a room where it is and keeps people from it.
	Refused Verdict = "refused"
	// Honoured protects as it did.
	Honoured Verdict = "honoured"
	// Ignored does nothing here.
	Ignored Verdict = "ignored"
)

// verdicts is their order.
var verdicts = []Verdict{Stops, Refused, Honoured, Ignored}

// Line is one kind of thing that was found, and how often.
type Line struct {
	Verdict Verdict
	Count   int
	What    string
}

// Report is what a look found.
type Report struct {
	// Accounts and Rooms count what there is.
	Accounts, Rooms int
	// Lines are ordered by verdict.
	Lines []Line
}

// Look reads a database. An account or a room that nobody could read is a line.
func Look(ctx context.Context, src Source) (*Report, error) {
	l := &look{src: src, counts: map[finding]int{}}
	for _, read := range []func(context.Context) error{l.accounts, l.rooms, l.memberships, l.roles, l.settings} {
		if err := read(ctx); err != nil {
			return nil, fmt.Errorf("look at the database: %w", err)
		}
	}
	r := &Report{Accounts: l.accountsSeen, Rooms: l.roomsSeen}
	for _, v := range verdicts {
		for _, f := range findings {
			if f.verdict == v && l.counts[f.finding] > 0 {
				what := f.what
				if f.finding == mandatoryRoles {
					what += ": " + strings.Join(l.mandatory, ", ")
				}
				r.Lines = append(r.Lines, Line{Verdict: v, Count: l.counts[f.finding], What: what})
			}
		}
	}
	return r, nil
}

// Stops tells whether a server refuses to start on the database.
func (r *Report) Stops() bool { return len(r.Lines) > 0 && r.Lines[0].Verdict == Stops }

// String is the report for people, the worst first. It has no line for what was not
// found, and fits one screen.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d accounts, %d rooms.\n", r.Accounts, r.Rooms)
	if len(r.Lines) == 0 {
		b.WriteString("Nothing in them needs a word.\n")
	}
	var last Verdict
	for _, l := range r.Lines {
		if l.Verdict != last {
			fmt.Fprintf(&b, "%s\n", strings.ToUpper(string(l.Verdict)))
			last = l.Verdict
		}
		fmt.Fprintf(&b, "%6d  %s\n", l.Count, l.What)
	}
	return b.String()
}
