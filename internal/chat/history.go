package chat

import (
	"context"
	"errors"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/user"
)

// Bounds of what one call reads.
const (
	// DefaultHistory is the number of messages when the caller names none.
	DefaultHistory = 20
	// MaxHistory is the most a caller gets.
	MaxHistory = 200
	// maxMissed bounds what a client catches up on at once.
	maxMissed = 1000
	// searchDepth is how far back a search looks.
	searchDepth = 5000
)

// History is a page of messages, newest first.
type History struct {
	Messages []*Message
	// FirstUnread and UnreadNotLoaded are about what lies between the moment the
	// caller last saw and the oldest of Messages.
	FirstUnread     *Message
	UnreadNotLoaded int
}

// Load reads messages of a room before end (zero: the newest), at most limit of
// them. seen, if not zero, asks for what is unread beyond the page. It is nil
// for a room that the caller is not in.
func (s *Service) Load(ctx context.Context, by *user.User, roomID string, end time.Time, limit int, seen time.Time) (*History, error) {
	if ok, err := s.IsMember(ctx, by.ID, roomID); !ok {
		return nil, err
	}
	var h History
	var err error
	if h.Messages, err = s.store.History(ctx, HistoryQuery{RoomID: roomID, Before: end, Limit: clampLimit(limit, DefaultHistory, MaxHistory)}); err != nil {
		return nil, err
	}
	if seen.IsZero() || len(h.Messages) == 0 {
		return &h, nil
	}
	oldest := h.Messages[len(h.Messages)-1].TS
	if !oldest.After(seen) {
		return &h, nil
	}
	q := HistoryQuery{RoomID: roomID, After: seen, Before: oldest, OldestFirst: true, Limit: 1}
	first, err := s.store.History(ctx, q)
	if err != nil || len(first) == 0 {
		return &h, err
	}
	h.FirstUnread = first[0]
	h.UnreadNotLoaded, err = s.store.CountHistory(ctx, q)
	return &h, err
}

func clampLimit(n, def, max int) int {
	if n <= 0 {
		n = def
	}
	return min(n, max)
}

// Missed reads the messages of a room after start, newest first. It is nil for
// a room that the caller is not in.
func (s *Service) Missed(ctx context.Context, by *user.User, roomID string, start time.Time) ([]*Message, error) {
	if ok, err := s.IsMember(ctx, by.ID, roomID); !ok {
		return nil, err
	}
	list, err := s.store.History(ctx, HistoryQuery{RoomID: roomID, After: start, Limit: maxMissed})
	if list == nil {
		list = []*Message{}
	}
	return list, err
}

// Page reads messages of a room for lists: q.RoomID names it. total counts all
// that q selects.
func (s *Service) Page(ctx context.Context, by *user.User, q HistoryQuery) (page []*Message, total int, err error) {
	if _, err := s.member(ctx, by, q.RoomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, 0, err
	}
	q.Limit, q.Offset = clampLimit(q.Limit, DefaultHistory, MaxHistory), max(q.Offset, 0)
	if page, err = s.store.History(ctx, q); err != nil {
		return nil, 0, err
	}
	total, err = s.store.CountHistory(ctx, q)
	return page, total, err
}

// Message reads one message: nil when there is none, a refusal when it is in a
// room that the caller is not in.
func (s *Service) Message(ctx context.Context, by *user.User, id string) (*Message, error) {
	m, err := s.store.MessageByID(ctx, id)
	if errors.Is(err, dberr.NotFound) || err == nil && m.Hidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ok, err := s.IsMember(ctx, by.ID, m.RoomID); !ok {
		if err == nil {
			err = fault.NotAllowed
		}
		return nil, err
	}
	return m, nil
}

// Sync tells what was written, changed and deleted in a room since then.
func (s *Service) Sync(ctx context.Context, by *user.User, roomID string, since time.Time) (changed []*Message, gone []Gone, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, nil, err
	}
	if changed, err = s.store.ChangedMessages(ctx, roomID, since, maxMissed); err != nil {
		return nil, nil, err
	}
	gone, err = s.store.GoneMessages(ctx, roomID, since, maxMissed)
	return changed, gone, err
}

// Search finds messages of a room whose text contains the words as they are
// written, in any case; it looks at the newest searchDepth messages. The text
// is never a pattern.
func (s *Service) Search(ctx context.Context, by *user.User, roomID, words string, offset, count int) ([]*Message, error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, err
	}
	want := user.Key(words)
	if want == "" {
		return nil, nil
	}
	count, offset = clampLimit(count, DefaultHistory, MaxHistory), max(offset, 0)
	var out []*Message
	for at := 0; at < searchDepth; at += MaxHistory {
		batch, err := s.store.History(ctx, HistoryQuery{RoomID: roomID, Ordinary: true, Limit: MaxHistory, Offset: at})
		if err != nil {
			return nil, err
		}
		for _, m := range batch {
			if !strings.Contains(user.Key(m.Text), want) {
				continue
			}
			if offset > 0 {
				offset--
			} else if out = append(out, m); len(out) == count {
				return out, nil
			}
		}
		if len(batch) < MaxHistory {
			break
		}
	}
	return out, nil
}
