package rooms

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/permission"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// editTries is how often an edit is tried again when another one came first.
const editTries = 5

// EditRequest is an edit as a client asks for it.
type EditRequest struct {
	ID string
	// RoomID, if not empty, must be the message's.
	RoomID string
	Text   string
}

// Edit replaces the text of a message: one's own within the limits set by
// settings, anybody's for those who may edit messages in the room. Of two
// edits at once the later one stands, as a whole. An edit that changes nothing
// leaves no trace.
func (s *Service) Edit(ctx context.Context, by *user.User, e EditRequest) (*Message, error) {
	if !utf8.ValidString(e.Text) {
		return nil, ErrInvalidMessage
	}
	if length(e.Text) > s.set.Int(settings.MessageMaxSize) {
		return nil, ErrSize
	}
	for range editTries {
		m, err := s.edit(ctx, by, e)
		if !errors.Is(err, dberr.Conflict) {
			return m, err
		}
	}
	return nil, ErrEditedMeanTime
}

func (s *Service) edit(ctx context.Context, by *user.User, e EditRequest) (*Message, error) {
	old, a, err := s.message(ctx, by, e.ID, ErrEditing)
	if err != nil {
		return nil, err
	}
	if e.RoomID != "" && e.RoomID != old.RoomID {
		return nil, ErrUpdateKey
	}
	if old.Text == e.Text {
		return old, nil
	}
	if strings.TrimSpace(e.Text) == "" && len(old.Attachments) == 0 {
		return nil, ErrInvalidMessage
	}
	at := s.time()
	if err := s.mayEdit(a, old, at); err != nil {
		return nil, err
	}
	if err := writable(a); err != nil {
		return nil, err
	}
	f, err := s.find(ctx, a, e.Text)
	if err != nil {
		return nil, err
	}
	quotes, err := s.quoteAgain(ctx, by, f.urls, old)
	if err != nil {
		return nil, err
	}
	m, err := s.store.EditMessage(ctx, old.ID, Edit{
		Old: old.Text, Text: e.Text, Mentions: f.mentions, Channels: f.channels, URLs: f.urls, Attachments: &quotes,
		By: Ref{ID: by.ID, Username: by.Username}, At: at,
	})
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrEditing)
	}
	return m, s.tellChanged(ctx, a.room, m, by.ID)
}

func (s *Service) mayEdit(a *seat, m *Message, at time.Time) error {
	own := m.User.ID == a.user.ID
	if m.Type != "" || !a.may(permission.EditMessage) && (!own || !s.set.Bool(settings.MessageAllowEditing)) {
		return ErrEditing
	}
	if s.tooOld(a, m, at, settings.MessageEditMinutes) {
		return ErrEditBlocked
	}
	return nil
}

// tooOld tells whether a message is past the age, in minutes, up to which it
// may be changed.
func (s *Service) tooOld(a *seat, m *Message, at time.Time, setting string) bool {
	minutes := s.set.Int(setting)
	return minutes > 0 && !a.may(permission.BypassTimeLimit) && at.Sub(m.TS) >= time.Duration(minutes)*time.Minute
}

// message reads a message together with the caller's seat in its room. Whether
// it does not exist or is in a room that the caller is not in, the refusal is
// the same.
func (s *Service) message(ctx context.Context, by *user.User, id string, refusal error) (*Message, *seat, error) {
	if id == "" {
		return nil, nil, refusal
	}
	m, err := s.store.MessageByID(ctx, id)
	if err != nil {
		return nil, nil, instead(err, dberr.NotFound, refusal)
	}
	if m.Hidden {
		return nil, nil, refusal
	}
	a, err := s.member(ctx, by, m.RoomID, refusal, refusal)
	if err != nil {
		return nil, nil, err
	}
	return m, a, nil
}

// tellChanged publishes a changed message, and the room if it is the last one there.
func (s *Service) tellChanged(ctx context.Context, r *Room, m *Message, by string) error {
	last, err := s.store.TouchLastMessage(ctx, m, m.UpdatedAt)
	if err != nil {
		return err
	}
	// The room as it is now: its members may have changed since it was read.
	if r, err = s.store.RoomByID(ctx, r.ID); err != nil {
		return instead(err, dberr.NotFound, nil)
	}
	err = s.tellMessage(r, m, by)
	if last {
		err = errors.Join(err, s.tellRoom(r, by, updated))
	}
	return err
}

// Delete removes a message for good: one's own within the limits set by
// settings, anybody's for those who may delete messages in the room.
func (s *Service) Delete(ctx context.Context, by *user.User, id string) (*Message, error) {
	m, a, err := s.message(ctx, by, id, ErrDeleting)
	if err != nil {
		return nil, err
	}
	at := s.time()
	if err := s.mayDelete(a, m, at); err != nil {
		return nil, err
	}
	room, was, err := s.store.DeleteMessage(ctx, id, at)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrDeleting)
	}
	s.dropFiles(ctx, was)
	doc := idDoc(was.ID)
	return was, errors.Join(s.tellLeft(ctx, room, was, at, by.ID), s.tellNotice(room, by.ID, messageDeleted, "", doc), s.tellRoom(room, by.ID, updated))
}

func (s *Service) mayDelete(a *seat, m *Message, at time.Time) error {
	if a.may(permission.ForceDelete) {
		return nil
	}
	own := m.User.ID == a.user.ID && m.Type == "" && a.may(permission.DeleteOwnMessage)
	if !s.set.Bool(settings.MessageAllowDeleting) || !own && !a.may(permission.DeleteMessage) {
		return ErrDeleting
	}
	if s.tooOld(a, m, at, settings.MessageDeleteMinutes) {
		return ErrDeleting
	}
	return writable(a)
}
