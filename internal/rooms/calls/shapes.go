package calls

import (
	"time"

	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
)

// The bodies, queries and answers of the routes of rooms. Their schemas, under the
// names of these types, check what is asked and are published (schema.Of); "success"
// stands beside the members of an answer (schema.Answer). Members that nothing here
// reads are those that published clients send.

// The documents of rooms, as package rooms makes them. Members that a document lacks
// are those that say nothing.
type (
	userRef struct {
		ID       string `json:"_id"`
		Username string `json:"username,omitempty"`
		Name     string `json:"name,omitempty"`
	}
	message struct {
		ID          string           `json:"_id"`
		RoomID      string           `json:"rid"`
		Text        string           `json:"msg"`
		TS          time.Time        `json:"ts"`
		User        userRef          `json:"u"`
		Type        string           `json:"t,omitempty"`
		UpdatedAt   time.Time        `json:"_updatedAt"`
		URLs        []map[string]any `json:"urls"`
		Mentions    []userRef        `json:"mentions"`
		Channels    []map[string]any `json:"channels"`
		MD          []map[string]any `json:"md,omitempty"`
		Attachments []map[string]any `json:"attachments,omitempty"`
		File        map[string]any   `json:"file,omitempty"`
		Files       []map[string]any `json:"files,omitempty"`
		EditedAt    time.Time        `json:"editedAt,omitempty"`
		EditedBy    userRef          `json:"editedBy,omitempty"`
		Pinned      bool             `json:"pinned,omitempty"`
		PinnedAt    time.Time        `json:"pinnedAt,omitempty"`
		PinnedBy    userRef          `json:"pinnedBy,omitempty"`
		Starred     []userRef        `json:"starred,omitempty"`
		Reactions   map[string]any   `json:"reactions,omitempty"`
		Alias       string           `json:"alias,omitempty"`
		Emoji       string           `json:"emoji,omitempty"`
		Avatar      string           `json:"avatar,omitempty"`
		Groupable   bool             `json:"groupable,omitempty"`
		Bot         map[string]any   `json:"bot,omitempty"`
		Role        string           `json:"role,omitempty"`
		ThreadID    string           `json:"tmid,omitempty"`
		Shown       bool             `json:"tshow,omitempty"`
		Replies     int              `json:"tcount,omitempty"`
		LastReply   time.Time        `json:"tlm,omitempty"`
		Followers   []string         `json:"replies,omitempty"`
	}
	room struct {
		ID           string         `json:"_id"`
		Type         typeOfRoom     `json:"t"`
		Name         string         `json:"name,omitempty"`
		FName        string         `json:"fname,omitempty"`
		Messages     int            `json:"msgs"`
		Users        int            `json:"usersCount"`
		Owner        userRef        `json:"u,omitempty"`
		Topic        string         `json:"topic,omitempty"`
		Description  string         `json:"description,omitempty"`
		Announcement string         `json:"announcement,omitempty"`
		AvatarETag   string         `json:"avatarETag,omitempty"`
		CreatedAt    time.Time      `json:"ts"`
		ReadOnly     bool           `json:"ro"`
		SysMes       bool           `json:"sysMes,omitempty"`
		Default      bool           `json:"default,omitempty"`
		Reacts       bool           `json:"reactWhenReadOnly,omitempty"`
		Broadcast    bool           `json:"broadcast,omitempty"`
		Archived     bool           `json:"archived,omitempty"`
		NeedsCode    bool           `json:"joinCodeRequired,omitempty"`
		Encrypted    bool           `json:"encrypted,omitempty"`
		CustomFields map[string]any `json:"customFields,omitempty"`
		Muted        []string       `json:"muted,omitempty"`
		Unmuted      []string       `json:"unmuted,omitempty"`
		UserIDs      []string       `json:"uids,omitempty"`
		Usernames    []string       `json:"usernames,omitempty"`
		LastAt       time.Time      `json:"lm,omitempty"`
		LastMessage  message        `json:"lastMessage,omitempty"`
		UpdatedAt    time.Time      `json:"_updatedAt"`
	}
	subscription struct {
		ID            string    `json:"_id"`
		RoomID        string    `json:"rid"`
		Type          string    `json:"t"`
		Name          string    `json:"name"`
		FName         string    `json:"fname,omitempty"`
		User          userRef   `json:"u"`
		Open          bool      `json:"open"`
		Alert         bool      `json:"alert"`
		Unread        int       `json:"unread"`
		UserMentions  int       `json:"userMentions"`
		GroupMentions int       `json:"groupMentions"`
		JoinedAt      time.Time `json:"ts"`
		Favorite      bool      `json:"f,omitempty"`
		Archived      bool      `json:"archived,omitempty"`
		Blocked       bool      `json:"blocked,omitempty"`
		Blocker       bool      `json:"blocker,omitempty"`
		Roles         []string  `json:"roles,omitempty"`
		Ignored       []string  `json:"ignored,omitempty"`
		SeenAt        time.Time `json:"ls,omitempty"`
		RepliedAt     time.Time `json:"lr,omitempty"`
		Threads       []string  `json:"tunread,omitempty"`
		UserThreads   []string  `json:"tunreadUser,omitempty"`
		GroupThreads  []string  `json:"tunreadGroup,omitempty"`
		UpdatedAt     time.Time `json:"_updatedAt"`
	}
	member struct {
		ID         string `json:"_id"`
		Username   string `json:"username,omitempty"`
		Name       string `json:"name,omitempty"`
		Status     string `json:"status"`
		StatusText string `json:"statusText,omitempty"`
		AvatarETag string `json:"avatarETag,omitempty"`
	}
	gone struct {
		ID        string    `json:"_id"`
		RoomID    string    `json:"rid,omitempty"`
		DeletedAt time.Time `json:"_deletedAt"`
	}
)

// momentOrEnd is a cursor of chat.syncMessages.
type momentOrEnd struct{}

// typeOfRoom is one of the letters for what kind of room it is.
type typeOfRoom struct{}

// JSONSchema lists them.
func (typeOfRoom) JSONSchema() schema.Schema {
	return schema.OneOf(rooms.Channel, rooms.Group, rooms.Direct)
}

// shownStatus is one of the words for how somebody is shown.
type shownStatus struct{}

// JSONSchema is a text, or null.
func (momentOrEnd) JSONSchema() schema.Schema {
	return schema.Schema{"type": []any{"string", "null"}}.
		About("where to go on: a date when lastUpdate was asked for, else milliseconds since 1970; null at the end")
}

// JSONSchema lists them.
func (shownStatus) JSONSchema() schema.Schema {
	return schema.OneOf(rooms.Online, rooms.Away, rooms.Busy, rooms.Offline)
}

// ownSubscription is the caller's membership of a room, null when there is none.
type ownSubscription struct{}

// JSONSchema says so.
func (ownSubscription) JSONSchema() schema.Schema {
	return schema.Either(schema.Of[subscription](), schema.Schema{"type": "null"})
}

// oneOrMore is a text, or a list of texts.
type oneOrMore struct{}

// JSONSchema says so.
func (oneOrMore) JSONSchema() schema.Schema {
	return schema.Either(schema.Text(), schema.List(schema.Text()))
}

// What requests name rooms by, and pages of what is in one.
type (
	roomNames struct {
		RoomID   string `json:"roomId,omitempty"`
		RoomName string `json:"roomName,omitempty"`
	}
	// directNames also names a direct room by who is on its other side.
	directNames struct {
		roomNames
		other
	}
	other struct {
		Username string `json:"username,omitempty"`
	}
	roomPage struct {
		rest.Page
		roomNames
	}
	directPage struct {
		roomPage
		other
	}
	membersQuery struct {
		roomPage
		Filter string        `json:"filter,omitempty"`
		Status []shownStatus `json:"status,omitempty"`
	}
	directMembersQuery struct {
		membersQuery
		other
	}
	historyQuery struct {
		roomPage
		Latest    string `json:"latest,omitempty"`
		Oldest    string `json:"oldest,omitempty"`
		Inclusive bool   `json:"inclusive,omitempty"`
		Threads   bool   `json:"showThreadMessages,omitempty" about:"false leaves out answers that are shown in their threads alone"`
		Unreads   bool   `json:"unreads,omitempty" about:"Rocket.Chat's clients send it; the counts of unread messages are those of the subscription"`
	}
	messagesQuery struct {
		roomPage
		messagesOf
	}
	directMessagesQuery struct {
		directPage
		messagesOf
	}
	messagesOf struct {
		Query string `json:"query,omitempty" about:"of it, {\"tmid\": id} asks for the answers to a message, and {\"tmid\": {\"$exists\": false}} for what is none; the rest is not read"`
	}
	directHistoryQuery struct {
		historyQuery
		other
	}
	// knownRoom names a room by its id alone.
	knownRoom struct {
		RoomID string `json:"roomId" minLength:"1"`
	}
	knownRoomPage struct {
		rest.Page
		knownRoom
	}
	sinceQuery struct {
		UpdatedSince string `json:"updatedSince,omitempty"`
	}
)

// What is sent about rooms.
type (
	newRoom struct {
		Name         string         `json:"name" minLength:"1"`
		Members      []string       `json:"members,omitempty"`
		ReadOnly     bool           `json:"readOnly,omitempty"`
		ExtraData    map[string]any `json:"extraData,omitempty"`
		CustomFields map[string]any `json:"customFields,omitempty"`
	}
	newDirect struct {
		Username    string `json:"username,omitempty"`
		Usernames   string `json:"usernames,omitempty"`
		ExcludeSelf bool   `json:"excludeSelf,omitempty"`
	}
	roomMember struct {
		roomNames
		rest.Account
	}
	invitation struct {
		roomMember
		UserIDs   []string `json:"userIds,omitempty"`
		Usernames []string `json:"usernames,omitempty"`
	}
	joining struct {
		roomNames
		JoinCode string `json:"joinCode,omitempty"`
	}
	favoriteRoom struct {
		roomNames
		Favorite bool `json:"favorite"`
	}
	readRoom struct {
		RID    string `json:"rid,omitempty"`
		RoomID string `json:"roomId,omitempty"`

		ReadThreads bool `json:"readThreads,omitempty"`
	}
)

// What is answered about rooms.
type (
	roomAnswer struct {
		Room room `json:"room"`
	}
	channelAnswer struct {
		Channel room `json:"channel"`
	}
	groupAnswer struct {
		Group room `json:"group"`
	}
	directAnswer struct {
		Room directRoom `json:"room"`
	}
	directRoom struct {
		ID        string   `json:"_id"`
		Type      string   `json:"t"`
		Usernames []string `json:"usernames"`
		RID       string   `json:"rid"`
	}
	pageOfChannels struct {
		Channels []room `json:"channels"`
		rest.Extent
	}
	pageOfGroups struct {
		Groups []room `json:"groups"`
		rest.Extent
	}
	pageOfIms struct {
		Ims []room `json:"ims"`
		rest.Extent
	}
	pageOfMembers struct {
		Members []member `json:"members"`
		rest.Extent
	}
	pageOfMessages struct {
		Messages []message `json:"messages"`
		rest.Extent
	}
	messageList struct {
		Messages []message `json:"messages"`
	}
	roomUpdate struct {
		Update []room `json:"update"`
		Remove []gone `json:"remove"`
	}
	subscriptionUpdate struct {
		Update []subscription `json:"update"`
		Remove []gone         `json:"remove"`
	}
	subscriptionAnswer struct {
		Subscription ownSubscription `json:"subscription"`
	}
	counters struct {
		Joined       bool `json:"joined"`
		Members      int  `json:"members"`
		Unreads      int  `json:"unreads"`
		Messages     int  `json:"msgs"`
		UserMentions int  `json:"userMentions,omitempty"`
	}
	roleHolders struct {
		Roles []roleHolder `json:"roles"`
	}
	roleHolder struct {
		ID     string   `json:"_id"`
		RoomID string   `json:"rid"`
		User   userRef  `json:"u"`
		Roles  []string `json:"roles"`
	}
)

// Messages.
type (
	messageAnswer struct {
		Message message `json:"message"`
	}
	newMessage struct {
		Message     sentMessage `json:"message"`
		PreviewURLs []string    `json:"previewUrls,omitempty"`
	}
	sentMessage struct {
		RoomID      string           `json:"rid" minLength:"1"`
		ID          string           `json:"_id,omitempty"`
		Text        string           `json:"msg,omitempty"`
		Alias       string           `json:"alias,omitempty"`
		Emoji       string           `json:"emoji,omitempty"`
		Avatar      string           `json:"avatar,omitempty"`
		Attachments []map[string]any `json:"attachments,omitempty"`
		ThreadID    string           `json:"tmid,omitempty"`
		Shown       bool             `json:"tshow,omitempty"`
	}
	posting struct {
		RoomID      oneOrMore        `json:"roomId,omitempty"`
		Channel     oneOrMore        `json:"channel,omitempty"`
		Text        string           `json:"text,omitempty"`
		Msg         string           `json:"msg,omitempty"`
		Alias       string           `json:"alias,omitempty"`
		Emoji       string           `json:"emoji,omitempty"`
		Avatar      string           `json:"avatar,omitempty"`
		Groupable   bool             `json:"groupable,omitempty"`
		Bot         any              `json:"bot,omitempty"`
		Attachments []map[string]any `json:"attachments,omitempty"`
		ThreadID    string           `json:"tmid,omitempty"`
		Shown       bool             `json:"tshow,omitempty"`
	}
	posted struct {
		TS      int     `json:"ts"`
		Channel string  `json:"channel"`
		Message message `json:"message"`
	}
	messageEdit struct {
		RoomID      string   `json:"roomId" minLength:"1"`
		MessageID   string   `json:"msgId" minLength:"1"`
		Text        string   `json:"text"`
		PreviewURLs []string `json:"previewUrls,omitempty"`
	}
	messageDeletion struct {
		MessageID string `json:"msgId" minLength:"1"`
		RoomID    string `json:"roomId" minLength:"1"`
		AsUser    bool   `json:"asUser,omitempty"`
	}
	deletedMessage struct {
		ID      string  `json:"_id"`
		TS      string  `json:"ts"`
		Message message `json:"message"`
	}
	messageQuery struct {
		MessageID string `json:"msgId" minLength:"1"`
	}
	knownMessage struct {
		MessageID string `json:"messageId" minLength:"1"`
	}
	reactionBody struct {
		knownMessage
		Emoji       string `json:"emoji,omitempty"`
		Reaction    string `json:"reaction,omitempty"`
		ShouldReact bool   `json:"shouldReact,omitempty"`
	}
	searchQuery struct {
		knownRoomPage
		SearchText string `json:"searchText,omitempty"`
	}
	syncQuery struct {
		knownRoom
		LastUpdate string `json:"lastUpdate,omitempty" about:"a date: everything since then, changes and deletions"`
		Type       string `json:"type,omitempty" enum:"UPDATED,DELETED" about:"one page of the changes, or of the deletions"`
		Next       string `json:"next,omitempty" about:"with type: what came after this moment, the oldest first; milliseconds since 1970"`
		Previous   string `json:"previous,omitempty" about:"with type: what came before this moment, the newest first; milliseconds since 1970"`
		Count      int    `json:"count,omitempty" minimum:"0" about:"with type: how many, 50 if it is missing, 100 at most"`
	}
	syncAnswer struct {
		Result syncResult `json:"result"`
	}
	syncResult struct {
		Updated []message  `json:"updated"`
		Deleted []gone     `json:"deleted"`
		Cursor  syncCursor `json:"cursor,omitempty"`
	}
	syncCursor struct {
		Next     momentOrEnd `json:"next"`
		Previous momentOrEnd `json:"previous"`
	}
)

// Presence, and what a chat client asks for beside rooms.
type (
	presenceQuery struct {
		IDs  []string `json:"ids,omitempty"`
		From string   `json:"from,omitempty" about:"Rocket.Chat's clients send when they asked last; everybody is answered, and full says so"`
	}
	presenceList struct {
		Users []member `json:"users"`
		Full  bool     `json:"full"`
	}
	presenceAnswer struct {
		Presence         string `json:"presence"`
		ConnectionStatus string `json:"connectionStatus,omitempty"`
	}
	statusAnswer struct {
		ID               string `json:"_id"`
		Status           string `json:"status"`
		Message          string `json:"message,omitempty"`
		ConnectionStatus string `json:"connectionStatus,omitempty"`
	}
	statusBody struct {
		Status  string `json:"status,omitempty"`
		Message string `json:"message,omitempty"`
	}
)
