package twofactor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
)

// Verify is Check, and says why the call may go on.
func (s *Service) Verify(ctx context.Context, r Request) (Outcome, error) {
	if r.User != nil {
		u, err := s.present(ctx, r.User, r.Token)
		if err != nil {
			return Outcome{}, s.refuse(r, "", err)
		}
		r.User, r.Proofs = u, s.countsOf(u, r.Proofs)
	}
	answered := r.Proof.Given()
	switch {
	case r.User != nil && s.passed(r):
		return Outcome{Reason: "checked"}, nil
	case r.Policy == None && !(r.Insist && answered):
		return Outcome{Reason: "nothing"}, nil
	case r.Policy != Fresh && !s.config.Bool(settings.TwoFactorEnabled):
		return Outcome{Reason: "off"}, nil
	case r.User == nil:
		return Outcome{}, ErrNoUser
	}
	if !(r.Insist && answered) {
		if reason := s.waived(r); reason != "" {
			return Outcome{Reason: reason}, nil
		}
		s.outlived(ctx, r)
	}
	list := s.accepted(r.User, r.Policy, r.Proofs)
	switch {
	case len(list) == 0 && (r.Policy == Fresh || r.Proofs.Narrow() || r.Insist && answered && r.User.PasswordHash() == ""):
		return Outcome{}, s.refuse(r, "", s.noProof(r))
	case len(list) == 0 && r.Insist && answered: // where there is nothing to compare with, no answer is right
		d := Details{Method: s.fallback.Name()}
		return Outcome{}, ErrInvalid.With(d.doc())
	case len(list) == 0:
		return Outcome{Reason: "nothing"}, nil
	}
	f, refused := s.choose(list, r.Proof)
	if answered && !refused {
		return s.answer(ctx, r, f)
	}
	return Outcome{}, s.challenge(ctx, r, f)
}

// waived names the reason for which an ordinary call needs no code, or "".
func (s *Service) waived(r Request) string {
	t := r.User.LoginToken(r.Token)
	switch {
	case t == nil || !r.Policy.remembers():
		return ""
	case t.IsPAT() && t.BypassTwoFactor && !r.Proofs.Narrow():
		return "bypass"
	case s.trusted(t, r.Peer) && (!r.Proofs.Narrow() || t.TrustFactor != "" && counts(r.Proofs, t.TrustFactor)):
		return "trust"
	}
	return ""
}

// challenge refuses a call without a code and says how to get on.
func (s *Service) challenge(ctx context.Context, r Request, f Factor) error {
	g, err := s.guard(ctx, r.User.ID)
	if err != nil {
		return s.refuse(r, f.Name(), err)
	}
	blocked, err := s.blocked(ctx, g, r, f.Name())
	if err != nil {
		return s.refuse(r, f.Name(), err)
	}
	d, err := s.details(ctx, r, f, !blocked)
	switch {
	case err != nil:
		return s.refuse(r, f.Name(), err)
	case blocked:
		return s.refuse(r, f.Name(), ErrMaxAttempts.With(d.doc()))
	}
	return s.refuse(r, f.Name(), ErrRequired.With(d.doc()))
}

// answer counts an answer, then compares it.
func (s *Service) answer(ctx context.Context, r Request, f Factor) (Outcome, error) {
	if again, err := s.resent(ctx, r, f); again != "" || err != nil {
		return s.acceptAgain(r, again, err)
	}
	a, err := s.prove(ctx, r, f)
	switch {
	case err != nil:
		return Outcome{}, s.refuse(r, f.Name(), err)
	case a.accepted != "":
		if r.Passed != nil {
			r.Passed.Factor = a.accepted
		}
		s.remember(ctx, r, a.accepted)
		s.recovered(ctx, r, a.accepted)
		s.record(r, event{act: "factor_check", outcome: "ok", factor: a.accepted, user: r.User.ID})
		if a.accepted != f.Name() { // one that stood in for the factor, which is worth a look
			s.record(r, event{act: a.accepted + "_code_used", outcome: "ok", factor: f.Name(), user: r.User.ID})
		}
		return Outcome{Factor: a.accepted}, nil
	}
	d, err := s.details(ctx, r, f, !a.limited)
	if err != nil && !unmailed(err) {
		return Outcome{}, s.refuse(r, f.Name(), err)
	}
	if a.limited {
		return Outcome{}, s.refuse(r, f.Name(), ErrMaxAttempts.With(d.doc()))
	}
	return Outcome{}, s.refuse(r, f.Name(), ErrInvalid.With(d.doc()))
}

// attempt is what became of an answer: accepted, limited, or simply wrong.
type attempt struct {
	accepted string
	limited  bool
}

// prove counts one answer in a write of its own and only then compares it, so
// that neither a crash nor a parallel answer gets a guess for nothing. Where the
// factor has sets of codes, the answer is counted against the live one as well.
func (s *Service) prove(ctx context.Context, r Request, f Factor) (attempt, error) {
	u, tries := r.User, f.Tries()
	id, live, err := s.count(ctx, r, f.Name(), tries)
	switch {
	case errors.Is(err, dberr.Exhausted):
		// A used-up set is not ended here: an answer that was counted in time may
		// not be compared yet.
		return attempt{limited: true}, nil
	case err != nil:
		return attempt{}, fmt.Errorf("counting an answer: %w", err)
	}
	accepted := ""
	if live || tries == 0 {
		accepted, err = f.Verify(ctx, r)
		if err != nil {
			return attempt{}, fmt.Errorf("comparing an answer: %w", err)
		}
	}
	if accepted != "" {
		if err := s.store.Succeeded(ctx, u.ID, id, s.spent(r, accepted), s.now().Add(-resendFor)); err != nil {
			return attempt{}, fmt.Errorf("booking a right answer: %w", err)
		}
		return attempt{accepted: accepted}, nil
	}
	if !live {
		return attempt{}, nil
	}
	return s.strike(ctx, u.ID, tries)
}

// count counts one answer. live says that it was counted against a set of mail
// codes; an answer without a live set cannot be right but is counted all the same.
func (s *Service) count(ctx context.Context, r Request, factor string, tries int) (id string, live bool, err error) {
	l, err := s.limits(ctx, r, factor)
	if err != nil {
		return "", false, err
	}
	userID := r.User.ID
	l.CodeTries = tries
	id, err = s.store.CountAttempt(ctx, userID, factor, s.now(), l)
	if tries > 0 && errors.Is(err, dberr.Conflict) {
		l.CodeTries = 0
		id, err = s.store.CountAttempt(ctx, userID, factor, s.now(), l)
		return id, false, err
	}
	return id, tries > 0, err
}

// strike ends the set of mail codes that a wrong answer used up.
func (s *Service) strike(ctx context.Context, userID string, tries int) (attempt, error) {
	g, err := s.store.Guard(ctx, userID)
	if err != nil {
		return attempt{}, err
	}
	if g.CodeTries < tries {
		return attempt{}, nil
	}
	return attempt{limited: true}, s.killCodes(ctx, userID, tries)
}

// details describes a challenge; send lets the factor mail a code.
func (s *Service) details(ctx context.Context, r Request, f Factor, send bool) (*Details, error) {
	d := &Details{Method: f.Name(), AvailableMethods: names(s.accepted(r.User, r.Policy, r.Proofs))}
	err := f.Prepare(ctx, r, d, send)
	if s.kept && slices.Contains(d.AvailableMethods, Email) { // beside another factor, too: who chooses the mail must know
		d.After = append(d.After, ejson.Field{Key: "mailKept", Value: true})
	}
	return d, err
}

// blocked tells whether the budget of wrong answers of a request is used up, in all or in
// a row with that factor.
func (s *Service) blocked(ctx context.Context, g Guard, r Request, factor string) (bool, error) {
	l, err := s.limits(ctx, r, factor)
	if err != nil {
		return false, err
	}
	return g.Within(l.Source, l.Apart, s.now().Add(-l.Window)) >= l.MaxRecent || !l.Apart && g.InRow[Row(factor, l.Source)] >= l.MaxInRow, nil
}

// refuse books a refusal in the audit stream and hands it on.
func (s *Service) refuse(r Request, factor string, err error) error {
	e := event{act: "factor_check", outcome: "refused", factor: factor, user: r.User.ID}
	f, safe := fault.From(err)
	e.reason = f.ID()
	switch {
	case !safe:
		e.outcome = "error"
	case errors.Is(err, ErrRequired):
		e.outcome = "required"
	case errors.Is(err, ErrMaxAttempts), errors.Is(err, tooMany):
		e.outcome = "limited"
	}
	s.record(r, e)
	return err
}

// codeLife is how long a mailed code lives.
func (s *Service) codeLife() time.Duration {
	n := s.config.Int(settings.TwoFactorEmailExpiration)
	if n <= 0 || n > maxCodeSeconds {
		n = maxCodeSeconds
	}
	return time.Duration(n) * time.Second
}
