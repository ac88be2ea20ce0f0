package rooms

// What a change does to the documents. Both stores run these rules.
import (
	"slices"
	"time"

	"ddpserver/internal/dberr"
)

// CountMessage counts a new message of the room. An ordinary one becomes the
// last message, unless a newer one is, or it is shown in its thread alone.
func (r *Room) CountMessage(m *Message) {
	r.Messages++
	if m.Type == "" && !m.Aside() && !m.TS.Before(r.LastAt) {
		r.LastAt, r.LastMessage = m.TS, m
	}
	r.UpdatedAt = m.UpdatedAt
}

// CountOwn changes the author's own membership: whoever writes has read.
func (s *Subscription) CountOwn(m *Message) {
	s.LastReply, s.LastSeen, s.UpdatedAt = m.TS, m.TS, m.UpdatedAt
	s.Alert, s.Unread, s.UserMentions, s.GroupMentions = false, 0, 0, 0
}

// CountUnread moves the counters of a member who did not write the message.
func (s *Subscription) CountUnread(e Unread, mentioned bool, at time.Time) {
	unread, users, groups := e.Grows(mentioned)
	s.Unread += unread
	s.UserMentions += users
	s.GroupMentions += groups
	s.Alert, s.Open, s.UpdatedAt = true, true, at
}

// Apply makes the change and tells whether anything was otherwise before.
func (s *Subscription) Apply(c SubscriptionChange) bool {
	changed := false
	if c.Open != nil && s.Open != *c.Open {
		s.Open, changed = *c.Open, true
		if !s.Open {
			s.Alert = false
		}
	}
	if c.Favorite != nil && s.Favorite != *c.Favorite {
		s.Favorite, changed = *c.Favorite, true
	}
	if c.Read {
		s.Open, s.Alert, s.Unread, s.UserMentions, s.GroupMentions = true, false, 0, 0, 0
		s.LastSeen, changed = c.At, true
	}
	if !c.UnreadFrom.IsZero() {
		s.Open, s.Alert, s.LastSeen, changed = true, true, c.UnreadFrom, true
	}
	changed = s.ignore(c) || s.readThreads(c) || changed
	if changed {
		s.UpdatedAt = c.At
	}
	return changed
}

// ignore is the part of a change that is about who is ignored.
func (s *Subscription) ignore(c SubscriptionChange) bool {
	before := len(s.Ignored)
	if c.Ignore != "" && before < MaxIgnored {
		s.Ignored = with(s.Ignored, c.Ignore)
	}
	s.Ignored = without(s.Ignored, c.Heed)
	return len(s.Ignored) != before
}

// SetMemberRole gives or takes a role, in the membership and, for owners, in
// the room. A nil list of owners is that of an adopted database; callers fill
// it in first.
func SetMemberRole(r *Room, s *Subscription, role string, on bool, at time.Time) error {
	if s.HasRole(role) == on {
		return dberr.Conflict
	}
	if role == Owner {
		if !on && len(r.Owners) < 2 {
			return dberr.Conflict
		}
		r.Owners = slices.DeleteFunc(r.Owners, func(id string) bool { return id == s.User.ID })
		if on {
			r.Owners = append(r.Owners, s.User.ID)
		}
		r.UpdatedAt = at
	}
	if on {
		s.Roles = append(s.Roles, role)
	} else {
		s.Roles = slices.DeleteFunc(s.Roles, func(x string) bool { return x == role })
	}
	s.UpdatedAt = at
	return nil
}

// DropMember takes a member out of the room's document. Conflict when the last
// owner would go and force is not set.
func (r *Room) DropMember(userID string, force bool, at time.Time) error {
	if slices.Contains(r.Owners, userID) {
		if len(r.Owners) < 2 && !force {
			return dberr.Conflict
		}
		r.Owners = slices.DeleteFunc(r.Owners, func(id string) bool { return id == userID })
	}
	r.Users = max(r.Users-1, 0)
	r.Membership++
	r.UpdatedAt = at
	return nil
}

// AddMember takes a member into the room's document. The membership says what the room
// is now, whatever it was when somebody decided to add it.
func (r *Room) AddMember(s *Subscription) {
	r.name(s)
	if s.HasRole(Owner) && !slices.Contains(r.Owners, s.User.ID) {
		r.Owners = append(r.Owners, s.User.ID)
	}
	r.Users++
	r.Membership++
	r.UpdatedAt = s.UpdatedAt
}

// CallDirect has a direct room, and what its sides call it, follow the names that the
// memberships have of their users; it returns the memberships that it changed. Nothing
// changes where a side is gone: its name is known from nowhere else.
func (r *Room) CallDirect(subs []*Subscription, at time.Time) (renamed []*Subscription) {
	sides := make([]Ref, len(r.UserIDs))
	usernames := make([]string, len(r.UserIDs))
	for i, id := range r.UserIDs {
		at := slices.IndexFunc(subs, func(s *Subscription) bool { return s.User.ID == id })
		if at < 0 {
			return nil
		}
		sides[i], usernames[i] = subs[at].User, subs[at].User.Username
	}
	if len(sides) == 0 {
		return nil
	}
	if !slices.Equal(r.Usernames, usernames) {
		r.Usernames, r.UpdatedAt = usernames, at
	}
	for _, s := range subs {
		name, fname := directNames(sides, s.User.ID)
		if s.Name != name || s.FName != fname {
			s.Name, s.FName, s.UpdatedAt = name, fname, at
			renamed = append(renamed, s)
		}
	}
	return renamed
}

// Edit replaces the content. Conflict when somebody else did so meanwhile.
func (m *Message) Edit(e Edit) error {
	if m.Type != "" || m.Hidden || m.Text != e.Old {
		return dberr.Conflict
	}
	by := e.By
	m.Text, m.Mentions, m.Channels, m.URLs = e.Text, e.Mentions, e.Channels, e.URLs
	if e.Attachments != nil {
		m.Attachments = *e.Attachments
	}
	m.EditedAt, m.EditedBy, m.UpdatedAt = e.At, &by, e.At
	return nil
}

// SetPinned pins or unpins. Conflict when it was that way already.
func (m *Message) SetPinned(on bool, by Ref, at time.Time) error {
	if m.Pinned == on {
		return dberr.Conflict
	}
	m.Pinned, m.PinnedBy, m.PinnedAt, m.UpdatedAt = on, &by, at, at
	return nil
}

// SetStar stars or unstars and tells whether it was otherwise.
func (m *Message) SetStar(userID string, on bool, at time.Time) bool {
	if m.StarredBy(userID) == on {
		return false
	}
	if on {
		m.Starred = append(m.Starred, Star{ID: userID})
	} else {
		m.Starred = slices.DeleteFunc(m.Starred, func(s Star) bool { return s.ID == userID })
	}
	m.UpdatedAt = at
	return true
}

// SetReaction adds or takes back an emoji, see MessageStore.
func (m *Message) SetReaction(emoji, username string, on *bool, max int, at time.Time) (set, changed bool, err error) {
	r, known := m.Reactions[emoji]
	has := slices.Contains(r.Usernames, username)
	want := !has
	if on != nil {
		want = *on
	}
	if want == has {
		return has, false, nil
	}
	if want && !known && len(m.Reactions) >= max {
		return false, false, dberr.Exhausted
	}
	if m.Reactions == nil {
		m.Reactions = map[string]Reaction{}
	}
	if want {
		r.Usernames = append(slices.Clone(r.Usernames), username)
	} else {
		r.Usernames = slices.DeleteFunc(slices.Clone(r.Usernames), func(n string) bool { return n == username })
	}
	if len(r.Usernames) == 0 {
		delete(m.Reactions, emoji)
	} else {
		m.Reactions[emoji] = r
	}
	m.UpdatedAt = at
	return want, true, nil
}
