package rooms

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"ddpserver/internal/user"
)

// What one search for people looks at, and what one for suggestions gives.
const (
	maxFound     = 1000
	foundAtOnce  = 100
	maxSuggested = 10
)

// People pages through the active accounts whose user name or name has a word that begins
// with the text, by user name; without a text through all. A search looks at the first
// thousand that the store finds, and total counts what it found among them: the store finds
// accounts by their mail addresses as well, and those are told to nobody.
func (s *Service) People(ctx context.Context, text string, offset, count int) (page []*user.User, total int, err error) {
	q := user.Query{Traits: []string{user.StateTrait(user.Active)}, Offset: max(offset, 0), Count: count}
	if strings.TrimSpace(text) == "" {
		return s.store.FindUsers(ctx, q)
	}
	err = s.people(ctx, text, func(u *user.User) bool {
		if total++; total > offset && len(page) < count {
			page = append(page, u)
		}
		return true
	})
	return page, total, err
}

// people hands out the accounts that People finds, for as long as more are wanted.
func (s *Service) people(ctx context.Context, text string, more func(*user.User) bool) error {
	word, ok := user.WordOf(text)
	if !ok {
		return nil
	}
	q := user.Query{Traits: []string{user.StateTrait(user.Active)}, Word: word, Count: foundAtOnce}
	for ; q.Offset < maxFound; q.Offset += foundAtOnce {
		batch, _, err := s.store.FindUsers(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range batch {
			if (begins(u.UsernameKey, word) || begins(user.Key(u.Name), word)) && !more(u) {
				return nil
			}
		}
		if len(batch) < foundAtOnce {
			return nil
		}
	}
	return nil
}

// begins tells whether a word of the text begins so.
func begins(text, word string) bool {
	inside := false
	for i, r := range text {
		is := unicode.IsLetter(r) || unicode.IsDigit(r)
		if is && !inside && strings.HasPrefix(text[i:], word) {
			return true
		}
		inside = is
	}
	return false
}

// Search is what somebody types to find people and channels.
type Search struct {
	Text         string
	Users, Rooms bool
	// Except are user names that are known already.
	Except []string
	// RoomID is where it is typed: those who are in it come first. The caller is in it, or
	// it counts for nothing.
	RoomID string
}

// Suggested is somebody whom a search found.
type Suggested struct {
	User *user.User
	// Outside: not in the room where it was typed.
	Outside bool
}

// Spotlight suggests people, and channels that the caller is not in, a few of each. A text that
// begins with @ is about people, one that begins with # about channels.
func (s *Service) Spotlight(ctx context.Context, by *user.User, q Search) (people []Suggested, rooms []*Room, err error) {
	switch {
	case strings.HasPrefix(q.Text, "#"):
		q.Users, q.Text = false, q.Text[1:]
	case strings.HasPrefix(q.Text, "@"):
		q.Rooms, q.Text = false, q.Text[1:]
	}
	if q.Users {
		if people, err = s.suggested(ctx, by, q); err != nil {
			return nil, nil, err
		}
	}
	if q.Rooms && strings.TrimSpace(q.Text) != "" {
		rooms, err = s.channelsOutside(ctx, by, q.Text)
	}
	return people, rooms, err
}

func (s *Service) suggested(ctx context.Context, by *user.User, q Search) ([]Suggested, error) {
	var found []*user.User
	err := s.people(ctx, q.Text, func(u *user.User) bool {
		if !slices.Contains(q.Except, u.Username) {
			found = append(found, u)
		}
		return len(found) < foundAtOnce
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	member, err := s.IsMember(ctx, by.ID, q.RoomID)
	if err != nil {
		return nil, err
	}
	inside := map[string]bool{}
	if member {
		ids := make([]string, len(found))
		for i, u := range found {
			ids[i] = u.ID
		}
		subs, err := s.store.SubscriptionsIn(ctx, q.RoomID, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range subs {
			inside[m.User.ID] = true
		}
		slices.SortStableFunc(found, func(a, b *user.User) int { return order(inside[a.ID]) - order(inside[b.ID]) })
	}
	var out []Suggested
	for _, u := range found[:min(len(found), maxSuggested)] {
		out = append(out, Suggested{User: u, Outside: member && !inside[u.ID]})
	}
	return out, nil
}

// order puts what is so before what is not.
func order(first bool) int {
	if first {
		return 0
	}
	return 1
}

// channelsOutside are the first channels whose name begins with the text and that the caller is
// not in.
func (s *Service) channelsOutside(ctx context.Context, by *user.User, text string) (out []*Room, err error) {
	q := RoomQuery{Types: []string{Channel}, Begins: user.Key(strings.TrimSpace(text)), Count: foundAtOnce}
	own, err := s.store.RoomIDsOf(ctx, by.ID)
	if err != nil {
		return nil, err
	}
	in := make(map[string]bool, len(own))
	for _, id := range own {
		in[id] = true
	}
	for ; q.Offset < maxFound; q.Offset += foundAtOnce {
		batch, _, err := s.store.ListRooms(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range batch {
			if in[r.ID] || r.Archived {
				continue
			}
			if out = append(out, r); len(out) == maxSuggested {
				return out, nil
			}
		}
		if len(batch) < foundAtOnce {
			break
		}
	}
	return out, nil
}

// ChannelsNamed pages through the channels whose name begins with the text, by name.
func (s *Service) ChannelsNamed(ctx context.Context, text string, offset, count int) ([]*Room, int, error) {
	return s.store.ListRooms(ctx, RoomQuery{Types: []string{Channel}, Begins: user.Key(strings.TrimSpace(text)), Offset: offset, Count: count})
}

// Around is a message with those before and after it.
type Around struct {
	Messages              []*Message
	MoreBefore, MoreAfter bool
}

// maxAround bounds how many messages are read around one.
const maxAround = 100

// Around reads a message with at most limit-1 others around it, oldest first: as many before it
// as after it. main leaves out answers that are shown in their threads alone. It is nil for a
// message that there is none of for the caller.
func (s *Service) Around(ctx context.Context, by *user.User, id string, limit int, main bool) (*Around, error) {
	m, err := s.Message(ctx, by, id)
	if err != nil || m == nil {
		return nil, err
	}
	limit = clampLimit(limit, 50, maxAround) - 1
	half := (limit + 1) / 2
	read := func(q HistoryQuery) ([]*Message, bool, error) {
		if q.Limit <= 0 {
			return nil, true, nil
		}
		q.RoomID, q.Main = m.RoomID, main
		list, err := s.store.History(ctx, q)
		if err != nil {
			return nil, false, err
		}
		more := len(list) == q.Limit
		list, cut, err := fit(list, written)
		return list, more || cut, err
	}
	out := &Around{}
	before, more, err := read(HistoryQuery{Before: m.TS, Limit: half})
	if err != nil {
		return nil, err
	}
	out.MoreBefore = more
	slices.Reverse(before)
	after, more, err := read(HistoryQuery{After: m.TS, OldestFirst: true, Limit: limit - half})
	out.MoreAfter = more
	out.Messages = slices.Concat(before, []*Message{m}, after)
	return out, err
}
