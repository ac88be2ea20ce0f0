package calls

import (
	"context"
	"slices"
	"strings"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// search serves what somebody types to find people and channels, messages around one, and what
// members mark for themselves: what is unread, and whom they ignore.
type search struct{ rooms *rooms.Service }

func (g *search) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "spotlight", Do: g.spotlight, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Suggests people, and channels that the caller is not in, whose names begin with a text, ten of each at most. With @ before it, people alone, " +
				"with # channels; in a room of the caller's its members come first.",
			Params: "text, usernames?, {users?, rooms?}?, rid?", Result: "{users, rooms}", Errors: "400 Match failed",
		},
		{
			Name: "channelsList", Do: g.channels, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists channels whose name begins with a text and the caller's groups whose name contains it, by name: at most 100 of each.",
			Params: "filter, channelType: public or private, limit?, sort?", Result: "{channels}", Errors: "400 Match failed",
		},
		{
			Name: "browseChannels", Do: g.browse, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Pages through the channels, or the people, whose name begins with a text, by name: at most 100.",
			Params: "{text?, type?: channels or users, offset?, limit?, page?, …}", Result: "{total, results}; none for another type", Errors: "400 Match failed",
		},
		{
			Name: "loadSurroundingMessages", Do: g.around, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Reads a message with others before and after it, oldest first: at most 100, 50 when no number is given.",
			Params: "{_id}, limit?, showThreadMessages?", Result: "{messages, moreBefore, moreAfter}; false when there is no such message",
			Errors: "error-not-allowed",
		},
		{
			Name: "unreadMessages", Do: g.unread, Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc:    "Marks a room as unread from a message of somebody else's on, or from its last message.",
			Params: "{_id}?, rid?", Result: "none", Errors: "error-action-not-allowed, error-invalid-subscription, error-no-message-for-unread, 400 Match failed",
		},
		{
			Name: "ignoreUser", Do: g.ignore, Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc:    "Has the caller's clients hide what another member of a room writes there, or show it again; 500 in a room at most.",
			Params: "{rid, userid, ignore?}", Result: "true", Errors: "error-invalid-subscription, error-not-allowed",
		},
	}
}

// suggestions are people and channels as spotlight shows them.
func suggestions(people []rooms.Suggested, list []*rooms.Room) ejson.Doc {
	users := docs(people, func(p rooms.Suggested) ejson.Doc {
		d := rooms.MemberDoc(p.User)
		if p.Outside {
			d = append(d, ejson.Field{Key: "outside", Value: true})
		}
		return d
	})
	return ejson.Doc{{Key: "users", Value: users}, {Key: "rooms", Value: docs(list, func(r *rooms.Room) ejson.Doc {
		return ejson.Doc{{Key: "_id", Value: r.ID}, {Key: "name", Value: r.Name}, {Key: "fname", Value: r.FName}, {Key: "t", Value: r.Type}}
	})}}
}

func (g *search) spotlight(ctx context.Context, c *rpc.Call) (any, error) {
	var text string
	var except *[]string
	var kinds *struct {
		Users *bool     `ejson:"users"`
		Rooms *bool     `ejson:"rooms"`
		Rest  ejson.Doc `ejson:",rest"`
	}
	var rid *string
	if err := c.Bind(&text, &except, &kinds, &rid); err != nil {
		return nil, err
	}
	q := rooms.Search{Text: text, Users: true, Rooms: true, Except: value(except), RoomID: value(rid)}
	if kinds != nil {
		q.Users, q.Rooms = value(kinds.Users), value(kinds.Rooms)
	}
	people, list, err := g.rooms.Spotlight(ctx, c.User, q)
	return suggestions(people, list), err
}

// maxListed is the most that the methods list at once.
const maxListed = 100

func (g *search) channels(ctx context.Context, c *rpc.Call) (any, error) {
	var text, kind string
	var limit, order *any
	if err := c.Bind(&text, &kind, &limit, &order); err != nil {
		return nil, err
	}
	count := maxListed
	if limit != nil {
		if n, ok := (*limit).(float64); ok && n > 0 && n < maxListed {
			count = int(n)
		}
	}
	var list []*rooms.Room
	var err error
	if kind != "private" {
		if list, _, err = g.rooms.ChannelsNamed(ctx, text, 0, count); err != nil {
			return nil, err
		}
	}
	if kind != "public" {
		own, _, err := g.rooms.Own(ctx, c.User, text, 0, count)
		if err != nil {
			return nil, err
		}
		list = append(list, slices.DeleteFunc(own, func(r *rooms.Room) bool { return r.Type != rooms.Group })...)
	}
	return ejson.Doc{{Key: "channels", Value: docs(list, strangerDoc)}}, nil
}

func (g *search) browse(ctx context.Context, c *rpc.Call) (any, error) {
	var in struct {
		Text   *string   `ejson:"text"`
		Type   *string   `ejson:"type"`
		Offset *int      `ejson:"offset"`
		Limit  *int      `ejson:"limit"`
		Page   *int      `ejson:"page"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	count := value(in.Limit)
	if count <= 0 || count > maxListed {
		count = maxListed
	}
	offset := max(value(in.Offset), 0)
	if page := value(in.Page); in.Offset == nil && page > 0 && page < maxPage {
		offset = page * count
	}
	kind := "channels"
	if in.Type != nil {
		kind = *in.Type
	}
	list, total, err := directory(ctx, g.rooms, kind, value(in.Text), offset, count)
	if err != nil || list == nil {
		return nil, err
	}
	return ejson.Doc{{Key: "total", Value: total}, {Key: "results", Value: list}}, nil
}

// maxPage keeps what is multiplied small.
const maxPage = 1 << 20

// directory is a page of channels or people; nil for another kind.
func directory(ctx context.Context, s *rooms.Service, kind, text string, offset, count int) ([]any, int, error) {
	switch kind {
	case "channels":
		list, total, err := s.ChannelsNamed(ctx, text, offset, count)
		return anyDocs(list, strangerDoc), total, err
	case "users":
		list, total, err := s.People(ctx, text, offset, count)
		return anyDocs(list, rooms.MemberDoc), total, err
	}
	return nil, 0, nil
}

func (g *search) around(ctx context.Context, c *rpc.Call) (any, error) {
	var m struct {
		ID   string    `ejson:"_id"`
		Rest ejson.Doc `ejson:",rest"`
	}
	var limit *int
	var threads *bool
	if err := c.Bind(&m, &limit, &threads); err != nil {
		return nil, err
	}
	found, err := g.rooms.Around(ctx, c.User, m.ID, value(limit), threads != nil && !*threads)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return false, nil
	}
	return ejson.Doc{{Key: "messages", Value: docs(found.Messages, func(m *rooms.Message) ejson.Doc { return m.Doc(c.User.ID) })},
		{Key: "moreBefore", Value: found.MoreBefore}, {Key: "moreAfter", Value: found.MoreAfter}}, nil
}

func (g *search) unread(ctx context.Context, c *rpc.Call) (any, error) {
	var m *struct {
		ID   string    `ejson:"_id"`
		Rest ejson.Doc `ejson:",rest"`
	}
	var rid *string
	if err := c.Bind(&m, &rid); err != nil {
		return nil, err
	}
	switch {
	case rid != nil && *rid != "":
		return nil, g.rooms.Unread(ctx, c.User, *rid)
	case m != nil:
		return nil, g.rooms.UnreadFrom(ctx, c.User, m.ID)
	}
	return nil, fault.MatchFailed
}

func (g *search) ignore(ctx context.Context, c *rpc.Call) (any, error) {
	var in struct {
		RoomID string    `ejson:"rid"`
		UserID string    `ejson:"userid"`
		On     *bool     `ejson:"ignore"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return done(g.rooms.Ignore(ctx, c.User, in.RoomID, in.UserID, in.On == nil || *in.On))
}

// searchRoutes serves them over REST.
type searchRoutes struct{ *service }

type (
	spotlightQuery struct {
		Query string `json:"query" minLength:"1" about:"what is typed"`
	}
	suggestedUser struct {
		member
		Outside bool `json:"outside,omitempty"`
	}
	suggestedRoom struct {
		ID    string     `json:"_id"`
		Name  string     `json:"name"`
		FName string     `json:"fname"`
		Type  typeOfRoom `json:"t"`
	}
	suggestionsAnswer struct {
		Users []suggestedUser `json:"users"`
		Rooms []suggestedRoom `json:"rooms"`
	}
	directoryQuery struct {
		rest.Page
		Text      string `json:"text,omitempty" about:"what the name begins with"`
		Type      string `json:"type,omitempty" enum:"channels,users,teams" about:"channels if it is missing; there are no teams"`
		Workspace string `json:"workspace,omitempty" about:"Rocket.Chat's clients send it; there is this one"`
		Query     string `json:"query,omitempty" about:"an object as JSON with text and type, as older clients send them"`
	}
	pageOfDirectory struct {
		Result []map[string]any `json:"result"`
		rest.Extent
	}
	ignoreQuery struct {
		RID    string       `json:"rid" minLength:"1"`
		UserID string       `json:"userId" minLength:"1"`
		Ignore switchOrText `json:"ignore,omitempty"`
	}
	unreadBody struct {
		RoomID string      `json:"roomId,omitempty"`
		First  firstUnread `json:"firstUnreadMessage,omitempty"`
	}
	firstUnread struct {
		ID string `json:"_id"`
	}
)

// Routes lists them.
func (g *searchRoutes) Routes() []rest.Route {
	return []rest.Route{
		{Verb: "GET", Path: "spotlight", Tag: "rooms", Summary: "People and channels whose names begin with a text", Limit: chatLimit, Method: "spotlight",
			Params: func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Query.Get("query")}, nil },
			Shape:  func(result any) (ejson.Doc, error) { d, _ := result.(ejson.Doc); return d, nil },
			Query:  schema.Of[spotlightQuery](), Result: schema.Answer[suggestionsAnswer]()},
		{Verb: "GET", Path: "directory", Tag: "rooms", Summary: "Channels, or people, whose name begins with a text, by name", Limit: chatLimit,
			Method: "browseChannels", Do: g.directory, Query: schema.Of[directoryQuery](), Result: schema.Answer[pageOfDirectory](),
			Errors: []string{"error-invalid-params"}},
		{Verb: "POST", Path: "subscriptions.unread", Tag: "rooms", Summary: "Mark a room as unread", Limit: chatLimit, Method: "unreadMessages",
			Params: unreadParams, Body: schema.Of[unreadBody](), Errors: []string{"error-roomid-param-not-provided"}},
		{Verb: "GET", Path: "chat.ignoreUser", Tag: "chat", Summary: "Hide what somebody writes in a room, or show it again", Limit: chatLimit, Method: "ignoreUser",
			Params: ignoreParams, Query: schema.Of[ignoreQuery]()},
	}
}

func (g *searchRoutes) directory(ctx context.Context, r *rest.Request) (any, error) {
	var in struct {
		Text string `json:"text"`
		Type string `json:"type"`
	}
	if err := selected(r.Query.Get("query"), "query", &in); err != nil {
		return nil, err
	}
	if text := r.Query.Get("text"); text != "" {
		in.Text = text
	}
	if kind := r.Query.Get("type"); kind != "" {
		in.Type = kind
	}
	if in.Type == "" {
		in.Type = "channels"
	}
	offset, count := r.Page()
	list, total, err := directory(ctx, g.rooms, in.Type, strings.TrimSpace(in.Text), offset, count)
	if list == nil {
		list = []any{}
	}
	return pageOf("result", list, offset, total), err
}

// unreadParams are those of unreadMessages.
func unreadParams(_ context.Context, r *rest.Request) ([]any, error) {
	if id := r.Text("roomId"); id != "" {
		return []any{nil, id}, nil
	}
	m, _ := r.Value("firstUnreadMessage").(map[string]any)
	id, _ := m["_id"].(string)
	if id == "" {
		return nil, errRoomParam
	}
	return []any{field("_id", id)}, nil
}

// ignoreParams are those of ignoreUser.
func ignoreParams(_ context.Context, r *rest.Request) ([]any, error) {
	on := r.Query.Get("ignore")
	return []any{ejson.Doc{{Key: "rid", Value: r.Query.Get("rid")}, {Key: "userid", Value: r.Query.Get("userId")},
		{Key: "ignore", Value: on == "" || on == "true" || on == "1"}}}, nil
}
