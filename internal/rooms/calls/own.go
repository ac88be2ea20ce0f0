package calls

import (
	"context"
	"strings"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// subscriptions serves the caller's own list of rooms, presence, and the events
// that clients publish themselves.
type subscriptions struct {
	rooms    *rooms.Service
	presence *rooms.Tracker
}

// errEvent answers an event that the caller may not publish (Rocket.Chat's
// streamer).
var errEvent = fault.New("not-allowed", "")

func (g *subscriptions) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "subscriptions/get", Do: g.get, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Lists the caller's memberships.",
			Params: "updatedAfter?: Date", Result: "[subscription], or {update, remove} for a Date", Errors: "400 Match failed",
		},
		{
			Name: "readMessages", Do: g.read, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Marks everything in a room as seen, its threads only with readThreads.",
			Params: "rid, readThreads?", Result: "none", Errors: "error-room-does-not-exist, error-not-allowed",
		},
		{
			Name: "openRoom", Do: g.open(true), Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc: "Shows a room in the caller's list.", Params: "rid", Result: "1 if that changed anything, else 0", Errors: "400 Match failed",
		},
		{
			Name: "hideRoom", Do: g.open(false), Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc: "Hides a room from the caller's list until a new message.", Params: "rid", Result: "1 if that changed anything, else 0", Errors: "400 Match failed",
		},
		{
			Name: "toggleFavorite", Do: g.favorite, Effects: methods.Rooms, Limit: ratelimit.Wide,
			Doc: "Marks a room in the caller's list.", Params: "rid, f?", Result: "1 if that changed anything, else 0", Errors: "error-invalid-subscription",
		},
		{
			Name: "stream-notify-room", Do: g.notifyRoom, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Publishes what the caller is doing in a room: <rid>/typing with a flag, or <rid>/user-activity with a list.",
			Params: "event, username, activity, extra?", Result: "none", Errors: "not-allowed",
		},
		{
			Name: "UserPresence:connect", Do: g.connect, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Nothing: who is logged in is connected.", Params: "any", Result: "none", Errors: "-",
		},
		{
			Name: "UserPresence:online", Do: g.here(rooms.Online), Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Says that the user is at this connection.", Params: "none", Result: "none", Errors: "-",
		},
		{
			Name: "UserPresence:away", Do: g.here(rooms.Away), Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Says that the user is not at this connection.", Params: "none", Result: "none", Errors: "-",
		},
		{
			Name: "UserPresence:setDefaultStatus", Action: "setUserStatus", Do: g.defaultStatus, Effects: methods.Profile,
			Doc: "Chooses what the user is shown as.", Params: "status", Result: "none", Errors: "error-invalid-status, error-status-not-allowed",
		},
		{
			Name: "setUserStatus", Do: g.status, Effects: methods.Profile,
			Doc:    "Chooses what the user is shown as, and the sentence beside it.",
			Params: "status?, text?", Result: "none", Errors: "error-invalid-status, error-status-not-allowed, error-not-allowed",
		},
	}
}

func (g *subscriptions) get(ctx context.Context, c *rpc.Call) (any, error) {
	from, err := since(c)
	if err != nil {
		return nil, err
	}
	changed, gone, err := g.rooms.Subscriptions(ctx, c.User, from)
	if err != nil {
		return nil, err
	}
	list := docs(changed, func(s *rooms.Subscription) ejson.Doc { return s.Doc() })
	if from.IsZero() {
		return list, nil
	}
	return update{Update: list, Remove: docs(gone, goneDoc)}, nil
}

func (g *subscriptions) read(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var threads *bool
	if err := c.Bind(&rid, &threads); err != nil {
		return nil, err
	}
	return nil, g.rooms.Read(ctx, c.User, rid, value(threads))
}

// count is how Rocket.Chat answers whether something changed.
func count(changed bool, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case changed:
		return 1, nil
	}
	return 0, nil
}

func (g *subscriptions) open(on bool) methods.Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var rid string
		if err := c.Bind(&rid); err != nil {
			return nil, err
		}
		return count(g.rooms.Open(ctx, c.User, rid, on))
	}
}

func (g *subscriptions) favorite(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var on *bool
	if err := c.Bind(&rid, &on); err != nil {
		return nil, err
	}
	return count(g.rooms.Favorite(ctx, c.User, rid, on == nil || *on))
}

// maxActivities bounds the list of what somebody is doing.
const maxActivities = 10

func (g *subscriptions) notifyRoom(ctx context.Context, c *rpc.Call) (any, error) {
	var event, username string
	var what any
	var extra *any
	if err := c.Bind(&event, &username, &what, &extra); err != nil {
		return nil, err
	}
	rid, name, _ := strings.Cut(event, "/")
	on := false
	var activity []string
	switch v := what.(type) {
	case bool:
		on = v
	case []any:
		for _, a := range v {
			s, ok := a.(string)
			if !ok || len(s) > 64 || len(activity) == maxActivities {
				return nil, fault.MatchFailed
			}
			activity = append(activity, s)
		}
	default:
		return nil, fault.MatchFailed
	}
	ok, err := g.rooms.Typing(ctx, c.User.ID, c.User.Username, rid, name, username, activity, on, c.Peer.Conn)
	if err == nil && !ok {
		err = errEvent
	}
	return nil, err
}

func (g *subscriptions) connect(context.Context, *rpc.Call) (any, error) { return nil, nil }

func (g *subscriptions) here(status string) methods.Handler {
	return func(_ context.Context, c *rpc.Call) (any, error) {
		if c.Peer.Door != rpc.REST { // a request is no connection
			g.presence.Set(c.User.ID, c.Peer.Conn, status)
		}
		return nil, nil
	}
}

func (g *subscriptions) defaultStatus(ctx context.Context, c *rpc.Call) (any, error) {
	var status string
	if err := c.Bind(&status); err != nil {
		return nil, err
	}
	if status == "" {
		return nil, rooms.ErrStatus
	}
	return nil, g.presence.SetStatus(ctx, c.User, status, nil)
}

func (g *subscriptions) status(ctx context.Context, c *rpc.Call) (any, error) {
	var status, sentence *string
	if err := c.Bind(&status, &sentence); err != nil {
		return nil, err
	}
	return nil, g.presence.SetStatus(ctx, c.User, value(status), sentence)
}
