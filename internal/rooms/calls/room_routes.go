package calls

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
)

// chatLimit is the limit of routes that a client calls once for each room.
var chatLimit = ratelimit.Rule{Count: 120, Window: time.Minute}

// kindOfRoom is what differs between channels, groups and direct rooms.
type kindOfRoom struct {
	prefix, roomType string
	// one and many name the members of answers, which answer and page describe.
	one, many    string
	answer, page func() schema.Schema
	by           queries
}

// queries describe how requests ask for what is in a room of a kind. A direct room
// has no name, but somebody on the other side.
type queries struct{ names, page, members, history, messages func() schema.Schema }

var (
	byName   = queries{schema.Of[roomNames], schema.Of[roomPage], schema.Of[membersQuery], schema.Of[historyQuery], schema.Of[messagesQuery]}
	byMember = queries{schema.Of[directNames], schema.Of[directPage], schema.Of[directMembersQuery], schema.Of[directHistoryQuery],
		schema.Of[directMessagesQuery]}
)

var kindsOfRooms = []kindOfRoom{
	{"channels", rooms.Channel, "channel", "channels", schema.Answer[channelAnswer], schema.Answer[pageOfChannels], byName},
	{"groups", rooms.Group, "group", "groups", schema.Answer[groupAnswer], schema.Answer[pageOfGroups], byName},
	{"im", rooms.Direct, "room", "ims", schema.Answer[roomAnswer], schema.Answer[pageOfIms], byMember},
	{"dm", rooms.Direct, "room", "ims", schema.Answer[roomAnswer], schema.Answer[pageOfIms], byMember},
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

// Routes lists them.
func (g *roomRoutes) Routes() []rest.Route {
	const tag = "rooms"
	routes := []rest.Route{
		{Verb: "GET", Path: "rooms.info", Effects: methods.Reads, Tag: tag, Summary: "One room of the caller's, or a public channel", Query: schema.Of[roomNames](),
			Result: schema.Answer[roomAnswer](), Limit: chatLimit, Do: g.info("room", ""), Errors: notFound},
		{Verb: "GET", Path: "rooms.get", Tag: tag, Summary: "The caller's rooms, all or those that changed",
			Query: schema.Of[sinceQuery](), Result: schema.Answer[roomUpdate](), Limit: chatLimit, Method: "rooms/get", Do: g.get},
		{Verb: "POST", Path: "rooms.favorite", Tag: tag, Summary: "Mark a room in the caller's list",
			Body: schema.Of[favoriteRoom](), Method: "toggleFavorite", Params: g.favorite, Errors: notFound},
		{Verb: "GET", Path: "subscriptions.get", Tag: tag, Summary: "The caller's memberships, all or those that changed",
			Query: schema.Of[sinceQuery](), Result: schema.Answer[subscriptionUpdate](), Limit: chatLimit, Method: "subscriptions/get", Do: g.subscriptions},
		{Verb: "GET", Path: "subscriptions.getOne", Effects: methods.Reads, Tag: tag, Summary: "The caller's membership of one room",
			Query: schema.Of[knownRoom](), Result: schema.Answer[subscriptionAnswer](), Limit: chatLimit, Do: g.subscription},
		{Verb: "POST", Path: "subscriptions.read", Tag: tag, Summary: "Mark everything in a room as seen",
			Body: schema.Of[readRoom](), Limit: chatLimit, Method: "readMessages", Params: readParams},
	}
	routes = append(slices.Concat(routes, changesOfAny(), g.muteRoutes()), g.ranked())
	for _, k := range kindsOfRooms {
		routes = append(routes, g.ofKind(k)...)
		routes = slices.Concat(routes, g.changesOf(k), g.peopleOf(k))
	}
	return routes
}

// ofKind are those that every kind of room has, and those of its own.
func (g *roomRoutes) ofKind(k kindOfRoom) []rest.Route {
	tag, one, names := k.prefix, k.answer(), schema.Of[roomNames]()
	missing := []string{"error-roomid-param-not-provided"}
	routes := []rest.Route{
		{Verb: "GET", Path: k.prefix + ".members", Tag: tag, Summary: "The members of a room of the caller's",
			Query: k.by.members(), Result: schema.Answer[pageOfMembers](), Limit: chatLimit, Method: "getUsersOfRoom", Do: g.members(k.roomType),
			Errors: missing},
		{Verb: "GET", Path: k.prefix + ".messages", Effects: methods.Reads, Tag: tag, Summary: "Messages, newest first",
			Query: k.by.messages(), Result: schema.Answer[pageOfMessages](), Limit: chatLimit, Do: g.messages(k.roomType), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".history", Tag: tag, Summary: "Messages between two moments, newest first",
			Query: k.by.history(), Result: schema.Answer[messageList](), Limit: chatLimit, Method: "loadHistory", Do: g.history(k.roomType), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".counters", Effects: methods.Reads, Tag: tag, Summary: "How much there is to read",
			Query: k.by.names(), Result: schema.Answer[counters](), Limit: chatLimit, Do: g.counters(k.roomType), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".open", Tag: tag, Summary: "Show a room in the caller's list", Body: names, Method: "openRoom",
			Params: g.roomID(k.roomType), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".close", Tag: tag, Summary: "Hide a room from the caller's list", Body: names, Method: "hideRoom",
			Params: g.roomID(k.roomType), Errors: notFound},
	}
	if k.roomType == rooms.Direct {
		return append(routes,
			rest.Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Open the direct room with somebody",
				Body: schema.Of[newDirect](), Result: schema.Answer[directAnswer](), Method: "createDirectMessage",
				Params: createDirectParams, Shape: roomShape, Errors: []string{"error-user-param-not-provided"}},
			rest.Route{Verb: "GET", Path: k.prefix + ".list", Effects: methods.Reads, Tag: tag, Summary: "The caller's direct rooms", Query: schema.Of[rest.Page](),
				Result: k.page(), Limit: chatLimit, Do: g.own(k)})
	}
	create := "createChannel"
	if k.roomType == rooms.Group {
		create = "createPrivateGroup"
	}
	routes = append(routes,
		rest.Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Make a room; the caller owns it",
			Body: schema.Of[newRoom](), Result: one, Method: create, Do: g.create(k)},
		rest.Route{Verb: "GET", Path: k.prefix + ".info", Effects: methods.Reads, Tag: tag, Summary: "One room", Query: k.by.names(), Result: one,
			Limit: chatLimit, Do: g.info(k.one, k.roomType), Errors: notFound},
		rest.Route{Verb: "GET", Path: k.prefix + ".roles", Tag: tag, Summary: "Who has a role in a room", Query: k.by.names(), Limit: chatLimit,
			Result: schema.Answer[roleHolders](), Method: "getRoomRoles", Params: g.roomID(k.roomType), Shape: rolesShape, Errors: missing},
		rest.Route{Verb: "POST", Path: k.prefix + ".leave", Tag: tag, Summary: "End the caller's membership", Body: names, Result: one, Method: "leaveRoom",
			Do: g.leave(k), Errors: notFound},
		rest.Route{Verb: "POST", Path: k.prefix + ".invite", Tag: tag, Summary: "Add users",
			Body: schema.Of[invitation](), Result: one, Method: "addUsersToRoom", Do: g.invite(k),
			Errors: append(notFound, "error-user-param-not-provided", "error-invalid-user")},
		rest.Route{Verb: "POST", Path: k.prefix + ".kick", Tag: tag, Summary: "End somebody's membership", Body: schema.Of[roomMember](), Result: one,
			Method: "removeUserFromRoom", Do: g.kick(k), Errors: append(notFound, "error-user-param-not-provided")},
	)
	for _, r := range []struct{ name, method string }{
		{"addOwner", "addRoomOwner"}, {"removeOwner", "removeRoomOwner"}, {"addModerator", "addRoomModerator"}, {"removeModerator", "removeRoomModerator"},
		{"addLeader", "addRoomLeader"}, {"removeLeader", "removeRoomLeader"},
	} {
		routes = append(routes, rest.Route{Verb: "POST", Path: k.prefix + "." + r.name, Tag: tag, Summary: "Give a member a role in the room, or take it back",
			Body: schema.Of[roomMember](), Method: r.method, Params: g.memberParams(k.roomType),
			Errors: append(notFound, "error-user-param-not-provided", "error-invalid-user")})
	}
	if k.roomType == rooms.Group {
		return append(routes, rest.Route{Verb: "GET", Path: "groups.list", Effects: methods.Reads, Tag: tag, Summary: "The caller's groups",
			Query: schema.Of[rest.Page](), Result: k.page(), Limit: chatLimit, Do: g.own(k)})
	}
	return append(routes,
		rest.Route{Verb: "POST", Path: "channels.join", Tag: tag, Summary: "Become a member", Body: schema.Of[joining](), Result: one,
			Method: "joinRoom", Do: g.join, Errors: notFound},
		rest.Route{Verb: "GET", Path: "channels.list", Effects: methods.Reads, Tag: tag, Summary: "All channels, by name", Query: schema.Of[rest.Page](),
			Result: k.page(), Limit: chatLimit, Do: g.channels},
		rest.Route{Verb: "GET", Path: "channels.list.joined", Effects: methods.Reads, Tag: tag, Summary: "The caller's channels", Query: schema.Of[rest.Page](),
			Result: k.page(), Limit: chatLimit, Do: g.own(k)})
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
