package twofactor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Reset removes the authenticator of an account whose owner cannot use it any
// more, forgets its counters and codes, and ends every session and token of the
// account (docs/wire/rocketchat.md 1.10). r.User is whoever does it; the caller has
// checked the permission "edit-other-user-totp" and a fresh factor.
//
// With the setting TwoFactorResetDelay above 0, somebody else's authenticator is
// removed only after that time: due is then when, the owner is told at once, and
// every accepted answer with the app or a backup code stops it. One that is
// pending stays as it is, whoever asks again and whatever the setting says by
// then, as long as whoever asked for it still has that permission: otherwise it
// ends, at the latest when it is due. due is zero when everything is done.
//
// The notice goes out first: when it is not accepted, ErrMailFailed and nothing
// is changed. Further refusals: ErrInvalidUser for an unknown account,
// ErrTwoFactorOff for somebody else's while the factor is off on the server, and
// for one's own authenticator then: the fresh factor was a weaker one, and
// Disable takes the authenticator's code whatever the settings say. An
// account without an authenticator keeps its sessions; only its counters and
// codes are forgotten, which lifts a stop after too many wrong answers.
func (s *Service) Reset(ctx context.Context, r Request, userID string) (due time.Time, err error) {
	u, err := s.losing(ctx, r, userID, lostApp)
	if err != nil {
		return time.Time{}, err
	}
	own := r.User != nil && r.User.ID == u.ID
	if due, waits := s.waits(u, lostApp); waits && !own {
		return s.schedule(ctx, r, u, lostApp, due)
	}
	return time.Time{}, s.reset(ctx, r, u)
}

// waits tells whether an administrator's reset of that factor waits, and until when it
// would if it was asked for now.
func (s *Service) waits(u *user.User, f lostFactor) (due time.Time, waits bool) {
	delay := time.Duration(s.config.Int(settings.TwoFactorResetDelay)) * time.Hour
	r := u.Reset(f.factor)
	return s.now().Add(delay), r != nil && (delay > 0 || !r.ResetDue.IsZero())
}

// reset is Reset at once.
func (s *Service) reset(ctx context.Context, r Request, u *user.User) error {
	if u.Services.TOTP != nil {
		if err := s.remove(ctx, r, u, lostApp); err != nil {
			return err
		}
	}
	return s.forgotten(ctx, r, u, TOTPReset)
}

// remove takes a factor away, with every session and token, once the owner is told.
func (s *Service) remove(ctx context.Context, r Request, u *user.User, f lostFactor) error {
	if err := s.sendNotice(ctx, r, u, f.done); err != nil {
		return ErrMailFailed.Because(err)
	}
	now := s.now()
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{Factor: user.DropFactor(f.factor, now), RemoveTokens: true, ClearTrust: true, At: now})
	if err != nil {
		return fmt.Errorf("resetting the factor %s: %w", f.factor, err)
	}
	s.changed(u, after)
	return nil
}

// resettable is the account of a reset as it is now, with the refusals that resets of
// every factor have: setting switches the factor on for the server, on tells whether the
// account has it.
func (s *Service) resettable(ctx context.Context, r Request, userID, setting string, on func(*user.User) bool) (*user.User, error) {
	u, err := s.store.UserByID(ctx, userID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, ErrInvalidUser
	case err != nil:
		return nil, err
	}
	if u, err = s.Present(ctx, u); err != nil {
		return nil, err
	}
	own := r.User != nil && r.User.ID == u.ID
	if !(s.config.Bool(settings.TwoFactorEnabled) && s.config.Bool(setting)) && (!own || on(u)) {
		return nil, ErrTwoFactorOff
	}
	return u, nil
}

// losing is resettable for a factor whose reset can wait. One that is pending ends first,
// if whoever asked for it may not do so any more.
func (s *Service) losing(ctx context.Context, r Request, userID string, f lostFactor) (*user.User, error) {
	u, err := s.resettable(ctx, r, userID, f.setting, func(u *user.User) bool { return u.Reset(f.factor) != nil })
	if err != nil {
		return nil, err
	}
	return s.upheld(ctx, u, f)
}

// forgotten records a reset and forgets what was counted against the account.
func (s *Service) forgotten(ctx context.Context, r Request, u *user.User, c Change) error {
	s.record(r, by(r.User, u, c))
	if err := s.store.ResetGuard(ctx, u.ID); err != nil {
		return fmt.Errorf("forgetting the counters of an account: %w", err)
	}
	return nil
}

// by is the audit event of what somebody did to another account.
func by(who, u *user.User, c Change) event {
	e := changeEvent(c, "")
	if who != nil {
		e.user = who.ID
	}
	e.target = u.ID
	return e
}
