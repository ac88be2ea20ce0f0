package twofactor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// A reset that an administrator asked for and that waits. Until it is due the factor
// counts as on everywhere; what ends it is one conditional write: the owner's answer with
// it that is accepted, ApplyReset, or the end of the asker's right.

const (
	// sweepEvery is how soon after its time a reset takes effect on an account that
	// nobody uses.
	sweepEvery = time.Minute
	// sweepMost bounds what one sweep does; the rest is for the next one.
	sweepMost = 1000
)

// lostFactor is a factor that administrators remove from accounts whose owners lost it.
type lostFactor struct {
	// factor is its name and its field in user.Services, setting what switches it on for
	// the server, action the name under which its resets are recorded.
	factor, setting, action string
	// What the owner is told: done, that it waits, and that it does not come about.
	done, pending, stopped, void Change
}

var lostApp = lostFactor{factor: TOTP, setting: settings.TwoFactorByTOTP, action: "users.resetTOTP",
	done: TOTPReset, pending: TOTPResetPending, stopped: TOTPResetStopped, void: TOTPResetVoid}

var lostPasskeys = lostFactor{factor: WebAuthn, setting: settings.TwoFactorByWebAuthn, action: "users.resetWebAuthn",
	done: PasskeysReset, pending: PasskeysResetPending, stopped: PasskeysResetStopped, void: PasskeysResetVoid}

// lostFactors are those of user.Resets.
var lostFactors = []lostFactor{lostApp, lostPasskeys}

// schedule notes a reset for later, unless one is pending, and tells the owner.
func (s *Service) schedule(ctx context.Context, r Request, u *user.User, f lostFactor, due time.Time) (time.Time, error) {
	if pending := u.ResetDue(f.factor); !pending.IsZero() {
		return pending, nil
	}
	if to := u.VerifiedEmails(); len(to) > 0 {
		n := s.notice(r, u, f.pending, to)
		n.Due = due
		if n.Expire.Before(due) {
			n.Expire = due // the mail is worth sending as long as the owner can object
		}
		if err := s.mailer.SendNotice(ctx, n); err != nil {
			return time.Time{}, ErrMailFailed.Because(err)
		}
	}
	actor := ""
	if r.User != nil {
		actor = r.User.ID
	}
	err := s.store.ScheduleReset(ctx, u.ID, f.factor, u.ResetMark(f.factor), actor, due)
	if errors.Is(err, dberr.Conflict) {
		after, err := s.store.UserByID(ctx, u.ID)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading an account whose reset was asked for twice: %w", err)
		}
		if pending := after.ResetDue(f.factor); !pending.IsZero() {
			return pending, nil // another administrator was first
		}
		return time.Time{}, ErrOvertaken
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("noting a reset for later: %w", err)
	}
	s.tell(u.ID, user.FieldFactors) // the owner's document shows when
	s.record(r, by(r.User, u, f.pending))
	return due, nil
}

// Present is u as it is now: resets of its factors that are due take effect
// first. Whatever looks at an account's factors to decide something asks it.
func (s *Service) Present(ctx context.Context, u *user.User) (_ *user.User, err error) {
	for _, f := range lostFactors {
		if due := u.ResetDue(f.factor); !due.IsZero() && !due.After(s.now()) {
			if u, err = s.carryOut(ctx, u, f); err != nil {
				return nil, err
			}
		}
	}
	return u, nil
}

// carryOut does the reset of one factor that is due, if it still stands.
func (s *Service) carryOut(ctx context.Context, u *user.User, f lostFactor) (*user.User, error) {
	who, err := s.resetBy(ctx, u, f)
	switch {
	case err != nil:
		return nil, err
	case !mayReset(who):
		return s.void(ctx, u, f)
	}
	after, err := s.store.ApplyReset(ctx, u.ID, f.factor, s.now())
	switch {
	case errors.Is(err, dberr.Conflict): // the owner's answer or another node was first
		return s.store.UserByID(ctx, u.ID)
	case err != nil:
		return nil, fmt.Errorf("carrying out a reset that is due: %w", err)
	}
	// The reset stands whatever happens from here on.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	r := Request{Action: f.action, User: who}
	s.changed(u, after)
	if err := s.sendNotice(ctx, r, u, f.done); err != nil {
		s.record(r, event{act: "notice_sent", outcome: "error", user: u.ID, target: f.done.Name})
	}
	s.record(r, by(who, u, f.done))
	if err := s.store.ResetGuard(ctx, u.ID); err != nil {
		s.record(r, event{act: "counters_forgotten", outcome: "error", user: u.ID})
	}
	return after, nil
}

// upheld is u without a pending reset whose asker may not ask for one any more: an
// administrator's account that was found to be an attacker's must not go on working.
func (s *Service) upheld(ctx context.Context, u *user.User, f lostFactor) (*user.User, error) {
	if u.ResetDue(f.factor).IsZero() {
		return u, nil
	}
	if who, err := s.resetBy(ctx, u, f); err != nil || mayReset(who) {
		return u, err
	}
	return s.void(ctx, u, f)
}

func mayReset(who *user.User) bool { return permission.Has(who, permission.EditOtherUserTOTP) }

// void ends a pending reset whose asker may not ask for one any more.
func (s *Service) void(ctx context.Context, u *user.User, f lostFactor) (*user.User, error) {
	// Before the beginning of time, so that it may be due already.
	err := s.store.CancelReset(ctx, u.ID, f.factor, time.Time{})
	switch {
	case err == nil:
		s.ended(ctx, Request{Action: f.action}, u, f.void)
	case !errors.Is(err, dberr.Conflict): // the owner's answer or another node was first
		return nil, fmt.Errorf("ending a void reset: %w", err)
	}
	return s.store.UserByID(ctx, u.ID)
}

// resetBy is who asked for a pending reset, without any right if that account is gone.
func (s *Service) resetBy(ctx context.Context, u *user.User, f lostFactor) (*user.User, error) {
	id := u.Reset(f.factor).ResetBy
	who, err := s.store.UserByID(ctx, id)
	switch {
	case errors.Is(err, dberr.NotFound):
		return &user.User{ID: id}, nil
	case err != nil:
		return nil, fmt.Errorf("reading who asked for a reset: %w", err)
	}
	return who, nil
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

// ended tells of a pending reset that does not come about.
func (s *Service) ended(ctx context.Context, r Request, u *user.User, c Change) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	s.tell(u.ID, user.FieldFactors)
	s.announce(ctx, r, u, c)
}

// CancelReset stops the pending resets of the caller's own factors; nothing
// happens when there is none. The caller has checked a fresh factor: where that
// was the factor itself, the answer has stopped its reset already.
func (s *Service) CancelReset(ctx context.Context, r Request) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	for _, f := range lostFactors {
		switch err := s.store.CancelReset(ctx, u.ID, f.factor, s.now()); {
		case errors.Is(err, dberr.Conflict):
		case err != nil:
			return fmt.Errorf("stopping a reset: %w", err)
		default:
			s.ended(ctx, r, u, f.stopped)
		}
	}
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
				s.record(Request{Action: "users.reset"}, event{act: "resets_swept", outcome: "error"})
			}
		}
	}
}

// Sweep carries out every reset that is due. One account's failure does not keep
// the others waiting.
func (s *Service) Sweep(ctx context.Context) error {
	ids, err := s.store.DueResets(ctx, s.now(), sweepMost)
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
