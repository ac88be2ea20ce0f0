package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// answered is the message that a draft answers, or nil. The answer to an answer stands in
// the thread of both, as in Rocket.Chat; there, whoever names a message of another room
// writes in that one.
func (s *Service) answered(ctx context.Context, r *Room, id string) (*Message, error) {
	const steps = 8 // what other programs wrote into a database may go round in circles
	for range steps {
		if id == "" {
			return nil, nil
		}
		m, err := s.store.MessageByID(ctx, id)
		switch {
		case err != nil:
			return nil, instead(err, dberr.NotFound, ErrInvalidMessage)
		case m.Answerable(r.ID):
			return m, nil
		case m.RoomID != r.ID || m.Hidden || m.ThreadID == id:
			return nil, ErrInvalidMessage
		}
		id = m.ThreadID
	}
	return nil, ErrInvalidMessage
}

// follow says who follows a thread from now on, and who is told of the answer m: its first
// answer has the author followed, and both sides of a direct room; each has who
// wrote it, and members whom it mentions. Others who are mentioned are not told: they could
// read none of it.
func (s *Service) follow(ctx context.Context, r *Room, parent, m *Message, e *Unread) error {
	e.Thread, e.Follow = parent.ID, []string{m.User.ID}
	if parent.Replies == 0 {
		e.Follow = union(e.Follow, append([]string{parent.User.ID}, r.UserIDs...))
	}
	if len(e.Users) > 0 {
		subs, err := s.store.SubscriptionsIn(ctx, r.ID, e.Users)
		if err != nil {
			return err
		}
		for _, sub := range subs {
			e.Follow = union(e.Follow, []string{sub.User.ID})
		}
	}
	e.Tell = slices.DeleteFunc(union(parent.Followers, e.Follow), func(id string) bool { return id == m.User.ID })
	return nil
}

// tellThread publishes a message whose thread changed. When it was deleted meanwhile, or
// has no answers any more, what is left of its thread goes.
func (s *Service) tellThread(ctx context.Context, r *Room, id, by string) error {
	if id == "" {
		return nil
	}
	m, err := s.store.MessageByID(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		return s.forgetThread(ctx, r, id, by)
	}
	if err == nil && m.Replies == 0 {
		err = s.forgetThread(ctx, r, id, by)
	}
	switch {
	case err != nil:
		return err
	case r.LastMessage != nil && r.LastMessage.ID == id:
		return s.tellChanged(ctx, r, m, by)
	}
	return s.tellMessage(r, m, by)
}

// forgetThread makes a thread that is gone unread for nobody.
func (s *Service) forgetThread(ctx context.Context, r *Room, id, by string) error {
	touched, err := s.store.ForgetThread(ctx, r.ID, id, s.time())
	if err == nil && len(touched) > 0 {
		s.tellUnread(r.ID, by, touched...)
	}
	return err
}

// tellLeft publishes what the deletion of a message changed in its thread: what it
// answered, or the answers to it, which are the room's now.
func (s *Service) tellLeft(ctx context.Context, r *Room, was *Message, at time.Time, by string) error {
	if was.ThreadID != "" {
		return s.tellThread(ctx, r, was.ThreadID, by)
	}
	if was.Replies == 0 {
		return nil
	}
	list, err := s.store.ChangedMessages(ctx, r.ID, Span{After: at.Add(-time.Millisecond), Limit: maxMissed})
	for _, m := range list {
		if m.UpdatedAt.Equal(at) && m.ThreadID == "" {
			err = errors.Join(err, s.tellMessage(r, m, by))
		}
	}
	return errors.Join(err, s.forgetThread(ctx, r, was.ID, by))
}

// thread reads a message whose thread is asked for. One that is not there, or is in a room
// that the caller is not in, is refused in the same words.
func (s *Service) thread(ctx context.Context, by *user.User, id string) (*Message, *seat, error) {
	if !s.set.Bool(settings.Threads) {
		return nil, nil, ErrNoThreads
	}
	return s.message(ctx, by, id, ErrInvalidMessage)
}

// Follow makes the caller one who is told of the answers to a message, or no more. Of an
// answer it is the thread that is followed.
func (s *Service) Follow(ctx context.Context, by *user.User, id string, on bool) error {
	m, a, err := s.thread(ctx, by, id)
	if err != nil {
		return err
	}
	if m.ThreadID != "" {
		id = m.ThreadID
	}
	m, changed, err := s.store.SetFollower(ctx, id, by.ID, on, s.time())
	switch {
	case errors.Is(err, dberr.Exhausted):
		return ErrFollowers
	case err != nil:
		return instead(err, dberr.NotFound, ErrInvalidMessage)
	}
	if changed {
		err = s.tellChanged(ctx, a.room, m, by.ID)
	}
	if !on {
		_, err2 := s.change(ctx, by.ID, a.room.ID, SubscriptionChange{ReadThread: id})
		err = errors.Join(err, instead(err2, dberr.NotFound, nil))
	}
	return err
}

// ReadThread marks the answers to a message as seen by the caller.
func (s *Service) ReadThread(ctx context.Context, by *user.User, id string) error {
	m, a, err := s.thread(ctx, by, id)
	if err != nil {
		return err
	}
	if m.ThreadID != "" {
		id = m.ThreadID
	}
	_, err = s.change(ctx, by.ID, a.room.ID, SubscriptionChange{ReadThread: id})
	return instead(err, dberr.NotFound, ErrInvalidMessage)
}

// ThreadPage asks for some of the answers to a message.
type ThreadPage struct {
	Offset, Count int
	OldestFirst   bool
}

// Thread reads a message and a page of the answers to it; total counts all of them.
func (s *Service) Thread(ctx context.Context, by *user.User, id string, p ThreadPage) (m *Message, page []*Message, total int, err error) {
	m, a, err := s.thread(ctx, by, id)
	if err != nil {
		return nil, nil, 0, err
	}
	page, total, err = s.page(ctx, HistoryQuery{RoomID: a.room.ID, Thread: id, OldestFirst: p.OldestFirst, Offset: p.Offset, Limit: p.Count})
	return m, page, total, err
}

// The kinds of threads that a list may be of.
const (
	AllThreads      = ""
	FollowedThreads = "following"
	UnreadThreads   = "unread"
)

// ThreadQuery selects threads of a room.
type ThreadQuery struct {
	RoomID string
	// Kind is AllThreads, FollowedThreads or UnreadThreads.
	Kind string
	// Text keeps messages that contain it as it is written, in any case; the newest
	// searchDepth threads are looked at then.
	Text          string
	Offset, Count int
}

// Threads lists messages of a room that were answered, the one answered last first; total
// counts all that q selects.
func (s *Service) Threads(ctx context.Context, by *user.User, q ThreadQuery) (page []*Message, total int, err error) {
	if !s.set.Bool(settings.Threads) {
		return nil, 0, ErrNoThreads
	}
	a, err := s.member(ctx, by, q.RoomID, fault.NotAllowed, fault.NotAllowed)
	if err != nil {
		return nil, 0, err
	}
	h := HistoryQuery{RoomID: q.RoomID, Threads: true, Offset: q.Offset, Limit: q.Count}
	switch q.Kind {
	case FollowedThreads:
		h.FollowedBy = by.ID
	case UnreadThreads:
		h.In = append([]string{}, a.sub.Threads...)
	}
	if want := user.Key(q.Text); want != "" {
		return s.sifted(ctx, h, func(m *Message) bool { return strings.Contains(user.Key(m.Text), want) })
	}
	return s.page(ctx, h)
}

// sifted is page for those of the newest searchDepth messages that are kept.
func (s *Service) sifted(ctx context.Context, q HistoryQuery, keep func(*Message) bool) (page []*Message, total int, err error) {
	offset, count := max(q.Offset, 0), clampLimit(q.Limit, DefaultHistory, MaxHistory)
	q.Limit = MaxHistory
	for q.Offset = 0; q.Offset < searchDepth; {
		batch, err := s.store.History(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		for _, m := range batch {
			if !keep(m) {
				continue
			}
			if total++; total > offset && len(page) < count {
				page = append(page, m)
			}
		}
		if len(batch) == 0 {
			break
		}
		q.Offset += len(batch)
	}
	page, _, err = fit(page, nil)
	return page, total, err
}

// ThreadsSince are the messages of a room that were answered and changed since then, the
// oldest change first, and what was deleted in the room. Whoever gets less than there is
// asks again from the last change on.
func (s *Service) ThreadsSince(ctx context.Context, by *user.User, roomID string, since time.Time) ([]*Message, []Gone, error) {
	if !s.set.Bool(settings.Threads) {
		return nil, nil, ErrNoThreads
	}
	if _, err := s.member(ctx, by, roomID, fault.NotAllowed, fault.NotAllowed); err != nil {
		return nil, nil, err
	}
	return s.since(ctx, roomID, Span{After: since, Threads: true})
}

// ThreadSince is ThreadsSince for the answers to a message.
func (s *Service) ThreadSince(ctx context.Context, by *user.User, id string, since time.Time) ([]*Message, []Gone, error) {
	_, a, err := s.thread(ctx, by, id)
	if err != nil {
		return nil, nil, err
	}
	return s.since(ctx, a.room.ID, Span{After: since, Thread: id})
}

func (s *Service) since(ctx context.Context, roomID string, in Span) (list []*Message, gone []Gone, err error) {
	in.Limit = maxMissed
	if list, err = s.store.ChangedMessages(ctx, roomID, in); err == nil {
		list, _, err = fit(list, changed)
	}
	if err != nil {
		return nil, nil, err
	}
	gone, err = s.store.GoneMessages(ctx, roomID, Span{After: in.After, Limit: maxMissed})
	return list, gone, err
}

// union are the values of both lists, each once, in a list of its own.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
