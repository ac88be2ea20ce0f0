package twofactor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// emailFactor asks for a code that was mailed to every verified address. It is
// weaker than an authenticator app (NIST SP 800-63B does not accept it) and is
// there because the documented protocol has it.
type emailFactor struct{ *Service }

func (emailFactor) Name() string       { return Email }
func (emailFactor) Strength() Strength { return ByEmail }

func (f emailFactor) Tries() int {
	return f.positive(settings.TwoFactorEmailAttempts, defaultCodeTries)
}

// Enabled needs the switches of server and account and a verified address (spec
// rocketchat-2fa 1.5.1).
func (f emailFactor) Enabled(u *user.User) bool {
	return f.Offered(u) && u.Email2FAEnabled() && len(u.VerifiedEmails()) > 0
}

// Offered leaves out accounts of foreign services, if the setting says so.
func (f emailFactor) Offered(u *user.User) bool {
	return f.config.Bool(settings.TwoFactorByEmail) && (f.config.Bool(settings.TwoFactorEmailOAuth) || !isOAuth(u))
}

// isOAuth tells accounts of a foreign service: those that hold a service which
// is not one of the server's own.
func isOAuth(u *user.User) bool {
	for name, v := range u.Services.Other {
		switch name {
		case "emailCode", "passwordHistory", "cloud":
		default:
			if v != nil {
				return true
			}
		}
	}
	return false
}

// Verify spends the whole live set when the code is one of it.
func (f emailFactor) Verify(ctx context.Context, r Request, code string) (string, error) {
	digits, ok := normalizeMailCode(code)
	if !ok {
		return "", nil
	}
	switch err := f.store.UseMailCode(ctx, r.User.ID, f.mailDigest(r.User.ID, digits), f.now()); {
	case err == nil:
		return Email, nil
	case errors.Is(err, dberr.Conflict), errors.Is(err, dberr.NotFound):
		return "", nil
	default:
		return "", err
	}
}

// Prepare mails a code if none is alive and sends.
func (f emailFactor) Prepare(ctx context.Context, r Request, d *Details, send bool) error {
	u := r.User
	d.EmailOrUsername = u.Username
	if addresses := u.VerifiedEmails(); u.Username == "" && len(addresses) > 0 {
		d.EmailOrUsername = addresses[0] // who has no user name logged in with an address
	}
	g, err := f.store.Guard(ctx, u.ID)
	if err != nil {
		return fmt.Errorf("reading mailed codes: %w", err)
	}
	live := f.alive(g)
	if len(live) == 0 && send && !f.blocked(g, Email) {
		if err := f.payMail(r.Peer); err != nil {
			return err
		}
		if live, d.CodeGenerated, err = f.mailCode(ctx, r, g, true); err != nil {
			return err
		}
	}
	for _, c := range live {
		d.CodeExpires = append(d.CodeExpires, c.Expire.UTC())
	}
	return nil
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

// mailCode adds a code to the live set of r.User and mails it. sent is false when the set
// is full, or onlyIfNone and one was alive. Over the account's mail budget:
// too-many-requests. The network address has paid already (payMail).
func (s *Service) mailCode(ctx context.Context, r Request, g Guard, onlyIfNone bool) (live []MailCode, sent bool, err error) {
	u, now := r.User, s.now()
	digits := random.Digits(6)
	code := MailCode{Digest: s.mailDigest(u.ID, digits), CreatedAt: now, Expire: now.Add(s.codeLife())}
	rules := MailRules{
		MaxAlive: maxAlive, OnlyIfNone: onlyIfNone,
		MaxMails: s.positive(settings.TwoFactorMailsPerHour, defaultMaxMails), Window: budgetWindow,
	}
	live, err = s.store.AddMailCode(ctx, u.ID, code, now, rules)
	switch {
	case errors.Is(err, dberr.Conflict):
		if g, err = s.store.Guard(ctx, u.ID); err != nil {
			return nil, false, fmt.Errorf("reading mailed codes: %w", err)
		}
		return s.alive(g), false, nil
	case errors.Is(err, dberr.Exhausted):
		return nil, false, ratelimit.TooMany(s.nextMail(g, rules))
	case err != nil:
		return nil, false, fmt.Errorf("adding a mail code: %w", err)
	}
	// The code counts from here on: a caller who hangs up does not stop its mail.
	ctx = context.WithoutCancel(ctx)
	mail := CodeMail{To: u.VerifiedEmails(), Language: u.Language, Name: u.Username, Code: secret.String(digits), Expire: code.Expire}
	if err := s.mailer.SendCode(ctx, mail); err != nil {
		if len(live) == 1 { // nobody else's code dies with it, and the next challenge mails anew
			err = errors.Join(err, s.killCodes(ctx, u.ID, 0))
		}
		return nil, false, fmt.Errorf("mailing a code: %w", err)
	}
	s.record(r, event{act: "code_sent", outcome: "ok", factor: Email, user: u.ID})
	return live, true, nil
}

// nextMail is the time until the account's mail budget has room again.
func (s *Service) nextMail(g Guard, r MailRules) time.Duration {
	recent := g.Mails
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
	return s.key.Digest("twofactor mail code", userID, digits)
}

// maxTyped bounds what is looked at of a typed code, bytes.
const maxTyped = 16

// normalizeMailCode reads a mailed code as people type it: six ASCII digits, with
// blanks anywhere and at most one hyphen, as the mail shows it (decisions 8).
func normalizeMailCode(typed string) (digits string, ok bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	var out [6]byte
	n, hyphens := 0, 0
	for _, c := range []byte(typed) {
		switch {
		case c >= '0' && c <= '9':
			if n == len(out) {
				return "", false
			}
			out[n] = c
			n++
		case c == '-':
			hyphens++
		case c != ' ':
			return "", false
		}
	}
	return string(out[:]), n == len(out) && hyphens <= 1
}
