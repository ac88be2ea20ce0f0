package rooms

// What threads do to the documents. Both stores run these rules.
import (
	"slices"
	"time"
)

const (
	// MaxFollowers is how many may follow a message. Whoever answers it after that is
	// told of nothing by it: the list goes out with every answer.
	MaxFollowers = 500
	// MaxThreads is how many threads a membership keeps as unread.
	MaxThreads = 500
)

// Threads are ids of messages. A list that became empty is stored as such: clients take
// what a document leaves out for unchanged.
type Threads []string

// IsZero implements bson.Zeroer.
func (t Threads) IsZero() bool { return t == nil }

// Aside tells whether the message is shown in its thread alone.
func (m *Message) Aside() bool { return m.ThreadID != "" && !m.Shown }

// Answerable tells whether answers to the message may stand in that room.
func (m *Message) Answerable(roomID string) bool {
	return m.RoomID == roomID && m.ThreadID == "" && !m.Hidden
}

// CountReply counts a new answer to the message.
func (m *Message) CountReply(reply *Message, follow []string) {
	m.Replies++
	m.LastReply = later(m.LastReply, reply.TS)
	m.UpdatedAt = later(m.UpdatedAt, reply.UpdatedAt)
	if len(m.Followers) >= MaxFollowers {
		return
	}
	for _, id := range follow {
		if !slices.Contains(m.Followers, id) {
			m.Followers = append(m.Followers, id)
		}
	}
}

// DropReply takes an answer out of the count; newest is the time of the newest that is
// left. A message without answers has no thread, and nobody follows it.
func (m *Message) DropReply(newest, at time.Time) {
	m.UpdatedAt = later(m.UpdatedAt, at)
	if m.Replies--; m.Replies > 0 && !newest.IsZero() {
		m.LastReply = newest
		return
	}
	m.Replies, m.LastReply, m.Followers = 0, time.Time{}, nil
}

// Free makes an answer to a message that is gone one of the room.
func (m *Message) Free(at time.Time) {
	m.ThreadID, m.Shown, m.UpdatedAt = "", false, later(m.UpdatedAt, at)
}

// SetFollower adds a follower or takes one out and tells whether it was otherwise; full
// when there are MaxFollowers.
func (m *Message) SetFollower(userID string, on bool, at time.Time) (changed, full bool) {
	switch {
	case slices.Contains(m.Followers, userID) == on:
		return false, false
	case on && len(m.Followers) >= MaxFollowers:
		return false, true
	case on:
		m.Followers = append(m.Followers, userID)
	default:
		m.Followers = slices.DeleteFunc(m.Followers, func(id string) bool { return id == userID })
	}
	m.UpdatedAt = later(m.UpdatedAt, at)
	return true, false
}

// CountOwnReply changes the membership of who wrote in a thread alone: the room is not
// read by that.
func (s *Subscription) CountOwnReply(m *Message) {
	s.LastReply, s.Open, s.UpdatedAt = m.TS, true, m.UpdatedAt
}

// CountThread makes a thread unread for a member, and tells whether that changed anything.
func (s *Subscription) CountThread(m *Message, mentioned, group bool) bool {
	known := slices.Contains(s.Threads, m.ThreadID)
	switch {
	case !known && len(s.Threads) >= MaxThreads:
		return false
	case known && s.Open && !(mentioned && !slices.Contains(s.UserThreads, m.ThreadID)) && !(group && !slices.Contains(s.GroupThreads, m.ThreadID)):
		return false
	}
	put := func(list *Threads) {
		if !slices.Contains(*list, m.ThreadID) {
			*list = append(*list, m.ThreadID)
		}
	}
	put(&s.Threads)
	if mentioned {
		put(&s.UserThreads)
	}
	if group {
		put(&s.GroupThreads)
	}
	s.Open, s.LastReply, s.UpdatedAt = true, m.TS, m.UpdatedAt
	return true
}

// ForgetThread makes a thread that is gone not unread.
func (s *Subscription) ForgetThread(id string, at time.Time) bool {
	if !slices.Contains(s.Threads, id) {
		return false
	}
	for _, list := range []*Threads{&s.Threads, &s.UserThreads, &s.GroupThreads} {
		*list = slices.DeleteFunc(*list, func(x string) bool { return x == id })
	}
	s.UpdatedAt = later(s.UpdatedAt, at)
	return true
}

// readThreads is the part of a change that is about threads.
func (s *Subscription) readThreads(c SubscriptionChange) (changed bool) {
	for _, list := range []*Threads{&s.Threads, &s.UserThreads, &s.GroupThreads} {
		if c.ReadThreads && len(*list) > 0 {
			*list, changed = Threads{}, true
		}
	}
	return c.ReadThread != "" && s.ForgetThread(c.ReadThread, c.At) || changed
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Lost tells whether the last message of the room is another one once that message is
// deleted: it was the last, or those that answered it are shown in the room now.
func (r *Room) Lost(was *Message) bool {
	return was.Replies > 0 || r.LastMessage != nil && r.LastMessage.ID == was.ID
}

// DropMessage takes a message out of the room; last is the newest that is left, where the
// last one may be another now (Lost).
func (r *Room) DropMessage(was, last *Message, at time.Time) {
	r.Messages, r.UpdatedAt = max(r.Messages-1, 0), at
	switch {
	case !r.Lost(was):
	case last == nil:
		r.LastMessage = nil
	case r.LastMessage == nil || r.LastMessage.ID != last.ID:
		r.LastMessage, r.LastAt = last, later(r.LastAt, last.TS)
	}
}
