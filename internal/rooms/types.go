package rooms

import (
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// The types of rooms, as Rocket.Chat's "t".
const (
	Channel = "c" // public, anybody may join
	Group   = "p" // private, by invitation
	Direct  = "d" // a fixed set of users
)

// General is the id and name of the channel that exists from the first start
// and that every new user joins.
const (
	GeneralID   = "GENERAL"
	GeneralName = "general"
)

// The types of system messages ("t" of a message). An ordinary message has none.
const (
	TypeJoined  = "uj"
	TypeLeft    = "ul"
	TypeAdded   = "au"
	TypeRemoved = "ru"
	TypePinned  = "message_pinned"

	// Changes of a room. The text is what it is now, and empty where the type says all.
	TypeRenamed         = "r"
	TypeTopic           = "room_changed_topic"
	TypeDescription     = "room_changed_description"
	TypeAnnouncement    = "room_changed_announcement"
	TypePrivacy         = "room_changed_privacy"
	TypeReadOnlyOn      = "room-set-read-only"
	TypeReadOnlyOff     = "room-removed-read-only"
	TypeReactionsOpened = "room-allowed-reacting"
	TypeReactionsClosed = "room-disallowed-reacting"
	TypeArchived        = "room-archived"
	TypeUnarchived      = "room-unarchived"
	TypeMuted           = "user-muted"
	TypeUnmuted         = "user-unmuted"
	TypeAvatar          = "room_changed_avatar"

	// Role changes; the field "role" of the message names the role.
	TypeRoleAdded   = "subscription-role-added"
	TypeRoleRemoved = "subscription-role-removed"
)

// The roles a subscription can carry, those with the most rights first.
const (
	Owner     = "owner"
	Moderator = "moderator"
	// Leader gives no rights: it is shown.
	Leader = "leader"
)

// Ref names a user inside another document.
type Ref struct {
	ID       string `bson:"_id"`
	Username string `bson:"username,omitempty"`
	Name     string `bson:"name,omitempty"`
}

// Room is one conversation (collection "rocketchat_room"). Values handed out by
// a store belong to the caller.
type Room struct {
	ID   string `bson:"_id"`
	Type string `bson:"t"`
	// Name is the unique name of a channel or group; direct rooms have none.
	Name  string `bson:"name,omitempty"`
	FName string `bson:"fname,omitempty"`
	// Creator is nil for the default channel and for direct rooms.
	Creator      *Ref   `bson:"u,omitempty"`
	Topic        string `bson:"topic,omitempty"`
	Description  string `bson:"description,omitempty"`
	Announcement string `bson:"announcement,omitempty"`
	// Default rooms are joined by every new user.
	Default bool `bson:"default,omitempty"`
	// ReadOnly rooms are written by owners and moderators, and by those on the list
	// Unmuted; ReactWhenReadOnly lets everybody answer with emojis there. A Broadcast is
	// read-only, whatever ReadOnly says.
	ReadOnly          bool `bson:"ro"`
	ReactWhenReadOnly bool `bson:"reactWhenReadOnly,omitempty"`
	Broadcast         bool `bson:"broadcast,omitempty"`
	Archived          bool `bson:"archived,omitempty"`
	// CustomFields are what programs of the owners keep with the room, and everybody who
	// finds it is shown.
	CustomFields map[string]any `bson:"customFields,omitempty"`
	// AvatarETag names the room's picture.
	AvatarETag string `bson:"avatarETag,omitempty"`
	// Muted members, by their names then, only read, whatever they are called since
	// (MutedIDs); Unmuted and UnmutedIDs are those who may write although the room is
	// read-only.
	Muted      []string `bson:"muted,omitempty"`
	MutedIDs   []string `bson:"ddpMuted,omitempty"`
	Unmuted    []string `bson:"unmuted,omitempty"`
	UnmutedIDs []string `bson:"ddpUnmuted,omitempty"`
	// Who joins by himself needs a code where it is required: the one whose keyed digest is
	// JoinDigest. JoinCode is that of an adopted database, in clear, until another is chosen.
	JoinCodeRequired bool   `bson:"joinCodeRequired,omitempty"`
	JoinCode         string `bson:"joinCode,omitempty"`
	JoinDigest       string `bson:"ddpJoinCode,omitempty"`
	// Encrypted rooms of an adopted database take no messages: this server could not keep
	// them from itself.
	Encrypted bool `bson:"encrypted,omitempty"`
	// UserIDs and Usernames are the sides of a direct room, sorted by id.
	UserIDs     []string  `bson:"uids,omitempty"`
	Usernames   []string  `bson:"usernames,omitempty"`
	Users       int       `bson:"usersCount"`
	Messages    int       `bson:"msgs"`
	LastMessage *Message  `bson:"lastMessage,omitempty"`
	LastAt      time.Time `bson:"lm,omitempty"`
	TS          time.Time `bson:"ts"`
	UpdatedAt   time.Time `bson:"_updatedAt"`

	// NameKey is user.Key of Name, unique among rooms; DirectKey names the set
	// of users of a direct room, unique too.
	NameKey   string `bson:"ddpNameKey,omitempty"`
	DirectKey string `bson:"ddpDirectKey,omitempty"`
	// Owners are the ids of the members with role owner. Nil in documents of an
	// adopted database, where subscriptions alone tell.
	Owners []string `bson:"ddpOwners,omitempty"`
	// Membership grows with every change of who is in the room. Whoever pushes
	// an event of the room compares it with what it knows (see feed events).
	Membership int64 `bson:"ddpMembership,omitempty"`
}

// Subscription is one user's membership of one room (collection
// "rocketchat_subscription"); the pair is unique.
type Subscription struct {
	ID     string `bson:"_id"`
	RoomID string `bson:"rid"`
	Type   string `bson:"t"`
	// Name and FName are what the user sees: for direct rooms the other side.
	Name          string `bson:"name"`
	FName         string `bson:"fname,omitempty"`
	User          Ref    `bson:"u"`
	Open          bool   `bson:"open"`
	Alert         bool   `bson:"alert"`
	Unread        int    `bson:"unread"`
	UserMentions  int    `bson:"userMentions"`
	GroupMentions int    `bson:"groupMentions"`
	Favorite      bool   `bson:"f,omitempty"`
	// Archived is that of the room.
	Archived bool `bson:"archived,omitempty"`
	// Blocked and Blocker are the two sides of a direct room in which one blocked the
	// other; neither writes.
	Blocked bool `bson:"blocked,omitempty"`
	Blocker bool `bson:"blocker,omitempty"`
	// Ignored are the ids of those whose messages the user's clients hide, MaxIgnored at most.
	Ignored   []string  `bson:"ignored,omitempty"`
	Roles     []string  `bson:"roles,omitempty"`
	TS        time.Time `bson:"ts"`
	LastSeen  time.Time `bson:"ls,omitempty"`
	LastReply time.Time `bson:"lr,omitempty"`
	UpdatedAt time.Time `bson:"_updatedAt"`
	// UserKey is user.Key of the user name; lists of members are ordered by it.
	UserKey string `bson:"ddpUserKey,omitempty"`

	// Threads are the messages whose answers the user has not seen, UserThreads those of
	// them in which he was mentioned by name, GroupThreads with everybody.
	Threads      Threads `bson:"tunread,omitempty"`
	UserThreads  Threads `bson:"tunreadUser,omitempty"`
	GroupThreads Threads `bson:"tunreadGroup,omitempty"`
}

// HasRole tells whether the subscription carries that role.
func (s *Subscription) HasRole(role string) bool {
	for _, r := range s.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Message is one message (collection "rocketchat_message"). The parsed text
// ("md") is not stored: it is derived from Text whenever a message is shown.
type Message struct {
	ID     string `bson:"_id"`
	RoomID string `bson:"rid"`
	// Type is empty for what users write.
	Type      string    `bson:"t,omitempty"`
	Text      string    `bson:"msg"`
	TS        time.Time `bson:"ts"`
	User      Ref       `bson:"u"`
	UpdatedAt time.Time `bson:"_updatedAt"`

	Alias     string `bson:"alias,omitempty"`
	Emoji     string `bson:"emoji,omitempty"`
	Avatar    string `bson:"avatar,omitempty"`
	Groupable *bool  `bson:"groupable,omitempty"`
	// Bot names the program that wrote it, nil for people.
	Bot *Bot `bson:"bot,omitempty"`
	// Role belongs to the system messages about roles.
	Role string `bson:"role,omitempty"`
	// ThreadID is the message that this one answers, in its thread. Shown: in the room
	// as well.
	ThreadID string `bson:"tmid,omitempty"`
	Shown    bool   `bson:"tshow,omitempty"`
	// Replies counts the answers to this message, LastReply is the time of the newest,
	// and Followers are the ids of those who are told of them.
	Replies   int       `bson:"tcount,omitempty"`
	LastReply time.Time `bson:"tlm,omitempty"`
	Followers []string  `bson:"replies,omitempty"`

	Mentions    []Mention    `bson:"mentions,omitempty"`
	Channels    []ChannelRef `bson:"channels,omitempty"`
	URLs        []URL        `bson:"urls,omitempty"`
	Attachments []Attachment `bson:"attachments,omitempty"`
	// File is the first of Files, where older clients look.
	File  *FileRef  `bson:"file,omitempty"`
	Files []FileRef `bson:"files,omitempty"`

	EditedAt time.Time `bson:"editedAt,omitempty"`
	EditedBy *Ref      `bson:"editedBy,omitempty"`
	Pinned   bool      `bson:"pinned,omitempty"`
	PinnedAt time.Time `bson:"pinnedAt,omitempty"`
	PinnedBy *Ref      `bson:"pinnedBy,omitempty"`
	// Starred holds the ids of those who starred it; each is shown only its own.
	Starred   []Star              `bson:"starred,omitempty"`
	Reactions map[string]Reaction `bson:"reactions,omitempty"`
	// Hidden messages of an adopted database (edit history) are never shown.
	Hidden bool `bson:"_hidden,omitempty"`

	// parsed is the tree of Text, once a page was measured with it.
	parsed ejson.Raw
}

// FileRef names a file of a message.
type FileRef struct {
	ID     string `bson:"_id"`
	Name   string `bson:"name,omitempty"`
	Type   string `bson:"type,omitempty"`
	Size   int64  `bson:"size,omitempty"`
	Format string `bson:"format,omitempty"`
	Group  string `bson:"typeGroup,omitempty"`
}

// Bot is how the SDKs of Rocket.Chat mark what a program wrote.
type Bot struct {
	// Integration is the name that the program gives itself.
	Integration string `bson:"i"`
}

// Mention is a user, or "all" or "here", addressed in a message.
type Mention struct {
	ID       string `bson:"_id"`
	Username string `bson:"username,omitempty"`
	Name     string `bson:"name,omitempty"`
	Type     string `bson:"type,omitempty"` // "user", as Rocket.Chat writes it
}

// ChannelRef is a room named in a message.
type ChannelRef struct {
	ID    string `bson:"_id"`
	Name  string `bson:"name"`
	FName string `bson:"fname,omitempty"`
}

// URL is an address found in a message. The server never fetches it.
type URL struct {
	URL string `bson:"url"`
}

// Star says who starred a message.
type Star struct {
	ID string `bson:"_id"`
}

// Reaction is who answered a message with one emoji.
type Reaction struct {
	Usernames []string `bson:"usernames"`
}

// Attachment is a part of a message beside its text: quotes and the cards that bots
// send, and files. Every URL is http(s) or relative. What is said of a file is the
// server's word, and not read from clients.
type Attachment struct {
	Text        string            `bson:"text,omitempty" ejson:"text,optional"`
	Title       string            `bson:"title,omitempty" ejson:"title,optional"`
	TitleLink   string            `bson:"title_link,omitempty" ejson:"title_link,optional"`
	Color       string            `bson:"color,omitempty" ejson:"color,optional"`
	AuthorName  string            `bson:"author_name,omitempty" ejson:"author_name,optional"`
	AuthorLink  string            `bson:"author_link,omitempty" ejson:"author_link,optional"`
	AuthorIcon  string            `bson:"author_icon,omitempty" ejson:"author_icon,optional"`
	ImageURL    string            `bson:"image_url,omitempty" ejson:"image_url,optional"`
	ThumbURL    string            `bson:"thumb_url,omitempty" ejson:"thumb_url,optional"`
	MessageLink string            `bson:"message_link,omitempty" ejson:"message_link,optional"`
	Collapsed   bool              `bson:"collapsed,omitempty" ejson:"collapsed,optional"`
	TS          time.Time         `bson:"ts,omitempty" ejson:"-"`
	Fields      []AttachmentField `bson:"fields,omitempty" ejson:"fields,optional"`
	// Attachments are those of a message that is quoted. Clients send none.
	Attachments []Attachment `bson:"attachments,omitempty" ejson:"-"`

	Type              string      `bson:"type,omitempty" ejson:"-"` // "file"
	Description       string      `bson:"description,omitempty" ejson:"-"`
	TitleLinkDownload bool        `bson:"title_link_download,omitempty" ejson:"-"`
	FileID            string      `bson:"fileId,omitempty" ejson:"-"`
	Format            string      `bson:"format,omitempty" ejson:"-"`
	Size              int64       `bson:"size,omitempty" ejson:"-"`
	ImageType         string      `bson:"image_type,omitempty" ejson:"-"`
	ImageSize         int64       `bson:"image_size,omitempty" ejson:"-"`
	ImageDimensions   *Dimensions `bson:"image_dimensions,omitempty" ejson:"-"`
	ImagePreview      string      `bson:"image_preview,omitempty" ejson:"-"`
	AudioURL          string      `bson:"audio_url,omitempty" ejson:"-"`
	AudioType         string      `bson:"audio_type,omitempty" ejson:"-"`
	AudioSize         int64       `bson:"audio_size,omitempty" ejson:"-"`
	VideoURL          string      `bson:"video_url,omitempty" ejson:"-"`
	VideoType         string      `bson:"video_type,omitempty" ejson:"-"`
	VideoSize         int64       `bson:"video_size,omitempty" ejson:"-"`

	_ struct{} `ejson:",ignore"`
}

// AttachmentField is one cell of an attachment's table.
type AttachmentField struct {
	Short bool   `bson:"short,omitempty" ejson:"short,optional"`
	Title string `bson:"title" ejson:"title"`
	Value string `bson:"value" ejson:"value"`

	_ struct{} `ejson:",ignore"`
}

// Gone is what is left of a deleted subscription or message, so that clients
// that were away can be told (collection "rocketchat__trash").
type Gone struct {
	ID        string    `bson:"_id"`
	Kind      string    `bson:"__collection__"` // GoneSubscription or GoneMessage
	RoomID    string    `bson:"rid"`
	UserID    string    `bson:"uid,omitempty"`
	DeletedAt time.Time `bson:"_deletedAt"`
}

// The kinds of Gone.
const (
	GoneSubscription = "subscription"
	GoneMessage      = "message"
)

// Presence values, as Rocket.Chat's user status.
const (
	Online  = user.Online
	Away    = user.Away
	Busy    = user.Busy
	Offline = user.Offline
)
