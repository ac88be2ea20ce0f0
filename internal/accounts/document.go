package accounts

import (
	"context"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// SaveProfileObject replaces the free "profile" object of one's own account, as
// Meteor's clients do with /users/update (docs/wire/ddp.md A18). Two writers at
// once: the later one wins.
//
// Errors: ErrNotAllowed, ErrTooLong.
func (s *Service) SaveProfileObject(ctx context.Context, p *rpc.Peer, u *user.User, profile map[string]any) error {
	err := s.saveProfileObject(ctx, u, profile)
	s.record(p, "profile_changed", u.ID, err)
	return err
}

func (s *Service) saveProfileObject(ctx context.Context, u *user.User, profile map[string]any) error {
	if !s.set.Bool(settings.AllowProfileChange) {
		return ErrNotAllowed
	}
	if err := cleanFields(profile); err != nil {
		return err
	}
	_, err := s.change(ctx, u.ID, user.Change{Profile: &profile})
	return err
}
