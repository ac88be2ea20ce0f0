package rooms

import (
	"context"
	"time"

	"ddpserver/internal/user"
)

// Store is what chat needs of a store. Every method checks and acts at once;
// failures are those of package dberr, Conflict when a condition named here
// does not hold. Where several documents are touched, the one that decides is
// written first and the rest follow from it.
type Store interface {
	UserStore
	RoomStore
	SubscriptionStore
	MessageStore
	PresenceStore
	FileStore
	HookStore
	InviteStore
	ReportStore
}

// UserStore are operations on accounts; both stores of the core have them.
type UserStore interface {
	// UserByID, UserByUsername and UpdateUser are those of accounts.Store.
	UserByID(ctx context.Context, id string) (*user.User, error)
	UserByUsername(ctx context.Context, key string) (*user.User, error)
	UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error)
	// UsersByIDs and UsersByUsernames find those that exist and can be read, in no order.
	// Usernames are keys made by user.Key.
	UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error)
	UsersByUsernames(ctx context.Context, keys []string) ([]*user.User, error)
	// ListUsers and FindUsers are those of accounts.Store.
	ListUsers(ctx context.Context, offset, count int) (page []*user.User, total int, err error)
	FindUsers(ctx context.Context, q user.Query) (page []*user.User, total int, err error)
	// SaveStatuses writes the statuses shown to others, by user id, and returns
	// those users for whom it was another one, as they are now.
	SaveStatuses(ctx context.Context, statuses map[string]string, at time.Time) ([]*user.User, error)
	// UsersNotOffline are the users whose shown status is not offline, by id, at
	// most limit of them.
	UsersNotOffline(ctx context.Context, limit int) ([]*user.User, error)
}

// RoomStore keeps rooms.
type RoomStore interface {
	// CreateRoom inserts a room with its first members. Duplicate when the id,
	// the name key or the direct key is taken; then nothing is left behind.
	CreateRoom(ctx context.Context, r *Room, members []*Subscription) error
	RoomByID(ctx context.Context, id string) (*Room, error)
	// RoomByName takes a key made by user.Key.
	RoomByName(ctx context.Context, key string) (*Room, error)
	RoomByDirectKey(ctx context.Context, key string) (*Room, error)
	// RoomsByIDs finds those that exist and changed at or after since, in no order.
	RoomsByIDs(ctx context.Context, ids []string, since time.Time) ([]*Room, error)
	// ListRooms pages through the rooms that q selects, ordered by name key, then id; total
	// counts all of them.
	ListRooms(ctx context.Context, q RoomQuery) (page []*Room, total int, err error)
	// DefaultRooms are those with Default set.
	DefaultRooms(ctx context.Context) ([]*Room, error)
	// ChangeRoom applies c and returns the room before and after; nothing is written when
	// everything was that way already. Duplicate when the name is taken. The memberships of
	// a room follow its name and type.
	ChangeRoom(ctx context.Context, id string, c RoomChange) (was, room *Room, err error)
	// DeleteRoom ends a room with its memberships, each of which leaves a Gone, and with its
	// messages: what is left of those is taken away by Mend, and belongs to nothing. It returns
	// what the room was and who was in it; NotFound when there is none.
	DeleteRoom(ctx context.Context, id string, at time.Time) (was *Room, members []*Subscription, err error)
	// TouchLastMessage replaces the room's last message by m if it still is
	// that message (by id), and reports whether it was.
	TouchLastMessage(ctx context.Context, m *Message, at time.Time) (bool, error)
}

// RoomQuery selects rooms for a list.
type RoomQuery struct {
	// Types are those of the rooms; none selects nothing.
	Types []string
	// Begins is what the name key begins with, made by user.Key; rooms without a name are
	// left out then. "" is any.
	Begins        string
	Offset, Count int
}

// SubscriptionStore keeps memberships.
type SubscriptionStore interface {
	// AddMember inserts a membership: Duplicate when the user is in the room,
	// NotFound when the room is not there. It counts the user in and moves the
	// room's membership; room is the room afterwards.
	AddMember(ctx context.Context, s *Subscription) (room *Room, err error)
	// RemoveMember ends a membership and leaves a Gone: NotFound when there is
	// none, Conflict when the user is the room's last owner and force is not set.
	RemoveMember(ctx context.Context, roomID, userID string, force bool, at time.Time) (room *Room, was *Subscription, err error)
	// SetMemberRole gives or takes a role and returns the membership. NotFound
	// without a membership, Conflict when it was that way already or when the
	// last owner would lose the role.
	SetMemberRole(ctx context.Context, roomID, userID, role string, on bool, at time.Time) (*Subscription, error)
	// SetBlocked has one side of a direct room block the other, or takes that back: the one
	// membership says so of itself, the other follows. NotFound when one is not there; changed
	// tells whether it was otherwise.
	SetBlocked(ctx context.Context, roomID, blocker, blocked string, on bool, at time.Time) (changed bool, err error)
	Subscription(ctx context.Context, roomID, userID string) (*Subscription, error)
	// SubscriptionsOf are a user's memberships changed at or after since, in no order.
	SubscriptionsOf(ctx context.Context, userID string, since time.Time) ([]*Subscription, error)
	// SubscriptionsIn are the memberships of these users in a room.
	SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) ([]*Subscription, error)
	// RoomIDsOf are the ids of the rooms a user is in.
	RoomIDsOf(ctx context.Context, userID string) ([]string, error)
	// Members are the user ids of a room together with the room's membership
	// counter as it was before they were read.
	Members(ctx context.Context, roomID string) (userIDs []string, membership int64, err error)
	// ListMembers pages through memberships ordered by user name key.
	ListMembers(ctx context.Context, roomID string, offset, count int) (page []*Subscription, total int, err error)
	// MembersWithRole are the memberships of a room that carry any role.
	MembersWithRole(ctx context.Context, roomID string) ([]*Subscription, error)
	// ChangeSubscription applies c; changed is false, and nothing is written,
	// when everything was that way already.
	ChangeSubscription(ctx context.Context, roomID, userID string, c SubscriptionChange) (s *Subscription, changed bool, err error)
	// ForgetThread makes a thread that is gone unread for nobody in the room; touched are
	// the ids of the users whose membership changed.
	ForgetThread(ctx context.Context, roomID, id string, at time.Time) (touched []string, err error)
	// RenameUser rewrites the user's name in all its memberships, and in direct rooms
	// what they and their other sides are called by it (Room.CallDirect).
	RenameUser(ctx context.Context, r Ref, at time.Time) error
	// GoneSubscriptions are a user's ended memberships since then.
	GoneSubscriptions(ctx context.Context, userID string, since time.Time) ([]Gone, error)
}

// SubscriptionChange changes one membership; nil leaves a field.
type SubscriptionChange struct {
	Open, Favorite *bool
	// Read sets LastSeen to At and the counters and Alert to zero; ReadThreads forgets
	// which threads are unread, ReadThread that this one is.
	Read, ReadThreads bool
	ReadThread        string
	// UnreadFrom, if not zero, is what LastSeen goes back to, with Alert.
	UnreadFrom time.Time
	// Ignore and Heed name somebody who becomes one of Ignored, unless there are MaxIgnored,
	// or is one no more. Each comes alone.
	Ignore, Heed string
	At           time.Time
}

// MaxIgnored bounds whom a user ignores in one room.
const MaxIgnored = 500

// Span selects changes by their moment: those after After, the oldest first, or with
// Before those before it, the newest first; at most Limit. Neither end is in it. Thread
// keeps the answers to that message, Threads the messages that were answered.
type Span struct {
	After, Before time.Time
	Limit         int
	Thread        string
	Threads       bool
}

// MessageStore keeps messages.
type MessageStore interface {
	// InsertMessage stores m (Duplicate when its id is taken; nothing happens
	// then), makes it the room's last message unless a newer one is, counts it,
	// and counts it as unread by e. room is the room afterwards; touched are
	// the ids of the users whose membership changed, the author's excepted. An answer in
	// a thread (e.Thread) is counted by the message that it answers: Conflict when that is
	// not there, is hidden, is in another room, or answers one itself; nothing happens then.
	InsertMessage(ctx context.Context, m *Message, e Unread) (room *Room, touched []string, err error)
	MessageByID(ctx context.Context, id string) (*Message, error)
	// History reads messages of a room, newest first unless q says otherwise.
	// Hidden ones are left out. It and ChangedMessages end early, before the
	// message with which they would hold more than StoredPageBytes, but not before
	// the first.
	History(ctx context.Context, q HistoryQuery) ([]*Message, error)
	// CountHistory counts what History would read without Limit and Offset.
	CountHistory(ctx context.Context, q HistoryQuery) (int, error)
	// ChangedMessages are the messages of a room written or changed in a span of time.
	ChangedMessages(ctx context.Context, roomID string, in Span) ([]*Message, error)
	// GoneMessages are those deleted in a span of time.
	GoneMessages(ctx context.Context, roomID string, in Span) ([]Gone, error)

	// EditMessage replaces the text and what was found in it. Condition: it is
	// an ordinary message whose text is still old. Conflict otherwise.
	EditMessage(ctx context.Context, id string, e Edit) (*Message, error)
	// SetPinned pins or unpins. Conflict when it was that way already.
	SetPinned(ctx context.Context, id string, on bool, by Ref, at time.Time) (*Message, error)
	// SetStar stars or unstars for one user; changed tells whether it was otherwise.
	SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (m *Message, changed bool, err error)
	// SetReaction adds or takes back one user's emoji (":name:"), or toggles it
	// when on is nil. Exhausted when max other emojis stand there already. set
	// is what it is afterwards; changed tells whether it was otherwise.
	SetReaction(ctx context.Context, id, emoji, username string, on *bool, max int, at time.Time) (m *Message, set, changed bool, err error)
	// SetFollower makes a user one whom a message's answers are told to, or no more;
	// changed tells whether it was otherwise. Exhausted when MaxFollowers follow already.
	SetFollower(ctx context.Context, id, userID string, on bool, at time.Time) (m *Message, changed bool, err error)
	// DeleteMessage removes it for good, leaves a Gone and takes it out of the
	// room's count and last message, and of what it answered. Answers to it become
	// messages of the room.
	DeleteMessage(ctx context.Context, id string, at time.Time) (room *Room, was *Message, err error)
	// SweepGone forgets what was deleted before then.
	SweepGone(ctx context.Context, before time.Time) error
	// Mend completes what a node left half written that died in the middle of an operation on
	// rooms, long enough before now that it cannot be under way any more. A store whose operations are
	// transactions has nothing to do. It may run on several nodes at once.
	Mend(ctx context.Context, now time.Time) error
}

// Unread says whose counters a new message moves. The author's never move; the
// author's membership gets LastSeen and LastReply instead. Every other member
// gets Alert and is opened again.
type Unread struct {
	// None leaves every membership alone (system messages).
	None bool `bson:"none,omitempty"`
	// Users are mentioned by name: UserMentions and Unread grow.
	Users []string `bson:"users,omitempty"`
	// Group: everybody is addressed (@all, @here): GroupMentions grows.
	Group bool `bson:"group,omitempty"`
	// CountAll, CountGroup and CountUsers say whether Unread grows for everybody,
	// for a group mention, for a mention by name.
	CountAll   bool `bson:"countAll,omitempty"`
	CountGroup bool `bson:"countGroup,omitempty"`
	CountUsers bool `bson:"countUsers,omitempty"`

	// Thread is what the message answers, if anything, Follow who follows that from now
	// on. Tell are those for whom the thread is unread then; nobody else's membership moves
	// unless the message is shown in the room, too.
	Thread string   `bson:"thread,omitempty"`
	Follow []string `bson:"follow,omitempty"`
	Tell   []string `bson:"-"` // known from the followers
}

// Grows says how the counters of one other member move.
func (e *Unread) Grows(mentioned bool) (unread, userMentions, groupMentions int) {
	if mentioned {
		userMentions = 1
	}
	if e.Group {
		groupMentions = 1
	}
	if e.CountAll || e.Group && e.CountGroup || mentioned && e.CountUsers {
		unread = 1
	}
	return unread, userMentions, groupMentions
}

// HistoryQuery selects messages of one room.
type HistoryQuery struct {
	RoomID string
	// Before and After bound ts, exclusive unless Inclusive; zero is open.
	Before, After time.Time
	Inclusive     bool
	// OldestFirst turns the order round.
	OldestFirst bool
	// Pinned selects pinned messages; StarredBy those starred by a user.
	Pinned    bool
	StarredBy string
	// Ordinary leaves out system messages.
	Ordinary bool
	// Main leaves out answers that are shown in their threads alone; Thread selects the
	// answers to a message.
	Main   bool
	Thread string
	// Threads selects messages that were answered, and orders them by their last answer;
	// FollowedBy those of them that a user follows, In those with these ids.
	Threads       bool
	FollowedBy    string
	In            []string
	Limit, Offset int
}

// Edit is the new content of a message.
type Edit struct {
	Old      string
	Text     string
	Mentions []Mention
	Channels []ChannelRef
	URLs     []URL
	// Attachments replace those there are; nil leaves them.
	Attachments *[]Attachment
	By          Ref
	At          time.Time
}

// PresenceStore keeps who is connected where.
type PresenceStore interface {
	// SavePresence records what connections of a node say about users ("" when
	// the last one is gone) and returns, for each of these users, the best
	// status over all nodes seen at or after alive.
	SavePresence(ctx context.Context, node string, states []Presence, now, alive time.Time) ([]Presence, error)
	// TouchNode says that a node lives.
	TouchNode(ctx context.Context, node string, now time.Time) error
	// SweepPresence forgets nodes not seen since alive, and returns the best
	// status left of each user they spoke for.
	SweepPresence(ctx context.Context, alive time.Time) ([]Presence, error)
}

// Presence is the status of one user.
type Presence struct {
	UserID string
	Status string
}

// BetterStatus orders the statuses that connections have: online, away, none.
func BetterStatus(a, b string) string {
	switch {
	case a == Online || b == Online:
		return Online
	case a == Away || b == Away:
		return Away
	}
	return ""
}
