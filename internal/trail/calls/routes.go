package calls

import (
	"context"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/ejson"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/trail"
)

// routes serves the trail over REST.
type routes struct{ calls }

// listLimit is the limit of lists, which a console pages through.
var listLimit = ratelimit.Rule{Count: 120, Window: time.Minute}

// auditEvent is one event of a list.
type auditEvent struct {
	ID              string    `json:"_id"`
	TS              time.Time `json:"ts"`
	Act             string    `json:"act"`
	Outcome         string    `json:"outcome"`
	Reason          string    `json:"reason,omitempty"`
	User            string    `json:"user,omitempty" about:"the id of the account that acted"`
	Username        string    `json:"username,omitempty" about:"its name now"`
	Subject         string    `json:"subject,omitempty" about:"the id of the account that it is about"`
	SubjectUsername string    `json:"subjectUsername,omitempty"`
	Target          string    `json:"target,omitempty"`
	Door            string    `json:"door,omitempty"`
	Factor          string    `json:"factor,omitempty"`
	Method          string    `json:"method,omitempty"`
	Address         string    `json:"address,omitempty"`
	Agent           string    `json:"agent,omitempty"`
	Conn            string    `json:"conn,omitempty"`
	Node            string    `json:"node,omitempty"`
	Count           int       `json:"count,omitempty"`
}

// ownEvent is one event as the account sees it that it is about.
type ownEvent struct {
	ID      string    `json:"_id"`
	TS      time.Time `json:"ts"`
	Act     string    `json:"act"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	Factor  string    `json:"factor,omitempty"`
	Method  string    `json:"method,omitempty"`
	ByOther bool      `json:"byOther,omitempty" about:"somebody else did it"`
	Target  string    `json:"target,omitempty"`
	Door    string    `json:"door,omitempty"`
	Address string    `json:"address,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Count   int       `json:"count,omitempty"`
}

// known is what a filter can ask for.
type known struct {
	Acts     []string `json:"acts"`
	Outcomes []string `json:"outcomes"`
}

// eventPage answers audit.list.
type eventPage struct {
	Events       []auditEvent `json:"events"`
	Count        int          `json:"count"`
	Offset       int          `json:"offset"`
	Total        int          `json:"total,omitempty" about:"on a first page, where an index knows it"`
	TotalAtLeast bool         `json:"totalAtLeast,omitempty"`
	Cursor       string       `json:"cursor,omitempty" about:"goes on; there may be older events even behind a short page"`
	Known        known        `json:"known,omitempty" about:"on a first page"`
}

// ownEventPage answers audit.mine.
type ownEventPage struct {
	Events []ownEvent `json:"events"`
	Count  int        `json:"count"`
	Offset int        `json:"offset"`
	Cursor string     `json:"cursor,omitempty"`
}

// filter are the parameters that say which events.
type filter struct {
	User    string `json:"user,omitempty" about:"id or user name of an account that acts or is acted on"`
	As      string `json:"as,omitempty" enum:"actor,subject"`
	Act     string `json:"act,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Address string `json:"address,omitempty" about:"a whole address, or how it begins, with *, . or : at the end"`
	From    string `json:"from,omitempty" about:"a date; events from then on"`
	To      string `json:"to,omitempty" about:"a date; events before it"`
	Text    string `json:"text,omitempty"`
}

// listQuery asks for a page.
type listQuery struct {
	filter
	rest.Page
	Cursor string `json:"cursor,omitempty"`
}

// ownQuery asks for a page of one's own.
type ownQuery struct {
	rest.Page
	Cursor string `json:"cursor,omitempty"`
}

// exportQuery asks for a file.
type exportQuery struct {
	filter
	Format string `json:"format,omitempty" enum:"jsonl,csv"`
}

// Routes lists them.
func (g *routes) Routes() []rest.Route {
	const tag = "audit"
	return []rest.Route{
		{Verb: "GET", Path: "audit.list", Tag: tag, Summary: "Events of the audit stream, newest first", Method: "audit:list",
			Query: schema.Of[listQuery](), Result: schema.Answer[eventPage](), Limit: listLimit, Do: g.listed},
		{Verb: "GET", Path: "audit.mine", Tag: tag, Summary: "What concerns the caller's own account, newest first", Method: "audit:mine",
			Query: schema.Of[ownQuery](), Result: schema.Answer[ownEventPage](), Limit: listLimit, Do: g.own},
		{Verb: "GET", Path: "audit.export", Tag: tag, Summary: "Events of the audit stream as a file, newest first, a line each",
			Method: "audit:list", Files: []string{types[trail.JSONLines], types[trail.CSV]},
			Query: schema.Of[exportQuery](),
			Limit: ratelimit.Rule{Count: 10, Window: time.Minute}, Do: g.export},
	}
}

// asked is the filter of a query, as the method takes it.
func (g *routes) asked(r *rest.Request) (f asked, err error) {
	f = asked{
		User: r.Query.Get("user"), As: r.Query.Get("as"), Act: r.Query.Get("act"), Outcome: r.Query.Get("outcome"), Address: r.Query.Get("address"),
		Text: r.Query.Get("text"), Cursor: r.Query.Get("cursor"),
	}
	for name, date := range map[string]**time.Time{"from": &f.From, "to": &f.To} {
		at, err := r.Date(name)
		if err != nil {
			return f, err
		}
		if !at.IsZero() {
			*date = &at
		}
	}
	return f, nil
}

func (g *routes) listed(ctx context.Context, r *rest.Request) (any, error) {
	f, err := g.asked(r)
	if err != nil {
		return nil, err
	}
	offset, count := r.Page()
	f.Offset, f.Count = offset, &count
	result, err := r.Run(ctx, f)
	if err != nil {
		return nil, err
	}
	return counted(result.(ejson.Doc), offset), nil
}

// counted adds to a page where it stands and how many events it has.
func counted(d ejson.Doc, offset int) ejson.Doc {
	events, _ := d.Get("events")
	list, _ := events.([]any)
	return append(d, ejson.Field{Key: "count", Value: len(list)}, ejson.Field{Key: "offset", Value: offset})
}

func (g *routes) own(ctx context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	result, err := r.Run(ctx, ejson.Doc{{Key: "count", Value: count}, {Key: "offset", Value: offset}, {Key: "cursor", Value: r.Query.Get("cursor")}})
	if err != nil {
		return nil, err
	}
	return counted(result.(ejson.Doc), offset), nil
}

// export answers a file. That somebody took one is an event of its own.
func (g *routes) export(ctx context.Context, r *rest.Request) (any, error) {
	a, err := g.asked(r)
	if err != nil {
		return nil, err
	}
	f := trail.Filter{As: a.As, Act: a.Act, Outcome: a.Outcome, Address: a.Address, Text: a.Text, From: value(a.From), To: value(a.To)}
	if f.Account, err = g.account(ctx, a.User); err != nil {
		return nil, err
	}
	format := r.Query.Get("format")
	if format == "" {
		format = trail.JSONLines
	}
	e, err := g.Trail.Export(ctx, f, format)
	if err != nil {
		return nil, err
	}
	g.Trail.Record(audit.Event{
		Act: trail.ExportAct, Outcome: "ok", User: r.User.ID, Target: format, Door: string(r.Peer.Door), Method: r.Method, Address: r.Peer.Address,
		Agent: r.Peer.UserAgent, Conn: r.Peer.Conn,
	})
	return rest.File{Type: types[format], Name: "audit." + format, Write: e.Write}, nil
}

// types are the media types of the formats.
var types = map[string]string{trail.JSONLines: "application/x-ndjson", trail.CSV: "text/csv"}
