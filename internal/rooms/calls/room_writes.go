package calls

import (
	"context"
	"errors"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

func (g *roomRoutes) create(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		n := rooms.NewRoom{Type: k.roomType, Name: r.Text("name"), Usernames: r.Texts("members"), ReadOnly: r.Flag("readOnly")}
		if extra, ok := r.Value("extraData").(map[string]any); ok {
			n.Topic, _ = extra["topic"].(string)
		}
		room, err := g.rooms.Create(ctx, r.User, n)
		if err != nil {
			return nil, err
		}
		return field(k.one, room.Doc(true)), nil
	}
}

// createDirectParams are the user names that createDirectMessage takes.
func createDirectParams(_ context.Context, r *rest.Request) ([]any, error) {
	var names []any
	for _, name := range strings.FieldsFunc(r.Text("usernames"), func(c rune) bool { return c == ',' || c == ' ' }) {
		names = append(names, name)
	}
	if one := r.Text("username"); one != "" {
		names = append(names, one)
	}
	if len(names) == 0 {
		return nil, errUserParam
	}
	return names, nil
}

func roomShape(room any) (ejson.Doc, error) { return field("room", room), nil }

// again answers a room as it is after a change.
func (g *roomRoutes) again(ctx context.Context, r *rest.Request, k kindOfRoom, room *rooms.Room, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	member := false
	if now, in, err := g.rooms.Room(ctx, r.User, room.ID); err == nil {
		room, member = now, in
	} else if !errors.Is(err, rooms.ErrRoomNotFound) {
		return nil, err
	}
	return field(k.one, room.Doc(member)), nil
}

func (g *roomRoutes) join(ctx context.Context, r *rest.Request) (any, error) {
	room, _, err := g.room(ctx, r, rooms.Channel)
	if err != nil {
		return nil, err
	}
	_, err = r.Run(ctx, room.ID, r.Text("joinCode"))
	return g.again(ctx, r, kindsOfRooms[0], room, err)
}

func (g *roomRoutes) leave(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, k.roomType)
		if err != nil {
			return nil, err
		}
		_, err = r.Run(ctx, room.ID)
		return g.again(ctx, r, k, room, err)
	}
}

// addressee finds the account that the body names by id or user name.
func (g *service) addressee(ctx context.Context, r *rest.Request) (*user.User, error) {
	if id := r.Text("userId"); id != "" {
		u, err := g.accounts.User(ctx, id)
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
	u, err := g.accounts.Named(ctx, strings.TrimPrefix(name, "@"))
	if errors.Is(err, dberr.NotFound) {
		err = rooms.ErrInvalidUser
	}
	return u, err
}

func (g *roomRoutes) invite(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, k.roomType)
		if err != nil {
			return nil, err
		}
		names := r.Texts("usernames")
		for _, id := range r.Texts("userIds") {
			u, err := g.accounts.User(ctx, id)
			if errors.Is(err, dberr.NotFound) {
				err = rooms.ErrInvalidUser
			}
			if err != nil {
				return nil, err
			}
			names = append(names, u.Username)
		}
		if len(names) == 0 {
			u, err := g.addressee(ctx, r)
			if err != nil {
				return nil, err
			}
			names = []string{u.Username}
		}
		_, err = r.Run(ctx, ejson.Doc{{Key: "rid", Value: room.ID}, {Key: "users", Value: names}})
		return g.again(ctx, r, k, room, err)
	}
}

func (g *roomRoutes) kick(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, k.roomType)
		if err != nil {
			return nil, err
		}
		u, err := g.addressee(ctx, r)
		if err != nil {
			return nil, err
		}
		_, err = r.Run(ctx, ejson.Doc{{Key: "rid", Value: room.ID}, {Key: "username", Value: u.Username}})
		return g.again(ctx, r, k, room, err)
	}
}

// memberParams are those of a method about a room and somebody in it.
func (g *roomRoutes) memberParams(roomType string) func(context.Context, *rest.Request) ([]any, error) {
	return func(ctx context.Context, r *rest.Request) ([]any, error) {
		room, _, err := g.room(ctx, r, roomType)
		if err != nil {
			return nil, err
		}
		u, err := g.addressee(ctx, r)
		if err != nil {
			return nil, err
		}
		return []any{room.ID, u.ID}, nil
	}
}
