package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rooms/md"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Bounds on what one message may make the server look up.
const (
	maxMentions    = 100
	maxChannels    = 20
	maxURLs        = 20
	maxAttachments = 20
	// maxNotified is the size of a room up to which @all and @here also raise
	// notices on desktops.
	maxNotified = 500
)

// Draft is a message as its author sends it.
type Draft struct {
	// ID is the client's, or empty. A repeated Draft of the same author with the
	// same id and text gives the message that is there (clients send calls
	// again after a reconnect).
	ID     string
	RoomID string
	Text   string
	// TS is the client's idea of the time; zero is the present.
	TS        time.Time
	Groupable *bool
	// Alias, Emoji and Avatar show the message as somebody else's.
	Alias, Emoji, Avatar string
	Attachments          []Attachment
	// Bot says that a program wrote it; at most 100 bytes of a name.
	Bot *Bot
	// ThreadID is the message that is answered, in its thread: one of the same room. The
	// answer to an answer stands in the thread of both. Shown: in the room as well.
	ThreadID string
	Shown    bool
	// file is the one that the message has (SendFile).
	file *File
}

// Send posts a message.
func (s *Service) Send(ctx context.Context, by *user.User, d Draft) (*Message, error) {
	at := s.time()
	ts, err := s.check(by, &d, at)
	if err != nil {
		return nil, err
	}
	a, err := s.member(ctx, by, d.RoomID, ErrInvalidRoom, fault.NotAllowed)
	if err != nil {
		return nil, err
	}
	if err := writable(a); err != nil {
		return nil, err
	}
	parent, err := s.answered(ctx, a.room, d.ThreadID)
	if err != nil {
		return nil, err
	}
	m := &Message{
		ID: d.ID, RoomID: d.RoomID, Text: d.Text, TS: ts, User: ref(by), UpdatedAt: at,
		Alias: d.Alias, Emoji: d.Emoji, Avatar: d.Avatar, Groupable: d.Groupable, Attachments: d.Attachments, Bot: d.Bot,
	}
	if m.ID == "" {
		m.ID = newID()
	}
	if d.file != nil {
		m.attach(d.file)
	}
	found, err := s.find(ctx, a, m.Text)
	if err != nil {
		return nil, err
	}
	m.Mentions, m.Channels, m.URLs = found.mentions, found.channels, found.urls
	if m.Attachments, err = s.quote(ctx, by, m.URLs, m.Attachments); err != nil {
		return nil, err
	}
	e := s.unread(a.room, found)
	if parent != nil {
		m.ThreadID, m.Shown = parent.ID, d.Shown
		if err := s.follow(ctx, a.room, parent, m, &e); err != nil {
			return nil, err
		}
	}
	room, touched, err := s.store.InsertMessage(ctx, m, e)
	if errors.Is(err, dberr.Duplicate) {
		return s.repeated(ctx, a.room, m)
	}
	if err != nil {
		return nil, instead(instead(err, dberr.NotFound, ErrInvalidRoom), dberr.Conflict, ErrInvalidMessage)
	}
	err = errors.Join(s.tellMessage(room, m, by.ID), s.tellThread(ctx, room, m.ThreadID, by.ID), s.tellRoom(room, by.ID, updated),
		s.notify(room, m, found, e.Tell))
	if err != nil {
		return nil, err
	}
	s.tellUnread(room.ID, by.ID, append(touched, by.ID)...)
	return m, nil
}

// check refuses what needs no look-up, and settles the message's time.
func (s *Service) check(by *user.User, d *Draft, at time.Time) (time.Time, error) {
	ts := at
	if !d.TS.IsZero() {
		off := d.TS.Sub(at).Abs()
		if off > time.Minute {
			return ts, ErrTimestamp
		}
		if off <= 10*time.Second {
			ts = d.TS.UTC().Truncate(time.Millisecond)
		}
	}
	switch {
	case d.Shown && d.ThreadID == "":
		return ts, ErrShown
	case d.ThreadID != "" && !s.set.Bool(settings.Threads):
		return ts, ErrThreads
	case d.ID != "" && !usableID(d.ID):
		return ts, ErrMessageID
	case !utf8.ValidString(d.Text):
		return ts, ErrInvalidMessage
	case length(d.Text) > s.set.Int(settings.MessageMaxSize):
		return ts, ErrSize
	case strings.TrimSpace(d.Text) == "" && len(d.Attachments) == 0 && d.file == nil:
		return ts, ErrInvalidMessage
	case len(d.Alias)+len(d.Emoji)+len(d.Avatar) > 500:
		return ts, ErrSize
	case d.Bot != nil && len(d.Bot.Integration) > 100:
		return ts, ErrSize
	case (d.Alias != "" || d.Avatar != "") && !permission.Has(by, permission.Impersonate):
		return ts, ErrImpersonate
	case d.Avatar != "" && !safeLink(d.Avatar):
		return ts, ErrAttachment
	}
	return ts, s.checkAttachments(d.Attachments)
}

// fieldBytes is what a field of an attachment counts for besides its texts: about
// what it takes on the wire, so that fields without texts are not for nothing.
const fieldBytes = 40

func (s *Service) checkAttachments(list []Attachment) error {
	for _, a := range list {
		for _, link := range a.links() {
			if link != "" && !safeLink(link) {
				return ErrAttachment
			}
		}
	}
	if !s.fits(list) {
		return ErrSize
	}
	return nil
}

// fits tells whether a message may have these attachments.
func (s *Service) fits(list []Attachment) bool {
	return len(list) <= maxAttachments && sizeOf(list) <= 4*s.set.Int(settings.MessageMaxSize)
}

func (a *Attachment) links() []string {
	return []string{a.TitleLink, a.AuthorLink, a.AuthorIcon, a.ImageURL, a.ThumbURL, a.MessageLink}
}

func sizeOf(list []Attachment) (size int) {
	for _, a := range list {
		for _, link := range a.links() {
			size += len(link)
		}
		for _, text := range []string{a.Text, a.Title, a.AuthorName, a.Color, a.Type, a.Description, a.FileID, a.Format, a.ImageType, a.ImagePreview,
			a.AudioURL, a.AudioType, a.VideoURL, a.VideoType} {
			size += len(text)
		}
		size += sizeOf(a.Attachments)
		for _, f := range a.Fields {
			size += fieldBytes + len(f.Title) + len(f.Value)
		}
	}
	return size
}

// safeLink tells whether a client may put the text into a link: http, https, or
// a path on this server.
func safeLink(link string) bool {
	a, ok := md.ReadAddress(link)
	return ok && (a.Local() || a.Scheme == "http" || a.Scheme == "https")
}

// usableID tells whether a client's id may become a document's.
func usableID(id string) bool {
	if len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// length counts as JavaScript does, because that is what the clients count.
func length(s string) int {
	n := 0
	for _, r := range s {
		if n++; r >= 0x10000 {
			n++
		}
	}
	return n
}

// writable refuses members who may read only.
func writable(a *seat) error {
	if a.room.Archived {
		return ErrRoomArchived
	}
	if (a.room.ReadOnly || a.room.Broadcast) && !a.may(permission.PostReadOnly) && !a.room.unmuted(a.user) {
		return ErrReadOnly
	}
	return barred(a)
}

// answerable is writable for those who answer with an emoji.
func answerable(a *seat) error {
	err := writable(a)
	if a.room.ReactWhenReadOnly && errors.Is(err, ErrReadOnly) {
		return barred(a)
	}
	return err
}

// barred refuses what stands in the way of a member: that the room is encrypted, that he is
// muted, or that one of the two sides of a direct room blocks the other.
func barred(a *seat) error {
	switch {
	case a.room.Encrypted:
		return ErrEncrypted
	case a.room.muted(a.user):
		return ErrMuted
	case a.sub != nil && (a.sub.Blocked || a.sub.Blocker):
		return ErrBlocked
	}
	return nil
}

// repeated answers a message whose id is taken. It is told again: whoever sends a message once more
// was not answered, and the call that stored it may have ended before it told anybody. Whoever has
// it already has it twice, which changes nothing.
func (s *Service) repeated(ctx context.Context, r *Room, m *Message) (*Message, error) {
	old, err := s.store.MessageByID(ctx, m.ID)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrMessageID)
	}
	if old.RoomID != m.RoomID || old.User.ID != m.User.ID || old.Type != "" || old.Text != m.Text {
		return nil, ErrMessageID
	}
	return old, errors.Join(s.tellMessage(r, old, m.User.ID), s.tellThread(ctx, r, old.ThreadID, m.User.ID))
}

// found is what the text of a message points to.
type found struct {
	mentions  []Mention
	channels  []ChannelRef
	urls      []URL
	all, here bool
}

// users are the ids of those mentioned by name.
func (f *found) users() []string {
	var ids []string
	for _, m := range f.mentions {
		if m.ID != "all" && m.ID != "here" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// find looks up what a text points to: at most maxMentions users who exist,
// maxChannels public channels, maxURLs addresses; the rest stays text.
func (s *Service) find(ctx context.Context, a *seat, msg string) (*found, error) {
	f := &found{}
	if !strings.ContainsAny(msg, "@#/.") {
		return f, nil
	}
	doc := md.Parse(msg, time.Time{})
	// The tree takes the full stop behind a name along; the name of whoever is meant ends before it.
	var keys []string
	for _, name := range doc.Texts(md.MentionUser, maxMentions) {
		switch name = strings.TrimRight(name, ".-"); name {
		case "":
		case "all":
			f.all = true
		case "here":
			f.here = true
		default: // in whatever case, or one would be told as often as there are cases
			if key := user.Key(name); !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	switch {
	case f.all && !a.may(permission.MentionAll):
		return nil, ErrMentionAll
	case f.here && !a.may(permission.MentionHere):
		return nil, ErrMentionHere
	}
	if limit := s.set.Int(settings.GroupMentionMax); limit > 0 && a.room.Users > limit {
		f.all, f.here = false, false
	}
	for _, group := range []struct {
		on   bool
		name string
	}{{f.all, "all"}, {f.here, "here"}} {
		if group.on {
			f.mentions = append(f.mentions, Mention{ID: group.name, Username: group.name})
		}
	}
	if err := s.findUsers(ctx, f, keys); err != nil {
		return nil, err
	}
	for _, name := range doc.Texts(md.MentionChannel, maxChannels) {
		r, err := s.store.RoomByName(ctx, user.Key(strings.TrimRight(name, ".-")))
		switch {
		case err == nil && r.Type == Channel:
			f.channels = append(f.channels, ChannelRef{ID: r.ID, Name: r.Name, FName: r.FName})
		case err != nil && !errors.Is(err, dberr.NotFound):
			return nil, err
		}
	}
	for _, u := range doc.Texts(md.Link, maxURLs) {
		if strings.HasPrefix(u, "http") {
			f.urls = append(f.urls, URL{URL: u})
		}
	}
	return f, nil
}

func (s *Service) findUsers(ctx context.Context, f *found, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	users, err := s.store.UsersByUsernames(ctx, keys)
	if err != nil {
		return err
	}
	slices.SortFunc(users, func(a, b *user.User) int {
		return slices.Index(keys, a.UsernameKey) - slices.Index(keys, b.UsernameKey)
	})
	for _, u := range users {
		f.mentions = append(f.mentions, Mention{ID: u.ID, Username: u.Username, Name: u.Name, Type: "user"})
	}
	return nil
}

// unread says whose counters a message moves (settings Unread_Count and
// Unread_Count_DM).
func (s *Service) unread(r *Room, f *found) Unread {
	e := Unread{Users: f.users(), Group: f.all || f.here}
	mode := s.set.String(settings.UnreadCount)
	if r.Type == Direct {
		mode = s.set.String(settings.UnreadCountDM)
	}
	switch mode {
	case settings.CountAllMessages:
		e.CountAll = true
	case settings.CountUserMentions:
		e.CountUsers = true
	case settings.CountGroupMentions:
		e.CountGroup = true
	default:
		e.CountUsers, e.CountGroup = true, true
	}
	return e
}

// notify raises notices on the desktops of the members a message addresses:
// both sides of a direct room, those who are mentioned, and those who follow the thread that
// it stands in. Who of them is a member is looked at where it is told.
func (s *Service) notify(r *Room, m *Message, f *found, followers []string) error {
	switch {
	case m.Aside():
		return s.tellAddressed(r, m, followers, false)
	case r.Type == Direct:
		return s.tellAddressed(r, m, r.UserIDs, false)
	case (f.all || f.here) && r.Users <= maxNotified:
		return s.tellAddressed(r, m, nil, true)
	}
	return s.tellAddressed(r, m, union(f.users(), followers), false)
}

// announce posts a system message. It moves nobody's counters.
func (s *Service) announce(ctx context.Context, r *Room, m *Message) error {
	_, err := s.announced(ctx, r, m)
	return err
}

func (s *Service) announced(ctx context.Context, r *Room, m *Message) (*Message, error) {
	m.ID, m.RoomID, m.UpdatedAt = newID(), r.ID, m.TS
	m.Groupable = ptr(false)
	room, _, err := s.store.InsertMessage(ctx, m, Unread{None: true})
	if err != nil {
		return nil, err
	}
	return m, errors.Join(s.tellMessage(room, m, m.User.ID), s.tellRoom(room, m.User.ID, updated))
}
