package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// muteSpecs are the methods that keep people from writing.
func (g *roomCalls) muteSpecs() []methods.Spec {
	const errors = "error-invalid-room, error-not-allowed, error-invalid-room-type, error-invalid-user, error-user-not-in-room"
	return []methods.Spec{
		{
			Name: "muteUserInRoom", Do: g.mute(true), Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc: "Keeps a member of a channel or group from writing there.", Params: "{rid, username}", Result: "true", Errors: errors,
		},
		{
			Name: "unmuteUserInRoom", Do: g.mute(false), Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc: "Lets a member write again; in a read-only room, too.", Params: "{rid, username}", Result: "true", Errors: errors,
		},
		{
			Name: "blockUser", Do: g.block(true), Effects: methods.Rooms,
			Doc:    "Blocks the other side of a direct room of two: neither writes there.",
			Params: "{rid, blocked: userId}", Result: "true", Errors: "error-invalid-room",
		},
		{
			Name: "unblockUser", Action: "blockUser", Do: g.block(false), Effects: methods.Rooms,
			Doc:    "Takes that back.",
			Params: "{rid, blocked: userId}", Result: "true", Errors: "error-invalid-room",
		},
	}
}

func (g *roomCalls) mute(on bool) methods.Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var p oneUser
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		if err := g.byOffice(ctx, c, p.RoomID, permission.MuteUser); err != nil {
			return nil, err
		}
		return done(g.rooms.Mute(ctx, c.User, p.RoomID, p.Username, on))
	}
}

func (g *roomCalls) block(on bool) methods.Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var p struct {
			RoomID  string    `ejson:"rid"`
			Blocked string    `ejson:"blocked,optional"`
			Block   *bool     `ejson:"block"`
			Rest    ejson.Doc `ejson:",rest"`
		}
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		return done(g.rooms.Block(ctx, c.User, p.RoomID, p.Blocked, on && (p.Block == nil || *p.Block)))
	}
}

type (
	mutedMember struct {
		knownRoom
		Username string `json:"username,omitempty"`
		UserID   string `json:"userId,omitempty"`
	}
	blockBody struct {
		knownRoom
		Block bool `json:"block"`
	}
)

// muteRoutes are the routes that stand for them.
func (g *roomRoutes) muteRoutes() []rest.Route {
	const tag = "rooms"
	missing := []string{"error-user-param-not-provided"}
	routes := []rest.Route{
		{Verb: "POST", Path: "rooms.muteUser", Tag: tag, Summary: "Keep a member from writing", Body: schema.Of[mutedMember](), Method: "muteUserInRoom",
			Params: g.muted, Errors: missing},
		{Verb: "POST", Path: "rooms.unmuteUser", Tag: tag, Summary: "Let a member write again", Body: schema.Of[mutedMember](), Method: "unmuteUserInRoom",
			Params: g.muted, Errors: missing},
	}
	for _, kind := range []string{"im", "dm"} {
		routes = append(routes, rest.Route{Verb: "POST", Path: kind + ".blockUser", Tag: kind, Summary: "Block the other side of a direct room, or take that back",
			Body: schema.Of[blockBody](), Method: "blockUser", Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{ejson.Doc{{Key: "rid", Value: r.Text("roomId")}, {Key: "block", Value: r.Flag("block")}}}, nil
			}})
	}
	return routes
}

func (g *roomRoutes) muted(ctx context.Context, r *rest.Request) ([]any, error) {
	u, err := g.addressee(ctx, r)
	if err != nil {
		return nil, err
	}
	return []any{ejson.Doc{{Key: "rid", Value: r.Text("roomId")}, {Key: "username", Value: u.Username}}}, nil
}
