package rooms

import (
	"context"
	"errors"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// maxReactions is how many different emojis one message takes.
const maxReactions = 50

func idDoc(id string) ejson.Doc { return ejson.Doc{{Key: "_id", Value: id}} }

// mayPin: who may pin in a room, and both sides of a direct one (Rocket.Chat
// lets nobody pin there, having no owners).
func mayPin(a *seat) bool { return a.room.Type == Direct || a.may(permission.PinMessage) }

// Pin pins a message and returns the system message that says so; when it was
// pinned already, the message itself.
func (s *Service) Pin(ctx context.Context, by *user.User, id string) (*Message, error) {
	m, a, err := s.message(ctx, by, id, ErrPinNotFound)
	if err != nil {
		return nil, err
	}
	switch {
	case m.Type != "":
		return nil, ErrPinNotFound
	case !s.set.Bool(settings.MessageAllowPinning):
		return nil, ErrPinning
	case !mayPin(a):
		return nil, ErrNotAuthorized
	}
	if err := barred(a); err != nil {
		return nil, err
	}
	at := s.time()
	who := Ref{ID: by.ID, Username: by.Username}
	pinned, err := s.store.SetPinned(ctx, id, true, who, at)
	if errors.Is(err, dberr.Conflict) {
		return s.store.MessageByID(ctx, id)
	}
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrPinNotFound)
	}
	if err := s.tellChanged(ctx, a.room, pinned, by.ID); err != nil {
		return nil, err
	}
	return s.announced(ctx, a.room, &Message{Type: TypePinned, User: ref(by), TS: at, Attachments: []Attachment{{
		Text: pinned.Text, AuthorName: pinned.User.Username, AuthorIcon: "/avatar/" + pinned.User.Username, TS: pinned.TS,
	}}})
}

// Unpin takes a pin back. It may be called again.
func (s *Service) Unpin(ctx context.Context, by *user.User, id string) error {
	if !s.set.Bool(settings.MessageAllowPinning) {
		return ErrPinning
	}
	_, a, err := s.message(ctx, by, id, ErrUnpinNotFound)
	if err != nil {
		return err
	}
	if !mayPin(a) {
		return ErrNotAuthorized
	}
	if err := barred(a); err != nil {
		return err
	}
	m, err := s.store.SetPinned(ctx, id, false, Ref{ID: by.ID, Username: by.Username}, s.time())
	if errors.Is(err, dberr.Conflict) {
		return nil
	}
	if err != nil {
		return instead(err, dberr.NotFound, ErrUnpinNotFound)
	}
	return s.tellChanged(ctx, a.room, m, by.ID)
}

// Star marks a message for the caller alone, or takes that back. It tells
// whether there is such a message in a room of the caller's; roomID may be empty.
func (s *Service) Star(ctx context.Context, by *user.User, id, roomID string, on bool) (bool, error) {
	if !s.set.Bool(settings.MessageAllowStarring) {
		return false, ErrStarring
	}
	m, _, err := s.message(ctx, by, id, ErrInvalidMessage)
	if errors.Is(err, ErrInvalidMessage) || err == nil && roomID != "" && roomID != m.RoomID {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, changed, err := s.store.SetStar(ctx, id, by.ID, on, s.time())
	if err != nil {
		return false, instead(err, dberr.NotFound, nil)
	}
	if !changed {
		return true, nil
	}
	r, err := s.store.RoomByID(ctx, m.RoomID)
	if err != nil {
		return true, instead(err, dberr.NotFound, nil)
	}
	return true, s.tellMessage(r, m, by.ID)
}

// React answers a message with an emoji (":name:" or "name"), takes that back,
// or toggles it when on is nil.
func (s *Service) React(ctx context.Context, by *user.User, id, emoji string, on *bool) error {
	name := strings.ReplaceAll(emoji, ":", "")
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-") != "" {
		return ErrEmoji
	}
	_, a, err := s.message(ctx, by, id, fault.NotAllowed)
	if err != nil {
		return err
	}
	if err := answerable(a); err != nil {
		return err
	}
	m, _, changed, err := s.store.SetReaction(ctx, id, ":"+name+":", by.Username, on, maxReactions, s.time())
	switch {
	case errors.Is(err, dberr.Exhausted):
		return ErrTooManyEmojis
	case err != nil:
		return instead(err, dberr.NotFound, fault.NotAllowed)
	case !changed:
		return nil
	}
	return s.tellChanged(ctx, a.room, m, by.ID)
}
