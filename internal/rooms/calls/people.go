package calls

import (
	"context"
	"slices"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// peopleSpecs are the methods about who is in a room as what.
func (g *roomCalls) peopleSpecs() []methods.Spec {
	return []methods.Spec{
		g.role("addRoomLeader", rooms.Leader, true, "Makes a member a leader of the room, which is shown and gives no rights."),
		g.role("removeRoomLeader", rooms.Leader, false, "Takes that back."),
		{
			Name: "addAllUserToRoom", Action: "addUsersToRoom", Do: g.addAll, Effects: methods.Rooms | methods.Others, Factor: twofactor.Ordinary,
			Permission: permission.AddAllToRoom,
			Doc:        "Adds every account to a channel or group, on a server of up to a thousand.",
			Params:     "rid, activeUsersOnly?", Result: "true",
			Errors: "error-invalid-room, error-not-allowed, error-cant-invite-for-direct-room, error-room-archived, error-user-limit-exceeded",
		},
		{
			Name: "getUserRoles", Do: g.offices, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Lists who has a role of the server beside the one that everybody has.", Result: "[{_id, username, roles}]", Errors: "-",
		},
	}
}

func (g *roomCalls) addAll(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var active *bool
	if err := c.Bind(&rid, &active); err != nil {
		return nil, err
	}
	return done(g.rooms.AddAll(ctx, c.User, rid, active != nil && *active))
}

func (g *roomCalls) offices(ctx context.Context, _ *rpc.Call) (any, error) {
	list, err := g.rooms.Offices(ctx)
	return docs(list, func(m rooms.RoleMember) ejson.Doc {
		return ejson.Doc{{Key: "_id", Value: m.User.ID}, {Key: "username", Value: m.User.Username}, {Key: "roles", Value: m.Roles}}
	}), err
}

type (
	addAllBody struct {
		roomNames
		// ActiveUsersOnly is a text in clients that once sent it in the query.
		ActiveUsersOnly switchOrText `json:"activeUsersOnly,omitempty"`
	}
	rankedQuery struct {
		membersQuery
	}
	rankedMember struct {
		member
		Roles      []string         `json:"roles,omitempty"`
		Membership rankedMembership `json:"subscription"`
	}
	rankedMembership struct {
		ID       string    `json:"_id"`
		JoinedAt time.Time `json:"ts"`
		Roles    []string  `json:"roles,omitempty"`
	}
	pageOfRanked struct {
		Members []rankedMember `json:"members"`
		rest.Extent
	}
	moderatorsAnswer struct {
		Moderators []userRef `json:"moderators"`
	}
)

// switchOrText is a switch as different clients send it.
type switchOrText struct{}

// JSONSchema says so.
func (switchOrText) JSONSchema() schema.Schema {
	return schema.Either(schema.Schema{"type": "boolean"}, schema.OneOf("true", "false"), schema.Schema{"type": "integer"})
}

// peopleOf are the routes about who is in channels and groups as what.
func (g *roomRoutes) peopleOf(k kindOfRoom) []rest.Route {
	if k.roomType == rooms.Direct {
		return nil
	}
	return []rest.Route{
		{Verb: "POST", Path: k.prefix + ".addAll", Tag: k.prefix, Summary: "Add every account", Body: schema.Of[addAllBody](), Result: k.answer(),
			Method: "addAllUserToRoom", Do: g.everybody(k), Errors: notFound},
		{Verb: "GET", Path: k.prefix + ".moderators", Tag: k.prefix, Summary: "The moderators of a room", Query: k.by.names(), Limit: chatLimit,
			Result: schema.Answer[moderatorsAnswer](), Effects: methods.Reads, Do: g.moderators(k.roomType), Errors: notFound},
	}
}

// ranked is the route of lists by role.
func (g *roomRoutes) ranked() rest.Route {
	return rest.Route{Verb: "GET", Path: "rooms.membersOrderedByRole", Tag: "rooms",
		Summary: "The members of a room of the caller's: owners, moderators, leaders, others",
		Query:   schema.Of[rankedQuery](), Result: schema.Answer[pageOfRanked](), Limit: chatLimit, Effects: methods.Reads, Do: g.byRole,
		Errors: append([]string{"not-authorized"}, notFound...)}
}

func (g *roomRoutes) everybody(k kindOfRoom) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, k.roomType)
		if err != nil {
			return nil, err
		}
		active := r.Value("activeUsersOnly")
		_, err = r.Run(ctx, room.ID, active == true || active == "true" || active == 1.0)
		return g.again(ctx, r, k, room, err)
	}
}

func (g *roomRoutes) moderators(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		list, err := g.rooms.Roles(ctx, r.User, room.ID)
		list = slices.DeleteFunc(list, func(m rooms.RoleMember) bool { return !slices.Contains(m.Roles, rooms.Moderator) })
		return field("moderators", anyDocs(list, func(m rooms.RoleMember) ejson.Doc { return m.User.Doc() })), err
	}
}

func (g *roomRoutes) byRole(ctx context.Context, r *rest.Request) (any, error) {
	room, _, err := g.room(ctx, r, "")
	if err != nil {
		return nil, err
	}
	offset, count := r.Page()
	q := rooms.MemberQuery{Offset: offset, Count: count, Filter: r.Query.Get("filter"), Statuses: r.Query.List("status")}
	list, total, err := g.rooms.MembersByRole(ctx, r.User, room.ID, q)
	return pageOf("members", anyDocs(list, rankedDoc), offset, total), err
}

// rankedDoc is a member with what it is in the room. Clients of some releases look for its roles
// in one place, of others in the other.
func rankedDoc(m rooms.RankedMember) ejson.Doc {
	d := rooms.MemberDoc(m.User)
	own := ejson.Doc{{Key: "_id", Value: m.Membership.ID}, {Key: "ts", Value: m.Membership.TS}}
	if len(m.Membership.Roles) > 0 {
		d = append(d, ejson.Field{Key: "roles", Value: m.Membership.Roles})
		own = append(own, ejson.Field{Key: "roles", Value: m.Membership.Roles})
	}
	return append(d, ejson.Field{Key: "subscription", Value: own})
}
