package calls

import (
	"context"
	"encoding/json"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// lists serves the methods that find rooms by what they are called.
type lists struct{ rooms *rooms.Service }

func (g *lists) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "roomNameExists", Do: g.taken, Effects: methods.Reads,
		Doc:    "Tells whether a channel or group has that name, as whoever made one of that name would be told.",
		Params: "name", Result: "true or false", Errors: "400 Match failed",
	}}
}

func (g *lists) taken(ctx context.Context, c *rpc.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	return g.rooms.NameTaken(ctx, name)
}

// listRoutes serves lists of rooms, and what is asked of any kind of room.
type listRoutes struct{ *roomRoutes }

type (
	roomNameQuery struct {
		RoomName string `json:"roomName" minLength:"1"`
	}
	nameExists struct {
		Exists bool `json:"exists"`
	}
	memberQuery struct {
		knownRoom
		UserID   string `json:"userId,omitempty"`
		Username string `json:"username,omitempty"`
	}
	isMemberAnswer struct {
		IsMember bool `json:"isMember"`
	}
	onlineQuery struct {
		ID    string `json:"_id,omitempty"`
		Query string `json:"query,omitempty" about:"of it, {\"_id\": rid} names the room; the rest is not read"`
	}
	onlineAnswer struct {
		Online []userRef `json:"online"`
	}
	pageOfMentions struct {
		Mentions []message `json:"mentions"`
		rest.Extent
	}
	adminRoomsQuery struct {
		rest.Page
		Filter string        `json:"filter,omitempty" about:"what the name begins with"`
		Types  []shownOfKind `json:"types,omitempty"`
	}
	pageOfRooms struct {
		Rooms []room `json:"rooms"`
		rest.Extent
	}
	administeredRoom struct{ room }
	adminRoomQuery   struct {
		RID string `json:"rid" minLength:"1"`
	}
	selectorQuery struct {
		Selector string `json:"selector,omitempty" about:"an object as JSON, of which name is what the name contains; the rest is not read"`
	}
	selectorPage struct {
		rest.Page
		selectorQuery
	}
	roomItems struct {
		Items []room `json:"items"`
	}
	pageOfItems struct {
		Items []room `json:"items"`
		rest.Extent
	}
)

// shownOfKind is a kind of rooms as administrators choose it.
type shownOfKind struct{}

// JSONSchema lists them. Those that this server has none of select nothing.
func (shownOfKind) JSONSchema() schema.Schema {
	return schema.OneOf(rooms.Channel, rooms.Group, rooms.Direct, "l", "discussions", "teams")
}

// Routes lists them.
func (g *listRoutes) Routes() []rest.Route {
	const tag = "rooms"
	missing := []string{"error-room-not-found"}
	routes := []rest.Route{
		{Verb: "GET", Path: "rooms.nameExists", Tag: tag, Summary: "Whether a channel or group has a name", Query: schema.Of[roomNameQuery](),
			Result: schema.Answer[nameExists](), Limit: chatLimit, Method: "roomNameExists", Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{r.Query.Get("roomName")}, nil
			}, Shape: func(result any) (ejson.Doc, error) { return field("exists", result), nil }},
		{Verb: "GET", Path: "rooms.isMember", Effects: methods.Reads, Tag: tag, Summary: "Whether somebody is in a room of the caller's",
			Query: schema.Of[memberQuery](), Result: schema.Answer[isMemberAnswer](), Limit: chatLimit, Do: g.isMember,
			Errors: append([]string{"not-authorized", "error-invalid-user", "error-user-param-not-provided"}, missing...)},
		{Verb: "POST", Path: "rooms.open", Tag: tag, Summary: "Show a room in the caller's list", Body: schema.Of[knownRoom](), Method: "openRoom",
			Params: g.roomID(""), Errors: missing},
		{Verb: "POST", Path: "rooms.hide", Tag: tag, Summary: "Hide a room from the caller's list", Body: schema.Of[knownRoom](), Method: "hideRoom",
			Params: g.roomID(""), Errors: missing},
		{Verb: "POST", Path: "rooms.join", Tag: tag, Summary: "Become a member", Body: schema.Of[joining](), Result: schema.Answer[roomAnswer](),
			Method: "joinRoom", Do: g.joinAny, Errors: notFound},
		{Verb: "GET", Path: "channels.getAllUserMentionsByChannel", Tag: "channels", Summary: "Messages of a channel in which the caller is mentioned by name",
			Limit: chatLimit, Method: "getUserMentionsByChannel", Do: g.mentions, Query: schema.Of[knownRoomPage](), Result: schema.Answer[pageOfMentions]()},
		{Verb: "GET", Path: "groups.listAll", Effects: methods.Reads, Tag: "groups", Summary: "All groups, by name", Permission: permission.ViewRoomAdministration,
			Query: schema.Of[rest.Page](), Result: schema.Answer[pageOfGroups](), Do: g.all("groups", rooms.Group)},
		{Verb: "GET", Path: "rooms.adminRooms", Effects: methods.Reads, Tag: tag, Summary: "All rooms, by name", Permission: permission.ViewRoomAdministration,
			Query: schema.Of[adminRoomsQuery](), Result: schema.Answer[pageOfRooms](), Do: g.administered},
		{Verb: "GET", Path: "rooms.adminRooms.getRoom", Effects: methods.Reads, Tag: tag, Summary: "One room, whoever is in it",
			Permission: permission.ViewRoomAdministration, Query: schema.Of[adminRoomQuery](), Result: schema.Answer[administeredRoom](), Do: g.one, Errors: missing},
		{Verb: "GET", Path: "rooms.autocomplete.adminRooms", Effects: methods.Reads, Tag: tag, Summary: "The first rooms whose name begins with a text",
			Permission: permission.ViewRoomAdministration, Limit: chatLimit, Query: schema.Of[selectorQuery](), Result: schema.Answer[roomItems](), Do: g.completeAny,
			Errors: []string{"error-invalid-params"}},
		{Verb: "GET", Path: "rooms.autocomplete.channelAndPrivate", Effects: methods.Reads, Tag: tag,
			Summary: "The first of the caller's channels and groups whose name contains a text", Limit: chatLimit, Query: schema.Of[selectorQuery](),
			Result: schema.Answer[roomItems](), Do: g.complete, Errors: []string{"error-invalid-params"}},
		{Verb: "GET", Path: "rooms.autocomplete.channelAndPrivate.withPagination", Effects: methods.Reads, Tag: tag,
			Summary: "The caller's channels and groups whose name contains a text", Limit: chatLimit, Query: schema.Of[selectorPage](),
			Result: schema.Answer[pageOfItems](), Do: g.completePage, Errors: []string{"error-invalid-params"}},
	}
	for _, k := range kindsOfRooms {
		if k.roomType == rooms.Direct {
			routes = append(routes, rest.Route{Verb: "GET", Path: k.prefix + ".list.everyone", Effects: methods.Reads, Tag: k.prefix,
				Summary: "All direct rooms", Permission: permission.ViewRoomAdministration, Query: schema.Of[rest.Page](), Result: k.page(),
				Do: g.all(k.many, rooms.Direct)})
			continue
		}
		routes = append(routes, rest.Route{Verb: "GET", Path: k.prefix + ".online", Effects: methods.Reads, Tag: k.prefix,
			Summary: "The members of a room of the caller's who are not offline, a thousand at most", Query: schema.Of[onlineQuery](),
			Result: schema.Answer[onlineAnswer](), Limit: chatLimit, Do: g.online(k.roomType),
			Errors: []string{"error-room-not-found", "error-roomid-param-not-provided", "not-authorized", "error-invalid-params"}})
	}
	return routes
}

func (g *listRoutes) isMember(ctx context.Context, r *rest.Request) (any, error) {
	if r.Query.Get("userId")+r.Query.Get("username") == "" {
		return nil, errUserParam
	}
	u, err := r.Account(ctx)
	if err != nil {
		return nil, err
	}
	in, err := g.rooms.HasMember(ctx, r.User, r.Query.Get("roomId"), u.ID)
	return field("isMember", in), err
}

func (g *listRoutes) joinAny(ctx context.Context, r *rest.Request) (any, error) {
	room, _, err := g.room(ctx, r, "")
	if err != nil {
		return nil, err
	}
	_, err = r.Run(ctx, room.ID, r.Text("joinCode"))
	return g.again(ctx, r, kindOfRoom{one: "room"}, room, err)
}

func (g *listRoutes) mentions(ctx context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	list, total, err := g.rooms.Mentioned(ctx, r.User, r.Query.Get("roomId"), offset, count)
	return pageOf("mentions", messageDocs(r, list), offset, total), err
}

func (g *listRoutes) online(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		id := r.Query.Get("_id")
		if id == "" {
			var in struct {
				ID string `json:"_id"`
			}
			if err := selected(r.Query.Get("query"), "query", &in); err != nil {
				return nil, err
			}
			id = in.ID
		}
		if id == "" {
			return nil, errRoomParam
		}
		room, _, err := g.rooms.Room(ctx, r.User, id)
		if err == nil && room.Type != t {
			err = rooms.ErrRoomNotFound
		}
		if err != nil {
			return nil, err
		}
		list, err := g.rooms.Online(ctx, r.User, id)
		if err != nil {
			return nil, err
		}
		out := make([]any, len(list))
		for i, u := range list {
			out[i] = ejson.Doc{{Key: "_id", Value: u.ID}, {Key: "username", Value: u.Username}}
		}
		return field("online", out), nil
	}
}

// selected reads an object that a parameter holds as JSON; an empty one is none.
func selected(text, name string, into any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fault.New("error-invalid-params", "'"+name+"' must be an object as JSON")
	}
	return nil
}

// strangerDoc is a room as those see it who are not in it.
func strangerDoc(r *rooms.Room) ejson.Doc { return r.Doc(false) }

func (g *listRoutes) all(name, t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		return g.roomPage(ctx, r, name, rooms.RoomQuery{Types: []string{t}})
	}
}

func (g *listRoutes) roomPage(ctx context.Context, r *rest.Request, name string, q rooms.RoomQuery) (any, error) {
	q.Offset, q.Count = r.Page()
	list, total, err := g.rooms.All(ctx, r.User, q)
	return pageOf(name, anyDocs(list, strangerDoc), q.Offset, total), err
}

// anyType are the types of rooms that there are.
var anyType = []string{rooms.Channel, rooms.Group, rooms.Direct}

func (g *listRoutes) administered(ctx context.Context, r *rest.Request) (any, error) {
	q := rooms.RoomQuery{Types: r.Query.List("types"), Begins: r.Query.Get("filter")}
	if len(q.Types) == 0 {
		q.Types = anyType
	}
	return g.roomPage(ctx, r, "rooms", q)
}

func (g *listRoutes) one(ctx context.Context, r *rest.Request) (any, error) {
	room, err := g.rooms.Any(ctx, r.User, r.Query.Get("rid"))
	if err != nil {
		return nil, err
	}
	return room.Doc(false), nil
}

// maxCompletions is how many rooms a field of input is offered.
const maxCompletions = 10

// nameSelected is the name in a selector.
func nameSelected(r *rest.Request) (string, error) {
	var in struct {
		Name string `json:"name"`
	}
	err := selected(r.Query.Get("selector"), "selector", &in)
	return in.Name, err
}

func (g *listRoutes) completeAny(ctx context.Context, r *rest.Request) (any, error) {
	name, err := nameSelected(r)
	if err != nil {
		return nil, err
	}
	list, _, err := g.rooms.All(ctx, r.User, rooms.RoomQuery{Types: anyType, Begins: name, Count: maxCompletions})
	return field("items", anyDocs(list, strangerDoc)), err
}

func (g *listRoutes) complete(ctx context.Context, r *rest.Request) (any, error) {
	name, err := nameSelected(r)
	if err != nil {
		return nil, err
	}
	list, _, err := g.rooms.Own(ctx, r.User, name, 0, maxCompletions)
	return field("items", anyDocs(list, strangerDoc)), err
}

func (g *listRoutes) completePage(ctx context.Context, r *rest.Request) (any, error) {
	name, err := nameSelected(r)
	if err != nil {
		return nil, err
	}
	offset, count := r.Page()
	list, total, err := g.rooms.Own(ctx, r.User, name, offset, count)
	return pageOf("items", anyDocs(list, strangerDoc), offset, total), err
}
