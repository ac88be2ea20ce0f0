package rooms

import (
	"context"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/user"
)

// The refusals of marking something unread, and of ignoring somebody.
var (
	ErrNothingUnread = fault.New("error-no-message-for-unread", "There are no messages to mark unread")
	ErrUnreading     = fault.New("error-action-not-allowed", "Not allowed").With(map[string]any{"action": "Unread_messages"})
	ErrNoMembership  = fault.New("error-invalid-subscription", "Invalid subscription")
	ErrIgnored       = fault.New("error-not-allowed", "Too many are ignored in this room")
)

// Unread marks a room as unread by the caller from its last message on.
func (s *Service) Unread(ctx context.Context, by *user.User, roomID string) error {
	if _, err := s.member(ctx, by, roomID, ErrNoMembership, ErrNoMembership); err != nil {
		return err
	}
	last, err := s.store.History(ctx, HistoryQuery{RoomID: roomID, Limit: 1})
	if err != nil {
		return err
	}
	if len(last) == 0 {
		return ErrNothingUnread
	}
	return s.unreadFrom(ctx, by, last[0])
}

// UnreadFrom marks a room as unread by the caller from a message of somebody else's on. What
// the caller has not seen so far changes nothing.
func (s *Service) UnreadFrom(ctx context.Context, by *user.User, messageID string) error {
	m, a, err := s.message(ctx, by, messageID, ErrUnreading)
	switch {
	case err != nil:
		return err
	case m.User.ID == by.ID:
		return ErrUnreading
	case !a.sub.LastSeen.IsZero() && !m.TS.Before(a.sub.LastSeen):
		return nil
	}
	return s.unreadFrom(ctx, by, m)
}

func (s *Service) unreadFrom(ctx context.Context, by *user.User, m *Message) error {
	_, err := s.change(ctx, by.ID, m.RoomID, SubscriptionChange{UnreadFrom: m.TS})
	return instead(err, dberr.NotFound, ErrNoMembership)
}

// Ignore has the caller's clients hide what another member of a room writes, or show it again.
func (s *Service) Ignore(ctx context.Context, by *user.User, roomID, userID string, on bool) error {
	if _, err := s.member(ctx, by, roomID, ErrNoMembership, ErrNoMembership); err != nil {
		return err
	}
	if userID == "" {
		return ErrNoMembership
	}
	c := SubscriptionChange{Heed: userID}
	if on { // whoever left may be heeded again
		ok, err := s.IsMember(ctx, userID, roomID)
		switch {
		case err != nil:
			return err
		case !ok:
			return ErrNoMembership
		}
		c = SubscriptionChange{Ignore: userID}
	}
	changed, err := s.change(ctx, by.ID, roomID, c)
	if err != nil || changed || !on {
		return instead(err, dberr.NotFound, ErrNoMembership)
	}
	sub, err := s.store.Subscription(ctx, roomID, by.ID)
	if err == nil && len(without(sub.Ignored, userID)) == len(sub.Ignored) {
		return ErrIgnored
	}
	return instead(err, dberr.NotFound, ErrNoMembership)
}
