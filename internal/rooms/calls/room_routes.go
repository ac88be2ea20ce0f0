package calls

import (
	"context"
	"errors"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
)

// The documents of rooms, as package chat makes them. Members that a document
// lacks are those that say nothing.
var (
	userRefSchema = schema.Object(schema.Must("_id", schema.Text()), schema.May("username", schema.Text()), schema.May("name", schema.Text())).Named("UserRef")
	messageSchema = schema.Object(schema.Must("_id", schema.Text()), schema.Must("rid", schema.Text()), schema.Must("msg", schema.Text()),
		schema.Must("ts", schema.DateTime()), schema.Must("u", userRefSchema), schema.May("t", schema.Text()),
		schema.Must("_updatedAt", schema.DateTime()), schema.Must("urls", schema.List(schema.Object())), schema.Must("mentions", schema.List(userRefSchema)),
		schema.Must("channels", schema.List(schema.Object())), schema.May("md", schema.List(schema.Object())),
		schema.May("attachments", schema.List(schema.Object())), schema.May("editedAt", schema.DateTime()), schema.May("editedBy", userRefSchema),
		schema.May("pinned", schema.Boolean()), schema.May("pinnedAt", schema.DateTime()), schema.May("pinnedBy", userRefSchema),
		schema.May("starred", schema.List(userRefSchema)), schema.May("reactions", schema.Object()), schema.May("alias", schema.Text()),
		schema.May("emoji", schema.Text()), schema.May("avatar", schema.Text()), schema.May("groupable", schema.Boolean()), schema.May("bot", schema.Object()),
		schema.May("role", schema.Text())).Named("Message")
	roomSchema = schema.Object(schema.Must("_id", schema.Text()), schema.Must("t", schema.OneOf(rooms.Channel, rooms.Group, rooms.Direct)),
		schema.May("name", schema.Text()), schema.May("fname", schema.Text()), schema.Must("msgs", schema.Integer()), schema.Must("usersCount", schema.Integer()),
		schema.May("u", userRefSchema), schema.May("topic", schema.Text()), schema.May("description", schema.Text()), schema.May("announcement", schema.Text()),
		schema.Must("ts", schema.DateTime()), schema.Must("ro", schema.Boolean()), schema.May("sysMes", schema.Boolean()),
		schema.May("default", schema.Boolean()), schema.May("archived", schema.Boolean()), schema.May("uids", schema.List(schema.Text())),
		schema.May("usernames", schema.List(schema.Text())), schema.May("lm", schema.DateTime()), schema.May("lastMessage", messageSchema),
		schema.Must("_updatedAt", schema.DateTime())).Named("Room")
	subscriptionSchema = schema.Object(schema.Must("_id", schema.Text()), schema.Must("rid", schema.Text()), schema.Must("t", schema.Text()),
		schema.Must("name", schema.Text()), schema.May("fname", schema.Text()), schema.Must("u", userRefSchema), schema.Must("open", schema.Boolean()),
		schema.Must("alert", schema.Boolean()),
		schema.Must("unread", schema.Integer()), schema.Must("userMentions", schema.Integer()), schema.Must("groupMentions", schema.Integer()),
		schema.Must("ts", schema.DateTime()), schema.May("f", schema.Boolean()), schema.May("roles", schema.List(schema.Text())),
		schema.May("ls", schema.DateTime()), schema.May("lr", schema.DateTime()), schema.Must("_updatedAt", schema.DateTime())).Named("Subscription")
	memberSchema = schema.Object(schema.Must("_id", schema.Text()), schema.May("username", schema.Text()), schema.May("name", schema.Text()),
		schema.Must("status", schema.Text()), schema.May("statusText", schema.Text())).Named("Member")
	goneSchema = schema.Object(schema.Must("_id", schema.Text()), schema.May("rid", schema.Text()), schema.Must("_deletedAt", schema.DateTime())).Named("Gone")
)

// statuses are the words for how somebody is shown.
var statuses = schema.OneOf(rooms.Online, rooms.Away, rooms.Busy, rooms.Offline)

// chatLimit is the limit of routes that a client calls once for each room.
var chatLimit = ratelimit.Rule{Count: 120, Window: time.Minute}

// kindOfRoom is what differs between channels, groups and direct rooms.
type kindOfRoom struct {
	prefix, roomType string
	// one and many name the members of answers.
	one, many string
}

var kindsOfRooms = []kindOfRoom{
	{"channels", rooms.Channel, "channel", "channels"},
	{"groups", rooms.Group, "group", "groups"},
	{"im", rooms.Direct, "room", "ims"},
	{"dm", rooms.Direct, "room", "ims"},
}

var (
	errRoomParam   = fault.New("error-roomid-param-not-provided", `The parameter "roomId" or "roomName" is required`)
	errUserParam   = fault.New("error-user-param-not-provided", `The required "userId" or "username" param was not provided`)
	errSearchParam = fault.New("error-searchText-param-not-provided", `The required "searchText" param is missing`)
)

// notFound are the refusals of a route that looks for the room which a request names.
var notFound = []string{"error-room-not-found", "error-roomid-param-not-provided"}

// roomRoutes serves rooms: the methods on rooms by other names, and lists.
type roomRoutes struct{ *service }

func listed(name string, item schema.Schema) schema.Schema {
	return schema.Success(schema.Must(name, schema.List(item)), schema.Must("count", schema.Integer()), schema.Must("offset", schema.Integer()),
		schema.Must("total", schema.Integer())).Named("PageOf" + strings.ToUpper(name[:1]) + name[1:])
}

// Routes lists them.
func (g *roomRoutes) Routes() []rest.Route {
	const tag = "rooms"
	routes := []rest.Route{
		{Verb: "GET", Path: "rooms.info", Effects: methods.Reads, Tag: tag, Summary: "One room of the caller's, or a public channel", Query: roomQuery(""),
			Result: schema.Success(schema.Must("room", roomSchema)), Limit: chatLimit, Do: g.info("room", ""),
			Errors: notFound},
		{Verb: "GET", Path: "rooms.get", Tag: tag, Summary: "The caller's rooms, all or those that changed",
			Query: schema.Object(schema.May("updatedSince", schema.Text())), Limit: chatLimit, Method: "rooms/get",
			Result: schema.Success(schema.Must("update", schema.List(roomSchema)), schema.Must("remove", schema.List(goneSchema))), Do: g.get},
		{Verb: "POST", Path: "rooms.favorite", Tag: tag, Summary: "Mark a room in the caller's list",
			Body:   schema.Object(schema.May("roomId", schema.Text()), schema.May("roomName", schema.Text()), schema.Must("favorite", schema.Boolean())),
			Method: "toggleFavorite", Params: g.favorite, Errors: notFound},
		{Verb: "GET", Path: "subscriptions.get", Tag: tag, Summary: "The caller's memberships, all or those that changed",
			Query: schema.Object(schema.May("updatedSince", schema.Text())), Limit: chatLimit, Method: "subscriptions/get",
			Result: schema.Success(schema.Must("update", schema.List(subscriptionSchema)), schema.Must("remove", schema.List(goneSchema))), Do: g.subscriptions},
		{Verb: "GET", Path: "subscriptions.getOne", Effects: methods.Reads, Tag: tag, Summary: "The caller's membership of one room",
			Query: schema.Object(schema.Must("roomId", schema.NonEmpty())), Limit: chatLimit,
			Result: schema.Success(schema.Must("subscription", schema.Either(subscriptionSchema, schema.Schema{"type": "null"}))), Do: g.subscription},
		{Verb: "POST", Path: "subscriptions.read", Tag: tag, Summary: "Mark everything in a room as seen",
			Body: schema.Object(schema.May("rid", schema.Text()), schema.May("roomId", schema.Text())), Limit: chatLimit, Method: "readMessages", Params: readParams},
	}
	for _, k := range kindsOfRooms {
		routes = append(routes, g.ofKind(k)...)
	}
	return routes
}

// roomQuery names a room of a kind in a query string. A direct room has no name, but
// somebody on the other side.
func roomQuery(roomType string, more ...schema.Property) schema.Schema {
	return schema.Object(append(more, roomNames(roomType)...)...)
}

// pagedRoom is roomQuery for pages.
func pagedRoom(roomType string, more ...schema.Property) schema.Schema {
	return schema.Paged(append(more, roomNames(roomType)...)...)
}

func roomNames(roomType string) []schema.Property {
	names := []schema.Property{schema.May("roomId", schema.Text()), schema.May("roomName", schema.Text())}
	if roomType == rooms.Direct {
		names = append(names, schema.May("username", schema.Text()))
	}
	return names
}

// roomBody names a room in a body.
func roomBody(more ...schema.Property) schema.Schema {
	return schema.Object(append(more, schema.May("roomId", schema.Text()), schema.May("roomName", schema.Text()))...)
}

// ofKind are those that every kind of room has, and those of its own.
func (g *roomRoutes) ofKind(k kindOfRoom) []rest.Route {
	tag, one := k.prefix, schema.Success(schema.Must(k.one, roomSchema))
	who := []schema.Property{schema.May("userId", schema.Text()), schema.May("username", schema.Text()), schema.May("user", schema.Text())}
	missing := []string{"error-roomid-param-not-provided"}
	history := pagedRoom(k.roomType, schema.May("latest", schema.Text()), schema.May("oldest", schema.Text()), schema.May("inclusive", schema.Boolean()),
		schema.May("unreads", schema.Boolean().About("Rocket.Chat's clients send it; the counts of unread messages are those of the subscription")))
	routes := []rest.Route{
		{Verb: "GET", Path: k.prefix + ".members", Tag: tag, Summary: "The members of a room of the caller's",
			Query:  pagedRoom(k.roomType, schema.May("filter", schema.Text()), schema.May("status", schema.List(statuses))),
			Result: listed("members", memberSchema), Limit: chatLimit, Method: "getUsersOfRoom", Do: g.members(k.roomType), Errors: missing},
		{Verb: "GET", Path: k.prefix + ".messages", Effects: methods.Reads, Tag: tag, Summary: "Messages, newest first",
			Query: pagedRoom(k.roomType), Result: listed("messages", messageSchema), Limit: chatLimit, Do: g.messages(k.roomType),
			Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".history", Tag: tag, Summary: "Messages between two moments, newest first", Query: history,
			Result: schema.Success(schema.Must("messages", schema.List(messageSchema))), Limit: chatLimit, Method: "loadHistory",
			Do: g.history(k.roomType), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".counters", Effects: methods.Reads, Tag: tag, Summary: "How much there is to read", Query: roomQuery(k.roomType),
			Result: schema.Success(schema.Must("joined", schema.Boolean()), schema.Must("members", schema.Integer()), schema.Must("unreads", schema.Integer()),
				schema.Must("msgs", schema.Integer()), schema.May("userMentions", schema.Integer())), Limit: chatLimit, Do: g.counters(k.roomType), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".open", Tag: tag, Summary: "Show a room in the caller's list", Body: roomBody(), Method: "openRoom",
			Params: g.roomID(k.roomType), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".close", Tag: tag, Summary: "Hide a room from the caller's list", Body: roomBody(), Method: "hideRoom",
			Params: g.roomID(k.roomType), Errors: notFound},
	}
	if k.roomType == rooms.Direct {
		return append(routes,
			rest.Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Open the direct room with somebody",
				Body:   schema.Object(schema.May("username", schema.Text()), schema.May("usernames", schema.Text()), schema.May("excludeSelf", schema.Boolean())),
				Result: schema.Success(schema.Must("room", schema.Object(append(must4(), schema.Must("rid", schema.Text()))...))), Method: "createDirectMessage",
				Params: createDirectParams, Shape: roomShape, Errors: []string{"error-user-param-not-provided"}},
			rest.Route{Verb: "GET", Path: k.prefix + ".list", Effects: methods.Reads, Tag: tag, Summary: "The caller's direct rooms", Query: schema.Paged(),
				Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	create := "createChannel"
	if k.roomType == rooms.Group {
		create = "createPrivateGroup"
	}
	routes = append(routes,
		rest.Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Make a room; the caller owns it",
			Body: schema.Object(schema.Must("name", schema.NonEmpty()), schema.May("members", schema.List(schema.Text())), schema.May("readOnly", schema.Boolean()),
				schema.May("extraData", schema.Object()), schema.May("customFields", schema.Object())), Result: one, Method: create, Do: g.create(k)},
		rest.Route{Verb: "GET", Path: k.prefix + ".info", Effects: methods.Reads, Tag: tag, Summary: "One room", Query: roomQuery(k.roomType), Result: one,
			Limit: chatLimit, Do: g.info(k.one, k.roomType), Errors: notFound},
		rest.Route{Verb: "GET", Path: k.prefix + ".roles", Tag: tag, Summary: "Who has a role in a room", Query: roomQuery(k.roomType), Limit: chatLimit,
			Result: schema.Success(schema.Must("roles", schema.List(schema.Object(schema.Must("rid", schema.Text()), schema.Must("u", userRefSchema),
				schema.Must("roles", schema.List(schema.Text())))))),
			Method: "getRoomRoles", Params: g.roomID(k.roomType), Shape: rolesShape, Errors: missing},
		rest.Route{Verb: "POST", Path: k.prefix + ".leave", Tag: tag, Summary: "End the caller's membership", Body: roomBody(), Result: one, Method: "leaveRoom",
			Do: g.leave(k), Errors: notFound},
		rest.Route{Verb: "POST", Path: k.prefix + ".invite", Tag: tag, Summary: "Add users",
			Body: roomBody(append(who, schema.May("userIds", schema.List(schema.Text())), schema.May("usernames", schema.List(schema.Text())))...), Result: one,
			Method: "addUsersToRoom", Do: g.invite(k), Errors: append(notFound, "error-user-param-not-provided", "error-invalid-user")},
		rest.Route{Verb: "POST", Path: k.prefix + ".kick", Tag: tag, Summary: "End somebody's membership", Body: roomBody(who...), Result: one,
			Method: "removeUserFromRoom", Do: g.kick(k), Errors: append(notFound, "error-user-param-not-provided")},
	)
	for _, r := range []struct{ name, method string }{
		{"addOwner", "addRoomOwner"}, {"removeOwner", "removeRoomOwner"}, {"addModerator", "addRoomModerator"}, {"removeModerator", "removeRoomModerator"},
	} {
		routes = append(routes, rest.Route{Verb: "POST", Path: k.prefix + "." + r.name, Tag: tag, Summary: "Give a member a role in the room, or take it back",
			Body: roomBody(who...), Method: r.method, Params: g.memberParams(k.roomType),
			Errors: append(notFound, "error-user-param-not-provided", "error-invalid-user")})
	}
	if k.roomType == rooms.Group {
		return append(routes, rest.Route{Verb: "GET", Path: "groups.list", Effects: methods.Reads, Tag: tag, Summary: "The caller's groups", Query: schema.Paged(),
			Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	return append(routes,
		rest.Route{Verb: "POST", Path: "channels.join", Tag: tag, Summary: "Become a member", Body: roomBody(schema.May("joinCode", schema.Text())), Result: one,
			Method: "joinRoom", Do: g.join, Errors: notFound},
		rest.Route{Verb: "GET", Path: "channels.list", Effects: methods.Reads, Tag: tag, Summary: "All channels, by name", Query: schema.Paged(),
			Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.channels},
		rest.Route{Verb: "GET", Path: "channels.list.joined", Effects: methods.Reads, Tag: tag, Summary: "The caller's channels", Query: schema.Paged(),
			Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
}

// must4 is what a direct room has at least.
func must4() []schema.Property {
	return []schema.Property{schema.Must("_id", schema.Text()), schema.Must("t", schema.Text()), schema.Must("usernames", schema.List(schema.Text()))}
}

// room finds the room that a request names; t, if not empty, is what kind it
// must be of.
func (g *service) room(ctx context.Context, r *rest.Request, t string) (*rooms.Room, bool, error) {
	id, name := r.Param("roomId"), r.Param("roomName")
	if t == rooms.Direct && name == "" && id == "" {
		name = r.Query.Get("username")
	}
	switch {
	case id != "":
		room, member, err := g.rooms.Room(ctx, r.User, id)
		if err == nil && t != "" && room.Type != t {
			err = rooms.ErrRoomNotFound
		}
		return room, member, err
	case name == "":
		return nil, false, errRoomParam
	}
	kinds := []string{t}
	if t == "" {
		kinds = []string{rooms.Channel, rooms.Group}
	}
	for _, t := range kinds {
		room, member, err := g.rooms.RoomByName(ctx, r.User, t, name)
		if !errors.Is(err, rooms.ErrInvalidRoom) {
			return room, member, err
		}
	}
	return nil, false, rooms.ErrRoomNotFound
}

func field(key string, value any) ejson.Doc { return ejson.Doc{{Key: key, Value: value}} }

func anyDocs[T any](items []T, doc func(T) ejson.Doc) []any {
	out := make([]any, len(items))
	for i, v := range items {
		out[i] = doc(v)
	}
	return out
}

// pageOf is the answer of a list.
func pageOf(name string, items []any, offset, total int) ejson.Doc {
	return ejson.Doc{{Key: name, Value: items}, {Key: "count", Value: len(items)}, {Key: "offset", Value: offset}, {Key: "total", Value: total}}
}
