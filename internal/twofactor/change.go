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
	user.Changed.Publish(s.feed, before.ID, user.News{
		Fields: []string{user.FieldFactors, user.FieldTokens, user.FieldTrust}, Ended: user.Ended(before, after),
	})
}

// announce mails the notice of a change and records it. A full outbox does not
// undo the change; it is recorded.
func (s *Service) announce(ctx context.Context, r Request, u *user.User, c Change) {
	if err := s.sendNotice(ctx, r, u, c); err != nil {
		s.record(r, event{act: "notice_sent", outcome: "error", user: u.ID, target: c.Name})
	}
	s.record(r, changeEvent(c, u.ID))
}

// changeEvent is the audit event of a change that was made.
func changeEvent(c Change, userID string) event {
	return event{act: c.Act, outcome: "ok", factor: c.Factor, user: userID}
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
	n := Notice{To: to, Name: u.Username, Change: c, At: s.now(), Expire: s.now().Add(noticeLife)}
	if r.User != nil {
		n.By = r.User.Username
	}
	if r.Peer != nil {
		n.Address, n.Agent = r.Peer.Address, r.Peer.UserAgent
	}
	if !c.Ends {
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

// Forget voids the account's pending mail codes and remembered trust, for
// changes that other packages make: password and addresses.
func (s *Service) Forget(ctx context.Context, userID string) error {
	err := s.store.ClearTrust(ctx, userID)
	if err == nil {
		s.tell(userID, user.FieldTrust)
	}
	return errors.Join(s.killCodes(ctx, userID, 0), err)
}

// tell tells that parts of an account changed that end no login.
func (s *Service) tell(userID string, parts ...string) {
	user.Changed.Publish(s.feed, userID, user.News{Fields: parts})
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
