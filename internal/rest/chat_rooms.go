package rest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/chat"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/user"
)

// The documents of rooms, as package chat makes them. Members that a document
// lacks are those that say nothing.
var (
	userRefSchema = object(must("_id", text()), may("username", text()), may("name", text()))
	messageSchema = object(must("_id", text()), must("rid", text()), must("msg", text()), must("ts", dateTime()), must("u", userRefSchema), may("t", text()),
		must("_updatedAt", dateTime()), must("urls", list(object())), must("mentions", list(userRefSchema)), must("channels", list(object())), may("md", list(object())),
		may("attachments", list(object())), may("editedAt", dateTime()), may("editedBy", userRefSchema), may("pinned", boolean()), may("pinnedAt", dateTime()), may("pinnedBy", userRefSchema),
		may("starred", list(userRefSchema)), may("reactions", object()), may("alias", text()), may("emoji", text()), may("avatar", text()), may("groupable", boolean()), may("bot", object()), may("role", text()))
	roomSchema = object(must("_id", text()), must("t", oneOf(chat.Channel, chat.Group, chat.Direct)), may("name", text()), may("fname", text()), must("msgs", integer()), must("usersCount", integer()),
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
	{"channels", chat.Channel, "channel", "channels"},
	{"groups", chat.Group, "group", "groups"},
	{"im", chat.Direct, "room", "ims"},
	{"dm", chat.Direct, "room", "ims"},
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
		{Verb: "GET", Path: "rooms.info", Tag: tag, Summary: "One room of the caller's, or a public channel", Query: roomQuery(), Result: success(must("room", roomSchema)), Limit: chatLimit, Do: g.info("room", ""),
			Errors: []string{"error-room-not-found"}},
		{Verb: "GET", Path: "rooms.get", Tag: tag, Summary: "The caller's rooms, all or those that changed", Query: object(may("updatedSince", text())), Limit: chatLimit, Twin: "rooms/get",
			Result: success(must("update", list(roomSchema)), must("remove", list(goneSchema))), Do: g.get},
		{Verb: "POST", Path: "rooms.favorite", Tag: tag, Summary: "Mark a room in the caller's list", Body: object(may("roomId", text()), may("roomName", text()), must("favorite", boolean())), Twin: "toggleFavorite", Do: g.favorite},
		{Verb: "GET", Path: "subscriptions.get", Tag: tag, Summary: "The caller's memberships, all or those that changed", Query: object(may("updatedSince", text())), Limit: chatLimit, Twin: "subscriptions/get",
			Result: success(must("update", list(subscriptionSchema)), must("remove", list(goneSchema))), Do: g.subscriptions},
		{Verb: "GET", Path: "subscriptions.getOne", Tag: tag, Summary: "The caller's membership of one room", Query: object(must("roomId", nonEmpty())), Limit: chatLimit,
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
		{Verb: "GET", Path: k.prefix + ".messages", Tag: tag, Summary: "Messages, newest first; queries of clients are ignored", Query: pagedRoom(), Result: listed("messages", messageSchema), Limit: chatLimit, Do: g.messages(k.t), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".history", Tag: tag, Summary: "Messages between two moments, newest first", Query: history, Result: success(must("messages", list(messageSchema))), Limit: chatLimit, Twin: "loadHistory", Do: g.history(k.t), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".counters", Tag: tag, Summary: "How much there is to read", Query: roomQuery(), Result: success(must("joined", boolean()), must("members", integer()), must("unreads", integer()), must("msgs", integer()), may("userMentions", integer())), Limit: chatLimit, Do: g.counters(k.t), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".open", Tag: tag, Summary: "Show a room in the caller's list", Body: roomBody(), Twin: "openRoom", Do: g.open(k.t, true), Errors: notFound},
		{Verb: "POST", Path: k.prefix + ".close", Tag: tag, Summary: "Hide a room from the caller's list", Body: roomBody(), Twin: "hideRoom", Do: g.open(k.t, false), Errors: notFound},
	}
	if k.t == chat.Direct {
		return append(routes,
			Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Open the direct room with somebody", Permission: permission.CreateDirect, Body: object(may("username", text()), may("usernames", text()), may("excludeSelf", boolean())),
				Result: success(must("room", object(append(must4(), must("rid", text()))...))), Twin: "createDirectMessage", Do: g.createDirect, Errors: []string{"error-invalid-user", "error-direct-message-max-user-exceeded"}},
			Route{Verb: "GET", Path: k.prefix + ".list", Tag: tag, Summary: "The caller's direct rooms", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	create, method := permission.CreateChannels, "createChannel"
	if k.t == chat.Group {
		create, method = permission.CreateGroups, "createPrivateGroup"
	}
	routes = append(routes,
		Route{Verb: "POST", Path: k.prefix + ".create", Tag: tag, Summary: "Make a room; the caller owns it", Permission: create,
			Body: object(must("name", nonEmpty()), may("members", list(text())), may("readOnly", boolean()), may("extraData", object()), may("customFields", object())), Result: one, Twin: method, Do: g.create(k),
			Errors: []string{"error-invalid-room-name", "error-duplicate-channel-name", "error-user-not-found"}},
		Route{Verb: "GET", Path: k.prefix + ".info", Tag: tag, Summary: "One room", Query: roomQuery(), Result: one, Limit: chatLimit, Do: g.info(k.one, k.t), Errors: notFound},
		Route{Verb: "GET", Path: k.prefix + ".roles", Tag: tag, Summary: "Who has a role in a room", Query: roomQuery(), Limit: chatLimit, Twin: "getRoomRoles",
			Result: success(must("roles", list(object(must("rid", text()), must("u", userRefSchema), must("roles", list(text())))))), Do: g.roles(k.t), Errors: notFound},
		Route{Verb: "POST", Path: k.prefix + ".leave", Tag: tag, Summary: "End the caller's membership", Body: roomBody(), Result: one, Twin: "leaveRoom", Do: g.leave(k), Errors: append(notFound, "error-you-are-last-owner")},
		Route{Verb: "POST", Path: k.prefix + ".invite", Tag: tag, Summary: "Add users", Body: roomBody(append(who, may("userIds", list(text())), may("usernames", list(text())))...), Result: one, Twin: "addUsersToRoom", Do: g.invite(k), Errors: append(notFound, "error-not-allowed")},
		Route{Verb: "POST", Path: k.prefix + ".kick", Tag: tag, Summary: "End somebody's membership", Body: roomBody(who...), Result: one, Twin: "removeUserFromRoom", Do: g.kick(k), Errors: append(notFound, "error-not-allowed", "error-user-not-in-room")},
	)
	for _, r := range []struct {
		name, role, method string
		on                 bool
	}{
		{"addOwner", chat.Owner, "addRoomOwner", true}, {"removeOwner", chat.Owner, "removeRoomOwner", false},
		{"addModerator", chat.Moderator, "addRoomModerator", true}, {"removeModerator", chat.Moderator, "removeRoomModerator", false},
	} {
		routes = append(routes, Route{Verb: "POST", Path: k.prefix + "." + r.name, Tag: tag, Summary: "Give a member a role in the room, or take it back", Body: roomBody(who...), Twin: r.method, Do: g.role(k.t, r.role, r.on), Errors: append(notFound, "error-not-allowed")})
	}
	if k.t == chat.Group {
		return append(routes, Route{Verb: "GET", Path: "groups.list", Tag: tag, Summary: "The caller's groups", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
	}
	return append(routes,
		Route{Verb: "POST", Path: "channels.join", Tag: tag, Summary: "Become a member", Body: roomBody(may("joinCode", text())), Result: one, Twin: "joinRoom", Do: g.join, Errors: notFound},
		Route{Verb: "GET", Path: "channels.list", Tag: tag, Summary: "All channels, by name", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.channels},
		Route{Verb: "GET", Path: "channels.list.joined", Tag: tag, Summary: "The caller's channels", Query: paged(), Result: listed(k.many, roomSchema), Limit: chatLimit, Do: g.own(k)})
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
func (s *Server) room(ctx context.Context, r *Request, t string) (*chat.Room, bool, error) {
	id, name := r.param("roomId"), r.param("roomName")
	if t == chat.Direct && name == "" && id == "" {
		name = r.Query.Get("username")
	}
	switch {
	case id != "":
		room, member, err := s.o.Chat.Room(ctx, r.User, id)
		if err == nil && t != "" && room.Type != t {
			err = chat.ErrRoomNotFound
		}
		return room, member, err
	case name == "":
		return nil, false, errRoomParam
	}
	kinds := []string{t}
	if t == "" {
		kinds = []string{chat.Channel, chat.Group}
	}
	for _, t := range kinds {
		room, member, err := s.o.Chat.RoomByName(ctx, r.User, t, name)
		if !errors.Is(err, chat.ErrInvalidRoom) {
			return room, member, err
		}
	}
	return nil, false, chat.ErrRoomNotFound
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

func memberDoc(r *chat.Room) ejson.Doc { return r.Doc(true) }

func (g *chatRooms) info(name, t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, member, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		return field(name, room.Doc(member)), nil
	}
}

func (g *chatRooms) get(ctx context.Context, r *Request) (any, error) {
	since, err := r.since("updatedSince")
	if err != nil {
		return nil, err
	}
	rooms, gone, err := g.s.o.Chat.Rooms(ctx, r.User, since)
	return updates(docs(rooms, memberDoc), gone), err
}

func updates(update []any, gone []chat.Gone) ejson.Doc {
	return ejson.Doc{{Key: "update", Value: update}, {Key: "remove", Value: docs(gone, func(d chat.Gone) ejson.Doc { return d.Doc() })}}
}

func (g *chatRooms) subscriptions(ctx context.Context, r *Request) (any, error) {
	since, err := r.since("updatedSince")
	if err != nil {
		return nil, err
	}
	subs, gone, err := g.s.o.Chat.Subscriptions(ctx, r.User, since)
	return updates(docs(subs, func(s *chat.Subscription) ejson.Doc { return s.Doc() }), gone), err
}

func (g *chatRooms) subscription(ctx context.Context, r *Request) (any, error) {
	sub, err := g.s.o.Chat.Subscription(ctx, r.User, r.Query.Get("roomId"))
	if err != nil {
		return nil, err
	}
	if sub == nil {
		return field("subscription", nil), nil
	}
	return field("subscription", sub.Doc()), nil
}

func (g *chatRooms) read(ctx context.Context, r *Request) (any, error) {
	id := r.Text("rid")
	if id == "" {
		id = r.Text("roomId")
	}
	return nil, g.s.o.Chat.Read(ctx, r.User, id)
}

func (g *chatRooms) favorite(ctx context.Context, r *Request) (any, error) {
	room, _, err := g.s.room(ctx, r, "")
	if err == nil {
		_, err = g.s.o.Chat.Favorite(ctx, r.User, room.ID, r.Flag("favorite"))
	}
	return nil, err
}

func (g *chatRooms) open(t string, on bool) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err == nil {
			_, err = g.s.o.Chat.Open(ctx, r.User, room.ID, on)
		}
		return nil, err
	}
}

func (g *chatRooms) members(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		offset, count := r.Page()
		q := chat.MemberQuery{Offset: offset, Count: count, Filter: r.Query.Get("filter"), Online: r.Query.Get("status") == chat.Online}
		users, total, err := g.s.o.Chat.ListMembers(ctx, r.User, room.ID, q)
		return pageOf("members", docs(users, chat.MemberDoc), offset, total), err
	}
}

// messageDocs shows messages to the caller.
func messageDocs(r *Request, list []*chat.Message) []any {
	return docs(list, func(m *chat.Message) ejson.Doc { return m.Doc(r.User.ID) })
}

func (g *chatRooms) messages(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		return g.s.messagePage(ctx, r, chat.HistoryQuery{RoomID: room.ID})
	}
}

// messagePage answers a page of what q selects.
func (s *Server) messagePage(ctx context.Context, r *Request, q chat.HistoryQuery) (any, error) {
	q.Offset, q.Limit = r.Page()
	list, total, err := s.o.Chat.Page(ctx, r.User, q)
	return pageOf("messages", messageDocs(r, list), q.Offset, total), err
}

func (g *chatRooms) history(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		q := chat.HistoryQuery{RoomID: room.ID, Inclusive: r.Query.Get("inclusive") == "true"}
		if q.Before, err = r.since("latest"); err != nil {
			return nil, err
		}
		if q.After, err = r.since("oldest"); err != nil {
			return nil, err
		}
		q.Offset, q.Limit = r.Page()
		if r.Query.Get("count") == "" {
			q.Limit = chat.DefaultHistory
		}
		list, _, err := g.s.o.Chat.Page(ctx, r.User, q)
		return field("messages", messageDocs(r, list)), err
	}
}

func (g *chatRooms) counters(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		sub, err := g.s.o.Chat.Subscription(ctx, r.User, room.ID)
		if err != nil {
			return nil, err
		}
		d := ejson.Doc{{Key: "joined", Value: sub != nil}, {Key: "members", Value: room.Users}, {Key: "msgs", Value: room.Messages}}
		if sub == nil {
			return append(d, ejson.Field{Key: "unreads", Value: 0}), nil
		}
		return append(d, ejson.Field{Key: "unreads", Value: sub.Unread}, ejson.Field{Key: "userMentions", Value: sub.UserMentions}), nil
	}
}

// own lists the caller's rooms of one kind, by name.
func (g *chatRooms) own(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		rooms, _, err := g.s.o.Chat.Rooms(ctx, r.User, time.Time{})
		if err != nil {
			return nil, err
		}
		rooms = slices.DeleteFunc(rooms, func(x *chat.Room) bool { return x.Type != k.t })
		slices.SortFunc(rooms, func(a, b *chat.Room) int {
			return strings.Compare(a.NameKey+"\x00"+a.ID, b.NameKey+"\x00"+b.ID)
		})
		offset, count := r.Page()
		total := len(rooms)
		rooms = rooms[min(offset, total):]
		return pageOf(k.many, docs(rooms[:min(count, len(rooms))], memberDoc), offset, total), nil
	}
}

func (g *chatRooms) channels(ctx context.Context, r *Request) (any, error) {
	offset, count := r.Page()
	rooms, total, err := g.s.o.Chat.Channels(ctx, offset, count)
	return pageOf("channels", docs(rooms, func(x *chat.Room) ejson.Doc { return x.Doc(false) }), offset, total), err
}

func (g *chatRooms) create(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		n := chat.NewRoom{Type: k.t, Name: r.Text("name"), Usernames: texts(r.body.value["members"]), ReadOnly: r.Flag("readOnly")}
		if extra, ok := r.body.value["extraData"].(map[string]any); ok {
			n.Topic, _ = extra["topic"].(string)
		}
		room, err := g.s.o.Chat.Create(ctx, r.User, n)
		if err != nil {
			return nil, err
		}
		return field(k.one, room.Doc(true)), nil
	}
}

func (g *chatRooms) createDirect(ctx context.Context, r *Request) (any, error) {
	names := strings.FieldsFunc(r.Text("usernames"), func(c rune) bool { return c == ',' || c == ' ' })
	if one := r.Text("username"); one != "" {
		names = append(names, one)
	}
	if len(names) == 0 {
		return nil, errUserParam
	}
	room, err := g.s.o.Chat.CreateDirect(ctx, r.User, names)
	if err != nil {
		return nil, err
	}
	return field("room", append(room.Doc(true), ejson.Field{Key: "rid", Value: room.ID})), nil
}

func (g *chatRooms) roles(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		roles, err := g.s.o.Chat.Roles(ctx, r.User, room.ID)
		return field("roles", docs(roles, func(m chat.RoleMember) ejson.Doc {
			return ejson.Doc{{Key: "rid", Value: m.RoomID}, {Key: "u", Value: m.User.Doc()}, {Key: "roles", Value: m.Roles}}
		})), err
	}
}

// again answers a room as it is after a change.
func (g *chatRooms) again(ctx context.Context, r *Request, k kindOfRoom, room *chat.Room, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	member := false
	if now, in, err := g.s.o.Chat.Room(ctx, r.User, room.ID); err == nil {
		room, member = now, in
	} else if !errors.Is(err, chat.ErrRoomNotFound) {
		return nil, err
	}
	return field(k.one, room.Doc(member)), nil
}

func (g *chatRooms) join(ctx context.Context, r *Request) (any, error) {
	room, _, err := g.s.room(ctx, r, chat.Channel)
	if err != nil {
		return nil, err
	}
	_, err = g.s.o.Chat.Join(ctx, r.User, room.ID)
	return g.again(ctx, r, kindsOfRooms[0], room, err)
}

func (g *chatRooms) leave(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, k.t)
		if err != nil {
			return nil, err
		}
		return g.again(ctx, r, k, room, g.s.o.Chat.Leave(ctx, r.User, room.ID))
	}
}

// addressee finds the account that the body names by id or user name.
func (s *Server) addressee(ctx context.Context, r *Request) (*user.User, error) {
	if id := r.Text("userId"); id != "" {
		u, err := s.o.Accounts.User(ctx, id)
		if errors.Is(err, dberr.NotFound) {
			err = chat.ErrInvalidUser
		}
		return u, err
	}
	name := r.Text("username")
	if name == "" {
		name = r.Text("user")
	}
	if name == "" || strings.Contains(strings.TrimPrefix(name, "@"), "@") {
		return nil, errUserParam
	}
	u, err := s.o.Accounts.Find(ctx, strings.TrimPrefix(name, "@"))
	if errors.Is(err, dberr.NotFound) {
		err = chat.ErrInvalidUser
	}
	return u, err
}

func (g *chatRooms) invite(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, k.t)
		if err != nil {
			return nil, err
		}
		names := texts(r.body.value["usernames"])
		for _, id := range texts(r.body.value["userIds"]) {
			u, err := g.s.o.Accounts.User(ctx, id)
			if errors.Is(err, dberr.NotFound) {
				err = chat.ErrInvalidUser
			}
			if err != nil {
				return nil, err
			}
			names = append(names, u.Username)
		}
		if len(names) == 0 {
			u, err := g.s.addressee(ctx, r)
			if err != nil {
				return nil, err
			}
			names = []string{u.Username}
		}
		return g.again(ctx, r, k, room, g.s.o.Chat.Invite(ctx, r.User, room.ID, names))
	}
}

func (g *chatRooms) kick(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, k.t)
		if err != nil {
			return nil, err
		}
		u, err := g.s.addressee(ctx, r)
		if err != nil {
			return nil, err
		}
		return g.again(ctx, r, k, room, g.s.o.Chat.Remove(ctx, r.User, room.ID, u.Username))
	}
}

func (g *chatRooms) role(t, role string, on bool) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		u, err := g.s.addressee(ctx, r)
		if err != nil {
			return nil, err
		}
		return nil, g.s.o.Chat.SetRole(ctx, r.User, room.ID, u.ID, role, on)
	}
}
