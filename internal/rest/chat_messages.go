package rest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/rooms"
)

// chatMessages serves messages.
type chatMessages struct{ s *Server }

var errNoMessage = fault.New("error-message-not-found", "The requested message was not found")

// Routes lists them.
func (g *chatMessages) Routes() []Route {
	const tag = "chat"
	one := success(must("message", messageSchema))
	byID := object(must("messageId", nonEmpty()))
	attachments := may("attachments", list(object()))
	sent := object(must("rid", nonEmpty()), may("_id", text()), may("msg", text()), may("alias", text()), may("emoji", text()), may("avatar", text()), attachments, may("tmid", text()))
	refusals := []string{"error-invalid-room", "error-not-allowed", "error-message-size-exceeded", "error-invalid-message", "error-action-not-allowed", "error-too-many-requests"}
	found := success(must("messages", list(messageSchema)))
	return []Route{
		{Verb: "POST", Path: "chat.sendMessage", Tag: tag, Summary: "Post a message", Limit: chatLimit, Method: "sendMessage", Params: func(r *Request) []any { return []any{r.body.value["message"]} }, Shape: messageShape,
			Body: object(must("message", sent), may("previewUrls", list(text()))), Result: one, Errors: refusals},
		{Verb: "POST", Path: "chat.postMessage", Tag: tag, Summary: "Post a message to a room named by id, #name or @user", Limit: chatLimit, Twin: "sendMessage", Effects: methods.Messages | methods.Rooms, Do: g.post,
			Body:   object(may("roomId", either(text(), list(text()))), may("channel", either(text(), list(text()))), may("text", text()), may("msg", text()), may("alias", text()), may("emoji", text()), may("avatar", text()), may("groupable", boolean()), may("bot", anything()), attachments),
			Result: success(must("ts", integer()), must("channel", text()), must("message", messageSchema)), Errors: refusals},
		{Verb: "POST", Path: "chat.update", Tag: tag, Summary: "Replace the text of a message", Limit: chatLimit, Twin: "updateMessage", Do: g.update,
			Body: object(must("roomId", nonEmpty()), must("msgId", nonEmpty()), must("text", text()), may("previewUrls", list(text()))), Result: one, Errors: []string{"error-action-not-allowed", "error-message-editing-blocked", "error-message-size-exceeded"}},
		{Verb: "POST", Path: "chat.delete", Tag: tag, Summary: "Delete a message for good", Limit: chatLimit, Twin: "deleteMessage", Do: g.delete,
			Body: object(must("msgId", nonEmpty()), must("roomId", nonEmpty()), may("asUser", boolean())), Result: success(must("_id", text()), must("ts", text()), must("message", messageSchema)), Errors: []string{"error-action-not-allowed"}},
		{Verb: "GET", Path: "chat.getMessage", Tag: tag, Summary: "One message", Limit: chatLimit, Twin: "getSingleMessage", Do: g.get, Query: object(must("msgId", nonEmpty())), Result: one, Errors: []string{"error-message-not-found", "error-not-allowed"}},
		{Verb: "POST", Path: "chat.pinMessage", Tag: tag, Summary: "Pin a message", Limit: chatLimit, Method: "pinMessage", Params: messageParam, Shape: messageShape, Body: byID, Result: one, Errors: []string{"error-invalid-message", "not-authorized", "error-action-not-allowed"}},
		{Verb: "POST", Path: "chat.unPinMessage", Tag: tag, Summary: "Take a pin back", Limit: chatLimit, Method: "unpinMessage", Params: messageParam, Body: byID, Errors: []string{"error-invalid-message", "not-authorized", "error-action-not-allowed"}},
		{Verb: "POST", Path: "chat.starMessage", Tag: tag, Summary: "Mark a message for oneself", Limit: chatLimit, Twin: "starMessage", Do: g.star(true), Body: byID, Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.unStarMessage", Tag: tag, Summary: "Take that back", Limit: chatLimit, Twin: "starMessage", Do: g.star(false), Body: byID, Errors: []string{"error-message-not-found"}},
		{Verb: "POST", Path: "chat.react", Tag: tag, Summary: "Answer a message with an emoji, take that back, or toggle it", Limit: chatLimit, Twin: "setReaction", Do: g.react,
			Body: object(must("messageId", nonEmpty()), may("emoji", text()), may("reaction", text()), may("shouldReact", boolean())), Errors: []string{"error-not-allowed", "error-emoji-param-not-provided"}},
		{Verb: "GET", Path: "chat.search", Effects: methods.Reads, Tag: tag, Summary: "Messages of a room that contain a text as it is written", Limit: chatLimit, Do: g.search, Query: paged(must("roomId", nonEmpty()), may("searchText", text())), Result: found, Errors: []string{"error-room-not-found"}},
		{Verb: "GET", Path: "chat.syncMessages", Effects: methods.Reads, Tag: tag, Summary: "What was written, changed and deleted since a moment", Limit: chatLimit, Do: g.sync, Query: object(must("roomId", nonEmpty()), must("lastUpdate", nonEmpty())),
			Result: success(must("result", object(must("updated", list(messageSchema)), must("deleted", list(goneSchema)), may("cursor", object(must("next", dateTime())))))), Errors: []string{"error-room-not-found", "error-invalid-params"}},
		{Verb: "GET", Path: "chat.getPinnedMessages", Effects: methods.Reads, Tag: tag, Summary: "Pinned messages of a room", Limit: chatLimit, Do: g.marked(true), Query: paged(must("roomId", nonEmpty())), Result: listed("messages", messageSchema), Errors: []string{"error-room-not-found"}},
		{Verb: "GET", Path: "chat.getStarredMessages", Effects: methods.Reads, Tag: tag, Summary: "Messages of a room that the caller starred", Limit: chatLimit, Do: g.marked(false), Query: paged(must("roomId", nonEmpty())), Result: listed("messages", messageSchema), Errors: []string{"error-room-not-found"}},
	}
}

func messageParam(r *Request) []any { return []any{field("_id", r.Text("messageId"))} }

func messageShape(result any) (ejson.Doc, error) { return field("message", result), nil }

// destination is a room that a request posts to, and how the request calls it.
type destination struct{ id, name string }

// destinations are the rooms that a request posts to. "@name" opens a direct room.
func (g *chatMessages) destinations(ctx context.Context, r *Request) ([]destination, error) {
	var to []destination
	for _, key := range []string{"roomId", "channel"} {
		names := texts(r.body.value[key])
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

func (g *chatMessages) destination(ctx context.Context, r *Request, key, name string) (string, error) {
	svc := g.s.o.Chat
	switch {
	case strings.HasPrefix(name, "@"):
		if err := g.s.o.Router.ChallengeActions(ctx, r.Call, "createDirectMessage"); err != nil {
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
	for _, t := range []string{rooms.Channel, rooms.Group} {
		if room, _, err := svc.RoomByName(ctx, r.User, t, name); err == nil {
			return room.ID, nil
		}
	}
	return name, nil
}

func (g *chatMessages) post(ctx context.Context, r *Request) (any, error) {
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
	send, _ := g.s.method("sendMessage")
	var last any
	for _, room := range to {
		// What programs post stands alone unless they say otherwise.
		m := ejson.Doc{{Key: "rid", Value: room.id}, {Key: "msg", Value: r.Text("text") + r.Text("msg")}, {Key: "groupable", Value: r.Flag("groupable")}}
		for _, key := range []string{"alias", "emoji", "avatar"} {
			if v := r.Text(key); v != "" {
				m = append(m, ejson.Field{Key: key, Value: v})
			}
		}
		if bot, ok := r.body.value["bot"]; ok {
			m = append(m, ejson.Field{Key: "bot", Value: bot})
		}
		if in.Attachments != nil {
			m = append(m, ejson.Field{Key: "attachments", Value: r.body.value["attachments"]})
		}
		// Through the method, so that its limit on posting counts here too.
		params, err := ejson.Append(nil, []any{m})
		if err != nil {
			return nil, err
		}
		r.Call.Params = params
		if last, err = send.Do(ctx, r.Call); err != nil {
			return nil, err
		}
	}
	return ejson.Doc{{Key: "ts", Value: time.Now().UnixMilli()}, {Key: "channel", Value: to[len(to)-1].name}, {Key: "message", Value: last}}, nil
}

func (g *chatMessages) update(ctx context.Context, r *Request) (any, error) {
	edit := ejson.Doc{{Key: "_id", Value: r.Text("msgId")}, {Key: "rid", Value: r.Text("roomId")}, {Key: "msg", Value: r.Text("text")}}
	if _, err := g.s.via(ctx, r, "updateMessage", edit); err != nil {
		return nil, err
	}
	return g.message(ctx, r, r.Text("msgId"))
}

func (g *chatMessages) delete(ctx context.Context, r *Request) (any, error) {
	m, err := g.s.o.Chat.Message(ctx, r.User, r.Text("msgId"))
	if err != nil {
		return nil, err
	}
	if m == nil || m.RoomID != r.Text("roomId") {
		return nil, rooms.ErrDeleting
	}
	if _, err := g.s.via(ctx, r, "deleteMessage", field("_id", m.ID)); err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "_id", Value: m.ID}, {Key: "ts", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}, {Key: "message", Value: m.Doc(r.User.ID)}}, nil
}

func (g *chatMessages) get(ctx context.Context, r *Request) (any, error) {
	return g.message(ctx, r, r.Query.Get("msgId"))
}

// message answers one message as the caller sees it.
func (g *chatMessages) message(ctx context.Context, r *Request, id string) (any, error) {
	m, err := g.s.o.Chat.Message(ctx, r.User, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNoMessage
	}
	return field("message", m.Doc(r.User.ID)), nil
}

func (g *chatMessages) star(on bool) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		ok, err := g.s.o.Chat.Star(ctx, r.User, r.Text("messageId"), "", on)
		if err == nil && !ok {
			err = errNoMessage
		}
		return nil, err
	}
}

var errEmojiParam = fault.New("error-emoji-param-not-provided", `The required "emoji" param is missing`)

func (g *chatMessages) react(ctx context.Context, r *Request) (any, error) {
	emoji := r.Text("emoji")
	if emoji == "" {
		emoji = r.Text("reaction")
	}
	if emoji == "" {
		return nil, errEmojiParam
	}
	var on *bool
	if r.Has("shouldReact") {
		v := r.Flag("shouldReact")
		on = &v
	}
	return nil, g.s.o.Chat.React(ctx, r.User, r.Text("messageId"), emoji, on)
}

func (g *chatMessages) search(ctx context.Context, r *Request) (any, error) {
	if r.Query.Get("searchText") == "" {
		return nil, errSearchParam
	}
	offset, count := r.Page()
	list, err := g.s.o.Chat.Search(ctx, r.User, r.Query.Get("roomId"), r.Query.Get("searchText"), offset, count)
	return field("messages", messageDocs(r, list)), err
}

func (g *chatMessages) sync(ctx context.Context, r *Request) (any, error) {
	since, err := r.since("lastUpdate")
	if err != nil {
		return nil, err
	}
	changed, gone, next, err := g.s.o.Chat.Sync(ctx, r.User, r.Query.Get("roomId"), since)
	result := ejson.Doc{
		{Key: "updated", Value: messageDocs(r, changed)},
		{Key: "deleted", Value: docs(gone, func(d rooms.Gone) ejson.Doc { return d.Doc() })},
	}
	if !next.IsZero() { // there is more: from this moment on
		result = append(result, ejson.Field{Key: "cursor", Value: field("next", next)})
	}
	return field("result", result), err
}

func (g *chatMessages) marked(pinned bool) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		q := rooms.HistoryQuery{RoomID: r.Query.Get("roomId"), Pinned: pinned}
		if !pinned {
			q.StarredBy = r.User.ID
		}
		return g.s.messagePage(ctx, r, q)
	}
}
