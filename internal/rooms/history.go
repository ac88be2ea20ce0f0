package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
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
	// PageBytes is where a page of messages ends, in bytes of the wire: before the
	// message with which it would be longer, but not before the first. The store
	// ends it at StoredPageBytes of what it keeps.
	PageBytes       = 1 << 20
	StoredPageBytes = 2 * PageBytes
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
// for a room that the caller is not in. main leaves out answers that are shown in their
// threads alone.
func (s *Service) Load(ctx context.Context, by *user.User, roomID string, end time.Time, limit int, seen time.Time, main bool) (*History, error) {
	if ok, err := s.IsMember(ctx, by.ID, roomID); !ok {
		return nil, err
	}
	var h History
	var err error
	first := HistoryQuery{RoomID: roomID, Before: end, Limit: clampLimit(limit, DefaultHistory, MaxHistory), Main: main}
	if h.Messages, err = s.store.History(ctx, first); err != nil {
		return nil, err
	}
	if h.Messages, _, err = fit(h.Messages, written); err != nil {
		return nil, err
	}
	if seen.IsZero() || len(h.Messages) == 0 {
		return &h, nil
	}
	oldest := h.Messages[len(h.Messages)-1].TS
	if !oldest.After(seen) {
		return &h, nil
	}
	q := HistoryQuery{RoomID: roomID, After: seen, Before: oldest, OldestFirst: true, Limit: 1, Main: main}
	unread, err := s.store.History(ctx, q)
	if err != nil || len(unread) == 0 {
		return &h, err
	}
	h.FirstUnread = unread[0]
	h.UnreadNotLoaded, err = s.store.CountHistory(ctx, q)
	return &h, err
}

func clampLimit(n, def, max int) int {
	if n <= 0 {
		n = def
	}
	return min(n, max)
}

// Missed reads the messages of a room after start, newest first: at most a
// thousand, and a page by bytes. What is left lies before the last of them and is
// read by Load. It is nil for a room that the caller is not in.
func (s *Service) Missed(ctx context.Context, by *user.User, roomID string, start time.Time) ([]*Message, error) {
	if ok, err := s.IsMember(ctx, by.ID, roomID); !ok {
		return nil, err
	}
	list, err := s.store.History(ctx, HistoryQuery{RoomID: roomID, After: start, Limit: maxMissed})
	if err != nil {
		return nil, err
	}
	if list, _, err = fit(list, written); list == nil {
		list = []*Message{}
	}
	return list, err
}

// fit ends a page before the message with which it would be longer than
// PageBytes, but not before the first. moment is what a reader goes on after:
// messages of one moment stay together, or the rest of them would be lost. It is
// nil where a reader goes on by number. cut tells whether anything was left out.
func fit(list []*Message, moment func(*Message) int64) (page []*Message, cut bool, err error) {
	var text []byte
	size := 0
	for i, m := range list {
		if m.Type == "" && m.Text != "" {
			m.parsed = m.tree()
		}
		if text, err = ejson.Append(text[:0], m.Doc("")); err != nil {
			return nil, false, err
		}
		if size += len(text); size <= PageBytes || i == 0 {
			continue
		}
		end := i
		if moment == nil {
			return list[:end], true, nil
		}
		for end > 0 && moment(list[end-1]) == moment(m) {
			end--
		}
		if end == 0 {
			for end = i; end < len(list) && moment(list[end]) == moment(m); {
				end++
			}
		}
		return list[:end], end < len(list), nil
	}
	return list, false, nil
}

// written and changed are moments for fit: a page continues before the time of
// writing, or after that of the last change.
func written(m *Message) int64 { return m.TS.UnixMilli() }
func changed(m *Message) int64 { return m.UpdatedAt.UnixMilli() }

// FitRooms leaves the last messages out of rooms of a list, those of the rooms
// that were quiet longest first, so that the rest is at most PageBytes of the wire.
func FitRooms(list []*Room) {
	byAge := slices.Clone(list)
	slices.SortStableFunc(byAge, func(a, b *Room) int { return b.LastAt.Compare(a.LastAt) })
	var text []byte
	size := 0
	for _, r := range byAge {
		if r.LastMessage == nil {
			continue
		}
		if size <= PageBytes {
			var err error
			if text, err = ejson.Append(text[:0], r.LastMessage.Doc("")); err != nil {
				text = text[:cap(text)] // it will be told where it is shown
			}
			size += len(text)
		}
		if size > PageBytes {
			r.LastMessage = nil
		}
	}
}

// Page reads messages of a room for lists: q.RoomID names it. total counts all
// that q selects. A page that ends early for its bytes is continued at the offset
// that it reached.
func (s *Service) Page(ctx context.Context, by *user.User, q HistoryQuery) (page []*Message, total int, err error) {
	if _, err := s.member(ctx, by, q.RoomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, 0, err
	}
	return s.page(ctx, q)
}

func (s *Service) page(ctx context.Context, q HistoryQuery) (page []*Message, total int, err error) {
	q.Limit, q.Offset = clampLimit(q.Limit, DefaultHistory, MaxHistory), max(q.Offset, 0)
	if page, err = s.store.History(ctx, q); err != nil {
		return nil, 0, err
	}
	if page, _, err = fit(page, nil); err != nil {
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

// Mentioned lists messages of a room in which the caller is mentioned by name, newest
// first, among the newest searchDepth; total counts all of them.
func (s *Service) Mentioned(ctx context.Context, by *user.User, roomID string, offset, count int) (page []*Message, total int, err error) {
	if _, err := s.member(ctx, by, roomID, fault.NotAllowed, fault.NotAllowed); err != nil {
		return nil, 0, err
	}
	return s.sifted(ctx, HistoryQuery{RoomID: roomID, Ordinary: true, Offset: offset, Limit: count}, func(m *Message) bool {
		return slices.ContainsFunc(m.Mentions, func(x Mention) bool { return x.ID == by.ID })
	})
}

// Deleted lists what was deleted in a room after a moment, the oldest deletion first: a page
// of at most the thousand that are looked at, which total counts.
func (s *Service) Deleted(ctx context.Context, by *user.User, roomID string, since time.Time, offset, count int) (page []Gone, total int, err error) {
	if _, err := s.member(ctx, by, roomID, fault.NotAllowed, fault.NotAllowed); err != nil {
		return nil, 0, err
	}
	all, err := s.store.GoneMessages(ctx, roomID, Span{After: since, Limit: maxMissed})
	from := min(max(offset, 0), len(all))
	return all[from:min(from+clampLimit(count, DefaultHistory, MaxHistory), len(all))], len(all), err
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
	for at, read := 0, 0; at < searchDepth; at += read {
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
				out, _, err = fit(out, nil)
				return out, err
			}
		}
		if read = len(batch); read == 0 {
			break
		}
	}
	out, _, err := fit(out, nil)
	return out, err
}
