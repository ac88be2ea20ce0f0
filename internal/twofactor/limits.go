package twofactor

import (
	"context"
	"fmt"
	"time"

	"ddpserver/internal/netkey"
	"ddpserver/internal/settings"
)

// Bounds that no setting can lift, and the defaults for values out of range.
const (
	maxCodeSeconds = 600 // life of a mailed code, seconds (NIST: at most ten minutes)
	maxAlive       = 5   // codes of one account that are alive at once, as documented
	maxDelta       = 2   // time steps before and after the present one
	budgetWindow   = time.Hour

	defaultCodeTries    = 5
	defaultMaxRecent    = 10
	defaultMaxInRow     = 100 // NIST SP 800-63B-4: at most 100 failures in a row
	defaultMaxMails     = 10
	defaultMaxAsked     = 5
	defaultMaxMailsFrom = 20

	pendingLife  = 10 * time.Minute // a secret that waits for its first code
	pendingTries = 10
)

// limits are the budgets of an answer with that factor, without that of a set of mail
// codes. Strangers' answers that are counted apart are counted for each network: who sends
// wrong ones shuts nobody else out.
func (s *Service) limits(ctx context.Context, r Request, factor string) (l Limits, err error) {
	l = Limits{
		MaxRecent: s.positive(settings.TwoFactorWrongPerHour, defaultMaxRecent),
		Window:    budgetWindow,
		MaxInRow:  s.positive(settings.TwoFactorWrongInRow, defaultMaxInRow),
	}
	if l.Source, err = s.source(ctx, r); err != nil {
		return l, err
	}
	if f := s.factor(factor); f != nil && f.Unguessable() {
		if l.Apart, l.MaxRecent = true, min(l.MaxRecent, MaxApart); l.Source == strangers && r.Peer != nil {
			l.Source = s.key.Digest("twofactor source of strangers", r.User.ID, netkey.Of(r.Peer.Address))[:16]
		}
	}
	return l, nil
}

// source says for counting where an answer comes from: an address from which the
// account was used, a session of the account, or anywhere else. Each has a budget
// of its own, so that who knows the password, and no more, uses up only what
// strangers have.
func (s *Service) source(ctx context.Context, r Request) (string, error) {
	if s.sources != nil && r.Peer != nil {
		known, err := s.sources.Source(ctx, r.User.ID, r.Peer.Address)
		if err != nil {
			return strangers, fmt.Errorf("reading the known addresses of an account: %w", err)
		}
		if known != strangers {
			return known, nil
		}
	}
	if r.User.LoginToken(r.Token) != nil {
		return sessions, nil
	}
	return strangers, nil
}

// positive reads a setting that must not be 0.
func (s *Service) positive(id string, standard int) int {
	if n := s.config.Int(id); n > 0 {
		return n
	}
	return standard
}
