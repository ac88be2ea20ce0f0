package calls

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
)

func memberDoc(r *rooms.Room) ejson.Doc { return r.Doc(true) }

func (g *roomRoutes) info(name, t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, member, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		return field(name, room.Doc(member)), nil
	}
}

func (g *roomRoutes) get(ctx context.Context, r *rest.Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	list, gone, err := g.rooms.Rooms(ctx, r.User, since)
	rooms.FitRooms(list)
	return updates(anyDocs(list, memberDoc), gone), err
}

func updates(update []any, gone []rooms.Gone) ejson.Doc {
	return ejson.Doc{{Key: "update", Value: update}, {Key: "remove", Value: anyDocs(gone, func(d rooms.Gone) ejson.Doc { return d.Doc() })}}
}

func (g *roomRoutes) subscriptions(ctx context.Context, r *rest.Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	subs, gone, err := g.rooms.Subscriptions(ctx, r.User, since)
	return updates(anyDocs(subs, func(s *rooms.Subscription) ejson.Doc { return s.Doc() }), gone), err
}

func (g *roomRoutes) subscription(ctx context.Context, r *rest.Request) (any, error) {
	sub, err := g.rooms.Subscription(ctx, r.User, r.Query.Get("roomId"))
	if err != nil {
		return nil, err
	}
	if sub == nil {
		return field("subscription", nil), nil
	}
	return field("subscription", sub.Doc()), nil
}

// readParams are those of readMessages, which knows the room by either name.
func readParams(_ context.Context, r *rest.Request) ([]any, error) {
	return []any{cmp.Or(r.Text("rid"), r.Text("roomId")), r.Flag("readThreads")}, nil
}

// favorite are the parameters of toggleFavorite.
func (g *roomRoutes) favorite(ctx context.Context, r *rest.Request) ([]any, error) {
	params, err := g.roomID("")(ctx, r)
	return append(params, r.Flag("favorite")), err
}

// roomID are the parameters of a method about the room that a request names.
func (g *roomRoutes) roomID(roomType string) func(context.Context, *rest.Request) ([]any, error) {
	return func(ctx context.Context, r *rest.Request) ([]any, error) {
		room, _, err := g.room(ctx, r, roomType)
		if err != nil {
			return nil, err
		}
		return []any{room.ID}, nil
	}
}

func (g *roomRoutes) members(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		offset, count := r.Page()
		q := rooms.MemberQuery{Offset: offset, Count: count, Filter: r.Query.Get("filter"), Statuses: r.Query.List("status"), Matching: true}
		users, total, err := g.rooms.ListMembers(ctx, r.User, room.ID, q)
		return pageOf("members", anyDocs(users, rooms.MemberDoc), offset, total), err
	}
}

// messageDocs shows messages to the caller.
func messageDocs(r *rest.Request, list []*rooms.Message) []any {
	return anyDocs(list, func(m *rooms.Message) ejson.Doc { return m.Doc(r.User.ID) })
}

func (g *roomRoutes) messages(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		q := rooms.HistoryQuery{RoomID: room.ID}
		if err := threadIn(r.Query.Get("query"), &q); err != nil {
			return nil, err
		}
		return g.messagePage(ctx, r, q)
	}
}

// messagePage answers a page of what q selects.
func (g *service) messagePage(ctx context.Context, r *rest.Request, q rooms.HistoryQuery) (any, error) {
	q.Offset, q.Limit = r.Page()
	list, total, err := g.rooms.Page(ctx, r.User, q)
	return pageOf("messages", messageDocs(r, list), q.Offset, total), err
}

func (g *roomRoutes) history(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		q := rooms.HistoryQuery{RoomID: room.ID, Inclusive: r.Query.Get("inclusive") == "true", Main: r.Query.Get("showThreadMessages") == "false"}
		if q.Before, err = r.Date("latest"); err != nil {
			return nil, err
		}
		if q.After, err = r.Date("oldest"); err != nil {
			return nil, err
		}
		q.Offset, q.Limit = r.PageOf(rooms.DefaultHistory)
		list, _, err := g.rooms.Page(ctx, r.User, q)
		return field("messages", messageDocs(r, list)), err
	}
}

func (g *roomRoutes) counters(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		sub, err := g.rooms.Subscription(ctx, r.User, room.ID)
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
func (g *roomRoutes) own(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		list, _, err := g.rooms.Rooms(ctx, r.User, time.Time{})
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(x *rooms.Room) bool { return x.Type != k.roomType })
		slices.SortFunc(list, func(a, b *rooms.Room) int {
			return strings.Compare(a.NameKey+"\x00"+a.ID, b.NameKey+"\x00"+b.ID)
		})
		offset, count := r.Page()
		total := len(list)
		list = list[min(offset, total):]
		list = list[:min(count, len(list))]
		rooms.FitRooms(list)
		return pageOf(k.many, anyDocs(list, memberDoc), offset, total), nil
	}
}

func (g *roomRoutes) channels(ctx context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	list, total, err := g.rooms.Channels(ctx, offset, count)
	return pageOf("channels", anyDocs(list, func(x *rooms.Room) ejson.Doc { return x.Doc(false) }), offset, total), err
}

func rolesShape(list any) (ejson.Doc, error) { return field("roles", list), nil }
