package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// finds serves messages that somebody looks for in a room.
type finds struct{ rooms *rooms.Service }

func (g *finds) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "getUserMentionsByChannel", Do: g.mentions, Effects: methods.Reads, Limit: ratelimit.Wide,
		Doc:    "Lists messages of a room in which the caller is mentioned by name, newest first: at most 200, 20 when no number is given.",
		Params: "{roomId, options?: {limit?}}", Result: "[message]", Errors: "error-not-allowed",
	}}
}

func (g *finds) mentions(ctx context.Context, c *rpc.Call) (any, error) {
	var in struct {
		RoomID  string `ejson:"roomId"`
		Options *struct {
			Limit *int      `ejson:"limit"`
			Rest  ejson.Doc `ejson:",rest"`
		} `ejson:"options"`
		Rest ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	list, _, err := g.rooms.Mentioned(ctx, c.User, in.RoomID, 0, value(value(in.Options).Limit))
	if err != nil {
		return nil, err
	}
	return docs(list, func(m *rooms.Message) ejson.Doc { return m.Doc(c.User.ID) }), nil
}

// findRoutes serves them over REST, and what was deleted.
type findRoutes struct{ *service }

type (
	deletedQuery struct {
		knownRoomPage
		Since string `json:"since" minLength:"1"`
	}
	pageOfDeleted struct {
		Messages []knownID `json:"messages"`
		rest.Extent
	}
	knownID struct {
		ID string `json:"_id"`
	}
)

// Routes lists them.
func (g *findRoutes) Routes() []rest.Route {
	const tag = "chat"
	return []rest.Route{
		{Verb: "GET", Path: "chat.getMentionedMessages", Tag: tag, Summary: "Messages of a room in which the caller is mentioned by name", Limit: chatLimit,
			Method: "getUserMentionsByChannel", Do: g.mentions, Query: schema.Of[knownRoomPage](), Result: schema.Answer[pageOfMessages]()},
		{Verb: "GET", Path: "chat.getDeletedMessages", Effects: methods.Reads, Tag: tag, Summary: "The ids of messages that were deleted in a room since a moment",
			Limit: chatLimit, Do: g.deleted, Query: schema.Of[deletedQuery](), Result: schema.Answer[pageOfDeleted](), Errors: []string{"error-not-allowed"}},
	}
}

func (g *findRoutes) mentions(ctx context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	list, total, err := g.rooms.Mentioned(ctx, r.User, r.Query.Get("roomId"), offset, count)
	return pageOf("messages", messageDocs(r, list), offset, total), err
}

func (g *findRoutes) deleted(ctx context.Context, r *rest.Request) (any, error) {
	since, err := r.Date("since")
	if err != nil {
		return nil, err
	}
	offset, count := r.Page()
	list, total, err := g.rooms.Deleted(ctx, r.User, r.Query.Get("roomId"), since, offset, count)
	return pageOf("messages", anyDocs(list, func(d rooms.Gone) ejson.Doc { return field("_id", d.ID) }), offset, total), err
}
