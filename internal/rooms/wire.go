package rooms

import (
	"maps"
	"slices"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/rooms/md"
	"ddpserver/internal/user"
)

// The documents as clients see them. The same ejson.Doc serves DDP, where dates
// become {"$date":…}, and REST, where they become ISO texts.

// Doc is the user reference.
func (r *Ref) Doc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: r.ID}}
	d = text(d, "username", r.Username)
	return text(d, "name", r.Name)
}

// Doc is the message as the user viewer sees it: stars of others are left out.
// The parsed text is made here.
func (m *Message) Doc(viewer string) ejson.Doc {
	d := make(ejson.Doc, 0, 20)
	d = append(d, ejson.Field{Key: "_id", Value: m.ID}, ejson.Field{Key: "rid", Value: m.RoomID})
	d = text(d, "t", m.Type)
	d = append(d, ejson.Field{Key: "msg", Value: m.Text}, ejson.Field{Key: "ts", Value: m.TS},
		ejson.Field{Key: "u", Value: m.User.Doc()})
	d = text(d, "role", m.Role)
	d = text(d, "alias", m.Alias)
	d = text(d, "emoji", m.Emoji)
	d = text(d, "avatar", m.Avatar)
	if m.Groupable != nil {
		d = append(d, ejson.Field{Key: "groupable", Value: *m.Groupable})
	}
	if m.Bot != nil {
		d = append(d, ejson.Field{Key: "bot", Value: ejson.Doc{{Key: "i", Value: m.Bot.Integration}}})
	}
	d = append(d, ejson.Field{Key: "_updatedAt", Value: m.UpdatedAt},
		ejson.Field{Key: "urls", Value: list(m.URLs, func(u URL) any { return ejson.Doc{{Key: "url", Value: u.URL}} })},
		ejson.Field{Key: "mentions", Value: list(m.Mentions, mentionDoc)},
		ejson.Field{Key: "channels", Value: list(m.Channels, channelDoc)})
	if m.Type == "" && m.Text != "" {
		d = append(d, ejson.Field{Key: "md", Value: m.tree()})
	}
	if m.File != nil {
		d = append(d, ejson.Field{Key: "file", Value: fileRefDoc(*m.File)})
	}
	if len(m.Files) > 0 {
		d = append(d, ejson.Field{Key: "files", Value: list(m.Files, fileRefDoc)})
	}
	if len(m.Attachments) > 0 {
		d = append(d, ejson.Field{Key: "attachments", Value: list(m.Attachments, attachmentDoc)})
	}
	d = m.thread(d)
	if m.EditedBy != nil {
		d = append(d, ejson.Field{Key: "editedAt", Value: m.EditedAt}, ejson.Field{Key: "editedBy", Value: m.EditedBy.Doc()})
	}
	if m.PinnedBy != nil {
		d = append(d, ejson.Field{Key: "pinned", Value: m.Pinned})
		d = date(d, "pinnedAt", m.PinnedAt)
		d = append(d, ejson.Field{Key: "pinnedBy", Value: m.PinnedBy.Doc()})
	}
	if viewer != "" && m.StarredBy(viewer) {
		d = append(d, ejson.Field{Key: "starred", Value: []any{ejson.Doc{{Key: "_id", Value: viewer}}}})
	}
	if len(m.Reactions) > 0 {
		d = append(d, ejson.Field{Key: "reactions", Value: reactionsDoc(m.Reactions)})
	}
	return d
}

// thread adds what a message says of the thread that it is in, or has.
func (m *Message) thread(d ejson.Doc) ejson.Doc {
	d = text(d, "tmid", m.ThreadID)
	if m.Shown {
		d = append(d, ejson.Field{Key: "tshow", Value: true})
	}
	if m.Replies > 0 {
		d = append(d, ejson.Field{Key: "tcount", Value: m.Replies}, ejson.Field{Key: "tlm", Value: m.LastReply})
	}
	if m.Replies > 0 || m.Followers != nil {
		d = append(d, ejson.Field{Key: "replies", Value: m.Followers})
	}
	return d
}

// Bounds of the parsed text. A mark of three letters becomes a hundred on the
// wire, and everybody who reads the message pays for it.
const (
	// treeTimes and treeBase say how long the tree may be beside the text as the
	// wire has it, in bytes. What people write stays far below.
	treeTimes = 6
	treeBase  = 8 << 10
)

// tree is the parsed text as the wire has it: one plain paragraph when the marks
// would make it too long.
func (m *Message) tree() ejson.Raw {
	if m.parsed != nil {
		return m.parsed
	}
	raw := md.Parse(m.Text, m.TS).AppendJSON(nil)
	if len(raw) > treeBase {
		plain := md.Document{{Kind: md.Paragraph, Kids: []md.Node{{Kind: md.Plain, Text: m.Text}}}}.AppendJSON(nil)
		if len(raw) > treeTimes*len(plain)+treeBase {
			raw = plain
		}
	}
	return raw
}

// StarredBy tells whether that user starred the message.
func (m *Message) StarredBy(userID string) bool {
	return slices.Contains(m.Starred, Star{ID: userID})
}

func mentionDoc(m Mention) any {
	d := ejson.Doc{{Key: "_id", Value: m.ID}}
	d = text(d, "username", m.Username)
	d = text(d, "name", m.Name)
	return text(d, "type", m.Type)
}

func channelDoc(c ChannelRef) any {
	return text(ejson.Doc{{Key: "_id", Value: c.ID}, {Key: "name", Value: c.Name}}, "fname", c.FName)
}

func reactionsDoc(reactions map[string]Reaction) ejson.Doc {
	d := make(ejson.Doc, 0, len(reactions))
	for _, emoji := range slices.Sorted(maps.Keys(reactions)) {
		d = append(d, ejson.Field{Key: emoji, Value: ejson.Doc{{Key: "usernames", Value: reactions[emoji].Usernames}}})
	}
	return d
}

func attachmentDoc(a Attachment) any {
	var d ejson.Doc
	for _, f := range []struct{ key, value string }{
		{"text", a.Text}, {"title", a.Title}, {"title_link", a.TitleLink}, {"color", a.Color},
		{"author_name", a.AuthorName}, {"author_link", a.AuthorLink}, {"author_icon", a.AuthorIcon},
		{"image_url", a.ImageURL}, {"thumb_url", a.ThumbURL}, {"message_link", a.MessageLink},
	} {
		d = text(d, f.key, f.value)
	}
	d = aboutFile(d, &a)
	if a.Collapsed {
		d = append(d, ejson.Field{Key: "collapsed", Value: true})
	}
	d = date(d, "ts", a.TS)
	if len(a.Fields) > 0 {
		d = append(d, ejson.Field{Key: "fields", Value: list(a.Fields, func(f AttachmentField) any {
			return ejson.Doc{{Key: "short", Value: f.Short}, {Key: "title", Value: f.Title}, {Key: "value", Value: f.Value}}
		})})
	}
	if len(a.Attachments) > 0 {
		d = append(d, ejson.Field{Key: "attachments", Value: list(a.Attachments, attachmentDoc)})
	}
	if d == nil {
		d = ejson.Doc{}
	}
	return d
}

func fileRefDoc(f FileRef) any {
	d := text(ejson.Doc{{Key: "_id", Value: f.ID}, {Key: "name", Value: f.Name}, {Key: "type", Value: f.Type}}, "format", f.Format)
	return text(sized(d, "size", f.Size), "typeGroup", f.Group)
}

// aboutFile adds what an attachment says of a file.
func aboutFile(d ejson.Doc, a *Attachment) ejson.Doc {
	for _, f := range []struct{ key, value string }{
		{"type", a.Type}, {"description", a.Description}, {"fileId", a.FileID}, {"format", a.Format}, {"image_type", a.ImageType},
		{"image_preview", a.ImagePreview}, {"audio_url", a.AudioURL}, {"audio_type", a.AudioType}, {"video_url", a.VideoURL}, {"video_type", a.VideoType},
	} {
		d = text(d, f.key, f.value)
	}
	if a.TitleLinkDownload {
		d = append(d, ejson.Field{Key: "title_link_download", Value: true})
	}
	if a.ImageDimensions != nil {
		d = append(d, ejson.Field{Key: "image_dimensions", Value: a.ImageDimensions.doc()})
	}
	d = sized(sized(d, "size", a.Size), "image_size", a.ImageSize)
	return sized(sized(d, "audio_size", a.AudioSize), "video_size", a.VideoSize)
}

func (s *Dimensions) doc() ejson.Doc {
	return ejson.Doc{{Key: "width", Value: s.Width}, {Key: "height", Value: s.Height}}
}

// Doc is the file as members of its room see it.
func (f *File) Doc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: f.ID}, {Key: "name", Value: f.Name}, {Key: "size", Value: f.Size}, {Key: "type", Value: f.Type},
		{Key: "rid", Value: f.RoomID}, {Key: "userId", Value: f.UserID}, {Key: "store", Value: f.Store}, {Key: "complete", Value: f.Complete},
		{Key: "uploading", Value: f.Uploading}, {Key: "progress", Value: 1}, {Key: "uploadedAt", Value: f.UploadedAt},
		{Key: "_updatedAt", Value: f.UpdatedAt}, {Key: "path", Value: f.Path}, {Key: "url", Value: f.Path}}
	for _, t := range []struct{ key, value string }{{"typeGroup", f.Group}, {"extension", f.Extension}, {"description", f.Description}, {"etag", f.ETag}} {
		d = text(d, t.key, t.value)
	}
	if f.User != nil {
		d = append(d, ejson.Field{Key: "user", Value: f.User.Doc()})
	}
	if f.Identify != nil {
		d = append(d, ejson.Field{Key: "identify", Value: ejson.Doc{{Key: "format", Value: f.Identify.Format}, {Key: "size", Value: f.Identify.Size.doc()}}})
	}
	return d
}

// sized adds a size, if it is one.
func sized(d ejson.Doc, key string, n int64) ejson.Doc {
	if n <= 0 {
		return d
	}
	return append(d, ejson.Field{Key: key, Value: n})
}

// Doc is the room as a member sees it; for others (member false) the last
// message, which only members may read, is left out.
func (r *Room) Doc(member bool) ejson.Doc {
	d := make(ejson.Doc, 0, 20)
	d = append(d, ejson.Field{Key: "_id", Value: r.ID})
	d = text(d, "name", r.Name)
	d = text(d, "fname", r.FName)
	d = append(d, ejson.Field{Key: "t", Value: r.Type}, ejson.Field{Key: "msgs", Value: r.Messages},
		ejson.Field{Key: "usersCount", Value: r.Users})
	if r.Creator != nil {
		d = append(d, ejson.Field{Key: "u", Value: r.Creator.Doc()})
	}
	d = text(d, "topic", r.Topic)
	d = text(d, "description", r.Description)
	d = text(d, "announcement", r.Announcement)
	d = text(d, "avatarETag", r.AvatarETag)
	d = append(d, ejson.Field{Key: "ts", Value: r.TS}, ejson.Field{Key: "ro", Value: r.ReadOnly},
		ejson.Field{Key: "sysMes", Value: true})
	if r.Default {
		d = append(d, ejson.Field{Key: "default", Value: true})
	}
	for _, flag := range []struct {
		key string
		on  bool
	}{
		{"reactWhenReadOnly", r.ReactWhenReadOnly}, {"broadcast", r.Broadcast}, {"archived", r.Archived},
		{"joinCodeRequired", r.JoinCodeRequired}, {"encrypted", r.Encrypted},
	} {
		if flag.on {
			d = append(d, ejson.Field{Key: flag.key, Value: true})
		}
	}
	if len(r.CustomFields) > 0 {
		d = append(d, ejson.Field{Key: "customFields", Value: r.CustomFields})
	}
	if member && len(r.Muted) > 0 {
		d = append(d, ejson.Field{Key: "muted", Value: r.Muted})
	}
	if member && len(r.Unmuted) > 0 {
		d = append(d, ejson.Field{Key: "unmuted", Value: r.Unmuted})
	}
	if r.Type == Direct {
		d = append(d, ejson.Field{Key: "uids", Value: r.UserIDs}, ejson.Field{Key: "usernames", Value: r.Usernames})
	}
	d = date(d, "lm", r.LastAt)
	if member && r.LastMessage != nil {
		d = append(d, ejson.Field{Key: "lastMessage", Value: r.LastMessage.Doc("")})
	}
	return append(d, ejson.Field{Key: "_updatedAt", Value: r.UpdatedAt})
}

// Doc is the membership as its user sees it.
func (s *Subscription) Doc() ejson.Doc {
	d := make(ejson.Doc, 0, 20)
	d = append(d, ejson.Field{Key: "_id", Value: s.ID}, ejson.Field{Key: "rid", Value: s.RoomID},
		ejson.Field{Key: "t", Value: s.Type}, ejson.Field{Key: "name", Value: s.Name})
	d = text(d, "fname", s.FName)
	d = append(d, ejson.Field{Key: "u", Value: s.User.Doc()}, ejson.Field{Key: "open", Value: s.Open},
		ejson.Field{Key: "alert", Value: s.Alert || s.Open && len(s.Threads) > 0}, ejson.Field{Key: "unread", Value: s.Unread},
		ejson.Field{Key: "userMentions", Value: s.UserMentions}, ejson.Field{Key: "groupMentions", Value: s.GroupMentions},
		ejson.Field{Key: "ts", Value: s.TS})
	if s.Favorite {
		d = append(d, ejson.Field{Key: "f", Value: true})
	}
	for _, flag := range []struct {
		key string
		on  bool
	}{{"archived", s.Archived}, {"blocked", s.Blocked}, {"blocker", s.Blocker}} {
		if flag.on {
			d = append(d, ejson.Field{Key: flag.key, Value: true})
		}
	}
	if len(s.Roles) > 0 {
		d = append(d, ejson.Field{Key: "roles", Value: s.Roles})
	}
	if len(s.Ignored) > 0 {
		d = append(d, ejson.Field{Key: "ignored", Value: s.Ignored})
	}
	d = date(d, "ls", s.LastSeen)
	d = date(d, "lr", s.LastReply)
	for _, l := range []struct {
		key  string
		list Threads
	}{{"tunread", s.Threads}, {"tunreadUser", s.UserThreads}, {"tunreadGroup", s.GroupThreads}} {
		if l.list != nil {
			d = append(d, ejson.Field{Key: l.key, Value: []string(l.list)})
		}
	}
	return append(d, ejson.Field{Key: "_updatedAt", Value: s.UpdatedAt})
}

// Doc tells a client what is gone and since when.
func (g *Gone) Doc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: g.ID}}
	if g.Kind == GoneSubscription {
		d = append(d, ejson.Field{Key: "rid", Value: g.RoomID})
	}
	return append(d, ejson.Field{Key: "_deletedAt", Value: g.DeletedAt})
}

func text(d ejson.Doc, key, value string) ejson.Doc {
	if value == "" {
		return d
	}
	return append(d, ejson.Field{Key: key, Value: value})
}

func date(d ejson.Doc, key string, t time.Time) ejson.Doc {
	if t.IsZero() {
		return d
	}
	return append(d, ejson.Field{Key: key, Value: t})
}

func list[T any](items []T, doc func(T) any) []any {
	out := make([]any, len(items))
	for i := range items {
		out[i] = doc(items[i])
	}
	return out
}

// MemberDoc is what members of a room see of each other.
func MemberDoc(u *user.User) ejson.Doc {
	p := StatusOf(u)
	return p.Doc()
}
