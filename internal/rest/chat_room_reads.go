package rest

import (
	"context"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rooms"
)

func memberDoc(r *rooms.Room) ejson.Doc { return r.Doc(true) }

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
	list, gone, err := g.s.o.Chat.Rooms(ctx, r.User, since)
	rooms.FitRooms(list)
	return updates(docs(list, memberDoc), gone), err
}

func updates(update []any, gone []rooms.Gone) ejson.Doc {
	return ejson.Doc{{Key: "update", Value: update}, {Key: "remove", Value: docs(gone, func(d rooms.Gone) ejson.Doc { return d.Doc() })}}
}

func (g *chatRooms) subscriptions(ctx context.Context, r *Request) (any, error) {
	since, err := r.since("updatedSince")
	if err != nil {
		return nil, err
	}
	subs, gone, err := g.s.o.Chat.Subscriptions(ctx, r.User, since)
	return updates(docs(subs, func(s *rooms.Subscription) ejson.Doc { return s.Doc() }), gone), err
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
		q := rooms.MemberQuery{Offset: offset, Count: count, Filter: r.Query.Get("filter"), Online: r.Query.Get("status") == rooms.Online}
		users, total, err := g.s.o.Chat.ListMembers(ctx, r.User, room.ID, q)
		return pageOf("members", docs(users, rooms.MemberDoc), offset, total), err
	}
}

// messageDocs shows messages to the caller.
func messageDocs(r *Request, list []*rooms.Message) []any {
	return docs(list, func(m *rooms.Message) ejson.Doc { return m.Doc(r.User.ID) })
}

func (g *chatRooms) messages(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		return g.s.messagePage(ctx, r, rooms.HistoryQuery{RoomID: room.ID})
	}
}

// messagePage answers a page of what q selects.
func (s *Server) messagePage(ctx context.Context, r *Request, q rooms.HistoryQuery) (any, error) {
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
		q := rooms.HistoryQuery{RoomID: room.ID, Inclusive: r.Query.Get("inclusive") == "true"}
		if q.Before, err = r.since("latest"); err != nil {
			return nil, err
		}
		if q.After, err = r.since("oldest"); err != nil {
			return nil, err
		}
		q.Offset, q.Limit = r.Page()
		if r.Query.Get("count") == "" {
			q.Limit = rooms.DefaultHistory
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
		list, _, err := g.s.o.Chat.Rooms(ctx, r.User, time.Time{})
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(x *rooms.Room) bool { return x.Type != k.t })
		slices.SortFunc(list, func(a, b *rooms.Room) int {
			return strings.Compare(a.NameKey+"\x00"+a.ID, b.NameKey+"\x00"+b.ID)
		})
		offset, count := r.Page()
		total := len(list)
		list = list[min(offset, total):]
		list = list[:min(count, len(list))]
		rooms.FitRooms(list)
		return pageOf(k.many, docs(list, memberDoc), offset, total), nil
	}
}

func (g *chatRooms) channels(ctx context.Context, r *Request) (any, error) {
	offset, count := r.Page()
	list, total, err := g.s.o.Chat.Channels(ctx, offset, count)
	return pageOf("channels", docs(list, func(x *rooms.Room) ejson.Doc { return x.Doc(false) }), offset, total), err
}

func (g *chatRooms) roles(t string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		roles, err := g.s.o.Chat.Roles(ctx, r.User, room.ID)
		return field("roles", docs(roles, func(m rooms.RoleMember) ejson.Doc {
			return ejson.Doc{{Key: "rid", Value: m.RoomID}, {Key: "u", Value: m.User.Doc()}, {Key: "roles", Value: m.Roles}}
		})), err
	}
}
