package twofactor

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Strength orders the factors: a factor is never removed, and a fresh check
// never passed, by a weaker one than the strongest that is on. A factor says its own;
// there is room between those of the server.
type Strength uint8

// The strengths of the server's factors, weakest first. A backup code stands for the
// authenticator app and is as strong. The password is no second factor. What is no
// stronger than ByEmail proves no more than the mailbox.
const (
	ByPassword Strength = 10
	ByEmail    Strength = 20
	ByTOTP     Strength = 30
)

// on lists the account's factors that can be used now, strongest first: switched
// on for the account, each for the server, and all of them for the server.
func (s *Service) on(u *user.User) []Factor {
	if !s.config.Bool(settings.TwoFactorEnabled) {
		return nil
	}
	list := make([]Factor, 0, len(s.factors))
	for _, f := range s.factors {
		if f.Strength() > ByPassword && f.Enabled(u) {
			list = append(list, f)
		}
	}
	return list
}

// recovering tells whether the password was set with a mailed link and nothing
// stronger than the mailbox was proved since. A code from the same mailbox does not
// stand for a stronger factor then, however much time has passed: the mailbox alone
// would be both proofs of a login, for whoever waits.
func recovering(u *user.User) bool {
	p := u.Services.Password
	return p != nil && !p.ResetAt.IsZero()
}

// recovered ends that, once something stronger than the mailbox was accepted. A
// failure costs the owner one more such answer, and is none of the call.
func (s *Service) recovered(ctx context.Context, r Request, accepted string) {
	if s.strengthOf(accepted) <= ByEmail || !recovering(r.User) {
		return
	}
	bcrypt, never := r.User.PasswordHash(), time.Time{}
	_, err := s.store.UpdateUser(context.WithoutCancel(ctx), r.User.ID, user.Change{IfBcrypt: &bcrypt, ResetAt: &never, At: s.now()})
	if err != nil && !errors.Is(err, dberr.Conflict) {
		s.record(r, event{act: "recovery_ended", outcome: "error", factor: accepted, user: r.User.ID})
	}
}

// Lacks tells whether an account must still set up a factor of at least that
// strength. It is false when the account has one, and when it could set none up
// because the server offers none: who cannot comply must not be locked out.
func (s *Service) Lacks(u *user.User, need Strength) bool {
	if list := s.on(u); len(list) > 0 && list[0].Strength() >= need || !s.config.Bool(settings.TwoFactorEnabled) {
		return false
	}
	for _, f := range s.factors {
		if f.Strength() >= need && f.Offered(u) {
			return true
		}
	}
	return false
}

// accepted lists the factors whose answer a check of that policy takes, strongest
// first. Fresh takes nothing weaker than the strongest that is on, and the
// password when none is on, whatever the settings say. An empty list means that
// there is nothing to ask for, and under Fresh that nobody can pass.
func (s *Service) accepted(u *user.User, p Policy) []Factor {
	list := s.on(u)
	switch {
	case len(list) > 0 && p == Fresh:
		for i, f := range list {
			if f.Strength() < list[0].Strength() {
				return list[:i]
			}
		}
		return list
	case len(list) > 0 && recovering(u):
		return slices.DeleteFunc(list, func(f Factor) bool { return f.Strength() <= ByEmail && list[0].Strength() > ByEmail })
	case len(list) > 0:
		return list
	case p == Fresh && u.PasswordHash() != "", p != Fresh && p != Login && s.fallback.Enabled(u):
		return []Factor{s.fallback}
	}
	return nil
}

// choose selects one of the accepted factors: the named one, or the strongest.
// refused says that method names a factor that is not accepted: an answer to it
// is not compared, and the challenge for the chosen one goes out instead. A name that
// no factor has chooses nothing: its answer is one to the strongest.
func (s *Service) choose(accepted []Factor, method string) (f Factor, refused bool) {
	for _, f := range accepted {
		if f.Name() == method {
			return f, false
		}
	}
	return accepted[0], s.factor(method) != nil
}

// passed tells whether what was accepted earlier in the same call is enough for
// this check too: an ordinary one may have taken a weaker factor than a fresh one
// takes.
func (s *Service) passed(r Request) bool {
	if r.Passed == nil || r.Passed.Factor == "" {
		return false
	}
	if r.Policy != Fresh {
		return true
	}
	list := s.accepted(r.User, Fresh)
	return len(list) > 0 && s.strengthOf(r.Passed.Factor) >= list[len(list)-1].Strength()
}
