package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/user"
)

// Budgets of links by mail that anybody may ask for.
const (
	linksPerAccount = 5
	linksPerAddress = 20
	linksWindow     = time.Hour
	// changesPerAccount bounds the mailboxes that one account may name as its new one.
	changesPerAccount = 10
)

// Bounds of the links of one kind that are alive at once for one address.
// Anybody may ask for a link to anybody's mailbox, so asking must not void those
// that are on their way: only the account's own session pushes a young one out.
const (
	maxLinks = 8
	// linkGuard is how long no stranger's asking ends a link. Who has asked in
	// vain for that long has maxLinks mails of that day, and each works.
	linkGuard = 24 * time.Hour
)

// mailBudget counts one mail for a key. Over the hour's budget it is the
// refusal, with the time until there is room again.
func (s *Service) mailBudget(key string, most int) error {
	if wait, ok := s.mails.Take(key, most, linksWindow); !ok {
		return ratelimit.TooMany(wait)
	}
	return nil
}

// room makes place for one more link among those that are alive, oldest first.
// ok is false when as many as may be are alive and none may go.
func room[T any](alive []T, when func(T) time.Time, now time.Time, own bool) (kept []T, ok bool) {
	for len(alive) >= maxLinks {
		if !own && now.Sub(when(alive[0])) < linkGuard {
			return nil, false
		}
		alive = alive[1:]
	}
	return alive, true
}

// proofs are the verification tokens of an account.
func proofs(u *user.User) []user.VerificationToken {
	if u.Services.Email == nil {
		return nil
	}
	return u.Services.Email.VerificationTokens
}

// proofsWithout are those for other addresses than these.
func proofsWithout(u *user.User, addresses ...string) []user.VerificationToken {
	return slices.DeleteFunc(slices.Clone(proofs(u)), func(t user.VerificationToken) bool { return slices.Contains(addresses, t.Address) })
}

// sendVerification makes one more verification token for the address and mails
// it. own tells that the account itself asked, in its session. While as many as
// may be are alive nothing is mailed: any of those proves the address.
func (s *Service) sendVerification(ctx context.Context, u *user.User, address string, own bool) error {
	token, made, err := s.addVerification(ctx, u, address, own)
	if err != nil || !made {
		return err
	}
	if err = s.link(ctx, TemplateVerify, "verify-email", address, token, VerificationLife); err != nil {
		// Nobody will ever hold that token, and its place is for one that somebody does.
		stored := linkPrefix + HashToken(token)
		err = errors.Join(err, s.editVerifications(ctx, u.ID, func(list []user.VerificationToken) ([]user.VerificationToken, bool) {
			return slices.DeleteFunc(list, func(t user.VerificationToken) bool { return t.Token == stored }), true
		}))
	}
	return err
}

// addVerification stores one more verification token; made is false when there
// is no room for it.
func (s *Service) addVerification(ctx context.Context, u *user.User, address string, own bool) (token string, made bool, err error) {
	token = random.Secret()
	now := s.time()
	v := user.VerificationToken{Token: linkPrefix + HashToken(token), Address: address, When: now}
	err = s.editVerifications(ctx, u.ID, func(list []user.VerificationToken) ([]user.VerificationToken, bool) {
		var alive, others []user.VerificationToken
		for _, t := range list {
			switch {
			case t.Address != address:
				others = append(others, t)
			case !s.proofTooOld(t):
				alive = append(alive, t)
			}
		}
		alive, made = room(alive, func(t user.VerificationToken) time.Time { return t.When }, now, own)
		return append(append(others, alive...), v), made
	})
	return token, made && err == nil, err
}

// editVerifications replaces an account's verification tokens by what edit makes
// of them, unless they changed meanwhile; then it is asked again. edit gives
// false to leave them alone.
func (s *Service) editVerifications(ctx context.Context, id string, edit func([]user.VerificationToken) ([]user.VerificationToken, bool)) error {
	return retry(func() error {
		u, err := s.store.UserByID(ctx, id)
		if err != nil {
			return err
		}
		before := proofs(u)
		after, ok := edit(slices.Clone(before))
		if !ok {
			return nil
		}
		_, err = s.change(ctx, id, user.Change{IfVerifications: &before, Verifications: &after})
		return err
	})
}

// sendReset makes one more reset token for the address and mails it, under the
// same bound as sendVerification.
func (s *Service) sendReset(ctx context.Context, u *user.User, to string) error {
	token := random.Secret()
	r := user.ResetToken{Token: linkPrefix + HashToken(token), Email: to, When: s.time(), Reason: "reset"}
	made := false
	var kept []user.ResetToken
	err := retry(func() error {
		u, err := s.store.UserByID(ctx, u.ID)
		if err != nil {
			return err
		}
		var alive []user.ResetToken
		newest := ""
		for _, t := range u.Services.Password.Resets() {
			newest = t.Token
			if s.now().Sub(t.When) < ResetLife {
				alive = append(alive, t)
			}
		}
		if kept, made = room(alive, func(t user.ResetToken) time.Time { return t.When }, s.now(), false); !made {
			return nil
		}
		_, err = s.change(ctx, u.ID, user.Change{IfReset: &newest, Reset: &r, Earlier: &kept})
		return err
	})
	if err != nil || !made {
		return err
	}
	err = s.link(ctx, TemplateReset, "reset-password", to, token, ResetLife)
	if n := len(kept); err != nil && n > 0 { // nobody will ever hold that token
		rest := kept[:n-1]
		if _, undo := s.change(ctx, u.ID, user.Change{IfReset: &r.Token, Reset: &kept[n-1], Earlier: &rest}); undo != nil && !errors.Is(undo, dberr.Conflict) {
			err = errors.Join(err, undo)
		}
	}
	return err
}
