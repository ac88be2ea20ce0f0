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
	"ddpserver/internal/random"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Email is the factor's name.
const Email = "email"

// emailFactor asks for a code that was mailed to every verified address. It is
// weaker than an authenticator app (NIST SP 800-63B does not accept it) and is
// there because the documented protocol has it.
type emailFactor struct {
	Base
	*Service
}

func (emailFactor) Name() string       { return Email }
func (emailFactor) Strength() Strength { return ByEmail }

// SwitchedOn implements Factor.
func (emailFactor) SwitchedOn(u *user.User) bool { return u.Email2FAEnabled() }

func (f emailFactor) Tries() int {
	return f.positive(settings.TwoFactorEmailAttempts, defaultCodeTries)
}

// Enabled needs the switches of server and account and a verified address
// (docs/wire/rocketchat.md 1.5.1).
func (f emailFactor) Enabled(u *user.User) bool {
	return f.Offered(u) && u.Email2FAEnabled() && len(u.VerifiedEmails()) > 0
}

// Offered leaves out accounts of foreign services, if the setting says so.
func (f emailFactor) Offered(u *user.User) bool {
	return f.config.Bool(settings.TwoFactorByEmail) && (f.config.Bool(settings.TwoFactorEmailOAuth) || !u.Foreign())
}

// Verify spends the whole live set when the code is one of it and good for the
// call. One that was mailed for another call is a wrong answer.
func (f emailFactor) Verify(ctx context.Context, r Request) (string, error) {
	digits := r.Proof.Typed()
	if !sixDigits(digits) {
		return "", nil
	}
	for _, digest := range f.key.Digests(mailCodePurpose, r.User.ID, digits) {
		switch err := f.store.UseMailCode(ctx, r.User.ID, digest, r.Purpose, f.now()); {
		case err == nil:
			return Email, nil
		case !errors.Is(err, dberr.Conflict) && !errors.Is(err, dberr.NotFound):
			return "", err
		}
	}
	return "", nil
}

// mailCodePurpose is what the digests of mailed codes are bound to.
const mailCodePurpose = "twofactor mail code"

// Prepare tells which codes are alive and whom to ask for another one, and mails one
// if there is none that is good for the call.
func (f emailFactor) Prepare(ctx context.Context, r Request, d *Details, send bool) error {
	live, generated, err := f.codes(ctx, r, send)
	expires := make([]any, len(live))
	for i, c := range live {
		expires[i] = c.Expire.UTC()
	}
	whom := r.User.Username
	if addresses := r.User.VerifiedEmails(); whom == "" && len(addresses) > 0 {
		whom = addresses[0] // who has no user name logged in with an address
	}
	d.CodeGenerated = generated
	d.Before = ejson.Doc{{Key: "codeCount", Value: len(expires)}, {Key: "codeExpires", Value: expires}}
	d.After = ejson.Doc{{Key: "emailOrUsername", Value: whom}}
	return err
}

// codes are those that are alive and good for the call, oldest first.
func (f emailFactor) codes(ctx context.Context, r Request, send bool) (live []MailCode, generated bool, err error) {
	g, err := f.store.Guard(ctx, r.User.ID)
	if err != nil {
		return nil, false, fmt.Errorf("reading mailed codes: %w", err)
	}
	blocked, err := f.blocked(ctx, g, r, Email)
	if err != nil {
		return nil, false, err
	}
	live = goodFor(f.alive(g), r.Purpose)
	if len(live) > 0 || !send || blocked {
		return live, false, nil
	}
	if err := f.payMail(r.Peer); err != nil {
		return nil, false, err
	}
	if live, generated, err = f.mailCode(ctx, r, g, MailCode{Purpose: r.Purpose}, true); err != nil {
		return nil, false, err
	}
	return goodFor(live, r.Purpose), generated, nil
}

// guard reads the account's counters and codes for whoever may want a new code.
// A set that is used up but still there (a crash, or a setting that was lowered)
// is ended first.
func (s *Service) guard(ctx context.Context, userID string) (Guard, error) {
	g, err := s.store.Guard(ctx, userID)
	tries := s.positive(settings.TwoFactorEmailAttempts, defaultCodeTries)
	if err == nil && len(g.Codes) > 0 && g.CodeTries >= tries {
		if err = s.killCodes(ctx, userID, tries); err == nil {
			g, err = s.store.Guard(ctx, userID)
		}
	}
	if err != nil {
		return g, fmt.Errorf("reading the counters of a second factor: %w", err)
	}
	return g, nil
}

// killCodes ends the live set once tries answers were counted against it. That
// there is none, or that it is not used up yet, is no error.
func (s *Service) killCodes(ctx context.Context, userID string, tries int) error {
	if err := s.store.KillMailCodes(ctx, userID, tries); err != nil && !errors.Is(err, dberr.Conflict) && !errors.Is(err, dberr.NotFound) {
		return err
	}
	return nil
}

// alive are the codes of the live set that can still be used, oldest first.
func (s *Service) alive(g Guard) []MailCode {
	if g.CodeTries >= s.positive(settings.TwoFactorEmailAttempts, defaultCodeTries) {
		return nil
	}
	var live []MailCode
	now := s.now()
	for _, c := range g.Codes {
		if c.Expire.After(now) {
			live = append(live, c)
		}
	}
	return live
}

// goodFor are those of the codes that answer a challenge of that purpose.
func goodFor(codes []MailCode, purpose string) []MailCode {
	return slices.DeleteFunc(codes, func(c MailCode) bool { return !c.GoodFor(purpose) })
}

// mailCode adds a code to the live set of r.User and mails it; c says what for and
// for whom. sent is false when the set is full, or onlyIfNone and one was alive
// that is good for the same. Over the account's mail budget: too-many-requests. The
// network address has paid already (payMail).
func (s *Service) mailCode(ctx context.Context, r Request, g Guard, c MailCode, onlyIfNone bool) (live []MailCode, sent bool, err error) {
	u, now := r.User, s.now()
	digits := random.Digits(6)
	c.Digest, c.CreatedAt, c.Expire = s.mailDigest(u.ID, digits), now, now.Add(s.codeLife())
	rules := s.mailRules(c.Stranger)
	rules.OnlyIfNone = onlyIfNone
	live, err = s.store.AddMailCode(ctx, u.ID, c, now, rules)
	switch {
	case errors.Is(err, dberr.Conflict):
		if g, err = s.store.Guard(ctx, u.ID); err != nil {
			return nil, false, fmt.Errorf("reading mailed codes: %w", err)
		}
		return s.alive(g), false, nil
	case errors.Is(err, dberr.Exhausted):
		return nil, false, tooManyMails("to this account", s.nextMail(g, c.Stranger, rules))
	case err != nil:
		return nil, false, fmt.Errorf("adding a mail code: %w", err)
	}
	// The code counts from here on: a caller who hangs up does not stop its mail.
	ctx = context.WithoutCancel(ctx)
	if err := s.mailer.SendCode(ctx, s.codeMail(r, c, digits)); err != nil {
		// Nobody will read the code: the next challenge mails anew, and where the
		// refusal is certain the mail was none.
		_, certain := fault.From(err)
		err = errors.Join(err, s.store.UndoMailCode(ctx, u.ID, c.Digest, certain))
		return nil, false, fmt.Errorf("mailing a code: %w", err)
	}
	s.record(r, event{act: "code_sent", outcome: "ok", factor: Email, user: u.ID})
	return live, true, nil
}

// codeMail is the mail that carries a code.
func (s *Service) codeMail(r Request, c MailCode, digits string) CodeMail {
	what, _ := s.Sentence(c.Purpose)
	m := CodeMail{
		To: r.User.VerifiedEmails(), Name: r.User.Username,
		Stranger: c.Stranger, What: what, At: c.CreatedAt, Code: secret.String(digits), Expire: c.Expire,
	}
	if r.Peer != nil {
		m.Address, m.Agent = r.Peer.Address, r.Peer.UserAgent
	}
	return m
}

// mailRules are the account's budget of mails: that of strangers, or that of who
// proved a password or has a session.
func (s *Service) mailRules(stranger bool) MailRules {
	most := s.positive(settings.TwoFactorMailsPerHour, defaultMaxMails)
	if stranger {
		most = s.positive(settings.TwoFactorMailsAsked, defaultMaxAsked)
	}
	return MailRules{MaxAlive: maxAlive, MaxMails: most, Window: budgetWindow}
}

// nextMail is the time until the account's mail budget has room again.
func (s *Service) nextMail(g Guard, stranger bool, r MailRules) time.Duration {
	recent := g.Mails
	if stranger {
		recent = g.Asked
	}
	if len(recent) > r.MaxMails {
		recent = recent[len(recent)-r.MaxMails:]
	}
	if len(recent) == 0 {
		return r.Window
	}
	return min(max(recent[0].Add(r.Window).Sub(s.now()), time.Millisecond), r.Window)
}

// mailDigest is what is stored of a code: keyed, and bound to its owner.
func (s *Service) mailDigest(userID, digits string) string {
	return s.key.Digest(mailCodePurpose, userID, digits)
}
