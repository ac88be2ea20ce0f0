package rest

import (
	"context"
	"errors"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

func (g *chatRooms) create(k kindOfRoom) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		n := rooms.NewRoom{Type: k.t, Name: r.Text("name"), Usernames: texts(r.body.value["members"]), ReadOnly: r.Flag("readOnly")}
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

// again answers a room as it is after a change.
func (g *chatRooms) again(ctx context.Context, r *Request, k kindOfRoom, room *rooms.Room, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	member := false
	if now, in, err := g.s.o.Chat.Room(ctx, r.User, room.ID); err == nil {
		room, member = now, in
	} else if !errors.Is(err, rooms.ErrRoomNotFound) {
		return nil, err
	}
	return field(k.one, room.Doc(member)), nil
}

func (g *chatRooms) join(ctx context.Context, r *Request) (any, error) {
	room, _, err := g.s.room(ctx, r, rooms.Channel)
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
			err = rooms.ErrInvalidUser
		}
		return u, err
	}
	name := r.Text("username")
	if name == "" {
		name = r.Text("user")
	}
	if name == "" {
		return nil, errUserParam
	}
	u, err := s.o.Accounts.Named(ctx, strings.TrimPrefix(name, "@"))
	if errors.Is(err, dberr.NotFound) {
		err = rooms.ErrInvalidUser
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
				err = rooms.ErrInvalidUser
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
		_, err = g.s.via(ctx, r, "addUsersToRoom", ejson.Doc{{Key: "rid", Value: room.ID}, {Key: "users", Value: names}})
		return g.again(ctx, r, k, room, err)
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
		_, err = g.s.via(ctx, r, "removeUserFromRoom", ejson.Doc{{Key: "rid", Value: room.ID}, {Key: "username", Value: u.Username}})
		return g.again(ctx, r, k, room, err)
	}
}

func (g *chatRooms) role(t, method string) func(context.Context, *Request) (any, error) {
	return func(ctx context.Context, r *Request) (any, error) {
		room, _, err := g.s.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		u, err := g.s.addressee(ctx, r)
		if err != nil {
			return nil, err
		}
		_, err = g.s.via(ctx, r, method, room.ID, u.ID)
		return nil, err
	}
}
