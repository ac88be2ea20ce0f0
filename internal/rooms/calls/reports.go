package calls

import (
	"context"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// reports serves what people tell the moderators of.
type reports struct {
	rooms   *rooms.Service
	limiter *ratelimit.Limiter
}

func (g *reports) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "reportMessage", Do: g.message, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Tells the moderators of a message that the caller may read; 20 reports in an hour at most.",
			Params: "messageId, description", Result: "true", Errors: "error-invalid-message_id, error-invalid-description, too-many-requests, 400 Match failed",
		},
		{
			Name: "reportUser", Action: "reportMessage", Do: g.user, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Tells the moderators of a user; counted with reportMessage.",
			Params: "userId, description", Result: "true", Errors: "error-invalid-user, error-invalid-description, too-many-requests, 400 Match failed",
		},
	}
}

// A user reports so often. It is counted before anything is looked up, whatever the switches of
// the limits say: every report is kept.
const (
	reportCount  = 20
	reportWindow = time.Hour
)

func (g *reports) report(c *rpc.Call, do func(id, text string) error) (any, error) {
	var id, text string
	if err := c.Bind(&id, &text); err != nil {
		return nil, err
	}
	if wait, ok := g.limiter.Take("report/"+c.User.ID, reportCount, reportWindow); !ok {
		return nil, ratelimit.TooMany(wait)
	}
	return done(do(id, text))
}

func (g *reports) message(ctx context.Context, c *rpc.Call) (any, error) {
	return g.report(c, func(id, text string) error { return g.rooms.ReportMessage(ctx, c.User, id, text) })
}

func (g *reports) user(ctx context.Context, c *rpc.Call) (any, error) {
	return g.report(c, func(id, text string) error { return g.rooms.ReportUser(ctx, c.User, id, text) })
}

// reportRoutes serves them over REST, and the moderators.
type reportRoutes struct{ *service }

type (
	messageReport struct {
		knownMessage
		Description string `json:"description" minLength:"1"`
	}
	userReport struct {
		UserID      string `json:"userId" minLength:"1"`
		Description string `json:"description" minLength:"1"`
	}
	reportedQuery struct {
		rest.Page
		Latest string `json:"latest,omitempty"`
		Oldest string `json:"oldest,omitempty"`
	}
	reportsOfMessage struct {
		rest.Page
		MessageID string `json:"msgId" minLength:"1"`
	}
	reportsOfUser struct {
		rest.Page
		UserID string `json:"userId" minLength:"1"`
	}
	reportQuery struct {
		ReportID string `json:"reportId" minLength:"1"`
	}
	dismissal struct {
		UserID    string `json:"userId,omitempty"`
		MessageID string `json:"msgId,omitempty"`
		Action    string `json:"action,omitempty"`
		Reason    string `json:"reason,omitempty"`
	}
	shownReport struct {
		ID           string         `json:"_id"`
		Description  string         `json:"description"`
		TS           time.Time      `json:"ts"`
		ReportedBy   userRef        `json:"reportedBy"`
		Message      map[string]any `json:"message,omitempty"`
		Room         map[string]any `json:"room,omitempty"`
		ReportedUser userRef        `json:"reportedUser,omitempty"`
		Hidden       bool           `json:"_hidden,omitempty"`
		Moderation   map[string]any `json:"moderationInfo,omitempty"`
		UpdatedAt    time.Time      `json:"_updatedAt"`
	}
	reportAnswer struct {
		Report shownReport `json:"report"`
	}
	pageOfReports struct {
		Reports []shownReport `json:"reports"`
		rest.Extent
	}
	pageOfReported struct {
		Reports []map[string]any `json:"reports"`
		rest.Extent
	}
	pageOfUserReports struct {
		User    userOrNone    `json:"user"`
		Reports []shownReport `json:"reports"`
		rest.Extent
	}
	pageOfReportedMessages struct {
		User     userOrNone    `json:"user"`
		Messages []shownReport `json:"messages"`
		rest.Extent
	}
)

// userOrNone is a user, or null.
type userOrNone struct{}

// JSONSchema says so.
func (userOrNone) JSONSchema() schema.Schema {
	return schema.Either(schema.Of[userRef](), schema.Schema{"type": "null"})
}

// Routes lists them.
func (g *reportRoutes) Routes() []rest.Route {
	const tag, may = "moderation", permission.ViewModeration
	return []rest.Route{
		{Verb: "POST", Path: "chat.reportMessage", Tag: "chat", Summary: "Tell the moderators of a message", Limit: chatLimit, Method: "reportMessage",
			Body: schema.Of[messageReport](), Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{r.Text("messageId"), r.Text("description")}, nil
			}},
		{Verb: "POST", Path: "moderation.reportUser", Tag: tag, Summary: "Tell the moderators of a user", Method: "reportUser",
			Body: schema.Of[userReport](), Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{r.Text("userId"), r.Text("description")}, nil
			}},
		{Verb: "GET", Path: "moderation.reportsByUsers", Effects: methods.Reads, Tag: tag, Permission: may, Do: g.byUsers(true), Query: schema.Of[reportedQuery](),
			Summary: "Who wrote messages that were reported: of the newest thousand reports", Result: schema.Answer[pageOfReported]()},
		{Verb: "GET", Path: "moderation.userReports", Effects: methods.Reads, Tag: tag, Permission: may, Do: g.byUsers(false), Query: schema.Of[reportedQuery](),
			Summary: "Who was reported: of the newest thousand reports", Result: schema.Answer[pageOfReported]()},
		{Verb: "GET", Path: "moderation.reports", Effects: methods.Reads, Tag: tag, Summary: "The reports of a message", Permission: may,
			Query: schema.Of[reportsOfMessage](), Result: schema.Answer[pageOfReports](), Do: g.ofMessage},
		{Verb: "GET", Path: "moderation.reportInfo", Effects: methods.Reads, Tag: tag, Summary: "One report", Permission: may, Query: schema.Of[reportQuery](),
			Result: schema.Answer[reportAnswer](), Do: g.one, Errors: []string{"error-report-not-found"}},
		{Verb: "GET", Path: "moderation.user.reportedMessages", Effects: methods.Reads, Tag: tag, Summary: "Reports of what a user wrote", Permission: may,
			Query: schema.Of[reportsOfUser](), Result: schema.Answer[pageOfReportedMessages](), Do: g.ofUser("messages", true)},
		{Verb: "GET", Path: "moderation.user.reportsByUserId", Effects: methods.Reads, Tag: tag, Summary: "Reports of a user", Permission: may,
			Query: schema.Of[reportsOfUser](), Result: schema.Answer[pageOfUserReports](), Do: g.ofUser("reports", false)},
		{Verb: "POST", Path: "moderation.dismissReports", Effects: methods.Others, Factor: twofactor.Ordinary, Tag: tag, Permission: may, Do: g.dismiss(true),
			Summary: "Deal with the reports of a message, or of what a user wrote", Body: schema.Of[dismissal](),
			Errors: []string{"error-invalid-params", "error-invalid-description"}},
		{Verb: "POST", Path: "moderation.dismissUserReports", Action: "moderation.dismissReports", Effects: methods.Others, Factor: twofactor.Ordinary,
			Tag: tag, Permission: may, Do: g.dismiss(false),
			Summary: "Deal with the reports of a user", Body: schema.Of[dismissal](), Errors: []string{"error-invalid-params", "error-invalid-description"}},
	}
}

func (g *reportRoutes) byUsers(messages bool) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		q := rooms.ReportQuery{Messages: messages}
		var err error
		if q.Until, err = r.Date("latest"); err != nil {
			return nil, err
		}
		if q.Since, err = r.Date("oldest"); err != nil {
			return nil, err
		}
		q.Offset, q.Count = r.Page()
		list, total, err := g.rooms.ReportsByUser(ctx, r.User, q)
		doc := userReportDoc
		if messages {
			doc = auditDoc
		}
		return pageOf("reports", anyDocs(list, doc), q.Offset, total), err
	}
}

// auditDoc is somebody whose messages were reported, as Rocket.Chat shows him.
func auditDoc(u *rooms.ReportedUser) ejson.Doc {
	ids, where := make([]string, len(u.Rooms)), make([]any, len(u.Rooms))
	for i, r := range u.Rooms {
		ids[i], where[i] = r.ID, r.Doc()
	}
	return ejson.Doc{{Key: "_id", Value: u.User.ID}, {Key: "userId", Value: u.User.ID}, {Key: "username", Value: u.User.Username},
		{Key: "name", Value: u.User.Name},
		{Key: "message", Value: u.Last.Message.Text}, {Key: "msgId", Value: u.Last.Message.ID}, {Key: "ts", Value: u.Last.TS}, {Key: "roomIds", Value: ids},
		{Key: "rooms", Value: where}, {Key: "count", Value: u.Count}, {Key: "isUserDeleted", Value: u.Gone}}
}

func userReportDoc(u *rooms.ReportedUser) ejson.Doc {
	return ejson.Doc{{Key: "_id", Value: u.User.ID}, {Key: "reportedUser", Value: u.User.Doc()}, {Key: "ts", Value: u.Last.TS}, {Key: "count", Value: u.Count}}
}

func reportDoc(r *rooms.Report) ejson.Doc { return r.Doc() }

func (g *reportRoutes) ofMessage(ctx context.Context, r *rest.Request) (any, error) {
	q := rooms.ReportQuery{Messages: true, MessageID: r.Query.Get("msgId")}
	q.Offset, q.Count = r.Page()
	list, total, err := g.rooms.Reports(ctx, r.User, q)
	return pageOf("reports", anyDocs(list, reportDoc), q.Offset, total), err
}

func (g *reportRoutes) one(ctx context.Context, r *rest.Request) (any, error) {
	found, err := g.rooms.Report(ctx, r.User, r.Query.Get("reportId"))
	if err != nil {
		return nil, err
	}
	return field("report", found.Doc()), nil
}

func (g *reportRoutes) ofUser(name string, messages bool) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		q := rooms.ReportQuery{Messages: messages, UserID: r.Query.Get("userId")}
		q.Offset, q.Count = r.Page()
		list, total, err := g.rooms.Reports(ctx, r.User, q)
		if err != nil {
			return nil, err
		}
		var who any
		if len(list) > 0 {
			about := list[0].About()
			who = about.Doc()
		}
		return append(ejson.Doc{{Key: "user", Value: who}}, pageOf(name, anyDocs(list, reportDoc), q.Offset, total)...), nil
	}
}

func (g *reportRoutes) dismiss(messages bool) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		q := rooms.ReportQuery{Messages: messages, UserID: r.Text("userId"), MessageID: r.Text("msgId")}
		if !messages && q.MessageID != "" {
			return nil, fault.New("error-invalid-params", "'msgId' belongs to moderation.dismissReports")
		}
		return nil, g.rooms.Dismiss(ctx, r.User, q, r.Text("action"), r.Text("reason"))
	}
}
