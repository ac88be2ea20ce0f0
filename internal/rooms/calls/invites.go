package calls

import (
	"context"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// invites serves links that let people into rooms.
type invites struct {
	rooms      *rooms.Service
	challenger methods.Challenger
}

const refusalsOfTokens = "error-invalid-token, error-invite-expired, error-invalid-room, error-room-archived"

func (g *invites) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "findOrCreateInvite", Do: g.find, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc: "Makes a link that lets whoever has it into a channel or group, or finds the caller's that counts still. days is 1, 0 (for ever), 7, 15 or 30, " +
				"maxUses 0 (any number), 5, 10, 25, 50 or 100; anything else is the first.",
			Params: "{rid, days?, maxUses?}", Result: "{_id, rid, userId, days, maxUses, uses, createdAt, _updatedAt, expires, url}",
			Errors: "error-invalid-room, error-not-allowed, error-room-archived, 400 Match failed",
		},
		{
			Name: "validateInviteToken", Anonymous: true, Do: g.check, Effects: methods.Reads,
			Doc: "Tells whether the token of a link lets somebody in.", Params: "token", Result: "true or false", Errors: "400 Match failed",
		},
		{
			Name: "useInviteToken", Action: "joinRoom", Do: g.use, Effects: methods.Rooms,
			Doc:    "Makes the caller a member of the room that the token of a link leads to. The maker of the link must still be one who may let people in.",
			Params: "token", Result: "{rid, t, name, fname}", Errors: refusalsOfTokens + ", error-invalid-user, 400 Match failed",
		},
		{
			Name: "listInvites", Do: g.list, Effects: methods.Reads, Permission: permission.CreateInviteLinks,
			Doc:    "Lists the links that there are, without what they are used by: at most 100.",
			Params: "{offset?, count?}?", Result: "[{_id, rid, userId, days, maxUses, uses, createdAt, _updatedAt, expires}]", Errors: "400 Match failed",
		},
		{
			Name: "removeInvite", Do: g.remove, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
			Doc:    "Takes a link back: the caller's own, or one of a room where the caller may make them.",
			Params: "_id", Result: "true", Errors: "invalid-invitation-id, 400 Match failed",
		},
	}
}

// inviteDoc is an invite as clients see it; link is left out where it is empty.
func inviteDoc(i *rooms.Invite, link string) ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: i.ID}, {Key: "rid", Value: i.RoomID}, {Key: "userId", Value: i.UserID}, {Key: "days", Value: i.Days},
		{Key: "maxUses", Value: i.MaxUses}, {Key: "uses", Value: i.Uses}, {Key: "createdAt", Value: i.CreatedAt}, {Key: "_updatedAt", Value: i.UpdatedAt}}
	if at := i.Expires(); at.IsZero() {
		d = append(d, ejson.Field{Key: "expires", Value: nil})
	} else {
		d = append(d, ejson.Field{Key: "expires", Value: at})
	}
	if link != "" {
		d = append(d, ejson.Field{Key: "url", Value: link})
	}
	return d
}

func (g *invites) find(ctx context.Context, c *rpc.Call) (any, error) {
	var in struct {
		RoomID string    `ejson:"rid"`
		Days   *int      `ejson:"days"`
		Uses   *int      `ejson:"maxUses"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	office, err := g.rooms.ByOffice(ctx, c.User, in.RoomID, permission.CreateInviteLinks)
	if err := askOffice(ctx, c, g.challenger, office, err); err != nil {
		return nil, err
	}
	days, uses := -1, -1
	if in.Days != nil {
		days = *in.Days
	}
	if in.Uses != nil {
		uses = *in.Uses
	}
	i, err := g.rooms.Invitation(ctx, c.User, in.RoomID, days, uses)
	if err != nil {
		return nil, err
	}
	return inviteDoc(i, g.rooms.InviteLink(i)), nil
}

func (g *invites) check(ctx context.Context, c *rpc.Call) (any, error) {
	var token string
	if err := c.Bind(&token); err != nil {
		return nil, err
	}
	_, _, err := g.rooms.CheckInvite(ctx, token)
	if _, refused := fault.From(err); refused && err != nil {
		return false, nil
	}
	return err == nil, err
}

func (g *invites) use(ctx context.Context, c *rpc.Call) (any, error) {
	var token string
	if err := c.Bind(&token); err != nil {
		return nil, err
	}
	r, err := g.rooms.UseInvite(ctx, c.User, token)
	if err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "rid", Value: r.ID}, {Key: "t", Value: r.Type}, {Key: "name", Value: r.Name}, {Key: "fname", Value: r.FName}}, nil
}

func (g *invites) list(ctx context.Context, c *rpc.Call) (any, error) {
	var page *struct {
		Offset *int      `ejson:"offset"`
		Count  *int      `ejson:"count"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	if err := c.Bind(&page); err != nil {
		return nil, err
	}
	offset, count := 0, maxListed
	if page != nil {
		offset = value(page.Offset)
		if n := value(page.Count); n > 0 && n < maxListed {
			count = n
		}
	}
	list, _, err := g.rooms.Invites(ctx, c.User, offset, count)
	return docs(list, func(i *rooms.Invite) ejson.Doc { return inviteDoc(i, "") }), err
}

func (g *invites) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	office, err := g.rooms.InviteByOffice(ctx, c.User, id)
	if err := askOffice(ctx, c, g.challenger, office, err); err != nil {
		return nil, err
	}
	return done(g.rooms.RemoveInvite(ctx, c.User, id))
}

// inviteRoutes serves them over REST.
type inviteRoutes struct{ *service }

type (
	inviteBody struct {
		RID     string `json:"rid" minLength:"1"`
		Days    int    `json:"days,omitempty"`
		MaxUses int    `json:"maxUses,omitempty"`
	}
	shownInvite struct {
		ID        string       `json:"_id"`
		RID       string       `json:"rid"`
		UserID    string       `json:"userId"`
		Days      int          `json:"days"`
		MaxUses   int          `json:"maxUses"`
		Uses      int          `json:"uses"`
		CreatedAt time.Time    `json:"createdAt"`
		UpdatedAt time.Time    `json:"_updatedAt"`
		Expires   momentOrNone `json:"expires"`
		URL       string       `json:"url,omitempty"`
	}
	inviteAnswer struct{ shownInvite }
	tokenBody    struct {
		Token string `json:"token" minLength:"1"`
	}
	validAnswer struct {
		Valid bool `json:"valid"`
	}
	usedAnswer struct {
		Room usedRoom `json:"room"`
	}
	usedRoom struct {
		RID   string     `json:"rid"`
		Type  typeOfRoom `json:"t"`
		Name  string     `json:"name,omitempty"`
		FName string     `json:"fname,omitempty"`
	}
	pageOfInvites struct {
		Invites []shownInvite `json:"invites"`
		rest.Extent
	}
)

// momentOrNone is a date, or null.
type momentOrNone struct{}

// JSONSchema says so.
func (momentOrNone) JSONSchema() schema.Schema {
	return schema.Schema{"type": []any{"string", "null"}}.About("a date; null for never")
}

// tokenLimit is for those who hold a link, and too little for those who guess.
var tokenLimit = ratelimit.Rule{Count: 30, Window: time.Minute}

// Routes lists them.
func (g *inviteRoutes) Routes() []rest.Route {
	const tag = "invites"
	whole := func(result any) (ejson.Doc, error) { d, _ := result.(ejson.Doc); return d, nil }
	token := func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Text("token")}, nil }
	return []rest.Route{
		{Verb: "POST", Path: "findOrCreateInvite", Tag: tag, Summary: "Make a link that lets people into a room, or find it", Method: "findOrCreateInvite",
			Body: schema.Of[inviteBody](), Result: schema.Answer[inviteAnswer](), Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{ejson.Doc{{Key: "rid", Value: r.Text("rid")}, {Key: "days", Value: r.Value("days")}, {Key: "maxUses", Value: r.Value("maxUses")}}}, nil
			}, Shape: whole},
		{Verb: "POST", Path: "validateInviteToken", Tag: tag, Summary: "Whether a link lets somebody in", Method: "validateInviteToken", Limit: tokenLimit,
			Body: schema.Of[tokenBody](), Result: schema.Answer[validAnswer](), Params: token,
			Shape: func(result any) (ejson.Doc, error) { return field("valid", result), nil }},
		{Verb: "POST", Path: "useInviteToken", Tag: tag, Summary: "Become a member of the room that a link leads to", Method: "useInviteToken", Limit: tokenLimit,
			Body: schema.Of[tokenBody](), Result: schema.Answer[usedAnswer](), Params: token,
			Shape: func(result any) (ejson.Doc, error) { return field("room", result), nil }},
		{Verb: "GET", Path: "listInvites", Tag: tag, Summary: "The links that there are", Method: "listInvites", Do: g.list,
			Query: schema.Of[rest.Page](), Result: schema.Answer[pageOfInvites]()},
		{Verb: "DELETE", Path: "removeInvite/:_id", Tag: tag, Summary: "Take a link back", Method: "removeInvite",
			Params: func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Segment("_id")}, nil }},
	}
}

func (g *inviteRoutes) list(ctx context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	list, total, err := g.rooms.Invites(ctx, r.User, offset, count)
	return pageOf("invites", anyDocs(list, func(i *rooms.Invite) ejson.Doc { return inviteDoc(i, "") }), offset, total), err
}
