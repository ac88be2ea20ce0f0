package twofactor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/netkey"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// maxName bounds what is looked up of emailOrUsername, bytes; no account has a
// longer name or address.
const maxName = 320

// SendCode mails one more code to whoever is called that and returns the
// addresses (docs/decisions.md 2.3). r.User is the caller, or nil. The result is empty, and
// nothing mailed, for an account without a verified address or without the
// factor; with five codes alive none is added.
//
// Refusals: ErrParameterRequired, ErrInvalidUser, ErrMaxAttempts while the
// account's budget of wrong answers is used up, too-many-requests over a mail
// budget. With private answers on, everybody but the owner always gets an empty
// result, at once, whatever becomes of the request.
func (s *Service) SendCode(ctx context.Context, r Request, emailOrUsername string) ([]string, error) {
	key := user.Key(emailOrUsername)
	if key == "" {
		return nil, ErrParameterRequired
	}
	if (r.Unseen || s.config.Bool(settings.TwoFactorPrivateAnswers)) && !isCalled(r.User, key) {
		return s.sendUnseen(ctx, r, key)
	}
	got, err := s.sendTo(ctx, r, key, true)
	if err != nil {
		s.recordUnsent(r, err)
	}
	return got, err
}

// sendUnseen does the work behind the asker's back, so that neither the answer
// nor its time tells whether there is such an account. The network address pays
// for every request, whether a mail comes of it or not.
func (s *Service) sendUnseen(ctx context.Context, r Request, key string) ([]string, error) {
	if err := s.payMail(r.Peer); err != nil {
		s.recordUnsent(r, err)
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.record(r, event{act: "code_sent", outcome: "limited", factor: Email})
		return []string{}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	begin := random.Moment(s.stagger)
	s.background.Go(func() {
		defer cancel()
		<-begin
		defer func() { <-s.slots }()
		defer func() { // no router stands around this goroutine
			if v := recover(); v != nil {
				s.recordUnsent(r, errPanicked)
			}
		}()
		if _, err := s.sendTo(ctx, r, key, false); err != nil {
			s.recordUnsent(r, err)
		}
	})
	return []string{}, nil
}

// errPanicked stands for a panic in the background; its text may hold anything.
var errPanicked = errors.New("a code request panicked")

// recordUnsent books a request that came to nothing.
func (s *Service) recordUnsent(r Request, err error) {
	e := event{act: "code_sent", outcome: "error", factor: Email}
	if f, safe := fault.From(err); safe {
		e.outcome, e.reason = "refused", f.ID()
		if errors.Is(err, ErrMaxAttempts) || errors.Is(err, tooMany) {
			e.outcome = "limited"
		}
	}
	s.record(r, e)
}

// sendTo finds the account that is called that and mails it a code.
func (s *Service) sendTo(ctx context.Context, r Request, key string, pay bool) ([]string, error) {
	u, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	stranger := r.User == nil || r.User.ID != u.ID
	r.User = u
	return s.sendCode(ctx, r, stranger, pay)
}

// sendCode mails a code to r.User, now the account that was named, if its factor
// and its budgets allow; stranger says that somebody else asked. Nobody told what
// the code is for, so it is good for everything. pay charges the network address
// for the mail.
func (s *Service) sendCode(ctx context.Context, r Request, stranger, pay bool) ([]string, error) {
	u := r.User
	if !slices.Contains(names(s.accepted(u, Login, rpc.Proofs{})), Email) {
		return []string{}, nil
	}
	g, err := s.guard(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	blocked, err := s.blocked(ctx, g, r, Email)
	switch {
	case err != nil:
		return nil, err
	case blocked:
		return nil, ErrMaxAttempts
	case len(s.alive(g)) >= maxAlive:
		return u.VerifiedEmails(), nil
	}
	if pay {
		if err := s.payMail(r.Peer); err != nil {
			return nil, err
		}
	}
	if _, _, err := s.mailCode(ctx, r, g, MailCode{Stranger: stranger}, false); err != nil {
		return nil, err
	}
	return u.VerifiedEmails(), nil
}

// payMail charges a network address for one code mail.
func (s *Service) payMail(p *rpc.Peer) error {
	if p == nil || p.Address == "" {
		return nil
	}
	most := s.positive(settings.TwoFactorMailsPerAddress, defaultMaxMailsFrom)
	if wait, ok := s.mailLimit.Take("code mail "+netkey.Of(p.Address), most, budgetWindow); !ok {
		return tooManyMails("at the request of your network address", wait)
	}
	return nil
}

// find looks an account up by the key of a user name or an address.
func (s *Service) find(ctx context.Context, key string) (u *user.User, err error) {
	switch {
	case len(key) > maxName || strings.ContainsRune(key, 0):
		return nil, ErrInvalidUser
	case strings.Contains(key, "@"):
		u, err = s.store.UserByEmail(ctx, key)
	default:
		u, err = s.store.UserByUsername(ctx, key)
	}
	if errors.Is(err, dberr.NotFound) || err == nil && !u.IsActive() {
		return nil, ErrInvalidUser
	}
	return u, err
}

// isCalled tells whether key is a name of u.
func isCalled(u *user.User, key string) bool {
	if u == nil {
		return false
	}
	if u.Username != "" && user.Key(u.Username) == key {
		return true
	}
	for _, e := range u.Emails {
		if user.Key(e.Address) == key {
			return true
		}
	}
	return false
}
