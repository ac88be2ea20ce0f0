package trail

import (
	"context"
	"regexp"
	"strings"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
)

const (
	// scanMost is at how many events one page looks that no index finds.
	scanMost = 10_000
	// countMost is up to where events are counted.
	countMost = 10_000
	// MaxOffset is the largest offset; whoever wants more goes on with the cursor.
	MaxOffset = 10_000
	// maxFilter bounds each text of a filter.
	maxFilter = 256
)

// Filter is what somebody asks for. The zero value asks for everything.
type Filter struct {
	// Account is an id; whoever calls has looked up names.
	Account string
	// As is "actor", "subject" or empty for either.
	As           string
	Act, Outcome string
	// Address is a whole address, or how it begins, with "*", "." or ":" at its end.
	Address string
	// Text is looked for in the texts of events, in any letter case.
	Text string
	// From and To bound the time: From <= time < To.
	From, To time.Time
	// Cursor is where a page before ended (Listed.Cursor).
	Cursor        string
	Offset, Count int
}

// Listed is a page of the trail as administrators see it.
type Listed struct {
	Events []Event
	Names  Names
	// Cursor goes on, and is empty at the end. A page may be short and have one.
	Cursor string
	// Total counts what fits, on a first page whose filter an index answers; else it is
	// -1. AtLeast says that there is more than Total.
	Total   int
	AtLeast bool
}

// cursors are ids, or how they begin.
var cursors = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// wrong refuses a parameter.
func wrong(reason string) error { return fault.New("error-invalid-params", reason) }

// roles are what a filter calls them.
var roles = map[string]Role{"": Either, "actor": Actor, "subject": Subject}

// query reads a filter.
func (f Filter) query() (q Query, err error) {
	for name, text := range map[string]string{"user": f.Account, "act": f.Act, "outcome": f.Outcome, "address": f.Address, "text": f.Text} {
		if len(text) > maxFilter {
			return q, wrong("'" + name + "' is too long")
		}
	}
	role, known := roles[f.As]
	switch {
	case !known:
		return q, wrong("'as' must be actor or subject")
	case f.Cursor != "" && !cursors.MatchString(f.Cursor):
		return q, wrong("'cursor' is none that a list answered")
	case f.Offset < 0 || f.Offset > MaxOffset:
		return q, wrong("'offset' must be between 0 and 10000: go on with the cursor")
	case f.Count < 1:
		return q, wrong("'count' must be 1 or more")
	}
	q = Query{Account: f.Account, As: role, Act: f.Act, Outcome: f.Outcome, Text: Fold(f.Text), High: f.Cursor, Skip: f.Offset, Limit: f.Count, Scan: scanMost}
	q.Address = strings.TrimSuffix(f.Address, "*")
	// "*" alone is every event, those without an address too; stores differ in what begins with nothing.
	q.Prefix = q.Address != "" && strings.ContainsAny(f.Address[len(f.Address)-1:], "*.:")
	if q.Account == "" {
		q.As = Either
	}
	if !f.From.IsZero() {
		q.Low = Lowest(f.From)
	}
	if high := Lowest(f.To); !f.To.IsZero() && (q.High == "" || high < q.High) {
		q.High = high
	}
	return q, nil
}

// query reads a filter. A whole address is looked for as it is kept now: what was kept
// under a wider setting is found by how it begins.
func (s *Service) query(f Filter) (Query, error) {
	q, err := f.query()
	if address := s.kept(q.Address); !q.Prefix && address != "" {
		q.Address = address
	}
	return q, err
}

// page reads a page of the store, without what may not be shown of addresses any more.
func (s *Service) page(ctx context.Context, q Query) (Page, error) {
	p, err := s.o.Store.PageTrail(ctx, q)
	for i := range p.Events {
		p.Events[i].Address = s.kept(p.Events[i].Address)
	}
	return p, err
}

// List reads a page.
func (s *Service) List(ctx context.Context, f Filter) (*Listed, error) {
	q, err := s.query(f)
	if err != nil {
		return nil, err
	}
	page, err := s.page(ctx, q)
	if err != nil {
		return nil, err
	}
	l := &Listed{Events: page.Events, Cursor: page.Next, Total: -1}
	if l.Names, err = s.names(ctx, page.Events); err != nil {
		return nil, err
	}
	if f.Cursor != "" || !q.Indexed() {
		return l, nil
	}
	n, err := s.o.Store.CountTrail(ctx, q, countMost+1)
	if err != nil {
		return nil, err
	}
	l.Total, l.AtLeast = min(n, countMost), n > countMost
	return l, nil
}

// Mine reads a page of what concerns an account: the one that f's cursor, offset and
// count say.
func (s *Service) Mine(ctx context.Context, accountID string, f Filter) (events []Event, next string, err error) {
	q, err := Filter{Account: accountID, As: "subject", Cursor: f.Cursor, Offset: f.Offset, Count: f.Count}.query()
	if err != nil {
		return nil, "", err
	}
	page, err := s.page(ctx, q)
	return page.Events, page.Next, err
}

// names looks up who the accounts of events are.
func (s *Service) names(ctx context.Context, events []Event) (Names, error) {
	names := Names{}
	var ids []string
	for _, e := range events {
		for _, id := range e.Accounts {
			if _, known := names[id]; !known {
				names[id] = ""
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return names, nil
	}
	users, err := s.o.Users.UsersByIDs(ctx, ids)
	for _, u := range users {
		names[u.ID] = u.Username
	}
	return names, err
}

// The stream that tells administrators of new events.
const (
	StreamName  = "stream-audit"
	StreamEvent = "new"
	// framed is how many events one frame tells of at most.
	framed = 50
)

// publish tells those who listen, on every node, what was written.
func (s *Service) publish(ctx context.Context, events []Event) {
	if s.o.Feed == nil {
		return
	}
	names, err := s.names(ctx, events)
	if err != nil {
		s.o.Logger.Warn("audit_names_not_read", zap.Error(err)) // the events are told with ids alone
	}
	for len(events) > 0 {
		n := min(framed, len(events))
		args := make([]any, n)
		for i := range n {
			args[i] = events[i].Doc(names)
		}
		events = events[n:]
		raw, err := ejson.Append(nil, args)
		if err != nil {
			s.o.Logger.Error("audit_events_not_encoded", zap.Error(err))
			continue
		}
		feed.Stream.Publish(s.o.Feed, StreamName+"/"+StreamEvent, feed.StreamEvent{Args: raw})
	}
}
