package calls

import (
	"context"
	"encoding/json"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// threads serves threads: messages and their answers.
type threads struct{ rooms *rooms.Service }

func (g *threads) Specs() []methods.Spec {
	const refusals = "error-invalid-message, error-not-allowed"
	return []methods.Spec{
		{
			Name: "followMessage", Do: g.follow(true), Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc: "Has the caller told of the answers to a message.", Params: "{mid}", Result: "none", Errors: refusals,
		},
		{
			Name: "unfollowMessage", Also: []string{"readThreads"}, Do: g.follow(false), Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc: "Takes that back.", Params: "{mid}", Result: "none", Errors: refusals,
		},
		{
			Name: "readThreads", Do: g.read, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc: "Marks the answers to a message as seen.", Params: "tmid", Result: "none", Errors: refusals,
		},
		{
			Name: "getThreadMessages", Also: []string{"readThreads"}, Do: g.messages, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Reads a message and the answers to it, newest first: at most 100, 20 when no number is given; marks them as seen.",
			Params: "{tmid, limit?, skip?}", Result: "[message, answer…]; [] for a message without answers", Errors: refusals,
		},
		{
			Name: "getThreadsList", Do: g.list, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists the messages of a room that were answered, the one answered last first: at most 100, 50 when no number is given.",
			Params: "{rid, limit?, skip?}", Result: "[message]", Errors: "error-not-allowed",
		},
	}
}

func (g *threads) follow(on bool) methods.Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var m struct {
			ID   string    `ejson:"mid"`
			Rest ejson.Doc `ejson:",rest"`
		}
		if err := c.Bind(&m); err != nil {
			return nil, err
		}
		return nil, g.rooms.Follow(ctx, c.User, m.ID, on)
	}
}

func (g *threads) read(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	return nil, g.rooms.ReadThread(ctx, c.User, id)
}

// maxThreads is the most that Rocket.Chat's methods on threads give at once.
const maxThreads = 100

var errThreadLimit = fault.New("error-not-allowed", "max limit: 100")

// window is how many of a list a caller asks for.
type window struct {
	ID    string    `ejson:"tmid,optional"`
	Room  string    `ejson:"rid,optional"`
	Limit *int      `ejson:"limit"`
	Skip  *int      `ejson:"skip"`
	Rest  ejson.Doc `ejson:",rest"`
}

func (w *window) bind(c *rpc.Call, count int) error {
	err := c.Bind(w)
	if value(w.Limit) > maxThreads {
		return errThreadLimit
	}
	if w.Limit == nil || *w.Limit <= 0 {
		w.Limit = &count
	}
	return err
}

func (g *threads) messages(ctx context.Context, c *rpc.Call) (any, error) {
	var w window
	if err := w.bind(c, rooms.DefaultHistory); err != nil {
		return nil, err
	}
	m, page, total, err := g.rooms.Thread(ctx, c.User, w.ID, rooms.ThreadPage{Offset: value(w.Skip), Count: *w.Limit})
	if err != nil || total == 0 {
		return []any{}, err
	}
	if err := g.rooms.ReadThread(ctx, c.User, w.ID); err != nil {
		return nil, err
	}
	return docs(append([]*rooms.Message{m}, page...), func(m *rooms.Message) ejson.Doc { return m.Doc(c.User.ID) }), nil
}

func (g *threads) list(ctx context.Context, c *rpc.Call) (any, error) {
	var w window
	if err := w.bind(c, 50); err != nil {
		return nil, err
	}
	list, _, err := g.rooms.Threads(ctx, c.User, rooms.ThreadQuery{RoomID: w.Room, Offset: value(w.Skip), Count: *w.Limit})
	if err != nil {
		return nil, err
	}
	return docs(list, func(m *rooms.Message) ejson.Doc { return m.Doc(c.User.ID) }), nil
}

// threadRoutes serves them over REST.
type threadRoutes struct{ *service }

// The queries and answers of the routes of threads.
type (
	followBody struct {
		MessageID string `json:"mid" minLength:"1"`
	}
	threadsQuery struct {
		rest.Page
		RoomID string `json:"rid" minLength:"1"`
		Type   string `json:"type,omitempty" enum:"following,unread,all" about:"those that the caller follows, or has not seen; all if it is missing"`
		Text   string `json:"text,omitempty" about:"those whose first message contains the text as it is written"`
	}
	threadQuery struct {
		rest.Page
		ThreadID string `json:"tmid" minLength:"1"`
	}
	threadsSince struct {
		RoomID       string `json:"rid" minLength:"1"`
		UpdatedSince string `json:"updatedSince" minLength:"1"`
	}
	threadSince struct {
		ThreadID     string `json:"tmid" minLength:"1"`
		UpdatedSince string `json:"updatedSince" minLength:"1"`
	}
	pageOfThreads struct {
		Threads []message `json:"threads"`
		rest.Extent
	}
	threadsUpdate struct {
		Threads messageUpdate `json:"threads"`
	}
	threadUpdate struct {
		Messages messageUpdate `json:"messages"`
	}
	messageUpdate struct {
		Update []message `json:"update"`
		Remove []gone    `json:"remove"`
	}
)

// Routes lists them.
func (g *threadRoutes) Routes() []rest.Route {
	const tag = "chat"
	refusals := []string{"error-invalid-message", "error-not-allowed"}
	return []rest.Route{
		{Verb: "POST", Path: "chat.followMessage", Tag: tag, Summary: "Be told of the answers to a message", Limit: chatLimit, Method: "followMessage",
			Params: followed, Body: schema.Of[followBody]()},
		{Verb: "POST", Path: "chat.unfollowMessage", Tag: tag, Summary: "Take that back", Limit: chatLimit, Method: "unfollowMessage",
			Params: followed, Body: schema.Of[followBody]()},
		{Verb: "GET", Path: "chat.getThreadsList", Tag: tag, Summary: "Messages of a room that were answered, the one answered last first", Limit: chatLimit,
			Method: "getThreadsList", Do: g.list, Query: schema.Of[threadsQuery](), Result: schema.Answer[pageOfThreads]()},
		{Verb: "GET", Path: "chat.getThreadMessages", Effects: methods.Reads, Tag: tag, Summary: "The answers to a message, oldest first", Limit: chatLimit,
			Do: g.messages, Query: schema.Of[threadQuery](), Result: schema.Answer[pageOfMessages](), Errors: refusals},
		{Verb: "GET", Path: "chat.syncThreadsList", Effects: methods.Reads, Tag: tag,
			Summary: "Answered messages of a room that changed since a moment, and what was deleted in the room", Limit: chatLimit,
			Do: g.listSince, Query: schema.Of[threadsSince](), Result: schema.Answer[threadsUpdate](), Errors: []string{"error-not-allowed"}},
		{Verb: "GET", Path: "chat.syncThreadMessages", Effects: methods.Reads, Tag: tag,
			Summary: "Answers to a message that changed since a moment, and what was deleted in the room", Limit: chatLimit,
			Do: g.messagesSince, Query: schema.Of[threadSince](), Result: schema.Answer[threadUpdate](), Errors: refusals},
	}
}

func followed(_ context.Context, r *rest.Request) ([]any, error) {
	return []any{field("mid", r.Text("mid"))}, nil
}

func (g *threadRoutes) list(ctx context.Context, r *rest.Request) (any, error) {
	q := rooms.ThreadQuery{RoomID: r.Query.Get("rid"), Kind: r.Query.Get("type"), Text: r.Query.Get("text")}
	if q.Kind == "all" {
		q.Kind = rooms.AllThreads
	}
	q.Offset, q.Count = r.Page()
	list, total, err := g.rooms.Threads(ctx, r.User, q)
	return pageOf("threads", messageDocs(r, list), q.Offset, total), err
}

func (g *threadRoutes) messages(ctx context.Context, r *rest.Request) (any, error) {
	p := rooms.ThreadPage{OldestFirst: true}
	p.Offset, p.Count = r.Page()
	_, list, total, err := g.rooms.Thread(ctx, r.User, r.Query.Get("tmid"), p)
	return pageOf("messages", messageDocs(r, list), p.Offset, total), err
}

func (g *threadRoutes) listSince(ctx context.Context, r *rest.Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	list, gone, err := g.rooms.ThreadsSince(ctx, r.User, r.Query.Get("rid"), since)
	return field("threads", updates(messageDocs(r, list), gone)), err
}

func (g *threadRoutes) messagesSince(ctx context.Context, r *rest.Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	list, gone, err := g.rooms.ThreadSince(ctx, r.User, r.Query.Get("tmid"), since)
	return field("messages", updates(messageDocs(r, list), gone)), err
}

// threadIn reads of a query in MongoDB's words, which EmbeddedChat sends, what it says of
// threads. The rest was never read, and is left to the client.
func threadIn(text string, q *rooms.HistoryQuery) error {
	if text == "" {
		return nil
	}
	var in struct {
		ThreadID json.RawMessage `json:"tmid"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return fault.New("error-invalid-params", "'query' must be JSON")
	}
	var exists struct {
		Exists *bool `json:"$exists"`
	}
	switch {
	case len(in.ThreadID) == 0:
	case json.Unmarshal(in.ThreadID, &q.Thread) == nil && q.Thread != "":
	case json.Unmarshal(in.ThreadID, &exists) == nil && exists.Exists != nil && !*exists.Exists:
		q.Main = true
	default:
		return fault.New("error-invalid-params", `'tmid' in 'query' must be the id of a message, or {"$exists": false}`)
	}
	return nil
}
