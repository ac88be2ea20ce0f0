package calls

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
)

// messageRoutes serves messages.
type messageRoutes struct{ *service }

var errNoMessage = fault.New("error-message-not-found", "The requested message was not found")

// Routes lists them.
func (g *messageRoutes) Routes() []rest.Route {
	const tag = "chat"
	one, page := schema.Answer[messageAnswer](), schema.Answer[pageOfMessages]()
	byID, inRoom := schema.Of[knownMessage](), schema.Of[knownRoomPage]()
	refusals := []string{"error-roomid-param-not-provided", "error-invalid-user", "error-direct-message-max-user-exceeded"}
	return []rest.Route{
		{Verb: "POST", Path: "chat.sendMessage", Tag: tag, Summary: "Post a message", Limit: chatLimit, Method: "sendMessage",
			Params: func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Value("message")}, nil }, Shape: messageShape,
			Body: schema.Of[newMessage](), Result: one},
		{Verb: "POST", Path: "chat.postMessage", Tag: tag, Summary: "Post a message to a room named by id, #name or @user", Limit: chatLimit, Method: "sendMessage",
			Effects: methods.Messages | methods.Rooms, Do: g.post, Body: schema.Of[posting](), Result: schema.Answer[posted](), Errors: refusals},
		{Verb: "POST", Path: "chat.update", Tag: tag, Summary: "Replace the text of a message", Limit: chatLimit, Method: "updateMessage", Do: g.update,
			Body: schema.Of[messageEdit](), Result: one, Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.delete", Tag: tag, Summary: "Delete a message for good", Limit: chatLimit, Method: "deleteMessage", Do: g.delete,
			Body: schema.Of[messageDeletion](), Result: schema.Answer[deletedMessage]()},
		{Verb: "GET", Path: "chat.getMessage", Tag: tag, Summary: "One message", Limit: chatLimit, Method: "getSingleMessage", Do: g.get,
			Query: schema.Of[messageQuery](), Result: one, Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.pinMessage", Tag: tag, Summary: "Pin a message", Limit: chatLimit, Method: "pinMessage", Params: messageParam,
			Shape: messageShape, Body: byID, Result: one},
		{Verb: "POST", Path: "chat.unPinMessage", Tag: tag, Summary: "Take a pin back", Limit: chatLimit, Method: "unpinMessage", Params: messageParam, Body: byID},
		{Verb: "POST", Path: "chat.starMessage", Tag: tag, Summary: "Mark a message for oneself", Limit: chatLimit, Method: "starMessage", Do: g.star(true),
			Body: byID, Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.unStarMessage", Tag: tag, Summary: "Take that back", Limit: chatLimit, Method: "starMessage", Do: g.star(false), Body: byID,
			Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.react", Tag: tag, Summary: "Answer a message with an emoji, take that back, or toggle it", Limit: chatLimit,
			Method: "setReaction", Params: reaction,
			Body: schema.Of[reactionBody](), Errors: []string{"error-emoji-param-not-provided"}},
		{Verb: "GET", Path: "chat.search", Effects: methods.Reads, Tag: tag, Summary: "Messages of a room that contain a text as it is written", Limit: chatLimit,
			Do: g.search, Query: schema.Of[searchQuery](), Result: schema.Answer[messageList](),
			Errors: []string{"error-room-not-found", "error-searchText-param-not-provided"}},
		{Verb: "GET", Path: "chat.syncMessages", Effects: methods.Reads, Tag: tag, Summary: "What was written, changed and deleted since a moment",
			Limit: chatLimit, Do: g.sync, Query: schema.Of[syncQuery](), Result: schema.Answer[syncAnswer](),
			Errors: []string{"error-room-not-found", "error-param-required", "error-type-param-required", "error-cursor-conflict",
				"error-cursor-and-lastUpdate-conflict"}},
		{Verb: "GET", Path: "chat.getPinnedMessages", Effects: methods.Reads, Tag: tag, Summary: "Pinned messages of a room", Limit: chatLimit, Do: g.marked(true),
			Query: inRoom, Result: page, Errors: []string{"error-room-not-found"}},
		{Verb: "GET", Path: "chat.getStarredMessages", Effects: methods.Reads, Tag: tag, Summary: "Messages of a room that the caller starred", Limit: chatLimit,
			Do: g.marked(false), Query: inRoom, Result: page, Errors: []string{"error-room-not-found"}},
	}
}

func messageParam(_ context.Context, r *rest.Request) ([]any, error) {
	return []any{field("_id", r.Text("messageId"))}, nil
}

func messageShape(result any) (ejson.Doc, error) { return field("message", result), nil }

// destination is a room that a request posts to, and how the request calls it.
type destination struct{ id, name string }

// destinations are the rooms that a request posts to. "@name" opens a direct room.
func (g *messageRoutes) destinations(ctx context.Context, r *rest.Request) ([]destination, error) {
	var to []destination
	for _, key := range []string{"roomId", "channel"} {
		names := r.Texts(key)
		if one := r.Text(key); one != "" {
			names = append(names, one)
		}
		for _, name := range names {
			id, err := g.destination(ctx, r, key, name)
			if err != nil {
				return nil, err
			}
			to = append(to, destination{id: id, name: name})
		}
	}
	if len(to) == 0 {
		return nil, errRoomParam
	}
	return to, nil
}

func (g *messageRoutes) destination(ctx context.Context, r *rest.Request, key, name string) (string, error) {
	svc := g.rooms
	switch {
	case strings.HasPrefix(name, "@"):
		if err := r.Challenge(ctx, "createDirectMessage"); err != nil {
			return "", err
		}
		room, err := svc.CreateDirect(ctx, r.User, []string{name})
		if err != nil {
			return "", err
		}
		return room.ID, nil
	case key == "roomId" && !strings.HasPrefix(name, "#"):
		return name, nil
	}
	name = strings.TrimPrefix(name, "#")
	room, err := svc.ByIDOrName(ctx, r.User, name)
	switch {
	case errors.Is(err, rooms.ErrInvalidRoom):
		return name, nil // which sending to it refuses
	case err != nil:
		return "", err
	}
	return room.ID, nil
}

func (g *messageRoutes) post(ctx context.Context, r *rest.Request) (any, error) {
	to, err := g.destinations(ctx, r)
	if err != nil {
		return nil, err
	}
	var in struct {
		Attachments *[]rooms.Attachment `ejson:"attachments"`
		_           struct{}            `ejson:",ignore"`
	}
	if err := r.Bind(&in); err != nil {
		return nil, err
	}
	var last any
	for _, room := range to {
		// What programs post stands alone unless they say otherwise.
		m := ejson.Doc{{Key: "rid", Value: room.id}, {Key: "msg", Value: r.Text("text") + r.Text("msg")}, {Key: "groupable", Value: r.Flag("groupable")}}
		for _, key := range []string{"alias", "emoji", "avatar"} {
			if v := r.Text(key); v != "" {
				m = append(m, ejson.Field{Key: key, Value: v})
			}
		}
		if r.Has("tmid") {
			m = append(m, ejson.Field{Key: "tmid", Value: r.Text("tmid")})
		}
		if r.Has("tshow") {
			m = append(m, ejson.Field{Key: "tshow", Value: r.Flag("tshow")})
		}
		if bot := r.Value("bot"); bot != nil {
			m = append(m, ejson.Field{Key: "bot", Value: bot})
		}
		if in.Attachments != nil {
			m = append(m, ejson.Field{Key: "attachments", Value: r.Value("attachments")})
		}
		// Through the method, so that its limit on posting counts here too.
		if last, err = r.Run(ctx, m); err != nil {
			return nil, err
		}
	}
	return ejson.Doc{{Key: "ts", Value: time.Now().UnixMilli()}, {Key: "channel", Value: to[len(to)-1].name}, {Key: "message", Value: last}}, nil
}

func (g *messageRoutes) update(ctx context.Context, r *rest.Request) (any, error) {
	edit := ejson.Doc{{Key: "_id", Value: r.Text("msgId")}, {Key: "rid", Value: r.Text("roomId")}, {Key: "msg", Value: r.Text("text")}}
	if _, err := r.Run(ctx, edit); err != nil {
		return nil, err
	}
	return g.message(ctx, r, r.Text("msgId"))
}

func (g *messageRoutes) delete(ctx context.Context, r *rest.Request) (any, error) {
	m, err := g.rooms.Message(ctx, r.User, r.Text("msgId"))
	if err != nil {
		return nil, err
	}
	if m == nil || m.RoomID != r.Text("roomId") {
		return nil, rooms.ErrDeleting
	}
	if _, err := r.Run(ctx, field("_id", m.ID)); err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "_id", Value: m.ID}, {Key: "ts", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}, {Key: "message", Value: m.Doc(r.User.ID)}}, nil
}

func (g *messageRoutes) get(ctx context.Context, r *rest.Request) (any, error) {
	return g.message(ctx, r, r.Query.Get("msgId"))
}

// message answers one message as the caller sees it.
func (g *messageRoutes) message(ctx context.Context, r *rest.Request, id string) (any, error) {
	m, err := g.rooms.Message(ctx, r.User, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNoMessage
	}
	return field("message", m.Doc(r.User.ID)), nil
}

func (g *messageRoutes) star(on bool) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		ok, err := g.rooms.Star(ctx, r.User, r.Text("messageId"), "", on)
		if err == nil && !ok {
			err = errNoMessage
		}
		return nil, err
	}
}

var errEmojiParam = fault.New("error-emoji-param-not-provided", `The required "emoji" param is missing`)

// reaction are the parameters of setReaction.
func reaction(_ context.Context, r *rest.Request) ([]any, error) {
	emoji := r.Text("emoji")
	if emoji == "" {
		emoji = r.Text("reaction")
	}
	if emoji == "" {
		return nil, errEmojiParam
	}
	params := []any{emoji, r.Text("messageId")}
	if r.Has("shouldReact") {
		params = append(params, r.Flag("shouldReact"))
	}
	return params, nil
}

func (g *messageRoutes) search(ctx context.Context, r *rest.Request) (any, error) {
	if r.Query.Get("searchText") == "" {
		return nil, errSearchParam
	}
	offset, count := r.Page()
	list, err := g.rooms.Search(ctx, r.User, r.Query.Get("roomId"), r.Query.Get("searchText"), offset, count)
	return field("messages", messageDocs(r, list)), err
}

func (g *messageRoutes) sync(ctx context.Context, r *rest.Request) (any, error) {
	kind := r.Query.Get("type")
	if kind != "" {
		return g.syncPage(ctx, r, kind)
	}
	switch {
	case r.Query.Get("next")+r.Query.Get("previous") != "":
		return nil, errTypeParam
	case r.Query.Get("lastUpdate") == "":
		return nil, errSyncParam
	}
	since, err := r.Date("lastUpdate")
	if err != nil {
		return nil, err
	}
	changed, gone, next, err := g.rooms.Sync(ctx, r.User, r.Query.Get("roomId"), since)
	result := syncDoc(r, changed, gone)
	if !next.IsZero() { // there is more: from this moment on
		result = append(result, ejson.Field{Key: "cursor", Value: ejson.Doc{{Key: "next", Value: next}, {Key: "previous", Value: nil}}})
	}
	return field("result", result), err
}

// The refusals of chat.syncMessages, in Rocket.Chat's words (7.1).
var (
	errTypeParam      = fault.New("error-type-param-required", `The "type" parameter is required when using the "next" or "previous" parameters`)
	errSyncParam      = fault.New("error-param-required", `The "type" or "lastUpdate" parameters must be provided`)
	errCursorConflict = fault.New("error-cursor-conflict", `You cannot provide both "next" and "previous" parameters`)
	errCursorAndDate  = fault.New("error-cursor-and-lastUpdate-conflict",
		`The attributes "next", "previous" and "lastUpdate" cannot be used together`)
)

// latestMillis is the last moment that a date of JavaScript can be.
const latestMillis = 8_640_000_000_000_000

// syncPage is one page of the changes or of the deletions. Its cursors are milliseconds
// since 1970, as Rocket.Chat's are, with which its mobile application begins too.
func (g *messageRoutes) syncPage(ctx context.Context, r *rest.Request, kind string) (any, error) {
	next, previous := r.Query.Get("next"), r.Query.Get("previous")
	switch {
	case next != "" && previous != "":
		return nil, errCursorConflict
	case r.Query.Get("lastUpdate") != "":
		return nil, errCursorAndDate
	}
	_, count := r.PageOf(rooms.DefaultSync)
	in := rooms.Span{Limit: count}
	for name, at := range map[string]*time.Time{"next": &in.After, "previous": &in.Before} {
		if text := r.Query.Get(name); text != "" {
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil || ms < 0 || ms > latestMillis {
				return nil, fault.New("error-invalid-params", "'"+name+"' must be milliseconds since 1970, such as 1790000000000")
			}
			*at = time.UnixMilli(ms).UTC()
		}
	}
	var changed []*rooms.Message
	var gone []rooms.Gone
	var c rooms.Cursor
	var err error
	if roomID := r.Query.Get("roomId"); kind == "DELETED" {
		gone, c, err = g.rooms.Deletions(ctx, r.User, roomID, in)
	} else {
		changed, c, err = g.rooms.Changes(ctx, r.User, roomID, in)
	}
	cursor := ejson.Doc{{Key: "next", Value: millis(c.Next)}, {Key: "previous", Value: millis(c.Previous)}}
	return field("result", append(syncDoc(r, changed, gone), ejson.Field{Key: "cursor", Value: cursor})), err
}

// millis is a cursor; null at the end.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func syncDoc(r *rest.Request, changed []*rooms.Message, gone []rooms.Gone) ejson.Doc {
	return ejson.Doc{
		{Key: "updated", Value: messageDocs(r, changed)},
		{Key: "deleted", Value: anyDocs(gone, func(d rooms.Gone) ejson.Doc { return d.Doc() })},
	}
}

func (g *messageRoutes) marked(pinned bool) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		q := rooms.HistoryQuery{RoomID: r.Query.Get("roomId"), Pinned: pinned}
		if !pinned {
			q.StarredBy = r.User.ID
		}
		return g.messagePage(ctx, r, q)
	}
}
