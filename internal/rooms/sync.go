package rooms

import (
	"context"
	"time"

	"ddpserver/internal/user"
)

// DefaultSync is how many changes a page of Changes or Deletions holds when the caller
// names no number.
const DefaultSync = 50

// Cursor says where a page of changes goes on: Next is the moment after which newer ones
// come, Previous the one before which older ones come. Zero is the end.
type Cursor struct{ Next, Previous time.Time }

// Sync tells what was written, changed and deleted in a room since then, the
// oldest change first. next is the moment to go on after when the page ended
// before the last change, else zero; a deletion may be told again then.
func (s *Service) Sync(ctx context.Context, by *user.User, roomID string, since time.Time) (page []*Message, gone []Gone, next time.Time, err error) {
	in := Span{After: since, Limit: maxMissed}
	page, c, err := s.changes(ctx, by, roomID, in)
	if err != nil {
		return nil, nil, next, err
	}
	gone, d, err := s.deletions(ctx, by, roomID, in)
	if next = c.Next; next.IsZero() || !d.Next.IsZero() && d.Next.Before(next) {
		next = d.Next
	}
	return page, gone, next, err
}

// Changes is a page of what was written and changed in a room in a span of time, of 50
// messages, or in.Limit up to 200, and more only where they changed in one moment.
func (s *Service) Changes(ctx context.Context, by *user.User, roomID string, in Span) ([]*Message, Cursor, error) {
	in.Limit = clampLimit(in.Limit, DefaultSync, MaxHistory)
	return s.changes(ctx, by, roomID, in)
}

// Deletions is Changes for messages that were deleted.
func (s *Service) Deletions(ctx context.Context, by *user.User, roomID string, in Span) ([]Gone, Cursor, error) {
	in.Limit = clampLimit(in.Limit, DefaultSync, MaxHistory)
	return s.deletions(ctx, by, roomID, in)
}

func (s *Service) changes(ctx context.Context, by *user.User, roomID string, in Span) (page []*Message, c Cursor, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, c, err
	}
	return spanned(in, func(in Span) ([]*Message, error) { return s.store.ChangedMessages(ctx, roomID, in) },
		func(list []*Message) ([]*Message, error) {
			page, _, err := fit(list, changed)
			return page, err
		}, func(m *Message) time.Time { return m.UpdatedAt })
}

func (s *Service) deletions(ctx context.Context, by *user.User, roomID string, in Span) (page []Gone, c Cursor, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrRoomNotFound); err != nil {
		return nil, c, err
	}
	return spanned(in, func(in Span) ([]Gone, error) { return s.store.GoneMessages(ctx, roomID, in) },
		func(list []Gone) ([]Gone, error) { return list, nil }, func(g Gone) time.Time { return g.DeletedAt })
}

// spanned reads one page of a span. A page never ends inside a moment, since whoever
// goes on from it asks for what is beyond that moment.
func spanned[T any](in Span, read func(Span) ([]T, error), fit func([]T) ([]T, error), moment func(T) time.Time) (page []T, c Cursor, err error) {
	limit := in.Limit
	in.Limit++
	list, err := read(in)
	if err != nil {
		return nil, c, err
	}
	if len(list) > limit {
		end := limit
		for end > 0 && moment(list[end-1]).Equal(moment(list[limit])) {
			end--
		}
		if end == 0 { // all of them in one moment, and perhaps more
			in.Limit = max(maxMissed, in.Limit)
			if list, err = read(in); err != nil {
				return nil, c, err
			}
			for end < len(list) && moment(list[end]).Equal(moment(list[0])) {
				end++
			}
		}
		list = list[:end]
	}
	if page, err = fit(list); err != nil || len(page) == 0 {
		return nil, c, err
	}
	first, last := moment(page[0]), moment(page[len(page)-1])
	beyond := Span{After: last, Limit: 1}
	if !in.Before.IsZero() {
		beyond = Span{Before: last, Limit: 1}
	}
	more, err := read(beyond)
	if err != nil {
		return nil, c, err
	}
	if len(more) == 0 {
		last = time.Time{}
	}
	if !in.Before.IsZero() {
		return page, Cursor{Next: first, Previous: last}, nil
	}
	return page, Cursor{Next: last, Previous: first}, nil
}
