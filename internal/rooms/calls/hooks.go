package calls

import (
	"cmp"
	"context"
	"strings"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// hooks serves those who manage incoming webhooks. Each of these calls asks for a fresh factor:
// whoever has the address of a hook writes as its user, for as long as it stands.
type hooks struct {
	rooms *rooms.Service
	audit audit.Recorder
}

func (g *hooks) Specs() []methods.Spec {
	const fields = "{type: \"webhook-incoming\", name, enabled, username, channel, alias?, emoji?, avatar?, overrideDestinationChannelEnabled?, scriptEnabled}"
	const refusals = "error-unauthorized, error-invalid-integration-type, error-invalid-script, error-invalid-channel, " +
		"error-invalid-channel-start-with-chars, error-invalid-username, error-invalid-integration, error-invalid-message"
	return []methods.Spec{{
		Name: "addIncomingIntegration", Do: g.add, Effects: methods.Tokens, Factor: twofactor.Fresh,
		Doc: "Makes an incoming webhook: an address at which a program posts as a user. Its token is shown in this answer and never again. " +
			"Who may manage his own alone has it write as himself.",
		Params: fields, Result: "the integration, with token", Errors: refusals,
	}, {
		Name: "updateIncomingIntegration", Do: g.update, Effects: methods.Tokens, Factor: twofactor.Fresh,
		Doc: "Changes an incoming webhook; what is left out stays.", Params: "integrationId, " + fields, Result: "the integration", Errors: refusals,
	}, {
		Name: "regenerateToken", Action: "updateIncomingIntegration", Do: g.replace, Effects: methods.Tokens, Factor: twofactor.Fresh,
		Doc:    "Gives an incoming webhook another token; the one before opens nothing any more.",
		Params: "integrationId", Result: "the integration, with token", Errors: "error-unauthorized, error-invalid-integration",
	}, {
		Name: "deleteIncomingIntegration", Do: g.remove, Effects: methods.Tokens, Factor: twofactor.Fresh,
		Doc: "Removes an incoming webhook.", Params: "integrationId", Result: "true", Errors: "error-unauthorized, error-invalid-integration",
	}}
}

// newHook is what clients say of a hook.
type newHook struct {
	Type     *string  `ejson:"type"`
	Name     *string  `ejson:"name"`
	Enabled  *bool    `ejson:"enabled"`
	Username *string  `ejson:"username"`
	Channel  *any     `ejson:"channel"`
	Alias    *string  `ejson:"alias"`
	Emoji    *string  `ejson:"emoji"`
	Avatar   *string  `ejson:"avatar"`
	Override *bool    `ejson:"overrideDestinationChannelEnabled"`
	Scripted *bool    `ejson:"scriptEnabled"`
	_        struct{} `ejson:",ignore"`
}

func (n *newHook) change() (c rooms.HookChange, err error) {
	if n.Type != nil && *n.Type != rooms.IncomingHook {
		return c, rooms.ErrHookOutgoing
	}
	c = rooms.HookChange{Name: n.Name, Username: n.Username, Alias: n.Alias, Avatar: n.Avatar, Emoji: n.Emoji, Enabled: n.Enabled, Override: n.Override,
		Scripted: n.Scripted}
	if n.Channel == nil {
		return c, nil
	}
	// A list as it is shown, or a text with commas as it is typed.
	var channels []string
	switch v := (*n.Channel).(type) {
	case string:
		channels = strings.Split(v, ",")
	case []any:
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return c, fault.MatchFailed
			}
			channels = append(channels, text)
		}
	default:
		return c, fault.MatchFailed
	}
	c.Channels = &channels
	return c, nil
}

// record audits what became of a hook.
func (g *hooks) record(c *rpc.Call, act string, h *rooms.Hook) {
	if g.audit == nil {
		return
	}
	p := c.Peer
	g.audit.Record(audit.Event{Act: act, Outcome: "ok", User: c.User.ID, Target: h.ID, Door: string(p.Door), Address: p.Address, Agent: p.UserAgent, Conn: p.Conn})
}

func (g *hooks) add(ctx context.Context, c *rpc.Call) (any, error) {
	var n newHook
	if err := c.Bind(&n); err != nil {
		return nil, err
	}
	if n.Type == nil || n.Username == nil || n.Channel == nil {
		return nil, fault.MatchFailed
	}
	change, err := n.change()
	if err != nil {
		return nil, err
	}
	h, token, err := g.rooms.AddHook(ctx, c.User, change)
	if err != nil {
		return nil, err
	}
	g.record(c, "hook_created", h)
	return h.Doc(token), nil
}

func (g *hooks) update(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var n newHook
	if err := c.Bind(&id, &n); err != nil {
		return nil, err
	}
	change, err := n.change()
	if err != nil {
		return nil, err
	}
	h, err := g.rooms.ChangeHook(ctx, c.User, id, change)
	if err != nil {
		return nil, err
	}
	g.record(c, "hook_changed", h)
	return h.Doc(""), nil
}

func (g *hooks) replace(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	h, token, err := g.rooms.ReplaceHookToken(ctx, c.User, id)
	if err != nil {
		return nil, err
	}
	g.record(c, "hook_token_replaced", h)
	return h.Doc(token), nil
}

func (g *hooks) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	h, err := g.rooms.RemoveHook(ctx, c.User, id)
	if err != nil {
		return nil, err
	}
	g.record(c, "hook_removed", h)
	return true, nil
}

// hookRoutes serves them over REST, and the addresses of hooks.
type hookRoutes struct {
	*service
	limiter  *ratelimit.Limiter
	settings *settings.Service
}

// Routes lists them.
func (g *hookRoutes) Routes() []rest.Route {
	const tag = "integrations"
	one := schema.Answer[hookAnswer]()
	routes := []rest.Route{
		{Verb: "POST", Path: "integrations.create", Tag: tag, Summary: "Make an incoming webhook", Body: schema.Of[hookBody](), Result: one,
			Method: "addIncomingIntegration", Params: hookParams, Shape: hookShape},
		{Verb: "PUT", Path: "integrations.update", Tag: tag, Summary: "Change an incoming webhook", Body: schema.Of[hookUpdate](), Result: one,
			Method: "updateIncomingIntegration", Shape: hookShape, Params: func(ctx context.Context, r *rest.Request) ([]any, error) {
				params, err := hookParams(ctx, r)
				return append([]any{r.Text("integrationId")}, params...), err
			}},
		{Verb: "POST", Path: "integrations.remove", Tag: tag, Summary: "Remove an incoming webhook", Body: schema.Of[hookRemoval](), Result: one,
			Method: "deleteIncomingIntegration", Do: g.remove, Errors: []string{"error-invalid-integration-type"}},
		{Verb: "GET", Path: "integrations.get", Effects: methods.Reads, Tag: tag, Summary: "An incoming webhook, without its token", Query: schema.Of[hookQuery](),
			Result: one, Do: g.get, Errors: []string{"error-unauthorized", "error-invalid-integration"}},
		{Verb: "GET", Path: "integrations.list", Effects: methods.Reads, Tag: tag, Summary: "Incoming webhooks, without their tokens", Query: schema.Of[hookPage](),
			Result: schema.Answer[listOfHooks](), Do: g.list, Errors: []string{"error-unauthorized"}},
	}
	for _, k := range kindsOfRooms {
		if k.roomType != rooms.Direct {
			routes = append(routes, rest.Route{Verb: "GET", Path: k.prefix + ".getIntegrations", Effects: methods.Reads, Tag: k.prefix,
				Summary: "The incoming webhooks that write to a room", Query: schema.Of[hooksOfRoom](), Result: schema.Answer[pageOfHooks](),
				Do: g.ofRoom(k.roomType), Errors: append([]string{"error-unauthorized"}, notFound...)})
		}
	}
	return routes
}

// postLimit is what one address may post to hooks; hookCount what all of them may post to one.
var postLimit = ratelimit.Rule{Count: 120, Window: time.Minute}

const hookCount = 300

// Outside is the address of a hook.
func (g *hookRoutes) Outside() []rest.Outside {
	return []rest.Outside{{Path: "/hooks/{id}/{token}", Name: "hooks", Limit: postLimit, Posts: methods.Messages, Do: g.post}}
}

type (
	hookBody struct {
		Type         string   `json:"type" about:"webhook-incoming; there are no others here"`
		Name         string   `json:"name,omitempty"`
		Enabled      bool     `json:"enabled,omitempty"`
		Username     string   `json:"username,omitempty"`
		Channel      any      `json:"channel,omitempty" about:"#room or @username, several with commas or as a list"`
		Alias        string   `json:"alias,omitempty"`
		Emoji        string   `json:"emoji,omitempty"`
		Avatar       string   `json:"avatar,omitempty"`
		Override     bool     `json:"overrideDestinationChannelEnabled,omitempty"`
		Scripted     bool     `json:"scriptEnabled,omitempty" about:"no script runs here: true is refused"`
		Script       string   `json:"script,omitempty" about:"as the others from here: clients send it, and it is not kept"`
		ScriptEngine string   `json:"scriptEngine,omitempty"`
		Event        string   `json:"event,omitempty"`
		URLs         []string `json:"urls,omitempty"`
		TriggerWords []string `json:"triggerWords,omitempty"`
		Token        string   `json:"token,omitempty"`
	}
	hookUpdate struct {
		hookBody
		IntegrationID string `json:"integrationId" minLength:"1"`
	}
	hookRemoval struct {
		Type          string `json:"type"`
		IntegrationID string `json:"integrationId" minLength:"1"`
	}
	hookQuery struct {
		IntegrationID string `json:"integrationId" minLength:"1"`
		CreatedBy     string `json:"createdBy,omitempty"`
	}
	hookPage struct {
		rest.Page
		Name string `json:"name,omitempty"`
		Type string `json:"type,omitempty"`
	}
	hooksOfRoom struct {
		roomPage
		Public string `json:"includeAllPublicChannels,omitempty"`
	}
	hookShown struct {
		ID        string    `json:"_id"`
		Type      string    `json:"type"`
		Name      string    `json:"name"`
		Enabled   bool      `json:"enabled"`
		Username  string    `json:"username"`
		UserID    string    `json:"userId"`
		Channel   []string  `json:"channel"`
		Alias     string    `json:"alias,omitempty"`
		Avatar    string    `json:"avatar,omitempty"`
		Emoji     string    `json:"emoji,omitempty"`
		Override  bool      `json:"overrideDestinationChannelEnabled"`
		Scripted  bool      `json:"scriptEnabled"`
		CreatedBy hookMaker `json:"_createdBy"`
		CreatedAt time.Time `json:"_createdAt"`
		UpdatedAt time.Time `json:"_updatedAt"`
		Token     string    `json:"token,omitempty" about:"in the answer to its making alone"`
	}
	hookMaker struct {
		ID       string `json:"_id"`
		Username string `json:"username"`
	}
	hookAnswer struct {
		Integration hookShown `json:"integration"`
	}
	pageOfHooks struct {
		Integrations []hookShown `json:"integrations"`
		rest.Extent
	}
	// listOfHooks says how many there are in the page once more, as Rocket.Chat does.
	listOfHooks struct {
		pageOfHooks
		Items int `json:"items"`
	}
)

func hookParams(_ context.Context, r *rest.Request) ([]any, error) {
	var all ejson.Doc
	err := r.Bind(&all)
	return []any{all.Without("integrationId")}, err
}

func hookShape(result any) (ejson.Doc, error) { return field("integration", result), nil }

func (g *hookRoutes) remove(ctx context.Context, r *rest.Request) (any, error) {
	if r.Text("type") != rooms.IncomingHook {
		return nil, rooms.ErrHookOutgoing
	}
	h, err := g.rooms.Hook(ctx, r.User, r.Text("integrationId"))
	if err != nil {
		return nil, err
	}
	if _, err := r.Run(ctx, h.ID); err != nil {
		return nil, err
	}
	return field("integration", h.Doc("")), nil
}

func (g *hookRoutes) get(ctx context.Context, r *rest.Request) (any, error) {
	h, err := g.rooms.Hook(ctx, r.User, r.Query.Get("integrationId"))
	if err != nil {
		return nil, err
	}
	if by := r.Query.Get("createdBy"); by != "" && by != h.CreatedBy.ID {
		return nil, rooms.ErrNoHook
	}
	return field("integration", h.Doc("")), nil
}

func (g *hookRoutes) list(ctx context.Context, r *rest.Request) (any, error) {
	q := rooms.HookQuery{Name: r.Query.Get("name")}
	q.Offset, q.Limit = r.Page()
	list, total, err := g.rooms.Hooks(ctx, r.User, q)
	if t := r.Query.Get("type"); t != "" && t != rooms.IncomingHook {
		list, total = nil, 0
	}
	return append(hookList(list, q.Offset, total), ejson.Field{Key: "items", Value: len(list)}), err
}

func hookList(list []*rooms.Hook, offset, total int) ejson.Doc {
	return pageOf("integrations", anyDocs(list, func(h *rooms.Hook) ejson.Doc { return h.Doc("") }), offset, total)
}

func (g *hookRoutes) ofRoom(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		offset, count := r.Page()
		list, total, err := g.rooms.HooksOf(ctx, r.User, room, offset, count)
		return hookList(list, offset, total), err
	}
}

// posted to a hook: Rocket.Chat's names and Slack's, by which most programs post.
type hookPost struct {
	Text        string              `ejson:"text,optional"`
	Msg         string              `ejson:"msg,optional"`
	Channel     string              `ejson:"channel,optional"`
	RoomID      string              `ejson:"roomId,optional"`
	Alias       string              `ejson:"alias,optional"`
	Username    string              `ejson:"username,optional"`
	Avatar      string              `ejson:"avatar,optional"`
	IconURL     string              `ejson:"icon_url,optional"`
	Emoji       string              `ejson:"emoji,optional"`
	IconEmoji   string              `ejson:"icon_emoji,optional"`
	ThreadID    string              `ejson:"tmid,optional"`
	Attachments *[]rooms.Attachment `ejson:"attachments"`
	_           struct{}            `ejson:",ignore"`
}

// post takes what a program posts. What comes from one address was counted before, and wrong tokens
// of a network are; what all may post to one hook is counted of those who have its token, since its
// id stands in every message of it.
func (g *hookRoutes) post(ctx context.Context, r *rest.Request) (any, error) {
	id, token := r.Segment("id"), r.Segment("token")
	if len(id)+len(token) > 200 {
		return nil, rooms.ErrHookClosed
	}
	var h *rooms.Hook
	if err := r.Guess("hook/"+id+"/"+token, func() (err error) {
		h, err = g.rooms.OpenHook(ctx, id, token)
		return err
	}); err != nil {
		return nil, err
	}
	if wait, ok := g.limiter.Take("hook/"+id, hookCount, time.Minute); !ok {
		return nil, ratelimit.TooMany(wait)
	}
	by, err := g.rooms.HookUser(ctx, h)
	if err != nil {
		return nil, err
	}
	var p hookPost
	if payload := r.Text("payload"); payload != "" {
		err = r.Parsed(payload, &p)
	} else {
		err = r.Bind(&p)
	}
	if err != nil {
		return nil, err
	}
	if err := throttle(g.limiter, g.settings, by); err != nil {
		return nil, err
	}
	d := rooms.HookDraft{Channel: cmp.Or(p.Channel, p.RoomID), Draft: rooms.Draft{Text: cmp.Or(p.Text, p.Msg), ThreadID: p.ThreadID,
		Alias: cmp.Or(p.Username, p.Alias), Avatar: cmp.Or(p.IconURL, p.Avatar), Emoji: cmp.Or(p.IconEmoji, p.Emoji), Attachments: value(p.Attachments)}}
	_, err = g.rooms.PostHook(ctx, h, by, d)
	return nil, err
}

// throttle counts a message of somebody's.
func throttle(l *ratelimit.Limiter, set *settings.Service, by *user.User) error {
	if permission.Has(by, permission.SendManyMessages) || !set.Bool(settings.LimitUserByMethodEnabled) {
		return nil
	}
	if wait, ok := l.Take("send/"+by.ID, sendCount, sendWindow); !ok {
		return ratelimit.TooMany(wait)
	}
	return nil
}
