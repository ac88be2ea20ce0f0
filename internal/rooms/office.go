package rooms

import (
	"context"
	"errors"

	"ddpserver/internal/dberr"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// ByOffice tells whether one of the permissions is the caller's in that room by
// a role of the server alone: an act of office, not that of somebody who runs the
// room. Callers ask for a second factor then. A room that does not exist is
// nobody's; the act itself is refused later.
func (s *Service) ByOffice(ctx context.Context, by *user.User, roomID string, permissions ...string) (bool, error) {
	if !grants(by, permissions) {
		return false, nil // most people; nothing is read for them
	}
	a, err := s.seat(ctx, by, roomID)
	if errors.Is(err, dberr.NotFound) {
		return false, nil
	}
	return err == nil && a.office(permissions), err
}

// ByOfficeMessage is ByOffice for what somebody else wrote; nobody needs an
// office for a message of their own.
func (s *Service) ByOfficeMessage(ctx context.Context, by *user.User, messageID string, permissions ...string) (bool, error) {
	if messageID == "" || !grants(by, permissions) {
		return false, nil
	}
	m, err := s.store.MessageByID(ctx, messageID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return false, nil
	case err != nil:
		return false, err
	case m.User.ID == by.ID:
		return false, nil
	}
	return s.ByOffice(ctx, by, m.RoomID, permissions...)
}

func grants(by *user.User, permissions []string) bool {
	for _, p := range permissions {
		if permission.Has(by, p) {
			return true
		}
	}
	return false
}

// office tells whether the room gives the user none of the permissions.
func (a *seat) office(permissions []string) bool {
	if a.sub == nil {
		return true
	}
	for _, p := range permissions {
		if permission.InRoom(a.sub.Roles, p) {
			return false
		}
	}
	return true
}
