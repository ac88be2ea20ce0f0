package rooms

import (
	"context"
	"time"

	"ddpserver/internal/feed"
)

// messageDeleted is the event of stream-notify-room that tells of a deleted message.
const messageDeleted = "deleteMessage"

// NewsSince makes the news of what was written, changed and deleted in these rooms since then
// anew, for a node that may have missed it. Whoever had some of it already has it twice, which
// changes nothing: documents replace documents.
func (s *Service) NewsSince(ctx context.Context, roomIDs []string, since time.Time) (events []feed.Event, err error) {
	rooms, err := s.store.RoomsByIDs(ctx, roomIDs, time.Time{})
	if err != nil {
		return nil, err
	}
	add := func(e feed.Event, err2 error) {
		if err2 != nil {
			err = err2
			return
		}
		events = append(events, e)
	}
	for _, r := range rooms {
		list, err := s.store.ChangedMessages(ctx, r.ID, Span{After: since, Limit: maxMissed})
		if err != nil {
			return events, err
		}
		gone, err := s.store.GoneMessages(ctx, r.ID, Span{After: since, Limit: maxMissed})
		if err != nil {
			return events, err
		}
		for _, m := range list {
			add(messageEvent(r, m, ""))
		}
		for _, g := range gone {
			add(noticeEvent(r, "", messageDeleted, "", idDoc(g.ID)))
		}
		if !r.UpdatedAt.Before(since) {
			add(roomEvent(r, "", updated))
		}
	}
	return events, err
}

// MembershipsSince are the rooms in which a user's membership changed since then.
func (s *Service) MembershipsSince(ctx context.Context, userID string, since time.Time) (roomIDs []string, err error) {
	subs, err := s.store.SubscriptionsOf(ctx, userID, since)
	for _, sub := range subs {
		roomIDs = append(roomIDs, sub.RoomID)
	}
	return roomIDs, err
}
