package twofactor

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/user"
)

// noticeLife is how long a notice is worth sending.
const noticeLife = 24 * time.Hour

// settle tells of a change of factors that was committed, sessions and trust
// included: the feed, the owner by mail, the audit stream. The change stands
// whatever happens here, so nothing is returned: what fails is in the audit
// stream. A caller who hangs up does not stop it.
func (s *Service) settle(ctx context.Context, r Request, before, after *user.User, c Change) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	s.changed(before, after)
	s.announce(ctx, r, before, c)
}

// changed tells everybody who must know that an account changed, and which of its
// login tokens are gone.
func (s *Service) changed(before, after *user.User) {
	user.Changed.Publish(s.feed, before.ID, user.News{Ended: user.Ended(before, after)})
}

// announce mails the notice of a change and records it. A full outbox does not
// undo the change; it is recorded.
func (s *Service) announce(ctx context.Context, r Request, u *user.User, c Change) {
	if err := s.sendNotice(ctx, r, u, c); err != nil {
		s.record(r, event{act: "notice_sent", outcome: "error", user: u.ID, target: string(c)})
	}
	s.record(r, changeEvent(c, u.ID))
}

// changeEvent is the audit event of a change that was made.
func changeEvent(c Change, userID string) event {
	e := event{outcome: "ok", factor: TOTP, user: userID}
	switch c {
	case TOTPEnabled:
		e.act = "factor_enabled"
	case TOTPDisabled:
		e.act = "factor_disabled"
	case TOTPReset:
		e.act = "factor_reset"
	case TOTPResetPending:
		e.act = "factor_reset_pending"
	case TOTPResetStopped:
		e.act = "factor_reset_stopped"
	case TOTPResetVoid:
		e.act = "factor_reset_void"
	case CodesReplaced:
		e.act = "backup_codes_replaced"
	case EmailEnabled:
		e.act, e.factor = "factor_enabled", Email
	case EmailDisabled:
		e.act, e.factor = "factor_disabled", Email
	}
	return e
}

// sendNotice mails one notice to the verified addresses, if there are any.
func (s *Service) sendNotice(ctx context.Context, r Request, u *user.User, c Change) error {
	to := u.VerifiedEmails()
	if len(to) == 0 {
		return nil
	}
	return s.mailer.SendNotice(ctx, s.notice(r, u, c, to))
}

// notice is what a change is told with.
func (s *Service) notice(r Request, u *user.User, c Change, to []string) Notice {
	n := Notice{To: to, Language: u.Language, Name: u.Username, Change: c, At: s.now(), Expire: s.now().Add(noticeLife)}
	if r.Peer != nil {
		n.Address, n.Agent = r.Peer.Address, r.Peer.UserAgent
	}
	if c != TOTPReset && c != TOTPResetPending { // a reset ends these too
		n.Tokens = personalTokens(u)
	}
	return n
}

func personalTokens(u *user.User) []string {
	if u.Services.Resume == nil {
		return nil
	}
	var out []string
	for _, t := range u.Services.Resume.LoginTokens {
		if t.IsPAT() {
			out = append(out, t.Name)
		}
	}
	return out
}

// mayBypass tells a personal access token that skips ordinary checks. It must
// not change how the account is protected, not even by adding the first factor,
// which asks nobody else for proof (docs/security-tests.md S057).
func mayBypass(u *user.User, token string) bool {
	t := u.LoginToken(token)
	return t != nil && t.IsPAT() && t.BypassTwoFactor
}

// SetEmail switches codes by mail on or off. Switching on needs a verified
// address (ErrUnverified), and the proof of another factor if one is on, or the
// password of a caller that may skip checks;
// switching off always needs proof (Policy Fresh), so the errors of Check are
// possible. What only the server's settings keep from use is not switched off by
// a password (ErrTwoFactorOff): they may change back. Nothing happens when the
// factor is in that position already.
func (s *Service) SetEmail(ctx context.Context, r Request, on bool) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	r.User, r.Policy = u, Fresh
	switch {
	case on && u.Email2FAEnabled():
		return nil
	case on && len(u.VerifiedEmails()) == 0:
		return ErrUnverified
	case !on && u.Email2FAEnabled() && len(u.VerifiedEmails()) > 0 && len(s.on(u)) == 0:
		return ErrTwoFactorOff
	case !on || len(s.on(u)) > 0 || u.TOTPEnabled() || mayBypass(u, r.Token):
		if err := s.Check(ctx, r); err != nil {
			return err
		}
	}
	if u.Email2FAEnabled() == on {
		return nil
	}
	now, old := s.now(), !on
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{
		IfEmail2FA: &old, Email2FA: &user.Email2FA{Enabled: on, ChangedAt: now},
		RemoveSessions: true, KeepToken: r.Token, ClearTrust: true, At: now,
	})
	switch {
	case errors.Is(err, dberr.Conflict):
		return nil // somebody else put it there at this very moment
	case err != nil:
		return err
	}
	if on {
		s.settle(ctx, r, u, after, EmailEnabled)
		return nil
	}
	s.forgetCodes(context.WithoutCancel(ctx), r, u.ID)
	s.settle(ctx, r, u, after, EmailDisabled)
	return nil
}

// Forget voids the account's pending mail codes and remembered trust, for
// changes that other packages make: password and addresses.
func (s *Service) Forget(ctx context.Context, userID string) error {
	return errors.Join(s.killCodes(ctx, userID, 0), s.store.ClearTrust(ctx, userID))
}

// forgetCodes voids mail codes after a change that was committed.
func (s *Service) forgetCodes(ctx context.Context, r Request, userID string) {
	if err := s.killCodes(ctx, userID, 0); err != nil {
		s.record(r, event{act: "codes_voided", outcome: "error", factor: Email, user: userID})
	}
}

// reload reads the caller's account anew: the flows decide by its present state.
func (s *Service) reload(ctx context.Context, r Request) (*user.User, error) {
	if r.User == nil {
		return nil, ErrInvalidUser
	}
	u, err := s.store.UserByID(ctx, r.User.ID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, ErrInvalidUser
	case err != nil:
		return nil, err
	}
	return s.present(ctx, u, r.Token)
}
