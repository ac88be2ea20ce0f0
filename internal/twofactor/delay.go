package twofactor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// A reset that an administrator asked for and that waits. Until it is due the
// authenticator counts as on everywhere; what ends it is one conditional write:
// the owner's answer that is accepted, ApplyTOTPReset, or the end of the asker's right.

const (
	// sweepEvery is how soon after its time a reset takes effect on an account that
	// nobody uses.
	sweepEvery = time.Minute
	// sweepMost bounds what one sweep does; the rest is for the next one.
	sweepMost = 1000
)

// schedule notes a reset for later, unless one is pending, and tells the owner.
func (s *Service) schedule(ctx context.Context, r Request, u *user.User, due time.Time) (time.Time, error) {
	if pending := u.TOTPResetDue(); !pending.IsZero() {
		return pending, nil
	}
	if to := u.VerifiedEmails(); len(to) > 0 {
		n := s.notice(r, u, TOTPResetPending, to)
		n.Due = due
		if n.Expire.Before(due) {
			n.Expire = due // the mail is worth sending as long as the owner can object
		}
		if r.User != nil {
			n.By = r.User.Username
		}
		if err := s.mailer.SendNotice(ctx, n); err != nil {
			return time.Time{}, ErrMailFailed.Because(err)
		}
	}
	actor := ""
	if r.User != nil {
		actor = r.User.ID
	}
	err := s.store.ScheduleTOTPReset(ctx, u.ID, u.Services.TOTP.Secret, actor, due)
	if errors.Is(err, dberr.Conflict) {
		after, err := s.store.UserByID(ctx, u.ID)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading an account whose reset was asked for twice: %w", err)
		}
		if pending := after.TOTPResetDue(); !pending.IsZero() {
			return pending, nil // another administrator was first
		}
		return time.Time{}, ErrOvertaken
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("noting a reset for later: %w", err)
	}
	s.tell(u.ID, user.FieldFactors) // the owner's document shows when
	s.record(r, by(r.User, u, TOTPResetPending))
	return due, nil
}

// Present is u as it is now: a reset of its authenticator that is due takes effect
// first. Whatever looks at an account's factors to decide something asks it.
func (s *Service) Present(ctx context.Context, u *user.User) (*user.User, error) {
	due := u.TOTPResetDue()
	if due.IsZero() || due.After(s.now()) {
		return u, nil
	}
	u, err := s.upheld(ctx, u)
	if err != nil || u.TOTPResetDue().IsZero() {
		return u, err
	}
	after, err := s.store.ApplyTOTPReset(ctx, u.ID, s.now())
	switch {
	case errors.Is(err, dberr.Conflict): // the owner's answer or another node was first
		return s.store.UserByID(ctx, u.ID)
	case err != nil:
		return nil, fmt.Errorf("carrying out a reset that is due: %w", err)
	}
	// The reset stands whatever happens from here on.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	r := Request{Action: "users.resetTOTP"}
	s.changed(u, after)
	if err := s.sendNotice(ctx, r, u, TOTPReset); err != nil {
		s.record(r, event{act: "notice_sent", outcome: "error", user: u.ID, target: TOTPReset.Name})
	}
	s.record(r, by(&user.User{ID: u.Services.TOTP.ResetBy}, u, TOTPReset))
	if err := s.store.ResetGuard(ctx, u.ID); err != nil {
		s.record(r, event{act: "counters_forgotten", outcome: "error", user: u.ID})
	}
	return after, nil
}

// upheld is u without a pending reset whose asker may not ask for one any more: an
// administrator's account that was found to be an attacker's must not go on working.
func (s *Service) upheld(ctx context.Context, u *user.User) (*user.User, error) {
	if u.TOTPResetDue().IsZero() {
		return u, nil
	}
	by, err := s.store.UserByID(ctx, u.Services.TOTP.ResetBy)
	switch {
	case err == nil && permission.Has(by, permission.EditOtherUserTOTP):
		return u, nil
	case err != nil && !errors.Is(err, dberr.NotFound):
		return nil, fmt.Errorf("reading who asked for a reset: %w", err)
	}
	// Before the beginning of time, so that it may be due already.
	err = s.store.CancelTOTPReset(ctx, u.ID, time.Time{})
	switch {
	case err == nil:
		s.ended(ctx, Request{Action: "users.resetTOTP"}, u, TOTPResetVoid)
	case !errors.Is(err, dberr.Conflict): // the owner's answer or another node was first
		return nil, fmt.Errorf("ending a void reset: %w", err)
	}
	return s.store.UserByID(ctx, u.ID)
}

// present is Present for a call with that login token, which a reset may have
// ended: then nothing is left to decide.
func (s *Service) present(ctx context.Context, u *user.User, token string) (*user.User, error) {
	after, err := s.Present(ctx, u)
	switch {
	case err != nil:
		return nil, err
	case token != "" && u.LoginToken(token) != nil && after.LoginToken(token) == nil:
		return nil, fault.NotAuthorized
	}
	return after, nil
}

// stopped tells of a pending reset that the owner ended.
func (s *Service) stopped(ctx context.Context, r Request, u *user.User) {
	s.ended(ctx, r, u, TOTPResetStopped)
}

// ended tells of a pending reset that does not come about.
func (s *Service) ended(ctx context.Context, r Request, u *user.User, c Change) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	s.tell(u.ID, user.FieldFactors)
	s.announce(ctx, r, u, c)
}

// CancelReset stops a pending reset of the caller's own authenticator; nothing
// happens when there is none. The caller has checked a fresh factor: where that
// was the app or a backup code, the answer has stopped the reset already.
func (s *Service) CancelReset(ctx context.Context, r Request) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	err = s.store.CancelTOTPReset(ctx, u.ID, s.now())
	switch {
	case errors.Is(err, dberr.Conflict):
		return nil
	case err != nil:
		return fmt.Errorf("stopping a reset: %w", err)
	}
	s.stopped(ctx, r, u)
	return nil
}

// Run carries out resets that are due until ctx ends, also of accounts that nobody uses.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.record(Request{Action: "users.resetTOTP"}, event{act: "resets_swept", outcome: "error"})
			}
		}
	}
}

// Sweep carries out every reset that is due. One account's failure does not keep
// the others waiting.
func (s *Service) Sweep(ctx context.Context) error {
	ids, err := s.store.DueTOTPResets(ctx, s.now(), sweepMost)
	for _, id := range ids {
		u, one := s.store.UserByID(ctx, id)
		if one == nil {
			_, one = s.Present(ctx, u)
		}
		if !errors.Is(one, dberr.NotFound) {
			err = errors.Join(err, one)
		}
	}
	return err
}
