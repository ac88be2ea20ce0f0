package rest

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rooms"
)

// The documents of rooms, as package chat makes them. Members that a document
// lacks are those that say nothing.
var (
	userRefSchema = object(must("_id", text()), may("username", text()), may("name", text()))
	messageSchema = object(must("_id", text()), must("rid", text()), must("msg", text()), must("ts", dateTime()), must("u", userRefSchema), may("t", text()),
		must("_updatedAt", dateTime()), must("urls", list(object())), must("mentions", list(userRefSchema)), must("channels", list(object())), may("md", list(object())),
		may("attachments", list(object())), may("editedAt", dateTime()), may("editedBy", userRefSchema), may("pinned", boolean()), may("pinnedAt", dateTime()), may("pinnedBy", userRefSchema),
		may("starred", list(userRefSchema)), may("reactions", object()), may("alias", text()), may("emoji", text()), may("avatar", text()), may("groupable", boolean()), may("bot", object()), may("role", text()))
	roomSchema = object(must("_id", text()), must("t", oneOf(rooms.Channel, rooms.Group, rooms.Direct)), may("name", text()), may("fname", text()), must("msgs", integer()), must("usersCount", integer()),
		may("u", userRefSchema), may("topic", text()), may("description", text()), may("announcement", text()), must("ts", dateTime()), must("ro", boolean()), may("sysMes", boolean()),
		may("default", boolean()), may("archived", boolean()), may("uids", list(text())), may("usernames", list(text())), may("lm", dateTime()), may("lastMessage", messageSchema), must("_updatedAt", dateTime()))
	subscriptionSchema = object(must("_id", text()), must("rid", text()), must("t", text()), must("name", text()), may("fname", text()), must("u", userRefSchema), must("open", boolean()), must("alert", boolean()),
		must("unread", integer()), must("userMentions", integer()), must("groupMentions", integer()), must("ts", dateTime()), may("f", boolean()), may("roles", list(text())), may("ls", dateTime()), may("lr", dateTime()), must("_updatedAt", dateTime()))
	memberSchema = object(must("_id", text()), may("username", text()), may("name", text()), must("status", text()), may("statusText", text()))
	goneSchema   = object(must("_id", text()), may("rid", text()), must("_deletedAt", dateTime()))
)

// chatLimit is the limit of routes that a client calls once for each room.
var chatLimit = ratelimit.Rule{Count: 120, Window: time.Minute}

// kindOfRoom is what differs between channels, groups and direct rooms.
type kindOfRoom struct {
	prefix, t string
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
	errDate        = fault.New("error-invalid-params", "A date must be written as ISO 8601")
	errSearchParam = fault.New("error-searchText-param-not-provided", `The required "searchText" param is missing`)
)

// chatRooms serves rooms: the twins of the methods on rooms, and lists.
type chatRooms struct{ s *Server }

func listed(name string, item Schema) Schema {
	return success(must(name, list(item)), must("count", integer()), must("offset", integer()), must("total", integer()))
}

// Routes lists them.
func (g *chatRooms) Routes() []Route {
	const tag = "rooms"
	routes := []Route{
		{Verb: "GET", Path: "rooms.info", Effects: methods.Reads, Tag: tag, Summary: "One room of the caller's, or a public channel", Query: roomQuery(), Result: success(must("room", roomSchema)), Limit: chatLimit, Do: g.info("room", ""),
			Errors: []string{"error-room-not-found"}},
		{Verb: "GET", Path: "rooms.get", Tag: tag, Summary: "The caller's rooms, all or those that changed", Query: object(may("updatedSince", text())), Limit: chatLimit, Twin: "rooms/get",
			Result: success(must("update", list(roomSchema)), must("remove", list(goneSchema))), Do: g.get},
		{Verb: "POST", Path: "rooms.favorite", Tag: tag, Summary: "Mark a room in the caller's list", Body: object(may("roomId", text()), may("roomName", text()), must("favorite", boolean())), Twin: "toggleFavorite", Do: g.favorite},
		{Verb: "GET", Path: "subscriptions.get", Tag: tag, Summary: "The caller's memberships, all or those that changed", Query: object(may("updatedSince", text())), Limit: chatLimit, Twin: "subscriptions/get",
			Result: success(must("update", list(subscriptionSchema)), must("remove", list(goneSchema))), Do: g.subscriptions},
		{Verb: "GET", Path: "subscriptions.getOne", Effects: methods.Reads, Tag: tag, Summary: "The caller's membership of one room", Query: object(must("roomId", nonEmpty())), Limit: chatLimit,
			Result: success(must("subscription", either(subscriptionSchema, Schema{"type": "null"}))), Do: g.subscription},
		{Verb: "POST", Path: "subscriptions.read", Tag: tag, Summary: "Mark everything in a room as seen", Body: object(may("rid", text()), may("roomId", text())), Limit: chatLimit, Twin: "readMessages", Do: g.read},
	}
	for _, k := range kindsOfRooms {
		routes = append(routes, g.routes(k)...)
	}
	return routes
}

// roomQuery names a room in a query string.
func roomQuery(more ...property) Schema {
	return object(append(more, may("roomId", text()), may("roomName", text()), may("username", text()))...)
}

// pagedRoom is roomQuery for pages; what clients send as "query" is ignored.
func pagedRoom(more ...property) Schema {
	return paged(append(more, may("roomId", text()), may("roomName", text()), may("username", text()))...)
}

// roomBody names a room in a body.
func roomBody(more ...property) Schema {
	return object(append(more, may("roomId", text()), may("roomName", text()))...)
}

// routes are those that every kind of room has, and those of its own.
func (g *chatRooms) routes(k kindOfRoom) []Route {
	tag, one := k.prefix, success(must(k.one, roomSchema))
	who := []property{may("userId", text()), may("username", text()), may("user", text())}
	notFound := []string{"error-room-not-found", "error-roomid-param-not-provided"}
	history := pagedRoom(may("latest", text()), may("oldest", text()), may("inclusive", boolean()), may("unreads", boolean()))
	routes := []Route{
		{Verb: "GET", Path: k.prefix + ".members", Tag: tag, Summary: "The members of a room of the caller's", Query: pagedRoom(may("filter", text()), may("status", text())), Result: listed("members", memberSchema), Limit: chatLimit, Twin: "getUsersOfRoom", Do: g.members(k.t), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".messages", Effects: methods.Reads, Tag: tag, Summary: "Messages, newest first; queries of clients are ignored", Query: pagedRoom(), Result: listed("messages", messageSchema), Limit: chatLimit, Do: g.messages(k.t), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".history", Tag: tag, Summary: "Messages between two moments, newest first", Query: history, Result: success(must("messages", list(messageSchema))), Limit: chatLimit, Twin: "loadHistory", Do: g.history(k.t), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".counters", Effects: methods.Reads, Tag: tag, Summary: "How much there is to read", Query: roomQuery(), Result: success(must("joined", boolean()), must("members", integer()), must("unreads", integer()), must("msgs", integer()), may("userMentions", integer())), Limit: chatLimit, Do: g.counters(k.t), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".open", Tag: tag, Summary: "Show a room in the caller's list", Body: roomBody(), Twin: "openRoom", Do: g.open(k.t, true), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".close", Tag: tag, Summary: "Hide a room from the caller's list", Body: roomBody(), Twin: "hideRoom", Do: g.open(k.t, false), Errors: notFound},
	}
	if k.t == rooms.Direct {
		return append(routes,
			Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Open the direct room with somebody", Permission: permission.CreateDirect, Body: object(may("username", text()), may("usernames", text()), may("excludeSelf", boolean())),
				Result: success(must("room", object(append(must4(), must("rid", text()))...))), Twin: "createDirectMessage", Do: g.createDirect, Errors: []string{"error-invalid-user", "error-direct-message-max-user-exceeded"}},
			Route{Verb: "GET", Path: k.prefix + ".list", Effects: methods.Reads, Tag: tag, Summary: "The caller's direct rooms", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	create, method := permission.CreateChannels, "createChannel"
	if k.t == rooms.Group {
		create, method = permission.CreateGroups, "createPrivateGroup"
	}
	routes = append(routes,
		Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Make a room; the caller owns it", Permission: create,
			Body: object(must("name", nonEmpty()), may("members", list(text())), may("readOnly", boolean()), may("extraData", object()), may("customFields", object())), Result: one, Twin: method, Do: g.create(k),
			Errors: []string{"error-invalid-room-name", "error-duplicate-channel-name", "error-user-not-found"}},
		Route{Verb: "GET", Path: k.prefix + ".info", Effects: methods.Reads, Tag: tag, Summary: "One room", Query: roomQuery(), Result: one, Limit: chatLimit, Do: g.info(k.one, k.t), Errors: notFound},
		Route{Verb: "GET", Path: k.prefix + ".roles", Tag: tag, Summary: "Who has a role in a room", Query: roomQuery(), Limit: chatLimit, Twin: "getRoomRoles",
			Result: success(must("roles", list(object(must("rid", text()), must("u", userRefSchema), must("roles", list(text())))))), Do: g.roles(k.t), Errors: notFound},
		Route{Verb: "POST", Path: k.prefix + ".leave", Tag: tag, Summary: "End the caller's membership", Body: roomBody(), Result: one, Twin: "leaveRoom", Do: g.leave(k), Errors: append(notFound, "error-you-are-last-owner")},
		Route{Verb: "POST", Path: k.prefix + ".invite", Tag: tag, Summary: "Add users", Body: roomBody(append(who, may("userIds", list(text())), may("usernames", list(text())))...), Result: one, Twin: "addUsersToRoom", Do: g.invite(k), Errors: append(notFound, "error-not-allowed")},
		Route{Verb: "POST", Path: k.prefix + ".kick", Tag: tag, Summary: "End somebody's membership", Body: roomBody(who...), Result: one, Twin: "removeUserFromRoom", Do: g.kick(k), Errors: append(notFound, "error-not-allowed", "error-user-not-in-room")},
	)
	for _, r := range []struct{ name, method string }{
		{"addOwner", "addRoomOwner"}, {"removeOwner", "removeRoomOwner"}, {"addModerator", "addRoomModerator"}, {"removeModerator", "removeRoomModerator"},
	} {
		routes = append(routes, Route{Verb: "POST", Path: k.prefix + "." + r.name, Tag: tag, Summary: "Give a member a role in the room, or take it back", Body: roomBody(who...), Twin: r.method, Do: g.role(k.t, r.method), Errors: append(notFound, "error-not-allowed")})
	}
	if k.t == rooms.Group {
		return append(routes, Route{Verb: "GET", Path: "groups.list", Effects: methods.Reads, Tag: tag, Summary: "The caller's groups", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	return append(routes,
		Route{Verb: "POST", Path: "channels.join", Tag: tag, Summary: "Become a member", Body: roomBody(may("joinCode", text())), Result: one, Twin: "joinRoom", Do: g.join, Errors: notFound},
		Route{Verb: "GET", Path: "channels.list", Effects: methods.Reads, Tag: tag, Summary: "All channels, by name", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.channels},
		Route{Verb: "GET", Path: "channels.list.joined", Effects: methods.Reads, Tag: tag, Summary: "The caller's channels", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
}

// must4 is what a direct room has at least.
func must4() []property {
	return []property{must("_id", text()), must("t", text()), must("usernames", list(text()))}
}

// param is a member of the body or the query.
func (r *Request) param(name string) string {
	if v := r.Text(name); v != "" {
		return v
	}
	return r.Query.Get(name)
}

// room finds the room that a request names; t, if not empty, is what kind it
// must be of.
func (s *Server) room(ctx context.Context, r *Request, t string) (*rooms.Room, bool, error) {
	id, name := r.param("roomId"), r.param("roomName")
	if t == rooms.Direct && name == "" && id == "" {
		name = r.Query.Get("username")
	}
	switch {
	case id != "":
		room, member, err := s.o.Chat.Room(ctx, r.User, id)
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
		room, member, err := s.o.Chat.RoomByName(ctx, r.User, t, name)
		if !errors.Is(err, rooms.ErrInvalidRoom) {
			return room, member, err
		}
	}
	return nil, false, rooms.ErrRoomNotFound
}

// since is a date in a query; zero when there is none.
func (r *Request) since(name string) (time.Time, error) {
	v := r.Query.Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}, errDate.Because(err)
	}
	return t.UTC(), nil
}

func field(key string, value any) ejson.Doc { return ejson.Doc{{Key: key, Value: value}} }

func docs[T any](items []T, doc func(T) ejson.Doc) []any {
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
