package calls

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// roomCalls serves rooms and who is in them.
type roomCalls struct {
	rooms      *rooms.Service
	limiter    *ratelimit.Limiter
	challenger methods.Challenger
}

// byOffice asks for a second factor when the caller's right to act in the room
// comes from a role of the server alone. Whoever runs the room is asked nothing.
func (g *roomCalls) byOffice(ctx context.Context, c *rpc.Call, roomID string, permissions ...string) error {
	office, err := g.rooms.ByOffice(ctx, c.User, roomID, permissions...)
	return askOffice(ctx, c, g.challenger, office, err)
}

func (g *roomCalls) Specs() []methods.Spec {
	return append(slices.Concat(g.changeSpecs(), g.peopleSpecs(), g.muteSpecs()), []methods.Spec{
		{
			Name: "createChannel", Do: g.createChannel, Effects: methods.Rooms, Permission: permission.CreateChannels,
			Doc:    "Makes a public channel; the caller owns it.",
			Params: "name, usernames?, readOnly?, customFields?, extraData?", Result: "the room, with rid",
			Errors: "error-invalid-room-name, error-duplicate-channel-name, error-user-not-found, error-invalid-arguments",
		},
		{
			Name: "createPrivateGroup", Do: g.createGroup, Effects: methods.Rooms, Permission: permission.CreateGroups,
			Doc:    "Makes a private group; the caller owns it.",
			Params: "name, usernames?, readOnly?, customFields?, extraData?", Result: "the room, with rid",
			Errors: "error-invalid-room-name, error-duplicate-channel-name, error-user-not-found, error-invalid-arguments",
		},
		{
			Name: "createDirectMessage", Do: g.createDirect, Effects: methods.Rooms, Permission: permission.CreateDirect, Limit: ratelimit.Wide,
			Doc:    "Opens the direct room of the caller and these users; there is one for each set of users.",
			Params: "username, …", Result: "the room, with rid", Errors: "error-invalid-user, error-direct-message-max-user-exceeded",
		},
		{
			Name: "joinRoom", Do: g.join, Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc:    "Makes the caller a member of a public channel.",
			Params: "rid, code?", Result: "true",
			Errors: "error-invalid-room, error-not-allowed, error-room-archived, error-code-required, error-code-invalid, too-many-requests",
		},
		{
			Name: "leaveRoom", Do: g.leave, Effects: methods.Rooms,
			Doc:    "Ends the caller's membership of a channel or group.",
			Params: "rid", Result: "none", Errors: "error-invalid-room, error-user-not-in-room, error-you-are-last-owner, error-not-allowed",
		},
		{
			Name: "addUsersToRoom", Do: g.invite, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc:    "Adds users to a channel or group.",
			Params: "{rid, users: [username]}", Result: "true",
			Errors: "error-invalid-room, error-not-allowed, error-user-not-found, error-cant-invite-for-direct-room, error-room-archived, error-invalid-arguments",
		},
		{
			Name: "addUserToRoom", Action: "addUsersToRoom", Do: g.inviteOne, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc:    "Adds one user to a channel or group.",
			Params: "{rid, username}", Result: "true", Errors: "as addUsersToRoom",
		},
		{
			Name: "removeUserFromRoom", Do: g.remove, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc:    "Ends somebody else's membership of a channel or group.",
			Params: "{rid, username}", Result: "true",
			Errors: "error-not-allowed, error-invalid-user, error-user-not-in-room, error-you-are-last-owner",
		},
		g.role("addRoomOwner", rooms.Owner, true, "Makes a member an owner of the room."),
		g.role("removeRoomOwner", rooms.Owner, false, "Takes that back; the last owner stays."),
		g.role("addRoomModerator", rooms.Moderator, true, "Makes a member a moderator of the room."),
		g.role("removeRoomModerator", rooms.Moderator, false, "Takes that back."),
		{
			Name: "getRoomRoles", Do: g.roles, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists the members of a room that have a role in it.",
			Params: "rid", Result: "[{rid, u, roles}]", Errors: "error-room-not-found",
		},
		{
			Name: "rooms/get", Do: g.get, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists the caller's rooms.",
			Params: "updatedAfter?: Date", Result: "[room], or {update, remove} for a Date", Errors: "400 Match failed",
		},
		{
			Name: "getRoomByTypeAndName", Do: g.byName, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Finds a room of the caller's, or a public channel, by name or id; a direct room also by the other's user name.",
			Params: "type, name", Result: "the room", Errors: "error-invalid-room",
		},
		{
			Name: "getRoomIdByNameOrId", Do: g.idOf, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Finds a room of the caller's, or a public channel.",
			Params: "name or id", Result: "rid", Errors: "error-not-allowed",
		},
		{
			Name: "getRoomNameById", Do: g.nameOf, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Names a room of the caller's, or a public channel.",
			Params: "rid", Result: "name", Errors: "error-not-allowed",
		},
		{
			Name: "getUsersOfRoom", Do: g.members, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists the members of a room of the caller's, by user name: those who are not offline, or all.",
			Params: "rid, showAll?, {limit?, skip?}?, filter?", Result: "{total, records}", Errors: "error-room-not-found, not-authorized",
		},
	}...)
}

// withID is a room as createDirectMessage answers it, new or not.
func withID(r *rooms.Room) ejson.Doc {
	return append(ejson.Doc{{Key: "rid", Value: r.ID}}, r.Doc(true)...)
}

// inserted is a room as the calls answer it that have made it.
func inserted(r *rooms.Room) ejson.Doc {
	return append(ejson.Doc{{Key: "rid", Value: r.ID}, {Key: "inserted", Value: true}}, r.Doc(true)...)
}

func (g *roomCalls) createChannel(ctx context.Context, c *rpc.Call) (any, error) {
	return g.create(ctx, c, rooms.Channel)
}

func (g *roomCalls) createGroup(ctx context.Context, c *rpc.Call) (any, error) {
	return g.create(ctx, c, rooms.Group)
}

func (g *roomCalls) create(ctx context.Context, c *rpc.Call, t string) (any, error) {
	n := rooms.NewRoom{Type: t}
	var names *[]string
	var readOnly *bool
	var custom *ejson.Doc
	var extra *struct {
		Topic *string   `ejson:"topic"`
		Rest  ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&n.Name, &names, &readOnly, &custom, &extra); err != nil {
		return nil, err
	}
	if names != nil {
		n.Usernames = *names
	}
	n.ReadOnly = readOnly != nil && *readOnly
	if extra != nil && extra.Topic != nil {
		n.Topic = *extra.Topic
	}
	r, err := g.rooms.Create(ctx, c.User, n)
	if err != nil {
		return nil, err
	}
	return inserted(r), nil
}

func (g *roomCalls) createDirect(ctx context.Context, c *rpc.Call) (any, error) {
	var list ejson.Rest
	if err := c.Bind(&list); err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i, raw := range list {
		if err := ejson.Unmarshal(raw, &names[i]); err != nil {
			return nil, fault.MatchFailed.Because(err)
		}
	}
	r, err := g.rooms.CreateDirect(ctx, c.User, names)
	if err != nil {
		return nil, err
	}
	return withID(r), nil
}

func (g *roomCalls) join(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var code *any
	if err := c.Bind(&id, &code); err != nil {
		return nil, err
	}
	text := ""
	if code != nil {
		text, _ = (*code).(string)
	}
	if text != "" {
		if err := g.guess(c, id); err != nil {
			return nil, err
		}
	}
	_, err := g.rooms.Join(ctx, c.User, id, text)
	if err == nil && text != "" {
		g.limiter.Forget(guessKey(c, id))
	}
	return done(err)
}

// done answers true, as most of Rocket.Chat's calls do.
func done(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return true, nil
}

func (g *roomCalls) leave(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	return nil, g.rooms.Leave(ctx, c.User, id)
}

func (g *roomCalls) invite(ctx context.Context, c *rpc.Call) (any, error) {
	var p struct {
		RoomID string    `ejson:"rid"`
		Users  []string  `ejson:"users"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	return g.add(ctx, c, p.RoomID, p.Users)
}

// oneUser is the parameter that names a room and a user.
type oneUser struct {
	RoomID   string    `ejson:"rid"`
	Username string    `ejson:"username"`
	Rest     ejson.Doc `ejson:",rest"`
}

func (g *roomCalls) inviteOne(ctx context.Context, c *rpc.Call) (any, error) {
	var p oneUser
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	return g.add(ctx, c, p.RoomID, []string{p.Username})
}

func (g *roomCalls) add(ctx context.Context, c *rpc.Call, roomID string, usernames []string) (any, error) {
	if err := g.byOffice(ctx, c, roomID, permission.AddUserToRoom, permission.AddUserToAnyC, permission.AddUserToAnyP); err != nil {
		return nil, err
	}
	return done(g.rooms.Invite(ctx, c.User, roomID, usernames))
}

func (g *roomCalls) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var p oneUser
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if err := g.byOffice(ctx, c, p.RoomID, permission.RemoveUser); err != nil {
		return nil, err
	}
	return done(g.rooms.Remove(ctx, c.User, p.RoomID, p.Username))
}

// role is the line of a method that gives or takes a role in a room.
func (g *roomCalls) role(name, role string, on bool, doc string) methods.Spec {
	word := "error-user-not-"
	if on {
		word = "error-user-already-"
	}
	refusals := "error-invalid-room, error-not-allowed, error-user-not-in-room, " + word + role
	if role == rooms.Owner && !on {
		refusals += ", error-remove-last-owner"
	}
	return methods.Spec{
		Name: name, Doc: doc, Params: "rid, userId", Result: "true", Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
		Errors: refusals,
		Do: func(ctx context.Context, c *rpc.Call) (any, error) {
			var rid, uid string
			if err := c.Bind(&rid, &uid); err != nil {
				return nil, err
			}
			if err := g.byOffice(ctx, c, rid, rooms.MayGive(role)); err != nil {
				return nil, err
			}
			return done(g.rooms.SetRole(ctx, c.User, rid, uid, role, on))
		},
	}
}

func (g *roomCalls) roles(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	list, err := g.rooms.Roles(ctx, c.User, id)
	return docs(list, func(m rooms.RoleMember) ejson.Doc {
		return ejson.Doc{{Key: "_id", Value: m.ID}, {Key: "rid", Value: m.RoomID}, {Key: "u", Value: m.User.Doc()}, {Key: "roles", Value: m.Roles}}
	}), err
}

// docs makes a list of documents that is never null.
func docs[T any](list []T, doc func(T) ejson.Doc) []ejson.Doc {
	out := make([]ejson.Doc, len(list))
	for i, v := range list {
		out[i] = doc(v)
	}
	return out
}

// since is an optional Date; zero when there is none. Rocket.Chat ignores what
// is not a Date, and so do its clients count on it.
func since(c *rpc.Call) (time.Time, error) {
	var v *any
	if err := c.Bind(&v); err != nil || v == nil {
		return time.Time{}, err
	}
	if t, ok := (*v).(time.Time); ok {
		if t.IsZero() || t.Before(epoch) {
			t = epoch
		}
		return t, nil
	}
	return time.Time{}, nil
}

var epoch = time.UnixMilli(0).UTC()

func (g *roomCalls) get(ctx context.Context, c *rpc.Call) (any, error) {
	from, err := since(c)
	if err != nil {
		return nil, err
	}
	changed, gone, err := g.rooms.Rooms(ctx, c.User, from)
	if err != nil {
		return nil, err
	}
	rooms.FitRooms(changed)
	list := docs(changed, func(r *rooms.Room) ejson.Doc { return r.Doc(true) })
	if from.IsZero() {
		return list, nil
	}
	return update{Update: list, Remove: docs(gone, goneDoc)}, nil
}

func goneDoc(g rooms.Gone) ejson.Doc { return g.Doc() }

func (g *roomCalls) byName(ctx context.Context, c *rpc.Call) (any, error) {
	var t, name string
	if err := c.Bind(&t, &name); err != nil {
		return nil, err
	}
	r, member, err := g.rooms.RoomByName(ctx, c.User, t, name)
	if err != nil {
		return nil, err
	}
	return r.Doc(member), nil
}

// lookUp finds a channel or group by id or name.
func (g *roomCalls) lookUp(ctx context.Context, c *rpc.Call) (*rooms.Room, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	r, err := g.rooms.ByIDOrName(ctx, c.User, name)
	if errors.Is(err, rooms.ErrInvalidRoom) {
		err = fault.NotAllowed
	}
	return r, err
}

func (g *roomCalls) idOf(ctx context.Context, c *rpc.Call) (any, error) {
	r, err := g.lookUp(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.ID, nil
}

func (g *roomCalls) nameOf(ctx context.Context, c *rpc.Call) (any, error) {
	r, err := g.lookUp(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.Name, nil
}

// memberPage is what getUsersOfRoom answers.
type memberPage struct {
	Total   int         `json:"total"`
	Records []ejson.Doc `json:"records"`
}

func (g *roomCalls) members(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var all *bool
	var page *struct {
		Limit *int      `ejson:"limit"`
		Skip  *int      `ejson:"skip"`
		Rest  ejson.Doc `ejson:",rest"`
	}
	var filter *string
	if err := c.Bind(&id, &all, &page, &filter); err != nil {
		return nil, err
	}
	q := rooms.MemberQuery{Online: all == nil || !*all}
	if filter != nil {
		q.Filter = *filter
	}
	if page != nil {
		if page.Limit != nil {
			q.Count = *page.Limit
		}
		if page.Skip != nil {
			q.Offset = *page.Skip
		}
	}
	users, total, err := g.rooms.ListMembers(ctx, c.User, id, q)
	if err != nil {
		return nil, err
	}
	return memberPage{Total: total, Records: docs(users, rooms.MemberDoc)}, nil
}
