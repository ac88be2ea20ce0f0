package realtime

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"

	"ddpserver/internal/chat"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/rpc"
)

// ChatOptions are the parts of Chat. All are required.
type ChatOptions struct {
	Rooms    *chat.Service
	Presence *chat.Tracker
}

// Chat is the group of the streams that carry rooms: messages, what members do,
// and changes of rooms and memberships; it also tells the presence tracker who
// is connected.
//
// Who may have an event of a room is decided by the list of the room's members
// at the moment of delivery, not by what was allowed when somebody subscribed.
// The list is kept here; every event says how many changes of membership came
// before it, and a list that is older is read anew first.
type Chat struct {
	hub      *Hub
	rooms    *chat.Service
	presence *chat.Tracker
	members  memberLists
}

// NewChat makes the group and connects the hub with the news of rooms. It must
// be called before Hub.Run.
func NewChat(h *Hub, o ChatOptions) *Chat {
	c := &Chat{hub: h, rooms: o.Rooms, presence: o.Presence}
	c.members.byRoom = map[string]*memberList{}
	h.Handle(feed.RoomMessage, c.message)
	h.Handle(feed.RoomNotice, c.notice)
	h.Handle(feed.RoomChanged, c.room)
	h.Handle(feed.UnreadChanged, c.unread)
	h.Handle(feed.MembershipChanged, c.membership)
	h.HandleGap(c.forget)
	return c
}

// Publications lists the publications of the group.
func (c *Chat) Publications() []Publication {
	return []Publication{
		{Do: c.connected, Anonymous: true, Doc: "Nothing; it tells who is connected."},
	}
}

// Streams lists the streams of the group.
func (c *Chat) Streams() []Stream {
	return []Stream{
		{Name: chat.RoomMessages, Allow: c.allowMessages, Doc: "Messages: <room id>, or __my_messages__ for every room of one's own."},
		{Name: chat.NotifyRoom, Allow: c.allowRoom, Doc: "What happens in a room: <room id>/typing, /user-activity, /deleteMessage."},
	}
}

// connected follows a session's login.
func (c *Chat) connected(_ context.Context, s *ddp.Subscription) error {
	id := s.Login().UserID
	if id == "" {
		return nil
	}
	conn := s.Session().ID()
	c.presence.Connected(id, conn)
	s.OnStop(func() { c.presence.Disconnected(id, conn) })
	return nil
}

func (c *Chat) allowMessages(ctx context.Context, l rpc.Login, event string) error {
	if event == chat.MyMessages {
		return nil
	}
	return c.allowMember(ctx, l, event)
}

func (c *Chat) allowMember(ctx context.Context, l rpc.Login, roomID string) error {
	ok, err := c.rooms.IsMember(ctx, l.UserID, roomID)
	if err == nil && !ok {
		err = fault.NotAllowed
	}
	return err
}

// roomEvents are the events of stream-notify-room. Those that nothing here
// sends stay quiet.
var roomEvents = names(`typing user-activity deleteMessage deleteMessageBulk webrtc messagesRead videoconf
	e2e.keyRequest messagesImported`)

func (c *Chat) allowRoom(ctx context.Context, l rpc.Login, event string) error {
	roomID, name, _ := strings.Cut(event, "/")
	if !roomEvents[name] {
		return fault.NotAllowed
	}
	return c.allowMember(ctx, l, roomID)
}

// deliver runs send with the members of the event's room, once the list is new
// enough, and with the list locked: a change of membership waits until what is
// being sent is sent, and whoever waits for the change knows that nothing comes
// after it. Without any listener nothing is read.
func (c *Chat) deliver(e feed.Event, wanted bool, send func(members map[string]struct{})) {
	if !wanted || len(e.Data) == 0 {
		return
	}
	counter, err := strconv.ParseInt(e.Data[0], 10, 64)
	if err != nil {
		return
	}
	l := c.members.lock(e.Key)
	defer c.members.unlock(l)
	if l.users == nil || l.counter < counter {
		if err := c.read(l); err != nil {
			c.hub.log.Warn("members_not_readable", zap.String("room", e.Key), zap.Error(err))
			return
		}
	}
	send(l.users)
}

// read reads the members of a room. The caller holds the list.
func (c *Chat) read(l *memberList) error {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	l.users = nil
	ids, counter, err := c.rooms.Members(ctx, l.room)
	if err != nil {
		return err
	}
	l.users, l.counter = set(ids), counter
	return nil
}

// message delivers a message to those who listen to its room, and to those who
// listen to all of theirs.
func (c *Chat) message(e feed.Event) {
	room, mine := chat.RoomMessages+"/"+e.Key, chat.RoomMessages+"/"+chat.MyMessages
	if len(e.Data) < 4 {
		return
	}
	c.deliver(e, c.hub.Listening(room) || c.hub.Listening(mine), func(members map[string]struct{}) {
		stars := e.Data[4:]
		plain := func(_ *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member && !slices.Contains(stars, l.UserID)
		}
		raw := e.Data[3]
		c.send(room, mine, e, raw, plain)
		for _, id := range stars {
			if _, member := members[id]; member {
				c.send(room, mine, e, starred(raw, id), func(_ *ddp.Subscription, l rpc.Login) bool { return l.UserID == id })
			}
		}
	})
}

// send sends one form of a message.
func (c *Chat) send(room, mine string, e feed.Event, raw string, accept func(*ddp.Subscription, rpc.Login) bool) {
	if c.hub.Listening(room) {
		c.hub.SendIf(room, streamFrame(room, ejson.Raw("["+raw+"]")), accept)
	}
	if c.hub.Listening(mine) {
		b := append([]byte{'['}, raw...)
		b = append(b, `,{"roomParticipant":true,"roomType":`...)
		b = ejson.AppendString(b, e.Data[1])
		if e.Data[2] != "" {
			b = append(b, `,"roomName":`...)
			b = ejson.AppendString(b, e.Data[2])
		}
		c.hub.SendIf(mine, streamFrame(mine, append(b, '}', ']')), accept)
	}
}

// starred is the message as somebody sees it who starred it.
func starred(raw, userID string) string {
	b := append([]byte(strings.TrimSuffix(raw, "}")), `,"starred":[{"_id":`...)
	b = ejson.AppendString(b, userID)
	return string(append(b, `}]}`...))
}

// notice delivers an event of stream-notify-room to all but the connection that
// made it.
func (c *Chat) notice(e feed.Event) {
	if len(e.Data) < 4 {
		return
	}
	key := chat.NotifyRoom + "/" + e.Key + "/" + e.Data[1]
	c.deliver(e, c.hub.Listening(key), func(members map[string]struct{}) {
		from := e.Data[3]
		c.hub.SendIf(key, streamFrame(key, ejson.Raw(e.Data[2])), func(s *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member && (from == "" || s.Session().ID() != from)
		})
	})
}

// room delivers a changed room to the members who listen to their rooms.
func (c *Chat) room(e feed.Event) {
	if len(e.Data) < 3 {
		return
	}
	c.deliver(e, true, func(members map[string]struct{}) {
		var args []byte
		for id := range members {
			key := chat.NotifyUser + "/" + id + "/rooms-changed"
			if !c.hub.Listening(key) {
				continue
			}
			if args == nil {
				args = append(ejson.AppendString([]byte{'['}, e.Data[1]), ',')
				args = append(append(args, e.Data[2]...), ']')
			}
			c.hub.Send(key, streamFrame(key, args))
		}
	})
}

// unread delivers to users what became of their memberships.
func (c *Chat) unread(e feed.Event) {
	var ids []string
	for _, id := range e.Data[min(1, len(e.Data)):] {
		if c.hub.Listening(chat.NotifyUser + "/" + id + "/subscriptions-changed") {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	subs, err := c.rooms.SubscriptionsIn(ctx, e.Key, ids)
	if err != nil {
		c.hub.log.Warn("memberships_not_readable", zap.String("room", e.Key), zap.Error(err))
		return
	}
	for _, s := range subs {
		if err := c.hub.EmitHere(chat.NotifyUser, s.User.ID+"/subscriptions-changed", "updated", s.Doc()); err != nil {
			c.hub.log.Error("membership_not_encoded", zap.String("room", e.Key), zap.Error(err))
		}
	}
}

// membership puts a room's list right and ends the subscriptions of those who
// are no longer members. When it returns, nothing more of the room goes to them.
func (c *Chat) membership(e feed.Event) {
	if len(e.Data) < 2 {
		return
	}
	l := c.members.lock(e.Key)
	// Read anew at the next event. Taking the users out here would not do: what
	// this event says may be older than the list.
	l.users = nil
	c.members.unlock(l)
	for _, id := range e.Data[1:] {
		c.hub.Recheck(id)
	}
}

// forget drops every list, after events may have been missed.
func (c *Chat) forget(context.Context) { c.members.drop() }

// memberLists keeps the members of the rooms that are talked in.
type memberLists struct {
	mu     sync.Mutex
	byRoom map[string]*memberList
}

// memberList is the members of one room, as of a counter of membership changes.
type memberList struct {
	room  string
	using int // guarded by memberLists.mu

	mu      sync.Mutex
	users   map[string]struct{} // nil: not read
	counter int64
}

// maxLists is the number of rooms whose members are remembered.
const maxLists = 4096

// lock finds a room's list and locks it.
func (m *memberLists) lock(room string) *memberList {
	m.mu.Lock()
	l := m.byRoom[room]
	if l == nil {
		m.shrink()
		l = &memberList{room: room}
		m.byRoom[room] = l
	}
	l.using++
	m.mu.Unlock()
	l.mu.Lock()
	return l
}

func (m *memberLists) unlock(l *memberList) {
	l.mu.Unlock()
	m.mu.Lock()
	l.using--
	m.mu.Unlock()
}

// shrink forgets some lists that nobody uses when there are too many.
func (m *memberLists) shrink() {
	if len(m.byRoom) < maxLists {
		return
	}
	for room, l := range m.byRoom {
		if l.using == 0 {
			delete(m.byRoom, room)
			if len(m.byRoom) < maxLists*3/4 {
				return
			}
		}
	}
}

func (m *memberLists) drop() {
	m.mu.Lock()
	lists := make([]*memberList, 0, len(m.byRoom))
	for _, l := range m.byRoom {
		lists = append(lists, l)
	}
	m.mu.Unlock()
	for _, l := range lists {
		l.mu.Lock()
		l.users = nil
		l.mu.Unlock()
	}
}
