package calls

import (
	"context"
	"math"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// messages serves what is written in rooms.
type messages struct {
	rooms      *rooms.Service
	settings   *settings.Service
	limiter    *ratelimit.Limiter
	challenger methods.Challenger
}

// byOffice asks for a second factor when somebody changes what another person
// wrote by a role of the server alone.
func (g *messages) byOffice(ctx context.Context, c *rpc.Call, messageID string, permissions ...string) error {
	office, err := g.rooms.ByOfficeMessage(ctx, c.User, messageID, permissions...)
	return askOffice(ctx, c, g.challenger, office, err)
}

func (g *messages) Specs() []methods.Spec {
	return []methods.Spec{
		{
			Name: "sendMessage", Do: g.send, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Posts a message. The client may choose its id; the same call again gives the same message.",
			Params: "{rid, msg, _id?, ts?, groupable?, alias?, emoji?, avatar?, attachments?, tmid?, tshow?}, previewUrls?", Result: "the message",
			Errors: "error-invalid-room, error-not-allowed, error-room-archived, error-message-size-exceeded, error-message-ts-out-of-sync, " +
				"error-invalid-message, error-action-not-allowed, invalid-params, too-many-requests",
		},
		{
			Name: "updateMessage", Do: g.update, Effects: methods.Messages | methods.Others, Inside: twofactor.Ordinary, Limit: ratelimit.Wide,
			Doc:    "Replaces the text of a message.",
			Params: "{_id, msg, rid?}, previewUrls?", Result: "none",
			Errors: "error-action-not-allowed, error-message-editing-blocked, error-invalid-update-key, error-invalid-message, error-message-size-exceeded, " +
				"error-not-allowed, error-room-archived",
		},
		{
			Name: "deleteMessage", Do: g.remove, Effects: methods.Messages | methods.Others, Inside: twofactor.Ordinary, Limit: ratelimit.Wide,
			Doc: "Deletes a message for good.", Params: "{_id}", Result: "none", Errors: "error-action-not-allowed, error-not-allowed, error-room-archived",
		},
		{
			Name: "pinMessage", Do: g.pin, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Pins a message and says so in its room.",
			Params: "{_id}, pinnedAt?", Result: "the message that says so; the pinned one if it was pinned already",
			Errors: "error-invalid-message, error-action-not-allowed, not-authorized, error-not-allowed",
		},
		{
			Name: "unpinMessage", Do: g.unpin, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc: "Takes a pin back.", Params: "{_id}", Result: "true",
			Errors: "error-invalid-message, error-action-not-allowed, not-authorized, error-not-allowed",
		},
		{
			Name: "starMessage", Do: g.star, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Marks a message for the caller alone, or takes that back.",
			Params: "{_id, rid?, starred}", Result: "true; false for a message that the caller cannot see", Errors: "error-action-not-allowed",
		},
		{
			Name: "setReaction", Do: g.react, Effects: methods.Messages, Limit: ratelimit.Wide,
			Doc:    "Answers a message with an emoji, takes that back, or toggles it.",
			Params: "emoji, messageId, shouldReact?", Result: "none", Errors: "error-not-allowed, error-room-archived",
		},
		{
			Name: "loadHistory", Do: g.history, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Reads messages of a room, newest first: at most 200, 20 when no number is given. showThreadMessages: false leaves out answers in threads.",
			Params: "rid, end?: Date, limit?, lastSeen?: Date, showThreadMessages?",
			Result: "{messages, firstUnread?, unreadNotLoaded}; false for a room the caller is not in",
			Errors: "400 Match failed",
		},
		{
			Name: "loadMissedMessages", Do: g.missed, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc:    "Reads the messages of a room after a moment, newest first.",
			Params: "rid, start: Date", Result: "[message]; false for a room the caller is not in", Errors: "400 Match failed",
		},
		{
			Name: "getSingleMessage", Do: g.single, Effects: methods.Reads, Limit: ratelimit.Wide,
			Doc: "Reads one message.", Params: "messageId", Result: "the message, or null", Errors: "error-not-allowed",
		},
	}
}

// Rocket.Chat's own limit on sendMessage: 5 in a second for each user without
// the permission send-many-messages.
const (
	sendCount  = 5
	sendWindow = time.Second
)

// throttle counts a message of the caller's.
func (g *messages) throttle(c *rpc.Call) error { return throttle(g.limiter, g.settings, c.User) }

// sent is a message as clients send it. What else they send along (their own
// copy of the author, previews, …) is not taken from them.
type sent struct {
	ID          string              `ejson:"_id,optional"`
	RoomID      string              `ejson:"rid"`
	Text        string              `ejson:"msg,optional"`
	TS          *any                `ejson:"ts"`
	Type        string              `ejson:"t,optional"`
	ThreadID    string              `ejson:"tmid,optional"`
	Shown       *bool               `ejson:"tshow"`
	Alias       string              `ejson:"alias,optional"`
	Emoji       string              `ejson:"emoji,optional"`
	Avatar      string              `ejson:"avatar,optional"`
	Groupable   *bool               `ejson:"groupable"`
	Attachments *[]rooms.Attachment `ejson:"attachments"`
	Bot         *any                `ejson:"bot"`
	Rest        ejson.Doc           `ejson:",rest"`
}

func (m *sent) draft() (rooms.Draft, error) {
	if m.Type != "" { // system messages are the server's
		return rooms.Draft{}, fault.MatchFailed
	}
	d := rooms.Draft{
		ID: m.ID, RoomID: m.RoomID, Text: m.Text, ThreadID: m.ThreadID, Shown: value(m.Shown),
		Alias: m.Alias, Emoji: m.Emoji, Avatar: m.Avatar, Groupable: m.Groupable, Bot: botOf(m.Bot),
	}
	var err error
	if d.TS, err = moment(m.TS); err != nil {
		return rooms.Draft{}, err
	}
	if m.Attachments != nil {
		d.Attachments = *m.Attachments
	}
	return d, nil
}

// botOf reads the mark of a program: {i: name}. Anything else marks nobody.
func botOf(v *any) *rooms.Bot {
	if v == nil {
		return nil
	}
	d, _ := (*v).(ejson.Doc)
	i, _ := d.Get("i")
	name, _ := i.(string)
	if name == "" {
		return nil
	}
	return &rooms.Bot{Integration: name}
}

func (g *messages) send(ctx context.Context, c *rpc.Call) (any, error) {
	var m sent
	var previews *any
	var files *any
	if err := c.Bind(&m, &previews, &files); err != nil {
		return nil, err
	}
	d, err := m.draft()
	if err != nil {
		return nil, err
	}
	if err := g.throttle(c); err != nil {
		return nil, err
	}
	out, err := g.rooms.Send(ctx, c.User, d)
	if err != nil {
		return nil, err
	}
	return out.Doc(c.User.ID), nil
}

// existing names a message; clients often send the whole of it.
type existing struct {
	ID      string    `ejson:"_id"`
	RoomID  string    `ejson:"rid,optional"`
	Starred *bool     `ejson:"starred"`
	Rest    ejson.Doc `ejson:",rest"`
}

func (g *messages) update(ctx context.Context, c *rpc.Call) (any, error) {
	var m struct {
		ID     string    `ejson:"_id"`
		RoomID string    `ejson:"rid,optional"`
		Text   string    `ejson:"msg"`
		Rest   ejson.Doc `ejson:",rest"`
	}
	var previews *any
	if err := c.Bind(&m, &previews); err != nil {
		return nil, err
	}
	if err := g.byOffice(ctx, c, m.ID, permission.EditMessage); err != nil {
		return nil, err
	}
	_, err := g.rooms.Edit(ctx, c.User, rooms.EditRequest{ID: m.ID, RoomID: m.RoomID, Text: m.Text})
	return nil, err
}

// target reads the parameter that names a message.
func target(c *rpc.Call) (string, error) {
	var m struct {
		ID   string    `ejson:"_id"`
		Rest ejson.Doc `ejson:",rest"`
	}
	var extra *any // the date clients send along
	err := c.Bind(&m, &extra)
	return m.ID, err
}

func (g *messages) remove(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := target(c)
	if err != nil {
		return nil, err
	}
	if err := g.byOffice(ctx, c, id, permission.DeleteMessage, permission.ForceDelete); err != nil {
		return nil, err
	}
	_, err = g.rooms.Delete(ctx, c.User, id)
	return nil, err
}

func (g *messages) pin(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := target(c)
	if err != nil {
		return nil, err
	}
	m, err := g.rooms.Pin(ctx, c.User, id)
	if err != nil {
		return nil, err
	}
	return m.Doc(c.User.ID), nil
}

func (g *messages) unpin(ctx context.Context, c *rpc.Call) (any, error) {
	id, err := target(c)
	if err != nil {
		return nil, err
	}
	return done(g.rooms.Unpin(ctx, c.User, id))
}

func (g *messages) star(ctx context.Context, c *rpc.Call) (any, error) {
	var m existing
	if err := c.Bind(&m); err != nil {
		return nil, err
	}
	if m.Starred == nil {
		return nil, fault.MatchFailed
	}
	return g.rooms.Star(ctx, c.User, m.ID, m.RoomID, *m.Starred)
}

func (g *messages) react(ctx context.Context, c *rpc.Call) (any, error) {
	var emoji, id string
	var on *bool
	if err := c.Bind(&emoji, &id, &on); err != nil {
		return nil, err
	}
	return nil, g.rooms.React(ctx, c.User, id, emoji, on)
}

// page is what loadHistory answers.
type page struct {
	Messages        []ejson.Doc `json:"messages"`
	FirstUnread     ejson.Doc   `json:"firstUnread,omitempty"`
	UnreadNotLoaded int         `json:"unreadNotLoaded"`
}

func (g *messages) history(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var end *time.Time
	var limit *int
	var seen *any
	var threads *bool
	if err := c.Bind(&rid, &end, &limit, &seen, &threads); err != nil {
		return nil, err
	}
	if limit != nil && *limit < 0 {
		return nil, fault.MatchFailed
	}
	last, err := moment(seen)
	if err != nil {
		return nil, err
	}
	h, err := g.rooms.Load(ctx, c.User, rid, value(end), value(limit), last, threads != nil && !*threads)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return false, nil
	}
	p := page{Messages: g.docs(c, h.Messages), UnreadNotLoaded: h.UnreadNotLoaded}
	if h.FirstUnread != nil {
		p.FirstUnread = h.FirstUnread.Doc(c.User.ID)
	}
	return p, nil
}

// moment reads a Date that older clients, and those that post over REST, where
// there is no EJSON to write it in, send as ISO text or as milliseconds.
func moment(v *any) (time.Time, error) {
	if v == nil {
		return time.Time{}, nil
	}
	switch t := (*v).(type) {
	case time.Time:
		return t, nil
	case string:
		if at, err := time.Parse(time.RFC3339, t); err == nil {
			return at.UTC(), nil
		}
	case float64:
		if math.Abs(t) < 1e15 {
			return time.UnixMilli(int64(t)).UTC(), nil
		}
	case nil:
		return time.Time{}, nil
	}
	return time.Time{}, fault.MatchFailed
}

func (g *messages) docs(c *rpc.Call, list []*rooms.Message) []ejson.Doc {
	return docs(list, func(m *rooms.Message) ejson.Doc { return m.Doc(c.User.ID) })
}

func (g *messages) missed(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var start time.Time
	if err := c.Bind(&rid, &start); err != nil {
		return nil, err
	}
	list, err := g.rooms.Missed(ctx, c.User, rid, start)
	if err != nil {
		return nil, err
	}
	if list == nil {
		return false, nil
	}
	return g.docs(c, list), nil
}

func (g *messages) single(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	m, err := g.rooms.Message(ctx, c.User, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return ejson.Raw("null"), nil
	}
	return m.Doc(c.User.ID), nil
}
