package twofactor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
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
	ByPasskey  Strength = 40
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
	// What not every client can ask for, not everybody can set up: who has no device
	// for passkeys is locked out only where they are demanded.
	return s.lacks(u, need, func(f Factor) bool { return need > ByTOTP || !f.Named() })
}

// Without tells whether an account has no factor of at least that strength and could set
// one up, with whichever client.
func (s *Service) Without(u *user.User, need Strength) bool {
	return s.lacks(u, need, func(Factor) bool { return true })
}

func (s *Service) lacks(u *user.User, need Strength, would func(Factor) bool) bool {
	if list := s.on(u); len(list) > 0 && list[0].Strength() >= need || !s.config.Bool(settings.TwoFactorEnabled) {
		return false
	}
	return slices.ContainsFunc(s.factors, func(f Factor) bool { return f.Strength() >= need && f.Offered(u) && would(f) })
}

// least is the strength below which a fresh check takes nothing: that of the strongest
// factor that every client can ask for. One that not every client can, is taken beside
// it, and does not lock the others out.
func least(list []Factor) Strength {
	for _, f := range list {
		if !f.Named() {
			return f.Strength()
		}
	}
	return list[0].Strength()
}

// accepted lists the factors whose answer a check of that policy takes, strongest
// first, of those that count for the call. Fresh takes nothing weaker than the strongest
// of them that is on and that every client can ask for (least), and the password when
// none is on, whatever the settings say. An empty list means that there is nothing to ask
// for, and under Fresh, and where not every factor counts, that nobody can pass.
func (s *Service) accepted(u *user.User, p Policy, proofs rpc.Proofs) []Factor {
	list := s.on(u)
	if len(list) > 0 && list[0].Strength() > ByEmail && recovering(u) {
		list = slices.DeleteFunc(list, func(f Factor) bool { return f.Strength() <= ByEmail })
	}
	list = slices.DeleteFunc(list, func(f Factor) bool { return !proofs.Count(f.Name()) })
	if p == Fresh && len(list) > 0 {
		floor := least(list)
		list = slices.DeleteFunc(list, func(f Factor) bool { return f.Strength() < floor })
	}
	switch {
	case len(list) > 0 || !proofs.Count(s.fallback.Name()):
		return list
	case p == Fresh && u.PasswordHash() != "", p != Fresh && p != Login && s.fallback.Enabled(u):
		return []Factor{s.fallback}
	}
	return nil
}

// AtLeast takes from what counts for a call everything that is weaker than need.
func (s *Service) AtLeast(p rpc.Proofs, need Strength) rpc.Proofs {
	var only []string
	for _, f := range s.factors {
		if f.Name() != Backup && f.Strength() >= need && p.Count(f.Name()) {
			only = append(only, f.Name())
		}
	}
	p.Only, p.None = only, len(only) == 0 // an empty list would mean everything
	return p
}

// countsOf is what counts for this account's call, of what counts for the call.
func (s *Service) countsOf(u *user.User, p rpc.Proofs) rpc.Proofs {
	return s.demanded(u, s.ofOwner(u, p))
}

// ofOwner takes codes by mail from the proofs of a change of factors where the account has
// a passkey in use: whoever reads the mailbox must not take its place, with another key
// or with an app that then opens the way to the keys. Where mails are the strongest that is
// in use they count, since what is weaker would stand in for them.
func (s *Service) ofOwner(u *user.User, p rpc.Proofs) rpc.Proofs {
	if p.OfFactors && (passkeyFactor{Base{}, s}).Enabled(u) && !slices.Contains(p.Not, Email) {
		p.Not = append(slices.Clone(p.Not), Email)
	}
	return p
}

// demanded leaves to an account of a role that must have a passkey nothing but its
// passkeys, once it has one: what can be phished would be the way around it. Where nobody
// can use any, the role is let off.
func (s *Service) demanded(u *user.User, p rpc.Proofs) rpc.Proofs {
	if !u.PasskeysEnabled() || !(passkeyFactor{Base{}, s}).Offered(u) || !s.config.Bool(settings.TwoFactorEnabled) {
		return p
	}
	roles, _ := settings.ParseMandatory(s.config.String(settings.TwoFactorMandatoryRoles))
	if slices.ContainsFunc(roles, func(m settings.Mandatory) bool { return m.Factor == settings.MandatoryWebAuthn && u.HasRole(m.Role) }) {
		return s.AtLeast(p, ByPasskey)
	}
	return p
}

// counts tells whether what was accepted is a proof for the call.
func counts(proofs rpc.Proofs, accepted string) bool { return proofs.Count(standsFor(accepted)) }

// standsFor is the factor that people are asked for when this is accepted: a backup code
// stands in for the app.
func standsFor(accepted string) string {
	if accepted == Backup {
		return TOTP
	}
	return accepted
}

// CheckProofs tells what is wrong with a line of the surface that says which factors
// count, if anything. asks is the strongest policy that the line or its handler asks for.
func (s *Service) CheckProofs(p rpc.Proofs, asks Policy) error {
	if p.Narrow() && asks != Ordinary && asks != Fresh {
		return errors.New("says which factors count, and asks for none")
	}
	for _, name := range slices.Concat(p.Only, p.Not) {
		if name == Backup || s.factor(name) == nil {
			return fmt.Errorf("says whether %q counts, which is no factor that anybody is asked for", name)
		}
	}
	return nil
}

// noProof refuses an account that has nothing to be asked for.
func (s *Service) noProof(r Request) error {
	if !r.Proofs.Narrow() {
		return ErrNoProof
	}
	ways := []string{}
	for _, f := range s.factors {
		if f.Offered(r.User) && r.Proofs.Count(f.Name()) {
			ways = append(ways, wordsFor(f.Name()))
		}
	}
	if r.Proofs.Count(Password) {
		ways = append(ways, "a password, which an administrator can give you")
	}
	return noneCounts(r.Proofs, ways)
}

// choose selects one of the accepted factors: the one that the answer names, or is of, or
// the strongest that every client can ask for. refused says that the answer names a factor
// that is not accepted: it is not compared, and the challenge for the chosen one goes out
// instead. A name that no factor has chooses nothing: its answer is one to the strongest.
func (s *Service) choose(accepted []Factor, p rpc.Proof) (f Factor, refused bool) {
	for _, f := range accepted {
		if f.Name() == p.Factor {
			return f, false
		}
	}
	refused = s.factor(p.Factor) != nil
	for _, f := range accepted {
		if !refused && p.Given() && f.Reads(p) {
			return f, false
		}
	}
	for _, f := range accepted {
		if !f.Named() {
			return f, refused
		}
	}
	return accepted[0], refused
}

// passed tells whether what was accepted earlier in the same call is enough for
// this check too: an ordinary one may have taken a weaker factor than a fresh one
// takes.
func (s *Service) passed(r Request) bool {
	if r.Passed == nil || r.Passed.Factor == "" || !counts(r.Proofs, r.Passed.Factor) {
		return false
	}
	if r.Policy != Fresh {
		return true
	}
	list := s.accepted(r.User, Fresh, r.Proofs)
	return len(list) > 0 && s.strengthOf(r.Passed.Factor) >= list[len(list)-1].Strength()
}
