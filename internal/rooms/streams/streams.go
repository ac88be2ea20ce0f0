// Package streams tells members what happens in their rooms: it hears the news of
// package rooms from the hub and gives each subscription of a stream what its
// user may have. It also tells the presence tracker who is connected.
//
// It changes nothing and holds no rule of rooms beyond who is a member.
package streams

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// Options are the parts of Streams. All but Logger are required.
type Options struct {
	Hub      *realtime.Hub
	Rooms    *rooms.Service
	Presence *rooms.Tracker
	// Logger gets troubles with the store; nil discards them.
	Logger *zap.Logger
}

// Streams is the group of the streams that carry rooms: messages, what members do,
// and changes of rooms and memberships; it also tells the presence tracker who
// is connected.
//
// Who may have an event of a room is decided by the list of the room's members
// at the moment of delivery, not by what was allowed when somebody subscribed.
// The list is kept here; every event says how many changes of membership came
// before it, and a list that is older is read anew first.
//
// A call that makes news has it sent before it is answered: to its own user always,
// to others where nothing must be read for that. What must be read for others is read
// and sent afterwards, in the order of the news. Who was removed gets nothing after
// the removal was answered, whatever is still being read.
type Streams struct {
	hub      *realtime.Hub
	log      *zap.Logger
	rooms    *rooms.Service
	presence *rooms.Tracker
	members  memberLists
	unreads  memberships
	mine     mine
	owed     owed
	own      ownRooms
}

// New makes the group and connects the hub with the news of rooms. It must be
// called before Hub.Run.
func New(o Options) *Streams {
	c := &Streams{hub: o.Hub, log: o.Logger, rooms: o.Rooms, presence: o.Presence}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	h := c.hub
	c.members = memberLists{read: c.rooms.Members, among: c.among, later: h.Later, failed: c.failed("members_not_readable"),
		byRoom: map[string]*memberList{}}
	c.unreads = memberships{read: c.rooms.SubscriptionsIn, ready: c.ready, later: h.Later, failed: c.failed("memberships_not_readable"),
		byRoom: map[string]*unread{}}
	c.mine.byUser = map[string][]*ddp.Subscription{}
	c.own.byUser = map[string]*roomsOf{}
	realtime.Listen(h, rooms.MessageChanged, c.message)
	realtime.Listen(h, rooms.Noticed, c.notice)
	realtime.Listen(h, rooms.RoleChanged, c.role)
	realtime.Listen(h, rooms.RoomChanged, c.room)
	realtime.Listen(h, rooms.UnreadChanged, c.unread)
	realtime.Listen(h, rooms.Addressed, c.addressed)
	realtime.Listen(h, rooms.MembershipChanged, c.membership)
	realtime.Listen(h, rooms.RoomErased, c.erased)
	h.HandleSubscribe(c.subscribing)
	h.HandleGap(c.forget)
	h.HandleLoss(c.again)
	return c
}

// Publications lists the publications of the group.
func (c *Streams) Publications() []realtime.Publication {
	return []realtime.Publication{
		{Do: c.connected, Anonymous: true, Doc: "Nothing; it tells who is connected."},
	}
}

// Streams lists the streams of the group.
func (c *Streams) Streams() []realtime.Stream {
	return []realtime.Stream{
		{
			Name: rooms.RoomMessages, Allow: c.allowMessages, Again: c.judge, Open: c.openMessages, Topic: topicOfRoom, Events: []string{rooms.MyMessages},
			Doc: "Messages: <room id>, or __my_messages__ for every room of one's own.",
		},
		{
			Name: rooms.NotifyRoom, Allow: c.allowRoom, Again: c.judge, Topic: topicOfRoom, Events: roomEvents,
			Doc: "What happens in a room: <room id>/typing, /user-activity, /deleteMessage.",
		},
	}
}

// connected follows a session's login.
func (c *Streams) connected(_ context.Context, s *ddp.Subscription) error {
	id := s.Login().UserID
	if id == "" {
		return nil
	}
	conn := s.Session().ID()
	c.presence.Connected(id, conn)
	s.OnStop(func() { c.presence.Disconnected(id, conn) })
	return nil
}

func (c *Streams) allowMessages(ctx context.Context, l rpc.Login, event string) error {
	if event == rooms.MyMessages {
		return nil
	}
	return c.allowMember(ctx, l, event)
}

// openMessages lets subscriptions to all messages listen in their own way.
func (c *Streams) openMessages(_ context.Context, s *ddp.Subscription, event string) (listen bool, err error) {
	if event != rooms.MyMessages {
		return true, nil
	}
	c.mine.add(s)
	return false, nil
}

func (c *Streams) allowMember(ctx context.Context, l rpc.Login, roomID string) error {
	ok, err := c.rooms.IsMember(ctx, l.UserID, roomID)
	if err == nil && !ok {
		err = realtime.ErrStream
	}
	return err
}

// judge reads the rooms of an account once, to judge all events that it listens to: that
// there are such events was judged when they were subscribed.
func (c *Streams) judge(ctx context.Context, userID string) (func(event string) error, error) {
	mine, err := c.rooms.RoomIDs(ctx, userID)
	if err != nil {
		return nil, err
	}
	in := set(mine)
	return func(event string) error {
		room, _, _ := strings.Cut(event, "/")
		if _, member := in[room]; !member && event != rooms.MyMessages {
			return realtime.ErrStream
		}
		return nil
	}, nil
}

// roomEvents are the events of stream-notify-room. Those that nothing here
// sends stay quiet.
var roomEvents = []string{
	"deleteMessage", "deleteMessageBulk", "e2e.keyRequest", "messagesImported", "messagesRead", "typing", "user-activity", "videoconf", "webrtc",
}

func (c *Streams) allowRoom(ctx context.Context, l rpc.Login, event string) error {
	roomID, name, _ := strings.Cut(event, "/")
	if !slices.Contains(roomEvents, name) {
		return realtime.ErrStream
	}
	return c.allowMember(ctx, l, roomID)
}

// failed notes that the store did not say just now what somebody was to be told of a room.
func (c *Streams) failed(what string) func(room string, err error) {
	return func(room string, err error) { c.untold(what, room, err, time.Now().Add(-realtime.StoreTime)) }
}

// untold logs that news made since then was not told. When it was the store that did not
// answer, it is told as soon as that does.
func (c *Streams) untold(what, room string, err error, since time.Time) {
	c.log.Warn(what, zap.String("room", room), zap.Error(err))
	if errors.Is(err, dberr.Unavailable) || errors.Is(err, context.DeadlineExceeded) {
		c.hub.Untold(since)
	}
}

// deliver runs send with the members of the room, once the list is new enough for
// the news: once, or twice with different members. Without any listener nothing is read.
// listens tells whether a user does; it is asked about whoever made the news here.
func (c *Streams) deliver(e feed.Event, news rooms.Counted, wanted bool, listens func(userID string) bool, send func(members map[string]struct{})) {
	if wanted {
		c.members.with(e.Key, news.Membership, c.maker(e, news), listens, send)
	}
}

// maker is the user whose call made the news on this node, and waits for it.
func (c *Streams) maker(e feed.Event, news rooms.Counted) string {
	if e.Node != c.hub.Node() {
		return ""
	}
	return news.By
}

// listens makes a function that tells whether a user listens to an event.
func (c *Streams) listens(key string) func(userID string) bool {
	return func(userID string) bool {
		return len(c.hub.StreamsOf(userID, func(stream, event string) bool { return stream+"/"+event == key })) > 0
	}
}

// among tells which of some users are members of a room.
func (c *Streams) among(ctx context.Context, room string, users []string) ([]string, error) {
	subs, err := c.rooms.SubscriptionsIn(ctx, room, users)
	members := make([]string, len(subs))
	for i, s := range subs {
		members[i] = s.User.ID
	}
	return members, err
}

// message delivers a message to those who listen to its room, and to those who
// listen to all of theirs.
func (c *Streams) message(e feed.Event, news rooms.MessageNews) {
	room := rooms.RoomMessages + "/" + e.Key
	listening := c.hub.Listening(room)
	listens := func(userID string) bool { return c.listens(room)(userID) || c.mine.has(userID) }
	c.deliver(e, news.Counted, listening || c.mine.any(), listens, func(members map[string]struct{}) {
		stars, raw := set(news.StarredBy), string(news.Message)
		if listening {
			// Once over the listeners, however many starred the message; their own
			// frames are made for those who listen.
			plain := realtime.StreamFrame(room, ejson.Raw("["+raw+"]"))
			c.hub.SendEach(room, func(l rpc.Login) *ddp.Frame {
				if _, member := members[l.UserID]; !member {
					return nil
				}
				if _, own := stars[l.UserID]; own {
					return realtime.StreamFrame(room, ejson.Raw("["+starred(raw, l.UserID)+"]"))
				}
				return plain
			})
		}
		var plain *ddp.Frame
		for _, s := range c.mine.of(members) {
			id := s.Login().UserID
			if _, own := stars[id]; own {
				s.Send(mineFrame(news, starred(raw, id)))
				continue
			}
			if plain == nil {
				plain = mineFrame(news, raw)
			}
			s.Send(plain)
		}
	})
}

// mineFrame is a message with what those need to know who listen to all rooms.
func mineFrame(news rooms.MessageNews, raw string) *ddp.Frame {
	b := append([]byte{'['}, raw...)
	b = append(b, `,{"roomParticipant":true,"roomType":`...)
	b = ejson.AppendString(b, news.RoomType)
	if news.RoomName != "" {
		b = append(b, `,"roomName":`...)
		b = ejson.AppendString(b, news.RoomName)
	}
	return realtime.StreamFrame(rooms.RoomMessages+"/"+rooms.MyMessages, append(b, '}', ']'))
}

// mine are the subscriptions to all messages of one's own rooms. They have no
// topic: what a topic queues for one room could go out after somebody left another.
type mine struct {
	mu     sync.Mutex
	byUser map[string][]*ddp.Subscription
}

func (m *mine) add(s *ddp.Subscription) {
	id := s.Login().UserID
	m.mu.Lock()
	m.byUser[id] = append(m.byUser[id], s)
	m.mu.Unlock()
	s.OnStop(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		rest := slices.DeleteFunc(m.byUser[id], func(x *ddp.Subscription) bool { return x == s })
		if m.byUser[id] = rest; len(rest) == 0 {
			delete(m.byUser, id)
		}
	})
}

func (m *mine) any() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byUser) > 0
}

func (m *mine) has(userID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byUser[userID]) > 0
}

// users are those who have any.
func (m *mine) users() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.byUser))
}

// of lists the subscriptions of the members of a room.
func (m *mine) of(members map[string]struct{}) (out []*ddp.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.byUser) < len(members) {
		for id, subs := range m.byUser {
			if _, member := members[id]; member {
				out = append(out, subs...)
			}
		}
		return out
	}
	for id := range members {
		out = append(out, m.byUser[id]...)
	}
	return out
}

// starred is the message as somebody sees it who starred it.
func starred(raw, userID string) string {
	b := append([]byte(strings.TrimSuffix(raw, "}")), `,"starred":[{"_id":`...)
	b = ejson.AppendString(b, userID)
	return string(append(b, `}]}`...))
}

// notice delivers an event of stream-notify-room to all but the connection that
// made it.
func (c *Streams) notice(e feed.Event, news rooms.Notice) {
	key := rooms.NotifyRoom + "/" + e.Key + "/" + news.Event
	c.deliver(e, news.Counted, c.hub.Listening(key), c.listens(key), func(members map[string]struct{}) {
		c.hub.SendIf(key, realtime.StreamFrame(key, ejson.Raw(news.Args)), func(s *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member && (news.From == "" || s.Session().ID() != news.From)
		})
	})
}

// role delivers a change of a room's roles to those of its members who listen to
// roles-change, which everybody who is logged in may do.
func (c *Streams) role(e feed.Event, news rooms.RoleNews) {
	const key = rooms.NotifyLogged + "/roles-change"
	c.deliver(e, news.Counted, c.hub.Listening(key), c.listens(key), func(members map[string]struct{}) {
		c.hub.SendIf(key, realtime.StreamFrame(key, ejson.Raw("["+string(news.Change)+"]")), func(_ *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member
		})
	})
}

// room delivers a changed room to the members who listen to their rooms.
func (c *Streams) room(e feed.Event, news rooms.RoomNews) {
	listens := func(userID string) bool { return c.hub.Listening(rooms.NotifyUser + "/" + userID + "/rooms-changed") }
	c.deliver(e, news.Counted, true, listens, func(members map[string]struct{}) {
		var args []byte
		for _, id := range c.hub.ListeningUsers(maps.Keys(members), "rooms-changed") {
			key := rooms.NotifyUser + "/" + id + "/rooms-changed"
			if args == nil {
				args = append(ejson.AppendString([]byte{'['}, news.Action), ',')
				args = append(append(args, news.Room...), ']')
			}
			c.hub.Send(key, realtime.StreamFrame(key, args))
		}
	})
}

// addressed shows a message on the desktops of the members it addresses.
func (c *Streams) addressed(e feed.Event, news rooms.AddressedNews) {
	const event = "notification"
	wanted := news.All || len(c.hub.ListeningUsers(slices.Values(news.Users), event)) > 0
	c.deliver(e, news.Counted, wanted, func(string) bool { return false }, func(members map[string]struct{}) {
		users := slices.Values(news.Users)
		if news.All {
			users = maps.Keys(members)
		}
		for _, id := range c.hub.ListeningUsers(users, event) {
			if _, member := members[id]; member && id != news.From {
				key := rooms.NotifyUser + "/" + id + "/" + event
				c.hub.Send(key, realtime.StreamFrame(key, ejson.Raw(news.Args)))
			}
		}
	})
}

// unread delivers to users what became of their memberships.
func (c *Streams) unread(e feed.Event, news rooms.UserNews) {
	ids := c.hub.ListeningUsers(slices.Values(news.Users), "subscriptions-changed")
	if own := c.maker(e, news.Counted); own != "" && slices.Contains(ids, own) {
		c.unreads.tellNow(e.Key, own)
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == own })
	}
	if len(ids) > 0 { // who waits for the room's own news has that first
		c.members.after(e.Key, func() { c.unreads.tell(e.Key, ids) })
	}
}

// ready makes the frame that tells a user of a membership.
func (c *Streams) ready(s *rooms.Subscription) (send func()) {
	key := rooms.NotifyUser + "/" + s.User.ID + "/subscriptions-changed"
	args, err := ejson.Append(nil, []any{"updated", s.Doc()})
	if err != nil {
		c.log.Error("membership_not_encoded", zap.String("room", s.RoomID), zap.Error(err))
		return func() {}
	}
	frame := realtime.StreamFrame(key, args)
	return func() { c.hub.Send(key, frame) }
}

// membership puts a room's list right and ends the subscriptions of those who
// are no longer members. When it returns, nothing more of the room goes to them.
func (c *Streams) membership(e feed.Event, news rooms.UserNews) {
	c.members.changed(e.Key, news.Membership, news.Users, news.Gone)
	c.unreads.moved(e.Key, news.Users)
	for _, id := range news.Users {
		c.recheck(id, e.Key)
	}
	c.moved(e, news)
}

// erased ends what those listen to who were in a room that is no more, and tells them.
func (c *Streams) erased(e feed.Event, news rooms.ErasedNews) {
	users := make([]string, len(news.Members))
	for i, m := range news.Members {
		users[i] = m.UserID
	}
	c.membership(e, rooms.UserNews{Counted: news.Counted, Users: users, Gone: true})
	for _, m := range news.Members {
		for event, args := range map[string][]any{"subscriptions-changed": m.Ended(e.Key), "rooms-changed": rooms.Erased(e.Key)} {
			key := rooms.NotifyUser + "/" + m.UserID + "/" + event
			if !c.hub.Listening(key) {
				continue
			}
			raw, err := ejson.Append(nil, args)
			if err != nil {
				c.log.Error("membership_not_encoded", zap.String("room", e.Key), zap.Error(err))
				continue
			}
			c.hub.Send(key, realtime.StreamFrame(key, raw))
		}
	}
}

// recheck ends what a user listens to of a room if the user is no member of it.
// The membership is read once, and only if there is anything to end.
func (c *Streams) recheck(userID, roomID string) {
	subs := c.hub.StreamsOf(userID, func(stream, event string) bool {
		room, _, _ := strings.Cut(event, "/")
		return room == roomID && (stream == rooms.RoomMessages || stream == rooms.NotifyRoom)
	})
	if len(subs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	if err := c.allowMember(ctx, rpc.Login{UserID: userID}, roomID); err != nil {
		for _, s := range subs {
			s.Error(err)
		}
	}
}

// forget drops every list, after events may have been missed.
func (c *Streams) forget(context.Context) { c.members.drop() }

// set is the members of a list.
func set(list []string) map[string]struct{} {
	m := make(map[string]struct{}, len(list))
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}
